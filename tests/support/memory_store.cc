#include "tests/support/memory_store.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/check.h"
#include "tests/support/memory_store_server.h"

namespace longhaul::testing {

std::string_view ToString(StoreOperation operation) {
  switch (operation) {
    case StoreOperation::kList:
      return "List";
    case StoreOperation::kHead:
      return "Head";
    case StoreOperation::kGet:
      return "Get";
    case StoreOperation::kPut:
      return "Put";
    case StoreOperation::kCreateMultipart:
      return "CreateMultipart";
    case StoreOperation::kUploadPart:
      return "UploadPart";
    case StoreOperation::kListParts:
      return "ListParts";
    case StoreOperation::kCompleteMultipart:
      return "CompleteMultipart";
    case StoreOperation::kAbortMultipart:
      return "AbortMultipart";
    case StoreOperation::kListMultipartUploads:
      return "ListMultipartUploads";
    case StoreOperation::kCopy:
      return "Copy";
    case StoreOperation::kRemove:
      return "Remove";
    case StoreOperation::kRemoveMany:
      return "RemoveMany";
    case StoreOperation::kGetTags:
      return "GetTags";
    case StoreOperation::kPutTags:
      return "PutTags";
    case StoreOperation::kBucket:
      return "Bucket";
  }
  return "?";
}

Capabilities MemoryStoreOptions::DefaultCapabilities() {
  Capabilities all;
  all.versions = true;
  all.create_if_absent = true;
  all.replace_if_match = true;
  all.complete_if_absent = true;
  all.complete_if_match = true;
  all.delete_if_match = true;
  return all;
}

const MemoryStoreBackend::Version* MemoryStoreBackend::Find(std::string_view bucket,
                                                            std::string_view key) const {
  auto in_bucket = buckets.find(std::string(bucket));
  if (in_bucket == buckets.end()) return nullptr;
  auto found = in_bucket->second.objects.find(std::string(key));
  if (found == in_bucket->second.objects.end()) return nullptr;
  const Version& current = found->second.back();
  return current.is_delete_marker ? nullptr : &current;
}

std::vector<std::string> MemoryStoreBackend::Keys(std::string_view bucket) const {
  std::vector<std::string> keys;
  auto found = buckets.find(std::string(bucket));
  if (found == buckets.end()) return keys;
  for (const auto& [key, versions] : found->second.objects) {
    if (!versions.back().is_delete_marker) keys.push_back(key);
  }
  return keys;
}

void MemoryStoreBackend::CorruptStored(std::string_view bucket, std::string_view key,
                                       size_t offset_bytes) {
  LH_CHECK(Find(bucket, key) != nullptr);
  Version& version = buckets.at(std::string(bucket)).objects.at(std::string(key)).back();
  LH_CHECK(offset_bytes < version.bytes->size());
  auto changed = std::make_shared<std::string>(*version.bytes);
  (*changed)[offset_bytes] = static_cast<char>((*changed)[offset_bytes] ^ 0x20);
  version.bytes = std::move(changed);
}

int MemoryStoreBackend::total_count() const {
  int total = 0;
  for (const auto& [operation, count] : counts) total += count;
  return total;
}

void MemoryStoreBackend::ResetCounts() {
  counts.clear();
  bytes_read = 0;
  bytes_written = 0;
}

void MemoryStoreBackend::Later(Clock& clock, std::chrono::nanoseconds delay,
                               std::function<void()> effect) {
  timers_.push_back(clock.StartTimer(delay, std::move(effect)));
}

namespace {

// Streams stored bytes, with the faults of their GET.
class MemoryReader : public ByteReader {
 public:
  MemoryReader(std::shared_ptr<MemoryStoreBackend> backend,
               std::shared_ptr<const std::string> bytes, std::optional<SparseRange> sparse,
               uint64_t offset, uint64_t length, std::string md5_hex, const Fault& fault)
      : backend_(std::move(backend)),
        bytes_(std::move(bytes)),
        sparse_(sparse),
        offset_(offset),
        end_(offset + length),
        begin_(offset),
        md5_hex_(std::move(md5_hex)),
        fault_(fault) {}

  Async<size_t> Read(std::span<std::byte> out) override {
    co_await Yield();
    uint64_t limit = end_;
    if (fault_.cut_body_after_bytes) {
      limit = std::min(limit, begin_ + *fault_.cut_body_after_bytes);
      if (offset_ >= limit && limit < end_) {
        co_return Retryable("memory store: connection broken in the body");
      }
    }
    size_t count = std::min<uint64_t>(out.size(), limit - offset_);
    if (count == 0) {
      if (corrupted_ && !md5_hex_.empty()) {
        co_return Corrupt("memory store: the checksum of the body is wrong");
      }
      co_return 0;
    }
    if (sparse_) {
      FillSparse(sparse_->offset_bytes + offset_, out.first(count));
    } else {
      std::memcpy(out.data(), bytes_->data() + offset_, count);
    }
    if (fault_.corrupt_body_at_byte) {
      uint64_t at = begin_ + *fault_.corrupt_body_at_byte;
      if (at >= offset_ && at < offset_ + count) {
        out[at - offset_] ^= std::byte{0x20};
        corrupted_ = true;
      }
    }
    offset_ += count;
    backend_->bytes_read += count;
    co_return count;
  }

