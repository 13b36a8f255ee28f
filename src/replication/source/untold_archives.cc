#include "replication/source/untold_archives.h"

#include <algorithm>
#include <chrono>
#include <ranges>
#include <utility>

#include "replica/floor.h"
#include "replication/staging/archive_keys.h"

namespace longhaul {

namespace {

// What a process has not seen a receipt of may have been taken by another one, or a target may
// still ask for it (target_role_left.cc: within half an hour). Longer than rows of keys that
// another one has forgotten live (kArchiveKeysKept), also where its clock is another.
constexpr std::chrono::minutes kLeftToOthers{90};
// Nearly all are told of sooner, and cost no row.
constexpr std::chrono::minutes kWithoutRow{10};
// Whoever has taken its receipts forgets its keys by then.
constexpr std::chrono::minutes kJustGone{1};
constexpr int kPageRows = 1000;
constexpr std::string_view kGone = "gone=";

std::string Partition(const std::string& rule) { return "untold/" + rule; }

bool HasTarget(const RuleContext& rule, std::string_view name) {
  return std::ranges::any_of(rule.targets,
                             [name](const auto& target) { return target->config->name == name; });
}

}  // namespace

Async<bool> SendArchiveKeys(State& state, Queue& queue, std::string rule, std::string archive) {
  Result<std::vector<std::string>> bodies = co_await RecallArchiveKeys(state, std::move(archive));
  if (!bodies) co_return bodies.error();
  if (bodies->empty()) co_return false;
  std::vector<NewMessage> again;
  for (std::string& body : *bodies) {
    again.push_back({.body = std::move(body), .lane = FreshLane(rule)});
  }
  Result<void> sent = co_await queue.Send(std::move(again), {});
  if (!sent) co_return sent.error().In("send hints");
  co_return true;
}

asio::awaitable<void> UntoldArchives::Load() {
  for (const std::unique_ptr<RuleContext>& rule : context_.rules) {
    const std::string& id = rule->rule->id;
    if (loaded_.contains(id)) continue;
    std::string after;
    for (bool more = true; more;) {
      Result<std::vector<StateRow>> rows =
          co_await context_.state.Scan(Partition(id), after, kPageRows);
      if (!rows) {
        context_.runtime.log.Warning("archives that wait are not known yet",
                                     {{"rule", id}, rows.error()});
        co_return;
      }
      for (StateRow& row : *rows) {
        Untold untold{.rule = id, .targets = {}, .gone_since = {}, .row = std::move(row.value)};
        for (const auto field : std::views::split(untold.row, ' ')) {
          const std::string_view text(field.begin(), field.end());
          if (text.starts_with(kGone)) {
            Result<SystemTime> gone = ParseRfc3339(text.substr(kGone.size()));
            if (gone) untold.gone_since = *gone;
          } else if (HasTarget(*rule, text)) {  // Of one that was taken out nothing is missed.
            untold.targets.emplace(text);
          }
        }
        archives_.try_emplace(row.key, std::move(untold));
      }
      more = rows->size() == kPageRows;
      if (more) after = std::move(rows->back().key);
    }
    loaded_.insert(id);
  }
}

void UntoldArchives::Note(const std::string& rule, const std::string& archive,
                          const std::string& target, bool told) {
  auto found = archives_.find(archive);
  if (found == archives_.end()) {
    if (told) return;
    found =
        archives_.emplace(archive, Untold{.rule = rule, .targets = {}, .gone_since = {}, .row = {}})
            .first;
  }
  std::set<std::string>& targets = found->second.targets;
  if (told) {
    targets.erase(target);
  } else {
    targets.insert(target);
  }
}

void UntoldArchives::Drop(const std::string& archive) {
  const auto found = archives_.find(archive);
  if (found != archives_.end()) found->second.targets.clear();
}

bool UntoldArchives::Contains(const std::string& archive) const {
  const auto found = archives_.find(archive);
  return found != archives_.end() && !found->second.targets.empty();
}

asio::awaitable<std::vector<std::string>> UntoldArchives::Tend(const std::set<std::string>& present,
                                                               bool complete) {
  const SystemTime now = context_.runtime.clock.Now();
  std::vector<std::string> over;
  for (auto& [archive, untold] : archives_) {
    if (present.contains(archive)) {
      untold.gone_since.reset();
    } else if (complete && !untold.gone_since) {
      untold.gone_since = now;
    }
    if (untold.targets.empty()) continue;
    if (untold.gone_since && now >= *untold.gone_since + kLeftToOthers) {
      if (!co_await SendAnew(archive, untold)) continue;
      over.push_back(archive);
      untold.targets.clear();
    } else if (untold.gone_since) {
      if (now >= *untold.gone_since + kJustGone) co_await NoteGone(archive, untold);
    } else if (now >= UlidTime(archive) + kWithoutRow) {
      co_await WriteRow(archive, untold);
    }
  }
  for (auto untold = archives_.begin(); untold != archives_.end();) {
    if (!untold->second.targets.empty()) {
      ++untold;
      continue;
    }
    if (!untold->second.row.empty()) co_await RemoveRow(untold->first, untold->second);
    untold = archives_.erase(untold);
  }
  co_return over;
}

// Whether nothing of it is left to be sent. Where another process has taken its receipts, that one
// has forgotten its keys.
asio::awaitable<bool> UntoldArchives::SendAnew(const std::string& archive, const Untold& untold) {
  Result<bool> sent =
      co_await SendArchiveKeys(context_.state, context_.queue, untold.rule, archive);
  if (!sent) {
    context_.runtime.log.Warning("the keys of an archive that went are not read anew yet",
                                 {{"rule", untold.rule}, {"archive", archive}, sent.error()});
  } else if (*sent) {
    context_.runtime.log.Warning(
        "an archive went from staging before a target had told of it; its keys are read anew",
        {{"rule", untold.rule}, {"archive", archive}});
  }
  co_return sent.has_value();
}

asio::awaitable<void> UntoldArchives::NoteGone(const std::string& archive, Untold& untold) {
  if (untold.row.starts_with(kGone)) co_return;
  Result<bool> remembered = co_await AreArchiveKeysRemembered(context_.state, archive);
  if (remembered && !*remembered) {
    untold.targets.clear();
    co_return;
  }
  co_await WriteRow(archive, untold);
}

asio::awaitable<void> UntoldArchives::WriteRow(const std::string& archive, Untold& untold) {
  std::string text;
  if (untold.gone_since) text = std::string(kGone) + FormatRfc3339(*untold.gone_since);
  for (const std::string& target : untold.targets) text += (text.empty() ? "" : " ") + target;
  if (text == untold.row) co_return;
  StateWrite row{
      .key = archive, .value = text, .expires = context_.runtime.clock.Now() + kFloorLifetime};
  Result<int64_t> written = co_await context_.state.Write(Partition(untold.rule), std::move(row));
  if (written) untold.row = std::move(text);  // Else it is written after the next look.
}

asio::awaitable<void> UntoldArchives::RemoveRow(const std::string& archive, const Untold& untold) {
  Result<int64_t> removed = co_await context_.state.Write(Partition(untold.rule), {.key = archive});
  static_cast<void>(removed);  // Who finds it finds no keys with it.
}

}  // namespace longhaul
