#include "storage/file_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/bytes.h"
#include "base/directory_reader.h"
#include "storage/file_bucket.h"
#include "storage/file_listing.h"
#include "storage/file_multipart.h"
#include "storage/file_names.h"
#include "storage/file_object.h"

namespace longhaul {
namespace {

constexpr size_t kReadAheadBytes = 256 << 10;
constexpr size_t kCopyBytes = 1 << 20;
constexpr uint64_t kCopyBytesPerJob = 64 << 20;
constexpr size_t kRemovalsPerJob = 64;

Error Refused(std::string code, std::string message) {
  Error error = InvalidInput(std::move(message));
  error.code = std::move(code);
  return error;
}

// CRC64NVME of all bytes; empty: it is not known.
std::string WholeCrcOf(const FileRecord& record) {
  for (const Checksum& checksum : record.checksums) {
    if (checksum.algorithm == ChecksumAlgorithm::kCrc64Nvme && !checksum.composite) {
      return checksum.value;
    }
  }
  return "";
}

Error Damaged(const FileObject& object) {
  return Corrupt("the bytes of " + object.found.path + " are not those that were written");
}

// The bytes of an object, or of a range of it, read ahead in pieces that are worth a hop.
class FileReader : public ByteReader {
 public:
  FileReader(CpuPool& pool, FileObject object, uint64_t offset, uint64_t length, bool verify)
      : pool_(pool), object_(std::move(object)), offset_(offset), end_(offset + length) {
    bool whole = verify && offset == 0 && length == object_.record.size_bytes;
    if (whole) expected_ = WholeCrcOf(object_.record);
  }

  // Blocks: fills the read-ahead.
  Result<void> Ahead() {
    size_t size = static_cast<size_t>(std::min<uint64_t>(kReadAheadBytes, end_ - offset_));
    ahead_.resize(size);
    used_ = 0;
    Result<size_t> count = Load(std::as_writable_bytes(std::span(ahead_)));
    ahead_.resize(count ? *count : 0);
    if (!count) return count.error();
    return Ok();
  }

  Async<size_t> Read(std::span<std::byte> out) override {
    if (used_ < ahead_.size()) co_return Take(out);
    if (offset_ == end_) co_return Finish();
    if (out.size() >= kReadAheadBytes) {
      size_t size = static_cast<size_t>(std::min<uint64_t>(out.size(), end_ - offset_));
      co_return co_await pool_.Run([this, out, size] { return Load(out.first(size)); });
    }
    Result<void> read = co_await pool_.Run([this] { return Ahead(); });
    if (!read) co_return read.error();
    co_return Take(out);
  }

 private:
  size_t Take(std::span<std::byte> out) {
    size_t count = std::min(out.size(), ahead_.size() - used_);
    std::memcpy(out.data(), ahead_.data() + used_, count);
    used_ += count;
    return count;
  }
  Result<size_t> Load(std::span<std::byte> out) {
    if (out.empty()) return 0;
    Result<size_t> count = ReadFileAt(object_.found.file.get(), offset_, out);
    if (!count) return count;
    if (*count < out.size()) return Retryable("the file has become shorter while it was read");
    if (!expected_.empty()) crc_ = Crc64Nvme(out, crc_);
    offset_ += *count;
    return count;
  }
  Result<size_t> Finish() {
    std::string digest;
    for (int shift = 56; shift >= 0; shift -= 8) digest += static_cast<char>(crc_ >> shift);
    if (!expected_.empty() && Base64Encode(digest) == expected_) return 0;
    // Also of a range, of which nothing else would tell that it is of two states.
    struct stat now;
    if (::fstat(object_.found.file.get(), &now) == 0 && !object_.record.Describes(now)) {
      return Retryable("the file has been changed while it was read");
    }
    return expected_.empty() ? Result<size_t>(0) : Damaged(object_);
  }

  CpuPool& pool_;
  FileObject object_;
  uint64_t offset_;
  uint64_t end_;
  std::string ahead_;
  size_t used_ = 0;
  std::string expected_;  // CRC64NVME of the whole, when the whole is read.
  uint64_t crc_ = 0;
};

class FileStore : public Store {
 public:
  FileStore(const Runtime& runtime, FileStoreOptions options)
      : runtime_(runtime), options_(std::move(options)) {}

