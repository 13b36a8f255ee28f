#include "transfer/local/local_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "transfer/local/local_file.h"

namespace longhaul {

namespace {

constexpr size_t kKnownFoldersMax = 10'000;
// vfat keeps every other second.
constexpr std::chrono::seconds kFileTimesApartMax{2};

Error NotImplemented(std::string_view what) {
  return {.kind = ErrorKind::kInvalidInput,
          .message = "a plain folder has no " + std::string(what),
          .code = "NotImplemented"};
}

// As far as file systems tell times.
bool AreOneTime(std::string_view one, std::string_view other) {
  const std::optional<timespec> first = ParseFileTime(one);
  const std::optional<timespec> second = ParseFileTime(other);
  if (!first || !second) return false;
  const auto apart = TimeOf(*first) - TimeOf(*second);
  return apart > -kFileTimesApartMax && apart < kFileTimesApartMax;
}

}  // namespace

// A depth-first walk in byte order of keys: a folder sorts as its name with a '/' behind it.
class LocalFolder::Walk {
 public:
  // `read`: borrowed. `leaves_out_below`: past what may not be read below these it goes on.
  Walk(const std::function<dirent*(DIR*)>& read, std::string bucket, std::string prefix,
       std::string start_after, bool shallow, std::set<std::string> leaves_out_below)
      : read_(read),
        bucket_(std::move(bucket)),
        prefix_(std::move(prefix)),
        start_after_(std::move(start_after)),
        shallow_(shallow),
        leaves_out_below_(std::move(leaves_out_below)) {}

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
    if (!folder.empty() && !CheckFileKey(folder.substr(0, folder.size() - 1))) return Ok();
    Result<void> entered = Enter(folder);
    // A prefix below which there is nothing is an empty listing.
    if (entered || entered.error().kind == ErrorKind::kNotFound) return Ok();
    if (!LeavesOut(folder, entered.error())) return entered;
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
        if (!entered && entered.error().kind != ErrorKind::kNotFound &&
            !LeavesOut(key, entered.error())) {
          return entered;
        }
        continue;
      }
      if (key <= start_after_) continue;
      struct stat status{};
      if (::stat(FilePathOf(bucket_, key).c_str(), &status) != 0) {
        if (errno != ENOENT && errno != ELOOP) return FromErrno(errno, FilePathOf(bucket_, key));
        NoteLink(key);  // To nowhere; or it has gone.
        continue;
      }
      if (!S_ISREG(status.st_mode)) {
        NoteLink(key);
        continue;
      }
      ListedObject object;
      object.key = std::move(key);
      object.size_bytes = static_cast<uint64_t>(status.st_size);
      object.etag = EtagOf(status);
      object.last_modified = ModifiedOf(FilePathOf(bucket_, object.key), status);
      page.objects.push_back(std::move(object));
    }
    return Ok();
  }

  [[nodiscard]] bool at_end() const { return levels_.empty(); }
  [[nodiscard]] uint64_t TakeLinks() { return std::exchange(links_, 0); }
  [[nodiscard]] std::vector<LeftOutFolder> TakeUnreadable() {
    return std::exchange(unreadable_, {});
  }

 private:
  struct Level {
    std::string folder;  // "" or with a '/' at the end.
    std::vector<std::string> names;
    size_t next = 0;
  };

  void NoteLink(const std::string& key) {
    struct stat status{};
    if (::lstat(FilePathOf(bucket_, key).c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
      ++links_;
    }
  }

  // Whether the listing goes on without this folder; then it is noted.
  bool LeavesOut(const std::string& folder, const Error& error) {
    const auto above = [&folder](const std::string& prefix) {
      return folder.size() > prefix.size() && folder.starts_with(prefix);
    };
    if (error.kind != ErrorKind::kDenied || !std::ranges::any_of(leaves_out_below_, above)) {
      return false;
    }
    unreadable_.push_back({.prefix = folder, .error = error});
    return true;
  }

  Result<void> Enter(const std::string& folder) {
    std::string path =
        folder.empty() ? (bucket_.empty() ? "." : bucket_) : FilePathOf(bucket_, folder);
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) return FromErrno(errno, path);
    Level level{.folder = folder};
    while (true) {
      errno = 0;  // What looking at the last entry left there is no failure of this read.
      const dirent* entry = read_(directory);
      if (entry == nullptr) break;
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (IsHiddenName(name)) continue;
      bool is_folder = entry->d_type == DT_DIR;
      if (entry->d_type == DT_UNKNOWN) {
        struct stat status{};
        if (::fstatat(::dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
          if (errno == ENOENT) continue;  // It went away meanwhile.
          break;
        }
        is_folder = S_ISDIR(status.st_mode);
      }
      if (is_folder && name == kStoreFolder) continue;
      if (is_folder) name.push_back('/');
      std::string key = folder + name;
      bool below = key.starts_with(prefix_) || (is_folder && prefix_.starts_with(key));
      bool later =
          is_folder ? key > start_after_ || start_after_.starts_with(key) : key > start_after_;
      if (below && later) level.names.push_back(std::move(name));
    }
    int failed = errno;
    // Names may be read where nothing else of what they stand for can be.
    struct stat self{};
    if (failed == 0 && !level.names.empty() && ::fstatat(::dirfd(directory), ".", &self, 0) != 0 &&
        errno == EACCES) {
      failed = errno;
    }
    ::closedir(directory);
    if (failed != 0) return FromErrno(failed, path);
    std::sort(level.names.begin(), level.names.end());
    levels_.push_back(std::move(level));
    return Ok();
  }

  const std::function<dirent*(DIR*)>& read_;
  std::string bucket_;
  std::string prefix_;
  std::string start_after_;
  bool shallow_;
  std::set<std::string> leaves_out_below_;
  std::vector<LeftOutFolder> unreadable_;
  std::vector<Level> levels_;
  uint64_t links_ = 0;  // Left out since they were last taken.
};

