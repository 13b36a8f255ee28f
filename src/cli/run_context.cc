#include "cli/run_context.h"

#include <fcntl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "base/allocator.h"
#include "base/check.h"
#include "base/event_loop.h"
#include "base/stream_logger.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kReleaseInterval{10};

int Cores() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

// What a signal handler may touch: the first signal and the pipe that tells the event loop.
// Process-wide, because signals are.
volatile std::sig_atomic_t g_first_signal = 0;
volatile std::sig_atomic_t g_wake_fd = -1;

extern "C" void OnStopSignal(int number) {
  int saved = errno;
  if (g_first_signal != 0) _exit(128 + number);
  g_first_signal = number;
  char byte = 0;
  if (g_wake_fd >= 0 && ::write(g_wake_fd, &byte, 1) < 0) _exit(128 + number);
  errno = saved;
}

// Catches SIGINT and SIGTERM while it lives.
class SignalCatcher {
 public:
  SignalCatcher(asio::io_context& io, std::function<void(int)> on_signal)
      : reader_(io), on_signal_(std::move(on_signal)) {
    LH_CHECK(::pipe2(fds_, O_CLOEXEC | O_NONBLOCK) == 0);
    reader_.assign(fds_[0]);
    g_first_signal = 0;
    g_wake_fd = fds_[1];
    struct sigaction action{};
    action.sa_handler = OnStopSignal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < 2; ++i) sigaction(kSignals[i], &action, &before_[i]);
    reader_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [this](boost::system::error_code error) {
                         if (!error) on_signal_(g_first_signal);
                       });
  }
  ~SignalCatcher() {
    for (size_t i = 0; i < 2; ++i) sigaction(kSignals[i], &before_[i], nullptr);
    g_wake_fd = -1;
    ::close(fds_[1]);
  }

 private:
  static constexpr int kSignals[2] = {SIGINT, SIGTERM};
  int fds_[2] = {-1, -1};
  asio::posix::stream_descriptor reader_;
  std::function<void(int)> on_signal_;
  struct sigaction before_[2]{};
};

std::optional<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

void CommonFlags::Declare(FlagSet& flags) {
  flags.Section("COMMON OPTIONS");
  flags.Text({.name = "config",
              .help = "Configuration file, for addresses like NAME:BUCKET and for defaults.",
              .value_name = "FILE",
              .letter = 'c',
              .completes = Completes::kFiles},
             config_path);
  flags.Bytes({.name = "memory",
               .help = "Memory that the buffers of all transfers may take together. Default: a "
                       "quarter of the machine, or of the cgroup's limit.",
               .value_name = "SIZE"},
              memory_bytes);
  flags.Integer({.name = "shards",
                 .help = "Threads that carry bytes between this machine and S3 stores, 1 to 8. "
                         "Default: one for each 8 cores, at least 1.",
                 .value_name = "COUNT"},
                1, kShardsMax, shards);
  flags.Duration({.name = "grace",
                  .help = "After SIGINT or SIGTERM, how long to finish what is in flight. A second "
                          "signal stops at once. Default: 25s.",
                  .value_name = "DURATION"},
                 grace);
  flags.Parsed({.name = "json",
                .help = "Print one JSON event per line on standard output; the last one is a "
                        "summary. --json=s5cmd: of cp, mv, sync, rm and ls the lines that s5cmd "
                        "prints."},
               [this](std::string_view text) -> Result<void> {
                 s5cmd = text == "s5cmd";
                 Result<bool> wanted = s5cmd ? Result<bool>(true) : ParseSwitch(text);
                 if (!wanted) return wanted.error();
                 json = *wanted;
                 return Ok();
               });
  flags.Switch({.name = "quiet",
                .help = "No progress, no notes: results and problems only.",
                .letter = 'q',
                .alias = "only-show-errors"},
               quiet);
  flags.Choice({.name = "log-level",
                .help = "The least important log lines to write to standard error. Default: info.",
                .value_name = "LEVEL"},
               {"debug", "info", "warning", "error"}, log_level);
  flags.Choice({.name = "log-format",
                .help = "How log lines look; auto is text on a terminal and JSON elsewhere.",
                .value_name = "FORMAT"},
               {"auto", "text", "json"}, log_format);
}

// Order matters: whatever coroutines borrow is declared before `io`, which destroys them; the pool
// comes after it, because its threads post to it.
// The console's standard error as a stream for the logger.
class LogStream {
 public:
  explicit LogStream(Console& console) : console_(console) {
    cookie_io_functions_t functions{};
    functions.write = [](void* cookie, const char* bytes, size_t count) -> ssize_t {
      auto& console = static_cast<LogStream*>(cookie)->console_;
      // A progress line may stand there; it is drawn again at the next tick.
      std::string line = console.error_is_terminal() ? "\r\x1b[K" : "";
      console.WriteError(line.append(bytes, count));
      return static_cast<ssize_t>(count);
    };
    file_ = ::fopencookie(this, "w", functions);
    LH_CHECK(file_ != nullptr);
  }
  ~LogStream() { std::fclose(file_); }
  LogStream(const LogStream&) = delete;
  LogStream& operator=(const LogStream&) = delete;
  [[nodiscard]] std::FILE* file() const { return file_; }

 private:
  Console& console_;
  std::FILE* file_ = nullptr;
};

int64_t MemoryLimit(const CommonFlags& flags, const std::optional<Configuration>& configuration) {
  if (flags.memory_bytes) return static_cast<int64_t>(*flags.memory_bytes);
  if (configuration && configuration->memory_bytes > 0) return configuration->memory_bytes;
  return static_cast<int64_t>(DefaultMemoryBytes());
}

