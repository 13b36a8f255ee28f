#include "replication/memory_plan.h"

#include <algorithm>
#include <string>

#include "archive/archive_file.h"
#include "base/units.h"
#include "replication/compare/compare_memory.h"

namespace longhaul {

namespace {

struct PackPlan {
  PackMemory memory;
  int jobs = 1;
};

Result<PackPlan> PlanPacking(const ReplicationContext& context, int level, int threads,
                             int64_t available, int level_max) {
  auto plan = [&](int64_t bytes) {
    return PlanPackMemory(context.limits, level, threads, bytes, level_max);
  };
  // Of several rules, one may hold all places but one (fair_slots.h).
  Result<PackMemory> planned = plan(available);
  int shares = 2;
  if (context.rules.size() > 1) {
    Result<PackMemory> third = plan(available / 3);
    Result<PackMemory> half = plan(available / 2);
    if (third && planned && third->slots == planned->slots) {
      planned = third;
      shares = 3;
    } else if (half) {
      planned = half;
    }
  }
  if (!planned) return planned.error();
  return PackPlan{
      .memory = *planned,
      .jobs = static_cast<int>(std::clamp<int64_t>(available / planned->total(), 1, shares))};
}

// The highest that a tuner may take.
int WantedLevel(const ReplicationContext& context) {
  int level = 0;
  if (!context.tuner) return level;
  for (const auto& [id, tuner] : context.tuner->rules()) {
    level = std::max(level, tuner->level_wanted());
  }
  return level;
}

// `pack_min`, `apply_min`: what each takes at least; 0: it is not done here.
Error TooLittle(const ReplicationContext& context, int64_t pack_min, int64_t apply_min) {
  const auto mib = [](int64_t bytes) {
    constexpr int64_t kMib = 1 << 20;
    return std::to_string((bytes + kMib - 1) / kMib) + "MiB";
  };
  std::string takes;
  if (pack_min > 0) takes = "packing takes " + mib(pack_min);
  if (apply_min > 0) takes += (takes.empty() ? "" : ", ") + ("applying " + mib(apply_min));
  if (context.request_bytes > 0) takes += ", the stores' requests " + mib(context.request_bytes);
  // Applying gets a third where that is more than it needs.
  const int64_t needed =
      (apply_min > 0 ? std::max(pack_min + apply_min, pack_min * 3 / 2 + 3) : pack_min) +
      context.request_bytes;
  return InvalidInput(takes + " of memory, the budget is " +
                      FormatSizeExact(static_cast<uint64_t>(context.runtime.memory.limit_bytes())) +
                      ": give --memory " + mib(needed) + " or more");
}

}  // namespace

Result<MemoryPlan> PlanMemory(const ReplicationContext& context, bool packs, bool applies) {
  const int64_t budget = context.runtime.memory.limit_bytes();
  const int64_t total = budget - context.request_bytes;
  const int threads = std::max(1, context.runtime.pool.threads());
  int level = 1;
  for (const auto& rule : context.rules) level = std::max(level, rule->rule->compression_level);

  // Of the target: the tail, two frames as they come and as they are, an object or a part of one.
  const auto frame = static_cast<int64_t>(context.limits.frame_bytes);
  const auto object = static_cast<int64_t>(context.limits.bundle_object_bytes_max);
  const int64_t apply_min =
      static_cast<int64_t>(StoreArchiveFile::kTailSizeBytes) + 4 * frame + 2 * object + (8 << 20);
  // Where one of several targets hangs, another goes on: for two archives at a time, where the
  // memory is enough for that.
  size_t targets = 0;
  for (const auto& rule : context.rules) targets += rule->targets.size();
  const int64_t apply_jobs = targets > 1 && total / 3 >= 2 * apply_min ? 2 : 1;
  int64_t apply_job_bytes = 0;
  if (applies) {
    apply_job_bytes = std::clamp(total / 3 / apply_jobs, apply_min, 3 * apply_min);
  }
  const int64_t apply_bytes = apply_jobs * apply_job_bytes;
  if (applies && !packs && apply_bytes > total) {
    return TooLittle(context, 0, apply_min);
  }
  PackMemory pack;
  int jobs = 1;
  if (packs) {
    int64_t available = total - apply_bytes;
    // A comparison may take hours: who packs does not wait for it, where that can be.
    const bool sorts = std::ranges::any_of(
        context.rules, [](const auto& rule) { return SortsToCompare(*rule->rule) > 0; });
    Result<PackPlan> planned =
        PlanPacking(context, level, threads, available - (sorts ? CompareBytes(context) : 0), 0);
    if (planned && sorts) available -= CompareBytes(context);
    if (!planned) planned = PlanPacking(context, level, threads, available, 0);
    if (!planned) {
      return TooLittle(context, PackMemoryMin(context.limits, level), applies ? apply_min : 0);
    }
    // Higher levels take more memory. A tuner gets what costs no frame and no batch side by side.
    for (int wanted = WantedLevel(context); wanted > level; --wanted) {
      Result<PackPlan> higher = PlanPacking(context, level, threads, available, wanted);
      if (!higher || higher->memory.slots < planned->memory.slots || higher->jobs < planned->jobs) {
        continue;
      }
      planned = higher;
      break;
    }
    pack = planned->memory;
    jobs = planned->jobs;
  }
  return MemoryPlan{.pack = pack,
                    .pack_jobs = jobs,
                    .apply_job_bytes = std::max<int64_t>(apply_job_bytes, 1),
                    .take_over_bytes = std::max<int64_t>(apply_bytes, 1)};
}

}  // namespace longhaul
