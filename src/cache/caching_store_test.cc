#include "cache/caching_store.h"

#include <gtest/gtest.h>

#include "tests/support/cache_world.h"

namespace longhaul::testing {
namespace {

using namespace std::chrono_literals;
using cache::CachingOptions;
using cache::CachingStore;
using cache::KeyFiller;

// Counts what is written, by request; takes nothing while it is away.
class CountedState : public FakeState {
 public:
  using FakeState::FakeState;
  Async<std::optional<StateRow>> Get(std::string partition, std::string key) override {
    auto row = co_await FakeState::Get(std::move(partition), std::move(key));
    if (hold_reads) {
      ++held;
      co_await release.Wait();
    }
    co_return row;
  }
  Async<int64_t> Write(std::string partition, StateWrite write) override {
    ++writes;
    if (away) co_return Retryable("the state is away");
    if (hold_claims && write.value && write.value->contains("copying")) {
      ++held;
      co_await release.Wait();
    }
    co_return co_await FakeState::Write(std::move(partition), std::move(write));
  }
  Async<int64_t> Add(std::string partition, std::string key, int64_t amount) override {
    if (away) co_return Retryable("the state is away");
    co_return co_await FakeState::Add(std::move(partition), std::move(key), amount);
  }
  Async<std::vector<Result<int64_t>>> WriteMany(std::string partition,
                                                std::vector<StateWrite> all) override {
    ++writes;
    if (away) co_return Retryable("the state is away");
    const bool removal = !all.empty() && all[0].value && all[0].value->contains("removing");
    auto written = co_await FakeState::WriteMany(std::move(partition), std::move(all));
    away = removal && goes_away_at_removals;
    co_return written;
  }
  int writes = 0;
  bool away = false;
  bool goes_away_at_removals = false;
  bool hold_reads = false;   // Until `release`, when they have been made.
  bool hold_claims = false;  // Until `release`, before they are written.
  int held = 0;
  Event release;
};

// Objects that arrive five seconds after they were sent.
class SlowPuts : public FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation == StoreOperation::kPut && left > 0) {
      --left;
      fault.delay = 5s;
    }
    return fault;
  }
  int left = 0;
};