  [[nodiscard]] Capabilities capabilities() const override {
    Capabilities can;
    can.versions = false;
    can.copy_size_bytes_max = 5ULL << 40;
    can.put_size_bytes_max = 5ULL << 40;
    can.part_size_bytes_min = 1;
    can.create_if_absent = true;
    can.replace_if_match = true;
    can.complete_if_absent = true;
    can.complete_if_match = true;
    can.delete_if_match = true;
    return can;
  }
  [[nodiscard]] std::string description() const override { return "file " + options_.root; }

  Async<ListPage> List(ListRequest request) override {
    if (request.versions) co_return Refused("NotImplemented", "a file store has no versions");
    co_return Named("list", request.bucket, request.prefix,
                    co_await runtime_.pool.Run([this, &request]() -> Result<ListPage> {
                      Result<FileTree> tree = Open(request.bucket);
                      if (!tree) return tree.error();
                      return ListFiles(*tree, request, folders_);
                    }));
  }

  Async<ObjectInfo> Head(HeadRequest request) override {
    Result<void> known = CheckVersion(request.version_id);
    if (!known) co_return known.error();
    Result<FileObject> object = co_await OpenObject(request.bucket, request.key);
    if (!object) co_return Failed("head", request.bucket, request.key, object.error());
    ObjectInfo info = InfoOf(*object);
    info.server_time = runtime_.clock.Now();
    if (request.part_number) {
      const std::vector<uint64_t>& sizes = object->record.part_sizes_bytes;
      int last = std::max<int>(1, static_cast<int>(sizes.size()));
      if (*request.part_number < 1 || *request.part_number > last) {
        co_return Refused("InvalidPartNumber", "the object has " + std::to_string(last) + " parts");
      }
      info.part_count = static_cast<int>(sizes.size());
      if (!sizes.empty()) info.size_bytes = sizes[static_cast<size_t>(*request.part_number - 1)];
    }
    co_return info;
  }

  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at) override {
    Result<void> known = CheckVersion(request.version_id);
    if (!known) co_return known.error();
    Result<ObjectStream> stream =
        co_await runtime_.pool.Run([this, &request] { return OpenStream(request); });
    SystemTime now = runtime_.clock.Now();
    if (!stream) {
      if (absent_at != nullptr) *absent_at = now;
      co_return Failed("get", request.bucket, request.key, stream.error());
    }
    stream->info.server_time = now;
    co_return stream;
  }

  Async<PutResult> Put(PutRequest request, ByteSource& body) override {
    Result<void> possible = CheckWrite(request);
    if (!possible) co_return possible.error();
    Result<FileRecord> written = co_await WriteBody(request, body);
    if (!written) co_return Failed("put", request.bucket, request.key, written.error());
    co_return PutResult{
        .etag = written->etag, .version_id = "", .server_time = runtime_.clock.Now()};
  }

  Async<MultipartUpload> CreateMultipart(PutRequest request) override {
    Result<void> possible = CheckWrite(request);
    if (!possible) co_return possible.error();
    FileUpload upload{
        .upload = {request.bucket, request.key, NewUlid(runtime_.clock.Now(), runtime_.random),
                   runtime_.clock.Now()},
        .record = RecordOf(request),
        .announced = std::nullopt};
    if (request.checksum) {
      upload.announced = request.checksum->algorithm;
      upload.composite = request.checksum->composite;
    }
    Result<void> created = co_await runtime_.pool.Run([&]() -> Result<void> {
      Result<FileTree> tree = Open(request.bucket);
      if (!tree) return tree.error();
      return CreateFileUpload(*tree, upload);
    });
    if (!created) co_return Failed("create upload", request.bucket, request.key, created.error());
    co_return upload.upload;
  }

