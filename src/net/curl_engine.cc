#include "net/curl_engine.h"

#include <unistd.h>

#include <boost/asio/post.hpp>

#include "base/check.h"
#include "base/retry.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr auto kSweepInterval = 250ms;

}  // namespace

CurlEngine::CurlEngine(const Runtime& runtime, const HttpClientOptions& options)
    : executor_(runtime.executor), clock_(runtime.clock), options_(options), timer_(executor_) {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  LH_CHECK(global == CURLE_OK);
  multi_ = curl_multi_init();
  LH_CHECK(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &OnSocket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &OnTimer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(2 * options.requests_max));
}

CurlEngine::~CurlEngine() {
  sweeper_.reset();
  // Parked coroutines first: they may hold leases, which find the engine gone and do nothing.
  for (auto& slot : slots_) slot->resume = nullptr;
  for (auto& slot : slots_) {
    if (slot->added) curl_multi_remove_handle(multi_, slot->easy);
    curl_easy_cleanup(slot->easy);
  }
  curl_multi_cleanup(multi_);
  for (auto& [fd, socket] : sockets_) {
    socket->engine = nullptr;
    socket->descriptor.release();
  }
}

CurlSlot* CurlEngine::Take() {
  if (free_.empty()) {
    slots_.push_back(std::make_unique<CurlSlot>());
    CurlSlot* slot = slots_.back().get();
    free_.push_back(slot);
  }
  CurlSlot* slot = free_.back();
  free_.pop_back();
  if (slot->easy == nullptr) slot->easy = NewEasy(slot);
  return slot;
}

void CurlEngine::GiveBack(CurlSlot* slot) {
  if (slot->added) Remove(slot);
  if (slot->error || !slot->done) {
    curl_easy_cleanup(slot->easy);
    slot->easy = nullptr;
  }
  ++slot->generation;
  slot->resume = nullptr;
  slot->headers.clear();
  slot->trailers.clear();
  if (slot->spill.capacity() > kSpillPauseBytes) slot->spill = {};
  slot->upload_buffer = {};
  free_.push_back(slot);
}

Result<void> CurlEngine::Start(CurlSlot* slot, const HttpRequest& request) {
  Result<void> prepared = slot->Prepare(request, clock_.SteadyNow());
  if (!prepared) return prepared;
  CURLMcode added = curl_multi_add_handle(multi_, slot->easy);
  if (added != CURLM_OK) {
    return InvalidInput(std::string("curl: ") + curl_multi_strerror(added));
  }
  slot->added = true;
  ++active_;
  if (!sweeper_) StartSweeper();
  return Ok();
}

void CurlEngine::ApplyPause(CurlSlot* slot) {
  if (!slot->added) return;
  int mask = (slot->receive_paused ? CURLPAUSE_RECV : 0) | (slot->send_paused ? CURLPAUSE_SEND : 0);
  curl_easy_pause(slot->easy, mask);
  CheckDone();
}

CURL* CurlEngine::NewEasy(CurlSlot* slot) {
  CURL* easy = curl_easy_init();
  LH_CHECK(easy != nullptr);
  auto set = [easy](CURLoption option, auto value) {
    LH_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK);
  };
  set(CURLOPT_PRIVATE, slot);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, slot->error_text);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_TCP_NODELAY, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_BUFFERSIZE, static_cast<long>(kSocketBufferBytes));
  set(CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(kSocketBufferBytes));
  set(CURLOPT_PROXY, options_.proxy.c_str());
  set(CURLOPT_NOPROXY, "");
  set(CURLOPT_SSL_VERIFYPEER, options_.verify_certificate ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, options_.verify_certificate ? 2L : 0L);
  if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
  set(CURLOPT_PREREQFUNCTION, &CurlSlot::OnRequest);
  set(CURLOPT_PREREQDATA, slot);
  set(CURLOPT_HEADERFUNCTION, &CurlSlot::OnHeader);
  set(CURLOPT_HEADERDATA, slot);
  set(CURLOPT_WRITEFUNCTION, &CurlSlot::OnBody);
  set(CURLOPT_WRITEDATA, slot);
  set(CURLOPT_READFUNCTION, &CurlSlot::OnUpload);
  set(CURLOPT_READDATA, slot);
  set(CURLOPT_SEEKFUNCTION, &CurlSlot::OnSeek);
  set(CURLOPT_SEEKDATA, slot);
  set(CURLOPT_OPENSOCKETFUNCTION, &OnOpenSocket);
  set(CURLOPT_OPENSOCKETDATA, this);
  set(CURLOPT_CLOSESOCKETFUNCTION, &OnCloseSocket);
  set(CURLOPT_CLOSESOCKETDATA, this);
  return easy;
}

void CurlEngine::Remove(CurlSlot* slot) {
  curl_multi_remove_handle(multi_, slot->easy);
  slot->added = false;
  --active_;
}

void CurlEngine::Action(curl_socket_t fd, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  CheckDone();
}

void CurlEngine::CheckDone() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode result = message->data.result;
    CurlSlot* slot = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
    Finish(slot, result);
  }
}

void CurlEngine::Finish(CurlSlot* slot, CURLcode result) {
  slot->Finish(result);
  Remove(slot);
  slot->done = true;
  slot->Wake();
}

void CurlEngine::StartSweeper() {
  sweeper_ = clock_.StartTimer(kSweepInterval, [this] {
    sweeper_.reset();
    Sweep();
    if (active_ > 0 && !sweeper_) StartSweeper();
  });
}

