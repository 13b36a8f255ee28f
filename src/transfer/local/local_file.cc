#include "transfer/local/local_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/mutex.h"
#include "transfer/local/content_type.h"

namespace longhaul {
namespace {

constexpr const char* kAttribute = "user.longhaul";
constexpr size_t kAttributeBytesMax = 64 << 10;  // Of Linux; most file systems take less.
constexpr int kHiddenAttemptsMax = 1'000;
constexpr size_t kHiddenDigits = 16;

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
    if (line[0] == 's' && *name == "file-time") attributes.file_time = ParseFileTime(*value);
    if (line[0] == 's' && *name == "modified") {
      if (std::optional<timespec> time = ParseFileTime(*value)) attributes.modified = TimeOf(*time);
    }
    if (line[0] == 'm') attributes.metadata[*name] = *value;
    if (line[0] == 't') attributes.tags[*name] = *value;
    std::string* header = line[0] == 'h' ? HeaderField(attributes.headers, *name) : nullptr;
    if (header != nullptr) *header = *value;
  }
  return attributes;
}

// `get`: fgetxattr or getxattr of one file.
template <class Get>
std::optional<FileAttributes> ReadAttributesBy(const Get& get) {
  char few[1024];  // Most fit; one call is enough then.
  ssize_t size = get(few, sizeof(few));
  if (size > 0) return DecodeAttributes({few, static_cast<size_t>(size)});
  if (size == 0 || errno != ERANGE) return std::nullopt;
  std::string text(kAttributeBytesMax, '\0');
  size = get(text.data(), text.size());
  if (size <= 0) return std::nullopt;
  text.resize(static_cast<size_t>(size));
  return DecodeAttributes(text);
}

std::optional<FileAttributes> ReadAttributes(int fd) {
  return ReadAttributesBy(
      [fd](char* out, size_t size) { return ::fgetxattr(fd, kAttribute, out, size); });
}

bool Untouched(const FileAttributes& attributes, const struct stat& status) {
  return attributes.file_time && attributes.file_time->tv_sec == status.st_mtim.tv_sec &&
         attributes.file_time->tv_nsec == status.st_mtim.tv_nsec;
}

timespec ToTimespec(SystemTime time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return {.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(since - seconds).count()};
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

// The same name for each attempt at a file, so that what an earlier one left is found. `number`:
// of those who write it at once.
std::string HiddenName(const std::filesystem::path& path, int number) {
  return ".longhaul-" + HexEncode(Sha256(path.filename().string())).substr(0, kHiddenDigits) +
         (number == 0 ? "" : "." + std::to_string(number)) + ".part";
}

// Removes a hidden file that a process which is gone has left: whoever writes one holds its lock.
// False: it stays.
bool RemoveAbandoned(const std::string& hidden) {
  const FileHandle file(::open(hidden.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.fd() < 0) return errno == ENOENT;
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) return false;
  // Its writer may have been at its end: then it has its own name by now, and this is another's.
  struct stat held{};
  struct stat named{};
  if (::fstat(file.fd(), &held) != 0) return false;
  if (::lstat(hidden.c_str(), &named) != 0) return errno == ENOENT;
  const bool same = held.st_dev == named.st_dev && held.st_ino == named.st_ino;
  return same && ::unlink(hidden.c_str()) == 0;
}

}  // namespace

bool IsHiddenName(std::string_view name) {
  return name.starts_with(".longhaul-") && name.ends_with(".part");
}

Result<void> CheckFileKey(std::string_view key) {
  Error bad{.kind = ErrorKind::kInvalidInput,
            .message = "no file can have the name of this key",
            .code = "KeyNotStorable"};
  if (key.empty() || key.find('\0') != std::string_view::npos) return bad;
  while (true) {
    size_t slash = key.find('/');
    std::string_view segment = key.substr(0, slash);
    if (segment.empty() || segment == "." || segment == ".." || segment.size() > 255) return bad;
    if (IsHiddenName(segment)) {
      bad.message = "what is being written into a folder has names such as this one, and goes";
      return bad;
    }
    if (slash == std::string_view::npos) return Ok();
    if (segment == kStoreFolder) {
      bad.message = "a file store keeps what is its own in a folder of this name";
      return bad;
    }
    key.remove_prefix(slash + 1);
  }
}

std::string FilePathOf(const std::string& bucket, std::string_view key) {
  return bucket + (bucket.ends_with('/') ? "" : "/") + std::string(key);
}

