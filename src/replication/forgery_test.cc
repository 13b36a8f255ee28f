// What somebody who can write to staging can do, and what he cannot.

#include "tests/support/forgery.h"

#include <gtest/gtest.h>

#include "replication/staging/seal.h"
#include "replication/staging/staging.h"
#include "tests/support/archive.h"
#include "tests/support/replication_world.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::Forger;
using testing::Forgery;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;

constexpr char kUlid[] = "01KJM0000000000000000000AR";
constexpr char kOldKey[] = "the key of last year";
constexpr char kNewKey[] = "the key of this year";

bool Changes(StoreOperation operation) {
  switch (operation) {
    case StoreOperation::kPut:
    case StoreOperation::kCreateMultipart:
    case StoreOperation::kUploadPart:
    case StoreOperation::kCompleteMultipart:
    case StoreOperation::kCopy:
    case StoreOperation::kRemove:
    case StoreOperation::kRemoveMany:
    case StoreOperation::kPutTags:
      return true;
    default:
      return false;
  }
}

// A target role alone, into whose staging somebody puts archives. Source keys are below "in/",
// replicas below "copy/".
struct Target {
  explicit Target(bool deletes = true) {
    Rule& rule = world.configuration.rules[0];
    rule.source.prefix = "in/";
    rule.deletes = deletes;
    rule.targets[0].to.prefix = "copy/";
    world.target().decide = [this](StoreOperation operation, std::string_view bucket,
                                   std::string_view key) {
      if (bucket != "staging" && Changes(operation)) {
        changed.insert(std::string(bucket) + "/" + std::string(key));
        removes += operation == StoreOperation::kRemove || operation == StoreOperation::kRemoveMany
                       ? 1
                       : 0;
      }
      return Fault();
    };
  }

  void Stage(const std::string& archive) {
    MemoryStore direct(world.runtime, world.target().backend);
    ASSERT_TRUE(world.world.Run(
        PutText(direct, {.bucket = "staging", .key = ArchiveKey("r/", kUlid)}, archive)));
  }
  OnceResult Apply() { return world.RunOnce({.source = false, .timeout = 60s}); }
  void PutThere(const std::string& key) {
    MemoryStore direct(world.runtime, world.target().backend);
    ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "out", .key = key}, "there before")));
  }
  [[nodiscard]] bool StillStaged() { return world.Staged().contains(ArchiveKey("r/", kUlid)); }

  using MemoryStore = testing::MemoryStore;
  ReplicationWorld world;
  Keys changed;  // At the target, beside staging.
  int removes = 0;
};

// One of everything, as the source of the rule would send it.
std::string Archive(const std::optional<SealKey>& seal, std::vector<testing::ArchiveItem> items,
                    ArchiveKind kind = ArchiveKind::kBundle, size_t frame_size_bytes = 128 << 10,
                    const std::string& source = "east:in/in/") {
  testing::FakeWorld world;
  ArchiveManifest manifest = testing::TestManifest();
  manifest.id = kUlid;
  manifest.rule_id = "r";
  manifest.source = source;
  manifest.created = world.clock.Now();
  manifest.kind = kind;
  for (testing::ArchiveItem& item : items) item.entry.key = "in/" + item.entry.key;
  testing::MemorySink sink;
  EXPECT_TRUE(world.Run(testing::WriteArchive(world.runtime, std::move(items),
                                              {.frame_size_bytes = frame_size_bytes, .seal = seal},
                                              sink, manifest)));
  return sink.bytes;
}

std::vector<testing::ArchiveItem> Items() {
  std::vector<testing::ArchiveItem> items;
  for (testing::ArchiveItem& item : testing::Everything()) {
    // Some of the keys that make trouble are in here for their paths, not for their fields.
    static const Keys kKept = {"a",    "empty",     "twin/1", "twin/of-the-long-one",
                               "rich", "md5/small", "large",  "md5/large",
                               "gone"};
    if (kKept.contains(item.entry.key)) items.push_back(std::move(item));
  }
  testing::ArchiveItem renamed = testing::Put("a/b", "below a file, so its key is in the index");
  items.push_back(renamed);
  return items;
}

