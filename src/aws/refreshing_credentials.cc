#include "aws/refreshing_credentials.h"

#include <algorithm>
#include <optional>

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using std::chrono::duration_cast;
using std::chrono::microseconds;

constexpr microseconds kAheadMax = 10min;
constexpr microseconds kRetryMax = 1min;
constexpr microseconds kDeniedFor = 5s;
constexpr microseconds kYoung = 10s;

// Who fetches, and who waits for that.
struct Round {
  uint64_t number = 0;
  bool running = false;
  WaitList waiters;
};

// Ends the round also where the coroutine that fetches is destroyed.
class RoundEnd {
 public:
  explicit RoundEnd(std::shared_ptr<Round> round) : round_(std::move(round)) {
    ++round_->number;
    round_->running = true;
  }
  RoundEnd(const RoundEnd&) = delete;
  RoundEnd& operator=(const RoundEnd&) = delete;
  ~RoundEnd() {
    round_->running = false;
    round_->waiters.NotifyAll();
  }

 private:
  std::shared_ptr<Round> round_;
};

class RefreshingCredentials : public CredentialsProvider {
 public:
  RefreshingCredentials(const Runtime& runtime, std::unique_ptr<CredentialsSource> source)
      : runtime_(runtime), source_(std::move(source)) {}

  Async<std::shared_ptr<const Credentials>> Get() override {
    while (true) {
      const SystemTime now = runtime_.clock.Now();
      if (current_ && now < fetch_at_) co_return current_;
      if (!round_->running) break;
      if (current_ && IsValid(now)) co_return current_;
      const uint64_t number = round_->number;
      while (round_->running && round_->number == number) co_await round_->waiters.Wait();
      if (failed_round_ == number) co_return failure_;
    }
    if (!current_ && failure_.kind == ErrorKind::kDenied &&
        runtime_.clock.SteadyNow() < denied_until_) {
      co_return failure_;
    }
    co_return co_await Fetch();
  }

  bool Invalidate() override {
    if (fetched_at_ && runtime_.clock.SteadyNow() - *fetched_at_ < kYoung) return true;
    current_ = nullptr;
    denied_until_ = {};
    return true;
  }

 private:
  bool IsValid(SystemTime now) const { return !current_->expires || now < *current_->expires; }

  // Half of `most` to all of it.
  microseconds Spread(microseconds most) {
    return most / 2 + microseconds(static_cast<int64_t>(static_cast<double>(most.count() / 2) *
                                                        runtime_.random.Unit()));
  }

  SystemTime FetchAt(const Credentials& credentials, SystemTime now) {
    if (!credentials.expires) return SystemTime::max();
    const microseconds life = *credentials.expires - now;
    // Run out on arrival: a clock that is wrong, or a service that has nothing newer.
    if (life <= 0s) return now + kRetryMax;
    return *credentials.expires - Spread(std::min(kAheadMax, life / 3));
  }

  Async<std::shared_ptr<const Credentials>> Fetch() {
    const RoundEnd end(round_);
    const uint64_t number = round_->number;
    Result<Credentials> fetched = co_await source_->Fetch();
    const SystemTime now = runtime_.clock.Now();
    if (fetched) {
      fetch_at_ = FetchAt(*fetched, now);
      fetched_at_ = runtime_.clock.SteadyNow();
      current_ = std::make_shared<const Credentials>(std::move(*fetched));
      co_return current_;
    }
    if (current_ && IsValid(now)) {
      fetch_at_ = now + Spread(kRetryMax);
      if (current_->expires) fetch_at_ = std::min(fetch_at_, *current_->expires);
      runtime_.log.Warning("credentials not refreshed", {fetched.error()});
      co_return current_;
    }
    current_ = nullptr;
    failure_ = fetched.error();
    failed_round_ = number;
    denied_until_ = runtime_.clock.SteadyNow() + kDeniedFor;
    co_return failure_;
  }

  Runtime runtime_;
  std::unique_ptr<CredentialsSource> source_;
  std::shared_ptr<const Credentials> current_;
  SystemTime fetch_at_{};
  // These two by the clock that nobody sets: back, it would keep a process out for so long.
  std::optional<SteadyTime> fetched_at_;
  SteadyTime denied_until_{};
  Error failure_;
  uint64_t failed_round_ = 0;
  // shared with the end of a round, which may outlive this in a coroutine that is being destroyed.
  std::shared_ptr<Round> round_ = std::make_shared<Round>();
};

}  // namespace

std::shared_ptr<CredentialsProvider> MakeRefreshingCredentials(
    const Runtime& runtime, std::unique_ptr<CredentialsSource> source) {
  return std::make_shared<RefreshingCredentials>(runtime, std::move(source));
}

}  // namespace longhaul