 private:
  std::shared_ptr<MemoryStoreBackend> backend_;  // Counts what is read.
  std::shared_ptr<const std::string> bytes_;
  std::optional<SparseRange> sparse_;
  uint64_t offset_;
  uint64_t end_;
  uint64_t begin_;
  std::string md5_hex_;  // Not empty: the client can check the whole.
  Fault fault_;
  bool corrupted_ = false;
};

Async<std::shared_ptr<const std::string>> ReadSource(ByteSource& body) {
  auto bytes = std::make_shared<std::string>();
  if (auto whole = body.contiguous()) {
    bytes->assign(reinterpret_cast<const char*>(whole->data()), whole->size());
    co_return bytes;
  }
  bytes->resize(body.size_bytes());
  size_t filled = 0;
  std::byte extra{};
  while (true) {
    std::span<std::byte> room = std::as_writable_bytes(std::span(*bytes)).subspan(filled);
    if (room.empty()) room = std::span(&extra, 1);
    Result<size_t> count = co_await body.Read(room);
    if (!count) co_return count.error();
    if (*count == 0) break;
    if (filled == bytes->size()) co_return InvalidInput("the body is longer than it said");
    filled += *count;
  }
  if (filled != bytes->size()) co_return InvalidInput("the body is shorter than it said");
  co_return bytes;
}

// The range of the sparse content that a body is; its first bytes tell where it begins.
Async<SparseRange> ReadSparse(ByteSource& body) {
  SparseRange range{.offset_bytes = 0, .size_bytes = body.size_bytes()};
  std::vector<std::byte> buffer(kSparseBlockBytes);
  uint64_t read = 0;
  while (true) {
    size_t filled = 0;
    while (filled < buffer.size()) {
      Result<size_t> count = co_await body.Read(std::span(buffer).subspan(filled));
      if (!count) co_return count.error();
      if (*count == 0) break;
      filled += *count;
    }
    if (filled == 0) break;
    const std::span<const std::byte> block = std::span(buffer).first(filled);
    if (read == 0) range.offset_bytes = SparseOffset(block);
    if (!IsSparse(range.offset_bytes + read, block)) {
      co_return InvalidInput("a part that is not of the sparse content, at its byte " +
                             std::to_string(read));
    }
    read += filled;
  }
  if (read != range.size_bytes) co_return InvalidInput("the body has another size than it said");
  co_return range;
}

}  // namespace

MemoryStore::MemoryStore(Runtime runtime, std::shared_ptr<MemoryStoreBackend> backend,
                         FaultPlan* faults)
    : runtime_(runtime), backend_(std::move(backend)), faults_(faults) {}

Capabilities MemoryStore::capabilities() const { return backend_->options.capabilities; }

std::string MemoryStore::description() const { return "memory " + backend_->options.name; }

template <class T>
Async<T> MemoryStore::Perform(StoreOperation operation, std::string bucket, std::string key,
                              std::function<Result<T>()> effect, Fault* fault_out) {
  ++backend_->counts[operation];
  Fault fault;
  if (faults_ != nullptr) fault = faults_->Next(operation, bucket, key);
  if (fault_out != nullptr) *fault_out = fault;
  co_await Yield();
  if (fault.delay.count() > 0) co_await runtime_.clock.Sleep(fault.delay);
  if (fault.effect == Fault::Effect::kLater) {
    backend_->Later(runtime_.clock, fault.effect_delay, [effect] { (void)effect(); });
    if (fault.answer_delay.count() > 0) co_await runtime_.clock.Sleep(fault.answer_delay);
    co_return fault.error.value_or(Retryable("memory store: connection lost"));
  }
  if (fault.error && fault.effect == Fault::Effect::kAsUsual) co_return *fault.error;
  Result<T> result = effect();
  if (fault.answer_delay.count() > 0) co_await runtime_.clock.Sleep(fault.answer_delay);
  if (fault.error) co_return *fault.error;
  if (!result) {
    std::string what = description() + ": " + std::string(ToString(operation)) + " " + bucket;
    co_return result.error().In(key.empty() ? what : what + "/" + key);
  }
  co_return result;
}

Async<ListPage> MemoryStore::List(ListRequest request) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  std::string bucket = request.bucket;
  return Perform<ListPage>(StoreOperation::kList, bucket, "",
                           [server, request = std::move(request)] { return server.List(request); });
}