SystemTime TakeModified(PutRequest& request) {
  auto entry = request.metadata.find(kModifiedEntry);
  if (entry == request.metadata.end()) return {};
  const SystemTime modified = ParseRfc3339(entry->second).value_or(SystemTime{});
  request.metadata.erase(entry);
  return modified;
}

LocalFolder::LocalFolder(Runtime runtime, std::function<int(int)> sync,
                         std::function<std::string(const std::string&)> fold,
                         std::function<dirent*(DIR*)> read)
    : runtime_(runtime), sync_(std::move(sync)), fold_(std::move(fold)), read_(std::move(read)) {}
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
          .create_if_absent = true,
          .delete_if_match = true,
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
    const auto leaves_out = leaves_out_below_.find(request.bucket);
    walk = std::make_unique<Walk>(
        read_, request.bucket, request.prefix, request.start_after, !request.delimiter.empty(),
        leaves_out == leaves_out_below_.end() ? std::set<std::string>() : leaves_out->second);
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
  if (const uint64_t links = walk->TakeLinks()) links_left_out_[request.bucket] += links;
  for (LeftOutFolder& folder : walk->TakeUnreadable()) {
    unreadable_[request.bucket].push_back(std::move(folder));
  }
  if (!listed) co_return listed.error();
  if (!walk->at_end()) {
    page.next_token = "walk-" + std::to_string(next_id_++);
    walks_[page.next_token] = std::move(walk);
  }
  co_return page;
}

uint64_t LocalFolder::links_left_out(const std::string& bucket) const {
  const auto found = links_left_out_.find(bucket);
  return found == links_left_out_.end() ? 0 : found->second;
}

void LocalFolder::LeaveOutUnreadable(const std::string& bucket, const std::string& prefix) {
  leaves_out_below_[bucket].insert(prefix);
}

std::vector<LeftOutFolder> LocalFolder::TakeUnreadable(const std::string& bucket,
                                                       const std::string& prefix) {
  std::vector<LeftOutFolder> taken;
  const auto found = unreadable_.find(bucket);
  if (found == unreadable_.end()) return taken;
  std::vector<LeftOutFolder> others;
  for (LeftOutFolder& folder : found->second) {
    (folder.prefix.starts_with(prefix) ? taken : others).push_back(std::move(folder));
  }
  found->second = std::move(others);
  return taken;
}

Async<ObjectInfo> LocalFolder::Head(HeadRequest request) {
  if (request.part_number) co_return NotImplemented("parts");
  Result<void> good = CheckFileKey(request.key);
  if (!good) co_return good.error();
  std::string path = FilePathOf(request.bucket, request.key);
  Result<OpenedFile> opened = co_await runtime_.pool.Run([&path] { return OpenFile(path); });
  if (!opened) co_return opened.error();
  co_return InfoOf(*opened, request.key, runtime_.clock.Now());
}

Async<ObjectStream> LocalFolder::Get(GetRequest request, SystemTime* absent_at) {
  Result<void> good = CheckFileKey(request.key);
  if (!good) co_return good.error();
  std::string path = FilePathOf(request.bucket, request.key);
  Result<OpenedFile> opened = co_await runtime_.pool.Run([&path] { return OpenFile(path); });
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
  stream.body = ReadFilePart(runtime_.pool, std::move(opened->file), stream.info.etag, path,
                             stream.offset_bytes, stream.length_bytes);
  co_return stream;
}

