// Objects that are overwritten while they are copied.

#include <gtest/gtest.h>

#include <set>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/object/copy_object.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

constexpr uint64_t kPinPartBytes = 4 << 10;
constexpr uint64_t kPinObjectBytes = 5 * kPinPartBytes;

// Reads take their time; every third one breaks off, where told.
class SlowReads : public testing::FaultPlan {
 public:
  explicit SlowReads(uint64_t seed) : random_(seed) {}

  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation != StoreOperation::kGet) return fault;
    fault.delay = std::chrono::milliseconds(random_.Below(most_ms));
    if (cuts && random_.Below(3) == 0) fault.cut_body_after_bytes = random_.Below(kPinPartBytes);
    return fault;
  }
  uint64_t most_ms = 60;
  bool cuts = false;

 private:
  SeededRandom random_;
};

// A server that answers with whatever is there, whatever If-Match says.
class DeafStore : public MemoryStore {
 public:
  DeafStore(Runtime runtime, std::shared_ptr<MemoryStoreBackend> backend,
            testing::FaultPlan* faults, bool deaf)
      : MemoryStore(runtime, std::move(backend), faults), deaf_(deaf) {}
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at) override {
    if (deaf_) request.if_match.clear();
    return MemoryStore::Get(std::move(request), absent_at);
  }

 private:
  bool deaf_;
};

struct Tally {
  int copied = 0;
  int gave_up = 0;
  int started_over = 0;
};

class CopyPinTest : public ::testing::Test {
 protected:
  CopyPinTest() {
    testing::MemoryStoreOptions options;
    options.capabilities.part_size_bytes_min = 1;
    backend = std::make_shared<MemoryStoreBackend>(options);
    elsewhere = std::make_shared<MemoryStoreBackend>(options);
    backend->buckets["from"];
    backend->buckets["to"];
    elsewhere->buckets["to"];
  }

  // All bytes of a state are alike, and no two neighbours have the same.
  asio::awaitable<void> Overwrite() {
    MemoryStore store(world.runtime, backend);
    for (int state = 0; !stop; ++state) {
      Result<PutResult> put =
          co_await PutText(store, {.bucket = "from", .key = "k"},
                           std::string(kPinObjectBytes, static_cast<char>('a' + state % 26)));
      EXPECT_TRUE(put);
      co_await world.clock.Sleep(std::chrono::milliseconds(100));
    }
    stopped = true;
  }

  asio::awaitable<void> CopyTwoHundredTimes(bool inside, CopyOptions options, Tally& tally) {
    DeafStore source(world.runtime, backend, &faults, deaf);
    MemoryStore target(world.runtime, inside ? backend : elsewhere);
    Store& to = inside ? static_cast<Store&>(source) : target;
    MemoryStoreBackend& there = inside ? *backend : *elsewhere;
    for (int turn = 0; turn < 200; ++turn) {
      co_await world.clock.Sleep(std::chrono::milliseconds(world.random.Below(100)));
      Result<CopyOutcome> done =
          co_await CopyObject(world.runtime, {.store = source, .bucket = "from", .key = "k"},
                              {.store = to, .bucket = "to", .key = "k"}, options);
      if (done) {
        ++tally.copied;
        if (done->attempts > 1) ++tally.started_over;
      } else {
        EXPECT_TRUE(IsSourceChanged(done.error())) << done.error().Describe();
        ++tally.gave_up;
      }
      const auto* copy = there.Find("to", "k");
      if (copy == nullptr) continue;
      EXPECT_EQ(copy->bytes->size(), kPinObjectBytes);
      // Of one state: all bytes are like the first.
      EXPECT_EQ(copy->bytes->find_first_not_of(copy->bytes->front()), std::string::npos)
          << "torn in turn " << turn;
      EXPECT_TRUE(there.buckets["to"].uploads.empty());
    }
    stop = true;
  }

  Tally Copy(bool inside, CopyOptions options) {
    Tally tally;
    stop = stopped = false;
    world.Start(Overwrite());
    world.Run(CopyTwoHundredTimes(inside, options, tally));
    world.Drive([&] { return stopped; });
    EXPECT_EQ(world.memory.reserved_bytes(), 0);
    EXPECT_EQ(tally.copied + tally.gave_up, 200);
    EXPECT_GT(tally.copied, 0);
    return tally;
  }

  FakeWorld world{7, 64 << 20};
  std::shared_ptr<MemoryStoreBackend> backend;
  std::shared_ptr<MemoryStoreBackend> elsewhere;
  SlowReads faults{3};
  bool deaf = false;
  bool stop = false;
  bool stopped = false;
};