Async<ObjectInfo> MemoryStore::Head(HeadRequest request) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  std::string bucket = request.bucket;
  std::string key = request.key;
  return Perform<ObjectInfo>(
      StoreOperation::kHead, bucket, key,
      [server, request = std::move(request)] { return server.Head(request); });
}

Async<ObjectStream> MemoryStore::Get(GetRequest request, SystemTime* absent_at) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  Fault fault;
  std::string bucket = request.bucket;
  std::string key = request.key;
  auto absent = std::make_shared<SystemTime>();  // shared: an effect may outlive this frame.
  Result<MemoryServer::Opened> opened = co_await Perform<MemoryServer::Opened>(
      StoreOperation::kGet, bucket, key,
      [server, absent, request = std::move(request)] { return server.Get(request, *absent); },
      &fault);
  if (!opened) {
    if (absent_at != nullptr) *absent_at = *absent;
    co_return opened.error();
  }
  bool whole = opened->length_bytes == opened->info.size_bytes;
  ObjectStream stream{.info = std::move(opened->info),
                      .offset_bytes = opened->offset_bytes,
                      .length_bytes = opened->length_bytes,
                      .body = nullptr};
  bool checked = whole && !stream.info.checksums.empty();
  stream.body =
      std::make_unique<MemoryReader>(backend_, opened->bytes, opened->sparse, stream.offset_bytes,
                                     stream.length_bytes, checked ? stream.info.etag : "", fault);
  co_return stream;
}

Async<PutResult> MemoryStore::Put(PutRequest request, ByteSource& body) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  if (body.size_bytes() > backend_->options.capabilities.put_size_bytes_max) {
    co_return Error{.kind = ErrorKind::kInvalidInput,
                    .message = "larger than one PUT may be",
                    .code = "EntityTooLarge",
                    .http_status = 400};
  }
  Result<std::shared_ptr<const std::string>> bytes = co_await ReadSource(body);
  if (!bytes) co_return bytes.error().In("read the body of " + request.key);
  if (backend_->options.racy_conditions) {
    Result<void> holds = server.Check(request.bucket, request.key, request.condition);
    if (!holds) co_return holds.error();
    request.condition = {};
  }
  std::string bucket = request.bucket;
  std::string key = request.key;
  co_return co_await Perform<PutResult>(StoreOperation::kPut, bucket, key,
                                        [server, request = std::move(request), bytes = *bytes] {
                                          return server.Put(request, bytes, {});
                                        });
}

Async<MultipartUpload> MemoryStore::CreateMultipart(PutRequest request) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  std::string bucket = request.bucket;
  std::string key = request.key;
  return Perform<MultipartUpload>(
      StoreOperation::kCreateMultipart, bucket, key,
      [server, request = std::move(request)] { return server.CreateMultipart(request); });
}

Async<UploadedPart> MemoryStore::UploadPart(const MultipartUpload& upload, int number,
                                            ByteSource& body) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  if (body.size_bytes() >= backend_->options.sparse_part_bytes_min) {
    Result<SparseRange> range = co_await ReadSparse(body);
    if (!range) co_return range.error();
    co_return co_await Perform<UploadedPart>(StoreOperation::kUploadPart, upload.bucket, upload.key,
                                             [server, upload, number, range = *range] {
                                               return server.UploadPart(upload, number, {}, range);
                                             });
  }
  Result<std::shared_ptr<const std::string>> bytes = co_await ReadSource(body);
  if (!bytes) co_return bytes.error();
  Result<UploadedPart> part =
      co_await Perform<UploadedPart>(StoreOperation::kUploadPart, upload.bucket, upload.key,
                                     [server, upload, number, bytes = *bytes] {
                                       return server.UploadPart(upload, number, bytes);
                                     });
  if (part && backend_->options.encrypts_by_kms) opaque_uploads_.insert(upload.upload_id);
  co_return part;
}

Async<std::vector<UploadedPart>> MemoryStore::ListParts(const MultipartUpload& upload) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<std::vector<UploadedPart>>(StoreOperation::kListParts, upload.bucket, upload.key,
                                            [server, upload] { return server.ListParts(upload); });
}

Async<PutResult> MemoryStore::CompleteMultipart(CompleteRequest request) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  std::string bucket = request.upload.bucket;
  std::string key = request.upload.key;
  if (backend_->options.racy_conditions) {
    Result<void> holds = server.Check(bucket, key, request.condition, /*complete=*/true);
    if (!holds) co_return holds.error();
    request.condition = {};
  }
  co_return co_await Perform<PutResult>(
      StoreOperation::kCompleteMultipart, bucket, key,
      [server, request = std::move(request)] { return server.CompleteMultipart(request); });
}