std::string SegmentArchive(const std::optional<SealKey>& seal) {
  testing::ArchiveItem piece = testing::Put("giant", testing::Lines(150'000, 3));
  piece.entry.etag = "9bb58f26192e4ba00f01e2e7b136bbd8-3";
  piece.entry.part_sizes = {100'000, 50'000};
  piece.entry.segment = Segment{.plan = "01KJM0000000000000000000GP",
                                .offset_bytes = 100'000,
                                .object_size_bytes = 250'000,
                                .number = 1,
                                .count = 2,
                                .first_part = 2};
  return Archive(seal, {piece}, ArchiveKind::kSingle);
}

SealKey KeyOf(const std::string& secret) {
  Rule rule;
  rule.seal_key = Secret(secret);
  return SealKeys(rule).front();
}

// A field that the seal does not cover could be forged by whoever can write to staging.
TEST(ForgeryTest, NothingOfASealedArchiveCanBeForged) {
  const SealKey seal = KeyOf(kNewKey);
  for (const std::string& archive : {Archive(seal, Items()), SegmentArchive(seal)}) {
    {
      Target sound;
      sound.world.configuration.rules[0].seal_key = Secret(kNewKey);
      sound.Stage(archive);
      EXPECT_EQ(sound.Apply().corrupt_archives, 0);
      EXPECT_FALSE(sound.changed.empty());
    }
    const std::vector<Forgery> forgeries = Forger(archive).EveryField();
    EXPECT_GT(forgeries.size(), 60u);
    size_t number = 0;
    for (const Forgery& forgery : forgeries) {
      if (testing::kSanitized && ++number % 2 != 0) continue;
      SCOPED_TRACE(forgery.what);
      Target target;
      target.world.configuration.rules[0].seal_key = Secret(kNewKey);
      target.Stage(forgery.bytes);
      const OnceResult result = target.Apply();
      EXPECT_EQ(target.changed, Keys{});
      EXPECT_EQ(result.corrupt_archives + result.parked_archives, 1);
      EXPECT_TRUE(target.StillStaged());
    }
  }
}

// Frames larger than one archive may take of the memory: it must not be waited for, nor tried for
// ever without a word to anybody.
TEST(ForgeryTest, AnArchiveThatTakesTooMuchMemoryIsParked) {
  Target target;
  std::vector<testing::ArchiveItem> items;
  for (int i = 0; i < 450; ++i) {
    items.push_back(testing::Put("k" + std::to_string(i), testing::Lines(99'000, 1 + i)));
  }
  target.Stage(Archive(std::nullopt, std::move(items), ArchiveKind::kBundle, 44 << 20));
  const OnceResult result = target.Apply();
  EXPECT_FALSE(result.store_error);
  EXPECT_EQ(result.parked_archives, 1);
  EXPECT_EQ(target.changed, Keys{});
  EXPECT_TRUE(target.StillStaged());
  ASSERT_EQ(target.world.observer.Count(OutcomeState::kParked), 1);
  EXPECT_NE(target.world.observer.outcomes.back().reason.find("--memory"), std::string::npos);
}

// Without its seal, with another's, or with the id of another key, it is no better.
TEST(ForgeryTest, ASealCannotBeExchanged) {
  const Forger forger(Archive(KeyOf(kNewKey), Items()));
  const std::string hmac(64, 'a');
  const std::string other_id = KeyOf(kOldKey).id;
  const std::string own_id = KeyOf(kNewKey).id;
  struct Case {
    std::string seal;
    bool corrupt;
  };
  const std::vector<Case> cases = {
      {"}", false},
      {",\"seal\":{\"key\":\"" + own_id + "\",\"hmac\":\"" + hmac + "\"}}", true},
      {",\"seal\":{\"key\":\"" + other_id + "\",\"hmac\":\"" + hmac + "\"}}", false},
      {",\"seal\":{\"key\":\"" + other_id + forger.seal().substr(forger.seal().find("\",\"hmac")),
       false},
      {",\"seal\":{\"key\":\"\",\"hmac\":\"" + hmac + "\"}}", true},
      {",\"seal\":{\"key\":\"" + own_id + "\",\"hmac\":\"\"}}", true},
      {forger.seal() + " ", true}};
  for (const Case& forged : cases) {
    SCOPED_TRACE(forged.seal);
    Target target;
    target.world.configuration.rules[0].seal_key = Secret(kNewKey);
    target.Stage(forger.With(forger.index(), forged.seal));
    const OnceResult result = target.Apply();
    EXPECT_EQ(target.changed, Keys{});
    EXPECT_EQ(result.corrupt_archives, forged.corrupt ? 1 : 0);
    EXPECT_EQ(result.parked_archives, forged.corrupt ? 0 : 1);
    EXPECT_TRUE(target.StillStaged());
  }
}

// A key is changed while archives are under way: target first, then source, then the old key goes.
TEST(ForgeryTest, AKeyIsChangedWithoutLosingAnArchive) {
  for (const char* sealed_with : {kOldKey, kNewKey}) {
    Target target;
    Rule& rule = target.world.configuration.rules[0];
    rule.seal_key = Secret(kOldKey);
    rule.seal_keys_accepted = {Secret(kNewKey)};
    target.Stage(Archive(KeyOf(sealed_with), Items()));
    const OnceResult result = target.Apply();
    EXPECT_EQ(result.parked_archives + result.corrupt_archives, 0);
    EXPECT_FALSE(target.StillStaged());
    EXPECT_TRUE(target.world.Replicas().contains("copy/rich"));
  }
}

// Who changes the source first loses nothing: the archive waits, and says for which key.
TEST(ForgeryTest, AnArchiveOfAnUnknownKeyWaitsForIt) {
  for (const bool sealed : {true, false}) {
    Target target;
    Rule& rule = target.world.configuration.rules[0];
    rule.seal_key = Secret(kOldKey);
    target.Stage(Archive(sealed ? std::optional(KeyOf(kNewKey)) : std::nullopt, Items()));
    EXPECT_EQ(target.Apply().parked_archives, 1);
    EXPECT_EQ(target.changed, Keys{});
    auto parked = target.world.world.Run(ScanParkedArchives(target.world.state, "r", "t0", "", 9));
    ASSERT_TRUE(parked && parked->size() == 1);
    EXPECT_NE(parked->front().reason.find(sealed ? KeyOf(kNewKey).id : "no seal"),
              std::string::npos)
        << parked->front().reason;
    if (sealed) {
      rule.seal_keys_accepted = {Secret(kNewKey)};
    } else {
      rule.seal_key = Secret();
    }
    EXPECT_EQ(target.Apply().parked_archives, 0);
    EXPECT_TRUE(target.world.Replicas().contains("copy/rich"));
    EXPECT_FALSE(target.StillStaged());
  }
}

// The source seals with seal_key, never with a key that is only accepted.
TEST(ForgeryTest, TheFirstKeySeals) {
  Rule rule;
  rule.seal_keys_accepted = {Secret(kOldKey)};
  EXPECT_TRUE(SealKeys(rule).empty());
  rule.seal_key = Secret(kNewKey);
  ASSERT_EQ(SealKeys(rule).size(), 2u);
  EXPECT_EQ(SealKeys(rule).front().secret, kNewKey);
  EXPECT_NE(SealKeys(rule)[0].id, SealKeys(rule)[1].id);
}

// Without a seal, what an archive says is believed only within what the target's own configuration
// allows: its bucket, its prefix, no deletes; and no bytes but those that the frames' hashes name.
TEST(ForgeryTest, AnUnsealedArchiveStaysWithinTheTargetsConfiguration) {
  for (const std::string& archive :
       {Archive(std::nullopt, Items()), SegmentArchive(std::nullopt)}) {
    const Forger forger(archive);
    size_t number = 0;
    for (const Forgery& forgery : forger.EveryField()) {
      if (testing::kSanitized && ++number % 2 != 0) continue;
      SCOPED_TRACE(forgery.what);
      Target target(/*deletes=*/false);
      testing::MemoryStoreBackend& backend = *target.world.target().backend;
      target.PutThere("copy/gone");
      target.PutThere("elsewhere/rich");
      target.Stage(forgery.bytes);
      target.Apply();
      EXPECT_EQ(target.removes, 0);
      EXPECT_TRUE(target.world.Replicas().contains("copy/gone"));
      EXPECT_EQ(*backend.Find("out", "elsewhere/rich")->bytes, "there before");
      for (const std::string& place : target.changed) {
        EXPECT_TRUE(place.starts_with("out/copy/")) << place;
      }
      for (const std::string& key : backend.Keys("out")) {
        if (key == "copy/gone" || key == "elsewhere/rich") continue;
        EXPECT_NE(forger.raw().find(*backend.Find("out", key)->bytes), std::string::npos) << key;
      }
    }
  }
}

// Keys that the rule does not carry are none that its archives may write, nor delete.
TEST(ForgeryTest, KeysThatAreNotTheRulesAreParked) {
  for (const bool seal : {false, true}) {
    Target target;
    Rule& rule = target.world.configuration.rules[0];
    rule.filter.suffix = ".log";
    if (seal) rule.seal_key = Secret(kNewKey);
    target.PutThere("copy/secret.txt");
    std::vector<testing::ArchiveItem> items = {testing::Put("a.log", "a log"),
                                               testing::Put("a.txt", "no log"),
                                               testing::Put("secret.txt", "")};
    items[2].entry.op = EntryOp::kDelete;
    std::string archive = Archive(seal ? std::optional(KeyOf(kNewKey)) : std::nullopt, items);
    target.Stage(archive);
    EXPECT_EQ(target.Apply().parked_archives, 1);
    EXPECT_EQ(target.changed, Keys{"out/copy/a.log"});
    EXPECT_EQ(target.world.observer.Count(OutcomeState::kParked), 2);
  }
}

// Two installations have chosen one id and one staging, or the rule had another source when it was
// packed: their objects are not this rule's.
TEST(ForgeryTest, AnArchiveOfAnotherBucketIsParked) {
  for (const bool backup : {false, true}) {
    Target target;
    if (backup) target.world.configuration.rules[0].targets[0].backup = BackupOptions();
    target.Stage(Archive(std::nullopt, {testing::Put("a", "not of this rule")},
                         ArchiveKind::kBundle, 128 << 10, "east:former/in/"));
    EXPECT_EQ(target.Apply().parked_archives, 1);
    EXPECT_EQ(target.changed, Keys{});
    EXPECT_TRUE(target.StillStaged());
    const std::string reason = target.world.observer.outcomes.back().reason;
    EXPECT_NE(reason.find("east:former"), std::string::npos) << reason;
  }
  // Store and site may have other names where each side has a configuration of its own.
  Target target;
  target.Stage(Archive(std::nullopt, {testing::Put("a", "this rule's")}, ArchiveKind::kBundle,
                       128 << 10, "near:in/in/"));
  EXPECT_EQ(target.Apply().parked_archives, 0);
  EXPECT_EQ(target.changed, Keys{"out/copy/a"});
}

// A stamp from the future would keep every later change away until its time has come.
TEST(ForgeryTest, AStampFromTheFutureWaitsForItsTime) {
  Target target;
  const SystemTime now = target.world.world.clock.Now();
  std::vector<testing::ArchiveItem> items = {testing::Put("ahead", "by two hours"),
                                             testing::Put("skewed", "by some minutes")};
  items[0].entry.stamp = now + 2h;
  items[1].entry.stamp = now + 10min;
  target.Stage(Archive(std::nullopt, items));
  EXPECT_EQ(target.Apply().parked_archives, 1);
  EXPECT_EQ(target.changed, Keys{"out/copy/skewed"});
  target.world.RunFor(90min);
  EXPECT_EQ(target.Apply().parked_archives, 0);
  EXPECT_TRUE(target.world.Replicas().contains("copy/ahead"));
}

// A part of no bytes, or parts that are less than the object: the process would end by a division,
// or a piece of the object would be taken for all of it, for ever.
TEST(ForgeryTest, PartSizesThatDoNotAddUpAreNotUsed) {
  const std::string text = testing::Lines(300'000, 5);
  for (const char* parts : {"0", "100000", "100000+0+200000", "100000x4"}) {
    testing::ArchiveItem item = testing::Put("large", text);
    item.entry.etag = "9bb58f26192e4ba00f01e2e7b136bbd8-1";
    item.entry.part_sizes = {300'000};
    const Forger forger(Archive(std::nullopt, {item}, ArchiveKind::kSingle));
    boost::json::value index = forger.index();
    boost::json::object& columns = index.as_object()["columns"].as_object();
    ASSERT_TRUE(columns.contains("parts"));
    columns["parts"] = parts;
    Target target;
    target.Stage(forger.With(index));
    target.Apply();
    const auto* there = target.world.target().backend->Find("out", "copy/large");
    ASSERT_NE(there, nullptr) << parts;
    EXPECT_EQ(*there->bytes, text) << parts;
  }
}

}  // namespace
}  // namespace longhaul
