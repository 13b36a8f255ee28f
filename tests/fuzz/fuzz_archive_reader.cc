// Any bytes as an archive: opened, and every frame and entry of it read.

#include <cstdint>
#include <string>

#include "tests/fuzz/fuzz_world.h"
#include "tests/support/archive.h"

namespace longhaul {
namespace {

asio::awaitable<void> ReadAll(Runtime& runtime, std::string bytes) {
  auto opened = co_await testing::ReadWholeArchive(
      runtime, std::move(bytes),
      {.entries_max = 10'000, .index_size_bytes_max = 1 << 20, .frame_size_bytes_max = 4 << 20});
  (void)opened;
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  FuzzWorld world(64 << 20);
  world.Start(ReadAll(world.runtime(), FuzzText(data, size)));
  world.Run();
  return 0;
}
