#include "storage/file_object.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>

#include "base/bytes.h"
#include "storage/file_multipart.h"

namespace longhaul {
namespace {

constexpr size_t kHashBytes = 1 << 20;
constexpr int kOpenAttemptsMax = 2 * kFileReadsMax;

Error Changes(std::string message) {
  Error error = Retryable(std::move(message));
  error.code = kFileChanges;
  return error;
}

// The ETag of a file that another program wrote.
Result<FileRecord> RecordForeign(const FileTree& tree, std::string_view key,
                                 const FoundFile& found) {
  FileRecord record;
  record.size_bytes = static_cast<uint64_t>(found.status.st_size);
  record.changed_ns = ChangedNs(found.status);
  record.foreign = true;
  record.inode = found.status.st_ino;
  record.status_changed_ns = static_cast<int64_t>(found.status.st_ctim.tv_sec) * 1'000'000'000 +
                             found.status.st_ctim.tv_nsec;
  HashSet hashes({HashKind::kMd5, HashKind::kCrc64Nvme});
  std::string buffer(kHashBytes, '\0');
  uint64_t offset = 0;
  while (true) {
    Result<size_t> count =
        ReadFileAt(found.file.get(), offset, std::as_writable_bytes(std::span(buffer)));
    if (!count) return count.error();
    if (*count == 0) break;
    hashes.Update(AsBytes(std::string_view(buffer).substr(0, *count)));
    offset += *count;
  }
  auto digests = hashes.Finish();
  record.etag = HexEncode(digests[0].second);
  record.checksums = {{ChecksumAlgorithm::kCrc64Nvme, Base64Encode(digests[1].second), false}};

  struct stat after;
  if (::fstat(found.file.get(), &after) != 0) return FileError(errno, "stat");
  if (!record.Describes(after) || offset != record.size_bytes) {
    return Changes("the file changes while it is read");
  }
  int64_t now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  // Not being able to keep it (a read-only folder) costs time, nothing else.
  if (now_ns - record.status_changed_ns > kSettledNs) {
    (void)KeepForeignRecord(tree, key, record);
  }
  return record;
}

}  // namespace

Result<FileObject> OpenFileObject(const FileTree& tree, std::string_view key, int reads_max) {
  std::optional<int64_t> seen_without_record;
  int reads = 0;
  for (int attempt = 0; attempt < kOpenAttemptsMax; ++attempt) {
    Result<FoundFile> found = tree.Find(key);
    if (!found) return found.error();
    Result<std::optional<FileRecord>> record = LoadRecord(tree, key, found->status);
    if (!record) return record.error();
    if (*record) return FileObject{std::move(*found), std::move(**record)};
    // No record. A writer may have been faster than our two looks; the second time it is foreign.
    if (seen_without_record == ChangedNs(found->status)) {
      Result<FileRecord> foreign = RecordForeign(tree, key, *found);
      if (foreign) return FileObject{std::move(*found), std::move(*foreign)};
      if (!foreign.error().Transient() || ++reads == reads_max) return foreign.error();
    }
    seen_without_record = ChangedNs(found->status);
  }
  return Changes("the file changes all the time");
}

ObjectInfo InfoOf(const FileObject& object) {
  ObjectInfo info;
  const FileRecord& record = object.record;
  info.size_bytes = static_cast<uint64_t>(object.found.status.st_size);
  info.etag = record.etag;
  info.last_modified = SystemTime(std::chrono::microseconds(record.changed_ns / 1000));
  info.storage_class = record.storage_class;
  info.headers = record.headers;
  if (info.headers.content_type.empty()) info.headers.content_type = "binary/octet-stream";
  info.metadata = record.metadata;
  info.tag_count = static_cast<int>(record.tags.size());
  info.checksums = record.checksums;
  return info;
}

Result<size_t> ReadFileAt(int fd, uint64_t offset, std::span<std::byte> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    ssize_t count =
        ::pread(fd, out.data() + filled, out.size() - filled, static_cast<off_t>(offset + filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(errno, "read");
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  return filled;
}

Result<void> WriteFile(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(errno, "write");
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return Ok();
}

Result<FileWriter> FileWriter::New(FileTree tree, std::optional<ChecksumAlgorithm> also) {
  Result<FileTree::Temporary> temporary = tree.NewTemporary();
  if (!temporary) return temporary.error();
  if (also == ChecksumAlgorithm::kCrc64Nvme) also.reset();
  return FileWriter(std::move(tree), std::move(*temporary), also);
}

FileWriter::FileWriter(FileTree tree, FileTree::Temporary temporary,
                       std::optional<ChecksumAlgorithm> also)
    : tree_(std::move(tree)), temporary_(std::move(temporary)), also_(also) {
  std::vector<HashKind> kinds = {HashKind::kMd5, HashKind::kCrc64Nvme};
  if (also_) kinds.push_back(HashKindOf(*also_));
  hashes_ = std::make_unique<HashSet>(std::move(kinds));
}

FileWriter::~FileWriter() {
  // A moved-from writer has no file.
  if (temporary_.file.valid() && !placed_)
    ::unlinkat(tree_.bucket_fd(), temporary_.path.c_str(), 0);
}

Result<void> FileWriter::Write(std::span<const std::byte> bytes) {
  hashes_->Update(bytes);
  size_bytes_ += bytes.size();
  return WriteFile(temporary_.file.get(), bytes);
}

Result<void> FileWriter::CopyFrom(int from, uint64_t offset, uint64_t size_bytes) {
  loff_t at = static_cast<loff_t>(offset);
  uint64_t left = size_bytes;
  std::string buffer;
  while (left > 0) {
    ssize_t count = ::copy_file_range(from, &at, temporary_.file.get(), nullptr, left, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 &&
        (errno == EXDEV || errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP)) {
      // A file system that does not know how.
      buffer.resize(kHashBytes);
      Result<size_t> read = ReadFileAt(
          from, static_cast<uint64_t>(at),
          std::as_writable_bytes(std::span(buffer)).first(std::min<uint64_t>(left, kHashBytes)));
      if (!read) return read.error();
      Result<void> written =
          WriteFile(temporary_.file.get(), AsBytes(std::string_view(buffer).substr(0, *read)));
      if (!written) return written;
      count = static_cast<ssize_t>(*read);
      at += count;
    } else if (count < 0) {
      return FileError(errno, "copy");
    }
    if (count == 0) return Corrupt("a file is shorter than it was");
    left -= static_cast<uint64_t>(count);
  }
  size_bytes_ += size_bytes;
  return Ok();
}

FileWriter::Digests FileWriter::FinishDigests() {
  auto results = hashes_->Finish();
  Digests digests{
      .md5 = results[0].second,
      .crc64nvme = {ChecksumAlgorithm::kCrc64Nvme, Base64Encode(results[1].second), false},
      .also = std::nullopt};
  if (also_) digests.also = Checksum{*also_, Base64Encode(results[2].second), false};
  return digests;
}

Result<void> FileWriter::MoveTo(int folder, const std::string& name) {
  if (::renameat(tree_.bucket_fd(), temporary_.path.c_str(), folder, name.c_str()) != 0) {
    return FileError(errno, "rename to " + name);
  }
  placed_ = true;
  return Ok();
}

Result<void> CheckFileCondition(const FileTree& tree, std::string_view key,
                                const WriteCondition& condition) {
  if (!condition.if_absent && condition.if_match.empty()) return Ok();
  Error failed = PreconditionFailed("the object is not as the condition wants it");
  failed.code = "PreconditionFailed";
  if (condition.if_match.empty()) {
    Result<FoundFile> found = tree.Find(key);
    if (found) return failed;
    return found.error().kind == ErrorKind::kNotFound ? Ok() : Result<void>(found.error());
  }
  Result<FileObject> there = OpenFileObject(tree, key);
  if (!there) {
    return there.error().kind == ErrorKind::kNotFound ? failed : there.error();
  }
  if (condition.if_absent || there->record.etag != condition.if_match) return failed;
  return Ok();
}

Result<FileRecord> FileWriter::Commit(std::string_view key, FileRecord record,
                                      const WriteCondition& condition, SystemTime now) {
  // Two writes never leave the same time of change, so that a record fits one of them alone: the
  // clock's microseconds and a counter below them.
  static std::atomic<int64_t> counter{0};
  record.size_bytes = size_bytes_;
  record.changed_ns = now.time_since_epoch().count() * 1000 + counter.fetch_add(1) % 1000;
  timespec times[2];
  times[0].tv_sec = times[1].tv_sec = record.changed_ns / 1'000'000'000;
  times[0].tv_nsec = times[1].tv_nsec = record.changed_ns % 1'000'000'000;
  if (::futimens(temporary_.file.get(), times) != 0) return FileError(errno, "set times");
  Result<void> synced = tree_.Sync(temporary_.file.get(), "object");
  if (!synced) return synced.error();
  struct stat status;
  if (::fstat(temporary_.file.get(), &status) != 0) return FileError(errno, "stat");
  // What the file system made of the time is what counts.
  record.changed_ns = ChangedNs(status);

  Result<Fd> lock = tree_.Lock(key);
  if (!lock) return lock.error();
  std::string replaced_upload;
  if (Result<FoundFile> there = tree_.Find(key)) {
    replaced_upload = UploadOfFile(tree_, key, there->status);
  }
  if (!record.upload_id.empty()) {
    // Asked for twice: the other one was faster, and what came after it is newer.
    Result<void> open = CheckFileUpload(tree_, record.upload_id);
    if (!open) return open.error();
    if (replaced_upload == record.upload_id) return NotFound("completed already", "NoSuchUpload");
  }
  Result<void> holds = CheckFileCondition(tree_, key, condition);
  if (!holds) return holds.error();
  Result<void> prepared = PrepareRecord(tree_, key, record);
  if (!prepared) return prepared.error();
  // It is there still if its completion died when the object was in place.
  EndFileUpload(tree_, replaced_upload);
  Result<void> placed = tree_.Place(temporary_.path, key);
  if (!placed) {
    // Only the record of this very state: the one of the object that stays is another file. Where
    // its folder alone could not be synced, the object is in place and has no other.
    Result<FoundFile> there = tree_.Find(key);
    if (!there || !record.Describes(there->status)) DropPreparedRecord(tree_, key, record);
    return placed.error();
  }
  placed_ = true;
  Result<void> settled = SettleRecord(tree_, key, record);
  if (!settled) return settled.error();
  EndFileUpload(tree_, record.upload_id);
  DropFileUpload(tree_, replaced_upload);
  return record;
}

}  // namespace longhaul
