// Any bytes as an archive of the cross-region compressor: unpacked as zstd, and as the tar in it,
// which libFuzzer would not find through the compression. Its manifest alone, too.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "archive/compressor_manifest.h"
#include "archive/tar_reader.h"
#include "archive/zstd_reader.h"
#include "base/bytes.h"
#include "tests/fuzz/fuzz_world.h"

namespace longhaul {
namespace {

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
  FuzzWorld world(16 << 20);
  world.Start(ReadAll(world.runtime(), FuzzText(data, size)));
  world.Run();
  return 0;
}
