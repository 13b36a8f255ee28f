#include "cli/explain_print.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "cli/output.h"
#include "cli/rule_life.h"
#include "replication/source/choose_route.h"

namespace longhaul {

namespace {

std::string DescribeObject(const ObjectInfo& info, SystemTime now) {
  return FormatBytes(info.size_bytes) + ", ETag " + info.etag + ", changed " +
         FormatRfc3339(info.last_modified) + " (" + AgoText(info.last_modified, now) + ")";
}

std::string DescribeMark(const Mark& mark) {
  return "by site " + mark.site + ", the source as of " + FormatRfc3339(mark.stamp) + ", ETag " +
         mark.source_etag;
}

// One of the events, and the rows below the line that says it as text.
class Block {
 public:
  Block(RunContext& context, std::string_view event, std::string margin)
      : context_(context),
        now_(context.runtime().clock.Now()),
        message_(event),
        margin_(std::move(margin)) {}

  Message& message() { return message_; }
  [[nodiscard]] SystemTime now() const { return now_; }

  void Row(std::string_view name, std::string_view value) {
    rows_ += "\n" + margin_ + std::string(name) +
             std::string(name.size() < 9 ? 9 - name.size() : 1, ' ') + Printable(value);
  }
  void Parked(const ParkedKey& parked) {
    message_.With("parked", parked.reason).With("parked_when", FormatRfc3339(parked.when));
    Row("parked", AgoText(parked.when, now_) + ": " + parked.reason);
  }
  // The line that stands above the rows.
  void Print(const std::string& line) { context_.output().Print(message_.Says(line + rows_)); }

