// One object of a file store: opening it, and the writes that put a file into its place.
//
// Everything here blocks and belongs on the CPU pool.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/checksum.h"
#include "storage/file_sidecar.h"
#include "storage/file_tree.h"
#include "storage/store.h"

namespace longhaul {

// An open file and what is known of it. They belong together: a writer that replaces the object
// meanwhile changes neither.
struct FileObject {
  FoundFile found;
  FileRecord record;
};

// kNotFound, code NoSuchKey. For a file without a record it reads the whole file once, for its
// ETag, and keeps that; again while it changes meanwhile, up to `reads_max` times. kRetryable with
// kFileChanges: it always did.
inline constexpr int kFileReadsMax = 10;
// A file system's clock ticks: what was changed so recently could change again without a trace.
inline constexpr int64_t kSettledNs = 2'000'000'000;
inline constexpr std::string_view kFileChanges = "FileChanges";
Result<FileObject> OpenFileObject(const FileTree& tree, std::string_view key,
                                  int reads_max = kFileReadsMax);

ObjectInfo InfoOf(const FileObject& object);

// Fills `out` from `offset` on; fewer bytes only at the end of the file.
Result<size_t> ReadFileAt(int fd, uint64_t offset, std::span<std::byte> out);
Result<void> WriteFile(int fd, std::span<const std::byte> bytes);

// Bytes on their way to becoming an object: in a temporary file, hashed as they pass. What is not
// committed is removed.
class FileWriter {
 public:
  // `also`: one more checksum to compute beside MD5 and CRC64NVME.
  static Result<FileWriter> New(FileTree tree, std::optional<ChecksumAlgorithm> also);
  FileWriter(FileWriter&&) = default;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();

  Result<void> Write(std::span<const std::byte> bytes);
  // Makes the file that is written come from somewhere else: [offset, offset + size) of `from`,
  // copied inside the kernel, without hashing.
  Result<void> CopyFrom(int from, uint64_t offset, uint64_t size_bytes);

  // What passed through Write. Once.
  struct Digests {
    std::string md5;
    Checksum crc64nvme;
    std::optional<Checksum> also;
  };
  Digests FinishDigests();

  // kPrecondition, also where the key is not there for `if_match`.
  // `record`: everything but size and time.
  Result<FileRecord> Commit(std::string_view key, FileRecord record,
                            const WriteCondition& condition, SystemTime now);
  // Instead of Commit: makes the file `name` of a private folder out of it.
  Result<void> MoveTo(int folder, const std::string& name);

  [[nodiscard]] uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] const FileTree& tree() const { return tree_; }
  [[nodiscard]] int fd() const { return temporary_.file.get(); }

 private:
  FileWriter(FileTree tree, FileTree::Temporary temporary, std::optional<ChecksumAlgorithm> also);
  FileTree tree_;
  FileTree::Temporary temporary_;
  std::optional<ChecksumAlgorithm> also_;
  std::unique_ptr<HashSet> hashes_;
  uint64_t size_bytes_ = 0;
  bool placed_ = false;  // Its name may be another process's file by now.
};

// kPrecondition unless the object that is there now is as `condition` wants it. Call it with the
// key's lock held.
Result<void> CheckFileCondition(const FileTree& tree, std::string_view key,
                                const WriteCondition& condition);

}  // namespace longhaul
