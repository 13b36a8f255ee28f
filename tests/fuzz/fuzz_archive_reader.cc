// Any bytes as an archive: opened, and every frame and entry of it read.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string>

#include "tests/support/archive.h"

namespace longhaul {
namespace {

class QuietLogger : public Logger {
 protected:
  void Log(LogLevel, std::string_view, Fields) override {}
};

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
  asio::io_context io(1);
  RealClock clock(io.get_executor());
  SeededRandom random(1);
  CpuPool pool(0);
  MemoryBudget memory(64 << 20);
  QuietLogger log;
  Metrics metrics;
  Runtime runtime{io.get_executor(), clock, random, pool, memory, log, metrics};
  SpawnDetached(io.get_executor(),
                ReadAll(runtime, std::string(reinterpret_cast<const char*>(data), size)));
  io.run();
  return 0;
}
