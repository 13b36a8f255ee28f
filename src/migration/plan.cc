#include "migration/plan.h"

#include <algorithm>
#include <utility>

namespace longhaul::migration {

namespace {

constexpr size_t kTaskOverheadBytes = 4 << 10;  // Of a body, besides its objects.

Async<void> PlanPrefix(Runtime& runtime, const Run& run, Ends ends, const std::string& prefix,
                       Event& stop, PlanObserver& observer, PlanTotals& totals) {
  MissingReader missing(runtime, run, ends, prefix, "");
  TaskShape shape;
  Result<void> read;
  while (true) {
    if (stop.is_set()) {
      read = Cancelled("stopped on request");
      break;
    }
    Result<std::optional<Missing>> next = co_await missing.Next();
    if (!next) {
      read = next.error();
      break;
    }
    if (!*next) break;
    if ((*next)->none) continue;
    const TaskObject& object = (*next)->object;
    ++totals.objects;
    totals.bytes += static_cast<int64_t>(object.size_bytes);
    observer.OnMissing(object, (*next)->giant);
    if (shape.objects > 0 && ((*next)->giant || !shape.HasRoomFor(object, run.options))) {
      ++totals.tasks;
      shape = {};
    }
    if ((*next)->giant) {
      ++totals.giants;
      totals.giant_bytes += static_cast<int64_t>(object.size_bytes);
      // Its own, and one for each range.
      totals.tasks += 1 + static_cast<int64_t>((object.size_bytes + run.options.range_bytes - 1) /
                                               run.options.range_bytes);
      continue;
    }
    shape.Add(object);
  }
  if (shape.objects > 0) ++totals.tasks;
  totals.seen += missing.counts().seen;
  if (read && missing.counts().seen == 0 && !prefix.empty()) {
    totals.nothing_below.push_back(prefix);
  }
  totals.listed += missing.counts().listed;
  totals.listed_bytes += missing.counts().listed_bytes;
  totals.equal += missing.counts().equal;
  co_await missing.Close();
  co_return read;
}

}  // namespace

bool TaskShape::HasRoomFor(const TaskObject& object, const MigrationOptions& options) const {
  return objects < static_cast<size_t>(options.batch_count) &&
         bytes + object.size_bytes <= options.batch_bytes &&
         encoded_bytes + EncodedBytes(object) + kTaskOverheadBytes <= kTaskBodyBytesMax;
}

void TaskShape::Add(const TaskObject& object) {
  ++objects;
  bytes += object.size_bytes;
  encoded_bytes += EncodedBytes(object);
}

std::vector<std::string> OutermostPrefixes(std::vector<std::string> prefixes) {
  if (prefixes.empty()) prefixes.emplace_back();
  std::ranges::sort(prefixes);
  std::vector<std::string> outermost;
  for (std::string& prefix : prefixes) {
    if (outermost.empty() || !prefix.starts_with(outermost.back())) {
      outermost.push_back(std::move(prefix));
    }
  }
  return outermost;
}

Async<void> PlanRun(Runtime& runtime, Run run, Ends ends, std::vector<std::string> prefixes,
                    Event& stop, PlanObserver& observer, PlanTotals& totals) {
  for (const std::string& prefix : OutermostPrefixes(std::move(prefixes))) {
    Result<void> planned = co_await PlanPrefix(runtime, run, ends, prefix, stop, observer, totals);
    if (!planned) co_return planned.error();
  }
  co_return Ok();
}

}  // namespace longhaul::migration
