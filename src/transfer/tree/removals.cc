#include "transfer/tree/removals.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace longhaul {

namespace {

constexpr uint64_t kCountUnguarded = 1000;  // As the default `delete_guard` of a rule.
constexpr double kPercentUnguarded = 25;
constexpr size_t kPieceBytes = 1 << 20;

struct Head {
  uint32_t key_bytes = 0;
  uint32_t etag_bytes = 0;
  uint32_t version_bytes = 0;
  uint32_t at_source = 0;
  uint64_t size_bytes = 0;
};

Error FileError(const char* what) {
  return Retryable(std::string("keep the list of what to remove: ") + what + ": " +
                   std::generic_category().message(errno));
}

Error Refused(const std::string& message) {
  return {.kind = ErrorKind::kPrecondition,
          .message = "nothing was removed: " + message,
          .code = kDeleteGuardCode};
}

}  // namespace

Result<void> CheckRemovals(const RemovalCount& count, const RemovalGuard& guard) {
  if (count.removals == 0) return Ok();
  const std::string removals = std::to_string(count.removals);
  const std::string of = " of " + std::to_string(count.target_objects) + " objects";
  if (count.source_objects == 0) {
    return Refused("the source has no object, and all " + removals +
                   " at the target would go; if that is meant, remove them with rm");
  }
  const double percent = 100.0 * static_cast<double>(count.removals) /
                         static_cast<double>(std::max<uint64_t>(count.target_objects, 1));
  if (guard.count_max && count.removals > *guard.count_max) {
    return Refused(removals + of + " at the target would go, and --max-delete allows " +
                   std::to_string(*guard.count_max));
  }
  if (guard.percent_max && percent > *guard.percent_max) {
    return Refused(removals + of + " at the target would go, more than --max-delete-percent " +
                   "allows");
  }
  if (!guard.count_max && !guard.percent_max && count.removals > kCountUnguarded &&
      percent > kPercentUnguarded) {
    return Refused(removals + of + " at the target would go, more than 1,000 and more than a " +
                   "quarter; if that is meant, say --max-delete-percent 100");
  }
  return Ok();
}

Removals::~Removals() {
  if (fd_ >= 0) ::close(fd_);
}

void Removals::Add(const Entry& entry) {
  const Head head{.key_bytes = static_cast<uint32_t>(entry.key.size()),
                  .etag_bytes = static_cast<uint32_t>(entry.etag.size()),
                  .version_bytes = static_cast<uint32_t>(entry.version_id.size()),
                  .at_source = entry.at_source ? 1U : 0U,
                  .size_bytes = entry.size_bytes};
  buffer_.append(reinterpret_cast<const char*>(&head), sizeof(head));
  buffer_ += entry.key;
  buffer_ += entry.etag;
  buffer_ += entry.version_id;
  ++count_;
}

Async<void> Removals::Spill() {
  co_return co_await pool_.Run([this] { return WriteBuffer(); });
}

Result<void> Removals::WriteBuffer() {
  if (fd_ < 0) {
    const char* folder = std::getenv("TMPDIR");
    std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/longhaul-XXXXXX";
    fd_ = ::mkostemp(path.data(), O_CLOEXEC);
    if (fd_ < 0) return FileError(path.c_str());
    ::unlink(path.c_str());
  }
  for (size_t done = 0; done < buffer_.size();) {
    const ssize_t count = ::pwrite(fd_, buffer_.data() + done, buffer_.size() - done,
                                   static_cast<off_t>(file_bytes_));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return FileError("write");
    done += static_cast<size_t>(count);
    file_bytes_ += static_cast<uint64_t>(count);
  }
  buffer_.clear();
  return Ok();
}

Result<bool> Removals::ReadBuffer() {
  reading_.erase(0, at_);
  at_ = 0;
  if (read_bytes_ < file_bytes_) {
    const size_t want = std::min<uint64_t>(kPieceBytes, file_bytes_ - read_bytes_);
    const size_t before = reading_.size();
    reading_.resize(before + want);
    ssize_t count = 0;
    do {
      count = ::pread(fd_, reading_.data() + before, want, static_cast<off_t>(read_bytes_));
    } while (count < 0 && errno == EINTR);
    if (count <= 0) return FileError("read");
    reading_.resize(before + static_cast<size_t>(count));
    read_bytes_ += static_cast<uint64_t>(count);
    return true;
  }
  if (took_buffer_) return false;
  took_buffer_ = true;
  reading_ += buffer_;
  buffer_ = {};
  return true;
}

Async<std::optional<Removals::Entry>> Removals::Next() {
  while (true) {
    Head head;
    const size_t have = reading_.size() - at_;
    if (have >= sizeof(head)) {
      std::memcpy(&head, reading_.data() + at_, sizeof(head));
      const size_t whole = sizeof(head) + head.key_bytes + head.etag_bytes + head.version_bytes;
      if (have >= whole) {
        const char* text = reading_.data() + at_ + sizeof(head);
        Entry entry{.key = {text, head.key_bytes},
                    .etag = {text + head.key_bytes, head.etag_bytes},
                    .version_id = {text + head.key_bytes + head.etag_bytes, head.version_bytes},
                    .size_bytes = head.size_bytes,
                    .at_source = head.at_source != 0};
        at_ += whole;
        co_return std::optional<Entry>(std::move(entry));
      }
    }
    Result<bool> more = co_await pool_.Run([this] { return ReadBuffer(); });
    if (!more) co_return more.error();
    if (!*more) co_return std::nullopt;
  }
}

}  // namespace longhaul
