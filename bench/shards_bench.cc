// shards_bench: what an HttpClient carries by none, two or more shards, and which thread's CPU that
// takes. Its server is a process of its own and does as little as it can: it throws uploads away
// unread (by TLS: undecrypted), and sends downloads from the page cache without a copy.
//
//   shards_bench put|get http|https SHARDS SIZE CLIENTS SECONDS
//
// Bodies of SIZE bytes, by CLIENTS at once. Downloads by https are not offered: their server would
// have to encrypt, which costs it what it costs the client to decrypt. Prints one line of JSON: MiB
// and requests per second, and the CPU seconds per second of the caller's thread, of all others of
// the client, and of the server.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/cpu_pool.h"
#include "base/metrics.h"
#include "base/shards.h"
#include "net/http_client.h"
#include "tests/support/run.h"
#include "tests/support/tls.h"

namespace longhaul {
namespace {

using Steady = std::chrono::steady_clock;

constexpr size_t kRecordBytes = 16 << 10;     // The client fills all but the last.
constexpr size_t kRecordExtraBytes = 5 + 17;  // TLS 1.3: header; type of the content and tag.
constexpr ssize_t kNapBelowBytes = 512 << 10;
constexpr std::chrono::microseconds kNap{500};
constexpr std::string_view kDone = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view kDoneAndClosed =
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

double CpuSeconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

// Throws away `size` bytes that the peer sends. False: it has ended.
bool Skip(int fd, size_t size) {
  static thread_local char unused[1 << 20];  // MSG_TRUNC leaves it alone.
  while (size > 0) {
    const ssize_t count = ::recv(fd, unused, std::min(size, sizeof unused), MSG_TRUNC);
    if (count <= 0) return false;
    size -= static_cast<size_t>(count);
    // To be woken for every few packets would cost it more than all else.
    if (size > 0 && count < kNapBelowBytes) std::this_thread::sleep_for(kNap);
  }
  return true;
}

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// Where the head in `bytes` ends; 0: it has not come yet.
size_t HeadEnd(const std::string& bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  return end == bytes.npos ? 0 : end + 4;
}

void ServePlain(int fd, size_t size, int file) {
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
  std::string bytes;
  char piece[2048];
  while (true) {
    while (HeadEnd(bytes) == 0) {
      const ssize_t count = ::recv(fd, piece, sizeof piece, 0);
      if (count <= 0) return;
      bytes.append(piece, static_cast<size_t>(count));
    }
    if (bytes.starts_with("GET")) {
      bytes.erase(0, HeadEnd(bytes));
      if (::send(fd, head.data(), head.size(), MSG_NOSIGNAL | MSG_MORE) < 0) return;
      for (off_t at = 0; at < static_cast<off_t>(size);) {
        if (::sendfile(fd, file, &at, size - static_cast<size_t>(at)) <= 0) return;
      }
    } else {
      if (!Skip(fd, size - (bytes.size() - HeadEnd(bytes))) || !SendAll(fd, kDone)) return;
      bytes.clear();
    }
  }
}

// One upload: what follows its first record is thrown away as it is.
void ServeTls(int fd, size_t size, SSL_CTX* context) {
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  SSL_set_accept_state(ssl);
  std::string bytes;
  char piece[16 << 10];
  while (HeadEnd(bytes) == 0) {
    const int count = SSL_read(ssl, piece, sizeof piece);
    if (count <= 0) return SSL_free(ssl);
    bytes.append(piece, static_cast<size_t>(count));
  }
  const size_t left = size - (bytes.size() - HeadEnd(bytes));
  const size_t records = (left + kRecordBytes - 1) / kRecordBytes;
  if (!Skip(fd, left + records * kRecordExtraBytes)) return SSL_free(ssl);
  SSL_write(ssl, kDoneAndClosed.data(), kDoneAndClosed.size());
  SSL_shutdown(ssl);
  ::shutdown(fd, SHUT_WR);
  Skip(fd, SIZE_MAX);
  SSL_free(ssl);
}

[[noreturn]] void Serve(int listener, size_t size, int file, SSL_CTX* context) {
  while (true) {
    const int fd = ::accept(listener, nullptr, nullptr);
    if (fd < 0) std::_Exit(1);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::thread([=] {
      if (context != nullptr) {
        ServeTls(fd, size, context);
      } else {
        ServePlain(fd, size, file);
      }
      ::close(fd);
    }).detach();
  }
}

struct Load {
  HttpClient& client;
  std::string url;
  std::string body;  // Empty: it is downloaded.
  size_t size;
  Steady::time_point until;
  uint64_t requests = 0;
};

Async<void> CarryOne(Load& load, std::span<std::byte> buffer) {
  HttpRequest request;
  request.url = load.url;
  if (!load.body.empty()) {
    request.method = "PUT";
    request.body = std::as_bytes(std::span(load.body));
  }
  Result<HttpResponse> response = co_await load.client.Send(std::move(request));
  if (!response) co_return response.error();
  size_t total = 0;
  while (true) {
    Result<size_t> count = co_await response->body->Read(buffer);
    if (!count) co_return count.error();
    total += *count;
    if (*count < buffer.size()) break;
  }
  if (load.body.empty() && total != load.size) co_return Corrupt("not what was asked for");
  ++load.requests;
  co_return Ok();
}

Async<void> Carry(Load& load) {
  std::vector<std::byte> buffer(std::clamp<size_t>(load.size + 1, 4096, 1 << 20));
  while (Steady::now() < load.until) {
    Result<void> carried = co_await CarryOne(load, buffer);
    if (!carried) co_return carried.error();
  }
  co_return Ok();
}

Async<void> CarryAll(Load& load, int clients) {
  TaskGroup group(co_await CurrentExecutor());
  for (int i = 0; i < clients; ++i) group.Spawn(Carry(load));
  co_return co_await group.Join();
}

int Main(int argc, char** argv) {
  const bool put = argc == 7 && std::string_view(argv[1]) == "put";
  const bool tls = argc == 7 && std::string_view(argv[2]) == "https";
  if (argc != 7 || (tls && !put)) {
    std::fprintf(stderr, "usage: shards_bench put|get http|https SHARDS SIZE CLIENTS SECONDS\n");
    return 2;
  }
  const int shard_count = std::atoi(argv[3]);
  const auto size = static_cast<size_t>(std::atoll(argv[4]));
  const double seconds_wanted = std::atof(argv[6]);

  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  LH_CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
  LH_CHECK(::listen(listener, 128) == 0);
  LH_CHECK(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const int file = ::memfd_create("body", MFD_CLOEXEC);
  {
    const std::string content(size, 'b');
    LH_CHECK(::write(file, content.data(), size) == static_cast<ssize_t>(size));
  }
  testing::TlsServer certificate("IP:127.0.0.1", 24);
  const pid_t server = ::fork();
  if (server == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Serve(listener, size, file, tls ? certificate.context().native_handle() : nullptr);
  }
  clockid_t server_clock;
  LH_CHECK(::clock_getcpuclockid(server, &server_clock) == 0);

  int code = 0;
  {
    Shards shards(shard_count);
    testing::RealWorld world;
    std::unique_ptr<HttpClient> client =
        MakeHttpClient(world.runtime, {.ca_file = certificate.trust_file(), .shards = &shards});
    Load load{.client = *client,
              .url = std::string(tls ? "https" : "http") +
                     "://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/",
              .body = std::string(put ? size : 0, 'b'),
              .size = size,
              .until = Steady::now() + std::chrono::milliseconds(500)};
    Result<void> carried = world.Run(CarryAll(load, std::atoi(argv[5])));  // Warm.
    load.requests = 0;
    const auto begun = Steady::now();
    const double here = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
    const double client_cpu = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
    const double server_cpu = CpuSeconds(server_clock);
    load.until = begun + std::chrono::duration_cast<Steady::duration>(
                             std::chrono::duration<double>(seconds_wanted));
    if (carried) carried = world.Run(CarryAll(load, std::atoi(argv[5])));
    const double seconds = std::chrono::duration<double>(Steady::now() - begun).count();
    const double home = CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - here;
    const double shards_cpu = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - client_cpu - home;
    const double served = CpuSeconds(server_clock) - server_cpu;
    if (!carried) {
      std::fprintf(stderr, "%s\n", carried.error().Describe().c_str());
      code = 1;
    } else {
      const double mib = double(load.requests) * double(size) / (1 << 20);
      std::printf(
          "{\"mib_per_second\": %.1f, \"requests_per_second\": %.0f, \"home_cpu\": %.3f, "
          "\"shards_cpu\": %.3f, \"server_cpu\": %.3f, \"client_cpu_us_per_request\": %.2f, "
          "\"client_cpu_s_per_gib\": %.3f}\n",
          mib / seconds, double(load.requests) / seconds, home / seconds, shards_cpu / seconds,
          served / seconds, (home + shards_cpu) / double(load.requests) * 1e6,
          (home + shards_cpu) / mib * 1024);
    }
  }
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  return code;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) { return longhaul::Main(argc, argv); }
