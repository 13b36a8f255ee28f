// archive_bench FOLDER [LEVEL [OUT]]: packs a folder as bundles, as the source role would, and
// reads them back; prints bytes and CPU seconds of both. Compare with, in the same minute:
//
//   cd FOLDER && tar --sort=name --format=ustar -cf /tmp/t.tar . && time zstd -6 -T1 -c /tmp/t.tar
//
// Files are objects with what S3 would add: a content type, a stamp of a whole second, an ETag that
// is the MD5, one entry of user metadata that is the same for all and one of few values.

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "archive/archive_file.h"
#include "archive/reader.h"
#include "archive/writer.h"
#include "base/bytes.h"

namespace longhaul {
namespace {

constexpr uint64_t kBundleBytes = 256 << 20;
constexpr size_t kBundleEntries = 10'000;
constexpr uint64_t kBundleObjectBytes = 8 << 20;

class QuietLogger : public Logger {
 protected:
  void Log(LogLevel, std::string_view, Fields) override {}
};

class FileSink : public ArchiveSink {
 public:
  explicit FileSink(const std::string& path) : file_(path, std::ios::binary) {}
  Async<void> Write(std::span<const std::byte> bytes) override {
    file_.write(reinterpret_cast<const char*>(bytes.data()),
                static_cast<std::streamsize>(bytes.size()));
    file_.flush();
    if (!file_) co_return Retryable("cannot write");
    co_return Ok();
  }

 private:
  std::ofstream file_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Totals {
  uint64_t objects = 0;
  uint64_t content_bytes = 0;
  uint64_t archive_bytes = 0;
  uint64_t linked = 0;
  int bundles = 0;
  double read_files_seconds = 0;
  double write_seconds = 0;
  double read_seconds = 0;
};

Async<void> ReadBack(Runtime& runtime, std::string path) {
  auto file = co_await LocalArchiveFile::Open(runtime, path);
  if (!file) co_return file.error();
  auto reader = co_await ArchiveReader::Open(runtime, **file, {});
  if (!reader) co_return reader.error();
  for (size_t i = 0; i < (*reader)->frames().size(); ++i) {
    auto frame = co_await (*reader)->ReadFrame(i);
    if (!frame) co_return frame.error();
  }
  co_return Ok();
}

Async<void> Pack(Runtime& runtime, std::string folder, int level, std::string out, Totals& totals) {
  std::vector<std::string> keys;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.file_size() <= kBundleObjectBytes) {
      keys.push_back(std::filesystem::relative(entry.path(), folder).string());
    }
  }
  std::ranges::sort(keys);
  for (size_t next = 0; next < keys.size();) {
    double start = CpuSeconds();
    double files = 0;
    FileSink sink(out);
    auto writer = co_await ArchiveWriter::Open(runtime,
                                               {.id = "01KJM0000000000000000000AR",
                                                .rule_id = "bench",
                                                .site = "east-1",
                                                .source = "east:bench/",
                                                .sites_passed = {},
                                                .created = runtime.clock.Now(),
                                                .writer = "longhaul bench"},
                                               {.level = level}, sink);
    if (!writer) co_return writer.error();
    uint64_t bytes = 0;
    for (size_t count = 0; next < keys.size() && count < kBundleEntries && bytes < kBundleBytes;
         ++count, ++next) {
      const double before = CpuSeconds();
      std::ifstream file(folder + "/" + keys[next], std::ios::binary);
      const std::string content((std::istreambuf_iterator<char>(file)), {});
      files += CpuSeconds() - before;
      bytes += content.size();
      ArchiveEntry entry{
          .key = keys[next],
          .stamp = SystemTime(std::chrono::seconds(1772355600 + static_cast<int64_t>(next / 40))),
          .size_bytes = content.size(),
          .etag = content.size() < kDerivedSizeBytes ? "" : std::string(32, 'a'),
          .etag_is_md5 = true};
      entry.headers.content_type = "application/octet-stream";
      entry.metadata = {{"origin", "bench"}, {"shard", std::to_string(next * 7 % 16)}};
      if (auto added = co_await (*writer)->Add(entry, AsBytes(content)); !added) {
        co_return added.error();
      }
    }
    auto summary = co_await (*writer)->Finish();
    if (!summary) co_return summary.error();
    totals.objects += summary->entries;
    totals.linked += summary->linked_entries;
    totals.archive_bytes += summary->compressed_bytes;
    totals.content_bytes += bytes;
    totals.read_files_seconds += files;
    totals.write_seconds += CpuSeconds() - start - files;
    ++totals.bundles;
    start = CpuSeconds();
    if (auto read = co_await ReadBack(runtime, out); !read) co_return read.error();
    totals.read_seconds += CpuSeconds() - start;
  }
  co_return Ok();
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: archive_bench FOLDER [LEVEL [OUT]]\n", stderr);
    return 2;
  }
  asio::io_context io(1);
  RealClock clock(io.get_executor());
  SystemRandom random;
  CpuPool pool(2);
  MemoryBudget memory(int64_t{1} << 30);
  QuietLogger log;
  Metrics metrics;
  Runtime runtime{io.get_executor(), clock, random, pool, memory, log, metrics};
  Totals totals;
  std::optional<Result<void>> result;
  const auto run = [](Runtime& runtime, std::string folder, int level, std::string out,
                      Totals& totals,
                      std::optional<Result<void>>& result) -> asio::awaitable<void> {
    result = co_await Pack(runtime, folder, level, out, totals);
  };
  SpawnDetached(io.get_executor(),
                run(runtime, argv[1], argc > 2 ? std::atoi(argv[2]) : 6,
                    argc > 3 ? argv[3] : "/tmp/archive_bench.tar.zst", totals, result));
  auto keep_running = asio::make_work_guard(io);
  while (!result) io.run_one();
  if (!*result) {
    std::fprintf(stderr, "%s\n", result->error().Describe().c_str());
    return 1;
  }
  std::printf(
      "{\"objects\":%llu,\"linked\":%llu,\"content_bytes\":%llu,\"archive_bytes\":%llu,"
      "\"bundles\":%d,\"cpu_seconds\":{\"files\":%.3f,\"write\":%.3f,\"read\":%.3f}}\n",
      static_cast<unsigned long long>(totals.objects),
      static_cast<unsigned long long>(totals.linked),
      static_cast<unsigned long long>(totals.content_bytes),
      static_cast<unsigned long long>(totals.archive_bytes), totals.bundles,
      totals.read_files_seconds, totals.write_seconds, totals.read_seconds);
  return 0;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) { return longhaul::Main(argc, argv); }
