#include "transfer/tree/plan_file.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

PlanHead Head() {
  return {.source = "s3://a/x/",
          .target = "west:b/",
          .backup = "west:old/",
          .arguments = {"--source-region", "eu-west-1"},
          .made = "2026-03-01T09:30:00Z",
          .source_place = "s3 aws",
          .target_place = "folder /x\xff/b/",
          .backup_place = "folder /x/old/"};
}

PlanStep Copy(std::string name, std::optional<std::string> there = std::nullopt) {
  return {.name = std::move(name),
          .size_bytes = 7,
          .etag = "\"e\"",
          .target_etag = std::move(there),
          .reason = "new"};
}

PlanStep Removal(std::string name) {
  return {.kind = PlanStep::Kind::kRemove,
          .name = std::move(name),
          .size_bytes = 7,
          .etag = "e",
          .reason = "only at the target"};
}

TEST(Plan, ReadsWhatItWrites) {
  PlanParser parser;
  Result<PlanParser::Line> line = parser.Next(EncodePlan(Head()));
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->head, Head());
  for (const PlanStep& step :
       {Copy("a"), Copy("b\xff\"\\\n", "there"), Copy("c", ""), Removal("d"), Removal("\xfe")}) {
    line = parser.Next(EncodePlan(step));
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_EQ(line->step, step);
  }
  EXPECT_FALSE(parser.Finish());
  const PlanEnd end{.copies = 3, .removals = 2, .failed = 7, .removals_withheld = true};
  line = parser.Next(EncodePlan(end));
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->end, end);
  EXPECT_TRUE(parser.Finish());
  EXPECT_FALSE(parser.Next(EncodePlan(Copy("more"))));
}

// Plans that were made before places were kept can be applied.
TEST(Plan, PlacesMayBeMissing) {
  PlanHead head = Head();
  head.source_place = head.target_place = head.backup_place = "";
  const std::string text = EncodePlan(head);
  EXPECT_FALSE(text.contains("place"));
  Result<PlanParser::Line> line = PlanParser().Next(text);
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->head, head);
}

// Half a plan is another plan.
TEST(Plan, WhatWasCutOrChangedIsRefused) {
  auto refused = [](const std::vector<std::string>& lines) {
    PlanParser parser;
    for (const std::string& line : lines) {
      if (!parser.Next(line)) return true;
    }
    return !parser.Finish();
  };
  const std::string head = EncodePlan(Head());
  const std::string copy = EncodePlan(Copy("a"));
  const std::string end = EncodePlan(PlanEnd{.copies = 1});
  EXPECT_FALSE(refused({head, copy, end}));
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({head, copy}));
  EXPECT_TRUE(refused({head, end}));
  EXPECT_TRUE(refused({copy, end}));
  EXPECT_TRUE(refused({head, copy, copy, end}));
  EXPECT_TRUE(refused(
      {head, EncodePlan(Removal("x")), copy, EncodePlan(PlanEnd{.copies = 1, .removals = 1})}));
  EXPECT_TRUE(refused({head, copy.substr(0, copy.size() - 3), end}));
  EXPECT_TRUE(refused({head, R"({"op":"format","name":"a","size":1,"etag":"","reason":""})", end}));
  EXPECT_TRUE(refused({R"({"longhaul_plan":2})"}));
}

TEST(Plan, ErrorsNameTheLine) {
  PlanParser parser;
  ASSERT_TRUE(parser.Next(EncodePlan(Head())));
  Result<PlanParser::Line> line = parser.Next("{\"op\":\"copy\"}");
  ASSERT_FALSE(line);
  EXPECT_TRUE(line.error().message.starts_with("line 2: ")) << line.error().message;
}

}  // namespace
}  // namespace longhaul
