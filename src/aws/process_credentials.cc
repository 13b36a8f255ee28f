#include "aws/process_credentials.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "aws/credentials_text.h"
#include "base/retry.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int kLookEvery = 20;  // Milliseconds: a child may end while its own children live.

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    CloseEnd(0);
    CloseEnd(1);
  }
  void CloseEnd(size_t end) {
    if (ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }
  [[nodiscard]] int end(size_t end) const { return ends_[end]; }

  // What is there; false at the end. At most one byte more than allowed is kept.
  bool ReadInto(std::string& text) {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(ends_[0], buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) return true;
    if (count <= 0) return false;
    text.append(buffer.data(), static_cast<size_t>(count));
    if (text.size() > kCredentialsBytesMax) text.resize(kCredentialsBytesMax + 1);
    return true;
  }

 private:
  std::array<int, 2> ends_{};
};

// How the child is started: in a group of its own, with nothing open but its three streams.
class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  void Set(const Pipe& out, const Pipe& err) {
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out.end(1), 1);
    posix_spawn_file_actions_adddup2(&actions, err.end(1), 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

struct Ended {
  std::string output;
  std::string complaint;
  int status = 0;  // As of waitpid.
};

// Reads both streams until the child has ended. kRetryable: out of time; it is dead then.
Result<Ended> Follow(pid_t child, Pipe& out, Pipe& err, steady_clock::time_point deadline,
                     const std::atomic<bool>& stop) {
  Ended ended;
  bool gone = false;
  while (true) {
    std::array<pollfd, 2> streams{pollfd{.fd = out.end(0), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = err.end(0), .events = POLLIN, .revents = 0}};
    // A stream that is closed has no descriptor, and poll leaves it out.
    const int ready = ::poll(streams.data(), streams.size(), gone ? 0 : kLookEvery);
    if (streams[0].revents != 0 && !out.ReadInto(ended.output)) out.CloseEnd(0);
    if (streams[1].revents != 0 && !err.ReadInto(ended.complaint)) err.CloseEnd(0);
    const bool too_long = ended.output.size() > kCredentialsBytesMax;
    if (gone && (ready <= 0 || (out.end(0) < 0 && err.end(0) < 0))) break;
    if (!gone && ::waitpid(child, &ended.status, WNOHANG) == child) gone = true;
    if (!too_long && !stop && (steady_clock::now() < deadline || gone)) continue;
    ::kill(-child, SIGKILL);
    if (!gone) ::waitpid(child, &ended.status, 0);
    if (too_long) return CredentialsDenied("prints more than 64 KiB");
    Error error = Retryable(stop ? "stopped" : "out of time");
    error.code = kTimeoutCode;
    return error;
  }
  return ended;
}

Result<Ended> RunCommand(const std::string& command, std::chrono::milliseconds time_limit,
                         const std::atomic<bool>& stop) {
  const auto deadline = steady_clock::now() + time_limit;
  Pipe out;
  Pipe err;
  SpawnSettings settings;
  settings.Set(out, err);
  std::string shell = "/bin/sh";
  std::string flag = "-c";
  std::string text = command;
  std::array<char*, 4> arguments{shell.data(), flag.data(), text.data(), nullptr};
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, "/bin/sh", &settings.actions, &settings.attributes,
                                   arguments.data(), environ);
  if (failed != 0) return CredentialsDenied(std::string("/bin/sh: ") + std::strerror(failed));
  out.CloseEnd(1);
  err.CloseEnd(1);
  return Follow(child, out, err, deadline, stop);
}

class ProcessSource : public CredentialsSource {
 public:
  ProcessSource(std::string command, std::chrono::milliseconds time_limit)
      : command_(std::move(command)), time_limit_(time_limit) {}
  ~ProcessSource() override { stop_ = true; }  // Then thread_ waits for what still runs.

  Async<Credentials> Fetch() override {
    if (!thread_) thread_ = std::make_unique<CpuPool>(1);
    Result<Ended> ended =
        co_await thread_->Run([this] { return RunCommand(command_, time_limit_, stop_); });
    if (!ended) co_return ended.error().In("credential_process");
    if (!WIFEXITED(ended->status) || WEXITSTATUS(ended->status) != 0) {
      const std::string how = WIFEXITED(ended->status)
                                  ? "exit " + std::to_string(WEXITSTATUS(ended->status))
                                  : "signal " + std::to_string(WTERMSIG(ended->status));
      co_return CredentialsDenied("credential_process: " + how + ": " + Quotable(ended->complaint));
    }
    Result<Credentials> credentials = ParseProcessCredentials(ended->output);
    if (!credentials) co_return credentials.error().In("credential_process");
    co_return credentials;
  }

 private:
  std::string command_;
  std::chrono::milliseconds time_limit_;
  std::atomic<bool> stop_ = false;
  std::unique_ptr<CpuPool> thread_;  // Its own: a command may take a minute.
};

}  // namespace

std::unique_ptr<CredentialsSource> MakeProcessCredentials(std::string command,
                                                          std::chrono::milliseconds time_limit) {
  return std::make_unique<ProcessSource>(std::move(command), time_limit);
}

}  // namespace longhaul