void CurlEngine::Sweep() {
  SteadyTime now = clock_.SteadyNow();
  for (auto& slot : slots_) {
    if (!slot->added) continue;
    if (slot->deadline <= now) {
      Expire(slot.get(), "no complete answer in time");
    } else if (slot->receive_paused || slot->NeedsBody()) {
      slot->idle_sweeps = 0;  // Our own turn.
    } else if (++slot->idle_sweeps * kSweepInterval > slot->timeouts.stall) {
      Expire(slot.get(),
             "stalled: no byte in " + std::to_string(slot->timeouts.stall.count()) + " ms");
    }
  }
}

void CurlEngine::Expire(CurlSlot* slot, std::string why) {
  Error error = Retryable(std::move(why));
  error.code = kTimeoutCode;
  slot->Fail(std::move(error));
  Remove(slot);
  slot->done = true;
  slot->Wake();
}

curl_socket_t CurlEngine::OnOpenSocket(void* user, curlsocktype, curl_sockaddr* address) {
  int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  static_cast<CurlEngine*>(user)->SocketFor(fd)->opened_here = true;
  return fd;
}

int CurlEngine::OnCloseSocket(void* user, curl_socket_t fd) {
  static_cast<CurlEngine*>(user)->Forget(fd);
  return ::close(fd);
}

CurlSocket* CurlEngine::SocketFor(int fd) {
  auto& socket = sockets_[fd];
  if (!socket) socket = std::make_shared<CurlSocket>(this, executor_, fd);
  return socket.get();
}

void CurlEngine::Forget(int fd) {
  auto found = sockets_.find(fd);
  if (found == sockets_.end()) return;
  found->second->engine = nullptr;
  found->second->descriptor.release();  // curl closes it.
  sockets_.erase(found);
}

int CurlEngine::OnSocket(CURL*, curl_socket_t fd, int what, void* user, void*) {
  CurlEngine* engine = static_cast<CurlEngine*>(user);
  if (what == CURL_POLL_REMOVE) {
    auto found = engine->sockets_.find(fd);
    if (found == engine->sockets_.end()) return 0;
    found->second->wants_read = found->second->wants_write = false;
    // A connection stays registered while it is idle; what curl opened for itself does not.
    if (!found->second->opened_here) engine->Forget(fd);
    return 0;
  }
  std::shared_ptr<CurlSocket>& socket = engine->sockets_[fd];
  if (!socket) socket = std::make_shared<CurlSocket>(engine, engine->executor_, fd);
  socket->wants_read = (what & CURL_POLL_IN) != 0;
  socket->wants_write = (what & CURL_POLL_OUT) != 0;
  engine->Arm(socket);
  return 0;
}

void CurlEngine::Arm(const std::shared_ptr<CurlSocket>& socket) {
  using Descriptor = asio::posix::stream_descriptor;
  if (socket->wants_read && !socket->waiting_read) {
    socket->waiting_read = true;
    socket->descriptor.async_wait(Descriptor::wait_read,
                                  [socket](const boost::system::error_code& error) {
                                    socket->waiting_read = false;
                                    OnReady(socket, CURL_CSELECT_IN, socket->wants_read, error);
                                  });
  }
  if (socket->wants_write && !socket->waiting_write) {
    socket->waiting_write = true;
    socket->descriptor.async_wait(Descriptor::wait_write,
                                  [socket](const boost::system::error_code& error) {
                                    socket->waiting_write = false;
                                    OnReady(socket, CURL_CSELECT_OUT, socket->wants_write, error);
                                  });
  }
}

void CurlEngine::OnReady(const std::shared_ptr<CurlSocket>& socket, int events, bool wanted,
                         const boost::system::error_code& error) {
  if (error == asio::error::operation_aborted || socket->engine == nullptr || !wanted) return;
  socket->engine->Action(socket->fd, error ? events | CURL_CSELECT_ERR : events);
  if (socket->engine != nullptr) socket->engine->Arm(socket);
}

int CurlEngine::OnTimer(CURLM*, long timeout_ms, void* user) {
  CurlEngine* engine = static_cast<CurlEngine*>(user);
  if (timeout_ms < 0) {
    engine->timeout_ = SteadyTime::max();
  } else if (timeout_ms == 0) {
    engine->timeout_ = SteadyTime::max();
    engine->PostTimeout();
  } else {
    engine->timeout_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    engine->ArmTimer();
  }
  return 0;
}

void CurlEngine::PostTimeout() {
  if (timeout_posted_) return;
  timeout_posted_ = true;
  asio::post(executor_, [weak = weak_from_this()] {
    std::shared_ptr<CurlEngine> engine = weak.lock();
    if (!engine) return;
    engine->timeout_posted_ = false;
    engine->Action(CURL_SOCKET_TIMEOUT, 0);
  });
}

void CurlEngine::ArmTimer() {
  if (timer_running_ && timer_at_ <= timeout_) return;
  timer_running_ = true;
  timer_at_ = timeout_;
  timer_.expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(timer_at_));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    std::shared_ptr<CurlEngine> engine = weak.lock();
    if (error || !engine) return;
    engine->timer_running_ = false;
    if (engine->timeout_ == SteadyTime::max()) return;
    if (engine->timeout_ > std::chrono::steady_clock::now()) {
      engine->ArmTimer();
    } else {
      engine->timeout_ = SteadyTime::max();
      engine->Action(CURL_SOCKET_TIMEOUT, 0);
    }
  });
}

}  // namespace longhaul
