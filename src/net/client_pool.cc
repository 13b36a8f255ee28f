#include "net/client_pool.h"

#include "base/check.h"
#include "base/retry.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr auto kSweepInterval = 250ms;
// Servers close idle connections after 60 s and more (nginx 75 s, S3 less under load: looked at
// before they are used again).
constexpr auto kKeptFor = 60s;
// So soon hardly any server closes, or says anything, of its own accord: a look, one system call of
// five, would find nothing.
constexpr auto kSurelyThereFor = 100ms;
constexpr auto kAddressesKnownFor = 60s;

}  // namespace

ClientPool::ClientPool(const Runtime& runtime, size_t kept_max)
    : executor_(runtime.executor), clock_(runtime.clock), kept_max_(kept_max) {}

ClientPool::~ClientPool() {
  sweeper_.reset();
  for (ClientConnection* connection : active_) {
    connection->Abandon();
    connection->Close();
  }
}

std::shared_ptr<ClientConnection> ClientPool::TakeKept(std::string_view origin, bool spare) {
  auto found = kept_.find(origin);
  if (found == kept_.end()) return nullptr;
  std::vector<std::shared_ptr<ClientConnection>>& kept = found->second;
  const SteadyTime now = clock_.SteadyNow();
  while (!kept.empty()) {
    std::shared_ptr<ClientConnection> connection = std::move(kept.back());
    kept.pop_back();
    --kept_count_;
    const auto idle = now - connection->kept_since;
    const bool look = !spare || idle > kSurelyThereFor;
    if (idle <= kKeptFor && connection->IsQuiet(look)) {
      Activate(*connection);
      return connection;
    }
    connection->Close();
  }
  return nullptr;
}

std::shared_ptr<ClientConnection> ClientPool::TakeNew(std::string origin) {
  auto connection = std::make_shared<ClientConnection>(executor_, std::move(origin));
  Activate(*connection);
  return connection;
}

void ClientPool::Activate(ClientConnection& connection) {
  connection.active_index = active_.size();
  active_.push_back(&connection);
  if (!sweeper_) StartSweeper();
}

void ClientPool::GiveBack(std::shared_ptr<ClientConnection> connection, bool keep) {
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

const std::vector<ClientConnection::Endpoint>* ClientPool::FindAddresses(
    const std::string& origin) const {
  auto found = addresses_.find(origin);
  if (found == addresses_.end() || found->second.until <= clock_.SteadyNow()) return nullptr;
  return &found->second.endpoints;
}

void ClientPool::NoteAddresses(const std::string& origin,
                               std::vector<ClientConnection::Endpoint> endpoints) {
  addresses_[origin] = {.endpoints = std::move(endpoints),
                        .until = clock_.SteadyNow() + kAddressesKnownFor};
}

void ClientPool::StartSweeper() {
  sweeper_ = clock_.StartTimer(kSweepInterval, [this] {
    sweeper_.reset();
    Sweep();
    DropOld();
    if ((!active_.empty() || kept_count_ > 0) && !sweeper_) StartSweeper();
  });
}

// What a burst has left would stay for good, its ends at the servers long closed.
void ClientPool::DropOld() {
  const SteadyTime oldest = clock_.SteadyNow() - kKeptFor;
  for (auto& [origin, kept] : kept_) {
    auto end = kept.begin();
    while (end != kept.end() && (*end)->kept_since < oldest) (*end++)->Close();
    kept_count_ -= static_cast<size_t>(end - kept.begin());
    kept.erase(kept.begin(), end);
  }
}

void ClientPool::Sweep() {
  const SteadyTime now = clock_.SteadyNow();
  // Expire resumes coroutines, which may give connections back and take others.
  std::vector<std::pair<std::shared_ptr<ClientConnection>, Error>> expired;
  auto expire = [&expired](ClientConnection& connection, std::string why,
                           std::string_view code = kTimeoutCode) {
    Error error = Retryable(std::move(why));
    error.code = code;
    expired.emplace_back(connection.shared_from_this(), std::move(error));
  };
  for (ClientConnection* connection : active_) {
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
