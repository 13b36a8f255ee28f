#include "cache/session.h"

namespace longhaul::cache {

namespace {

// A delete that was asked for must not arrive after the claim has gone to somebody else.
constexpr std::chrono::seconds kHoldMin{5};

}  // namespace

bool ClaimsHold(const Claimant& claimant, SystemTime now) {
  return claimant.lease_until > now + kHoldMin;
}

bool ClaimsHold(const Claimant& claimed, const Claimant& claimant, SystemTime now) {
  return claimed.session == claimant.session && claimed.lapses == claimant.lapses &&
         ClaimsHold(claimant, now);
}

RunSession::RunSession(Runtime runtime, State& state, Place place, ProcessName owner,
                       std::chrono::milliseconds lease)
    : runtime_(runtime),
      book_(runtime, state, std::move(place)),
      owner_(std::move(owner)),
      lease_(lease),
      helpers_(runtime.executor) {}

Async<void> RunSession::Begin(Run run) {
  run.session = NewUlid(runtime_.clock.Now(), runtime_.random);
  run.owner = owner_;
  run.started = runtime_.clock.Now();
  run.lease_until = run.started + lease_;
  Result<Run> begun = co_await book_.Begin(std::move(run));
  if (!begun) co_return begun.error();
  run_ = std::move(*begun);
  helpers_.Spawn(KeepLease());
  co_return Ok();
}

bool RunSession::Holds() const { return !lost_ && ClaimsHold(claimant(), runtime_.clock.Now()); }

Claimant RunSession::claimant() const {
  // From when the lease has run out until another session has one, nothing is held, although the
  // row may have been written meanwhile.
  const bool held = next_session_.empty();
  return {.run = run_.number,
          .session = run_.session,
          .lease_until = held ? run_.lease_until : SystemTime{}};
}

Async<void> RunSession::KeepLease() {
  while (!co_await ended_.WaitFor(runtime_.clock, lease_ / 3)) {
    Result<void> renewed = co_await Renew();
    if (renewed || renewed.error().Transient()) continue;
    lost_ = true;
    runtime_.log.Warning("the lease of a cache's run is lost",
                         {{"run", run_.number}, LogField(renewed.error())});
    co_return Ok();
  }
  co_return Ok();
}

Async<void> RunSession::Renew() {
  const SystemTime held_until = run_.lease_until;
  if (runtime_.clock.Now() >= held_until) ChangeSession();
  Run next = run_;
  next.counts = counts;
  if (!next_session_.empty()) next.session = next_session_;
  next.lease_until = runtime_.clock.Now() + lease_;
  const bool same = next.session == run_.session;
  Result<void> saved = co_await Save(std::move(next));
  if (!saved) co_return saved;
  // It was answered too late: meanwhile others have taken it for dead.
  if (same && runtime_.clock.Now() >= held_until) {
    ChangeSession();
    co_return co_await Renew();
  }
  co_return Ok();
}

void RunSession::ChangeSession() {
  if (next_session_.empty()) next_session_ = NewUlid(runtime_.clock.Now(), runtime_.random);
}

Async<void> RunSession::Save(Run row) {
  Result<Run> saved = co_await book_.Save(row);
  if (!saved && saved.error().kind == ErrorKind::kPrecondition) {
    // Perhaps by a write of ours whose answer was lost.
    Result<Run> found = co_await book_.Find(run_.number);
    if (!found) co_return found.error();
    if (found->session != run_.session && found->session != row.session) co_return saved.error();
    row.revision = found->revision;
    saved = co_await book_.Save(std::move(row));
  }
  if (!saved) co_return saved.error();
  run_ = std::move(*saved);
  if (run_.session == next_session_) next_session_.clear();
  co_return Ok();
}

Async<void> RunSession::End(RunPhase phase) {
  ended_.Set();
  Result<void> helped = co_await helpers_.Join();
  static_cast<void>(helped);
  Run last = run_;
  last.counts = counts;
  last.phase = phase;
  last.ended = runtime_.clock.Now();
  if (!next_session_.empty()) last.session = next_session_;
  Result<void> saved = co_await Save(last);
  for (int tries = 0; !saved && saved.error().Transient() && tries < 5; ++tries) {
    co_await runtime_.clock.Sleep(std::chrono::milliseconds(200));
    saved = co_await Save(last);
  }
  co_return saved;
}

}  // namespace longhaul::cache