// Parts of two states would be an object that never was.
TEST_F(CopyPinTest, PartsAreOfOneState) {
  Tally tally = Copy(false, {.multipart_threshold_bytes = 1, .part_size_bytes = kPinPartBytes});
  EXPECT_GT(tally.started_over + tally.gave_up, 20);
}

// Some servers answer a ranged GET with whatever is there, whatever If-Match says.
TEST_F(CopyPinTest, PartsAreOfOneStateWhereIfMatchIsIgnored) {
  deaf = true;
  Tally tally = Copy(false, {.multipart_threshold_bytes = 1, .part_size_bytes = kPinPartBytes});
  EXPECT_GT(tally.started_over + tally.gave_up, 20);
}

// A connection that breaks is opened again for the rest: of the same state, or not at all.
TEST_F(CopyPinTest, TheRestOfABodyIsOfTheSameState) {
  faults.cuts = true;
  for (bool ignored : {false, true}) {
    deaf = ignored;
    Tally tally = Copy(false, {});
    EXPECT_GT(tally.started_over + tally.gave_up, 20);
  }
}

// The server copies the parts by itself; one that ignores the condition must not mix them either.
TEST_F(CopyPinTest, PartsCopiedByTheStoreAreOfOneState) {
  backend->options.capabilities.copy_size_bytes_max = kPinPartBytes;
  for (bool ignored : {false, true}) {
    deaf = ignored;
    Tally tally = Copy(true, {});
    EXPECT_GT(tally.started_over + tally.gave_up, 20);
  }
}

// What was planned, or set aside for the object, goes by the state that was listed. A server that
// ignores the condition answers with the next one, in one piece.
TEST_F(CopyPinTest, AnotherStateThanTheListedOneIsNotCopiedWhereIfMatchIsIgnored) {
  FakeWorld small{7, 1 << 20};
  for (size_t size : {size_t{1} << 10, size_t{1} << 19}) {  // Buffered; streamed.
    MemoryStore direct(small.runtime, backend);
    Result<PutResult> listed =
        small.Run(PutText(direct, {.bucket = "from", .key = "k"}, std::string(size, 'a')));
    ASSERT_TRUE(listed);
    ASSERT_TRUE(small.Run(PutText(direct, {.bucket = "from", .key = "k"}, std::string(size, 'b'))));
    DeafStore source(small.runtime, backend, nullptr, true);
    MemoryStore target(small.runtime, elsewhere);
    for (bool alone : {true, false}) {
      Result<CopyOutcome> done = small.Run(
          CopyObject(small.runtime,
                     {.store = source,
                      .bucket = "from",
                      .key = "k",
                      .listed = CopySource::Listed{.size_bytes = size, .etag = listed->etag}},
                     {.store = target, .bucket = "to", .key = "k"}, {.listed_only = alone}));
      EXPECT_EQ(bool(done), !alone) << size;
      if (!done) EXPECT_TRUE(IsSourceChanged(done.error())) << done.error().Describe();
      EXPECT_EQ(elsewhere->Find("to", "k") == nullptr, alone) << size;
    }
    elsewhere->buckets["to"].objects.clear();
  }
}

// One read of a part is answered so.
class GoneOnce : public testing::FaultPlan {
 public:
  explicit GoneOnce(std::string code) : code_(std::move(code)) {}

  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation == StoreOperation::kGet && ++reads_ == 3) fault.error = NotFound("gone", code_);
    return fault;
  }

 private:
  std::string code_;
  int reads_ = 0;
};

// Deleted and written anew while the store copies its parts: in a bucket with versions the part
// between the two finds a delete marker.
TEST_F(CopyPinTest, WhatIsGoneForAPartIsLookedAtAnew) {
  backend->options.capabilities.copy_size_bytes_max = kPinPartBytes;
  MemoryStore direct(world.runtime, backend);
  ASSERT_TRUE(world.Run(
      PutText(direct, {.bucket = "from", .key = "k"}, std::string(kPinObjectBytes, 'a'))));
  for (const char* code : {"NoSuchKey", "DeleteMarker"}) {
    GoneOnce gone(code);
    MemoryStore store(world.runtime, backend, &gone);
    Result<CopyOutcome> done =
        world.Run(CopyObject(world.runtime, {.store = store, .bucket = "from", .key = "k"},
                             {.store = store, .bucket = "to", .key = "k"}, {}));
    ASSERT_TRUE(done) << code << ": " << done.error().Describe();
    EXPECT_EQ(done->attempts, 2);
    EXPECT_TRUE(backend->buckets["to"].uploads.empty());
  }
}

}  // namespace
}  // namespace longhaul
