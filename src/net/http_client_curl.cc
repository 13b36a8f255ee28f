// HttpClient by libcurl's multi interface, its sockets and timers driven by Asio.
//
// The engine owns one slot (an easy handle, its buffers, the coroutine parked on it) per request
// under way and keeps finished ones for reuse. curl's callbacks only note what happened and wake
// the coroutine by a post: nothing is removed or destroyed inside a callback.

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <unordered_map>

#include "base/check.h"
#include "base/retry.h"
#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr size_t kSocketBufferBytes = 256 << 10;  // bench: 16K costs a third more CPU per GiB.
constexpr size_t kSpillPauseBytes = 64 << 10;
constexpr size_t kBodyWithHeadBytes = 64 << 10;  // curl sends smaller ones in the head's packet.
constexpr size_t kHeaderBytesMax = 64 << 10;
constexpr size_t kHeaderCountMax = 256;
constexpr auto kSweepInterval = 250ms;

class Engine;

// One request under way. Belongs to the engine; a Lease says who uses it.
struct Slot {
  Engine* engine = nullptr;
  CURL* easy = nullptr;
  uint64_t generation = 0;
  bool added = false;  // To the multi handle.

  std::string header_text;  // "Name: value\0" one after the other.
  std::vector<curl_slist> header_list;
  char error_text[CURL_ERROR_SIZE] = {};

  // Upload.
  std::span<const std::byte> upload;  // What curl may take now.
  bool upload_from_source = false;
  bool upload_ended = true;  // Nothing comes after `upload`.
  bool send_paused = false;
  std::span<const std::byte> rewind;  // The whole body, where it is contiguous.
  std::vector<std::byte> upload_buffer;

  // Download.
  int status = 0;
  bool head_done = false;
  size_t header_bytes = 0;
  HttpHeaders headers;
  HttpHeaders trailers;
  std::span<std::byte> out;  // Where the reader wants bytes now.
  size_t out_filled = 0;
  std::vector<std::byte> spill;  // What came while no reader waited.
  size_t spill_begin = 0;
  bool receive_paused = false;

  bool done = false;
  std::optional<Error> error;
  bool connection_was_reused = false;

  HttpTimeouts timeouts;
  int idle_sweeps = 0;
  SteadyTime deadline = SteadyTime::max();

  std::move_only_function<void()> resume;  // The parked coroutine.

  [[nodiscard]] bool NeedsBody() const {
    return upload_from_source && upload.empty() && !upload_ended;
  }
  // Send has nothing more to do: the head is here and the body has gone or is not wanted.
  [[nodiscard]] bool SendFinished() const {
    return done || (head_done && (status >= 400 || (upload.empty() && upload_ended)));
  }
  [[nodiscard]] size_t spilled() const { return spill.size() - spill_begin; }

  void Wake() {
    if (resume) std::exchange(resume, nullptr)();
  }
  void Fail(Error failure) {
    if (!error) error = std::move(failure);
  }
};

