// Any bytes as a kept listing and as the file of a tree, compressed or not: no crash, no end that
// was not written, and nothing out of order.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "tests/fuzz/fuzz_world.h"
#include "transfer/listing/kept_listing.h"
#include "transfer/listing/page_check.h"
#include "transfer/tree/tree_root.h"

namespace longhaul {
namespace {

asio::awaitable<void> ReadListing(Runtime& runtime, std::string bytes) {
  auto lines =
      co_await TextLines::Of(runtime, std::make_unique<TextReader>(std::move(bytes)), "file");
  if (!lines) co_return;
  KeptListing listing(std::move(*lines), "b", "", false, "");
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
  FuzzWorld world(64 << 20);
  world.Start(ReadListing(world.runtime(), FuzzText(data, size)));
  world.Start(ReadTree(world.runtime(), FuzzText(data, size)));
  world.Run();
  return 0;
}
