#include "transfer/local/local_upload.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/directory_reader.h"
#include "base/random.h"

namespace longhaul {

namespace {

constexpr std::string_view kFirstLine = "longhaul parts 1";
constexpr std::string_view kFolderBegin = ".longhaul-";
constexpr std::string_view kFolderEnd = ".part";
constexpr size_t kNameDigits = 16;
constexpr size_t kUploadPieceBytes = 1 << 20;
constexpr uint64_t kPartsMax = 10'000;

constexpr std::array<std::pair<ChecksumAlgorithm, std::string_view>, 5> kAlgorithms = {
    {{ChecksumAlgorithm::kCrc32, "crc32"},
     {ChecksumAlgorithm::kCrc32c, "crc32c"},
     {ChecksumAlgorithm::kCrc64Nvme, "crc64nvme"},
     {ChecksumAlgorithm::kSha1, "sha1"},
     {ChecksumAlgorithm::kSha256, "sha256"}}};

std::string ParentOf(const std::string& path) {
  std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// What the names of the folders of all uploads for `path` begin with.
std::string FolderStem(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return std::string(kFolderBegin) + HexEncode(Sha256(name)).substr(0, kNameDigits) + "-";
}

std::string FolderOf(const std::string& path, const std::string& id) {
  return ParentOf(path) + "/" + FolderStem(path) + id + std::string(kFolderEnd);
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

uint64_t PartsOf(const PartPlaces& places) {
  return (places.size_bytes + places.part_size_bytes - 1) / places.part_size_bytes;
}

// "<number> <algorithm> <value>"
bool TakePart(std::string_view text, PartLog& log) {
  const size_t first = text.find(' ');
  const size_t second = first == std::string_view::npos ? first : text.find(' ', first + 1);
  if (second == std::string_view::npos) return false;
  std::optional<uint64_t> number = ParseNumber(text.substr(0, first));
  if (!number || *number < 1 || *number > PartsOf(log.places)) return false;
  for (const auto& [algorithm, name] : kAlgorithms) {
    if (name != text.substr(first + 1, second - first - 1)) continue;
    log.parts[static_cast<int>(*number)] = {algorithm, std::string(text.substr(second + 1)), false};
    return true;
  }
  return false;
}

Result<std::string> ReadSmall(int fd, const std::string& path) {
  std::string text(kPartLogBytesMax + 1, '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t count =
        ::pread(fd, text.data() + filled, text.size() - filled, static_cast<off_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno(errno, path);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  if (filled > kPartLogBytesMax) return Corrupt(path + " is too long");
  text.resize(filled);
  return text;
}

Result<void> WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno(errno, path);
    text.remove_prefix(static_cast<size_t>(count));
  }
  return Ok();
}

// Feeds `take` a range of a file. False: it ends early, or cannot be read.
template <class Take>
bool EachPiece(int fd, ByteRange range, const Take& take) {
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(kUploadPieceBytes);
  while (range.size_bytes > 0) {
    const size_t want = std::min<uint64_t>(kUploadPieceBytes, range.size_bytes);
    const ssize_t count = ::pread(fd, buffer.get(), want, static_cast<off_t>(range.offset_bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    take(std::span<const std::byte>(buffer.get(), static_cast<size_t>(count)));
    range.offset_bytes += static_cast<uint64_t>(count);
    range.size_bytes -= static_cast<uint64_t>(count);
  }
  return true;
}

void RemoveFolder(const std::string& folder) {
  // What says what it is goes last: until then it can be found and removed.
  for (const char* name : {"/bytes", "/parts"}) ::unlink((folder + name).c_str());
  ::rmdir(folder.c_str());
}

}  // namespace

bool PartLog::operator==(const PartLog& other) const {
  return name == other.name && places.origin == other.places.origin &&
         places.size_bytes == other.places.size_bytes &&
         places.part_size_bytes == other.places.part_size_bytes && initiated == other.initiated &&
         parts == other.parts;
}

std::string EncodePartLine(int number, const Checksum& checksum) {
  std::string line = "part " + std::to_string(number) + " ";
  for (const auto& [algorithm, name] : kAlgorithms) {
    if (algorithm == checksum.algorithm) line += name;
  }
  return line + " " + checksum.value + "\n";
}

std::string EncodePartLog(const PartLog& log) {
  std::string text = std::string(kFirstLine) + "\n";
  text += "name " + PercentEncode(log.name, Slash::kEncode) + "\n";
  text += "origin " + PercentEncode(log.places.origin, Slash::kEncode) + "\n";
  text += "initiated " + FormatRfc3339(log.initiated) + "\n";
  text += "size " + std::to_string(log.places.size_bytes) + "\n";
  text += "part-size " + std::to_string(log.places.part_size_bytes) + "\n";
  for (const auto& [number, checksum] : log.parts) text += EncodePartLine(number, checksum);
  return text;
}

Result<PartLog> DecodePartLog(std::string_view text) {
  const Error bad = Corrupt("no log of parts");
  PartLog log;
  // Each line once and in this order; what follows are parts.
  std::vector<std::string_view> head;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (head.size() < 6) {
      head.push_back(line);
      if (head.size() < 6) continue;
      constexpr std::array<std::string_view, 6> kNames = {"",           "name ", "origin ",
                                                          "initiated ", "size ", "part-size "};
      for (size_t i = 1; i < kNames.size(); ++i) {
        if (!head[i].starts_with(kNames[i])) return bad;
        head[i].remove_prefix(kNames[i].size());
      }
      Result<std::string> name = PercentDecode(head[1]);
      Result<std::string> origin = PercentDecode(head[2]);
      Result<SystemTime> initiated = ParseRfc3339(head[3]);
      std::optional<uint64_t> size = ParseNumber(head[4]);
      std::optional<uint64_t> part_size = ParseNumber(head[5]);
      if (head[0] != kFirstLine || !name || !origin || !initiated || !size || !part_size) {
        return bad;
      }
      log = {.name = std::move(*name),
             .places = {.origin = std::move(*origin),
                        .size_bytes = *size,
                        .part_size_bytes = *part_size},
             .initiated = *initiated};
      constexpr auto kSizeMax = static_cast<uint64_t>(INT64_MAX);
      const bool sound = *size > 0 && *size <= kSizeMax && *part_size > 0 &&
                         *part_size <= kSizeMax && PartsOf(log.places) <= kPartsMax;
      if (!sound) return bad;
      continue;
    }
    if (!line.starts_with("part ") || !TakePart(line.substr(5), log)) return bad;
  }
  if (head.size() < 6) return bad;
  return log;
}

Result<std::shared_ptr<LocalUpload>> LocalUpload::Create(std::string path, std::string id,
                                                         PartLog log, const FoldPath& fold) {
  std::error_code error;
  std::filesystem::create_directories(Folded(fold, ParentOf(path)), error);
  if (error) return FromErrno(error.value(), ParentOf(path));
  log.name = std::filesystem::path(path).filename().string();
  std::shared_ptr<LocalUpload> upload(new LocalUpload());
  upload->folder_ = Folded(fold, FolderOf(path, id));
  // Nobody finds it under its name before it is whole and locked.
  const std::string making = upload->folder_.substr(0, upload->folder_.size() - kFolderEnd.size()) +
                             "-new" + std::string(kFolderEnd);
  if (::mkdir(making.c_str(), 0777) != 0) return FromErrno(errno, making);
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  upload->bytes_ = FileHandle(::open((making + "/bytes").c_str(), flags, 0666));
  upload->parts_ = FileHandle(::open((making + "/parts").c_str(), flags | O_APPEND, 0666));
  Result<void> made = Ok();
  if (upload->bytes_.fd() < 0 || upload->parts_.fd() < 0 ||
      ::flock(upload->parts_.fd(), LOCK_EX | LOCK_NB) != 0) {
    made = FromErrno(errno, making);
  }
  if (made) made = WriteAll(upload->parts_.fd(), EncodePartLog(log), making);
  if (made && ::rename(making.c_str(), upload->folder_.c_str()) != 0) {
    made = FromErrno(errno, upload->folder_);
  }
  if (!made) {
    RemoveFolder(making);
    return made.error();
  }
  upload->path_ = std::move(path);
  upload->id_ = std::move(id);
  upload->log_ = std::move(log);
  return upload;
}

Result<std::shared_ptr<LocalUpload>> LocalUpload::Take(const std::string& path,
                                                       const PartPlaces& places) {
  std::shared_ptr<LocalUpload> found;
  const std::string parent = ParentOf(path);
  DirectoryReader directory(parent);
  const std::string stem = FolderStem(path);
  std::vector<std::string> ids;
  while (const dirent* entry = directory.Next()) {
    std::string_view name = entry->d_name;
    if (!name.starts_with(stem) || !name.ends_with(kFolderEnd)) continue;
    name.remove_prefix(stem.size());
    name.remove_suffix(kFolderEnd.size());
    if (IsUlid(name)) ids.emplace_back(name);
  }
  if (directory.error() == ENOENT) return found;
  if (directory.error() != 0) return FromErrno(directory.error(), parent);
  std::ranges::sort(ids);
  for (std::string& id : ids) {
    std::shared_ptr<LocalUpload> upload(new LocalUpload());
    upload->folder_ = FolderOf(path, id);
    upload->parts_ = FileHandle(
        ::open((upload->folder_ + "/parts").c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
    // Without `parts` somebody's removal came no further; else whoever holds the lock works on it.
    const bool locked = upload->parts_.fd() >= 0
                            ? ::flock(upload->parts_.fd(), LOCK_EX | LOCK_NB) == 0
                            : errno == ENOENT;
    if (!locked) continue;
    upload->bytes_ =
        FileHandle(::open((upload->folder_ + "/bytes").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    Result<PartLog> log = NotFound("no log of parts");
    if (upload->parts_.fd() >= 0) {
      Result<std::string> text = ReadSmall(upload->parts_.fd(), upload->folder_);
      log = text ? DecodePartLog(*text) : Result<PartLog>(text.error());
      // A line that was cut must not run into the next.
      const size_t whole = text ? text->rfind('\n') + 1 : 0;
      if (text && ::ftruncate(upload->parts_.fd(), static_cast<off_t>(whole)) != 0) {
        return FromErrno(errno, upload->folder_);
      }
    }
    const bool fits = log && upload->bytes_.fd() >= 0 && log->places.origin == places.origin &&
                      log->places.size_bytes == places.size_bytes;
    if (!fits || found != nullptr) {
      RemoveFolder(upload->folder_);
      continue;
    }
    upload->path_ = path;
    upload->id_ = std::move(id);
    upload->log_ = std::move(*log);
    found = std::move(upload);
  }
  return found;
}

ByteRange LocalUpload::RangeOf(int number) const {
  const PartPlaces& places = log_.places;
  const uint64_t offset = static_cast<uint64_t>(number - 1) * places.part_size_bytes;
  return {.offset_bytes = offset,
          .size_bytes = std::min(places.part_size_bytes, places.size_bytes - offset)};
}

bool LocalUpload::Has(int number) const {
  return number >= 1 && static_cast<uint64_t>(number) <= PartsOf(log_.places);
}

bool LocalUpload::IsAsWritten(int number) const {
  auto logged = log_.parts.find(number);
  if (logged == log_.parts.end()) return false;
  std::unique_ptr<Hasher> hasher = NewHasher(HashKindOf(logged->second.algorithm));
  const bool read = EachPiece(bytes_.fd(), RangeOf(number),
                              [&](std::span<const std::byte> piece) { hasher->Update(piece); });
  return read && Base64Encode(hasher->Finish()) == logged->second.value;
}

Result<void> LocalUpload::WriteAt(uint64_t offset_bytes, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(bytes_.fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset_bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno(errno, path_);
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset_bytes += static_cast<uint64_t>(count);
  }
  return Ok();
}

Result<void> LocalUpload::Add(int number, const Checksum& checksum) {
  return WriteAll(parts_.fd(), EncodePartLine(number, checksum), folder_);
}

void LocalUpload::Note(int number, std::optional<Checksum> checksum) {
  if (checksum) {
    log_.parts[number] = std::move(*checksum);
  } else {
    log_.parts.erase(number);
  }
}

Result<void> LocalUpload::CompareDigest(const PutRequest& request) const {
  std::vector<HashKind> kinds;
  const bool checksum = request.checksum && !request.checksum->value.empty();
  if (checksum) kinds.push_back(HashKindOf(request.checksum->algorithm));
  if (!request.content_md5.empty()) kinds.push_back(HashKind::kMd5);
  if (kinds.empty()) return Ok();
  HashSet hashes(kinds);
  const bool read =
      EachPiece(bytes_.fd(), {.offset_bytes = 0, .size_bytes = log_.places.size_bytes},
                [&](std::span<const std::byte> piece) { hashes.Update(piece); });
  bool same = read;
  for (const auto& [kind, digest] : hashes.Finish()) {
    const bool of_checksum = checksum && kind == kinds.front();
    same = same &&
           Base64Encode(digest) == (of_checksum ? request.checksum->value : request.content_md5);
  }
  if (same) return Ok();
  return Error{.kind = ErrorKind::kCorrupt,
               .message = path_ + ": the bytes do not have the digest that was announced",
               .code = "BadDigest"};
}

Result<struct stat> LocalUpload::Complete(const PutRequest& request, SystemTime modified,
                                          const FoldPath& fold) {
  for (int number = 1; Has(number); ++number) {
    if (!log_.parts.contains(number)) {
      return Error{.kind = ErrorKind::kInvalidInput,
                   .message = path_ + ": part " + std::to_string(number) + " is not there",
                   .code = "InvalidPart"};
    }
  }
  struct stat status{};
  if (::fstat(bytes_.fd(), &status) != 0) return FromErrno(errno, path_);
  if (static_cast<uint64_t>(status.st_size) != log_.places.size_bytes) {
    return Corrupt(path_ + ": the parts are not as long as the object");
  }
  Result<void> compared = CompareDigest(request);
  if (!compared) return compared.error();
  DescribeFile(bytes_.fd(), request, modified);
  if (::fstat(bytes_.fd(), &status) != 0) return FromErrno(errno, path_);
  Result<void> placed = PlaceFile(folder_ + "/bytes", path_, request.condition.if_absent, fold);
  if (!placed) {
    // Somebody has removed it.
    if (placed.error().kind == ErrorKind::kNotFound) {
      return NotFound(path_ + ": its parts are gone", "NoSuchUpload");
    }
    return placed.error();
  }
  RemoveFolder(folder_);
  return status;
}

Result<void> LocalUpload::Remove(const std::string& path, const std::string& id) {
  if (!IsUlid(id)) return InvalidInput("no upload has the id " + id);
  const std::string folder = FolderOf(path, id);
  RemoveFolder(folder);
  if (::access(folder.c_str(), F_OK) == 0) return FromErrno(EACCES, folder);
  return Ok();
}

std::optional<std::pair<std::string, PartLog>> LocalUpload::Read(const std::string& folder) {
  std::string_view id = folder;
  if (!id.ends_with(kFolderEnd)) return std::nullopt;
  id.remove_suffix(kFolderEnd.size());
  id.remove_prefix(id.rfind('-') + 1);
  if (!IsUlid(id)) return std::nullopt;
  FileHandle parts(::open((folder + "/parts").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (parts.fd() < 0) return std::nullopt;
  Result<std::string> text = ReadSmall(parts.fd(), folder);
  if (!text) return std::nullopt;
  Result<PartLog> log = DecodePartLog(*text);
  if (!log) return std::nullopt;
  return std::pair(std::string(id), std::move(*log));
}

Result<PartLog> LocalUpload::ReadOf(const std::string& path, const std::string& id) {
  if (IsUlid(id)) {
    if (auto found = Read(FolderOf(path, id))) return std::move(found->second);
  }
  return NotFound(path + ": no such upload", "NoSuchUpload");
}

}  // namespace longhaul
