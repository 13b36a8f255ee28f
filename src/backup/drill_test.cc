#include "backup/drill.h"

#include <gtest/gtest.h>

#include <map>

#include "backup/vault_store.h"
#include "tests/support/replication_world.h"

namespace longhaul::backup {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;

class Listed : public Listing {
 public:
  explicit Listed(int count) : count_(count) {}
  Async<std::optional<ListedObject>> Next() override {
    if (at_ == count_) co_return std::nullopt;
    co_return ListedObject{.key = std::to_string(at_++)};
  }
  asio::awaitable<void> Close() override { co_return; }

 private:
  int count_;
  int at_ = 0;
};

DrillChoice Choose(testing::FakeWorld& world, int of, const char* sample) {
  Listed listing(of);
  Event stop;
  Result<DrillSample> size = ParseDrillSample(sample);
  EXPECT_TRUE(size) << sample;
  Result<DrillChoice> choice =
      world.Run(ChooseForDrill(listing, *size, world.runtime.random, stop));
  EXPECT_TRUE(choice);
  EXPECT_EQ(choice->of, static_cast<uint64_t>(of));
  return *choice;
}

TEST(DrillTest, ReadsSamples) {
  EXPECT_EQ(ParseDrillSample("100")->count, 100u);
  EXPECT_DOUBLE_EQ(ParseDrillSample("0.5%")->share, 0.005);
  EXPECT_DOUBLE_EQ(ParseDrillSample("100%")->share, 1);
  for (const char* wrong :
       {"", "%", "0", "0%", "-1", "101%", "1.5", "nan%", "inf%", "1%%", "100001", "ten"}) {
    EXPECT_FALSE(ParseDrillSample(wrong)) << wrong;
  }
}

// A sample that never takes the last keys, or always the first ones, proves nothing of the rest.
TEST(DrillTest, ChoosesEachObjectAsOften) {
  testing::FakeWorld world(3);
  std::map<std::string, int> taken;
  for (int i = 0; i < 400; ++i) {
    DrillChoice choice = Choose(world, 20, "5");
    EXPECT_EQ(choice.objects.size(), 5u);
    for (const ListedObject& object : choice.objects) ++taken[object.key];
  }
  EXPECT_EQ(taken.size(), 20u);
  for (const auto& [key, count] : taken) EXPECT_NEAR(count, 100, 45) << key;
  const size_t share = Choose(world, 10'000, "1%").objects.size();
  EXPECT_GT(share, 50u);
  EXPECT_LT(share, 160u);
  // However small the share: something is proven.
  EXPECT_EQ(Choose(world, 7, "0.001%").objects.size(), 1u);
  EXPECT_EQ(Choose(world, 7, "100%").objects.size(), 7u);
  EXPECT_EQ(Choose(world, 3, "9").objects.size(), 3u);
  EXPECT_EQ(Choose(world, 0, "9").objects.size(), 0u);
}

class DrillObjectTest : public ::testing::Test {
 protected:
  DrillObjectTest() {
    Target& target = world.configuration.rules[0].targets[0];
    target.to.prefix = "v/";
    target.backup = BackupOptions();
    world.AddStore("scratch", {"s"});
    world.Put("a", "the bytes of a", {{"who", "ann"}});
    world.Put("big", std::string(300'000, 'b'));
    world.RunFor(5s);
    OnceResult once = world.RunOnce();
    EXPECT_FALSE(once.store_error);
    direct = std::make_unique<MemoryStore>(world.runtime, world.target().backend, &world.target());
    store = std::make_unique<VaultStore>(
        world.runtime, *direct, VaultPlace{.bucket = "out", .prefix = "v/"}, "in",
        VaultArchives::Options{.seal_keys = {}, .memory_bytes = 64 << 20});
  }

  DrillVerdict Drill(const std::string& key, bool with_source = true) {
    CatalogTroubles troubles;
    std::unique_ptr<Listing> listing = store->OpenAt(key, SystemTime::max(), troubles, {});
    Result<std::optional<ListedObject>> object = world.world.Run(listing->Next());
    world.world.Run(listing->Close());
    EXPECT_TRUE(object && *object);
    return world.world.Run(
        DrillObject(world.runtime, {.backup = store.get(),
                                    .bucket = "in",
                                    .object = **object,
                                    .scratch = world.store("scratch").store.get(),
                                    .scratch_bucket = "s",
                                    .scratch_key = "d/1",
                                    .source = with_source ? world.source().store.get() : nullptr,
                                    .stop = &stop}));
  }
  void ExpectNothingLeft() {
    EXPECT_TRUE(world.store("scratch").backend->Keys("s").empty());
    EXPECT_TRUE(world.store("scratch").backend->buckets.at("s").uploads.empty());
  }

  ReplicationWorld world;
  std::unique_ptr<MemoryStore> direct;
  std::unique_ptr<VaultStore> store;
  Event stop;
};

TEST_F(DrillObjectTest, ProvesWhatComesBack) {
  for (const char* key : {"a", "big"}) {
    DrillVerdict verdict = Drill(key);
    EXPECT_FALSE(verdict.failure) << verdict.failure->Describe();
    EXPECT_TRUE(verdict.differences.empty()) << verdict.differences[0];
    EXPECT_TRUE(verdict.compared_with_source);
    EXPECT_FALSE(verdict.left_behind);
    EXPECT_EQ(verdict.bytes, key[0] == 'a' ? 14u : 300'000u);
    ExpectNothingLeft();
  }
  // A source that has another object by now, or is away, proves nothing and fails nothing.
  world.Put("a", "other bytes");
  DrillVerdict verdict = Drill("a");
  EXPECT_FALSE(verdict.failure);
  EXPECT_TRUE(verdict.differences.empty());
  EXPECT_FALSE(verdict.compared_with_source);
  EXPECT_FALSE(Drill("big", false).compared_with_source);
}

// The ETag of an object under KMS looks like an MD5 and is none: where no archive says so, every
// drill of such a bucket would tell of differences that nobody has to look for.
TEST_F(DrillObjectTest, AnEtagThatIsNoMd5TellsNothing) {
  world.Put("kms", std::string(300'000, 'k'));
  ObjectInfo& info = world.source().backend->buckets.at("in").objects.at("kms").back().info;
  info.etag = std::string(32, 'a');
  info.etag_opaque = true;
  info.checksums.clear();
  world.RunFor(5s);
  EXPECT_FALSE(world.RunOnce().store_error);
  const DrillVerdict verdict = Drill("kms");
  EXPECT_FALSE(verdict.failure) << verdict.failure->Describe();
  EXPECT_TRUE(verdict.differences.empty()) << verdict.differences[0];
  EXPECT_EQ(verdict.bytes, 300'000u);
}

// What is read at the scratch place counts, not what was sent there: a byte that changed on the way
// must not pass for a proof.
TEST_F(DrillObjectTest, FindsBytesThatDiffer) {
  world.store("scratch").decide = [](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kGet) fault.corrupt_body_at_byte = 3;
    return fault;
  };
  DrillVerdict verdict = Drill("a");
  EXPECT_TRUE(!verdict.differences.empty() || verdict.failure) << "a changed byte was not seen";
  ExpectNothingLeft();
}

// The archive may agree with itself and still not be what the source has.
TEST_F(DrillObjectTest, FindsASourceWithOtherBytes) {
  world.source().backend->CorruptStored("in", "a", 3);
  world.source().backend->buckets.at("in").objects.at("a").back().info.checksums.clear();
  DrillVerdict verdict = Drill("a");
  ASSERT_EQ(verdict.differences.size(), 1u);
  EXPECT_EQ(verdict.differences[0], "its bytes are not those of the source");
  ExpectNothingLeft();
}

TEST_F(DrillObjectTest, FindsWhatBelongsToItMissing) {
  class Forgetful : public MemoryStore {
   public:
    using MemoryStore::MemoryStore;
    Async<PutResult> Put(PutRequest request, ByteSource& body) override {
      request.metadata.clear();
      return MemoryStore::Put(std::move(request), body);
    }
  };
  auto forgetful =
      std::make_unique<Forgetful>(world.runtime, world.store("scratch").backend, nullptr);
  world.store("scratch").store = std::move(forgetful);
  DrillVerdict verdict = Drill("a");
  ASSERT_EQ(verdict.differences.size(), 1u);
  EXPECT_EQ(verdict.differences[0], "its headers, metadata or tags are not those of the archive");
}

// Whatever fails, and wherever: it is told, and nothing stays where it does not belong.
TEST_F(DrillObjectTest, LeavesNothingWhateverFails) {
  for (const StoreOperation operation : {StoreOperation::kPut, StoreOperation::kGet}) {
    world.store("scratch").decide = [operation](StoreOperation asked, std::string_view,
                                                std::string_view) {
      return asked == operation ? testing::TroubledStore::Failing(ErrorKind::kDenied) : Fault();
    };
    EXPECT_TRUE(Drill("a").failure);
    ExpectNothingLeft();
  }
  // The write took effect, and its answer was lost.
  world.store("scratch").decide = [](StoreOperation asked, std::string_view, std::string_view) {
    Fault fault;
    if (asked == StoreOperation::kPut) {
      fault = testing::TroubledStore::Failing(ErrorKind::kRetryable);
      fault.effect = Fault::Effect::kDone;
    }
    return fault;
  };
  Drill("a");
  ExpectNothingLeft();
  world.store("scratch").decide = [](StoreOperation asked, std::string_view, std::string_view) {
    return asked == StoreOperation::kRemove ? testing::TroubledStore::Failing(ErrorKind::kDenied)
                                            : Fault();
  };
  EXPECT_TRUE(Drill("a").left_behind);
  world.store("scratch").Heal();
  // The archive is damaged.
  for (const std::string& key : world.target().backend->Keys("out")) {
    if (!key.ends_with(".tar.zst")) continue;
    const size_t size = world.target().backend->Find("out", key)->bytes->size();
    world.target().backend->CorruptStored("out", key, size / 3);
  }
  store = std::make_unique<VaultStore>(
      world.runtime, *direct, VaultPlace{.bucket = "out", .prefix = "v/"}, "in",
      VaultArchives::Options{.seal_keys = {}, .memory_bytes = 64 << 20});
  EXPECT_TRUE(Drill("big").failure || Drill("a").failure);
}

// Of two writes the first one's answer was lost: behind the version that is removed it would come
// forth again, and be paid for.
TEST_F(DrillObjectTest, LeavesNoVersionOfAWriteWhoseAnswerWasLost) {
  ASSERT_TRUE(world.world.Run(world.store("scratch").store->SetVersioning("s", true)));
  MemoryStore twin(world.runtime, world.store("scratch").backend);
  int lost = 0;
  world.store("scratch").decide = [&](StoreOperation asked, std::string_view,
                                      std::string_view key) {
    // As a store's own retries do, which no caller hears of.
    for (; asked == StoreOperation::kPut && lost < 2; ++lost) {
      EXPECT_TRUE(
          world.world.Run(PutText(twin, {.bucket = "s", .key = std::string(key)}, "the same")));
    }
    return Fault();
  };
  const DrillVerdict verdict = Drill("a");
  EXPECT_FALSE(verdict.failure) << verdict.failure->Describe();
  EXPECT_FALSE(verdict.left_behind);
  EXPECT_EQ(lost, 2);
  EXPECT_TRUE(world.store("scratch").backend->buckets.at("s").objects.empty());
}

}  // namespace
}  // namespace longhaul::backup
