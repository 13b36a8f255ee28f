// The bytes of replicas as they come out of an archive.

#pragma once

#include <memory>
#include <span>

#include "archive/reader.h"
#include "replica/apply.h"
#include "transfer/uploads/uploads.h"

namespace longhaul {

// An object that lies in memory.
class MemoryBody : public ReplicaBody {
 public:
  explicit MemoryBody(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Async<PutResult> Write(Store& store, PutRequest request) override;

 private:
  std::span<const std::byte> bytes_;
};

// Sends the content of an entry as parts of an upload, in parallel where they fit into memory, else
// streamed one after the other.
class PartSender {
 public:
  // `memory_bytes`: for parts, beside what the reader takes for frames; reserved by the caller.
  // `bytes_moved` counts what is sent.
  PartSender(Runtime& runtime, ArchiveReader& reader, size_t entry, uint64_t memory_bytes,
             uint64_t& bytes_moved)
      : runtime_(runtime),
        reader_(reader),
        entry_(entry),
        memory_bytes_(memory_bytes),
        bytes_moved_(bytes_moved) {}

  // Parts numbered from `first` on, of these sizes (at least one), whose sum is that of the entry.
  // Errors as Store::UploadPart, or those of the archive.
  Async<std::vector<UploadedPart>> Send(Store& store, const MultipartUpload& upload, int first,
                                        std::vector<uint64_t> sizes);
  // Set when Send failed because the archive did not give its bytes: kCorrupt is the archive's
  // fault then, and else the target's.
  [[nodiscard]] const std::optional<Error>& archive_failure() const { return archive_failure_; }

 private:
  Async<std::vector<UploadedPart>> SendHeld(Store& store, const MultipartUpload& upload, int first,
                                            const std::vector<uint64_t>& sizes, ByteSource& source);
  Async<std::vector<UploadedPart>> SendStreamed(Store& store, const MultipartUpload& upload,
                                                int first, const std::vector<uint64_t>& sizes,
                                                ByteSource& source);

  Runtime& runtime_;
  ArchiveReader& reader_;
  size_t entry_;
  uint64_t memory_bytes_;
  uint64_t& bytes_moved_;
  std::optional<Error> archive_failure_;
};

// A large object, frame by frame: in one streamed PUT when its source has one part, so that the
// ETag stays; else in the parts that the source has, where memory allows, and they are not so small
// that the limit of 10,000 could be in the way.
class ArchiveBody : public ReplicaBody {
 public:
  // `memory_bytes`: for parts, beside what the reader takes for frames; reserved by the caller.
  // `bytes_moved` counts what is written.
  ArchiveBody(Runtime& runtime, ArchiveReader& reader, size_t entry, UploadLedger& ledger,
              uint64_t memory_bytes, uint64_t& bytes_moved)
      : runtime_(runtime),
        reader_(reader),
        entry_(entry),
        ledger_(ledger),
        memory_bytes_(memory_bytes),
        bytes_moved_(bytes_moved) {}
  Async<PutResult> Write(Store& store, PutRequest request) override;
  // Set when the last Write failed because the archive did not give its bytes: kCorrupt is the
  // archive's fault then, and else the target's.
  [[nodiscard]] const std::optional<Error>& archive_failure() const { return archive_failure_; }

 private:
  Async<PutResult> WriteParts(Store& store, PutRequest request, std::vector<uint64_t> sizes);

  Runtime& runtime_;
  ArchiveReader& reader_;
  size_t entry_;
  UploadLedger& ledger_;
  uint64_t memory_bytes_;
  uint64_t& bytes_moved_;
  std::optional<Error> archive_failure_;
};

}  // namespace longhaul
