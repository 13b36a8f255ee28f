#include "net/client_pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

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
// At least, before the next address is tried: a first packet that was lost is sent again after one
// second (RFC 6298, 2.1).
constexpr auto kSilentFor = 2s;

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

ClientPool::Endpoints ClientPool::NextAddresses(const std::string& origin) {
  auto found = addresses_.find(origin);
  if (found == addresses_.end() || found->second.until <= clock_.SteadyNow()) return {};
  Endpoints& known = found->second.endpoints;
  Endpoints next = known;
  const auto good = known.end() - found->second.failed;
  if (good != known.begin()) std::rotate(known.begin(), known.begin() + 1, good);
  return next;
}

void ClientPool::NoteAddresses(const std::string& origin, Endpoints endpoints) {
  const SteadyTime now = clock_.SteadyNow();
  Addresses& known = addresses_[origin];
  // Many may have asked at once: to begin anew with each answer would send them all to its first.
  if (known.until > now && !known.endpoints.empty()) return;
  known = {.endpoints = std::move(endpoints), .failed = 0, .until = now + kAddressesKnownFor};
}

void ClientPool::NoteFailed(const std::string& origin, const ClientConnection::Endpoint& endpoint) {
  auto found = addresses_.find(origin);
  if (found == addresses_.end()) return;
  Addresses& known = found->second;
  const auto good = known.endpoints.end() - known.failed;
  const auto failed = std::find(known.endpoints.begin(), good, endpoint);
  if (failed == good) return;
  std::rotate(failed, failed + 1, known.endpoints.end());
  ++known.failed;
  if (known.failed == std::ssize(known.endpoints)) known.failed = 0;  // None is better.
}

Async<void> ClientPool::Connect(ClientConnection& connection, std::string origin,
                                Endpoints endpoints, std::string by, Begin begin) {
  const SteadyTime deadline = connection.connect_deadline;
  Result<void> connected = Retryable("no address");
  auto left = std::ssize(endpoints);
  for (const ClientConnection::Endpoint& endpoint : endpoints) {
    const SteadyTime now = clock_.SteadyNow();
    const SteadyTime share =
        now + std::max<SteadyTime::duration>((deadline - now) / left, kSilentFor);
    connection.connect_deadline = --left == 0 ? deadline : std::min(deadline, share);
    connected = co_await connection.Connect(endpoint);
    // One that has answered may take its time for the rest.
    connection.connect_deadline = deadline;
    if (!connected && !by.empty()) connected = connected.error().In(by);
    if (connected) connected = co_await begin(connection);
    if (connected || !connected.error().Transient()) break;
    NoteFailed(origin, endpoint);
    if (std::min(deadline, connection.deadline) <= clock_.SteadyNow()) break;
  }
  co_return connected;
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