Async<PutResult> LocalFolder::Put(PutRequest request, ByteSource& body) {
  Result<void> good = CheckFileKey(request.key);
  if (!good) co_return good.error();
  if (!request.condition.if_match.empty()) co_return NotImplemented("If-Match on writing");
  const SystemTime modified = TakeModified(request);
  std::string path = FilePathOf(request.bucket, request.key);
  const bool spelled = spelled_folders_.contains(FolderOfFile(path));
  Result<std::unique_ptr<NewFile>> file =
      co_await runtime_.pool.Run([&]() -> Result<std::unique_ptr<NewFile>> {
        Result<void> above = spelled ? Ok() : CheckFoldersAbove(request.bucket, request.key);
        if (!above) return above.error();
        Result<std::unique_ptr<NewFile>> created = NewFile::Create(path, fold_);
        if (!created || spelled || !FoldsNames((*created)->hidden(), request.key, fold_)) {
          return created;
        }
        Result<void> checked = CheckFolderSpelling(request.bucket, path, fold_);
        if (!checked) return checked.error();
        return created;
      });
  if (!file) co_return file.error();
  if (!spelled) NoteSpelled(FolderOfFile(path));

  std::vector<HashKind> kinds;
  if (request.checksum) kinds.push_back(HashKindOf(request.checksum->algorithm));
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
    const std::string& wanted = request.checksum && kind == HashKindOf(request.checksum->algorithm)
                                    ? request.checksum->value
                                    : request.content_md5;
    if (Base64Encode(digest) != wanted) {
      co_return Error{.kind = ErrorKind::kCorrupt,
                      .message = path + ": the bytes do not have the digest that was announced",
                      .code = "BadDigest"};
    }
  }
  Result<struct stat> status = co_await runtime_.pool.Run([this, &file, &request, modified] {
    (*file)->Describe(request, modified);
    return (*file)->Commit(request.condition.if_absent, fold_);
  });
  if (!status) co_return status.error();
  co_return PutResult{.etag = EtagOf(*status), .server_time = runtime_.clock.Now()};
}

void LocalFolder::NoteSpelled(const std::string& folder) {
  if (spelled_folders_.size() >= kKnownFoldersMax) spelled_folders_.clear();
  spelled_folders_.insert(folder);
}

Async<void> LocalFolder::MakeDurable(std::string bucket, std::string key) {
  Result<void> good = CheckFileKey(key);
  if (!good) co_return good.error();
  const std::string path = FilePathOf(bucket, key);
  const std::string folder = FolderOfFile(path);
  const bool known = durable_folders_.contains(folder);
  Result<void> synced =
      co_await runtime_.pool.Run([&] { return SyncFile(path, folder, !known, sync_); });
  if (!synced) co_return synced.error();
  if (durable_folders_.size() >= kKnownFoldersMax) durable_folders_.clear();
  durable_folders_.insert(folder);
  co_return Ok();
}

Async<void> LocalFolder::MakeAllDurable(std::string bucket) {
  CpuPool pool(1);  // A disk may take minutes, in which the others have work to do.
  co_return co_await pool.Run([&bucket] { return SyncFileSystem(bucket); });
}

Async<PutResult> LocalFolder::Copy(CopyRequest) { co_return NotImplemented("server-side copy"); }

Async<void> LocalFolder::Remove(RemoveRequest request) {
  Result<void> good = CheckFileKey(request.key);
  if (!good) co_return good.error();
  std::string path = FilePathOf(request.bucket, request.key);
  co_return co_await runtime_.pool.Run([&path, &request]() -> Result<void> {
    Result<void> above = CheckFoldersAbove(request.bucket, request.key);
    if (!above) return above;
    if (!request.if_match.empty()) {
      struct stat status{};
      if (::stat(path.c_str(), &status) != 0 || EtagOf(status) != request.if_match) {
        return PreconditionFailed(path + " has changed");
      }
    }
    if (::unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return Ok();
    return FromErrno(errno, path);
  });
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
  Result<void> good = CheckFileKey(key);
  if (!good) co_return good.error();
  std::string path = FilePathOf(bucket, key);
  Result<OpenedFile> opened = co_await runtime_.pool.Run([&path] { return OpenFile(path); });
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

bool IsPlainFolder(const Capabilities& can) {
  return can.put_size_bytes_max == UINT64_MAX && can.copy_size_bytes_max == 0;
}

std::string LostOf(const ObjectInfo& copy, const ObjectInfo& source, const UserMetadata& given) {
  for (const auto& [name, value] : source.metadata) {
    if (given.contains(name)) continue;
    const auto kept = copy.metadata.find(name);
    const bool has =
        kept != copy.metadata.end() &&
        (kept->second == value || (name == kFileTimeName && AreOneTime(kept->second, value)));
    if (!has) return "its metadata (" + name + ")";
  }
  if (copy.tag_count < source.tag_count) return "its tags";
  SystemHeaders headers = source.headers;
  const std::string& type = headers.content_type;
  if (type.empty() || type == "binary/octet-stream" || type == "application/octet-stream") {
    headers.content_type = copy.headers.content_type;
  }
  if (copy.headers.content_type != headers.content_type) return "its Content-Type";
  return copy.headers == headers ? "" : "its headers";
}

bool IsLocalEtag(std::string_view etag) { return etag.starts_with("file."); }

}  // namespace longhaul
