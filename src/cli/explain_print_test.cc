// What `explain` says of each thing that may be known of an object, in words and as JSON.

#include "cli/explain_print.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "cli/run_context.h"
#include "tests/support/test_console.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr char kUlid[] = "01JC5N0XVRKGBGSKP4ZPQE4M7T";

class ExplainPrintTest : public ::testing::Test {
 protected:
  ExplainPrintTest() {
    rule.id = "logs";
    rule.source = {.store = "east", .bucket = "in", .prefix = ""};
    RuleExplanation told{.rule = &rule, .matches = true, .source_key = "k"};
    told.targets.push_back({.name = "west", .address = "west:out/k", .key = "k"});
    explanation.from.push_back(std::move(told));
  }
  TargetExplanation& target() { return explanation.from[0].targets[0]; }
  // Both ways.
  void Print() {
    for (bool json : {false, true}) {
      CommonFlags flags;
      flags.json = json;
      console.out.clear();
      RunContext context(flags, std::nullopt, console);
      PrintExplanation(context, "east:in/k", explanation);
      (json ? events : text) = console.out;
    }
  }
  void ExpectText(const std::string& words) {
    EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
  }
  void ExpectEvent(const std::string& words) {
    EXPECT_NE(events.find(words), std::string::npos) << words << "\n" << events;
  }

  testing::TestConsole console;
  Rule rule;
  Explanation explanation;
  std::string text;
  std::string events;
  SystemTime past = SystemTime(std::chrono::sys_days{std::chrono::year{2026} / 1 / 2});
  SystemTime future = SystemTime(std::chrono::sys_days{std::chrono::year{2199} / 1 / 2});
};

// A program that reads `next_try` must not take the absence of a time for one.
TEST_F(ExplainPrintTest, TheNextTryIsAFieldOnlyWhereItIsKnown) {
  target().next = "wait";
  Print();
  EXPECT_EQ(events.find("next_try"), std::string::npos) << events;
  target().next_try = explanation.next_try = future;
  Print();
  ExpectEvent("\"next\":\"wait\",\"next_try\":\"2199-01-02T00:00:00Z\"}\n{\"event\":\"summary\"");
  EXPECT_TRUE(events.ends_with(",\"next_try\":\"2199-01-02T00:00:00Z\"}\n")) << events;
}

// What may still land explains a write that waits, and what has landed late a replica that changed.
TEST_F(ExplainPrintTest, AFloorTellsItsMarksAndWhatMayLand) {
  Floor floor{.stamp = past, .deleted = true};
  floor.pending = {{.kind = PendingKind::kCreate, .until = future},
                   {.kind = PendingKind::kDelete, .until = past},
                   {.kind = PendingKind::kWrite, .until = future, .stamp = past},
                   {.kind = PendingKind::kCopy, .until = future}};
  floor.kept_marks.push_back(
      {.target_etag = "e1", .mark = {.site = "s1", .stamp = past, .source_etag = "e2"}});
  floor.kept_marks.push_back(
      {.target_etag = "", .mark = {.site = "s1", .stamp = past, .source_etag = "e3"}});
  target().floor = floor;
  Print();
  ExpectText("state    tombstone of 2026-01-02T00:00:00Z: nothing older is written\n");
  ExpectText("state    a create may still land, until 2199-01-02T00:00:00Z\n");
  ExpectText("state    a copy of the object onto itself may still land, until 2199");
  ExpectText("state    a delete could land until 2026-01-02T00:00:00Z, which has passed\n");
  ExpectText(
      "state    a write of the source as of 2026-01-02T00:00:00Z may still land, until 2199");
  ExpectText("kept     mark of the object with ETag e1: by site s1, the source as of 2026");
  ExpectText("kept     mark of a write that may have happened: by site s1");
  ExpectEvent("\"tombstone\":\"2026-01-02T00:00:00Z\",\"create_may_land_until\":\"2199");
  ExpectEvent("\"copy_may_land_until\":\"2199");
  ExpectEvent("\"delete_may_land_until\":\"2026");
  ExpectEvent("\"write_stamp\":\"2026-01-02T00:00:00Z\",\"write_may_land_until\":\"2199");
  ExpectEvent("{\"event\":\"kept_mark\",\"rule\":\"logs\",\"target\":\"west\",\"etag\":\"e1\"");

  target().floor = Floor{.pending = {{.kind = PendingKind::kWrite, .until = future}}};
  Print();
  ExpectText("state    a floor below everything, for what it notes\n");
  ExpectText("state    one of several writes may still land, until 2199");
  EXPECT_EQ(events.find("write_stamp"), std::string::npos) << events;
}