 private:
  RunContext& context_;
  SystemTime now_;
  Message message_;
  std::string margin_;
  std::string rows_;
};

// What stands under the key at a target, and by which mark.
void AddReplica(Block& block, const TargetExplanation& told) {
  if (told.error) {
    block.message().With("error", told.error->Describe());
    block.Row("error", told.error->Describe());
  }
  if (!told.replica) {
    if (!told.error) block.Row("there", "no object");
    return;
  }
  block.message().With("etag", told.replica->etag).With("size", told.replica->size_bytes);
  block.Row("there", DescribeObject(*told.replica, block.now()));
  if (!told.mark) {
    block.message().With("mark", told.foreign_mark ? "foreign" : "none");
    block.Row("mark", told.foreign_mark
                          ? "that of another bucket or key: a copy of a replica, no replica"
                          : "none: not a replica");
    return;
  }
  block.message()
      .With("mark", told.mark_in_state ? "in state" : "fits")
      .With("mark_site", told.mark->site)
      .With("mark_stamp", FormatRfc3339(told.mark->stamp))
      .With("mark_source_etag", told.mark->source_etag);
  block.Row("mark", (told.mark_in_state ? "in State: " : "fits: ") + DescribeMark(*told.mark));
}

// Something that was sent to the target and whose answer was lost, or may be.
void AddMayLand(Block& block, const char* field, const std::string& what, SystemTime until) {
  if (until == SystemTime()) return;
  block.message().With(field, FormatRfc3339(until));
  block.Row("state", until > block.now() ? what + " may still land, until " + FormatRfc3339(until)
                                         : what + " could land until " + FormatRfc3339(until) +
                                               ", which has passed");
}

// Epoch: there is none, or more than one.
SystemTime StampOfTheWrite(const PendingRequests& pending) {
  SystemTime stamp{};
  for (const PendingRequest& request : pending.all()) {
    if (request.kind != PendingKind::kWrite) continue;
    if (stamp != SystemTime()) return {};
    stamp = request.stamp;
  }
  return stamp;
}

void AddFloor(Block& block, const Floor& floor) {
  const std::string kind = floor.deleted ? "tombstone" : "floor";
  block.message().With(kind, FormatRfc3339(floor.stamp));
  if (floor.stamp == SystemTime()) {
    block.Row("state", "a floor below everything, for what it notes");
  } else {
    block.Row("state", kind + " of " + FormatRfc3339(floor.stamp) + ": nothing older is written");
  }
  const PendingRequests& pending = floor.pending;
  AddMayLand(block, "create_may_land_until", "a create", pending.LandsUntil(PendingKind::kCreate));
  AddMayLand(block, "copy_may_land_until", "a copy of the object onto itself",
             pending.LandsUntil(PendingKind::kCopy));
  AddMayLand(block, "delete_may_land_until", "a delete", pending.LandsUntil(PendingKind::kDelete));
  const SystemTime write_stamp = StampOfTheWrite(pending);
  const bool one_write = write_stamp != SystemTime();
  if (one_write) block.message().With("write_stamp", FormatRfc3339(write_stamp));
  AddMayLand(block, "write_may_land_until",
             one_write ? "a write of the source as of " + FormatRfc3339(write_stamp)
                       : "one of several writes",
             pending.LandsUntil(PendingKind::kWrite));
  for (const KeptMark& kept : floor.kept_marks) {
    block.Row("kept", (kept.target_etag.empty()
                           ? std::string("mark of a write that may have happened: ")
                           : "mark of the object with ETag " + kept.target_etag + ": ") +
                          DescribeMark(kept.mark));
  }
}

void AddGiant(Block& block, const GiantTransfer& giant) {
  if (!giant.plan.empty()) block.message().With("giant_plan", giant.plan);
  if (!giant.upload) {
    block.Row("giant", "transfer " + giant.plan + ": no segment has arrived");
    return;
  }
  const SharedUpload& upload = *giant.upload;
  const auto done = std::ranges::count(upload.stored, true);
  const SystemTime swept = upload.touched + kArchiveAgeMax;
  block.message()
      .With("giant_upload_plan", upload.plan)
      .With("giant_upload_id", upload.upload_id)
      .With("giant_segments_done", done)
      .With("giant_segments", upload.stored.size())
      .With("giant_touched", FormatRfc3339(upload.touched))
      .With("giant_swept_at_latest", FormatRfc3339(swept));
  if (!giant.plan.empty() && giant.plan != upload.plan) {
    block.Row("giant", "transfer " + giant.plan + ": no segment has arrived; before it");
  }
  block.Row("giant", fmt::format("transfer {}: {} of {} have arrived, the last {}", upload.plan,
                                 done, Counted(upload.stored.size(), "segment"),
                                 AgoText(upload.touched, block.now())));
  block.Row("giant", "upload " + upload.upload_id +
                         (upload.lost_at ? ", which somebody has removed" : "") +
                         ", swept at the latest at " + FormatRfc3339(swept));
}

std::string DescribeReading(const StagedReading& reading) {
  std::string what = reading.op == EntryOp::kDelete ? "absence" : "state";
  if (reading.segment) {
    what = fmt::format("segment {} of {}", reading.segment->number + 1, reading.segment->count);
  }
  return "archive " + reading.archive + " holds its " + what + " of " +
         FormatRfc3339(reading.stamp);
}

std::string DescribeReceipt(const LeftReceipt& left) {
  const ArchiveReceipt& receipt = left.receipt;
  std::string text = "of archive " + receipt.archive;
  if (receipt.written != SystemTime()) text += ", " + FormatRfc3339(receipt.written);
  if (receipt.state == ArchiveReceipt::State::kCorrupt) {
    text += ": it is damaged, " + receipt.reason;
  } else {
    text += fmt::format(": done with {}, {} applied, {} in conflict",
                        Counted(receipt.entries, "entry", "entries"), receipt.applied,
                        receipt.conflicts);
    if (!receipt.reason.empty()) text += " (" + receipt.reason + ")";
  }
  if (left.rereads) text += "; the source is to read the key anew";
  std::string others;
  for (const std::string& name : left.waits_for) others += (others.empty() ? "" : ", ") + name;
  if (!others.empty()) return text + "; the archive stays for " + others;
  return text + (left.archive_there ? "; the archive is about to go"
                                    : "; the source has not cleared it away yet");
}

// A line of its own, as JSON alone: the text has it among the rows of its target.
void PrintReceipt(RunContext& context, const Rule& rule, const TargetExplanation& told,
                  const LeftReceipt& left) {
  const ArchiveReceipt& receipt = left.receipt;
  const bool corrupt = receipt.state == ArchiveReceipt::State::kCorrupt;
  Message message("receipt");
  message.With("rule", rule.id)
      .With("target", told.name)
      .With("archive", receipt.archive)
      .With("state", corrupt ? "corrupt" : "done");
  if (receipt.written != SystemTime()) message.With("written", FormatRfc3339(receipt.written));
  if (!receipt.reason.empty()) message.With("reason", receipt.reason);
  message.With("entries", receipt.entries)
      .With("applied", receipt.applied)
      .With("conflicts", receipt.conflicts)
      .With("rereads", left.rereads)
      .With("archive_there", left.archive_there)
      .With("waits_for", left.waits_for);
  if (left.reading) message.With("stamp", FormatRfc3339(left.reading->stamp));
  context.output().Print(message);
}

void PrintKeptMark(RunContext& context, const Rule& rule, const TargetExplanation& told,
                   const KeptMark& kept) {
  context.output().Print(Message("kept_mark")
                             .With("rule", rule.id)
                             .With("target", told.name)
                             .With("etag", kept.target_etag)
                             .With("mark_site", kept.mark.site)
                             .With("mark_stamp", FormatRfc3339(kept.mark.stamp))
                             .With("mark_source_etag", kept.mark.source_etag));
}

void AddStaging(Block& block, const TargetExplanation& told) {
  std::vector<std::string> archives;
  for (const StagedReading& reading : told.pending) {
    archives.push_back(reading.archive);
    block.Row("staging", DescribeReading(reading));
  }
  block.message().With("archives", archives).With("archives_not_read", told.archives_not_read);
  std::vector<std::string> refused;
  for (const ParkedKey& archive : told.refused) {
    refused.push_back(archive.archive);
    block.Row("refused", "archive " + archive.archive + " as a whole, " +
                             AgoText(archive.when, block.now()) + ": " + archive.reason);
  }
  block.message().With("archives_refused", refused);
  if (told.archives_not_read > 0) {
    block.Row("staging", Counted(told.archives_not_read, "archive") + " not looked into");
  }
  for (const LeftReceipt& left : told.receipts) block.Row("receipt", DescribeReceipt(left));
}

void PrintTarget(RunContext& context, const Rule& rule, const TargetExplanation& told) {
  Block block(context, "target", "    ");
  Message& message = block.message();
  message.With("rule", rule.id)
      .With("target", told.name)
      .With("address", told.address)
      .With("status", ToString(told.status));
  AddReplica(block, told);
  if (told.floor) AddFloor(block, *told.floor);
  if (told.giant) AddGiant(block, *told.giant);
  AddStaging(block, told);
  if (told.parked) block.Parked(*told.parked);
  if (told.pause) {
    const std::string until =
        told.pause->until ? FormatRfc3339(*told.pause->until) : std::string("it is resumed");
    message.With("paused_until", told.pause->until ? until : std::string());
    block.Row("paused", "since " + FormatRfc3339(told.pause->since) + " until " + until);
  }
  if (told.open) {
    message.With("open_since", FormatRfc3339(told.open->since))
        .With("open_reason", told.open->reason);
    block.Row("alone",
              "left so since " + FormatRfc3339(told.open->since) + ": " + told.open->reason);
  }
  message.With("carrier", told.carrier != nullptr ? told.carrier->id : std::string());
  message.With("spooled", told.spooled).With("next", told.next);
  if (told.next_try) message.With("next_try", FormatRfc3339(*told.next_try));
  block.Row("next", told.next);
  block.Print("  target " + told.name + " (" + Printable(told.address) +
              "): " + std::string(ToString(told.status)));
  for (const LeftReceipt& left : told.receipts) PrintReceipt(context, rule, told, left);
  if (!told.floor) return;
  for (const KeptMark& kept : told.floor->kept_marks) PrintKeptMark(context, rule, told, kept);
}

void PrintRule(RunContext& context, const RuleExplanation& told, bool backwards) {
  Block block(context, "rule", "  ");
  Message& message = block.message();
  message.With("rule", told.rule->id)
      .With("matches", told.matches)
      .With("source",
            told.rule->source.store + ":" + told.rule->source.bucket + "/" + told.source_key);
  std::string text = "rule " + told.rule->id + (told.matches ? " matches" : " does not match");
  if (backwards) text += " its source";
  if (!told.why_not.empty()) {
    message.With("why_not", told.why_not);
    text += ": " + told.why_not;
  } else if (told.source_error && told.rule->filter.Matches({}) == Filter::Match::kUnknown) {
    text += " by its key; its filter asks for what cannot be seen now";
  }
  if (told.source) {
    message.With("source_etag", told.source->etag)
        .With("source_size", told.source->size_bytes)
        .With("source_modified", FormatRfc3339(told.source->last_modified));
    block.Row("source", DescribeObject(*told.source, block.now()));
  } else if (!told.source_error && (told.why_not.empty() || backwards)) {
    block.Row("source", "no object");
  }
  if (told.source_error) {
    message.With("source_error", told.source_error->Describe());
    block.Row("source", told.source_error->Describe());
  }
  if (told.shrinks_to) {
    const bool by_archive = *told.shrinks_to <= kShrinksTo;
    message.With("sample_shrinks_to", *told.shrinks_to).With("by_archive", by_archive);
    block.Row("way", by_archive ? fmt::format("goes by archive: a sample of it shrinks to {:.0f} %",
                                              100 * *told.shrinks_to)
                                : "goes without an archive: a sample of it does not shrink");
  }
  for (const KindLevel& level : told.levels) {
    block.Row("level", fmt::format("{} for {}: {}", level.level, level.kind, level.why));
  }
  if (!told.levels.empty()) {
    message.With("level", told.levels.front().level).With("level_why", told.levels.front().why);
  }
  if (told.parked) block.Parked(*told.parked);
  block.Print(text);
  for (const TargetExplanation& target : told.targets) PrintTarget(context, *told.rule, target);
}

}  // namespace

void PrintExplanation(RunContext& context, const std::string& address,
                      const Explanation& explanation) {
  for (const RuleExplanation& rule : explanation.from) PrintRule(context, rule, false);
  for (const RuleExplanation& rule : explanation.to) PrintRule(context, rule, true);
  std::string text = std::string(ToString(explanation.status)) + ": " + explanation.next;
  if (explanation.from.empty() && explanation.to.empty()) {
    text = "none: no rule reads from or writes to " + Printable(address);
  }
  Message message("summary");
  message.With("address", address)
      .With("status", ToString(explanation.status))
      .With("next", explanation.next);
  if (explanation.next_try) message.With("next_try", FormatRfc3339(*explanation.next_try));
  context.output().Print(message.Says(Printable(text)));
}

}  // namespace longhaul