// One socket of curl's. Shared with the handlers of pending waits, which may outlive its close.
struct Socket {
  Socket(Engine* engine, const asio::any_io_executor& executor, int fd)
      : engine(engine), descriptor(executor, fd), fd(fd) {}
  Engine* engine;  // Null once closed.
  asio::posix::stream_descriptor descriptor;
  int fd;
  bool opened_here = false;
  bool wants_read = false;
  bool wants_write = false;
  bool waiting_read = false;
  bool waiting_write = false;
};

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine(const Runtime& runtime, const HttpClientOptions& options)
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

  ~Engine() {
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

  Slot* Take() {
    if (free_.empty()) {
      slots_.push_back(std::make_unique<Slot>());
      Slot* slot = slots_.back().get();
      slot->engine = this;
      free_.push_back(slot);
    }
    Slot* slot = free_.back();
    free_.pop_back();
    if (slot->easy == nullptr) slot->easy = NewEasy(slot);
    return slot;
  }

  // Ends whatever `slot` does and keeps it for the next request.
  void GiveBack(Slot* slot) {
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

  Result<void> Start(Slot* slot, const HttpRequest& request) {
    slot->upload = slot->rewind = {};
    slot->upload_from_source = false;
    slot->upload_ended = true;
    slot->send_paused = slot->receive_paused = false;
    slot->status = 0;
    slot->head_done = slot->done = false;
    slot->header_bytes = 0;
    slot->headers.clear();
    slot->trailers.clear();
    slot->out = {};
    slot->out_filled = 0;
    slot->spill.clear();
    slot->spill_begin = 0;
    slot->error.reset();
    slot->error_text[0] = 0;
    slot->timeouts = request.timeouts;
    slot->idle_sweeps = 0;
    slot->deadline = request.timeouts.total.count() > 0
                         ? clock_.SteadyNow() + request.timeouts.total
                         : SteadyTime::max();

    CURL* easy = slot->easy;
    bool is_http = request.url.starts_with("http://") || request.url.starts_with("https://");
    if (!is_http || curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str()) != CURLE_OK) {
      return InvalidInput("not a URL: " + request.url);
    }
    SetMethod(slot, request);
    Result<void> headers = SetHeaders(slot, request);
    if (!headers) return headers;
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(request.timeouts.connect.count()));
    CURLMcode added = curl_multi_add_handle(multi_, easy);
    if (added != CURLM_OK) {
      return InvalidInput(std::string("curl: ") + curl_multi_strerror(added));
    }
    slot->added = true;
    ++active_;
    if (!sweeper_) StartSweeper();
    return Ok();
  }

  // Tells curl what is paused now. Not inside a callback.
  void ApplyPause(Slot* slot) {
    if (!slot->added) return;
    int mask =
        (slot->receive_paused ? CURLPAUSE_RECV : 0) | (slot->send_paused ? CURLPAUSE_SEND : 0);
    curl_easy_pause(slot->easy, mask);
    CheckDone();
  }

  static asio::awaitable<void> Park(Slot* slot) {
    co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
        [slot](auto handler) {
          LH_CHECK(!slot->resume);  // One coroutine at a time uses a response.
          slot->resume = [handler = std::move(handler)]() mutable {
            auto executor = asio::get_associated_executor(handler);
            asio::post(executor,
                       [handler = std::move(handler)]() mutable { std::move(handler)(); });
          };
        },
        asio::use_awaitable);
  }

 private:
  CURL* NewEasy(Slot* slot) {
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
    set(CURLOPT_HEADERFUNCTION, &OnHeader);
    set(CURLOPT_HEADERDATA, slot);
    set(CURLOPT_WRITEFUNCTION, &OnBody);
    set(CURLOPT_WRITEDATA, slot);
    set(CURLOPT_READFUNCTION, &OnUpload);
    set(CURLOPT_READDATA, slot);
    set(CURLOPT_SEEKFUNCTION, &OnSeek);
    set(CURLOPT_SEEKDATA, slot);
    set(CURLOPT_OPENSOCKETFUNCTION, &OnOpenSocket);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_CLOSESOCKETFUNCTION, &OnCloseSocket);
    set(CURLOPT_CLOSESOCKETDATA, this);
    return easy;
  }

  static void SetMethod(Slot* slot, const HttpRequest& request) {
    CURL* easy = slot->easy;
    curl_easy_setopt(easy, CURLOPT_NOBODY, 0L);
    // Left set, curl would not rewind an upload that it sends again.
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, nullptr);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, nullptr);
    if (request.source != nullptr) {
      slot->upload_from_source = true;
      slot->upload_ended = false;
      slot->upload_buffer.resize(kSocketBufferBytes);
      curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
      curl_off_t size = request.source_size_bytes
                            ? static_cast<curl_off_t>(*request.source_size_bytes)
                            : curl_off_t{-1};
      curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, size);
    } else if (request.body && request.body->size() >= kBodyWithHeadBytes) {
      slot->upload = slot->rewind = *request.body;
      curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
      curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                       static_cast<curl_off_t>(request.body->size()));
    } else if (request.body || request.method == "PUT" || request.method == "POST") {
      // curl keeps its own copy once it sends, together with the head.
      size_t size = request.body ? request.body->size() : 0;
      curl_easy_setopt(easy, CURLOPT_POST, 1L);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(size));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                       size > 0 ? reinterpret_cast<const char*>(request.body->data()) : "");
    } else if (request.method == "HEAD") {
      curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
      return;
    } else if (request.method == "GET") {
      return;
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }

  static Result<void> SetHeaders(Slot* slot, const HttpRequest& request) {
    // curl would add these by itself; empty, they stay away.
    static char no_accept[] = "Accept:";
    static char no_expect[] = "Expect:";
    static char no_type[] = "Content-Type:";
    std::string& text = slot->header_text;
    text.clear();
    for (const auto& [name, value] : request.headers.entries()) {
      constexpr std::string_view kForbidden("\r\n\0", 3);
      if (name.empty() || name.find_first_of(kForbidden) != std::string::npos ||
          name.find(':') != std::string::npos ||
          value.find_first_of(kForbidden) != std::string::npos) {
        return InvalidInput("not an HTTP header: '" + name + "'");
      }
      text += name;
      if (value.empty()) {
        text += ';';  // curl's way to send an empty one.
      } else {
        text += ": ";
        text += value;
      }
      text += '\0';
    }
    std::vector<curl_slist>& list = slot->header_list;
    list.clear();
    list.reserve(request.headers.entries().size() + 3);
    char* at = text.data();
    for (size_t i = 0; i < request.headers.entries().size(); ++i) {
      list.push_back({at, nullptr});
      at += std::strlen(at) + 1;
    }
    if (!request.headers.Find("Accept")) list.push_back({no_accept, nullptr});
    if (request.body || request.source || request.method == "PUT" || request.method == "POST") {
      list.push_back({no_expect, nullptr});
      if (!request.headers.Find("Content-Type")) list.push_back({no_type, nullptr});
    }
    for (size_t i = 0; i + 1 < list.size(); ++i) list[i].next = &list[i + 1];
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, list.empty() ? nullptr : list.data());
    return Ok();
  }

  void Remove(Slot* slot) {
    curl_multi_remove_handle(multi_, slot->easy);
    slot->added = false;
    --active_;
  }

  void Action(curl_socket_t fd, int events) {
    int running = 0;
    curl_multi_socket_action(multi_, fd, events, &running);
    CheckDone();
  }

  void CheckDone() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURLcode result = message->data.result;
      Slot* slot = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
      Finish(slot, result);
    }
  }

  void Finish(Slot* slot, CURLcode result) {
    long connects = 0;
    curl_easy_getinfo(slot->easy, CURLINFO_NUM_CONNECTS, &connects);
    slot->connection_was_reused = connects == 0;
    if (result != CURLE_OK) slot->Fail(ErrorOf(slot, result));
    if (result == CURLE_OK && !slot->head_done) {
      slot->Fail(Retryable("the answer has no complete head"));
    }
    Remove(slot);
    slot->done = true;
    slot->Wake();
  }

  static Error ErrorOf(Slot* slot, CURLcode result) {
    std::string text = slot->error_text[0] ? slot->error_text : curl_easy_strerror(result);
    Error error = Retryable(std::move(text));
    switch (result) {
      case CURLE_COULDNT_CONNECT:
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
      case CURLE_SSL_CONNECT_ERROR:
        error.code = kNotSentCode;
        break;
      case CURLE_OPERATION_TIMEDOUT:  // Of ours, only the connect timeout is curl's.
        error.code = kNotSentCode;
        break;
      case CURLE_PEER_FAILED_VERIFICATION:
        error.kind = ErrorKind::kDenied;
        break;
      case CURLE_URL_MALFORMAT:
      case CURLE_SSL_CACERT_BADFILE:
      case CURLE_BAD_FUNCTION_ARGUMENT:
        error.kind = ErrorKind::kInvalidInput;
        break;
      default:
        break;
    }
    return error;
  }

  // --- Timeouts that curl has no cheap or fitting one for.

  void StartSweeper() {
    sweeper_ = clock_.StartTimer(kSweepInterval, [this] {
      sweeper_.reset();
      Sweep();
      if (active_ > 0 && !sweeper_) StartSweeper();
    });
  }

  void Sweep() {
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

  void Expire(Slot* slot, std::string why) {
    Error error = Retryable(std::move(why));
    error.code = kTimeoutCode;
    slot->Fail(std::move(error));
    Remove(slot);
    slot->done = true;
    slot->Wake();
  }

  // --- curl's callbacks.

  static size_t OnHeader(char* data, size_t, size_t size, void* user) {
    Slot* slot = static_cast<Slot*>(user);
    slot->idle_sweeps = 0;
    std::string_view line(data, size);
    slot->header_bytes += size;
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    HttpHeaders& into = slot->head_done ? slot->trailers : slot->headers;
    if (slot->header_bytes > kHeaderBytesMax || into.entries().size() >= kHeaderCountMax) {
      slot->Fail(Retryable("the head of the answer is too large"));
      return 0;
    }
    if (!slot->head_done && line.starts_with("HTTP/")) {  // Also after a "100 Continue".
      slot->headers.clear();
      size_t space = line.find(' ');
      slot->status = 0;
      for (size_t i = space + 1; space != line.npos && i < std::min(line.size(), space + 4); ++i) {
        if (line[i] >= '0' && line[i] <= '9') slot->status = slot->status * 10 + (line[i] - '0');
      }
      return size;
    }
    if (line.empty()) {
      if (slot->status >= 200 && !slot->head_done) {
        slot->head_done = true;
        if (slot->SendFinished()) slot->Wake();
      }
      return size;
    }
    size_t colon = line.find(':');
    if (colon == line.npos) return size;
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    into.Add(std::string(line.substr(0, colon)), std::string(value));
    return size;
  }

  static size_t OnBody(char* data, size_t, size_t size, void* user) {
    Slot* slot = static_cast<Slot*>(user);
    slot->idle_sweeps = 0;
    size_t direct = std::min(size, slot->out.size() - slot->out_filled);
    if (direct > 0) {
      std::memcpy(slot->out.data() + slot->out_filled, data, direct);
      slot->out_filled += direct;
      if (slot->out_filled == slot->out.size()) slot->Wake();
    }
    if (direct < size) {
      const auto* rest = reinterpret_cast<const std::byte*>(data) + direct;
      slot->spill.insert(slot->spill.end(), rest, rest + (size - direct));
      // curl delivers what its own buffer holds to the end, so the spill stays below 64 + 256 KiB.
      if (slot->spilled() >= kSpillPauseBytes && !slot->receive_paused) {
        slot->receive_paused = true;
        curl_easy_pause(slot->easy, CURLPAUSE_RECV | (slot->send_paused ? CURLPAUSE_SEND : 0));
      }
    }
    return size;
  }

  static size_t OnUpload(char* into, size_t, size_t size, void* user) {
    Slot* slot = static_cast<Slot*>(user);
    slot->idle_sweeps = 0;
    if (slot->upload.empty()) {
      if (slot->upload_ended) return 0;
      slot->send_paused = true;
      slot->Wake();
      return CURL_READFUNC_PAUSE;
    }
    size_t count = std::min(size, slot->upload.size());
    std::memcpy(into, slot->upload.data(), count);
    slot->upload = slot->upload.subspan(count);
    if (slot->upload.empty() && (slot->NeedsBody() || slot->head_done)) slot->Wake();
    return count;
  }

  static int OnSeek(void* user, curl_off_t offset, int origin) {
    Slot* slot = static_cast<Slot*>(user);
    if (slot->upload_from_source || origin != SEEK_SET || offset < 0 ||
        static_cast<size_t>(offset) > slot->rewind.size()) {
      return CURL_SEEKFUNC_FAIL;
    }
    slot->upload = slot->rewind.subspan(static_cast<size_t>(offset));
    return CURL_SEEKFUNC_OK;
  }

  static curl_socket_t OnOpenSocket(void* user, curlsocktype, curl_sockaddr* address) {
    int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) return CURL_SOCKET_BAD;
    static_cast<Engine*>(user)->SocketFor(fd)->opened_here = true;
    return fd;
  }

  static int OnCloseSocket(void* user, curl_socket_t fd) {
    static_cast<Engine*>(user)->Forget(fd);
    return ::close(fd);
  }

  Socket* SocketFor(int fd) {
    auto& socket = sockets_[fd];
    if (!socket) socket = std::make_shared<Socket>(this, executor_, fd);
    return socket.get();
  }

  void Forget(int fd) {
    auto found = sockets_.find(fd);
    if (found == sockets_.end()) return;
    found->second->engine = nullptr;
    found->second->descriptor.release();  // curl closes it.
    sockets_.erase(found);
  }

  static int OnSocket(CURL*, curl_socket_t fd, int what, void* user, void*) {
    Engine* engine = static_cast<Engine*>(user);
    if (what == CURL_POLL_REMOVE) {
      auto found = engine->sockets_.find(fd);
      if (found == engine->sockets_.end()) return 0;
      found->second->wants_read = found->second->wants_write = false;
      // A connection stays registered while it is idle; what curl opened for itself does not.
      if (!found->second->opened_here) engine->Forget(fd);
      return 0;
    }
    std::shared_ptr<Socket>& socket = engine->sockets_[fd];
    if (!socket) socket = std::make_shared<Socket>(engine, engine->executor_, fd);
    socket->wants_read = (what & CURL_POLL_IN) != 0;
    socket->wants_write = (what & CURL_POLL_OUT) != 0;
    engine->Arm(socket);
    return 0;
  }

  void Arm(const std::shared_ptr<Socket>& socket) {
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

  static void OnReady(const std::shared_ptr<Socket>& socket, int events, bool wanted,
                      const boost::system::error_code& error) {
    if (error == asio::error::operation_aborted || socket->engine == nullptr || !wanted) return;
    socket->engine->Action(socket->fd, error ? events | CURL_CSELECT_ERR : events);
    if (socket->engine != nullptr) socket->engine->Arm(socket);
  }

  static int OnTimer(CURLM*, long timeout_ms, void* user) {
    Engine* engine = static_cast<Engine*>(user);
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

  void PostTimeout() {
    if (timeout_posted_) return;
    timeout_posted_ = true;
    asio::post(executor_, [weak = weak_from_this()] {
      std::shared_ptr<Engine> engine = weak.lock();
      if (!engine) return;
      engine->timeout_posted_ = false;
      engine->Action(CURL_SOCKET_TIMEOUT, 0);
    });
  }

  // A timer that runs already is left alone when it fires soon enough: curl moves its timeout with
  // every request, and each move would be a system call.
  void ArmTimer() {
    if (timer_running_ && timer_at_ <= timeout_) return;
    timer_running_ = true;
    timer_at_ = timeout_;
    timer_.expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(timer_at_));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      std::shared_ptr<Engine> engine = weak.lock();
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

  asio::any_io_executor executor_;
  Clock& clock_;
  HttpClientOptions options_;
  CURLM* multi_ = nullptr;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> free_;
  std::unordered_map<int, std::shared_ptr<Socket>> sockets_;
  int active_ = 0;
  std::unique_ptr<Clock::Timer> sweeper_;
  asio::steady_timer timer_;
  bool timer_running_ = false;
  SteadyTime timer_at_{};
  SteadyTime timeout_ = SteadyTime::max();
  bool timeout_posted_ = false;
};

// The use of a slot. Weak, because a coroutine that is parked in the engine owns its lease.
class Lease {
 public:
  explicit Lease(const std::shared_ptr<Engine>& engine) : engine_(engine), slot_(engine->Take()) {}
  Lease(Lease&& other) noexcept
      : engine_(std::move(other.engine_)), slot_(std::exchange(other.slot_, nullptr)) {}
  Lease& operator=(Lease&&) = delete;
  ~Lease() {
    if (slot_ == nullptr) return;
    if (std::shared_ptr<Engine> engine = engine_.lock()) engine->GiveBack(slot_);
  }
  [[nodiscard]] Slot* slot() const { return slot_; }
  [[nodiscard]] const std::weak_ptr<Engine>& engine() const { return engine_; }

 private:
  std::weak_ptr<Engine> engine_;
  Slot* slot_;
};

class CurlBody : public HttpBody {
 public:
  explicit CurlBody(Lease lease) : lease_(std::move(lease)) {}

  Async<size_t> Read(std::span<std::byte> out) override {
    LH_CHECK(!out.empty());
    if (lease_.engine().expired()) co_return Cancelled("the HTTP client is gone");
    Slot* slot = lease_.slot();
    size_t filled = TakeSpill(slot, out);
    if (filled < out.size() && !slot->done) {
      Target target(lease_, out.subspan(filled));
      if (slot->receive_paused) {
        slot->receive_paused = false;
        lease_.engine().lock()->ApplyPause(slot);
      }
      while (slot->out_filled < slot->out.size() && !slot->done) co_await Engine::Park(slot);
      filled += slot->out_filled;
    }
    if (slot->done && slot->error && filled < out.size()) co_return *slot->error;
    co_return filled;
  }

  [[nodiscard]] const HttpHeaders& trailers() const override { return lease_.slot()->trailers; }

 private:
  // Where curl writes while the reader waits; taken back whatever becomes of the reader.
  class Target {
   public:
    Target(const Lease& lease, std::span<std::byte> out)
        : engine_(lease.engine()), slot_(lease.slot()), generation_(slot_->generation) {
      slot_->out = out;
      slot_->out_filled = 0;
    }
    ~Target() {
      if (engine_.expired() || slot_->generation != generation_) return;
      slot_->out = {};
      slot_->out_filled = 0;
    }

   private:
    std::weak_ptr<Engine> engine_;
    Slot* slot_;
    uint64_t generation_;
  };

  static size_t TakeSpill(Slot* slot, std::span<std::byte> out) {
    size_t count = std::min(out.size(), slot->spilled());
    if (count == 0) return 0;
    std::memcpy(out.data(), slot->spill.data() + slot->spill_begin, count);
    slot->spill_begin += count;
    if (slot->spilled() == 0) {
      slot->spill.clear();
      slot->spill_begin = 0;
    }
    return count;
  }

  Lease lease_;
};

class CurlClient : public HttpClient {
 public:
  CurlClient(const Runtime& runtime, const HttpClientOptions& options)
      : engine_(std::make_shared<Engine>(runtime, options)),
        plain_gate_(std::make_shared<Semaphore>(options.requests_max)),
        source_gate_(std::make_shared<Semaphore>(options.requests_max)) {}

  Async<HttpResponse> Send(HttpRequest request) override {
    std::shared_ptr<Semaphore> gate = request.source ? source_gate_ : plain_gate_;
    co_await gate.get()->Acquire();
    Permit permit(std::move(gate));
    bool retried = false;
    while (true) {
      Lease lease(engine_);
      Slot* slot = lease.slot();
      Result<void> started = engine_->Start(slot, request);
      if (!started) co_return started.error();
      while (!slot->SendFinished()) {
        if (!slot->NeedsBody() || slot->head_done) {
          co_await Engine::Park(slot);
          continue;
        }
        Result<size_t> count = co_await request.source->Read(slot->upload_buffer);
        if (!count) co_return count.error();
        slot->upload = std::span<const std::byte>(slot->upload_buffer).first(*count);
        slot->upload_ended = *count == 0;
        if (slot->send_paused) {
          slot->send_paused = false;
          engine_->ApplyPause(slot);
        }
      }
      slot->upload_ended = true;  // The body is the caller's again.
      slot->upload = slot->rewind = {};
      if (slot->error && !slot->head_done) {
        bool stale = slot->connection_was_reused && slot->header_bytes == 0 && slot->done;
        if (!stale || retried || request.source || !slot->error->Transient()) {
          co_return *slot->error;
        }
        retried = true;
        continue;
      }
      HttpResponse response;
      response.status = slot->status;
      response.headers = std::move(slot->headers);
      response.body = std::make_unique<CurlBody>(std::move(lease));
      co_return response;
    }
  }

 private:
  class Permit {
   public:
    explicit Permit(std::shared_ptr<Semaphore> gate) : gate_(std::move(gate)) {}
    Permit(const Permit&) = delete;
    Permit& operator=(const Permit&) = delete;
    ~Permit() { gate_->Release(); }

   private:
    std::shared_ptr<Semaphore> gate_;
  };

  std::shared_ptr<Engine> engine_;
  // shared: a permit may outlive the client, in a coroutine that is being destroyed.
  std::shared_ptr<Semaphore> plain_gate_;
  std::shared_ptr<Semaphore> source_gate_;
};

}  // namespace

std::unique_ptr<HttpClient> MakeHttpClient(const Runtime& runtime, HttpClientOptions options) {
  return std::make_unique<CurlClient>(runtime, options);
}

}  // namespace longhaul
