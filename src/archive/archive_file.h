// ArchiveFile: the bytes of an archive, by ranges, wherever they lie.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

// Belongs to one shard; many coroutines of it may read at once.
class ArchiveFile {
 public:
  virtual ~ArchiveFile() = default;
  [[nodiscard]] virtual uint64_t size_bytes() const = 0;
  // Fills `out`. kCorrupt: the file ends before that. kPrecondition: it is not the file any more
  // that was opened. Else the errors of the store.
  virtual Async<void> ReadAt(uint64_t offset_bytes, std::span<std::byte> out) = 0;
  // The memory that it keeps reserved for as long as it lives.
  [[nodiscard]] virtual int64_t held_bytes() const { return 0; }
};

// A file on this machine; it is read on the CPU pool.
class LocalArchiveFile : public ArchiveFile {
 public:
  // kNotFound, kDenied; kInvalidInput: not a regular file.
  static Async<std::unique_ptr<LocalArchiveFile>> Open(Runtime& runtime, std::string path);
  ~LocalArchiveFile() override;
  [[nodiscard]] uint64_t size_bytes() const override { return size_bytes_; }
  Async<void> ReadAt(uint64_t offset_bytes, std::span<std::byte> out) override;

 private:
  LocalArchiveFile(Runtime& runtime, int fd, uint64_t size_bytes)
      : runtime_(runtime), fd_(fd), size_bytes_(size_bytes) {}
  Runtime& runtime_;
  int fd_;
  uint64_t size_bytes_;
};

// An object of a store. Opening it takes its tail in one request (a small archive is then here as a
// whole); other ranges are one GET each, with If-Match, so that all are of one object.
class StoreArchiveFile : public ArchiveFile {
 public:
  static constexpr uint64_t kTailSizeBytes = 2 << 20;

  // `etag`: the version to read; empty: the current one. `store` outlives the file. Reserves
  // `tail_size_bytes` of memory and keeps what the tail takes of it.
  // kCorrupt: the object is empty. Else the errors of Store::Get.
  static Async<std::unique_ptr<StoreArchiveFile>> Open(Runtime& runtime, Store& store,
                                                       std::string bucket, std::string key,
                                                       std::string etag,
                                                       uint64_t tail_size_bytes = kTailSizeBytes);
  [[nodiscard]] uint64_t size_bytes() const override { return size_bytes_; }
  [[nodiscard]] const std::string& etag() const { return etag_; }
  Async<void> ReadAt(uint64_t offset_bytes, std::span<std::byte> out) override;
  [[nodiscard]] int64_t held_bytes() const override { return memory_.size_bytes(); }

 private:
  StoreArchiveFile(Store& store, std::string bucket, std::string key)
      : store_(store), bucket_(std::move(bucket)), key_(std::move(key)) {}
  Store& store_;
  std::string bucket_;
  std::string key_;
  std::string etag_;
  std::string version_id_;
  uint64_t size_bytes_ = 0;
  Reservation memory_;
  std::vector<std::byte> tail_;  // The last bytes of the object.
};

}  // namespace longhaul
