#include "cli/cache_common.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "cli/transfer_ends.h"
#include "cost/prices.h"

namespace longhaul {

Result<std::unique_ptr<State>> OpenCacheState(RunContext& context, const StateFlag& flag) {
  std::optional<DatabasePlace> place = LocalStatePlace(context, flag);
  if (!place) return InvalidInput("nothing says where caches are remembered: give --state FILE");
  return std::unique_ptr<State>(
      std::make_unique<LocalState>(context.runtime(), *place, TellingClock(context.troubles())));
}

Result<OpenedCache> OpenCache(StoreOpener& opener, std::string_view text) {
  Result<OpenedAddress> opened = opener.OpenBucket(text, StoreEnd::kTarget);
  if (!opened) return opened.error();
  OpenedCache cache{.address = *opened};
  cache.place = {.store = opened->store->description(), .bucket = opened->address.bucket};
  return cache;
}

Result<void> CheckTwoPlaces(const OpenedAddress& source, const OpenedCache& cache) {
  if (!IsSameObject(source, "", cache.address, "")) return Ok();
  return InvalidInput("a bucket cannot be its own cache: " + cache.address.address.text + " is " +
                      source.address.text + " under another name");
}

Async<void> RequireCache(State& state, const OpenedCache& opened, std::string_view text) {
  Result<bool> known = co_await cache::IsKnownPlace(state, opened.place);
  if (!known) co_return known.error();
  if (*known) co_return Ok();
  co_return NotFound("no fill of " + std::string(text) + " is known to this state");
}

void RemovalTeller::Tell(const cache::RemovalReport& removal) {
  std::string_view event = "removed";
  switch (removal.removal) {
    case cache::Removal::kRemoved:
      break;
    case cache::Removal::kForeign:
      event = "foreign";
      break;
    case cache::Removal::kFailed:
      event = "failed";
      break;
    default:
      return;
  }
  Message message(event);
  message.With("key", removal.key).With("size", removal.size_bytes);
  if (!removal.reason.empty()) message.With("reason", removal.reason);
  const std::string key = Printable(removal.key);
  if (removal.removal == cache::Removal::kFailed) {
    output_.Problem(message.Says(key + " was not removed: " + removal.reason));
  } else if (removal.removal == cache::Removal::kForeign) {
    output_.Problem(message.Says(key + " is not the copy that was made: it is left alone"));
  } else if (output_.json()) {
    output_.Print(message);
  }
}

std::string RemovalText(const cache::RemovalCounts& counts, bool dry_run) {
  std::string text = Counted(static_cast<uint64_t>(counts.removed), "copy", "copies") +
                     (dry_run ? " would be removed (" : " removed (") +
                     FormatBytes(static_cast<uint64_t>(counts.bytes)) + ")";
  if (counts.foreign > 0) {
    text += ", " + FormatCount(static_cast<uint64_t>(counts.foreign)) + " replaced by others, left";
  }
  if (counts.failed > 0) {
    text += ", " + FormatCount(static_cast<uint64_t>(counts.failed)) + " failed";
  }
  return text;
}

Message CostMessage(const cache::RunCost& cost, std::chrono::seconds ttl) {
  Message message("cost");
  const auto tell = [&message](const cache::RunCost::Items& items, std::string_view prefix) {
    std::string text;
    for (const auto& [item, pico] : items) {
      text += (text.empty() ? "" : ", ") + item + " " + FormatPico(pico);
      std::string name = std::string(prefix) + item;
      std::ranges::replace(name, ' ', '_');
      message.With(name, FormatPico(pico).substr(1));
    }
    return text;
  };
  const std::string paid = FormatPico(cache::RunCost::SumOf(cost.items));
  const std::string batch = FormatPico(cache::RunCost::SumOf(cost.batch));
  std::string text = (cost.unknown.empty() ? "cost: " : "cost: at least ") + paid;
  if (const std::string items = tell(cost.items, "cost_"); !items.empty()) {
    text += " (" + items + ")";
  }
  if (!cost.unknown.empty()) {
    text += fmt::format("; not known: {}", fmt::join(cost.unknown, ", "));
    message.With("unknown", cost.unknown);
  }
  text += "\n  by S3 Batch Operations at least " + batch + " (" + tell(cost.batch, "batch_") + ")";
  message.With("dollars", paid.substr(1)).With("batch_dollars", batch.substr(1));
  if (cost.storage && *cost.storage > 0) {
    const std::string storage = FormatPico(*cost.storage);
    text += "\n  either way " + storage + " to keep what was copied for " + FormatDuration(ttl);
    message.With("storage_dollars", storage.substr(1));
  }
  return message.Says(std::move(text));
}

std::string_view PhaseOf(const cache::Run& run, SystemTime now) {
  if (run.phase == RunPhase::kRunning && !cache::IsAlive(run, now)) return "killed";
  return ToString(run.phase);
}

}  // namespace longhaul