LogOptions LogOptionsOf(const CommonFlags& flags, const Console& console) {
  LogOptions options;
  bool text =
      flags.log_format == "text" || (flags.log_format == "auto" && console.error_is_terminal());
  options.format = text ? LogFormat::kText : LogFormat::kJson;
  options.color = WantsColour(console);
  Result<LogLevel> level = ParseLogLevel(flags.log_level);
  if (level) options.level_min = *level;
  return options;
}

struct RunContext::Impl {
  Impl(CommonFlags given, std::optional<Configuration> the_configuration, Console& the_console)
      : flags(std::move(given)),
        configuration(std::move(the_configuration)),
        console(the_console),
        output(the_console, flags.json, flags.quiet),
        shards(flags.shards ? static_cast<int>(*flags.shards) : DefaultShards(Cores())),
        memory(MemoryLimit(flags, configuration)),
        log_stream(the_console),
        log(log_stream.file(), LogOptionsOf(flags, the_console),
            [] {
              return std::chrono::time_point_cast<std::chrono::microseconds>(
                  std::chrono::system_clock::now());
            }),
        clock(io.get_executor()),
        troubles(output, log, clock),
        pool(Cores()),
        runtime{io.get_executor(), clock, random, pool, memory, log, metrics} {}

  // A process that rests would hold what its last load needed. The event loop's thread and the
  // shards alone hold much: the others work on what these gave them.
  void KeepReleasingMemory() {
    release_timer = clock.StartTimer(kReleaseInterval, [this] {
      ReleaseFreedMemory();
      for (const std::unique_ptr<Shard>& shard : shards.all()) shard->Post(ReleaseFreedMemory);
      KeepReleasingMemory();
    });
  }

  CommonFlags flags;
  std::optional<Configuration> configuration;
  Console& console;
  Output output;
  Shards shards;
  MemoryBudget memory;
  Metrics metrics;
  LogStream log_stream;
  StreamLogger log;
  SystemRandom random;
  Event stop;
  std::optional<ExitCode> stopped_by;
  std::unique_ptr<Clock::Timer> grace_timer;
  asio::io_context io{1};
  RealClock clock;
  std::unique_ptr<Clock::Timer> release_timer;
  StoreTroubles troubles;
  CpuPool pool;
  Runtime runtime;
};

RunContext::RunContext(CommonFlags flags, std::optional<Configuration> configuration,
                       Console& console)
    : impl_(std::make_unique<Impl>(std::move(flags), std::move(configuration), console)) {}
RunContext::~RunContext() {
  impl_->grace_timer.reset();
  impl_->shards.Stop();  // They post to `io`.
}

Result<ExitCode> RunContext::Run(Async<ExitCode> work) {
  std::optional<Result<ExitCode>> result;
  SignalCatcher signals(impl_->io, [this](int number) {
    impl_->stopped_by = number == SIGINT ? ExitCode::kInterrupted : ExitCode::kTerminated;
    impl_->log.Info("stopping", {{"signal", number == SIGINT ? "SIGINT" : "SIGTERM"}});
    impl_->grace_timer = impl_->clock.StartTimer(impl_->flags.grace, [number] {
      _exit(128 + number);  // Like kill -9: nothing is lost by it.
    });
    impl_->stop.Set();
  });
  asio::co_spawn(impl_->io, std::move(work),
                 [&](std::exception_ptr exception, Result<ExitCode> done) {
                   if (exception) std::rethrow_exception(exception);
                   result = std::move(done);
                   impl_->io.stop();
                 });
  impl_->KeepReleasingMemory();
  impl_->io.restart();
  RunEventLoop(impl_->io);
  LH_CHECK(result.has_value());
  return std::move(*result);
}

Runtime& RunContext::runtime() { return impl_->runtime; }
Output& RunContext::output() { return impl_->output; }
Console& RunContext::console() { return impl_->console; }
const CommonFlags& RunContext::flags() const { return impl_->flags; }
const Configuration* RunContext::configuration() const {
  return impl_->configuration ? &*impl_->configuration : nullptr;
}
StoreTroubles& RunContext::troubles() { return impl_->troubles; }
Shards& RunContext::shards() { return impl_->shards; }
Event& RunContext::stop() { return impl_->stop; }
std::optional<ExitCode> RunContext::stopped_by() const { return impl_->stopped_by; }

uint64_t MemoryBytesFrom(uint64_t machine_bytes, const std::vector<std::string>& cgroup_limits) {
  uint64_t usable = machine_bytes;
  for (const std::string& text : cgroup_limits) {
    uint64_t limit = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error == std::errc() && limit > 0) usable = std::min(usable, limit);  // Else "max".
  }
  return std::max<uint64_t>(usable / 4, 64ULL << 20);
}

uint64_t DefaultMemoryBytes() {
  struct sysinfo info{};
  uint64_t machine = 4ULL << 30;
  if (::sysinfo(&info) == 0) machine = static_cast<uint64_t>(info.totalram) * info.mem_unit;
  // Each line is "hierarchy:controllers:path" (cgroups(7)); any ancestor may have the limit.
  std::vector<std::string> limits;
  auto add = [&](const std::string& path) {
    if (auto text = ReadSmallFile(path)) limits.push_back(std::move(*text));
  };
  add("/sys/fs/cgroup/memory.max");
  add("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  std::istringstream lines(ReadSmallFile("/proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    while (path.size() > 1) {
      if (controllers.empty()) add("/sys/fs/cgroup" + path + "/memory.max");
      if (controllers.find("memory") != std::string::npos) {
        add("/sys/fs/cgroup/memory" + path + "/memory.limit_in_bytes");
      }
      path.resize(std::max<size_t>(1, path.rfind('/')));
    }
  }
  return MemoryBytesFrom(machine, limits);
}

}  // namespace longhaul