Async<void> MemoryStore::AbortMultipart(const MultipartUpload& upload) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<void>(StoreOperation::kAbortMultipart, upload.bucket, upload.key,
                       [server, upload] { return server.AbortMultipart(upload); });
}

Async<std::vector<MultipartUpload>> MemoryStore::ListMultipartUploads(std::string bucket,
                                                                      std::string prefix) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<std::vector<MultipartUpload>>(
      StoreOperation::kListMultipartUploads, bucket, "",
      [server, bucket, prefix] { return server.ListMultipartUploads(bucket, prefix); });
}

Async<PutResult> MemoryStore::Copy(CopyRequest request) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  std::string bucket = request.bucket;
  std::string key = request.key;
  return Perform<PutResult>(
      StoreOperation::kCopy, bucket, key,
      [server, request = std::move(request)] { return server.Copy(request); });
}

Async<void> MemoryStore::Remove(RemoveRequest request) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  std::string bucket = request.bucket;
  std::string key = request.key;
  return Perform<void>(StoreOperation::kRemove, bucket, key,
                       [server, request = std::move(request)] { return server.Remove(request); });
}

Async<std::vector<RemoveFailure>> MemoryStore::RemoveMany(std::string bucket,
                                                          std::vector<RemoveRequest> requests) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<std::vector<RemoveFailure>>(StoreOperation::kRemoveMany, bucket, "",
                                             [server, bucket, requests = std::move(requests)] {
                                               return server.RemoveMany(bucket, requests);
                                             });
}

Async<Tags> MemoryStore::GetTags(std::string bucket, std::string key, std::string version_id) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<Tags>(StoreOperation::kGetTags, bucket, key, [server, bucket, key, version_id] {
    return server.GetTags(bucket, key, version_id);
  });
}

Async<void> MemoryStore::PutTags(std::string bucket, std::string key, Tags tags) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<void>(
      StoreOperation::kPutTags, bucket, key,
      [server, bucket, key, tags = std::move(tags)] { return server.PutTags(bucket, key, tags); });
}

Async<void> MemoryStore::HeadBucket(std::string bucket) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<void>(StoreOperation::kBucket, bucket, "", [server, bucket]() -> Result<void> {
    auto found = server.FindBucket(bucket);
    if (!found) return found.error();
    return Ok();
  });
}

Async<void> MemoryStore::CreateBucket(std::string bucket) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<void>(StoreOperation::kBucket, bucket, "",
                       [server, bucket] { return server.CreateBucket(bucket); });
}

Async<void> MemoryStore::RemoveBucket(std::string bucket) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<void>(StoreOperation::kBucket, bucket, "",
                       [server, bucket] { return server.RemoveBucket(bucket); });
}

Async<std::vector<BucketInfo>> MemoryStore::ListBuckets() {
  MemoryStoreBackend* backend = backend_.get();
  return Perform<std::vector<BucketInfo>>(StoreOperation::kBucket, "", "",
                                          [backend]() -> Result<std::vector<BucketInfo>> {
                                            std::vector<BucketInfo> infos;
                                            for (const auto& [name, bucket] : backend->buckets)
                                              infos.push_back({name, bucket.created});
                                            return infos;
                                          });
}

Async<bool> MemoryStore::GetVersioning(std::string bucket) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<bool>(StoreOperation::kBucket, bucket, "", [server, bucket]() -> Result<bool> {
    auto found = server.FindBucket(bucket);
    if (!found) return found.error();
    return (*found)->versioning == MemoryStoreBackend::Versioning::kEnabled;
  });
}

Async<void> MemoryStore::SetVersioning(std::string bucket, bool enabled) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return Perform<void>(StoreOperation::kBucket, bucket, "",
                       [server, bucket, enabled] { return server.SetVersioning(bucket, enabled); });
}

Result<PutResult> MemoryStore::PutSparse(const PutRequest& request, uint64_t size_bytes,
                                         uint64_t part_size_bytes) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  Result<MultipartUpload> upload = server.CreateMultipart(request);
  if (!upload) return upload.error();
  CompleteRequest complete{.upload = *upload, .parts = {}, .condition = {}, .checksum = {}};
  for (uint64_t offset = 0; offset < size_bytes; offset += part_size_bytes) {
    Result<UploadedPart> part = PutSparsePart(
        *upload, static_cast<int>(complete.parts.size()) + 1,
        {.offset_bytes = offset, .size_bytes = std::min(part_size_bytes, size_bytes - offset)});
    if (!part) return part.error();
    complete.parts.push_back(std::move(*part));
  }
  return server.CompleteMultipart(complete);
}

Result<UploadedPart> MemoryStore::PutSparsePart(const MultipartUpload& upload, int number,
                                                SparseRange range) {
  MemoryServer server{backend_.get(), &runtime_.clock};
  return server.UploadPart(upload, number, {}, range);
}

}  // namespace longhaul::testing
