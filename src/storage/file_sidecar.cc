#include "storage/file_sidecar.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>

namespace longhaul {
namespace {

namespace json = boost::json;

constexpr size_t kRecordBytesMax = 1 << 20;

struct HeaderField {
  const char* name;
  std::string SystemHeaders::* field;
};
constexpr std::array kHeaderFields = {
    HeaderField{"content-type", &SystemHeaders::content_type},
    HeaderField{"content-encoding", &SystemHeaders::content_encoding},
    HeaderField{"content-language", &SystemHeaders::content_language},
    HeaderField{"content-disposition", &SystemHeaders::content_disposition},
    HeaderField{"cache-control", &SystemHeaders::cache_control},
    HeaderField{"expires", &SystemHeaders::expires},
    HeaderField{"website-redirect-location", &SystemHeaders::website_redirect_location},
};

struct AlgorithmName {
  const char* name;
  ChecksumAlgorithm algorithm;
};
constexpr std::array kAlgorithms = {
    AlgorithmName{"crc32", ChecksumAlgorithm::kCrc32},
    AlgorithmName{"crc32c", ChecksumAlgorithm::kCrc32c},
    AlgorithmName{"crc64nvme", ChecksumAlgorithm::kCrc64Nvme},
    AlgorithmName{"sha1", ChecksumAlgorithm::kSha1},
    AlgorithmName{"sha256", ChecksumAlgorithm::kSha256},
};

json::object ToJson(const std::map<std::string, std::string>& map) {
  json::object object;
  for (const auto& [name, value] : map) object[name] = value;
  return object;
}

std::map<std::string, std::string> ToMap(const json::object& from, std::string_view name) {
  std::map<std::string, std::string> map;
  const json::value* found = from.if_contains(name);
  if (found == nullptr || !found->is_object()) return map;
  for (const auto& member : found->get_object()) {
    if (member.value().is_string()) map[member.key()] = member.value().get_string();
  }
  return map;
}

std::string Text(const json::object& from, std::string_view name) {
  const json::value* found = from.if_contains(name);
  if (found == nullptr || !found->is_string()) return "";
  return std::string(found->get_string());
}

// Numbers beyond 2^53 must survive: they are kept as integers.
int64_t Number(const json::object& from, std::string_view name) {
  const json::value* found = from.if_contains(name);
  if (found == nullptr) return 0;
  if (found->is_int64()) return found->get_int64();
  if (found->is_uint64()) return static_cast<int64_t>(found->get_uint64());
  return 0;
}

// Where the record of a key is: a folder below .longhaul and a name.
struct RecordPlace {
  std::string folder;
  std::string name;
};
RecordPlace PlaceOf(std::string_view key) {
  std::string digest = KeyDigest(key);
  return {"meta/" + digest.substr(0, 2), digest.substr(2)};
}
std::string NameOfState(const std::string& name, uint64_t size_bytes, int64_t changed_ns) {
  return name + "." + std::to_string(changed_ns) + "." + std::to_string(size_bytes);
}

std::string NameOfForeign(const std::string& name) { return name + ".foreign"; }

Result<std::optional<FileRecord>> ReadRecord(int folder, const std::string& name,
                                             std::string_view key, const struct stat& status) {
  Fd file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT) return std::optional<FileRecord>();
    return FileError(errno, "open side file " + name);
  }
  std::string text(4096, '\0');
  size_t filled = 0;
  while (true) {
    if (filled == text.size()) text.resize(text.size() * 4);
    if (text.size() > kRecordBytesMax * 4) return Corrupt("side file " + name + " is too long");
    ssize_t count = ::read(file.get(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(errno, "read side file " + name);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  Result<FileRecord> record = DecodeRecord(std::string_view(text).substr(0, filled), key);
  if (!record) return record.error().In("side file " + name);
  if (!record->Describes(status)) return std::optional<FileRecord>();
  return std::optional<FileRecord>(std::move(*record));
}

Result<void> WriteRecord(const FileTree& tree, int folder, const std::string& name,
                         std::string_view text) {
  Result<FileTree::Temporary> temporary = tree.NewTemporary();
  if (!temporary) return temporary.error();
  Error failed;
  size_t written = 0;
  while (written < text.size()) {
    ssize_t count = ::write(temporary->file.get(), text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      failed = FileError(errno, "write side file");
      break;
    }
    written += static_cast<size_t>(count);
  }
  if (written == text.size()) {
    Result<void> synced = tree.Sync(temporary->file.get(), "side file");
    if (synced &&
        ::renameat(tree.bucket_fd(), temporary->path.c_str(), folder, name.c_str()) == 0) {
      return tree.Sync(folder, "folder of side files");
    }
    failed = synced ? FileError(errno, "rename side file") : synced.error();
  }
  ::unlinkat(tree.bucket_fd(), temporary->path.c_str(), 0);
  return failed;
}

}  // namespace

int64_t ChangedNs(const struct stat& status) {
  return static_cast<int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

bool FileRecord::Describes(const struct stat& status) const {
  if (size_bytes != static_cast<uint64_t>(status.st_size) || changed_ns != ChangedNs(status)) {
    return false;
  }
  if (!foreign) return true;
  int64_t status_changed =
      static_cast<int64_t>(status.st_ctim.tv_sec) * 1'000'000'000 + status.st_ctim.tv_nsec;
  return inode == status.st_ino && status_changed_ns == status_changed;
}

std::string EncodeRecord(const FileRecord& record, std::string_view key) {
  json::object object;
  object["version"] = 1;
  object["key"] = key;
  object["size"] = record.size_bytes;
  object["changed_ns"] = record.changed_ns;
  object["etag"] = record.etag;
  json::object headers;
  for (const HeaderField& field : kHeaderFields) {
    const std::string& value = record.headers.*field.field;
    if (!value.empty()) headers[field.name] = value;
  }
  if (!headers.empty()) object["headers"] = std::move(headers);
  if (!record.metadata.empty()) object["metadata"] = ToJson(record.metadata);
  if (!record.tags.empty()) object["tags"] = ToJson(record.tags);
  if (!record.storage_class.empty()) object["storage_class"] = record.storage_class;
  json::array checksums;
  for (const Checksum& checksum : record.checksums) {
    for (const AlgorithmName& algorithm : kAlgorithms) {
      if (algorithm.algorithm != checksum.algorithm) continue;
      checksums.push_back({{"algorithm", algorithm.name},
                           {"value", checksum.value},
                           {"composite", checksum.composite}});
    }
  }
  if (!checksums.empty()) object["checksums"] = std::move(checksums);
  if (!record.part_sizes_bytes.empty()) {
    object["part_sizes"] =
        json::array(record.part_sizes_bytes.begin(), record.part_sizes_bytes.end());
  }
  if (!record.upload_id.empty()) object["upload_id"] = record.upload_id;
  if (record.foreign) {
    object["foreign"] = true;
    object["inode"] = record.inode;
    object["status_changed_ns"] = record.status_changed_ns;
  }
  return json::serialize(object);
}

Result<FileRecord> DecodeRecord(std::string_view text, std::string_view key) {
  if (text.size() > kRecordBytesMax) return Corrupt("a record that is too long");
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // Keys and metadata are bytes.
  options.max_depth = 8;
  boost::system::error_code error;
  json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) return Corrupt("not a record: " + error.message());
  const json::object& object = value.get_object();
  if (Number(object, "version") != 1) return Corrupt("a record of another version");
  if (Text(object, "key") != key) return Corrupt("the record of another key");

  FileRecord record;
  record.size_bytes = static_cast<uint64_t>(Number(object, "size"));
  record.changed_ns = Number(object, "changed_ns");
  record.etag = Text(object, "etag");
  for (const auto& [name, header] : ToMap(object, "headers")) {
    for (const HeaderField& field : kHeaderFields) {
      if (name == field.name) record.headers.*field.field = header;
    }
  }
  record.metadata = ToMap(object, "metadata");
  record.tags = ToMap(object, "tags");
  record.storage_class = Text(object, "storage_class");
  if (const json::value* list = object.if_contains("checksums"); list && list->is_array()) {
    for (const json::value& item : list->get_array()) {
      if (!item.is_object()) continue;
      const json::object& from = item.get_object();
      for (const AlgorithmName& algorithm : kAlgorithms) {
        if (Text(from, "algorithm") != algorithm.name) continue;
        const json::value* composite = from.if_contains("composite");
        record.checksums.push_back({algorithm.algorithm, Text(from, "value"),
                                    composite && composite->is_bool() && composite->get_bool()});
      }
    }
  }
  if (const json::value* list = object.if_contains("part_sizes"); list && list->is_array()) {
    for (const json::value& item : list->get_array()) {
      boost::system::error_code no_number;
      record.part_sizes_bytes.push_back(item.to_number<uint64_t>(no_number));
    }
  }
  record.upload_id = Text(object, "upload_id");
  if (const json::value* foreign = object.if_contains("foreign"); foreign && foreign->is_bool()) {
    record.foreign = foreign->get_bool();
    record.inode = static_cast<uint64_t>(Number(object, "inode"));
    record.status_changed_ns = Number(object, "status_changed_ns");
  }
  return record;
}

Result<std::optional<FileRecord>> LoadRecord(const FileTree& tree, std::string_view key,
                                             const struct stat& status) {
  RecordPlace place = PlaceOf(key);
  Fd folder = OpenFolderPath(tree.bucket_fd(), ".longhaul/" + place.folder);
  if (!folder.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<FileRecord>();
    return FileError(errno, "open side files");
  }
  std::string of_state =
      NameOfState(place.name, static_cast<uint64_t>(status.st_size), ChangedNs(status));
  // Twice: between the two looks the writer may have moved the one to the other.
  for (const std::string& name : {place.name, NameOfForeign(place.name), of_state, place.name}) {
    Result<std::optional<FileRecord>> record = ReadRecord(folder.get(), name, key, status);
    if (!record || *record) return record;
  }
  return std::optional<FileRecord>();
}

Result<void> PrepareRecord(const FileTree& tree, std::string_view key, const FileRecord& record) {
  RecordPlace place = PlaceOf(key);
  Result<Fd> folder = tree.PrivateFolder(place.folder);
  if (!folder) return folder.error();
  return WriteRecord(tree, folder->get(),
                     NameOfState(place.name, record.size_bytes, record.changed_ns),
                     EncodeRecord(record, key));
}

Result<void> SettleRecord(const FileTree& tree, std::string_view key, const FileRecord& record) {
  RecordPlace place = PlaceOf(key);
  Result<Fd> folder = tree.PrivateFolder(place.folder);
  if (!folder) return folder.error();
  std::string of_state = NameOfState(place.name, record.size_bytes, record.changed_ns);
  if (::renameat(folder->get(), of_state.c_str(), folder->get(), place.name.c_str()) != 0) {
    return FileError(errno, "rename side file");
  }
  ::unlinkat(folder->get(), NameOfForeign(place.name).c_str(), 0);
  return Ok();
}

void DropPreparedRecord(const FileTree& tree, std::string_view key, const FileRecord& record) {
  RecordPlace place = PlaceOf(key);
  Fd folder = OpenFolderPath(tree.bucket_fd(), ".longhaul/" + place.folder);
  if (!folder.valid()) return;
  std::string of_state = NameOfState(place.name, record.size_bytes, record.changed_ns);
  ::unlinkat(folder.get(), of_state.c_str(), 0);
}

Result<void> KeepForeignRecord(const FileTree& tree, std::string_view key,
                               const FileRecord& record) {
  RecordPlace place = PlaceOf(key);
  Result<Fd> folder = tree.PrivateFolder(place.folder);
  if (!folder) return folder.error();
  return WriteRecord(tree, folder->get(), NameOfForeign(place.name), EncodeRecord(record, key));
}

Result<void> ReplaceRecord(const FileTree& tree, std::string_view key, const FileRecord& record) {
  RecordPlace place = PlaceOf(key);
  Result<Fd> folder = tree.PrivateFolder(place.folder);
  if (!folder) return folder.error();
  return WriteRecord(tree, folder->get(), place.name, EncodeRecord(record, key));
}

void EraseRecord(const FileTree& tree, std::string_view key, const struct stat& status) {
  RecordPlace place = PlaceOf(key);
  Fd folder = OpenFolderPath(tree.bucket_fd(), ".longhaul/" + place.folder);
  if (!folder.valid()) return;
  ::unlinkat(folder.get(), place.name.c_str(), 0);
  ::unlinkat(folder.get(), NameOfForeign(place.name).c_str(), 0);
  std::string of_state =
      NameOfState(place.name, static_cast<uint64_t>(status.st_size), ChangedNs(status));
  ::unlinkat(folder.get(), of_state.c_str(), 0);
}

}  // namespace longhaul
