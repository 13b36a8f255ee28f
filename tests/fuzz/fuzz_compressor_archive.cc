// Any bytes as an archive of the cross-region compressor: unpacked as zstd, and as the tar in it,
// which libFuzzer would not find through the compression. Its manifest alone, too.

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "archive/compressor_manifest.h"
#include "archive/tar_reader.h"
#include "archive/zstd_reader.h"
#include "base/bytes.h"

namespace longhaul {
namespace {

class QuietLogger : public Logger {
 protected:
  void Log(LogLevel, std::string_view, Fields) override {}
};

class TextReader : public ByteReader {
 public:
  explicit TextReader(std::string text) : text_(std::move(text)) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    const size_t count = std::min({out.size(), text_.size() - at_, size_t{1000}});
    std::memcpy(out.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  size_t at_ = 0;
};

asio::awaitable<void> ReadTar(ByteReader& bytes) {
  archive::TarReader tar(bytes);
  std::vector<std::byte> chunk(4096);
  for (int left = 10'000; left > 0; --left) {
    auto member = co_await tar.Next();
    if (!member || !*member) co_return;
    std::string content;
    while (content.size() < (1 << 20)) {
      Result<size_t> count = co_await tar.Read(chunk);
      if (!count || *count == 0) break;
      content += AsText(std::span(chunk).first(*count));
    }
    auto manifest = archive::ParseCompressorManifest(content);
    static_cast<void>(manifest);
  }
}

asio::awaitable<void> ReadAll(Runtime& runtime, std::string bytes) {
  auto manifest = archive::ParseCompressorManifest(bytes);
  static_cast<void>(manifest);
  TextReader plain(bytes);
  co_await ReadTar(plain);
  TextReader compressed(std::move(bytes));
  archive::ZstdReader zstd(runtime, compressed);
  co_await ReadTar(zstd);
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  asio::io_context io(1);
  RealClock clock(io.get_executor());
  SeededRandom random(1);
  CpuPool pool(0);
  MemoryBudget memory(16 << 20);
  QuietLogger log;
  Metrics metrics;
  Runtime runtime{io.get_executor(), clock, random, pool, memory, log, metrics};
  SpawnDetached(io.get_executor(),
                ReadAll(runtime, std::string(reinterpret_cast<const char*>(data), size)));
  io.run();
  return 0;
}