TEST_F(ExplainPrintTest, ReceiptsTellWhatBecameOfTheArchive) {
  LeftReceipt done{.receipt = {.archive = kUlid, .written = past, .entries = 7, .applied = 5}};
  done.receipt.conflicts = 1;
  done.reading = StagedReading{.archive = kUlid, .stamp = past};
  done.archive_there = true;
  done.waits_for = {"north", "south"};
  LeftReceipt corrupt{.receipt = {.state = ArchiveReceipt::State::kCorrupt, .archive = kUlid}};
  corrupt.receipt.reason = "a frame is damaged";
  corrupt.rereads = true;
  target().receipts = {done, corrupt};
  Print();
  ExpectText(std::string("receipt  of archive ") + kUlid +
             ", 2026-01-02T00:00:00Z: done with 7 entries, 5 applied, 1 in conflict; the archive "
             "stays for north, south\n");
  ExpectText(std::string("receipt  of archive ") + kUlid +
             ": it is damaged, a frame is damaged; the source is to read the key anew; the source "
             "has not cleared it away yet\n");
  ExpectEvent(std::string("{\"event\":\"receipt\",\"rule\":\"logs\",\"target\":\"west\","
                          "\"archive\":\"") +
              kUlid +
              "\",\"state\":\"done\",\"written\":\"2026-01-02T00:00:00Z\",\"entries\":7,"
              "\"applied\":5,\"conflicts\":1,\"rereads\":false,\"archive_there\":true,"
              "\"waits_for\":[\"north\",\"south\"],\"stamp\":\"2026-01-02T00:00:00Z\"}\n");
  ExpectEvent("\"state\":\"corrupt\",\"reason\":\"a frame is damaged\"");
  target().receipts = {done};
  target().receipts[0].waits_for.clear();
  Print();
  ExpectText("1 in conflict; the archive is about to go\n");
}

TEST_F(ExplainPrintTest, AGiantTellsItsUploadAndItsSegments) {
  SharedUpload upload{.plan = kUlid, .upload_id = "upload-1", .stored = {true, false, true}};
  upload.touched = past;
  target().giant = GiantTransfer{.plan = kUlid, .upload = upload};
  target().pending.push_back({.archive = kUlid, .stamp = past, .segment = Segment{.count = 3}});
  target().pending[0].segment->number = 1;
  Print();
  ExpectText(std::string("giant    transfer ") + kUlid +
             ": 2 of 3 segments have arrived, the last");
  ExpectText("giant    upload upload-1, swept at the latest at 2026-01-16T00:00:00Z\n");
  ExpectText(std::string("staging  archive ") + kUlid + " holds its segment 2 of 3 of 2026");
  ExpectEvent(std::string("\"giant_plan\":\"") + kUlid + "\",\"giant_upload_plan\":\"" + kUlid +
              "\",\"giant_upload_id\":\"upload-1\",\"giant_segments_done\":2,\"giant_segments\":3,"
              "\"giant_touched\":\"2026-01-02T00:00:00Z\","
              "\"giant_swept_at_latest\":\"2026-01-16T00:00:00Z\"");
  target().giant->plan = "newer";
  target().giant->upload->lost_at = 0;
  Print();
  ExpectText("giant    transfer newer: no segment has arrived; before it\n");
  ExpectText("upload-1, which somebody has removed, swept");
  target().giant->upload.reset();
  Print();
  ExpectText("giant    transfer newer: no segment has arrived\n");
}

TEST_F(ExplainPrintTest, WhatHoldsItBackIsNamed) {
  target().open = OpenTarget{.since = past, .reason = "no answer"};
  target().refused.push_back({.archive = kUlid, .reason = "of another State", .when = past});
  rule.filter.size_bytes_min = 10;
  explanation.from[0].source_error = Error{.kind = ErrorKind::kRetryable, .message = "away"};
  Print();
  ExpectText("alone    left so since 2026-01-02T00:00:00Z: no answer\n");
  ExpectText(std::string("refused  archive ") + kUlid + " as a whole, ");
  ExpectText(
      "rule logs matches by its key; its filter asks for what cannot be seen now\n  source  ");
  ExpectEvent("\"open_since\":\"2026-01-02T00:00:00Z\",\"open_reason\":\"no answer\"");
  ExpectEvent(std::string("\"archives_refused\":[\"") + kUlid + "\"]");
  ExpectEvent("\"source_error\":");
  // Its tags alone cannot be read: it is there all the same.
  explanation.from[0].source = ObjectInfo{.size_bytes = 4, .etag = "e1"};
  Print();
  ExpectText("source   4 B, ETag e1");
  ExpectText("away");
}

}  // namespace
}  // namespace longhaul
