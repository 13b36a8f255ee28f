#include "cache/decide.h"

#include <gtest/gtest.h>

#include "cache/remove.h"

namespace longhaul::cache {
namespace {

using std::chrono::hours;

const SystemTime kNow = SystemTime(std::chrono::hours(24 * 20'000));

Wish WishOfRun(int64_t run) {
  return {.run = run,
          .session = "mine",
          .source = "b@s",
          .etag = "e1",
          .size_bytes = 3,
          .until = kNow + hours(1)};
}
Entry ReadyBy(int64_t run) {
  return {.source = "b@s", .target_prefix = "", .etag = "e1", .until = kNow + hours(5), .run = run};
}
Entry ClaimOf(int64_t run, std::string session) {
  Entry entry = ReadyBy(run);
  entry.state = EntryState::kCopying;
  entry.session = std::move(session);
  return entry;
}

// What is not there would be called cached.
TEST(CacheDecide, CopiesWhatIsNotThere) {
  EXPECT_EQ(Decide(std::nullopt, WishOfRun(2), false, kNow), Verdict::kCopy);
  Entry failed = ReadyBy(1);
  failed.state = EntryState::kFailed;
  EXPECT_EQ(Decide(failed, WishOfRun(2), false, kNow), Verdict::kCopy);
}

// An old state of the source would be served.
TEST(CacheDecide, CopiesWhatHasChanged) {
  Entry entry = ReadyBy(1);
  EXPECT_EQ(Decide(entry, WishOfRun(2), false, kNow), Verdict::kHit);
  entry.etag = "e0";
  EXPECT_EQ(Decide(entry, WishOfRun(2), false, kNow), Verdict::kCopy);
}

// Headers and metadata that were changed would be those of old for as long as fills come.
TEST(CacheDecide, CopiesWhatWasWrittenLaterWithTheSameBytes) {
  using std::chrono::milliseconds;
  Entry entry = ReadyBy(1);
  Wish wish = WishOfRun(2);
  const auto verdict = [&](milliseconds copied, milliseconds listed) {
    entry.modified = kNow + copied;
    wish.modified = kNow + listed;
    return Decide(entry, wish, false, kNow);
  };
  EXPECT_EQ(verdict(milliseconds(0), milliseconds(1000)), Verdict::kCopy);
  EXPECT_EQ(verdict(milliseconds(200), milliseconds(201)), Verdict::kCopy);
  EXPECT_EQ(verdict(milliseconds(200), milliseconds(200)), Verdict::kHit);
  EXPECT_EQ(verdict(milliseconds(1000), milliseconds(0)), Verdict::kHit);
  // One of the two was told in whole seconds.
  EXPECT_EQ(verdict(milliseconds(0), milliseconds(700)), Verdict::kHit);
  EXPECT_EQ(verdict(milliseconds(700), milliseconds(0)), Verdict::kHit);
  EXPECT_EQ(verdict(milliseconds(700), milliseconds(1000)), Verdict::kCopy);
  // Rows of old tell none: nobody knows which headers the copy has.
  entry.modified = {};
  EXPECT_EQ(Decide(entry, wish, false, kNow), Verdict::kCopy);
  // Nor does a source that tells none say that anything has changed.
  wish.modified = {};
  EXPECT_EQ(Decide(entry, wish, false, kNow), Verdict::kHit);
  entry.modified = kNow;
  EXPECT_EQ(Decide(entry, wish, false, kNow), Verdict::kHit);
  EXPECT_EQ(Extended(entry, wish, kNow).modified, kNow);
}

// A time to live would become shorter.
TEST(CacheDecide, ExtendsAndNeverShortens) {
  EXPECT_EQ(Extended(ReadyBy(1), WishOfRun(2), kNow).until, kNow + hours(5));
  Wish wish = WishOfRun(2);
  wish.until = kNow + hours(9);
  EXPECT_EQ(Extended(ReadyBy(1), wish, kNow).until, kNow + hours(9));
  EXPECT_EQ(Claimed(ReadyBy(1), WishOfRun(2), kNow).until, kNow + hours(5));
}

// Two runs would copy one key, or nobody would copy that of a dead one.
TEST(CacheDecide, LeavesAClaimToItsRunWhileThatLives) {
  EXPECT_EQ(Decide(ClaimOf(1, "other"), WishOfRun(2), true, kNow), Verdict::kWait);
  EXPECT_EQ(Decide(ClaimOf(1, "other"), WishOfRun(2), false, kNow), Verdict::kCopy);
  // Of an earlier session of the same run, and of this very one.
  EXPECT_EQ(Decide(ClaimOf(2, "before"), WishOfRun(2), false, kNow), Verdict::kCopy);
  EXPECT_EQ(Decide(ClaimOf(2, "mine"), WishOfRun(2), false, kNow), Verdict::kCopyOwn);
}

// A forced run would take what was there before it.
TEST(CacheDecide, AForcedRunIsABarrier) {
  Wish wish = WishOfRun(5);
  wish.force = true;
  EXPECT_EQ(Decide(ReadyBy(4), wish, false, kNow), Verdict::kCopy);
  EXPECT_EQ(Decide(ReadyBy(5), wish, false, kNow), Verdict::kHit);
  EXPECT_EQ(Decide(ReadyBy(6), wish, false, kNow), Verdict::kHit);
  // Not beside an earlier copy, which could be the last to arrive.
  EXPECT_EQ(Decide(ClaimOf(4, "other"), wish, true, kNow), Verdict::kWait);
  EXPECT_FALSE(CountsFor(wish, 4));
  EXPECT_TRUE(CountsFor(wish, 6));
}

// What this run may have written over another one's copy would stay.
TEST(CacheDecide, CopiesAgainWhatItWroteWithoutHoldingIt) {
  Wish wish = WishOfRun(2);
  wish.again = true;
  EXPECT_EQ(Decide(ReadyBy(3), wish, false, kNow), Verdict::kCopy);
}

// Keys of two buckets would be mixed up.
TEST(CacheDecide, LeavesTheCopyOfAnotherBucketAlone) {
  Wish wish = WishOfRun(2);
  wish.source = "other@s";
  EXPECT_EQ(Decide(ReadyBy(1), wish, false, kNow), Verdict::kForeign);
  EXPECT_EQ(Decide(ClaimOf(1, "other"), wish, true, kNow), Verdict::kForeign);
  EXPECT_EQ(Decide(ReadyBy(1), wish, false, kNow + hours(6)), Verdict::kCopy);
}

// So would two keys of one bucket that lie behind different prefixes.
TEST(CacheDecide, LeavesTheCopyOfAnotherKeyAlone) {
  Wish wish = WishOfRun(2);
  wish.target_prefix = "p/";
  EXPECT_EQ(Decide(ReadyBy(1), wish, false, kNow), Verdict::kForeign);
  EXPECT_EQ(Decide(ReadyBy(1), wish, false, kNow + hours(6)), Verdict::kCopy);
  EXPECT_EQ(Claimed(ReadyBy(1), wish, kNow).target_prefix, "p/");
}

// A row of old does not tell of which key the copy is: it counts where nothing tells them apart.
TEST(CacheDecide, TakesNoOldRowForThatOfItsKey) {
  Entry entry = ReadyBy(1);
  entry.target_prefix.reset();
  entry.modified = kNow;
  Wish wish = WishOfRun(2);
  wish.modified = kNow + hours(-1);
  EXPECT_EQ(Decide(entry, wish, false, kNow), Verdict::kCopy);
  wish.modified = kNow;
  EXPECT_EQ(Decide(entry, wish, false, kNow), Verdict::kHit);
  EXPECT_EQ(Extended(entry, wish, kNow).target_prefix, "");
}

// A copy that arrived when its run was dead would be nobody's after the next claim of the key.
TEST(CacheDecide, AClaimKeepsInMindWhatTheOneBeforeMayHaveLeft) {
  const Entry dead = Claimed(std::nullopt, WishOfRun(1), kNow);
  EXPECT_EQ(dead.unfinished, SystemTime{});
  Wish wish = WishOfRun(2);
  wish.etag = "e2";
  wish.size_bytes = 9;
  Entry claim = Claimed(dead, wish, kNow + hours(1));
  ObjectInfo object{
      .size_bytes = 3, .etag = "in parts", .last_modified = kNow + std::chrono::minutes(1)};
  EXPECT_TRUE(IsCopyOf(claim, object));
  claim = Claimed(claim, wish, kNow + hours(2));
  EXPECT_TRUE(IsCopyOf(claim, object));
  object.last_modified = kNow - std::chrono::minutes(1);
  EXPECT_FALSE(IsCopyOf(claim, object));
  object.etag = "e1";
  EXPECT_TRUE(IsCopyOf(claim, object));
  // Until there is a copy.
  const Entry filled = Filled(claim, kNow + hours(2));
  EXPECT_EQ(filled.unfinished, SystemTime{});
  EXPECT_EQ(Claimed(filled, wish, kNow + hours(3)).unfinished, SystemTime{});
  Entry invalidated = filled;
  invalidated.state = EntryState::kFailed;
  EXPECT_EQ(Claimed(invalidated, wish, kNow + hours(3)).unfinished, SystemTime{});
}

// Rows would lose what a later version of a run reads.
TEST(CacheEntry, SurvivesItsRow) {
  Entry entry = ClaimOf(7, "session");
  entry.size_bytes = 12;
  entry.cached_etag = "e9";
  entry.used = kNow;
  entry.filled = kNow - hours(1);
  entry.claimed = kNow - hours(2);
  entry.unfinished = kNow - hours(3);
  entry.unfinished_etag = "e8";
  entry.unfinished_size_bytes = 11;
  entry.reason = "why \xff";
  Result<Entry> read = DecodeEntry({.key = "k", .value = EncodeEntry(entry)});
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, entry);
  entry.target_prefix.reset();
  read = DecodeEntry({.key = "k", .value = EncodeEntry(entry)});
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, entry);
  EXPECT_FALSE(DecodeEntry({.key = "k", .value = R"({"state":"odd"})"}));
  EXPECT_FALSE(DecodeEntry({.key = "k", .value = "{"}));
}

}  // namespace
}  // namespace longhaul::cache
