// CPU of the S3 client alone: what a GET and a PUT of small and of large objects cost, signing and
// checksums included, against a server in another process.
//
//   s3_client_bench URL [objects] [size_bytes] [concurrency] [shards]
//
// Keys testkey123 / testsecret123. Prints CPU (user + sys of this process) per object and per GiB,
// and how much of it is the caller's thread's, which does all but what the shards do.

#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "base/cpu_pool.h"
#include "base/metrics.h"
#include "base/shards.h"
#include "storage/s3_store.h"

namespace longhaul {
namespace {

class NoLogger : public Logger {
  void Log(LogLevel, std::string_view, Fields) override {}
};

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](timeval time) { return double(time.tv_sec) + double(time.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double HomeCpuSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

struct Load {
  Store& store;
  std::string bucket;
  int count;
  std::string body;
  int next = 0;
};

PutRequest At(const Load& load, int i) {
  PutRequest request;
  request.bucket = load.bucket;
  request.key = "bench/" + std::to_string(i);
  return request;
}

Async<void> PutSome(Load& load) {
  while (load.next < load.count) {
    MemorySource source{std::string_view(load.body)};
    Result<PutResult> put = co_await load.store.Put(At(load, load.next++), source);
    if (!put) co_return put.error();
  }
  co_return Ok();
}

Async<void> ReadOne(Load& load, int i, std::span<std::byte> buffer) {
  GetRequest request;
  request.bucket = load.bucket;
  request.key = "bench/" + std::to_string(i);
  Result<ObjectStream> stream = co_await load.store.Get(std::move(request));
  if (!stream) co_return stream.error();
  while (true) {
    Result<size_t> count = co_await stream->body->Read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) co_return Ok();
  }
}

Async<void> GetSome(Load& load) {
  std::vector<std::byte> buffer(std::min<size_t>(load.body.size() + 1, 1 << 20));
  while (load.next < load.count) {
    Result<void> read = co_await ReadOne(load, load.next++, buffer);
    if (!read) co_return read.error();
  }
  co_return Ok();
}

asio::awaitable<void> Phase(const char* name, Load& load, int concurrency,
                            Async<void> (*work)(Load&)) {
  load.next = 0;
  auto wall = std::chrono::steady_clock::now();
  double cpu = CpuSeconds();
  double home = HomeCpuSeconds();
  TaskGroup group(co_await CurrentExecutor());
  for (int i = 0; i < concurrency; ++i) group.Spawn(work(load));
  Result<void> joined = co_await group.Join();
  cpu = CpuSeconds() - cpu;
  home = HomeCpuSeconds() - home;
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
  if (!joined) {
    std::printf("%s: %s\n", name, joined.error().Describe().c_str());
    std::exit(1);
  }
  double gib = double(load.body.size()) * load.count / (1 << 30);
  std::printf(
      "%-4s %d x %zu bytes: %.1f us CPU per object, %.2f CPU s/GiB (of the caller's thread %.2f), "
      "%.2f "
      "s wall\n",
      name, load.count, load.body.size(), cpu / load.count * 1e6, cpu / gib, home / gib, seconds);
}

asio::awaitable<void> Run(Load& load, int concurrency) {
  (void)co_await load.store.CreateBucket(load.bucket);
  {  // Tells the client what the server can check.
    Load one{load.store, load.bucket, 1, "x"};
    (void)co_await PutSome(one);
  }
  co_await Phase("PUT", load, concurrency, PutSome);
  co_await Phase("GET", load, concurrency, GetSome);
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: s3_client_bench URL [objects] [size_bytes] [concurrency] [shards]\n");
    return 2;
  }
  Shards shards(argc > 5 ? std::atoi(argv[5]) : 1);
  asio::io_context io(1);
  RealClock clock(io.get_executor());
  SystemRandom random;
  CpuPool pool(2);
  MemoryBudget memory(1 << 30);
  NoLogger log;
  Metrics metrics;
  Runtime runtime{io.get_executor(), clock, random, pool, memory, log, metrics};
  S3StoreOptions options;
  options.endpoint = argv[1];
  options.shards = &shards;
  options.credentials = MakeStaticCredentials({.access_key_id = "testkey123",
                                               .secret_access_key = Secret("testsecret123"),
                                               .session_token = {},
                                               .expires = {}});
  Result<std::unique_ptr<Store>> store = MakeS3Store(runtime, options);
  if (!store) return 1;
  int count = argc > 2 ? std::atoi(argv[2]) : 5000;
  size_t size = argc > 3 ? static_cast<size_t>(std::atoll(argv[3])) : 4096;
  int concurrency = argc > 4 ? std::atoi(argv[4]) : 32;
  Load load{**store, "longhaul-bench", count, std::string(size, 'b')};
  for (size_t i = 0; i < load.body.size(); ++i) load.body[i] = static_cast<char>(i * 7 + i / 251);
  bool done = false;
  asio::co_spawn(io, Run(load, concurrency), [&](std::exception_ptr) { done = true; });
  while (!done) io.run_one();
  return 0;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) { return longhaul::Main(argc, argv); }
