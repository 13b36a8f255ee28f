#include "backup/drill_note.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/json.h"

namespace longhaul::backup {

namespace {

constexpr char kPartition[] = "drills";
constexpr size_t kReasonBytesMax = 4096;
constexpr int kDrillNoteTriesMax = 10;
constexpr std::chrono::seconds kInterval{10};

using Outcome = DrillNote::Outcome;

std::string KeyOf(const std::string& rule, const std::string& target) {
  return rule + "/" + target;
}

std::string Encode(const DrillNote& note) {
  boost::json::object row{{"at", FormatRfc3339(note.at)},
                          {"outcome", DrillOutcomeText(note.outcome)},
                          {"objects", note.objects},
                          {"bytes", note.bytes},
                          {"reason", note.reason.substr(0, kReasonBytesMax)}};
  if (note.proven) row["proven"] = FormatRfc3339(*note.proven);
  return WriteJson(row);
}

std::optional<SystemTime> TimeOf(const JsonView& row, std::string_view name) {
  Result<std::string_view> text = row.Text(name);
  if (!text) return std::nullopt;
  Result<SystemTime> time = ParseRfc3339(*text);
  return time ? std::optional<SystemTime>(*time) : std::nullopt;
}

std::optional<DrillNote> Decode(std::string rule, std::string target, const StateRow& stored) {
  Result<boost::json::value> value = ParseJson(stored.value);
  if (!value) return std::nullopt;
  const JsonView row(*value);
  DrillNote note{.rule = std::move(rule), .target = std::move(target)};
  const std::optional<SystemTime> at = TimeOf(row, "at");
  Result<std::string_view> outcome = row.Text("outcome");
  if (!at || !outcome) return std::nullopt;
  note.at = *at;
  for (Outcome one : {Outcome::kProven, Outcome::kDiffers, Outcome::kFailed}) {
    if (*outcome == DrillOutcomeText(one)) note.outcome = one;
  }
  note.objects = static_cast<uint64_t>(row.Integer("objects", 0, INT64_MAX).value_or(0));
  note.bytes = static_cast<uint64_t>(row.Integer("bytes", 0, INT64_MAX).value_or(0));
  note.reason = row.Text("reason").value_or("");
  note.proven = TimeOf(row, "proven");
  return note;
}

}  // namespace

std::string_view DrillOutcomeText(Outcome outcome) {
  switch (outcome) {
    case Outcome::kProven:
      return "proven";
    case Outcome::kDiffers:
      return "differs";
    case Outcome::kFailed:
      return "failed";
  }
  return "";
}

Async<void> WriteDrillNote(State& state, DrillNote note) {
  const std::string key = KeyOf(note.rule, note.target);
  for (int tries = 0;; ++tries) {
    Result<std::optional<StateRow>> row = co_await state.Get(kPartition, key);
    if (!row) co_return row.error().In("note the drill");
    std::optional<DrillNote> before =
        *row ? Decode(note.rule, note.target, **row) : std::optional<DrillNote>();
    DrillNote next = before && before->at > note.at ? *before : note;
    if (note.outcome == Outcome::kProven) next.proven = note.at;
    if (before && before->proven) {
      next.proven = std::max(next.proven.value_or(*before->proven), *before->proven);
    }
    Result<int64_t> written = co_await state.Write(
        kPartition, {.key = key,
                     .value = Encode(next),
                     .expected = *row ? Expected::Revision((*row)->revision) : Expected::Absent()});
    if (written) co_return Ok();
    // Another drill has ended in the same moment.
    if (written.error().kind == ErrorKind::kPrecondition && tries < kDrillNoteTriesMax) continue;
    co_return written.error().In("note the drill");
  }
}

Async<std::optional<DrillNote>> ReadDrillNote(State& state, std::string rule, std::string target) {
  Result<std::optional<StateRow>> row = co_await state.Get(kPartition, KeyOf(rule, target));
  if (!row) co_return row.error();
  if (!*row) co_return std::optional<DrillNote>();
  co_return Decode(std::move(rule), std::move(target), **row);
}

Async<void> PublishDrillsOnce(const Runtime& runtime, const Configuration& configuration,
                              State& state) {
  std::vector<std::pair<std::string, std::string>> backups;
  std::vector<std::string> keys;
  for (const Rule& rule : configuration.rules) {
    for (const Target& target : rule.targets) {
      if (!target.backup) continue;
      backups.emplace_back(rule.id, target.name);
      keys.push_back(KeyOf(rule.id, target.name));
    }
  }
  if (keys.empty()) co_return Ok();
  Result<std::vector<std::optional<StateRow>>> rows =
      co_await state.GetMany(kPartition, std::move(keys));
  if (!rows) co_return rows.error();
  for (size_t i = 0; i < backups.size(); ++i) {
    const auto& [rule, target] = backups[i];
    const std::optional<DrillNote> note =
        (*rows)[i] ? Decode(rule, target, *(*rows)[i]) : std::optional<DrillNote>();
    const SystemTime proven = note && note->proven ? *note->proven : SystemTime{};
    runtime.metrics
        .gauge("longhaul_last_proven_restore_timestamp_seconds",
               "When `longhaul backup drill` last restored objects of a backup and found them "
               "right; 0: never",
               {{"rule", rule}, {"target", target}})
        .Set(std::chrono::duration<double>(proven.time_since_epoch()).count());
  }
  co_return Ok();
}

Async<void> PublishDrills(const Runtime& runtime, const Configuration& configuration, State& state,
                          Event& stop) {
  const bool any = std::ranges::any_of(configuration.rules, [](const Rule& rule) {
    return std::ranges::any_of(rule.targets,
                               [](const Target& target) { return target.backup.has_value(); });
  });
  if (!any) co_return Ok();
  do {
    Result<void> published = co_await PublishDrillsOnce(runtime, configuration, state);
    if (!published) {
      runtime.log.Warning("when backups were last proven cannot be read", {published.error()});
    }
  } while (!co_await stop.WaitFor(runtime.clock, kInterval));
  co_return Ok();
}

}  // namespace longhaul::backup