class CachingStoreTest : public ::testing::Test {
 protected:
  void Open(CachingOptions options = {}) {
    filler = std::make_unique<KeyFiller>(
        world.base.runtime, rows, source, target, world.Where(),
        cache::KeyFillerOptions{
            .source_bucket = "data", .ttl = 3600s, .owner = CacheWorld::Elsewhere()});
    ASSERT_TRUE(world.Run(filler->Begin()));
    store = std::make_unique<CachingStore>(world.base.runtime, slow, *filler, options);
  }
  // Another process, which is told what changes at the source.
  void OpenWorker() {
    worker =
        std::make_unique<KeyFiller>(world.base.runtime, rows, source, worker_target, world.Where(),
                                    cache::KeyFillerOptions{.source_bucket = "data",
                                                            .ttl = 3600s,
                                                            .kind = cache::RunKind::kWatch,
                                                            .owner = CacheWorld::Elsewhere()});
    ASSERT_TRUE(world.Run(worker->Begin()));
  }
  ~CachingStoreTest() override {
    if (store) world.base.Run(store->Stop());
    if (worker) EXPECT_TRUE(world.Run(worker->End()));
    if (filler) EXPECT_TRUE(world.Run(filler->End()));
  }
  std::string Read(const std::string& key, std::optional<ByteRange> range = {}) {
    Result<std::string> read =
        world.Run(GetAll(*store, {.bucket = "data", .key = key, .range = range}, 1 << 20));
    EXPECT_TRUE(read) << read.error().Describe();
    return read ? *read : "";
  }
  void PutOfType(const std::string& key, std::string type) {
    PutRequest request{.bucket = "data", .key = key};
    request.headers.content_type = std::move(type);
    ASSERT_TRUE(world.Run(PutText(source, std::move(request), "the same text")));
  }
  std::string TypeOf(const std::string& key) {
    Result<ObjectStream> stream = world.Run(store->Get({.bucket = "data", .key = key}));
    EXPECT_TRUE(stream);
    return stream ? stream->info.headers.content_type : "";
  }
  // Until nothing more is copied, and no row that was read counts.
  void Settle(std::chrono::seconds time = 2s) { EXPECT_TRUE(world.Run(Wait(time))); }
  Async<void> Wait(std::chrono::seconds time) {
    co_await world.base.clock.Sleep(time);
    co_return Ok();
  }
  // By another process.
  asio::awaitable<void> Copy(cache::SourceState state, bool& copied) {
    Result<void> filled = co_await worker->Fill("a", std::move(state));
    copied = filled && world.Entries()["a"].state == cache::EntryState::kReady;
  }
  asio::awaitable<void> ReadInto(std::string& text) {
    Result<std::string> read = co_await GetAll(*store, {.bucket = "data", .key = "a"}, 100);
    if (read) text = *read;
  }
  // Writes "new" through the cache; `meanwhile` when the source is being written.
  Result<void> PutSlowly(std::chrono::nanoseconds delay_max, std::function<void()> meanwhile) {
    world.source_plan.random = &world.base.random;
    world.source_plan.delay_max = delay_max;
    world.source_plan.on_operation = [&](StoreOperation operation, const std::string&) {
      if (operation == StoreOperation::kPut) meanwhile();
    };
    auto put = world.Run(PutText(*store, {.bucket = "data", .key = "a"}, "new"));
    world.source_plan.on_operation = {};
    if (!put) return put.error();
    return Ok();
  }
  // During a write.
  asio::awaitable<void> ReadAndWatch(std::string& text, int looks) {
    co_await world.base.clock.Sleep(1ms);  // The write has got its delay.
    world.source_plan.delay_max = 0ms;
    co_await ReadInto(text);
    for (int i = 0; i < looks; ++i) {
      co_await world.base.clock.Sleep(100ms);
      const auto entries = world.Entries();
      const auto row = entries.find("a");
      const bool copied = row != entries.end() && row->second.state == cache::EntryState::kReady;
      copies_while_written += copied ? 1 : 0;
    }
  }
  asio::awaitable<void> CopyAndGoAway(cache::SourceState state, bool& copied) {
    co_await Copy(std::move(state), copied);
    rows.away = true;
  }
  asio::awaitable<void> Follow(std::string key, bool& followed) {
    Result<void> done = co_await filler->Follow(std::move(key), true);
    followed = done.has_value();
  }
  // What lies there, and what its row says of it.
  void ExpectReady(const std::string& key, const std::string& text) {
    const auto* copy = world.target->Find("cache", key);
    ASSERT_NE(copy, nullptr);
    EXPECT_EQ(*copy->bytes, text);
    const cache::Entry entry = world.Entries()[key];
    EXPECT_EQ(entry.state, cache::EntryState::kReady);
    EXPECT_EQ(entry.cached_etag, copy->info.etag);
    EXPECT_EQ(entry.etag, world.source->Find("data", key)->info.etag);
    EXPECT_EQ(world.CountedBytes(), static_cast<int64_t>(text.size()));
  }
  int SourceReads() { return world.source->count(StoreOperation::kGet); }

  CacheWorld world;
  CountedState rows{world.base.runtime, world.state};
  MemoryStore source{world.base.runtime, world.source};
  MemoryStore slow{world.base.runtime, world.source, &world.source_plan};
  SlowPuts slow_puts;
  MemoryStore target{world.base.runtime, world.target, &slow_puts};
  MemoryStore worker_target{world.base.runtime, world.target};
  std::unique_ptr<KeyFiller> filler;
  std::unique_ptr<KeyFiller> worker;
  std::unique_ptr<CachingStore> store;
  int copies_while_written = 0;
};

// The source would be asked each time, which is what a cache is there to save.
TEST_F(CachingStoreTest, AMissFillsTheCacheAndTheNextIsAHit) {
  world.Put("a", "some text");
  Open();
  EXPECT_EQ(Read("a"), "some text");
  Settle();
  EXPECT_TRUE(world.Has("a"));
  const int reads = SourceReads();
  EXPECT_EQ(Read("a"), "some text");
  EXPECT_EQ(Read("a", ByteRange{5, 4}), "text");
  EXPECT_EQ(SourceReads(), reads);
  EXPECT_EQ(store->counts().hits, 2);
  Result<ObjectInfo> head = world.Run(store->Head({.bucket = "data", .key = "a"}));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->etag, world.source->Find("data", "a")->info.etag);
}

