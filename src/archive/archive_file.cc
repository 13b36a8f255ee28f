#include "archive/archive_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace longhaul {
namespace {

Error FileError(const std::string& path, int number) {
  Error error = InvalidInput(path + ": " + std::strerror(number));
  if (number == ENOENT || number == ENOTDIR) error.kind = ErrorKind::kNotFound;
  if (number == EACCES || number == EPERM) error.kind = ErrorKind::kDenied;
  return error;
}

const Error& CutOff() {
  static const Error error = Corrupt("the file ends inside the archive");
  return error;
}

}  // namespace

Async<std::unique_ptr<LocalArchiveFile>> LocalArchiveFile::Open(Runtime& runtime,
                                                                std::string path) {
  struct Opened {
    int fd;
    uint64_t size_bytes;
  };
  auto opened = co_await runtime.pool.Run([&path]() -> Result<Opened> {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return FileError(path, errno);
    struct stat status{};
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(fd);
      return InvalidInput(path + ": not a regular file");
    }
    return Opened{fd, static_cast<uint64_t>(status.st_size)};
  });
  if (!opened) co_return opened.error();
  co_return std::unique_ptr<LocalArchiveFile>(
      new LocalArchiveFile(runtime, opened->fd, opened->size_bytes));
}

LocalArchiveFile::~LocalArchiveFile() { ::close(fd_); }

Async<void> LocalArchiveFile::ReadAt(uint64_t offset_bytes, std::span<std::byte> out) {
  co_return co_await runtime_.pool.Run([this, offset_bytes, out]() -> Result<void> {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t count = ::pread(fd_, out.data() + done, out.size() - done,
                                    static_cast<off_t>(offset_bytes + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Retryable(std::string("read: ") + std::strerror(errno));
      if (count == 0) return CutOff();
      done += static_cast<size_t>(count);
    }
    return Ok();
  });
}

Async<std::unique_ptr<StoreArchiveFile>> StoreArchiveFile::Open(Runtime& runtime, Store& store,
                                                                std::string bucket, std::string key,
                                                                std::string etag,
                                                                uint64_t tail_size_bytes) {
  auto memory = co_await runtime.memory.Reserve(static_cast<int64_t>(tail_size_bytes));
  if (!memory) co_return memory.error();
  std::unique_ptr<StoreArchiveFile> file(new StoreArchiveFile(store, bucket, key));
  auto stream = co_await store.Get(
      {.bucket = bucket, .key = key, .suffix_bytes = tail_size_bytes, .if_match = etag});
  if (!stream) {
    // A suffix of nothing cannot be had (RFC 9110, 14.1.2); some servers give it as 416.
    if (stream.error().code == "InvalidRange") co_return Corrupt("the archive is empty");
    co_return stream.error();
  }
  file->size_bytes_ = stream->info.size_bytes;
  file->etag_ = stream->info.etag;
  file->version_id_ = stream->info.version_id;
  if (stream->info.size_bytes == 0) co_return Corrupt("the archive is empty");
  if (stream->length_bytes > tail_size_bytes ||
      stream->offset_bytes + stream->length_bytes != stream->info.size_bytes) {
    co_return Retryable("the store did not give the end of the object: " + store.description());
  }
  file->tail_.resize(stream->length_bytes);
  const std::span<std::byte> out(file->tail_);
  size_t done = 0;
  while (true) {
    std::byte end[1];  // The last read finds out whether all was right.
    const bool complete = done == out.size();
    auto count =
        co_await stream->body->Read(complete ? std::span<std::byte>(end) : out.subspan(done));
    if (!count) co_return count.error();
    if (*count == 0) break;
    if (complete) co_return Corrupt("the store sent more than it said");
    done += *count;
  }
  if (done < out.size()) co_return CutOff();
  memory->ShrinkTo(static_cast<int64_t>(out.size()));
  file->memory_ = std::move(*memory);
  co_return file;
}

Async<void> StoreArchiveFile::ReadAt(uint64_t offset_bytes, std::span<std::byte> out) {
  if (offset_bytes > size_bytes_ || out.size() > size_bytes_ - offset_bytes) co_return CutOff();
  const uint64_t tail_offset = size_bytes_ - tail_.size();
  if (const uint64_t end = offset_bytes + out.size(); end > tail_offset) {
    const uint64_t from = std::max(offset_bytes, tail_offset);
    std::memcpy(out.data() + (from - offset_bytes), tail_.data() + (from - tail_offset),
                end - from);
    out = out.first(from - offset_bytes);
  }
  if (out.empty()) co_return Ok();
  auto stream = co_await store_.Get(
      {.bucket = bucket_,
       .key = key_,
       .version_id = version_id_,
       .range = ByteRange{.offset_bytes = offset_bytes, .size_bytes = out.size()},
       .if_match = etag_});
  if (!stream) co_return stream.error();
  if (stream->offset_bytes != offset_bytes || stream->length_bytes != out.size()) {
    co_return Retryable("the store did not give the range that was asked for: " +
                        store_.description());
  }
  size_t done = 0;
  while (true) {
    std::byte end[1];
    const bool complete = done == out.size();
    auto count =
        co_await stream->body->Read(complete ? std::span<std::byte>(end) : out.subspan(done));
    if (!count) co_return count.error();
    if (*count == 0) break;
    if (complete) co_return Corrupt("the store sent more than it said");
    done += *count;
  }
  if (done < out.size()) co_return CutOff();
  co_return Ok();
}

}  // namespace longhaul
