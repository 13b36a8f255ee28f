#include "transfer/local_file.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>

#include "base/bytes.h"
#include "transfer/content_type.h"

namespace longhaul {
namespace {

constexpr const char* kAttribute = "user.longhaul";
constexpr size_t kAttributeBytesMax = 64 << 10;  // Of Linux; most file systems take less.

std::string* HeaderField(SystemHeaders& headers, std::string_view name) {
  if (name == "content-type") return &headers.content_type;
  if (name == "content-encoding") return &headers.content_encoding;
  if (name == "content-language") return &headers.content_language;
  if (name == "content-disposition") return &headers.content_disposition;
  if (name == "cache-control") return &headers.cache_control;
  if (name == "expires") return &headers.expires;
  if (name == "website-redirect-location") return &headers.website_redirect_location;
  return nullptr;
}

// nullopt: there are none, or nobody of ours wrote them.
std::optional<FileAttributes> DecodeAttributes(std::string_view text) {
  if (!text.starts_with("v=1\n")) return std::nullopt;
  text.remove_prefix(4);
  FileAttributes attributes;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    size_t equals = line.find('=');
    if (line.size() < 3 || line[1] != '.' || equals == std::string_view::npos) return std::nullopt;
    Result<std::string> name = PercentDecode(line.substr(2, equals - 2));
    Result<std::string> value = PercentDecode(line.substr(equals + 1));
    if (!name || !value) return std::nullopt;
    if (line[0] == 'm') attributes.metadata[*name] = *value;
    if (line[0] == 't') attributes.tags[*name] = *value;
    std::string* header = line[0] == 'h' ? HeaderField(attributes.headers, *name) : nullptr;
    if (header != nullptr) *header = *value;
  }
  return attributes;
}

std::optional<FileAttributes> ReadAttributes(int fd) {
  ssize_t size = ::fgetxattr(fd, kAttribute, nullptr, 0);
  if (size <= 0 || static_cast<size_t>(size) > kAttributeBytesMax) return std::nullopt;
  std::string text(static_cast<size_t>(size), '\0');
  size = ::fgetxattr(fd, kAttribute, text.data(), text.size());
  if (size <= 0) return std::nullopt;
  text.resize(static_cast<size_t>(size));
  return DecodeAttributes(text);
}

class FileReader : public ByteReader {
 public:
  FileReader(CpuPool& pool, FileHandle file, std::string etag, std::string path, uint64_t offset,
             uint64_t length)
      : pool_(pool),
        file_(std::move(file)),
        etag_(std::move(etag)),
        path_(std::move(path)),
        offset_(offset),
        left_(length) {}

  Async<size_t> Read(std::span<std::byte> out) override {
    co_return co_await pool_.Run([this, out] { return ReadNow(out); });
  }

 private:
  Result<size_t> ReadNow(std::span<std::byte> out) {
    if (left_ == 0) {
      struct stat status{};
      if (::fstat(file_.fd(), &status) != 0) return FromErrno(errno, path_);
      if (EtagOf(status) != etag_) return PreconditionFailed(path_ + " changed while it was read");
      return 0;
    }
    size_t want = std::min<uint64_t>(out.size(), left_);
    ssize_t count = 0;
    do {
      count = ::pread(file_.fd(), out.data(), want, static_cast<off_t>(offset_));
    } while (count < 0 && errno == EINTR);
    if (count < 0) return FromErrno(errno, path_);
    if (count == 0) return PreconditionFailed(path_ + " became shorter while it was read");
    offset_ += static_cast<uint64_t>(count);
    left_ -= static_cast<uint64_t>(count);
    return static_cast<size_t>(count);
  }

  CpuPool& pool_;
  FileHandle file_;
  std::string etag_;
  std::string path_;
  uint64_t offset_;
  uint64_t left_;
};

}  // namespace

Error FromErrno(int number, const std::string& what) {
  std::string message = what + ": " + std::generic_category().message(number);
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return NotFound(message, "NoSuchKey");
    case EACCES:
    case EPERM:
    case EROFS:
      return {.kind = ErrorKind::kDenied, .message = message};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
      return Retryable(message);
    default:
      return {.kind = ErrorKind::kInvalidInput,
              .message = message,
              .code = number == ENOSPC ? "NoSpace" : "FileSystem"};
  }
}

