// get_bench: GETs of small objects, by as many clients at once as are asked for, of an endpoint
// that holds them already.
//
//   get_bench URL BUCKET PREFIX COUNT CLIENTS SECONDS
//
// Reads PREFIX0 to PREFIX(COUNT - 1) in turn; with SECONDS 0 each of them once. Keys of the test
// servers. Prints one line of JSON: GETs, their seconds, the CPU seconds of this process, and how
// long the first byte took, in milliseconds.

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/cpu_pool.h"
#include "base/metrics.h"
#include "storage/s3_store.h"

namespace longhaul {
namespace {

using Steady = std::chrono::steady_clock;

class NoLogger : public Logger {
  void Log(LogLevel, std::string_view, Fields) override {}
};

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](timeval time) { return double(time.tv_sec) + double(time.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Load {
  Store& store;
  std::string bucket;
  std::string prefix;
  int count;
  double seconds;
  Steady::time_point begun = Steady::now();
  int next = 0;
  std::vector<double> first_byte_ms;

  [[nodiscard]] bool Over() const {
    if (seconds == 0) return next >= count;
    return std::chrono::duration<double>(Steady::now() - begun).count() >= seconds;
  }
};

Async<void> GetOne(Load& load, std::span<std::byte> buffer) {
  const auto begun = Steady::now();
  GetRequest request;
  request.bucket = load.bucket;
  request.key = load.prefix + std::to_string(load.next++ % load.count);
  Result<ObjectStream> stream = co_await load.store.Get(std::move(request));
  if (!stream) co_return stream.error();
  bool first = true;
  while (true) {
    Result<size_t> read = co_await stream->body->Read(buffer);
    if (!read) co_return read.error();
    if (first) {
      load.first_byte_ms.push_back(
          std::chrono::duration<double, std::milli>(Steady::now() - begun).count());
    }
    first = false;
    if (*read == 0) co_return Ok();
  }
}

Async<void> GetSome(Load& load) {
  std::vector<std::byte> buffer(64 << 10);
  while (!load.Over()) {
    Result<void> got = co_await GetOne(load, buffer);
    if (!got) co_return got.error();
  }
  co_return Ok();
}

asio::awaitable<void> Run(Load& load, int clients, int& code) {
  TaskGroup group(co_await CurrentExecutor());
  for (int i = 0; i < clients; ++i) group.Spawn(GetSome(load));
  Result<void> joined = co_await group.Join();
  if (!joined) std::fprintf(stderr, "%s\n", joined.error().Describe().c_str());
  code = joined ? 0 : 1;
}

int Main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: get_bench URL BUCKET PREFIX COUNT CLIENTS SECONDS\n");
    return 2;
  }
  asio::io_context io(1);
  RealClock clock(io.get_executor());
  SystemRandom random;
  CpuPool pool(1);
  MemoryBudget memory(256 << 20);
  NoLogger log;
  Metrics metrics;
  Runtime runtime{io.get_executor(), clock, random, pool, memory, log, metrics};
  S3StoreOptions options;
  options.endpoint = argv[1];
  options.credentials = MakeStaticCredentials({.access_key_id = "longhaul-test",
                                               .secret_access_key = Secret("longhaul-test-secret"),
                                               .session_token = {},
                                               .expires = {}});
  Result<std::unique_ptr<Store>> store = MakeS3Store(runtime, options);
  if (!store) return 1;
  Load load{.store = **store,
            .bucket = argv[2],
            .prefix = argv[3],
            .count = std::atoi(argv[4]),
            .seconds = std::atof(argv[6])};
  int code = 1;
  bool done = false;
  asio::co_spawn(io, Run(load, std::atoi(argv[5]), code), [&](std::exception_ptr) { done = true; });
  while (!done) io.run_one();
  if (code != 0) return code;
  const double seconds = std::chrono::duration<double>(Steady::now() - load.begun).count();
  std::vector<double>& times = load.first_byte_ms;
  std::ranges::sort(times);
  std::printf(
      "{\"gets\": %zu, \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"first_byte_p50_ms\": %.3f, "
      "\"first_byte_p99_ms\": %.3f}\n",
      times.size(), seconds, CpuSeconds(), times.empty() ? 0 : times[times.size() / 2],
      times.empty() ? 0 : times[times.size() * 99 / 100]);
  return 0;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) { return longhaul::Main(argc, argv); }
