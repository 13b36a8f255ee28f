#include "transfer/tree/decide.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

SystemTime At(int64_t seconds) { return SystemTime(std::chrono::seconds(1'700'000'000 + seconds)); }

ListedObject Object(uint64_t size_bytes, int64_t seconds) {
  ListedObject object;
  object.key = "k";
  object.size_bytes = size_bytes;
  object.last_modified = At(seconds);
  return object;
}

Decision DecideOn(const ListedObject& source, const ListedObject& target,
                  const CompareRules& rules = {}) {
  return Decide(source, &target, rules);
}

TEST(Decide, CopiesWhatIsNotThere) {
  EXPECT_EQ(Decide(Object(1, 0), nullptr, {}), (Decision{SyncVerdict::kCopy, reason::kNew}));
}

// A copy is always newer than its source: that alone is no reason to copy it again.
TEST(Decide, SizeAndAnOlderSourceAreTheSame) {
  EXPECT_EQ(DecideOn(Object(1, 0), Object(1, 5)), (Decision{SyncVerdict::kSkip, reason::kSame}));
  EXPECT_EQ(DecideOn(Object(1, 5), Object(1, 5)), (Decision{SyncVerdict::kSkip, reason::kSame}));
}

TEST(Decide, ANewerSourceOrAnotherSizeIsCopied) {
  EXPECT_EQ(DecideOn(Object(1, 6), Object(1, 5)),
            (Decision{SyncVerdict::kCopy, reason::kSourceNewer}));
  EXPECT_EQ(DecideOn(Object(2, 0), Object(1, 5)),
            (Decision{SyncVerdict::kCopy, reason::kSizeDiffers}));
}

// Nobody says when it was modified: neither older than all nor newer.
TEST(Decide, WhatHasNoTimeIsLookedAt) {
  ListedObject none = Object(1, 0);
  none.last_modified = {};
  const Decision look{SyncVerdict::kLook, reason::kTimeUnknown};
  EXPECT_EQ(DecideOn(none, Object(1, 5)), look);
  EXPECT_EQ(DecideOn(Object(1, 5), none), look);
  EXPECT_EQ(DecideOn(none, Object(2, 5)).verdict, SyncVerdict::kCopy);
  EXPECT_EQ(DecideOn(none, Object(1, 5), {.size_only = true}).verdict, SyncVerdict::kSkip);
  // --update must not replace what may be newer.
  const Decision unknown{SyncVerdict::kSkip, reason::kTimeUnknown};
  EXPECT_EQ(DecideOn(none, Object(2, 5), {.update = true}), unknown);
  EXPECT_EQ(DecideOn(Object(2, 5), none, {.update = true}), unknown);
}

TEST(Decide, EachRule) {
  EXPECT_EQ(DecideOn(Object(1, 6), Object(1, 5), {.size_only = true}).verdict, SyncVerdict::kSkip);
  EXPECT_EQ(DecideOn(Object(2, 6), Object(1, 5), {.size_only = true}).verdict, SyncVerdict::kCopy);
  EXPECT_EQ(DecideOn(Object(1, 6), Object(1, 5), {.checksum = true}).verdict, SyncVerdict::kLook);
  EXPECT_EQ(DecideOn(Object(2, 6), Object(1, 5), {.checksum = true}).verdict, SyncVerdict::kCopy);
  EXPECT_EQ(DecideOn(Object(1, 0), Object(1, 5), {.ignore_times = true}).verdict,
            SyncVerdict::kCopy);
  EXPECT_EQ(DecideOn(Object(2, 9), Object(1, 5), {.ignore_existing = true}).verdict,
            SyncVerdict::kSkip);
  EXPECT_EQ(Decide(Object(2, 9), nullptr, {.ignore_existing = true}).verdict, SyncVerdict::kCopy);
  EXPECT_EQ(DecideOn(Object(2, 0), Object(1, 5), {.update = true}),
            (Decision{SyncVerdict::kSkip, reason::kTargetNewer}));
  EXPECT_EQ(DecideOn(Object(2, 9), Object(1, 5), {.update = true}).verdict, SyncVerdict::kCopy);
}

// --immutable must not replace anything, and must say so.
TEST(Decide, ImmutableRefusesWhatDiffers) {
  EXPECT_EQ(DecideOn(Object(2, 0), Object(1, 5), {.immutable = true}).verdict,
            SyncVerdict::kRefused);
  EXPECT_EQ(DecideOn(Object(1, 6), Object(1, 5), {.immutable = true}).verdict,
            SyncVerdict::kRefused);
  EXPECT_EQ(DecideOn(Object(1, 0), Object(1, 5), {.immutable = true}).verdict, SyncVerdict::kSkip);
  EXPECT_EQ(Decide(Object(1, 0), nullptr, {.immutable = true}).verdict, SyncVerdict::kCopy);
}

TEST(Decide, TimesWithinTheWindowAreTheSame) {
  const CompareRules rules{.window = std::chrono::seconds(2)};
  EXPECT_EQ(DecideOn(Object(1, 7), Object(1, 5), rules).verdict, SyncVerdict::kSkip);
  EXPECT_EQ(DecideOn(Object(1, 8), Object(1, 5), rules).verdict, SyncVerdict::kCopy);
}

// A restore must not take what was written later for the better copy.
TEST(Decide, ThePastIsComparedByEtags) {
  ListedObject then = Object(1, 0);
  ListedObject now = Object(1, 5);
  then.etag = "a";
  now.etag = "b";
  EXPECT_EQ(DecideOn(then, now, {.past = true}),
            (Decision{SyncVerdict::kCopy, reason::kEtagDiffers}));
  now.etag = "a";
  EXPECT_EQ(DecideOn(then, now, {.past = true}).verdict, SyncVerdict::kSkip);
  then.etag = now.etag = "";
  EXPECT_EQ(DecideOn(then, now, {.past = true}).verdict, SyncVerdict::kCopy);
}

// What cannot be compared is copied: one copy too many, never a change that was missed.
TEST(Decide, UnknownBytesAreCopied) {
  EXPECT_EQ(DecideByBytes(false, false, {}).verdict, SyncVerdict::kCopy);
  EXPECT_EQ(DecideByBytes(true, false, {}).verdict, SyncVerdict::kCopy);
  EXPECT_EQ(DecideByBytes(true, true, {}).verdict, SyncVerdict::kSkip);
  EXPECT_EQ(DecideByBytes(true, false, {.immutable = true}).verdict, SyncVerdict::kRefused);
}

// An object that changed while it was copied has a copy that is newer than it: by its time alone it
// would stay behind for ever.
TEST(Decide, EtagsGoBeforeTimes) {
  const CompareRules rules{.etags = true};
  ListedObject source = Object(1, 6);
  ListedObject target = Object(1, 5);
  source.etag = target.etag = "d41d8cd98f00b204e9800998ecf8427e";
  EXPECT_EQ(DecideOn(source, target, rules), (Decision{SyncVerdict::kSkip, reason::kSameBytes}));
  target.etag = "00000000000000000000000000000000";
  EXPECT_EQ(DecideOn(source, target, rules).verdict, SyncVerdict::kCopy);
  target.last_modified = At(7);
  EXPECT_EQ(DecideOn(source, target, rules), (Decision{SyncVerdict::kLook, reason::kEtagDiffers}));
  target.etag = "00000000000000000000000000000000-2";  // Of parts: it tells nothing.
  EXPECT_EQ(DecideOn(source, target, rules), (Decision{SyncVerdict::kSkip, reason::kSame}));
  EXPECT_EQ(DecideOn(source, target, {.size_only = true, .etags = true}).reason, reason::kSameSize);
}

// An upload in parts that began before the object was copied, and ended after it, is dated by its
// beginning: the target would keep the older object for ever.
TEST(Decide, WhatCameInPartsMayBeNewerThanItsTime) {
  ListedObject source = Object(1, 0);
  ListedObject target = Object(1, 5);
  source.etag = "00000000000000000000000000000000-3";
  for (const char* etag : {"11111111111111111111111111111111-3", "11111111111111111111111111111111",
                           "11111111111111111111111111111111-2"}) {
    target.etag = etag;
    EXPECT_EQ(DecideOn(source, target), (Decision{SyncVerdict::kLook, reason::kEtagDiffers}));
  }
  EXPECT_EQ(DecideOn(source, target, {.size_only = true}).verdict, SyncVerdict::kSkip);
  EXPECT_EQ(DecideOn(source, target, {.update = true}).verdict, SyncVerdict::kSkip);
  // An upload of a week that ends after its copy was made is none.
  target.etag = "11111111111111111111111111111111-3";
  target.last_modified = At(7 * 24 * 3600);
  EXPECT_EQ(DecideOn(source, target), (Decision{SyncVerdict::kSkip, reason::kSame}));
  target.last_modified = At(5);
  // Where nothing tells: a file has the time of its source, not that of the copy.
  for (const char* etag : {"00000000000000000000000000000000-3", "", "file.1.0.0.7"}) {
    target.etag = etag;
    EXPECT_EQ(DecideOn(source, target), (Decision{SyncVerdict::kSkip, reason::kSame})) << etag;
  }
}

// What was copied by a plan, or by the name, has the time that a HEAD tells.
TEST(Decide, AFileMayHaveWholeSeconds) {
  ListedObject source = Object(1, 5);
  source.last_modified += std::chrono::milliseconds(512);
  ListedObject target = Object(1, 5);
  EXPECT_EQ(DecideOn(source, target).verdict, SyncVerdict::kCopy);
  target.etag = "file.1.0.0.7";
  EXPECT_EQ(DecideOn(source, target), (Decision{SyncVerdict::kSkip, reason::kSame}));
  target.last_modified += std::chrono::milliseconds(100);
  EXPECT_EQ(DecideOn(source, target).verdict, SyncVerdict::kCopy);
  target.last_modified = At(4);
  EXPECT_EQ(DecideOn(source, target).verdict, SyncVerdict::kCopy);
}

}  // namespace
}  // namespace longhaul
