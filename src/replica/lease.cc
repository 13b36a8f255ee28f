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
  expires_ = clock_.Now() + lifetime_;
  StateWrite write{
      .key = name_, .value = owner_, .expected = Expected::Absent(), .expires = expires_};
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
  SystemTime expires = clock_.Now() + lifetime_;
  StateWrite write{
      .key = name_, .value = owner_, .expected = Expected::Revision(revision_), .expires = expires};
  Result<int64_t> revision = co_await state_.Write(kPartition, std::move(write));
  if (!revision) co_return revision.error().In("extend lease " + name_);
  revision_ = *revision;
  expires_ = expires;
  co_return Ok();
}

Async<void> Lease::LastFor(std::chrono::milliseconds duration) {
  if (clock_.Now() + duration <= expires_) co_return Ok();
  co_return co_await Extend();
}

Async<void> Lease::CheckStillHeld() { co_return co_await Extend(); }

asio::awaitable<void> Lease::Release() {
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
