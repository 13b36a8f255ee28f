// RunSession: a run of a cache that is at work, with its lease kept, for whoever is not a fill.
//
// Its row is written again and again, so that its claims hold (run_book.h). Whoever acts on a claim
// asks Holds() right before: a session that was stopped for longer than its lease (by a debugger, a
// frozen machine) finds that its claims may be others' by now, and leaves them alone.
//
// A lease that has run out, as while State is away, is taken anew under another session: what was
// claimed before is free, as all others take it to be since, and nobody waits for it.

#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "cache/run_book.h"

namespace longhaul::cache {

// Who makes claims: a run's number and session, and until when they hold unless renewed.
struct Claimant {
  int64_t run = 0;
  std::string session;
  SystemTime lease_until{};
  // How often its lease had run out before it was renewed. What was claimed before that may have
  // been taken over.
  int64_t lapses = 0;
};

class RunSession {
 public:
  RunSession(Runtime runtime, State& state, Place place, ProcessName owner,
             std::chrono::milliseconds lease = std::chrono::seconds(30));

  // Writes the row of `run` (its number, session and lease are set here) and keeps the lease from
  // now on. Errors are those of State.
  Async<void> Begin(Run run);
  // Once after Begin, before it is destroyed.
  Async<void> End(RunPhase phase);

  [[nodiscard]] bool begun() const { return run_.number != 0; }
  [[nodiscard]] const Run& run() const { return run_; }
  [[nodiscard]] Claimant claimant() const;
  // Whether claims of this session hold, and will for a third of the lease.
  [[nodiscard]] bool Holds() const;
  // Written with the row.
  FillCounts counts;

 private:
  Async<void> KeepLease();
  Async<void> Renew();
  void ChangeSession();
  Async<void> Save(Run row);

  Runtime runtime_;
  RunBook book_;
  ProcessName owner_;
  std::chrono::milliseconds lease_;
  Run run_;
  Event ended_;
  bool lost_ = false;
  std::string next_session_;  // Set: the lease has run out, and this one is to follow.
  TaskGroup helpers_;
};

// Whether what `claimant` holds may be acted upon: the lease has a while to go.
bool ClaimsHold(const Claimant& claimant, SystemTime now);
// The same of what `claimed` has claimed, when `claimant` is who claims now.
bool ClaimsHold(const Claimant& claimed, const Claimant& claimant, SystemTime now);

// Repeats what State may do better a moment later, while the claims hold.
template <class Make>
auto RepeatedWhileHeld(Clock& clock, std::function<Claimant()> claimant, Make make)
    -> decltype(make()) {
  std::chrono::milliseconds pause{100};
  while (true) {
    auto result = co_await make();
    if (result || !result.error().Transient() || clock.Now() >= claimant().lease_until) {
      co_return result;
    }
    co_await clock.Sleep(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(2000));
  }
}

}  // namespace longhaul::cache
