// PlainPool: the connections of the client for http://, at work and kept, and their timeouts.
//
// Internal to the HTTP client. Belongs to its shard.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "net/plain_connection.h"

namespace longhaul {

// Where a URL leads.
struct PlainOrigin {
  std::string name;  // "host:port"
  std::string host;
  uint16_t port = 80;
};

class PlainPool {
 public:
  PlainPool(const Runtime& runtime, size_t kept_max);
  // Destroys the coroutines that wait for a connection: they may hold leases, which find the pool
  // gone and do nothing.
  ~PlainPool();

  // A kept connection to `origin`, or null.
  std::shared_ptr<PlainConnection> TakeKept(std::string_view origin);
  // A connection that is not connected yet.
  std::shared_ptr<PlainConnection> TakeNew(std::string origin);
  // After its request. `keep`: it can serve another one.
  void GiveBack(std::shared_ptr<PlainConnection> connection, bool keep);

  // What Resolve found within the last minute; null: ask.
  const std::vector<PlainConnection::Endpoint>* FindAddresses(const std::string& origin) const;
  void NoteAddresses(const std::string& origin, std::vector<PlainConnection::Endpoint> endpoints);

  [[nodiscard]] Clock& clock() const { return clock_; }

 private:
  void Activate(PlainConnection& connection);
  void StartSweeper();
  void Sweep();
  void DropOld();

  struct Addresses {
    std::vector<PlainConnection::Endpoint> endpoints;
    SteadyTime until{};
  };

  asio::any_io_executor executor_;
  Clock& clock_;
  size_t kept_max_;
  std::vector<PlainConnection*> active_;
  // By origin; the last one was used last.
  std::map<std::string, std::vector<std::shared_ptr<PlainConnection>>, std::less<>> kept_;
  size_t kept_count_ = 0;
  std::map<std::string, Addresses, std::less<>> addresses_;
  std::unique_ptr<Clock::Timer> sweeper_;
};

// The use of a connection. Weak, because a coroutine that waits for a connection owns its lease.
class PlainLease {
 public:
  PlainLease(const std::shared_ptr<PlainPool>& pool, std::shared_ptr<PlainConnection> connection)
      : pool_(pool), connection_(std::move(connection)) {}
  PlainLease(PlainLease&&) noexcept = default;
  PlainLease& operator=(PlainLease&&) = delete;
  ~PlainLease() { End(false); }

  // Gives the connection back; `keep`: for another request.
  void End(bool keep) {
    if (!connection_) return;
    if (std::shared_ptr<PlainPool> pool = pool_.lock()) {
      pool->GiveBack(std::move(connection_), keep);
    } else {
      connection_->Close();
    }
    connection_.reset();
  }
  [[nodiscard]] PlainConnection* connection() const { return connection_.get(); }
  [[nodiscard]] bool pool_is_gone() const { return pool_.expired(); }

 private:
  std::weak_ptr<PlainPool> pool_;
  std::shared_ptr<PlainConnection> connection_;
};

}  // namespace longhaul
