// What fuzz targets that read in coroutines share: a Runtime without threads, and bytes to read.

#pragma once

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

class FuzzWorld {
 public:
  explicit FuzzWorld(int64_t memory_bytes) : memory_(memory_bytes) {}

  [[nodiscard]] Runtime& runtime() { return runtime_; }
  void Start(asio::awaitable<void> work) { SpawnDetached(io_.get_executor(), std::move(work)); }
  // Until all that was started has ended.
  void Run() { io_.run(); }

 private:
  class QuietLogger : public Logger {
   protected:
    void Log(LogLevel, std::string_view, Fields) override {}
  };

  asio::io_context io_{1};
  RealClock clock_{io_.get_executor()};
  SeededRandom random_{1};
  CpuPool pool_{0};
  MemoryBudget memory_;
  QuietLogger log_;
  Metrics metrics_;
  Runtime runtime_{io_.get_executor(), clock_, random_, pool_, memory_, log_, metrics_};
};

// Gives its text in pieces.
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

inline std::string FuzzText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace longhaul
