#include "net/plain_pool.h"

#include "base/check.h"
#include "base/retry.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr auto kSweepInterval = 250ms;
// Servers close idle connections after 60 s and more (nginx 75 s, S3 less under load: looked at
// before each use).
constexpr auto kKeptFor = 60s;
constexpr auto kAddressesKnownFor = 60s;

}  // namespace

PlainPool::PlainPool(const Runtime& runtime, size_t kept_max)
    : executor_(runtime.executor), clock_(runtime.clock), kept_max_(kept_max) {}

PlainPool::~PlainPool() {
  sweeper_.reset();
  for (PlainConnection* connection : active_) {
    connection->Abandon();
    connection->Close();
  }
}

std::shared_ptr<PlainConnection> PlainPool::TakeKept(std::string_view origin) {
  auto found = kept_.find(origin);
  if (found == kept_.end()) return nullptr;
  std::vector<std::shared_ptr<PlainConnection>>& kept = found->second;
  const SteadyTime oldest = clock_.SteadyNow() - kKeptFor;
  while (!kept.empty()) {
    std::shared_ptr<PlainConnection> connection = std::move(kept.back());
    kept.pop_back();
    --kept_count_;
    if (connection->kept_since >= oldest && connection->IsQuiet()) {
      Activate(*connection);
      return connection;
    }
    connection->Close();
  }
  return nullptr;
}

std::shared_ptr<PlainConnection> PlainPool::TakeNew(std::string origin) {
  auto connection = std::make_shared<PlainConnection>(executor_, std::move(origin));
  Activate(*connection);
  return connection;
}

void PlainPool::Activate(PlainConnection& connection) {
  connection.active_index = active_.size();
  active_.push_back(&connection);
  if (!sweeper_) StartSweeper();
}

void PlainPool::GiveBack(std::shared_ptr<PlainConnection> connection, bool keep) {
  const size_t index = connection->active_index;
  LH_CHECK(index < active_.size() && active_[index] == connection.get());
  active_[index] = active_.back();
  active_[index]->active_index = index;
  active_.pop_back();
  if (!keep || !connection->drained() || kept_count_ >= kept_max_) {
    connection->Close();
    return;
  }
  connection->kept_since = clock_.SteadyNow();
  ++kept_count_;
  kept_[connection->origin()].push_back(std::move(connection));
}

const std::vector<PlainConnection::Endpoint>* PlainPool::FindAddresses(
    const std::string& origin) const {
  auto found = addresses_.find(origin);
  if (found == addresses_.end() || found->second.until <= clock_.SteadyNow()) return nullptr;
  return &found->second.endpoints;
}

void PlainPool::NoteAddresses(const std::string& origin,
                              std::vector<PlainConnection::Endpoint> endpoints) {
  addresses_[origin] = {.endpoints = std::move(endpoints),
                        .until = clock_.SteadyNow() + kAddressesKnownFor};
}

void PlainPool::StartSweeper() {
  sweeper_ = clock_.StartTimer(kSweepInterval, [this] {
    sweeper_.reset();
    Sweep();
    DropOld();
    if ((!active_.empty() || kept_count_ > 0) && !sweeper_) StartSweeper();
  });
}

// What a burst has left would stay for good, its ends at the servers long closed.
void PlainPool::DropOld() {
  const SteadyTime oldest = clock_.SteadyNow() - kKeptFor;
  for (auto& [origin, kept] : kept_) {
    auto end = kept.begin();
    while (end != kept.end() && (*end)->kept_since < oldest) (*end++)->Close();
    kept_count_ -= static_cast<size_t>(end - kept.begin());
    kept.erase(kept.begin(), end);
  }
}

void PlainPool::Sweep() {
  const SteadyTime now = clock_.SteadyNow();
  // Expire resumes coroutines, which may give connections back and take others.
  std::vector<std::pair<std::shared_ptr<PlainConnection>, Error>> expired;
  auto expire = [&expired](PlainConnection& connection, std::string why,
                           std::string_view code = kTimeoutCode) {
    Error error = Retryable(std::move(why));
    error.code = code;
    expired.emplace_back(connection.shared_from_this(), std::move(error));
  };
  for (PlainConnection* connection : active_) {
    if (connection->deadline <= now) {
      expire(*connection, "no complete answer in time");
    } else if (connection->connect_deadline <= now) {
      expire(*connection, "not connected to " + connection->origin() + " in time", kNotSentCode);
    } else if (connection->waiting() && connection->connect_deadline == SteadyTime::max() &&
               ++connection->idle_sweeps * kSweepInterval > connection->timeouts.stall) {
      expire(*connection,
             "stalled: no byte in " + std::to_string(connection->timeouts.stall.count()) + " ms");
    }
  }
  for (auto& [connection, error] : expired) connection->Expire(std::move(error));
}

}  // namespace longhaul
