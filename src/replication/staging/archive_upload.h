// ArchiveUpload: an archive's bytes on their way to the staging of every target, packed once.
//
// What fits into one part goes by one PUT; more goes by multipart upload, parts being uploaded
// while the next is filled. A staging that fails does not stop the others.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "archive/writer.h"
#include "base/runtime.h"
#include "transfer/uploads/uploads.h"

namespace longhaul {

class ArchiveUpload : public ArchiveSink {
 public:
  struct Destination {
    Store* store = nullptr;
    std::string bucket;
    std::string key;
  };

  // Of parts: one is filled while the others are sent. More of them keep a long way busy.
  static constexpr int kBuffersMin = 2;
  static constexpr int kBuffersMax = 8;

  // Borrows everything by reference. Memory: `buffers` parts, reserved by the caller.
  // `bytes_moved` counts what arrives.
  ArchiveUpload(Runtime& runtime, UploadLedger& ledger, std::vector<Destination> destinations,
                uint64_t part_bytes, int buffers, uint64_t& bytes_moved);
  ~ArchiveUpload() override;

  // Fails only when every destination has failed.
  Async<void> Write(std::span<const std::byte> bytes) override;
  // Makes the archive visible, all of it at once; a result for each destination.
  asio::awaitable<std::vector<Result<void>>> Finish();
  // Leaves nothing behind.
  asio::awaitable<void> Abort();

  // So far, for each destination; what has failed stays failed.
  [[nodiscard]] std::vector<Result<void>> results() const;
  [[nodiscard]] uint64_t sent_bytes() const { return sent_bytes_; }

 private:
  struct Progress {
    Destination destination;
    Result<void> result;
    std::unique_ptr<Semaphore> creation = std::make_unique<Semaphore>(1);
    std::optional<MultipartUpload> upload;
    std::vector<UploadedPart> parts;
  };

  // The first part that is to be sent creates the upload; the others wait for that.
  asio::awaitable<void> EnsureUpload(Progress& progress);
  Async<void> SendPart(Progress& progress, std::shared_ptr<std::vector<std::byte>> bytes,
                       int number);
  Async<void> SendPartToAll(std::shared_ptr<std::vector<std::byte>> bytes, int number);
  Async<void> FinishOne(Progress& progress);

  Runtime& runtime_;
  UploadLedger& ledger_;
  std::vector<Progress> progress_;
  uint64_t part_bytes_;
  uint64_t& bytes_moved_;
  std::shared_ptr<std::vector<std::byte>> filling_;  // shared with the parts that are being sent.
  int parts_ = 0;
  uint64_t sent_bytes_ = 0;
  TaskGroup sending_;
  Semaphore free_buffers_;
};

}  // namespace longhaul
