// Any text as an index whose digest is right: what a fuzzer would hardly get past is added here.

#include <cstdint>
#include <string>

#include "archive/index.h"
#include "base/bytes.h"
#include "base/checksum.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string text(reinterpret_cast<const char*>(data), size);
  // The seeds' frames, so that the walk over the entries is reached.
  const std::vector<archive::FrameSizes> frames = {{100, 2048}};
  auto parsed = archive::ParseIndex(text, frames, 10'000, 16 << 20);
  (void)parsed;
  const std::string digested = text + ",\"digest\":\"" + HexEncode(Sha256(text)) + "\"}";
  auto sealed = archive::CheckSeal(digested, {});
  if (!sealed) __builtin_trap();
  (void)archive::CheckSeal(text, {{.id = "k", .secret = "0123456789abcdef"}});
  return 0;
}
