#include "replica/lease.h"

#include <utility>

namespace longhaul {

namespace {
constexpr char kPartition[] = "lease";
}

Lease::Lease(State& state, Clock& clock, std::string name, std::string owner,
             std::chrono::milliseconds lifetime)
    : state_(state),
      clock_(clock),
      name_(std::move(name)),
      owner_(std::move(owner)),
      lifetime_(lifetime) {}

Async<bool> Lease::TryAcquire() {
  const SystemTime now = clock_.Now();
  expires_ = now + lifetime_;
  in_doubt_ = false;
  // Two of a process may want it one after the other: they must not take each other for themselves.
  value_ = owner_ + " " + std::to_string(now.time_since_epoch().count());
  StateWrite write{
      .key = name_, .value = value_, .expected = Expected::Absent(), .expires = expires_};
  Result<int64_t> revision = co_await state_.Write(kPartition, std::move(write));
  if (revision) {
    revision_ = *revision;
    co_return true;
  }
  if (revision.error().kind == ErrorKind::kPrecondition) co_return false;
  co_return revision.error().In("take lease " + name_);
}

Async<void> Lease::Acquire(std::chrono::milliseconds timeout) {
  const SteadyTime deadline = clock_.SteadyNow() + timeout;
  while (true) {
    Result<bool> acquired = co_await TryAcquire();
    if (!acquired) co_return acquired.error();
    if (*acquired) co_return Ok();
    if (clock_.SteadyNow() >= deadline) {
      co_return Error{.kind = ErrorKind::kRetryable,
                      .message = "lease " + name_ + " is taken",
                      .code = std::string(kLeaseTakenCode)};
    }
    co_await clock_.Sleep(std::chrono::milliseconds(250));
  }
}

Async<void> Lease::Extend() {
  co_await extending_->Acquire();
  Permit permit(extending_);
  co_return co_await ExtendAlone();
}

Async<void> Lease::ExtendAlone() {
  const bool in_doubt = in_doubt_;
  Result<void> extended = co_await ExtendOnce();
  if (extended || !in_doubt || extended.error().kind != ErrorKind::kPrecondition) {
    co_return extended;
  }
  Result<bool> own = co_await FindOwn();
  if (!own) co_return own.error();
  if (!*own) co_return extended;
  co_return co_await ExtendOnce();
}

Async<void> Lease::ExtendOnce() {
  SystemTime expires = clock_.Now() + lifetime_;
  StateWrite write{
      .key = name_, .value = value_, .expected = Expected::Revision(revision_), .expires = expires};
  Result<int64_t> revision = co_await state_.Write(kPartition, std::move(write));
  if (!revision) {
    if (revision.error().kind != ErrorKind::kPrecondition) in_doubt_ = true;
    co_return revision.error().In("extend lease " + name_);
  }
  in_doubt_ = false;
  revision_ = *revision;
  expires_ = expires;
  co_return Ok();
}

Async<bool> Lease::FindOwn() {
  Result<std::optional<StateRow>> row = co_await state_.Get(kPartition, name_);
  if (!row) co_return row.error().In("look at lease " + name_);
  in_doubt_ = false;
  if (!*row || (*row)->value != value_) co_return false;
  revision_ = (*row)->revision;
  co_return true;
}

Async<void> Lease::LastFor(std::chrono::milliseconds duration) {
  if (clock_.Now() + duration <= expires_) co_return Ok();
  co_await extending_->Acquire();
  Permit permit(extending_);
  if (clock_.Now() + duration <= expires_) co_return Ok();  // Somebody else has extended it.
  co_return co_await ExtendAlone();
}

Async<void> Lease::CheckStillHeld() { co_return co_await Extend(); }

asio::awaitable<void> Lease::Release() {
  if (in_doubt_) {
    Result<bool> own = co_await FindOwn();
    static_cast<void>(own);
  }
  StateWrite write{.key = name_, .value = std::nullopt, .expected = Expected::Revision(revision_)};
  Result<int64_t> removed = co_await state_.Write(kPartition, std::move(write));
  static_cast<void>(removed);
}

Async<void> KeepLease(Clock& clock, Lease& lease, Event& done, std::chrono::milliseconds interval) {
  while (!co_await done.WaitFor(clock, interval)) {
    Result<void> extended = co_await lease.Extend();
    if (!extended && extended.error().kind == ErrorKind::kPrecondition) break;
  }
  co_return Ok();
}

}  // namespace longhaul
