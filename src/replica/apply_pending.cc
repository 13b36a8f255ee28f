// What may still land on a key keeps it from being called settled.

#include <utility>

#include "replica/apply.h"
#include "replica/apply_parts.h"

namespace longhaul {

namespace {

std::string_view WhatMayLand(PendingKind kind) {
  switch (kind) {
    case PendingKind::kCreate:
      return "a create without an answer may still bring the key back";
    case PendingKind::kWrite:
      return "a write without an answer may still put an older state there";
    case PendingKind::kCopy:
      return "a copy without an answer may still put an older state there";
    case PendingKind::kDelete:
      break;
  }
  return "a delete without an answer may still remove what is there";
}

}  // namespace

std::chrono::milliseconds BusyFor(const Error& error) {
  return error.code == kKeyBusyCode ? error.retry_after : std::chrono::milliseconds(0);
}

std::optional<Error> Applier::LandsLater(const Floor& floor,
                                         std::initializer_list<PendingKind> kinds,
                                         std::optional<SystemTime> own) const {
  const SystemTime now = runtime_.clock.Now();
  const PendingRequest* last = floor.pending.LastToLand(kinds, now, own);
  if (last == nullptr) return std::nullopt;
  Error error = KeyBusy(std::string(WhatMayLand(last->kind)) + "; looking again");
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(last->until - now);
  error.retry_after = std::max(left, std::chrono::milliseconds(1));
  return error;
}

std::optional<Error> Applier::Unsettled(const Floor& floor, SystemTime stamp) const {
  // What it would write itself may come twice.
  return LandsLater(floor, {PendingKind::kCopy, PendingKind::kWrite, PendingKind::kDelete}, stamp);
}

SystemTime Applier::DeletesNoted(const std::optional<Floor>& floor) const {
  if (!floor) return SystemTime();
  const SystemTime until = floor->pending.LandsUntil(PendingKind::kDelete);
  return until > runtime_.clock.Now() ? SystemTime::max() : until;  // It may land at any time.
}

Async<bool> Applier::IsThereToStay(const ReplicaWrite& write, SystemTime deletes_noted) {
  Result<std::optional<Floor>> floor = co_await floors_.Get(write.key, AmongMany());
  if (!floor) co_return floor.error();
  if (*floor) {
    if (std::optional<Error> unsettled = Unsettled(**floor, write.stamp))
      co_return std::move(*unsettled);
  }
  co_return DeletesNoted(*floor) == deletes_noted;
}

}  // namespace longhaul
