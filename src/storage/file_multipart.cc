#include "storage/file_multipart.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/bytes.h"
#include "base/directory_reader.h"
#include "base/random.h"
#include "storage/file_names.h"

namespace longhaul {
namespace {

constexpr std::string_view kUploadFile = "upload.json";
constexpr int kPartsMax = 10'000;
constexpr size_t kUploadBytesMax = 1 << 20;

Error NoSuchUpload() { return NotFound("no such upload", "NoSuchUpload"); }

Error RefusedUpload(std::string code, std::string message) {
  Error error = InvalidInput(std::move(message));
  error.code = std::move(code);
  return error;
}

std::string FolderOf(const MultipartUpload& upload) { return "uploads/" + upload.upload_id; }

// Invalid, with an error in `failed`, when it is not there.
Fd OpenFolder(const FileTree& tree, const std::string& upload_id) {
  if (!IsUlid(upload_id)) {
    errno = ENOENT;
    return Fd();
  }
  return OpenFolderPath(tree.bucket_fd(),
                        std::string(kFilePrivateFolder) + "/uploads/" + upload_id);
}

Result<std::vector<std::string>> NamesIn(int fd) {
  DirectoryReader reader(fd);
  std::vector<std::string> names;
  while (const dirent* entry = reader.Next()) names.emplace_back(entry->d_name);
  if (reader.error() != 0) return FileError(reader.error(), "read folder");
  std::ranges::sort(names);
  return names;
}

// A part's file: "00001.<md5>.<crc64nvme>", and ".<digest>" of the checksum that was announced.
struct PartFile {
  std::string name;
  int number = 0;
  std::string md5;
  std::string crc64nvme;
  std::string announced;  // May be empty.
};

std::optional<PartFile> ParsePartName(const std::string& name) {
  constexpr size_t kSize = 5 + 1 + 32 + 1 + 16;
  if (name.size() < kSize || name[5] != '.' || name[38] != '.') return std::nullopt;
  if (name.size() > kSize && name[kSize] != '.') return std::nullopt;
  PartFile part{.name = name};
  auto [end, failed] = std::from_chars(name.data(), name.data() + 5, part.number);
  Result<std::string> md5 = HexDecode(std::string_view(name).substr(6, 32));
  Result<std::string> crc = HexDecode(std::string_view(name).substr(39, 16));
  if (failed != std::errc() || !md5 || !crc) return std::nullopt;
  if (name.size() > kSize) {
    Result<std::string> announced = HexDecode(std::string_view(name).substr(kSize + 1));
    if (!announced) return std::nullopt;
    part.announced = *announced;
  }
  part.md5 = *md5;
  part.crc64nvme = *crc;
  return part;
}

std::string PartPrefix(int number) {
  std::string text = std::to_string(number);
  return std::string(5 - text.size(), '0') + text + ".";
}

struct StoredPart {
  PartFile file;
  uint64_t size_bytes = 0;
  int64_t changed_ns = 0;
};

// By number, oldest first: where a crash has left two of a number, both are here.
Result<std::vector<StoredPart>> PartsIn(const Fd& folder) {
  Result<std::vector<std::string>> names = NamesIn(folder.get());
  if (!names) return names.error();
  std::vector<StoredPart> parts;
  for (const std::string& name : *names) {
    std::optional<PartFile> part = ParsePartName(name);
    struct stat status;
    if (!part || ::fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    parts.push_back({*part, static_cast<uint64_t>(status.st_size), ChangedNs(status)});
  }
  std::ranges::sort(parts, [](const StoredPart& a, const StoredPart& b) {
    return std::tie(a.file.number, a.changed_ns) < std::tie(b.file.number, b.changed_ns);
  });
  return parts;
}

void RemoveFolder(const FileTree& tree, const Fd& folder, const std::string& upload_id) {
  Result<std::vector<std::string>> names = NamesIn(folder.get());
  if (!names) return;
  // The description last: while it is there, the upload can be found and aborted again.
  std::ranges::sort(*names, {}, [](const std::string& name) { return name == kUploadFile; });
  for (const std::string& name : *names) ::unlinkat(folder.get(), name.c_str(), 0);
  Result<Fd> uploads = tree.PrivateFolder("uploads");
  if (uploads) ::unlinkat(uploads->get(), upload_id.c_str(), AT_REMOVEDIR);
}

// The description is a record whose key begins with what a record has no field for.
std::string EncodeUpload(const FileUpload& upload) {
  FileRecord record = upload.record;
  record.changed_ns = upload.upload.initiated.time_since_epoch().count();
  if (upload.announced) record.checksums = {{*upload.announced, "", upload.composite}};
  return EncodeRecord(record, upload.upload.key);
}

// The ETag of the object that these parts become; empty where one has none.
std::string EtagOf(const CompleteRequest& request) {
  std::string md5s;
  for (const UploadedPart& part : request.parts) {
    Result<std::string> md5 = HexDecode(part.etag);
    if (!md5) return "";
    md5s += *md5;
  }
  return HexEncode(Md5(md5s)) + "-" + std::to_string(request.parts.size());
}

// Whether the object that is there came of this very request: its answer was lost on the way.
bool IsCompletedFrom(const FileTree& tree, const CompleteRequest& request) {
  if (!IsUlid(request.upload.upload_id) || request.parts.empty()) return false;
  Result<FileObject> there = OpenFileObject(tree, request.upload.key);
  return there && there->record.upload_id == request.upload.upload_id &&
         there->record.etag == EtagOf(request);
}

// The checksum that was announced for the whole, where all parts have theirs: of their checksums,
// or of all bytes.
std::optional<Checksum> AnnouncedOf(const FileUpload& upload,
                                    const std::vector<const StoredPart*>& parts) {
  if (!upload.announced || *upload.announced == ChecksumAlgorithm::kCrc64Nvme) return std::nullopt;
  HashKind kind = HashKindOf(*upload.announced);
  std::string digests;
  std::string whole;
  for (const StoredPart* part : parts) {
    const std::string& digest = part->file.announced;
    if (digest.empty()) return std::nullopt;
    digests += digest;
    if (upload.composite || part == parts.front()) {
      whole = digest;
      continue;
    }
    Result<std::string> both = CombineDigests(kind, whole, digest, part->size_bytes);
    if (!both) return std::nullopt;
    whole = *both;
  }
  if (upload.composite) whole = Digest(kind, digests);
  return Checksum{*upload.announced, Base64Encode(whole), upload.composite};
}

}  // namespace

Result<void> CreateFileUpload(const FileTree& tree, const FileUpload& upload) {
  if (!SegmentsOf(upload.upload.key)) {
    return KeyNotStorable("it is empty, too long or holds a zero byte");
  }
  Result<Fd> folder = tree.PrivateFolder(FolderOf(upload.upload));
  if (!folder) return folder.error();
  Result<FileTree::Temporary> temporary = tree.NewTemporary();
  if (!temporary) return temporary.error();
  // The key first, with its length: it is needed before the record can be read.
  std::string text =
      std::to_string(upload.upload.key.size()) + "\n" + upload.upload.key + EncodeUpload(upload);
  Result<void> written = WriteFile(temporary->file.get(), AsBytes(text));
  if (written) written = tree.Sync(temporary->file.get(), "upload");
  if (written && ::renameat(tree.bucket_fd(), temporary->path.c_str(), folder->get(),
                            std::string(kUploadFile).c_str()) != 0) {
    written = FileError(errno, "rename upload");
  }
  if (!written) {
    ::unlinkat(tree.bucket_fd(), temporary->path.c_str(), 0);
    return written;
  }
  return tree.Sync(folder->get(), "folder of the upload");
}

namespace {

Result<FileUpload> ReadUpload(const Fd& folder, const std::string& bucket,
                              const std::string& upload_id) {
  Fd file(
      ::openat(folder.get(), std::string(kUploadFile).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return NoSuchUpload();
  std::string text(kUploadBytesMax, '\0');
  Result<size_t> size = ReadFileAt(file.get(), 0, std::as_writable_bytes(std::span(text)));
  if (!size) return size.error();
  text.resize(*size);
  size_t key_size = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), key_size);
  size_t start = static_cast<size_t>(end - text.data()) + 1;
  if (failed != std::errc() || start > text.size() || key_size > text.size() - start) {
    return Corrupt("upload.json of " + upload_id);
  }
  FileUpload upload;
  upload.upload = {bucket, text.substr(start, key_size), upload_id, {}};
  Result<FileRecord> record =
      DecodeRecord(std::string_view(text).substr(start + key_size), upload.upload.key);
  if (!record) return record.error().In("upload.json of " + upload_id);
  upload.record = std::move(*record);
  upload.upload.initiated = SystemTime(std::chrono::microseconds(upload.record.changed_ns));
  if (!upload.record.checksums.empty()) {
    upload.announced = upload.record.checksums[0].algorithm;
    upload.composite = upload.record.checksums[0].composite;
  }
  upload.record.checksums.clear();
  return upload;
}

}  // namespace

Result<FileUpload> OpenFileUpload(const FileTree& tree, const MultipartUpload& upload) {
  Fd folder = OpenFolder(tree, upload.upload_id);
  if (!folder.valid()) return NoSuchUpload();
  Result<FileUpload> found = ReadUpload(folder, upload.bucket, upload.upload_id);
  if (found && found->upload.key != upload.key) return NoSuchUpload();
  return found;
}

Result<std::vector<MultipartUpload>> ListFileUploads(const FileTree& tree,
                                                     const std::string& bucket,
                                                     const std::string& prefix) {
  std::vector<MultipartUpload> found;
  // Nothing is made for who only reads.
  Fd uploads = OpenFolderPath(tree.bucket_fd(), std::string(kFilePrivateFolder) + "/uploads");
  if (!uploads.valid()) {
    if (errno == ENOENT) return found;
    return FileError(errno, "open the folder of uploads");
  }
  Result<std::vector<std::string>> ids = NamesIn(uploads.get());
  if (!ids) return ids.error();
  for (const std::string& id : *ids) {
    Fd folder = OpenFolder(tree, id);
    if (!folder.valid()) continue;
    Result<FileUpload> upload = ReadUpload(folder, bucket, id);
    if (upload && upload->upload.key.starts_with(prefix)) found.push_back(upload->upload);
  }
  std::ranges::sort(found, [](const MultipartUpload& a, const MultipartUpload& b) {
    return std::tie(a.key, a.upload_id) < std::tie(b.key, b.upload_id);
  });
  return found;
}

Result<UploadedPart> AddFilePart(FileWriter& writer, const MultipartUpload& upload, int number) {
  if (number < 1 || number > kPartsMax) {
    return RefusedUpload("InvalidArgument", "a part number is 1 to 10,000");
  }
  const FileTree& tree = writer.tree();
  FileWriter::Digests digests = writer.FinishDigests();
  Result<void> synced = tree.Sync(writer.fd(), "part");
  if (!synced) return synced.error();
  Fd folder = OpenFolder(tree, upload.upload_id);
  if (!folder.valid()) return NoSuchUpload();
  Result<std::string> crc = Base64Decode(digests.crc64nvme.value);
  if (!crc) return crc.error();
  std::string name = PartPrefix(number) + HexEncode(digests.md5) + "." + HexEncode(*crc);
  if (digests.also) {
    Result<std::string> also = Base64Decode(digests.also->value);
    if (!also) return also.error();
    name += "." + HexEncode(*also);
  }
  // Of two that come at once, the later one takes the other's place, and not both.
  Result<Fd> lock = tree.Lock(upload.key);
  if (!lock) return lock.error();
  Result<void> placed = writer.MoveTo(folder.get(), name);
  if (!placed) {
    return errno == ENOENT ? NoSuchUpload() : placed.error();
  }
  // An abort that passed between has removed the description, but not this.
  if (::faccessat(folder.get(), std::string(kUploadFile).c_str(), F_OK, 0) != 0) {
    RemoveFolder(tree, folder, upload.upload_id);
    return NoSuchUpload();
  }
  Result<std::vector<std::string>> names = NamesIn(folder.get());
  if (!names) return names.error();
  for (const std::string& other : *names) {
    if (other.starts_with(PartPrefix(number)) && other != name) {
      ::unlinkat(folder.get(), other.c_str(), 0);
    }
  }
  *lock = Fd();  // Parts of other numbers need not wait for this one's disk.
  synced = tree.Sync(folder.get(), "folder of the upload");
  if (!synced) return synced.error();
  UploadedPart part{.number = number,
                    .etag = HexEncode(digests.md5),
                    .size_bytes = writer.size_bytes(),
                    .checksum = digests.also};
  if (!part.checksum) part.checksum = digests.crc64nvme;
  return part;
}

Result<std::vector<UploadedPart>> ListFileParts(const FileTree& tree,
                                                const MultipartUpload& upload) {
  Result<FileUpload> opened = OpenFileUpload(tree, upload);
  if (!opened) return opened.error();
  Fd folder = OpenFolder(tree, upload.upload_id);
  if (!folder.valid()) return NoSuchUpload();
  Result<std::vector<StoredPart>> stored = PartsIn(folder);
  if (!stored) return stored.error();
  std::vector<UploadedPart> parts;
  for (const StoredPart& part : *stored) {
    if (!parts.empty() && parts.back().number == part.file.number) parts.pop_back();
    parts.push_back({.number = part.file.number,
                     .etag = HexEncode(part.file.md5),
                     .size_bytes = part.size_bytes,
                     .checksum = Checksum{ChecksumAlgorithm::kCrc64Nvme,
                                          Base64Encode(part.file.crc64nvme), false}});
    if (opened->announced && !part.file.announced.empty()) {
      parts.back().checksum =
          Checksum{*opened->announced, Base64Encode(part.file.announced), false};
    }
  }
  return parts;
}

namespace {

Result<PutResult> Complete(const FileTree& tree, const CompleteRequest& request, SystemTime now) {
  Result<FileUpload> opened = OpenFileUpload(tree, request.upload);
  if (!opened) return opened.error();
  Fd folder = OpenFolder(tree, request.upload.upload_id);
  if (!folder.valid()) return NoSuchUpload();
  Result<std::vector<StoredPart>> stored = PartsIn(folder);
  if (!stored) return stored.error();
  if (request.parts.empty()) return RefusedUpload("MalformedXML", "no parts");

  std::vector<const StoredPart*> chosen;
  std::string md5s;
  std::string crc;
  for (const UploadedPart& wanted : request.parts) {
    if (!chosen.empty() && wanted.number <= chosen.back()->file.number) {
      return RefusedUpload("InvalidPartOrder", "the parts are not in order");
    }
    auto found = std::ranges::find_if(*stored, [&](const StoredPart& part) {
      return part.file.number == wanted.number && HexEncode(part.file.md5) == wanted.etag;
    });
    if (found == stored->end()) {
      return RefusedUpload("InvalidPart",
                           "part " + std::to_string(wanted.number) + " is not there");
    }
    chosen.push_back(&*found);
    md5s += found->file.md5;
    if (chosen.size() == 1) {
      crc = found->file.crc64nvme;
    } else {
      Result<std::string> both =
          CombineDigests(HashKind::kCrc64Nvme, crc, found->file.crc64nvme, found->size_bytes);
      if (!both) return both.error();
      crc = *both;
    }
  }
  Checksum whole{ChecksumAlgorithm::kCrc64Nvme, Base64Encode(crc), false};
  std::optional<ChecksumAlgorithm> other;
  if (request.checksum && !request.checksum->composite && !request.checksum->value.empty()) {
    if (request.checksum->algorithm != whole.algorithm) {
      other = request.checksum->algorithm;
    } else if (request.checksum->value != whole.value) {
      return RefusedUpload("BadDigest", "the checksum of the whole is wrong");
    }
  }
  std::optional<Checksum> announced = AnnouncedOf(*opened, chosen);
  Result<FileTree> own_tree = tree.Clone();
  if (!own_tree) return own_tree.error();
  Result<FileWriter> writer = FileWriter::New(std::move(*own_tree), other);
  if (!writer) return writer.error();
  FileRecord record = opened->record;
  record.checksums = {whole};
  std::string buffer;
  for (const StoredPart* part : chosen) {
    record.part_sizes_bytes.push_back(part->size_bytes);
    Fd file(::openat(folder.get(), part->file.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file.valid()) return FileError(errno, "open part");
    if (!other) {
      Result<void> copied = writer->CopyFrom(file.get(), 0, part->size_bytes);
      if (!copied) return copied.error();
      continue;
    }
    buffer.resize(1 << 20);
    for (uint64_t offset = 0; offset < part->size_bytes;) {
      Result<size_t> count =
          ReadFileAt(file.get(), offset, std::as_writable_bytes(std::span(buffer)));
      if (!count) return count.error();
      if (*count == 0) return Corrupt("a part is shorter than it was");
      Result<void> written = writer->Write(AsBytes(std::string_view(buffer).substr(0, *count)));
      if (!written) return written.error();
      offset += *count;
    }
  }
  if (other) {
    FileWriter::Digests digests = writer->FinishDigests();
    if (digests.also->value != request.checksum->value) {
      return RefusedUpload("BadDigest", "the checksum of the whole is wrong");
    }
    record.checksums.push_back(*digests.also);
  }
  if (announced && (!other || announced->composite)) record.checksums.push_back(*announced);
  record.upload_id = request.upload.upload_id;
  record.etag = HexEncode(Md5(md5s)) + "-" + std::to_string(chosen.size());
  Result<FileRecord> committed =
      writer->Commit(request.upload.key, std::move(record), request.condition, now);
  if (!committed) return committed.error();
  RemoveFolder(tree, folder, request.upload.upload_id);
  return PutResult{.etag = committed->etag, .version_id = "", .server_time = now};
}

}  // namespace

Result<PutResult> CompleteFileUpload(const FileTree& tree, const CompleteRequest& request,
                                     SystemTime now) {
  const std::string& upload_id = request.upload.upload_id;
  const PutResult again{.etag = EtagOf(request), .version_id = "", .server_time = now};
  if (IsCompletedFrom(tree, request)) {
    // A process that died may have left the folder.
    Fd folder = OpenFolder(tree, upload_id);
    if (folder.valid()) RemoveFolder(tree, folder, upload_id);
    return again;
  }
  Result<PutResult> completed = Complete(tree, request, now);
  if (completed) return completed;
  // Another one may have been faster, and its parts gone while this one read them.
  if (IsCompletedFrom(tree, request)) return again;
  Result<void> there = CheckFileUpload(tree, upload_id);
  return there ? completed.error() : there.error();
}

Result<void> AbortFileUpload(const FileTree& tree, const MultipartUpload& upload) {
  Fd folder = OpenFolder(tree, upload.upload_id);
  if (!folder.valid()) return Ok();
  // The description goes first here: no part may come after this.
  ::unlinkat(folder.get(), std::string(kUploadFile).c_str(), 0);
  RemoveFolder(tree, folder, upload.upload_id);
  return Ok();
}

Result<void> CheckFileUpload(const FileTree& tree, const std::string& upload_id) {
  Fd folder = OpenFolder(tree, upload_id);
  if (!folder.valid() ||
      ::faccessat(folder.get(), std::string(kUploadFile).c_str(), F_OK, 0) != 0) {
    return errno == ENOENT ? NoSuchUpload() : FileError(errno, "look for the upload");
  }
  return Ok();
}

void EndFileUpload(const FileTree& tree, const std::string& upload_id) {
  if (upload_id.empty()) return;
  Fd folder = OpenFolder(tree, upload_id);
  if (!folder.valid()) return;
  if (::unlinkat(folder.get(), std::string(kUploadFile).c_str(), 0) != 0) return;
  (void)tree.Sync(folder.get(), "folder of the upload");
}

void DropFileUpload(const FileTree& tree, const std::string& upload_id) {
  if (upload_id.empty()) return;
  EndFileUpload(tree, upload_id);
  Fd folder = OpenFolder(tree, upload_id);
  if (folder.valid()) RemoveFolder(tree, folder, upload_id);
}

std::string UploadOfFile(const FileTree& tree, std::string_view key, const struct stat& status) {
  Result<std::optional<FileRecord>> record = LoadRecord(tree, key, status);
  return record && *record ? (*record)->upload_id : "";
}

}  // namespace longhaul