// A copy that is older than its source would be served although that was ruled out.
TEST_F(CachingStoreTest, StrictNeverServesAnOldObject) {
  world.Put("a", "old");
  Open({.strict = true});
  Read("a");
  Settle();
  EXPECT_EQ(Read("a"), "old");
  EXPECT_EQ(store->counts().hits, 1);
  world.Put("a", "new");
  EXPECT_EQ(Read("a"), "new");
}

// The bytes are the same, so is the ETag; what they are to be taken for is not.
TEST_F(CachingStoreTest, StrictNeverServesOldHeaders) {
  PutOfType("a", "text/plain");
  Open({.strict = true});
  Read("a");
  Settle();
  EXPECT_EQ(TypeOf("a"), "text/plain");
  EXPECT_EQ(store->counts().hits, 1);
  PutOfType("a", "text/html");
  EXPECT_EQ(TypeOf("a"), "text/html");
  Settle();
  const int reads = SourceReads();
  EXPECT_EQ(TypeOf("a"), "text/html");
  EXPECT_EQ(SourceReads(), reads) << "the copy was not made anew";
}

// Nobody would know of which time its headers are, and it would keep them while it lives.
TEST_F(CachingStoreTest, StrictNeverServesOldHeadersOfWhatChangedBeforeItWasCopied) {
  world.Put("a", "what was seen");
  const ObjectInfo seen = world.source->Find("data", "a")->info;
  PutOfType("a", "text/plain");
  Open({.strict = true});
  ASSERT_TRUE(world.Run(filler->Fill(
      "a", {.etag = seen.etag, .size_bytes = seen.size_bytes, .modified = seen.last_modified})));
  EXPECT_EQ(TypeOf("a"), "text/plain");
  EXPECT_EQ(store->counts().hits, 1);
  Settle();
  PutOfType("a", "text/html");
  EXPECT_EQ(TypeOf("a"), "text/html");
}

// Whatever lies there would be taken for the source's object.
TEST_F(CachingStoreTest, ServesTheSourceWhereTheCopyIsGoneOrAnotherObject) {
  world.Put("a", "text");
  world.Put("b", "text of b");
  Open();
  Read("a");
  Read("b");
  Settle();
  world.PutByHand("a", "by hand");
  ASSERT_TRUE(world.Run(target.Remove({.bucket = "cache", .key = "b"})));
  EXPECT_EQ(Read("a"), "text");
  EXPECT_EQ(Read("b"), "text of b");
  Settle();
  EXPECT_EQ(*world.target->Find("cache", "a")->bytes, "text");
}

// An old object would be served after a write that was answered with OK.
TEST_F(CachingStoreTest, AWriteIsReadAtOnce) {
  world.Put("a", "old");
  Open({.writes = true});
  Read("a");
  Settle();
  EXPECT_EQ(Read("a"), "old");
  ASSERT_TRUE(world.Run(PutText(*store, {.bucket = "data", .key = "a"}, "new")));
  EXPECT_EQ(Read("a"), "new");
  ASSERT_TRUE(world.Run(store->Remove({.bucket = "data", .key = "a"})));
  Result<ObjectStream> gone = world.Run(store->Get({.bucket = "data", .key = "a"}));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, "NoSuchKey");
}

