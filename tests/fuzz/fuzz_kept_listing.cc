// Any bytes as a kept listing and as the file of a tree, compressed or not: no crash, no end that
// was not written, and nothing out of order.

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "transfer/listing/kept_listing.h"
#include "transfer/listing/page_check.h"
#include "transfer/tree/tree_root.h"

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

asio::awaitable<void> ReadListing(Runtime& runtime, std::string bytes) {
  auto lines =
      co_await TextLines::Of(runtime, std::make_unique<TextReader>(std::move(bytes)), "file");
  if (!lines) co_return;
  KeptListing listing(std::move(*lines), "b", "", false);
  std::string last;
  for (int left = 100'000; left > 0; --left) {
    Result<std::optional<ListedObject>> object = co_await listing.Next();
    if (!object || !*object) co_return;
    LH_CHECK((*object)->key > last && (*object)->key.size() <= kListedKeyBytesMax);
    LH_CHECK((*object)->size_bytes <= kListedSizeBytesMax);
    last = (*object)->key;
  }
}

asio::awaitable<void> ReadTree(Runtime& runtime, std::string bytes) {
  auto lines =
      co_await TextLines::Of(runtime, std::make_unique<TextReader>(std::move(bytes)), "file");
  if (!lines) co_return;
  auto reader = co_await TreeFileReader::Open(std::move(*lines), TreeMode::kFull);
  if (!reader) co_return;
  for (int left = 100'000; left > 0; --left) {
    Result<std::optional<TreeEntry>> entry = co_await (*reader)->Next();
    if (!entry || !*entry) co_return;
  }
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  asio::io_context io(1);
  RealClock clock(io.get_executor());
  SeededRandom random(1);
  CpuPool pool(0);
  MemoryBudget memory(64 << 20);
  QuietLogger log;
  Metrics metrics;
  Runtime runtime{io.get_executor(), clock, random, pool, memory, log, metrics};
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  SpawnDetached(io.get_executor(), ReadListing(runtime, bytes));
  SpawnDetached(io.get_executor(), ReadTree(runtime, bytes));
  io.run();
  return 0;
}
