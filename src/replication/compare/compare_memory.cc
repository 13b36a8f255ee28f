#include "replication/compare/compare_memory.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"

namespace longhaul {

namespace {

// Sorts 8 MiB at a time and reads three catalogs beside it.
constexpr int64_t kSortBytesMin = 32 << 20;
// Sorts 6 MiB and reads one or two.
constexpr int64_t kSortBytesLeast = 24 << 20;
// More makes nothing faster: sorted_listing.h takes 48 MiB.
constexpr int64_t kOneBytesMax = 96 << 20;
constexpr int64_t kAllBytesMax = 4 * kOneBytesMax;

}  // namespace

int64_t CompareBytes(const ReplicationContext& context) {
  const int64_t limit = context.runtime.memory.limit_bytes();
  int64_t bytes = std::max({std::min(limit / 4, 2 * kSortBytesMin), kSortBytesMin, limit / 8});
  bytes = std::min(bytes, kAllBytesMax);
  for (const auto& rule : context.rules) {
    // Whoever asks for a comparison may give a listing that is to be sorted as well, beside what
    // looks into staging.
    const auto sorts = static_cast<int64_t>(SortsToCompare(*rule->rule)) + 2;
    bytes = std::max(bytes, kSortBytesLeast * sorts);
  }
  return std::clamp<int64_t>(bytes, 1, std::max<int64_t>(limit / 2, 1));
}

size_t SortsToCompare(const Rule& rule) {
  size_t sorts = rule.intake.inventory ? 1 : 0;
  for (const Target& target : rule.targets) sorts += target.backup ? 1 : 0;
  return sorts;
}

Async<CompareMemory> CompareMemory::Take(const ReplicationContext& context,
                                         const std::shared_ptr<MemoryBudget>& all, size_t sorts) {
  CompareMemory memory;
  if (sorts == 0) co_return memory;
  const auto count = static_cast<int64_t>(sorts);
  const int64_t bytes = std::min(CompareBytes(context), count * kOneBytesMax);
  if (all != nullptr) {
    Result<Reservation> turn = co_await all->Reserve(bytes);
    if (!turn) co_return turn.error();
    // Not before: what waits must not keep alive what it waits in.
    memory.all_ = all;
    memory.turn_ = std::move(*turn);
  }
  Result<Reservation> held = co_await context.runtime.memory.Reserve(bytes);
  if (!held) co_return held.error();
  memory.whole_ = std::make_unique<MemoryShare>(context.runtime, std::move(*held));
  for (size_t i = 0; i < sorts; ++i) {
    std::optional<Reservation> part =
        memory.whole_->runtime().memory.TryReserve(std::max<int64_t>(bytes / count, 1));
    LH_CHECK(part.has_value());
    memory.parts_.push_back(std::make_unique<MemoryShare>(context.runtime, std::move(*part)));
  }
  co_return memory;
}

const Runtime& CompareMemory::Next() {
  LH_CHECK(next_ < parts_.size());
  return parts_[next_++]->runtime();
}

}  // namespace longhaul