  Async<UploadedPart> UploadPart(const MultipartUpload& upload, int number,
                                 ByteSource& body) override {
    std::optional<FileWriter> writer;
    Result<void> begun = co_await runtime_.pool.Run([&]() -> Result<void> {
      Result<FileTree> tree = Open(upload.bucket);
      if (!tree) return tree.error();
      Result<FileUpload> found = OpenFileUpload(*tree, upload);
      if (!found) return found.error();
      return Begin(std::move(*tree), found->announced, writer);
    });
    Result<void> written = begun;
    if (written) written = co_await Fill(*writer, body);
    if (!written) co_return Failed("upload part", upload.bucket, upload.key, written.error());
    co_return Named("upload part", upload.bucket, upload.key, co_await runtime_.pool.Run([&] {
      Result<UploadedPart> part = AddFilePart(*writer, upload, number);
      writer.reset();
      return part;
    }));
  }

  Async<std::vector<UploadedPart>> ListParts(const MultipartUpload& upload) override {
    co_return Named("list parts", upload.bucket, upload.key,
                    co_await runtime_.pool.Run([&]() -> Result<std::vector<UploadedPart>> {
                      Result<FileTree> tree = Open(upload.bucket);
                      if (!tree) return tree.error();
                      return ListFileParts(*tree, upload);
                    }));
  }

  Async<PutResult> CompleteMultipart(CompleteRequest request) override {
    SystemTime now = runtime_.clock.Now();
    Result<PutResult> result = co_await runtime_.pool.Run([&]() -> Result<PutResult> {
      Result<FileTree> tree = Open(request.upload.bucket);
      if (!tree) return tree.error();
      return CompleteFileUpload(*tree, request, now);
    });
    if (!result) {
      co_return Failed("complete", request.upload.bucket, request.upload.key, result.error());
    }
    result->server_time = runtime_.clock.Now();
    co_return result;
  }

  Async<void> AbortMultipart(const MultipartUpload& upload) override {
    co_return Named("abort", upload.bucket, upload.key,
                    co_await runtime_.pool.Run([&]() -> Result<void> {
                      Result<FileTree> tree = Open(upload.bucket);
                      if (!tree) return tree.error();
                      return AbortFileUpload(*tree, upload);
                    }));
  }

  Async<std::vector<MultipartUpload>> ListMultipartUploads(std::string bucket,
                                                           std::string prefix) override {
    co_return Named("list uploads", bucket, prefix,
                    co_await runtime_.pool.Run([&]() -> Result<std::vector<MultipartUpload>> {
                      Result<FileTree> tree = Open(bucket);
                      if (!tree) return tree.error();
                      return ListFileUploads(*tree, bucket, prefix);
                    }));
  }

  Async<PutResult> Copy(CopyRequest request) override;

  Async<void> Remove(RemoveRequest request) override {
    Result<void> known = CheckVersion(request.version_id);
    if (!known) co_return known.error();
    co_return Named("remove", request.bucket, request.key,
                    co_await runtime_.pool.Run([&]() -> Result<void> {
                      Result<FileTree> tree = Open(request.bucket);
                      if (!tree) return tree.error();
                      return RemoveOne(*tree, request);
                    }));
  }

  Async<std::vector<RemoveFailure>> RemoveMany(std::string bucket,
                                               std::vector<RemoveRequest> requests) override {
    std::vector<RemoveFailure> failures;
    for (size_t begin = 0; begin < requests.size(); begin += kRemovalsPerJob) {
      Result<void> opened = co_await runtime_.pool.Run([&]() -> Result<void> {
        Result<FileTree> tree = Open(bucket);
        if (!tree) return tree.error();
        size_t end = std::min(requests.size(), begin + kRemovalsPerJob);
        for (size_t i = begin; i < end; ++i) {
          Result<void> removed = CheckVersion(requests[i].version_id);
          if (removed) removed = RemoveOne(*tree, requests[i]);
          if (!removed) failures.push_back({requests[i].key, removed.error()});
        }
        return Ok();
      });
      if (!opened) co_return Failed("remove", bucket, "", opened.error());
    }
    co_return failures;
  }

  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override {
    Result<void> known = CheckVersion(version_id);
    if (!known) co_return known.error();
    Result<FileObject> object = co_await OpenObject(bucket, key);
    if (!object) co_return Failed("get tags", bucket, key, object.error());
    co_return object->record.tags;
  }