Error FromErrno(int number, const std::string& what) {
  std::string message = what + ": " + std::generic_category().message(number);
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return NotFound(message, "NoSuchKey");
    case EACCES:
    case EPERM:
      return {.kind = ErrorKind::kDenied, .message = message};
    case EROFS:
      return {.kind = ErrorKind::kDenied, .message = message, .code = "ReadOnly"};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
      return Retryable(message);
    case ENOSPC:
    case EDQUOT:
      return {.kind = ErrorKind::kInvalidInput, .message = message, .code = "NoSpace"};
    // Of one name: a folder is there, or it is none that this file system takes.
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case EILSEQ:
    case EINVAL:
    case ELOOP:
    case EFBIG:
      return {.kind = ErrorKind::kInvalidInput, .message = message, .code = "FileNotPossible"};
    default:
      return {.kind = ErrorKind::kInvalidInput, .message = message, .code = "FileSystem"};
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

std::string FormatFileTime(const timespec& time) {
  // Before 1970 the fraction counts up from the second below.
  std::string text = std::to_string(time.tv_sec);
  if (time.tv_nsec == 0) return text;
  std::string fraction = std::to_string(1'000'000'000 + time.tv_nsec).substr(1);
  while (fraction.ends_with('0')) fraction.pop_back();
  return text + "." + fraction;
}

std::optional<timespec> ParseFileTime(std::string_view text) {
  timespec time{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), time.tv_sec);
  if (error != std::errc()) return std::nullopt;
  std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  if (rest.empty()) return time;
  if (rest.size() < 2 || rest[0] != '.') return std::nullopt;
  long unit = 100'000'000;
  for (char c : rest.substr(1)) {
    if (c < '0' || c > '9') return std::nullopt;
    time.tv_nsec += (c - '0') * unit;
    unit /= 10;
  }
  return time;
}

SystemTime ModifiedOf(const std::string& path, const struct stat& status) {
  std::optional<FileAttributes> attributes = ReadAttributesBy(
      [&path](char* out, size_t size) { return ::getxattr(path.c_str(), kAttribute, out, size); });
  if (attributes && attributes->modified && Untouched(*attributes, status)) {
    return *attributes->modified;
  }
  return TimeOf(status.st_mtim);
}

std::string EncodeAttributes(const PutRequest& request, timespec file_time, SystemTime modified) {
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
  add('s', "file-time", FormatFileTime(file_time));
  if (modified != SystemTime{}) add('s', "modified", FormatFileTime(ToTimespec(modified)));
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
  if (!opened.attributes || !Untouched(*opened.attributes, opened.status)) {
    info.metadata[kFileTimeName] = FormatFileTime(opened.status.st_mtim);
  } else if (opened.attributes->modified) {
    info.last_modified = *opened.attributes->modified;
  }
  return info;
}

std::unique_ptr<ByteReader> ReadFilePart(CpuPool& pool, FileHandle file, std::string etag,
                                         std::string path, uint64_t offset_bytes,
                                         uint64_t length_bytes) {
  return std::make_unique<FileReader>(pool, std::move(file), std::move(etag), std::move(path),
                                      offset_bytes, length_bytes);
}

Result<std::unique_ptr<NewFile>> NewFile::Create(std::string path, const FoldPath& fold) {
  std::error_code error;
  std::filesystem::path parent = Folded(fold, std::filesystem::path(path).parent_path().string());
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return FromErrno(error.value(), parent.string());
  std::string hidden;
  int number = 0;
  for (int attempt = 0; attempt < kHiddenAttemptsMax; ++attempt) {
    hidden = (parent / HiddenName(path, number)).string();
    FileHandle file(::open(hidden.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file.fd() < 0) {
      if (errno != EEXIST) return FromErrno(errno, hidden);
      if (!RemoveAbandoned(hidden)) ++number;
      continue;
    }
    // Who takes it for abandoned before it is locked has the lock, or has removed it. A file system
    // without locks does without.
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;
    struct stat status{};
    if (::fstat(file.fd(), &status) == 0 && status.st_nlink == 0) continue;
    return std::unique_ptr<NewFile>(
        new NewFile(std::move(file), std::move(path), std::move(hidden)));
  }
  return FromErrno(EEXIST, hidden);
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

void DescribeFile(int fd, const PutRequest& request, SystemTime modified) {
  auto set_time = [fd](timespec time) {
    const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, time};
    static_cast<void>(::futimens(fd, times));
  };
  struct stat status{};
  if (::fstat(fd, &status) != 0) return;
  timespec time = status.st_mtim;
  if (modified != SystemTime{}) time = ToTimespec(modified);
  const timespec comparable = time;
  if (auto kept = request.metadata.find(kFileTimeName); kept != request.metadata.end()) {
    time = ParseFileTime(kept->second).value_or(time);
  }
  set_time(time);
  // What the file system made of it: some keep whole seconds.
  if (::fstat(fd, &status) != 0) return;
  const std::string attributes = EncodeAttributes(request, status.st_mtim, modified);
  if (::fsetxattr(fd, kAttribute, attributes.data(), attributes.size(), 0) != 0) {
    set_time(comparable);
  }
}

int NameAnew(const std::string& from, const std::string& to, const NameCalls& calls) {
  const int renamed = calls.rename_anew ? calls.rename_anew(from.c_str(), to.c_str())
                                        : ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(),
                                                      RENAME_NOREPLACE);
  if (renamed == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return -1;
  if (calls.link(from.c_str(), to.c_str()) == 0) {
    ::unlink(from.c_str());
    return 0;
  }
  if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP) return -1;
  const FileHandle taken(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (taken.fd() < 0) return -1;
  if (::rename(from.c_str(), to.c_str()) == 0) return 0;
  const int failed = errno;
  ::unlink(to.c_str());
  errno = failed;
  return -1;
}

Result<void> PlaceFile(const std::string& hidden, const std::string& path, bool if_absent,
                       const FoldPath& fold) {
  const std::string at = Folded(fold, path);
  // In the folder of the file, also where what was written lies in a folder of its own.
  const std::string folder = FolderOfFile(hidden);
  const std::string probe = FolderOfFile(at) == folder ? hidden : folder;
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  if (if_absent) {
    if (NameAnew(hidden, at) == 0) return Ok();
    if (errno != EEXIST) return FromErrno(errno, path);
    Result<void> spelled = FoldsNames(probe, name, fold) ? CheckSpelling(path, fold) : Ok();
    if (!spelled) return spelled;
    return PreconditionFailed(path + " is already there");
  }
  if (::renameat2(AT_FDCWD, hidden.c_str(), AT_FDCWD, at.c_str(), RENAME_NOREPLACE) == 0) {
    return Ok();
  }
  // EINVAL: a file system that has no such rename.
  if (errno != EEXIST && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
    return FromErrno(errno, path);
  }
  if (FoldsNames(probe, name, fold)) {
    // Two spellings of one name must not both find nothing there.
    static Mutex one_by_one;
    const MutexLock lock(one_by_one);
    Result<void> spelled = CheckSpelling(path, fold);
    if (!spelled) return spelled;
    if (::rename(hidden.c_str(), at.c_str()) != 0) return FromErrno(errno, path);
    return Ok();
  }
  if (::rename(hidden.c_str(), at.c_str()) != 0) return FromErrno(errno, path);
  return Ok();
}

Result<void> CheckFoldersAbove(const std::string& root, std::string_view key) {
  for (size_t end = key.find('/'); end != std::string_view::npos; end = key.find('/', end + 1)) {
    const std::string folder = FilePathOf(root, key.substr(0, end));
    struct stat status{};
    if (::lstat(folder.c_str(), &status) != 0) break;  // Nor is there anything below it.
    if (!S_ISLNK(status.st_mode)) continue;
    return Error{.kind = ErrorKind::kInvalidInput,
                 .message = FilePathOf(root, key) + ": " + folder +
                            " is a link, and no link to a folder is followed",
                 .code = "KeyNotStorable"};
  }
  return Ok();
}

std::string FolderOfFile(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

Result<void> SyncFile(const std::string& path, const std::string& folder, bool above,
                      const std::function<int(int)>& sync) {
  const FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd() < 0 || sync(file.fd()) != 0) return FromErrno(errno, path);
  for (std::string at = folder;;) {
    const FileHandle opened(::open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (opened.fd() < 0) {
      // One that may be written and not read: all of the file system then.
      if (::syncfs(file.fd()) != 0) return FromErrno(errno, at);
    } else if (sync(opened.fd()) != 0) {
      // Some file systems have no such thing for folders.
      const bool cannot = errno == EINVAL || errno == EBADF || errno == ENOTSUP || errno == EROFS;
      if (!cannot) return FromErrno(errno, at);
    }
    std::string next = FolderOfFile(at);
    if (!above || next == at) return Ok();
    at = std::move(next);
  }
}

Result<void> SyncFileSystem(const std::string& folder) {
  const std::string path = folder.empty() ? "." : folder;
  const FileHandle opened(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.fd() >= 0) {
    if (::syncfs(opened.fd()) != 0) return FromErrno(errno, path);
  } else if (errno == EACCES) {
    ::sync();                    // It may be written and not read: all file systems then.
  } else if (errno != ENOENT) {  // Without the folder nothing has been written below it.
    return FromErrno(errno, path);
  }
  return Ok();
}

Result<struct stat> NewFile::Commit(bool if_absent, const FoldPath& fold) {
  struct stat status{};
  if (::fstat(file_.fd(), &status) != 0) return FromErrno(errno, path_);
  Result<void> placed = PlaceFile(hidden_, path_, if_absent, fold);
  if (!placed) return placed.error();
  committed_ = true;
  return status;
}

}  // namespace longhaul
