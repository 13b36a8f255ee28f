// PendingRequests: what has been sent for a key, or is about to be, and may still take effect
// there.
//
// A request that got no answer may be carried out after its sender has given it up, or died. Its
// condition is an ETag at best, which what has been written since may have as well. So each stands
// in the floor of its key (floor.h) with the time until which it may land, and until then nobody
// calls settled what it could change. The order of requests says nothing: any may land first.

#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

enum class PendingKind {
  kCreate,  // Lands where nothing stands, so where something was deleted.
  kWrite,   // Replaces whatever has the ETag that it asked for, or anything.
  kCopy,    // Of the object onto itself, over whatever stands there: one at a time.
  kDelete,
};

struct PendingRequest {
  PendingKind kind = PendingKind::kWrite;
  SystemTime until{};
  // Of kWrite, that of the state that it writes; epoch: one of several.
  SystemTime stamp{};

  bool operator==(const PendingRequest&) const = default;
};

class PendingRequests {
 public:
  // More than these are not told apart: of one kind, two become one that lasts as long as both.
  static constexpr size_t kMax = 8;

  PendingRequests() = default;
  PendingRequests(std::initializer_list<PendingRequest> requests) : requests_(requests) {}

  // Another one; `now` tells which of those before are over, where they are too many. Creates, and
  // writes of one stamp, are as one. A delete that says the same time as another one gets a time of
  // its own, so that the end of one does not end both.
  void Add(PendingRequest request, SystemTime now);
  void Add(const PendingRequests& requests, SystemTime now);
  // It is over. False: it does not stand here, or not alone. That a delete or a write was there
  // stays known, as of `now`: what was written before may have been removed, or mixed up.
  bool End(const PendingRequest& request, SystemTime now);

  [[nodiscard]] bool empty() const { return requests_.empty(); }
  [[nodiscard]] bool Has(const PendingRequest& request) const;
  // Until when one of this kind may land; a time that has passed: could. Epoch: none is known.
  [[nodiscard]] SystemTime LandsUntil(PendingKind kind) const;
  // The one that may land last, of `kinds`, leaving out writes of the stamp `own`; null: none.
  [[nodiscard]] const PendingRequest* LastToLand(std::initializer_list<PendingKind> kinds,
                                                 SystemTime now,
                                                 std::optional<SystemTime> own = {}) const;
  [[nodiscard]] const std::vector<PendingRequest>& all() const { return requests_; }

  // " <count>[ <c|w|k|d> <until> <stamp|->]…", in any number of fields without a space in them.
  [[nodiscard]] std::string Encode() const;
  // From the fields at the beginning of `rest`, which go. kCorrupt: none are there.
  static Result<PendingRequests> Decode(std::string_view& rest);

  bool operator==(const PendingRequests&) const = default;

 private:
  void MakeRoom(SystemTime now);

  std::vector<PendingRequest> requests_;
};

}  // namespace longhaul
