// A Lease: the right to work on something alone for a while, kept in State.
//
// It stands in where a store cannot write conditionally, and shares archives among processes. A
// lease runs out when its holder dies; whoever holds one checks after its work that it still did,
// and treats a lost one as "read again and decide".

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/async.h"
#include "base/clock.h"
#include "base/random.h"
#include "state/state.h"

namespace longhaul {

inline constexpr std::string_view kLeaseTakenCode = "LeaseTaken";

class Lease {
 public:
  // Not held yet. `name` is unique over all that is leased; `owner` over all processes.
  Lease(State& state, Clock& clock, std::string name, std::string owner,
        std::chrono::milliseconds lifetime);

  // True: it is ours for `lifetime` from now. False: someone else has it.
  Async<bool> TryAcquire();
  // Waits for it, looking again every quarter of a second, at most `timeout`; kRetryable with
  // kLeaseTakenCode then.
  Async<void> Acquire(std::chrono::milliseconds timeout);
  // Starts the lifetime anew. kPrecondition: it was lost. After another error it may be ours for
  // longer or not; the next Extend finds out.
  Async<void> Extend();
  // Has it last for at least `duration` from now: extends it where it does not. kPrecondition: it
  // was lost. Call it before a request that may take effect so long.
  Async<void> LastFor(std::chrono::milliseconds duration);
  // OK only when it is still ours now, with certainty.
  Async<void> CheckStillHeld();
  // Gives it back; never fails: a lease that cannot be given back runs out.
  asio::awaitable<void> Release();

 private:
  Async<void> ExtendAlone();
  Async<void> ExtendOnce();
  // Whether a write whose answer was lost has taken effect: then its revision is ours.
  Async<bool> FindOwn();

  State& state_;
  Clock& clock_;
  std::string name_;
  std::string owner_;
  std::chrono::milliseconds lifetime_;
  std::string value_;  // Of the row: this holder's, and this time that he holds it.
  int64_t revision_ = 0;
  bool in_doubt_ = false;  // The last write had no answer.
  SystemTime expires_{};
  // Its holder and KeepLease extend it: each must know the revision that the other one has left.
  std::shared_ptr<Semaphore> extending_ = std::make_shared<Semaphore>(1);
};

// Extends `lease` every `interval` until `done` is set, or the lease is lost. Run it beside work
// that may take longer than a lifetime.
Async<void> KeepLease(Clock& clock, Lease& lease, Event& done, std::chrono::milliseconds interval);

}  // namespace longhaul