  Async<void> PutTags(std::string bucket, std::string key, Tags tags) override {
    co_return Named("put tags", bucket, key, co_await runtime_.pool.Run([&]() -> Result<void> {
      Result<FileTree> tree = Open(bucket);
      if (!tree) return tree.error();
      Result<Fd> lock = tree->Lock(key);
      if (!lock) return lock.error();
      Result<FileObject> object = OpenFileObject(*tree, key);
      if (!object) return object.error();
      object->record.tags = tags;
      return ReplaceRecord(*tree, key, object->record);
    }));
  }

  Async<void> HeadBucket(std::string bucket) override {
    co_return co_await runtime_.pool.Run([&]() -> Result<void> {
      Result<FileTree> tree = Open(bucket);
      if (!tree) return tree.error();
      return Ok();
    });
  }

  Async<void> CreateBucket(std::string bucket) override {
    co_return co_await runtime_.pool.Run([&]() -> Result<void> {
      if (!IsFileBucketName(bucket)) {
        return Refused("InvalidBucketName", "not the name of a bucket: " + bucket);
      }
      std::string path = options_.root + "/" + bucket;
      if (::mkdir(path.c_str(), 0777) == 0) {
        Fd root(::open(options_.root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (options_.durable && root.valid()) ::fsync(root.get());
        return Ok();
      }
      if (errno != EEXIST) return FileError(errno, "make " + path);
      Error there = PreconditionFailed("the bucket is there: " + bucket);
      there.code = "BucketAlreadyOwnedByYou";
      return there;
    });
  }

  Async<void> RemoveBucket(std::string bucket) override {
    co_return co_await runtime_.pool.Run([&]() -> Result<void> {
      Result<FileTree> tree = Open(bucket);
      if (!tree) return tree.error();
      return RemoveFileBucket(*tree);
    });
  }

  Async<std::vector<BucketInfo>> ListBuckets() override {
    co_return co_await runtime_.pool.Run([&]() -> Result<std::vector<BucketInfo>> {
      DirectoryReader reader(options_.root);
      std::vector<BucketInfo> buckets;
      while (const dirent* entry = reader.Next()) {
        struct stat status;
        if (IsFileBucketName(entry->d_name) &&
            ::fstatat(reader.fd(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(status.st_mode)) {
          // A folder does not tell when it was made; its last change is the nearest thing.
          buckets.push_back(
              {entry->d_name, SystemTime(std::chrono::microseconds(ChangedNs(status) / 1000))});
        }
      }
      if (reader.error() != 0) return FileError(reader.error(), "read " + options_.root);
      std::ranges::sort(buckets, {}, &BucketInfo::name);
      return buckets;
    });
  }

  Async<bool> GetVersioning(std::string bucket) override {
    Result<void> there = co_await HeadBucket(bucket);
    if (!there) co_return there.error();
    co_return false;
  }

  Async<void> SetVersioning(std::string bucket, bool) override {
    co_return Refused("NotImplemented", "a file store keeps no versions: " + bucket);
  }

 private:
  template <class T>
  Result<T> Named(std::string_view what, const std::string& bucket, const std::string& key,
                  Result<T> result) const {
    if (result) return result;
    return Failed(what, bucket, key, result.error());
  }
  Error Failed(std::string_view what, const std::string& bucket, const std::string& key,
               const Error& error) const {
    return error.In(description() + ": " + std::string(what) + " " + bucket + "/" + key);
  }

  Result<FileTree> Open(const std::string& bucket) const {
    return FileTree::Open(options_.root, bucket, options_.durable);
  }

  static Result<void> CheckVersion(const std::string& version_id) {
    if (version_id.empty() || version_id == "null") return Ok();
    return NotFound("a file store keeps no versions", "NoSuchVersion");
  }

  static Result<void> CheckWrite(const PutRequest& request) {
    if (!SegmentsOf(request.key)) {
      return KeyNotStorable("it is empty, longer than 1,024 bytes or holds a zero byte");
    }
    if (!request.sse.empty() || !request.kms_key.empty() || request.bucket_key) {
      return Refused("NotImplemented", "a file store does not encrypt");
    }
    if (!request.acl.empty() || !request.bucket_owner.empty()) {
      return Refused("NotImplemented", "a file store knows no accounts");
    }
    if (request.lock) return Refused("NotImplemented", "a file store locks nothing");
    return Ok();
  }

  static FileRecord RecordOf(const PutRequest& request) {
    FileRecord record;
    record.headers = request.headers;
    record.metadata = request.metadata;
    record.tags = request.tags;
    if (request.storage_class != "STANDARD") record.storage_class = request.storage_class;
    return record;
  }

  asio::awaitable<Result<FileObject>> OpenObject(std::string bucket, std::string key) {
    co_return co_await runtime_.pool.Run([&]() -> Result<FileObject> {
      Result<FileTree> tree = Open(bucket);
      if (!tree) return tree.error();
      return OpenFileObject(*tree, key);
    });
  }

  Result<ObjectStream> OpenStream(const GetRequest& request);
  Result<void> Begin(FileTree tree, std::optional<ChecksumAlgorithm> also,
                     std::optional<FileWriter>& writer) {
    Result<FileWriter> made = FileWriter::New(std::move(tree), also);
    if (!made) return made.error();
    writer.emplace(std::move(*made));
    return Ok();
  }
  Async<void> Fill(FileWriter& writer, ByteSource& body);
  Async<FileRecord> WriteBody(const PutRequest& request, ByteSource& body);
  // `source`: what was written is a copy of it.
  static Result<FileRecord> Finish(FileWriter& writer, const PutRequest& request, SystemTime now,
                                   const FileObject* source = nullptr);
  static Result<void> RemoveOne(const FileTree& tree, const RemoveRequest& request);

  Runtime runtime_;
  FileStoreOptions options_;
  FolderCache folders_;
  std::set<std::string> cleaned_;  // Buckets whose left-overs have been looked for.
};

Result<ObjectStream> FileStore::OpenStream(const GetRequest& request) {
  Result<FileTree> tree = Open(request.bucket);
  if (!tree) return tree.error();
  Result<FileObject> object = OpenFileObject(*tree, request.key);
  if (!object) return object.error();
  if (!request.if_match.empty() && request.if_match != object->record.etag) {
    Error changed = PreconditionFailed("another object is there");
    changed.code = "PreconditionFailed";
    return changed;
  }
  ObjectStream stream;
  stream.info = InfoOf(*object);
  uint64_t size = stream.info.size_bytes;
  stream.length_bytes = size;
  if (request.range) {
    if (request.range->offset_bytes >= size || request.range->size_bytes == 0) {
      return Refused("InvalidRange", "the range starts past the end");
    }
    stream.offset_bytes = request.range->offset_bytes;
    stream.length_bytes = std::min(request.range->size_bytes, size - stream.offset_bytes);
  } else if (request.suffix_bytes) {
    if (size == 0 || *request.suffix_bytes == 0) {
      return Refused("InvalidRange", "there are no such bytes");
    }
    stream.length_bytes = std::min(*request.suffix_bytes, size);
    stream.offset_bytes = size - stream.length_bytes;
  }
  auto reader = std::make_unique<FileReader>(runtime_.pool, std::move(*object), stream.offset_bytes,
                                             stream.length_bytes, request.verify);
  if (stream.length_bytes <= kReadAheadBytes) {
    Result<void> ahead = reader->Ahead();  // Small objects need no second hop.
    if (!ahead) return ahead.error();
  }
  stream.body = std::move(reader);
  return stream;
}

// Writes all of `body`.
Async<void> FileStore::Fill(FileWriter& writer, ByteSource& body) {
  if (auto whole = body.contiguous()) {
    std::span<const std::byte> bytes = *whole;
    co_return co_await runtime_.pool.Run([&] { return writer.Write(bytes); });
  }
  uint64_t left = body.size_bytes();
  std::string buffer(static_cast<size_t>(std::min<uint64_t>(kCopyBytes, left + 1)), '\0');
  size_t filled = 0;
  while (true) {
    Result<size_t> count =
        co_await body.Read(std::as_writable_bytes(std::span(buffer)).subspan(filled));
    if (!count) co_return count.error();
    filled += *count;
    if (filled > left) co_return InvalidInput("the body is longer than it said");
    bool end = *count == 0;
    if (filled == buffer.size() || (end && filled > 0)) {
      Result<void> written = co_await runtime_.pool.Run(
          [&] { return writer.Write(AsBytes(std::string_view(buffer).substr(0, filled))); });
      if (!written) co_return written;
      left -= filled;
      filled = 0;
    }
    if (end) break;
  }
  if (left > 0) co_return InvalidInput("the body is shorter than it said");
  co_return Ok();
}

Result<FileRecord> FileStore::Finish(FileWriter& writer, const PutRequest& request, SystemTime now,
                                     const FileObject* source) {
  FileWriter::Digests digests = writer.FinishDigests();
  const std::string expected = source == nullptr ? "" : WholeCrcOf(source->record);
  // Its new ETag and checksums would call damaged bytes good.
  if (!expected.empty() && digests.crc64nvme.value != expected) return Damaged(*source);
  if (!request.content_md5.empty() && request.content_md5 != Base64Encode(digests.md5)) {
    return Refused("BadDigest", "the Content-MD5 is not that of the body");
  }
  FileRecord record = RecordOf(request);
  record.etag = HexEncode(digests.md5);
  record.checksums = {digests.crc64nvme};
  if (digests.also) record.checksums.push_back(*digests.also);
  if (request.checksum && !request.checksum->value.empty() &&
      request.checksum->value != record.checksums.back().value) {
    return Refused("BadDigest", "the checksum is not that of the body");
  }
  return writer.Commit(request.key, std::move(record), request.condition, now);
}

Async<FileRecord> FileStore::WriteBody(const PutRequest& request, ByteSource& body) {
  std::optional<ChecksumAlgorithm> also;
  if (request.checksum) also = request.checksum->algorithm;
  bool clean = cleaned_.insert(request.bucket).second;
  std::optional<FileWriter> writer;
  auto begin = [&]() -> Result<void> {
    Result<FileTree> tree = Open(request.bucket);
    if (!tree) return tree.error();
    if (clean) tree->CleanUp();
    return Begin(std::move(*tree), also, writer);
  };
  if (auto whole = body.contiguous()) {  // One hop for everything.
    const SystemTime now = runtime_.clock.Now();
    co_return co_await runtime_.pool.Run([&]() -> Result<FileRecord> {
      Result<void> written = begin();
      if (written) written = writer->Write(*whole);
      if (!written) return written.error();
      Result<FileRecord> finished = Finish(*writer, request, now);
      writer.reset();
      return finished;
    });
  }
  Result<void> written = co_await runtime_.pool.Run(begin);
  if (written) written = co_await Fill(*writer, body);
  if (!written) co_return written.error();
  // Not before: who copies the object meanwhile has an older one, and takes it for newer else.
  const SystemTime now = runtime_.clock.Now();
  co_return co_await runtime_.pool.Run([&] {
    Result<FileRecord> finished = Finish(*writer, request, now);
    writer.reset();
    return finished;
  });
}

Async<PutResult> FileStore::Copy(CopyRequest request) {
  Result<void> known = CheckVersion(request.source_version_id);
  if (!known) co_return known.error();
  Result<FileObject> source = co_await OpenObject(request.source_bucket, request.source_key);
  if (!source) {
    co_return Failed("copy", request.source_bucket, request.source_key, source.error());
  }
  if (!request.source_if_match.empty() && request.source_if_match != source->record.etag) {
    Error changed = PreconditionFailed("another object is there");
    changed.code = "PreconditionFailed";
    co_return Failed("copy", request.source_bucket, request.source_key, changed);
  }
  PutRequest put{.bucket = request.bucket,
                 .key = request.key,
                 .headers = source->record.headers,
                 .metadata = source->record.metadata,
                 .tags = request.tags.value_or(source->record.tags),
                 .storage_class = request.storage_class,
                 .sse = request.sse,
                 .kms_key = request.kms_key,
                 .bucket_key = request.bucket_key,
                 .acl = request.acl,
                 .bucket_owner = request.bucket_owner,
                 .condition = request.condition,
                 .lock = request.lock};
  if (request.replacement) {
    put.headers = request.replacement->headers;
    put.metadata = request.replacement->metadata;
  }
  Result<void> possible = CheckWrite(put);
  if (!possible) co_return possible.error();

  // A plain ETag and the checksums are those of the same bytes. A multipart object becomes one of a
  // single part, as S3 has it, so its bytes are read for their MD5.
  bool plain = IsPlainMd5Etag(source->record.etag);
  std::optional<FileWriter> writer;
  Result<void> done = co_await runtime_.pool.Run([&]() -> Result<void> {
    Result<FileTree> tree = Open(request.bucket);
    if (!tree) return tree.error();
    return Begin(std::move(*tree), std::nullopt, writer);
  });
  uint64_t size = source->record.size_bytes;
  std::string buffer(plain ? 0 : kCopyBytes, '\0');
  for (uint64_t offset = 0; done && offset < size;) {
    uint64_t count = std::min(kCopyBytesPerJob, size - offset);
    done = co_await runtime_.pool.Run([&]() -> Result<void> {
      if (plain) return writer->CopyFrom(source->found.file.get(), offset, count);
      for (uint64_t at = offset; at < offset + count;) {
        size_t piece = static_cast<size_t>(std::min<uint64_t>(kCopyBytes, offset + count - at));
        Result<size_t> read = ReadFileAt(source->found.file.get(), at,
                                         std::as_writable_bytes(std::span(buffer)).first(piece));
        if (!read) return read.error();
        if (*read < piece) return Retryable("the file has become shorter");
        Result<void> written = writer->Write(AsBytes(std::string_view(buffer).substr(0, piece)));
        if (!written) return written;
        at += piece;
      }
      return Ok();
    });
    offset += count;
  }
  if (!done) co_return Failed("copy", request.bucket, request.key, done.error());
  const SystemTime now = runtime_.clock.Now();
  Result<FileRecord> written = co_await runtime_.pool.Run([&]() -> Result<FileRecord> {
    struct stat after;
    if (::fstat(source->found.file.get(), &after) != 0 || !source->record.Describes(after)) {
      return Retryable("the file has been changed while it was copied");
    }
    if (!plain) return Finish(*writer, put, now, &*source);
    FileRecord record = RecordOf(put);
    record.etag = source->record.etag;
    record.checksums = source->record.checksums;
    return writer->Commit(request.key, std::move(record), request.condition, now);
  });
  if (!written) co_return Failed("copy", request.bucket, request.key, written.error());
  co_return PutResult{.etag = written->etag, .version_id = "", .server_time = runtime_.clock.Now()};
}

Result<void> FileStore::RemoveOne(const FileTree& tree, const RemoveRequest& request) {
  Result<Fd> lock = tree.Lock(request.key);
  if (!lock) return lock.error();
  if (!request.if_match.empty()) {
    Result<void> holds = CheckFileCondition(tree, request.key, {.if_match = request.if_match});
    if (!holds) return holds;
  }
  Result<FoundFile> found = tree.Find(request.key);
  if (!found) {
    return found.error().kind == ErrorKind::kNotFound ? Ok() : Result<void>(found.error());
  }
  // Or what completes it once more would bring the object back.
  DropFileUpload(tree, UploadOfFile(tree, request.key, found->status));
  Result<void> erased = tree.Erase(request.key);
  if (erased) EraseRecord(tree, request.key, found->status);
  return erased;
}

}  // namespace

Result<std::unique_ptr<Store>> MakeFileStore(const Runtime& runtime, FileStoreOptions options) {
  while (options.root.size() > 1 && options.root.ends_with('/')) options.root.pop_back();
  struct stat status;
  if (options.create_root) {
    std::error_code failed;
    std::filesystem::create_directories(options.root, failed);
    if (failed) return FileError(failed.value(), "make " + options.root);
  }
  if (options.root.empty() || ::stat(options.root.c_str(), &status) != 0) {
    if (options.root.empty() || errno == ENOENT || errno == ENOTDIR) {
      return NotFound("no such folder: \"" + options.root + "\"");
    }
    return FileError(errno, "open " + options.root);
  }
  if (!S_ISDIR(status.st_mode)) return InvalidInput("not a folder: " + options.root);
  return std::unique_ptr<Store>(std::make_unique<FileStore>(runtime, std::move(options)));
}

}  // namespace longhaul
