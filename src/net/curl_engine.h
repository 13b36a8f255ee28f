// CurlEngine: libcurl's multi interface, its sockets and timers driven by Asio.
//
// Internal to the HTTP client. It owns a CurlSlot for each request under way and keeps finished
// ones for reuse. Nothing is removed or destroyed inside a callback of curl.

#pragma once

#include <curl/curl.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "net/curl_slot.h"
#include "net/http_client.h"

namespace longhaul {

class CurlEngine;

// One socket of curl's. Shared with the handlers of pending waits, which may outlive its close.
struct CurlSocket {
  CurlSocket(CurlEngine* engine, const asio::any_io_executor& executor, int fd)
      : engine(engine), descriptor(executor, fd), fd(fd) {}
  CurlEngine* engine;  // Null once closed.
  asio::posix::stream_descriptor descriptor;
  int fd;
  bool opened_here = false;
  bool wants_read = false;
  bool wants_write = false;
  bool waiting_read = false;
  bool waiting_write = false;
};

class CurlEngine : public std::enable_shared_from_this<CurlEngine> {
 public:
  CurlEngine(const Runtime& runtime, const HttpClientOptions& options);
  ~CurlEngine();

  // A slot of its own for one request.
  CurlSlot* Take();
  // Ends whatever `slot` does and keeps it for the next request.
  void GiveBack(CurlSlot* slot);
  // kInvalidInput: what cannot be sent.
  Result<void> Start(CurlSlot* slot, const HttpRequest& request);
  // Tells curl what is paused now. Not inside a callback.
  void ApplyPause(CurlSlot* slot);

 private:
  CURL* NewEasy(CurlSlot* slot);
  void Remove(CurlSlot* slot);
  void Action(curl_socket_t fd, int events);
  void CheckDone();
  void Finish(CurlSlot* slot, CURLcode result);

  // Timeouts that curl has no cheap or fitting one for.
  void StartSweeper();
  void Sweep();
  void Expire(CurlSlot* slot, std::string why);

  // curl's callbacks, and what they need.
  static curl_socket_t OnOpenSocket(void* user, curlsocktype, curl_sockaddr* address);
  static int OnCloseSocket(void* user, curl_socket_t fd);
  CurlSocket* SocketFor(int fd);
  void Forget(int fd);
  static int OnSocket(CURL*, curl_socket_t fd, int what, void* user, void*);
  void Arm(const std::shared_ptr<CurlSocket>& socket);
  static void OnReady(const std::shared_ptr<CurlSocket>& socket, int events, bool wanted,
                      const boost::system::error_code& error);
  static int OnTimer(CURLM*, long timeout_ms, void* user);
  void PostTimeout();
  // A timer that runs already is left alone when it fires soon enough: curl moves its timeout with
  // every request, and each move would be a system call.
  void ArmTimer();

  asio::any_io_executor executor_;
  Clock& clock_;
  HttpClientOptions options_;
  CURLM* multi_ = nullptr;
  std::vector<std::unique_ptr<CurlSlot>> slots_;
  std::vector<CurlSlot*> free_;
  std::unordered_map<int, std::shared_ptr<CurlSocket>> sockets_;
  int active_ = 0;
  std::unique_ptr<Clock::Timer> sweeper_;
  asio::steady_timer timer_;
  bool timer_running_ = false;
  SteadyTime timer_at_{};
  SteadyTime timeout_ = SteadyTime::max();
  bool timeout_posted_ = false;
};

// The use of a slot. Weak, because a coroutine that is parked in the engine owns its lease.
class CurlLease {
 public:
  explicit CurlLease(const std::shared_ptr<CurlEngine>& engine)
      : engine_(engine), slot_(engine->Take()) {}
  CurlLease(CurlLease&& other) noexcept
      : engine_(std::move(other.engine_)), slot_(std::exchange(other.slot_, nullptr)) {}
  CurlLease& operator=(CurlLease&&) = delete;
  ~CurlLease() {
    if (slot_ == nullptr) return;
    if (std::shared_ptr<CurlEngine> engine = engine_.lock()) engine->GiveBack(slot_);
  }
  [[nodiscard]] CurlSlot* slot() const { return slot_; }
  [[nodiscard]] const std::weak_ptr<CurlEngine>& engine() const { return engine_; }

 private:
  std::weak_ptr<CurlEngine> engine_;
  CurlSlot* slot_;
};

}  // namespace longhaul
