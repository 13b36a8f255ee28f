#include "transfer/local_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

// Closes what it holds.
class File {
 public:
  explicit File(int fd = -1) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

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

Error NotImplemented(std::string_view what) {
  return {.kind = ErrorKind::kInvalidInput,
          .message = "a plain folder has no " + std::string(what),
          .code = "NotImplemented"};
}

Result<void> CheckKey(std::string_view key) {
  Error bad{.kind = ErrorKind::kInvalidInput,
            .message = "no file can have the name of this key",
            .code = "KeyNotStorable"};
  if (key.empty() || key.find('\0') != std::string_view::npos) return bad;
  while (true) {
    size_t slash = key.find('/');
    std::string_view segment = key.substr(0, slash);
    if (segment.empty() || segment == "." || segment == ".." || segment.size() > 255) return bad;
    if (slash == std::string_view::npos) return Ok();
    key.remove_prefix(slash + 1);
  }
}

std::string PathOf(const std::string& bucket, std::string_view key) {
  return bucket + (bucket.ends_with('/') ? "" : "/") + std::string(key);
}

SystemTime TimeOf(const timespec& time) {
  return SystemTime(std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

// Not 32 hex digits and not "…-N", so nobody takes it for an MD5.
std::string EtagOf(const struct stat& status) {
  return "file." + std::to_string(status.st_size) + "." + std::to_string(status.st_mtim.tv_sec) +
         "." + std::to_string(status.st_mtim.tv_nsec) + "." + std::to_string(status.st_ino);
}

// What an object has besides its bytes, as the value of an extended attribute: one line per entry,
// "h.content-type=text%2Fplain" with both sides percent-encoded. Written by Put, read by Head and
// Get; other tools do not see it, and file systems without attributes do without.
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

struct Attributes {
  SystemHeaders headers;
  UserMetadata metadata;
  Tags tags;
};

// nullopt: there are none, or nobody of ours wrote them.
std::optional<Attributes> DecodeAttributes(std::string_view text) {
  if (!text.starts_with("v=1\n")) return std::nullopt;
  text.remove_prefix(4);
  Attributes attributes;
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

std::optional<Attributes> ReadAttributes(int fd) {
  ssize_t size = ::fgetxattr(fd, kAttribute, nullptr, 0);
  if (size <= 0 || static_cast<size_t>(size) > kAttributeBytesMax) return std::nullopt;
  std::string text(static_cast<size_t>(size), '\0');
  size = ::fgetxattr(fd, kAttribute, text.data(), text.size());
  if (size <= 0) return std::nullopt;
  text.resize(static_cast<size_t>(size));
  return DecodeAttributes(text);
}

struct Opened {
  File file;
  struct stat status{};
  std::optional<Attributes> attributes;
};

Result<Opened> OpenFile(const std::string& path) {
  Opened opened;
  // Not blocking: a FIFO must not stop a copy.
  opened.file = File(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (opened.file.fd() < 0 || ::fstat(opened.file.fd(), &opened.status) != 0) {
    return FromErrno(errno, path);
  }
  if (!S_ISREG(opened.status.st_mode)) return NotFound(path + " is not a file", "NoSuchKey");
  opened.attributes = ReadAttributes(opened.file.fd());
  return opened;
}

ObjectInfo InfoOf(const Opened& opened, std::string_view key, SystemTime now) {
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

class FileReader : public ByteReader {
 public:
  FileReader(CpuPool& pool, File file, std::string etag, std::string path, uint64_t offset,
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
  File file_;
  std::string etag_;
  std::string path_;
  uint64_t offset_;
  uint64_t left_;
};

// A file under a hidden name until Commit; unlinked when it never comes to that.
class NewFile {
 public:
  static Result<std::unique_ptr<NewFile>> Create(std::string path, uint64_t id) {
    std::error_code error;
    std::filesystem::path parent = std::filesystem::path(path).parent_path();
    if (!parent.empty()) std::filesystem::create_directories(parent, error);
    if (error) return FromErrno(error.value(), parent.string());
    std::string hidden =
        (parent / (".longhaul-" + std::to_string(::getpid()) + "-" + std::to_string(id) + ".part"))
            .string();
    int fd = ::open(hidden.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return FromErrno(errno, hidden);
    return std::unique_ptr<NewFile>(new NewFile(File(fd), std::move(path), std::move(hidden)));
  }
  ~NewFile() {
    if (!committed_) ::unlink(hidden_.c_str());
  }

  Result<void> Write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      ssize_t count = ::write(file_.fd(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return FromErrno(errno, path_);
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
    return Ok();
  }

  // Where the file system has no attributes, or no room for them, the bytes are kept without.
  void Describe(const std::string& attributes) {
    static_cast<void>(::fsetxattr(file_.fd(), kAttribute, attributes.data(), attributes.size(), 0));
  }

  Result<struct stat> Commit(bool if_absent) {
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

 private:
  NewFile(File file, std::string path, std::string hidden)
      : file_(std::move(file)), path_(std::move(path)), hidden_(std::move(hidden)) {}
  File file_;
  std::string path_;
  std::string hidden_;
  bool committed_ = false;
};

HashKind KindOf(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return HashKind::kCrc32;
    case ChecksumAlgorithm::kCrc32c:
      return HashKind::kCrc32c;
    case ChecksumAlgorithm::kCrc64Nvme:
      return HashKind::kCrc64Nvme;
    case ChecksumAlgorithm::kSha1:
      return HashKind::kSha1;
    case ChecksumAlgorithm::kSha256:
      return HashKind::kSha256;
  }
  return HashKind::kSha256;
}

}  // namespace

// A depth-first walk in byte order of keys: a folder sorts as its name with a '/' behind it.
class LocalFolder::Walk {
 public:
  Walk(std::string bucket, std::string prefix, std::string start_after, bool shallow)
      : bucket_(std::move(bucket)),
        prefix_(std::move(prefix)),
        start_after_(std::move(start_after)),
        shallow_(shallow) {}

  Result<void> Open() {
    size_t slash = prefix_.rfind('/');
    std::string folder = slash == std::string::npos ? "" : prefix_.substr(0, slash + 1);
    struct stat status{};
    if (::stat(bucket_.empty() ? "." : bucket_.c_str(), &status) != 0) {
      Error error = FromErrno(errno, bucket_);
      if (error.kind == ErrorKind::kNotFound) error.code = "NoSuchBucket";
      return error;
    }
    if (!S_ISDIR(status.st_mode)) {
      return NotFound(bucket_ + " is not a folder", "NoSuchBucket");
    }
    if (!folder.empty() && !CheckKey(folder.substr(0, folder.size() - 1))) return Ok();
    Result<void> entered = Enter(folder);
    // A prefix below which there is nothing is an empty listing.
    if (!entered && entered.error().kind != ErrorKind::kNotFound) return entered;
    return Ok();
  }

  // Up to `count_max` more; at_end() says whether that was all.
  Result<void> Next(int count_max, ListPage& page) {
    while (!levels_.empty() &&
           page.objects.size() + page.common_prefixes.size() < static_cast<size_t>(count_max)) {
      Level& level = levels_.back();
      if (level.next == level.names.size()) {
        levels_.pop_back();
        continue;
      }
      std::string key = level.folder + level.names[level.next++];
      if (key.ends_with('/')) {
        if (shallow_ && key.size() > prefix_.size()) {
          if (key > start_after_) page.common_prefixes.push_back(key);
          continue;
        }
        Result<void> entered = Enter(key);
        // It went away meanwhile, or it is not ours to read: a copy that leaves a part out without
        // a word would be worse than one that stops.
        if (!entered && entered.error().kind != ErrorKind::kNotFound) return entered;
        continue;
      }
      if (key <= start_after_) continue;
      struct stat status{};
      if (::stat(PathOf(bucket_, key).c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ELOOP) continue;  // Gone, or a link to nowhere.
        return FromErrno(errno, PathOf(bucket_, key));
      }
      if (!S_ISREG(status.st_mode)) continue;
      ListedObject object;
      object.key = std::move(key);
      object.size_bytes = static_cast<uint64_t>(status.st_size);
      object.etag = EtagOf(status);
      object.last_modified = TimeOf(status.st_mtim);
      page.objects.push_back(std::move(object));
    }
    return Ok();
  }

  [[nodiscard]] bool at_end() const { return levels_.empty(); }

 private:
  struct Level {
    std::string folder;  // "" or with a '/' at the end.
    std::vector<std::string> names;
    size_t next = 0;
  };

  Result<void> Enter(const std::string& folder) {
    std::string path = folder.empty() ? (bucket_.empty() ? "." : bucket_) : PathOf(bucket_, folder);
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) return FromErrno(errno, path);
    Level level{.folder = folder};
    errno = 0;
    while (dirent* entry = ::readdir(directory)) {
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (name.starts_with(".longhaul-") && name.ends_with(".part")) continue;
      bool is_folder = entry->d_type == DT_DIR;
      if (entry->d_type == DT_UNKNOWN) {
        struct stat status{};
        is_folder =
            ::fstatat(::dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(status.st_mode);
      }
      if (is_folder) name.push_back('/');
      std::string key = folder + name;
      bool below = key.starts_with(prefix_) || (is_folder && prefix_.starts_with(key));
      bool later =
          is_folder ? key > start_after_ || start_after_.starts_with(key) : key > start_after_;
      if (below && later) level.names.push_back(std::move(name));
    }
    int failed = errno;
    ::closedir(directory);
    if (failed != 0) return FromErrno(failed, path);
    std::sort(level.names.begin(), level.names.end());
    levels_.push_back(std::move(level));
    return Ok();
  }

  std::string bucket_;
  std::string prefix_;
  std::string start_after_;
  bool shallow_;
  std::vector<Level> levels_;
};

LocalFolder::LocalFolder(Runtime runtime) : runtime_(runtime) {}
LocalFolder::~LocalFolder() = default;

Capabilities LocalFolder::capabilities() const {
  return {.sorted_listing = true,
          .versions = false,
          .tags = true,
          .checksums = false,
          .trailing_checksums = false,
          .storage_classes = false,
          .copy_size_bytes_max = 0,
          .put_size_bytes_max = UINT64_MAX,
          .part_size_bytes_min = 0,
          .lists_uploads = false,
          .create_if_absent = true,
          .key_dot_segments = false,
          .key_double_slash = false,
          .key_file_beside_folder = false,
          .key_trailing_slash = false};
}

std::string LocalFolder::description() const { return "local files"; }

Async<ListPage> LocalFolder::List(ListRequest request) {
  if (request.versions) co_return NotImplemented("versions");
  std::unique_ptr<Walk> walk;
  if (!request.token.empty()) {
    auto found = walks_.find(request.token);
    if (found == walks_.end()) co_return InvalidInput("a listing that is not under way");
    walk = std::move(found->second);
    walks_.erase(found);
  } else {
    walk = std::make_unique<Walk>(request.bucket, request.prefix, request.start_after,
                                  !request.delimiter.empty());
  }
  ListPage page;
  Walk* borrowed = walk.get();
  bool fresh = request.token.empty();
  Result<void> listed =
      co_await runtime_.pool.Run([borrowed, fresh, count = request.count_max, &page] {
        if (fresh) {
          Result<void> opened = borrowed->Open();
          if (!opened) return opened;
        }
        return borrowed->Next(count, page);
      });
  if (!listed) co_return listed.error();
  if (!walk->at_end()) {
    page.next_token = "walk-" + std::to_string(next_id_++);
    walks_[page.next_token] = std::move(walk);
  }
  co_return page;
}

Async<ObjectInfo> LocalFolder::Head(HeadRequest request) {
  if (request.part_number) co_return NotImplemented("parts");
  Result<void> good = CheckKey(request.key);
  if (!good) co_return good.error();
  std::string path = PathOf(request.bucket, request.key);
  Result<Opened> opened = co_await runtime_.pool.Run([&path] { return OpenFile(path); });
  if (!opened) co_return opened.error();
  co_return InfoOf(*opened, request.key, runtime_.clock.Now());
}

Async<ObjectStream> LocalFolder::Get(GetRequest request, SystemTime* absent_at) {
  Result<void> good = CheckKey(request.key);
  if (!good) co_return good.error();
  std::string path = PathOf(request.bucket, request.key);
  Result<Opened> opened = co_await runtime_.pool.Run([&path] { return OpenFile(path); });
  if (!opened) {
    if (opened.error().kind == ErrorKind::kNotFound && absent_at != nullptr) {
      *absent_at = runtime_.clock.Now();
    }
    co_return opened.error();
  }
  ObjectStream stream;
  stream.info = InfoOf(*opened, request.key, runtime_.clock.Now());
  if (!request.if_match.empty() && request.if_match != stream.info.etag) {
    co_return PreconditionFailed(path + " has changed");
  }
  uint64_t size = stream.info.size_bytes;
  stream.length_bytes = size;
  if (request.suffix_bytes) {
    stream.length_bytes = std::min(size, *request.suffix_bytes);
    stream.offset_bytes = size - stream.length_bytes;
  } else if (request.range) {
    if (request.range->offset_bytes >= size) {
      co_return Error{.kind = ErrorKind::kInvalidInput,
                      .message = path + ": the range starts past the end",
                      .code = "InvalidRange",
                      .http_status = 416};
    }
    stream.offset_bytes = request.range->offset_bytes;
    stream.length_bytes = std::min(request.range->size_bytes, size - stream.offset_bytes);
  }
  stream.body =
      std::make_unique<FileReader>(runtime_.pool, std::move(opened->file), stream.info.etag, path,
                                   stream.offset_bytes, stream.length_bytes);
  co_return stream;
}

Async<PutResult> LocalFolder::Put(PutRequest request, ByteSource& body) {
  Result<void> good = CheckKey(request.key);
  if (!good) co_return good.error();
  if (!request.condition.if_match.empty()) co_return NotImplemented("If-Match on writing");
  std::string path = PathOf(request.bucket, request.key);
  uint64_t id = next_id_++;
  Result<std::unique_ptr<NewFile>> file =
      co_await runtime_.pool.Run([&path, id] { return NewFile::Create(path, id); });
  if (!file) co_return file.error();

  std::vector<HashKind> kinds;
  if (request.checksum) kinds.push_back(KindOf(request.checksum->algorithm));
  if (!request.content_md5.empty()) kinds.push_back(HashKind::kMd5);
  HashSet hashes(kinds);
  auto write = [&file, &hashes](std::span<const std::byte> bytes) {
    hashes.Update(bytes);
    return (*file)->Write(bytes);
  };
  if (auto whole = body.contiguous()) {
    Result<void> written = co_await runtime_.pool.Run([&] { return write(*whole); });
    if (!written) co_return written.error();
  } else {
    constexpr size_t kPieceBytes = 1 << 20;
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPieceBytes);
    uint64_t total = 0;
    while (true) {
      Result<size_t> count = co_await body.Read(std::span(buffer.get(), kPieceBytes));
      if (!count) co_return count.error();
      if (*count == 0) break;
      total += *count;
      Result<void> written =
          co_await runtime_.pool.Run([&] { return write(std::span(buffer.get(), *count)); });
      if (!written) co_return written.error();
    }
    if (total != body.size_bytes()) co_return Corrupt(path + ": the body ended early");
  }
  for (const auto& [kind, digest] : hashes.Finish()) {
    const std::string& wanted = request.checksum && kind == KindOf(request.checksum->algorithm)
                                    ? request.checksum->value
                                    : request.content_md5;
    if (Base64Encode(digest) != wanted) {
      co_return Error{.kind = ErrorKind::kCorrupt,
                      .message = path + ": the bytes do not have the digest that was announced",
                      .code = "BadDigest"};
    }
  }
  Result<struct stat> status = co_await runtime_.pool.Run([&file, &request] {
    (*file)->Describe(EncodeAttributes(request));
    return (*file)->Commit(request.condition.if_absent);
  });
  if (!status) co_return status.error();
  co_return PutResult{.etag = EtagOf(*status), .server_time = runtime_.clock.Now()};
}

Async<MultipartUpload> LocalFolder::CreateMultipart(PutRequest) {
  co_return NotImplemented("multipart uploads");
}
Async<UploadedPart> LocalFolder::UploadPart(const MultipartUpload&, int, ByteSource&) {
  co_return NotImplemented("multipart uploads");
}
Async<std::vector<UploadedPart>> LocalFolder::ListParts(const MultipartUpload&) {
  co_return NotImplemented("multipart uploads");
}
Async<PutResult> LocalFolder::CompleteMultipart(CompleteRequest) {
  co_return NotImplemented("multipart uploads");
}
Async<void> LocalFolder::AbortMultipart(const MultipartUpload&) { co_return Ok(); }
Async<std::vector<MultipartUpload>> LocalFolder::ListMultipartUploads(std::string, std::string) {
  co_return std::vector<MultipartUpload>();
}

Async<PutResult> LocalFolder::Copy(CopyRequest) { co_return NotImplemented("server-side copy"); }

Async<void> LocalFolder::Remove(RemoveRequest request) {
  Result<void> good = CheckKey(request.key);
  if (!good) co_return good.error();
  if (!request.if_match.empty()) co_return NotImplemented("If-Match on removing");
  std::string path = PathOf(request.bucket, request.key);
  int failed =
      co_await runtime_.pool.Run([&path] { return ::unlink(path.c_str()) == 0 ? 0 : errno; });
  if (failed != 0 && failed != ENOENT && failed != ENOTDIR) co_return FromErrno(failed, path);
  co_return Ok();
}

Async<std::vector<RemoveFailure>> LocalFolder::RemoveMany(std::string bucket,
                                                          std::vector<RemoveRequest> requests) {
  std::vector<RemoveFailure> failures;
  for (RemoveRequest& request : requests) {
    request.bucket = bucket;
    std::string key = request.key;
    Result<void> removed = co_await Remove(std::move(request));
    if (!removed) failures.push_back({.key = std::move(key), .error = removed.error()});
  }
  co_return failures;
}

Async<Tags> LocalFolder::GetTags(std::string bucket, std::string key, std::string) {
  Result<void> good = CheckKey(key);
  if (!good) co_return good.error();
  std::string path = PathOf(bucket, key);
  Result<Opened> opened = co_await runtime_.pool.Run([&path] { return OpenFile(path); });
  if (!opened) co_return opened.error();
  co_return opened->attributes ? opened->attributes->tags : Tags{};
}
Async<void> LocalFolder::PutTags(std::string, std::string, Tags) {
  co_return NotImplemented("tags");
}

Async<void> LocalFolder::HeadBucket(std::string bucket) {
  std::error_code error;
  if (std::filesystem::is_directory(bucket.empty() ? "." : bucket, error)) co_return Ok();
  co_return NotFound(bucket + " is not a folder", "NoSuchBucket");
}
Async<void> LocalFolder::CreateBucket(std::string bucket) {
  std::error_code error;
  std::filesystem::create_directories(bucket, error);
  if (error) co_return FromErrno(error.value(), bucket);
  co_return Ok();
}
Async<void> LocalFolder::RemoveBucket(std::string) { co_return NotImplemented("buckets"); }
Async<std::vector<BucketInfo>> LocalFolder::ListBuckets() { co_return NotImplemented("buckets"); }
Async<bool> LocalFolder::GetVersioning(std::string) { co_return false; }
Async<void> LocalFolder::SetVersioning(std::string, bool) { co_return NotImplemented("versions"); }

bool IsLocalEtag(std::string_view etag) { return etag.starts_with("file."); }

// IANA media types of what people keep in buckets; a server that knows none serves downloads.
std::string ContentTypeOf(std::string_view key) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {"avif", "image/avif"},
      {"bmp", "image/bmp"},
      {"bz2", "application/x-bzip2"},
      {"css", "text/css"},
      {"csv", "text/csv"},
      {"gif", "image/gif"},
      {"gz", "application/gzip"},
      {"htm", "text/html"},
      {"html", "text/html"},
      {"ico", "image/vnd.microsoft.icon"},
      {"jpeg", "image/jpeg"},
      {"jpg", "image/jpeg"},
      {"js", "text/javascript"},
      {"json", "application/json"},
      {"jsonl", "application/jsonl"},
      {"log", "text/plain"},
      {"md", "text/markdown"},
      {"mjs", "text/javascript"},
      {"mp3", "audio/mpeg"},
      {"mp4", "video/mp4"},
      {"ogg", "audio/ogg"},
      {"parquet", "application/vnd.apache.parquet"},
      {"pdf", "application/pdf"},
      {"png", "image/png"},
      {"svg", "image/svg+xml"},
      {"tar", "application/x-tar"},
      {"tif", "image/tiff"},
      {"tiff", "image/tiff"},
      {"tsv", "text/tab-separated-values"},
      {"txt", "text/plain"},
      {"wasm", "application/wasm"},
      {"wav", "audio/wav"},
      {"webm", "video/webm"},
      {"webp", "image/webp"},
      {"woff2", "font/woff2"},
      {"xml", "application/xml"},
      {"yaml", "application/yaml"},
      {"yml", "application/yaml"},
      {"zip", "application/zip"},
      {"zst", "application/zstd"},
  };
  size_t dot = key.rfind('.');
  if (dot == std::string_view::npos || key.find('/', dot) != std::string_view::npos) return "";
  std::string extension(key.substr(dot + 1));
  for (char& c : extension) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  for (const auto& [name, type] : kTypes) {
    if (name == extension) return std::string(type);
  }
  return "";
}

}  // namespace longhaul
