// ClientPool: the connections of the HTTP client, at work and kept, and their timeouts.
//
// Internal to the HTTP client. Belongs to its shard.

#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "net/client_connection.h"

namespace longhaul {

class ClientPool {
 public:
  ClientPool(const Runtime& runtime, size_t kept_max);
  // Destroys the coroutines that wait for a connection: they may hold leases, which find the pool
  // gone and do nothing.
  ~ClientPool();

  // A kept connection to `origin`, or null. `spare`: whether the request can be sent again if the
  // connection turns out dead; else it is looked at in any case.
  std::shared_ptr<ClientConnection> TakeKept(std::string_view origin, bool spare);
  // A connection that is not connected yet.
  std::shared_ptr<ClientConnection> TakeNew(std::string origin);
  // After its request. `keep`: it can serve another one.
  void GiveBack(std::shared_ptr<ClientConnection> connection, bool keep);

  using Endpoints = std::vector<ClientConnection::Endpoint>;
  // What Resolve found within the last minute, in the order in which to try it: each time another
  // one is first, and what let nobody in is last. Empty: ask.
  Endpoints NextAddresses(const std::string& origin);
  // Not where somebody else has noted some within the last minute.
  void NoteAddresses(const std::string& origin, Endpoints endpoints);
  // Connects to the first of `endpoints` that lets us in, as far as `begin` says so, until the
  // connection's connect_deadline. One that is silent takes no more than its share of that time.
  // `by`: what errors of the connection itself are told of; may be empty.
  using Begin = std::function<Async<void>(ClientConnection& connection)>;
  Async<void> Connect(ClientConnection& connection, std::string origin, Endpoints endpoints,
                      std::string by, Begin begin);

  [[nodiscard]] Clock& clock() const { return clock_; }

 private:
  void Activate(ClientConnection& connection);
  void StartSweeper();
  void Sweep();
  void DropOld();

  void NoteFailed(const std::string& origin, const ClientConnection::Endpoint& endpoint);

  struct Addresses {
    Endpoints endpoints;
    ptrdiff_t failed = 0;  // So many at the end.
    SteadyTime until{};
  };

  asio::any_io_executor executor_;
  Clock& clock_;
  size_t kept_max_;
  std::vector<ClientConnection*> active_;
  // By origin; the last one was used last.
  std::map<std::string, std::vector<std::shared_ptr<ClientConnection>>, std::less<>> kept_;
  size_t kept_count_ = 0;
  std::map<std::string, Addresses, std::less<>> addresses_;
  std::unique_ptr<Clock::Timer> sweeper_;
};

// The use of a connection. Weak, because a coroutine that waits for a connection owns its lease.
class ClientLease {
 public:
  ClientLease(const std::shared_ptr<ClientPool>& pool, std::shared_ptr<ClientConnection> connection)
      : pool_(pool), connection_(std::move(connection)) {}
  ClientLease(ClientLease&&) noexcept = default;
  ClientLease& operator=(ClientLease&&) = delete;
  ~ClientLease() { End(false); }

  // Gives the connection back; `keep`: for another request.
  void End(bool keep) {
    if (!connection_) return;
    if (std::shared_ptr<ClientPool> pool = pool_.lock()) {
      pool->GiveBack(std::move(connection_), keep);
    } else {
      connection_->Close();
    }
    connection_.reset();
  }
  [[nodiscard]] ClientConnection* connection() const { return connection_.get(); }
  [[nodiscard]] bool pool_is_gone() const { return pool_.expired(); }

 private:
  std::weak_ptr<ClientPool> pool_;
  std::shared_ptr<ClientConnection> connection_;
};

}  // namespace longhaul
