#include "transfer/listing/split_point.h"

#include <gtest/gtest.h>

#include "transfer/listing/page_check.h"

namespace longhaul {
namespace {

// A server would refuse such a point, or put it where it does not belong.
TEST(SplitPoint, CanBeSentAndSortedByEveryServer) {
  EXPECT_TRUE(IsSendableKey("a b/c~\xC3\xA4\xED\x9F\xBF"));
  EXPECT_FALSE(IsSendableKey("a\x01"));
  EXPECT_FALSE(IsSendableKey("a\x7F"));
  EXPECT_FALSE(IsSendableKey("a\xFF"));
  EXPECT_FALSE(IsSendableKey("a\xC3"));
  EXPECT_FALSE(IsSendableKey("\xEF\xBC\xA1"));      // U+FF21: UTF-16 sorts it behind U+1F600.
  EXPECT_FALSE(IsSendableKey("\xF0\x9F\x98\x80"));  // U+1F600.
}

TEST(SplitPoint, IsAlwaysInside) {
  KeyAlphabet alphabet;
  for (const char* key : {"2026-03-01/a", "9f-zz", "~x", "\xC3\xA4", "a b.c/d"}) {
    alphabet.Learn(key);
  }
  const std::string_view texts[] = {"",    "a",    "a/",   "a.b",       "a/b", "aa",        "a~",
                                    "b",   "b0",   "b00",  "b000",      "b1",  "~",         "~~",
                                    "~~~", "\xFF", "\xC3", "\xC3\xA4x", "a0",  "a\xF0\x9F", "zz"};
  int found = 0;
  for (std::string_view first : texts) {
    for (std::string_view at : texts) {
      for (std::string_view up_to : texts) {
        if (at.empty() || first > at || (!up_to.empty() && up_to <= at)) continue;
        RangeView range{.first = first, .at = at, .up_to = up_to};
        EXPECT_GE(EstimatePages(alphabet, range), 0);
        std::optional<std::string> point = ChooseSplitPoint(alphabet, range);
        if (!point) continue;
        ++found;
        EXPECT_GT(*point, at);
        if (!up_to.empty()) EXPECT_LT(*point, up_to);
        EXPECT_TRUE(IsSendableKey(*point));
      }
    }
  }
  EXPECT_GT(found, 500);
}

// Halving the length of what is shared finds 200 bytes of prefix in a few steps.
TEST(SplitPoint, FindsTheDepthAtWhichKeysDiffer) {
  KeyAlphabet alphabet;
  const std::string common(200, 'p');
  alphabet.Learn(common + "0123456789");
  std::string up_to;
  int steps = 0;
  while (steps < 20) {
    std::optional<std::string> point =
        ChooseSplitPoint(alphabet, {.first = common + "000", .at = common + "019", .up_to = up_to});
    ASSERT_TRUE(point);
    ++steps;
    if (*point < common + "9") break;  // Where keys are.
    up_to = *point;                    // Nothing came back.
  }
  EXPECT_LE(steps, 12);
}

// What lists in no order would else be read round and round until the disk is full.
TEST(PageCheck, TokensThatGoRoundAreFound) {
  for (const int tail : {0, 1, 7, 100}) {
    for (const int circle : {1, 2, 3, 10, 333}) {
      PageCheck pages("list", "", /*sorted=*/false, /*versions=*/false);
      std::string token;
      int page = 0;
      for (bool fine = true; fine && page < 10'000; ++page) {
        ListPage listed;
        listed.objects.push_back({.key = "k"});
        listed.next_token =
            "t" + std::to_string(page < tail ? page : tail + (page - tail) % circle);
        Result<void> checked = pages.Check(listed, token, "");
        fine = checked.has_value();
        if (!fine) EXPECT_EQ(checked.error().kind, ErrorKind::kCorrupt);
        token = listed.next_token;
      }
      EXPECT_GT(page, tail + circle);
      EXPECT_LE(page, 4 * (tail + circle) + 2) << tail << " and " << circle;
    }
  }
  PageCheck pages("list", "", false, false);
  for (int page = 0; page < 10'000; ++page) {
    ListPage listed;
    listed.objects.push_back({.key = "k"});
    listed.next_token = "t" + std::to_string(page);
    ASSERT_TRUE(pages.Check(listed, page == 0 ? "" : "t" + std::to_string(page - 1), ""));
  }
}

// `ls` of one level deletes nothing, but it must end, too.
TEST(PageCheck, FoldersAreChecked) {
  auto check = [](std::vector<std::string> one, std::vector<std::string> two) {
    PageCheck pages("list", "a/", true, false);
    ListPage page{.common_prefixes = std::move(one), .next_token = "1"};
    Result<void> fine = pages.Check(page, "", "");
    if (!fine) return fine;
    page = {.common_prefixes = std::move(two), .next_token = "2"};
    return pages.Check(page, "1", "");
  };
  EXPECT_TRUE(check({"a/b/", "a/c/"}, {"a/d/"}));
  EXPECT_FALSE(check({"a/b/", "a/c/"}, {"a/c/"}));
  EXPECT_FALSE(check({"a/c/", "a/b/"}, {}));
  EXPECT_FALSE(check({"b/"}, {}));
}

// Some servers give all delete markers of a page after all its versions.
TEST(PageCheck, VersionsAreSorted) {
  std::vector<ListedObject> versions(5);
  const char* keys[] = {"a", "a", "b", "a", "b"};
  for (size_t i = 0; i < 5; ++i) {
    versions[i].key = keys[i];
    versions[i].version_id = std::to_string(i);
    versions[i].is_latest = i >= 3;
    versions[i].is_delete_marker = i >= 3;
    versions[i].last_modified = SystemTime(std::chrono::seconds(i == 1 ? 5 : 5 + i));
  }
  SortVersions(versions);
  std::string order;
  for (const ListedObject& version : versions) order += version.version_id;
  EXPECT_EQ(order, "30142");
}

// An upload in parts has the time of its beginning and the place of its end; a mirror that went by
// the times would write the history of a key in another order.
TEST(PageCheck, VersionsOfAKeyKeepTheirOrder) {
  auto sorted = [](std::vector<std::pair<int, bool>> seconds_and_markers) {
    std::vector<ListedObject> versions;
    for (auto [seconds, marker] : seconds_and_markers) {
      versions.push_back({.key = "a",
                          .last_modified = SystemTime(std::chrono::seconds(seconds)),
                          .version_id = std::to_string(versions.size()),
                          .is_latest = versions.empty(),
                          .is_delete_marker = marker});
    }
    SortVersions(versions);
    std::string order;
    for (const ListedObject& version : versions) order += version.version_id;
    return order;
  };
  EXPECT_EQ(sorted({{9, false}, {2, false}, {5, false}}), "012");
  EXPECT_EQ(sorted({{9, false}, {2, false}, {5, true}, {4, false}}), "0123");
  EXPECT_EQ(sorted({{9, false}, {2, false}, {6, false}, {5, true}}), "0312");
}

// versitygw gives the markers first, and only its version ids tell what was before what in a
// second.
TEST(PageCheck, VersionsOfOneSecondAreInTheOrderOfTheirIds) {
  const SystemTime second(std::chrono::seconds(1'700'000'000));
  std::vector<ListedObject> versions;
  for (const char* id : {"01M859187VKKFQV7K2EW6ZZ7YT", "01M859188607WYPTKGH91HNWAN",
                         "01M8591884P6QZWN74Z27NHMEN", "01M859187K8CAGFYG6TC8FVP7V"}) {
    const bool marker = versions.empty();
    versions.push_back({.key = "a",
                        .last_modified = second + std::chrono::milliseconds(marker ? 290 : 0),
                        .version_id = id,
                        .is_latest = versions.size() == 1,
                        .is_delete_marker = marker});
  }
  SortVersions(versions);
  std::string order;
  for (const ListedObject& version : versions) order += version.version_id.substr(8, 2) + " ";
  EXPECT_EQ(order, "86 84 7V 7K ");
}

}  // namespace
}  // namespace longhaul