SystemTime TimeOf(const timespec& time) {
  return SystemTime(std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

std::string EtagOf(const struct stat& status) {
  return "file." + std::to_string(status.st_size) + "." + std::to_string(status.st_mtim.tv_sec) +
         "." + std::to_string(status.st_mtim.tv_nsec) + "." + std::to_string(status.st_ino);
}

std::string EncodeAttributes(const PutRequest& request) {
  std::string out = "v=1\n";
  auto add = [&out](char kind, std::string_view name, std::string_view value) {
    out += std::string(1, kind) + "." + PercentEncode(name, Slash::kEncode) + "=" +
           PercentEncode(value, Slash::kEncode) + "\n";
  };
  SystemHeaders headers = request.headers;
  for (std::string_view name :
       {"content-type", "content-encoding", "content-language", "content-disposition",
        "cache-control", "expires", "website-redirect-location"}) {
    std::string* value = HeaderField(headers, name);
    if (!value->empty()) add('h', name, *value);
  }
  for (const auto& [name, value] : request.metadata) add('m', name, value);
  for (const auto& [name, value] : request.tags) add('t', name, value);
  return out;
}

Result<OpenedFile> OpenFile(const std::string& path) {
  OpenedFile opened;
  // Not blocking: a FIFO must not stop a copy.
  opened.file = FileHandle(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (opened.file.fd() < 0 || ::fstat(opened.file.fd(), &opened.status) != 0) {
    return FromErrno(errno, path);
  }
  if (!S_ISREG(opened.status.st_mode)) return NotFound(path + " is not a file", "NoSuchKey");
  opened.attributes = ReadAttributes(opened.file.fd());
  return opened;
}

ObjectInfo InfoOf(const OpenedFile& opened, std::string_view key, SystemTime now) {
  ObjectInfo info;
  info.size_bytes = static_cast<uint64_t>(opened.status.st_size);
  info.etag = EtagOf(opened.status);
  info.last_modified = TimeOf(opened.status.st_mtim);
  info.server_time = now;
  if (opened.attributes) {
    info.headers = opened.attributes->headers;
    info.metadata = opened.attributes->metadata;
    info.tag_count = static_cast<int>(opened.attributes->tags.size());
  } else {
    info.headers.content_type = ContentTypeOf(key);
  }
  return info;
}

std::unique_ptr<ByteReader> ReadFilePart(CpuPool& pool, FileHandle file, std::string etag,
                                         std::string path, uint64_t offset_bytes,
                                         uint64_t length_bytes) {
  return std::make_unique<FileReader>(pool, std::move(file), std::move(etag), std::move(path),
                                      offset_bytes, length_bytes);
}

Result<std::unique_ptr<NewFile>> NewFile::Create(std::string path, uint64_t id) {
  std::error_code error;
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return FromErrno(error.value(), parent.string());
  std::string hidden =
      (parent / (".longhaul-" + std::to_string(::getpid()) + "-" + std::to_string(id) + ".part"))
          .string();
  int fd = ::open(hidden.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return FromErrno(errno, hidden);
  return std::unique_ptr<NewFile>(new NewFile(FileHandle(fd), std::move(path), std::move(hidden)));
}

NewFile::~NewFile() {
  if (!committed_) ::unlink(hidden_.c_str());
}

Result<void> NewFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(file_.fd(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno(errno, path_);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return Ok();
}

void NewFile::Describe(const std::string& attributes) {
  static_cast<void>(::fsetxattr(file_.fd(), kAttribute, attributes.data(), attributes.size(), 0));
}

Result<struct stat> NewFile::Commit(bool if_absent) {
  struct stat status{};
  if (::fstat(file_.fd(), &status) != 0) return FromErrno(errno, path_);
  if (if_absent) {
    if (::link(hidden_.c_str(), path_.c_str()) != 0) {
      if (errno == EEXIST) return PreconditionFailed(path_ + " is already there");
      return FromErrno(errno, path_);
    }
    return status;  // The hidden name goes in the destructor.
  }
  if (::rename(hidden_.c_str(), path_.c_str()) != 0) return FromErrno(errno, path_);
  committed_ = true;
  return status;
}

}  // namespace longhaul