// A copy within the bucket, made by part, would be of an older state than its source, for good.
TEST_F(CachingStoreTest, TheOriginIsTheSource) {
  world.Put("a", "old");
  world.source->buckets["other"];
  Open({.writes = true});
  Read("a");
  Settle();
  world.Put("a", "newer");
  EXPECT_EQ(Read("a"), "old");
  Result<ObjectInfo> info = world.Run(HeadOrigin(*store, {.bucket = "data", .key = "a"}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->etag, world.source->Find("data", "a")->info.etag);
  Result<ObjectStream> stream = world.Run(
      GetOrigin(*store, {.bucket = "data", .key = "a", .range = ByteRange{1, UINT64_MAX - 1}}));
  ASSERT_TRUE(stream);
  EXPECT_EQ(*world.Run(ReadAll(*stream->body, 100)), "ewer");
  for (const Error& error :
       {world.Run(HeadOrigin(*store, {.bucket = "other", .key = "a"})).error(),
        world.Run(GetOrigin(*store, {.bucket = "other", .key = "a"})).error()}) {
    EXPECT_EQ(error.code, "NoSuchBucket");
  }
}

// A reader that comes while the write is under way has the old state copied once more.
TEST_F(CachingStoreTest, AWriteIsReadAlsoWhenTheOldStateIsCopiedMeanwhile) {
  world.Put("a", "old");
  Open({.writes = true});
  OpenWorker();
  const auto* old = world.source->Find("data", "a");
  const cache::SourceState state{.etag = old->info.etag, .size_bytes = 3};
  bool copied = false;
  ASSERT_TRUE(PutSlowly(2s, [&] { world.base.Start(Copy(state, copied)); }));
  ASSERT_TRUE(copied);  // Else this test shows nothing.
  EXPECT_EQ(Read("a"), "new");
}

// Were the process killed then, that copy would be served for a whole TTL.
TEST_F(CachingStoreTest, NothingIsCopiedWhileItIsWritten) {
  world.Put("a", "old");
  Open({.writes = true});
  Read("a");
  Settle();
  std::string read;
  ASSERT_TRUE(PutSlowly(60s, [&] { world.base.Start(ReadAndWatch(read, 20)); }));
  EXPECT_EQ(read, "old");
  EXPECT_EQ(copies_while_written, 0);
  EXPECT_EQ(Read("a"), "new");
  Settle();
  EXPECT_EQ(*world.target->Find("cache", "a")->bytes, "new");
}

// Its claim is broken, and it must not claim the key again while that is being written.
TEST_F(CachingStoreTest, AFillThatIsUnderWayCopiesNothingThatIsBeingWritten) {
  world.Put("a", "old");
  Open({.writes = true});
  slow_puts.left = 1;
  Read("a");
  Settle(1s);
  ASSERT_EQ(world.Entries()["a"].state, cache::EntryState::kCopying);
  std::string read;
  ASSERT_TRUE(PutSlowly(60s, [&] { world.base.Start(ReadAndWatch(read, 100)); }));
  EXPECT_EQ(read, "old");
  EXPECT_EQ(copies_while_written, 0);
  EXPECT_EQ(Read("a"), "new");
  Settle();
  EXPECT_EQ(*world.target->Find("cache", "a")->bytes, "new");
}

// The write has looked for claims before this one was there.
TEST_F(CachingStoreTest, AClaimThatAWriteDidNotSeeIsGivenBack) {
  world.Put("a", "old");
  Open({.writes = true});
  rows.hold_claims = true;
  Read("a");
  world.base.Drive([&] { return rows.held == 1; });
  rows.hold_claims = false;
  std::string read;
  ASSERT_TRUE(PutSlowly(60s, [&] {
    rows.release.Set();
    world.base.Start(ReadAndWatch(read, 20));
  }));
  EXPECT_EQ(read, "old");
  EXPECT_EQ(copies_while_written, 0);
  EXPECT_EQ(world.target->Find("cache", "a"), nullptr);
  EXPECT_EQ(world.CountedBytes(), 0);
  EXPECT_EQ(Read("a"), "new");
}

// The write is done, and whoever asked for it has been told that State did not hear of it.
TEST_F(CachingStoreTest, AWriteThatStateDidNotHearOfIsToldLater) {
  world.Put("a", "old");
  Open({.writes = true});
  OpenWorker();
  const auto* old = world.source->Find("data", "a");
  const cache::SourceState state{.etag = old->info.etag, .size_bytes = 3};
  bool copied = false;
  EXPECT_FALSE(PutSlowly(2s, [&] {
    // Another process copies the old state; then State is away.
    world.base.Start(CopyAndGoAway(state, copied));
  }));
  ASSERT_TRUE(copied);
  EXPECT_EQ(Read("a"), "new") << "by this process no copy of it is served";
  rows.away = false;
  Settle(20s);
  EXPECT_NE(world.Entries()["a"].etag, old->info.etag);
  EXPECT_EQ(Read("a"), "new");
}

// A row that was asked for before the write, and comes after it.
TEST_F(CachingStoreTest, ARowThatWasReadBeforeAWriteIsNotKept) {
  world.Put("a", "old");
  Open({.writes = true});
  Read("a");
  Settle();
  ASSERT_EQ(Read("a"), "old");
  Settle();
  std::string first;
  rows.hold_reads = true;
  world.base.Start(ReadInto(first));
  world.base.Drive([&] { return rows.held == 1; });
  rows.hold_reads = false;
  ASSERT_TRUE(world.Run(PutText(*store, {.bucket = "data", .key = "a"}, "new")));
  rows.release.Set();
  world.base.Drive([&] { return !first.empty(); });
  EXPECT_EQ(Read("a"), "new");
}

// Whoever writes on a condition that the source ignores would be told that it held.
TEST_F(CachingStoreTest, ConditionsThatNobodyHasProvenAreNotPromised) {
  Open({.writes = true});
  EXPECT_TRUE(store->capabilities().replace_if_match);
  world.source->options.capabilities.conditions_proven = false;
  const Capabilities can = store->capabilities();
  EXPECT_FALSE(can.create_if_absent || can.replace_if_match || can.complete_if_absent ||
               can.complete_if_match || can.delete_if_match);
}

// Who may only read would write to the source.
TEST_F(CachingStoreTest, RefusesWritesAndOtherBuckets) {
  world.source->buckets["other"];
  Open();
  EXPECT_EQ(world.Run(PutText(*store, {.bucket = "data", .key = "a"}, "x")).error().kind,
            ErrorKind::kDenied);
  EXPECT_EQ(world.Run(store->Remove({.bucket = "data", .key = "a"})).error().kind,
            ErrorKind::kDenied);
  EXPECT_EQ(world.Run(store->CreateMultipart({.bucket = "data", .key = "a"})).error().kind,
            ErrorKind::kDenied);
  EXPECT_EQ(world.Run(store->List({.bucket = "other"})).error().code, "NoSuchBucket");
}

// A write for each hit costs more than the hit, where State is a table in a cloud.
TEST_F(CachingStoreTest, ReadsOfManyCopiesAreWrittenTogether) {
  constexpr int kCopies = 60;
  Open();
  for (int i = 0; i < kCopies; ++i) world.Put(std::to_string(i), "text");
  for (int i = 0; i < kCopies; ++i) Read(std::to_string(i));
  Settle();
  world.Pass(2min);
  Settle();
  const SystemTime before = world.base.clock.Now();
  const int writes = rows.writes;
  for (int i = 0; i < kCopies; ++i) Read(std::to_string(i));
  ASSERT_EQ(store->counts().hits, kCopies);
  for (int i = 0; i < 4; ++i) Settle();
  EXPECT_LE(rows.writes - writes, 4);  // The run's own row is among them.
  for (const auto& [key, entry] : world.Entries()) EXPECT_GE(entry.used, before) << key;
  // Within a minute they are not written again.
  const SystemTime used = world.Entries()["7"].used;
  Read("7");
  for (int i = 0; i < 4; ++i) Settle();
  EXPECT_EQ(world.Entries()["7"].used, used);
}

// What readers use right now would go, and what nobody has read for long would stay.
TEST_F(CachingStoreTest, WhatWasReadAMomentAgoStaysWhenRoomIsMade) {
  ASSERT_TRUE(world.Run(cache::SetBudget(rows, world.Where(), 8)));
  Open();
  for (const char* key : {"a", "b", "c"}) world.Put(key, "text");
  Read("a");
  Settle();
  Read("b");
  Settle();
  world.Pass(2min);
  Settle();
  Read("a");
  Read("c");
  Settle();
  EXPECT_TRUE(world.Has("a"));
  EXPECT_FALSE(world.Has("b"));
  EXPECT_TRUE(world.Has("c"));
}

// It would go on filling a cache over the limit that was set meanwhile, and what a fill makes room
// for would come back.
TEST_F(CachingStoreTest, ABudgetThatIsSetMeanwhileIsKept) {
  Open();
  ASSERT_TRUE(world.Run(cache::SetBudget(rows, world.Where(), 8)));
  Settle(6s);
  for (const char* key : {"a", "b", "c"}) {
    world.Put(key, "text");
    Read(key);
    Settle();
  }
  EXPECT_EQ(world.CountedBytes(), 8);
  EXPECT_EQ(world.target->Keys("cache"), (std::vector<std::string>{"b", "c"}));
  ASSERT_TRUE(world.Run(cache::SetBudget(rows, world.Where(), 0)));
  Settle(6s);
  Read("a");
  Settle();
  EXPECT_EQ(world.CountedBytes(), 12);
}

// Whoever wants what was being removed would wait for it for as long as the process lives.
TEST_F(CachingStoreTest, WhatItHadClaimedBeforeStateWasAwayIsFree) {
  ASSERT_TRUE(world.Run(cache::SetBudget(rows, world.Where(), 8)));
  Open();
  for (const char* key : {"a", "b", "c"}) world.Put(key, "text");
  for (const char* key : {"a", "b"}) {
    Read(key);
    Settle();
  }
  rows.goes_away_at_removals = true;
  Read("c");
  Settle(40s);
  ASSERT_TRUE(rows.away);
  ASSERT_EQ(world.Entries()["a"].state, cache::EntryState::kRemoving);
  rows.away = rows.goes_away_at_removals = false;
  Settle(15s);
  CacheWorld::Process& fill = world.StartFill({"a"});
  ASSERT_TRUE(world.Drive([&] { return fill.filled.has_value(); })) << "it waits for ever";
  EXPECT_TRUE(*fill.filled);
  EXPECT_TRUE(world.Has("a"));
  EXPECT_EQ(world.Entries()["a"].state, cache::EntryState::kReady);
  // And the process itself works on.
  Read("c");
  Settle(15s);
  EXPECT_TRUE(world.Has("c"));
}

// A copy would come back to life with a row of before: one that was removed, or whose source has
// changed; and what others have set meanwhile would be lost.
TEST_F(CachingStoreTest, AReadThatIsWrittenLaterSetsNothingBack) {
  Open();
  for (const char* key : {"a", "b", "c", "d"}) world.Put(key, "text");
  for (const char* key : {"a", "b", "c", "d"}) Read(key);
  Settle();
  world.Pass(2min);
  Settle();
  for (const char* key : {"a", "b", "c", "d"}) Read(key);
  world.Evict("a");
  ASSERT_TRUE(world.Run(filler->Invalidate("b")));
  world.Pin("c", true);
  world.ttl = 7200s;
  world.Fill({"d"});
  const std::map<std::string, cache::Entry> before = world.Entries();
  for (int i = 0; i < 4; ++i) Settle();
  const std::map<std::string, cache::Entry> after = world.Entries();
  EXPECT_FALSE(after.contains("a"));
  EXPECT_EQ(after.at("b"), before.at("b"));
  EXPECT_TRUE(after.at("c").pinned);
  EXPECT_GT(after.at("c").used, before.at("c").used);
  EXPECT_EQ(after.at("d"), before.at("d"));
}

// While State is away all reads would be forgotten, and the copies with them.
TEST_F(CachingStoreTest, AReadThatCannotBeWrittenIsWrittenLater) {
  Open();
  world.Put("a", "text");
  Read("a");
  Settle();
  world.Pass(2min);
  Settle();
  const SystemTime before = world.base.clock.Now();
  Read("a");
  world.state->read_only = world.Where().Entries();
  for (int i = 0; i < 4; ++i) Settle();
  EXPECT_LT(world.Entries()["a"].used, before);
  world.state->read_only.clear();
  for (int i = 0; i < 4; ++i) Settle();
  EXPECT_GE(world.Entries()["a"].used, before);
}

// The last reads before an end are the newest that there are.
TEST_F(CachingStoreTest, AnEndWritesWhatWasRead) {
  Open();
  world.Put("a", "text");
  Read("a");
  Settle();
  world.Pass(2min);
  Settle();
  const SystemTime before = world.base.clock.Now();
  Read("a");
  EXPECT_LT(world.Entries()["a"].used, before);
  world.base.Run(store->Stop());
  store.reset();
  ASSERT_TRUE(world.Run(filler->End()));
  filler.reset();
  EXPECT_GE(world.Entries()["a"].used, before);
}

// Events: what changed would be served until its time to live ends.
TEST_F(CachingStoreTest, FollowsTheSource) {
  world.Put("a", "old");
  world.Put("b", "old");
  world.Put("c", "old");
  Open();
  for (const char* key : {"a", "b"}) Read(key);
  Settle();
  world.Put("a", "new");
  world.Put("c", "new");
  ASSERT_TRUE(world.Run(source.Remove({.bucket = "data", .key = "b"})));
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(world.Run(filler->Follow(key, true))) << key;
  EXPECT_EQ(*world.target->Find("cache", "a")->bytes, "new");
  EXPECT_FALSE(world.Has("b"));
  EXPECT_FALSE(world.Has("c"));  // Nobody has asked for it.
  Settle();
  PutOfType("a", "text/plain");
  ASSERT_TRUE(world.Run(filler->Follow("a", true)));
  Settle();
  PutOfType("a", "text/html");
  ASSERT_TRUE(world.Run(filler->Follow("a", true)));
  EXPECT_EQ(world.target->Find("cache", "a")->info.headers.content_type, "text/html");
  world.Put("a", "newer");
  ASSERT_TRUE(world.Run(filler->Follow("a", false)));
  EXPECT_FALSE(world.Has("a"));
  EXPECT_EQ(world.CountedBytes(), 0);
}

// The row would say that the new state lies there, and it is the old one, which arrived later.
TEST_F(CachingStoreTest, WhatArrivesAfterItsClaimWasBrokenIsCopiedAgain) {
  world.Put("a", "old");
  Open();
  OpenWorker();
  slow_puts.left = 1;
  Read("a");
  Settle();
  ASSERT_EQ(world.Entries()["a"].state, cache::EntryState::kCopying);
  world.Put("a", "newer");
  ASSERT_TRUE(world.Run(worker->Follow("a", true)));
  ExpectReady("a", "newer");
  for (int i = 0; i < 4; ++i) Settle();
  ExpectReady("a", "newer");
}

// It would lie there for ever: no row speaks of it.
TEST_F(CachingStoreTest, WhatArrivesAfterItsSourceIsGoneGoes) {
  world.Put("a", "old");
  Open();
  OpenWorker();
  slow_puts.left = 1;
  Read("a");
  Settle();
  ASSERT_EQ(world.Entries()["a"].state, cache::EntryState::kCopying);
  ASSERT_TRUE(world.Run(source.Remove({.bucket = "data", .key = "a"})));
  ASSERT_TRUE(world.Run(worker->Follow("a", true)));
  EXPECT_FALSE(world.Has("a"));
  for (int i = 0; i < 4; ++i) Settle();
  EXPECT_FALSE(world.Has("a"));
  EXPECT_TRUE(world.Entries().empty());
  EXPECT_EQ(world.CountedBytes(), 0);
}

// The same of what a fill has sent.
TEST_F(CachingStoreTest, WhatAFillSendsAfterItsSourceIsGoneGoes) {
  world.Put("a", "old");
  OpenWorker();
  world.target_plan.random = &world.base.random;
  world.target_plan.delay_max = 20s;
  const int puts = world.target->count(StoreOperation::kPut);
  CacheWorld::Process& fill = world.StartFill({""});
  ASSERT_TRUE(world.Drive([&] { return world.target->count(StoreOperation::kPut) > puts; }));
  ASSERT_TRUE(world.Run(source.Remove({.bucket = "data", .key = "a"})));
  ASSERT_TRUE(world.Run(worker->Follow("a", true)));
  ASSERT_TRUE(world.Entries().empty());
  ASSERT_FALSE(world.Has("a"));
  ASSERT_TRUE(world.Drive([&] { return fill.filled.has_value(); }));
  EXPECT_EQ((*fill.filled)->run.counts.gone, 1);
  world.target_plan.delay_max = 0s;
  world.Sweep();
  EXPECT_FALSE(world.Has("a"));
  EXPECT_TRUE(world.Entries().empty());
}

// The sender of the second would be told that all is done, and the state of the first stays.
TEST_F(CachingStoreTest, TwoEventsAtOnceEndWithTheLastState) {
  world.Put("a", "one");
  Open();
  Read("a");
  Settle();
  world.Put("a", "the second");
  slow_puts.left = 1;
  bool followed = false;
  world.base.Start(Follow("a", followed));
  Settle();
  ASSERT_FALSE(followed);
  world.Put("a", "the third one");
  ASSERT_TRUE(world.Run(filler->Follow("a", true)));
  EXPECT_TRUE(followed);
  ExpectReady("a", "the third one");
}

}  // namespace
}  // namespace longhaul::testing
