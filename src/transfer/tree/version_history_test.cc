#include "transfer/tree/version_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string_view>

namespace longhaul {
namespace {

SystemTime At(int seconds) { return SystemTime(std::chrono::seconds(1'700'000'000 + seconds)); }

// "1a 2- 3b": a version of bytes "a" written at second 1, a delete marker, a version of "b". The id
// of a version is "v" and its second; "1a:id" gives another.
std::vector<ListedObject> History(std::string_view text) {
  std::vector<ListedObject> history;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view entry = text.substr(at, end - at);
    const std::string second(1, entry[0]);
    history.push_back({.key = "k",
                       .size_bytes = 1,
                       .etag = std::string(1, entry[1]),
                       .last_modified = At(std::stoi(second)),
                       .version_id = entry.size() > 3 ? std::string(entry.substr(3)) : "v" + second,
                       .is_latest = end == text.size(),
                       .is_delete_marker = entry[1] == '-'});
    at = end + 1;
  }
  return history;
}

// The copies of a history, made at second 100: what each of `names` (one char of History's seconds,
// or '?' for a copy that names nothing) stands for at the source.
std::vector<TargetVersion> Copies(const std::vector<ListedObject>& of, bool named = true) {
  std::vector<TargetVersion> copies;
  for (const ListedObject& version : of) {
    TargetVersion copy{.listed = version, .origin = VersionOrigin{}};
    copy.listed.last_modified = At(100);
    copy.listed.version_id = "t" + version.version_id;
    if (named) copy.origin = {.id = version.version_id, .time = version.last_modified};
    copies.push_back(std::move(copy));
  }
  return copies;
}

// What is written behind a target that has copies of `target`; "?" and an error's first words.
std::string Missing(std::string_view source, std::string_view target, bool named = true) {
  const std::vector<ListedObject> history = History(source);
  Result<HistoryPlan> plan = PlanHistory(history, Copies(History(target), named));
  if (!plan) return "?";
  EXPECT_FALSE(plan->ask);
  std::string text;
  for (size_t i = plan->from; i < history.size(); ++i) {
    if (!text.empty()) text += ' ';
    text += std::to_string((history[i].last_modified - At(0)) / std::chrono::seconds(1));
    text += history[i].is_delete_marker ? "-" : history[i].etag;
  }
  return text;
}

TEST(VersionHistory, WhatIsBehindTheNewestCopyIsMissing) {
  EXPECT_EQ(Missing("1a 2b 3-", ""), "1a 2b 3-");
  EXPECT_EQ(Missing("1a 2b 3-", "1a"), "2b 3-");
  EXPECT_EQ(Missing("1a 2b 3-", "1a 2b"), "3-");
  EXPECT_EQ(Missing("1a 2b 3-", "1a 2b 3-"), "");
  EXPECT_EQ(Missing("1a 2- 3- 4b", "1a 2-"), "3- 4b");
  EXPECT_EQ(Missing("1- 2a", "1-"), "2a");
}

// minio keeps no second marker, and must not be asked for it with each run.
TEST(VersionHistory, ADeleteOfWhatIsDeletedIsNothingToDo) {
  EXPECT_EQ(Missing("1a 2- 3-", "1a 2-"), "");
  EXPECT_EQ(Missing("1- 2-", "1-"), "");
  EXPECT_EQ(Missing("1- 2- 3a", "1-"), "2- 3a");
  EXPECT_EQ(Missing("1a 2- 3-", "1a"), "2- 3-");
}

// The same bytes again and again: by looks alone the last one would be taken for the first.
TEST(VersionHistory, EqualVersionsAreToldApartByName) {
  EXPECT_EQ(Missing("2a 3a", "1a 2a"), "3a");
  EXPECT_EQ(Missing("1a 2a 3a", "1a 2a"), "3a");
}

// Lifecycle rules take old versions away, at either end; nothing old is written again for it.
TEST(VersionHistory, OldVersionsThatHaveGoneStayGone) {
  EXPECT_EQ(Missing("3c 4d", "1a 2b 3c"), "4d");
  EXPECT_EQ(Missing("1a 2b 3c 4d", "3c"), "4d");
  EXPECT_EQ(Missing("1a 2-", "2-"), "");
  EXPECT_EQ(Missing("5e", "1a 2-"), "5e");
  EXPECT_EQ(Missing("1a 3c 4d", "1a 2b"), "3c 4d");
}

// What is older than the newest copy, and not known to be there, cannot be put before it any more.
TEST(VersionHistory, NothingIsWrittenOutOfOrder) {
  EXPECT_EQ(Missing("1a 4d", "2b 3c"), "?");
  EXPECT_EQ(Missing("1a 2b", "1a 2- 3c"), "?");
}

// The histories of two writers must not be mixed.
TEST(VersionHistory, AForeignVersionIsNotWrittenBehind) {
  EXPECT_EQ(Missing("1a 2b", "1x", false), "?");
  EXPECT_EQ(Missing("1a 2b", "1b", false), "?");
  EXPECT_EQ(Missing("1a", "1a 2x", false), "?");
  EXPECT_EQ(Missing("1a 2b", "1-", false), "?");
  EXPECT_EQ(Missing("1a", "1a 2-"), "?");
  auto target = Copies(History("1a 2x"));
  target.back().origin = VersionOrigin{};
  EXPECT_FALSE(PlanHistory(History("1a 2b"), target));
}

// Copies that somebody else has made, with another tool, count when all of them agree.
TEST(VersionHistory, CopiesWithoutNamesAreTakenByOrderSizeAndEtag) {
  EXPECT_EQ(Missing("1a 2- 3b", "1a 2-", false), "3b");
  EXPECT_EQ(Missing("1a 2- 3b", "1a 2- 3b", false), "");
}

// A bucket whose versioning is suspended writes "null" again and again.
TEST(VersionHistory, NullVersionsAreToldApartByTime) {
  EXPECT_EQ(Missing("1a:null 2b", "1a:null"), "2b");
  EXPECT_EQ(Missing("3a:null", "1a:null"), "3a");
  EXPECT_EQ(Missing("1a 3b:null", "1a 2b:null"), "3b");
  ListedObject unnamed = History("1a").front();
  unnamed.version_id.clear();
  EXPECT_TRUE(OriginOf(OriginMetadata(unnamed)).Names(unnamed));
}

// A second run over a million keys must not ask for each of them; one soon after the first must,
// because the source may have got a version while the first made its copies.
TEST(VersionHistory, NoLookAtWhatHasLongBeenThere) {
  const std::vector<ListedObject> source = History("1a 2b");
  std::vector<TargetVersion> target = Copies(source);
  for (TargetVersion& copy : target) copy.origin.reset();
  Result<HistoryPlan> plan = PlanHistory(source, target);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->ask, 1U);
  target.back().listed.last_modified = At(2) + std::chrono::hours(24);
  plan = PlanHistory(source, target);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->ask);
  EXPECT_EQ(plan->from, 2U);
}

TEST(VersionHistory, MetadataNamesTheOrigin) {
  const ListedObject version = History("1a").front();
  const VersionOrigin origin = OriginOf(OriginMetadata(version));
  EXPECT_TRUE(origin.Names(version));
  EXPECT_EQ(origin.time, version.last_modified);
  EXPECT_TRUE(OriginOf({{kVersionIdEntry, "v1"}}).id.empty());
  EXPECT_TRUE(OriginOf({{kVersionIdEntry, "v1"}, {kVersionTimeEntry, "yesterday"}}).id.empty());
}

}  // namespace
}  // namespace longhaul
