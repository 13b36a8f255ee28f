// MemoryStore: a Store in memory that behaves like S3, or like a server that does less, or fails.
//
// The data lives in a MemoryStoreBackend, which survives the "processes" that use it; a MemoryStore
// is the light client of one of them. Time and chance come from its Runtime, so it runs under a
// virtual clock. A FaultPlan decides before each operation what goes wrong with it. It passes
// tests/conformance/store_suite.h as it is; the knobs below take abilities away. Objects of the
// sparse content (sparse_content.h) may have any size and take no memory; they have no checksums.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "storage/part_rules.h"
#include "storage/store.h"
#include "tests/support/sparse_content.h"

namespace longhaul::testing {

enum class StoreOperation {
  kList,
  kHead,
  kGet,
  kPut,
  kCreateMultipart,
  kUploadPart,
  kListParts,
  kCompleteMultipart,
  kAbortMultipart,
  kListMultipartUploads,
  kCopy,
  kRemove,
  kRemoveMany,
  kGetTags,
  kPutTags,
  kBucket,  // HeadBucket, CreateBucket, RemoveBucket, ListBuckets, Get- and SetVersioning.
};
std::string_view ToString(StoreOperation operation);

// What goes wrong with one operation. As it stands: nothing.
struct Fault {
  std::chrono::nanoseconds delay{0};         // Before the effect.
  std::chrono::nanoseconds answer_delay{0};  // Between the effect and the answer.
  // Set: the caller gets this error instead of the answer.
  std::optional<Error> error;
  enum class Effect {
    kAsUsual,  // Without `error` the operation takes effect; with it, it does not.
    kDone,     // It takes effect although the caller sees `error`.
    kLater,    // It takes effect `effect_delay` from now, also when the client is gone by then.
  };
  Effect effect = Effect::kAsUsual;
  std::chrono::nanoseconds effect_delay{0};
  // Of a GET: the stream breaks (kRetryable) after so many of its bytes.
  std::optional<uint64_t> cut_body_after_bytes;
  // Of a GET: this byte of the stream arrives changed. The reader notices (kCorrupt at the end)
  // when it reads a whole object that has a checksum, as an S3 client does; else nobody does.
  std::optional<uint64_t> corrupt_body_at_byte;
};

class FaultPlan {
 public:
  virtual ~FaultPlan() = default;
  virtual Fault Next(StoreOperation operation, std::string_view bucket, std::string_view key) = 0;
};

// What a backend is like. The conditional abilities and the `key_` fields of `capabilities` are
// obeyed: a condition the server does not know is ignored, as real servers do.
struct MemoryStoreOptions {
  Capabilities capabilities = DefaultCapabilities();
  std::string name = "memory";
  bool exact_time = false;  // server_time with microseconds; else whole seconds, as HTTP's Date.
  std::chrono::seconds clock_offset{0};    // What the server's clock is ahead of ours.
  bool refuse_unknown_conditions = false;  // NotImplemented, instead of ignoring them.
  // A condition is looked at when the request arrives and the write happens after its `delay`: two
  // racing writers may both win.
  bool racy_conditions = false;
  // Keys that are not storable silently become other keys ("a//b" is "a/b"), instead of being
  // refused with KeyNotStorable.
  bool alias_keys = false;
  bool tells_delete_markers = true;  // Else a delete marker looks like a missing key.
  bool bare_404 = false;             // A GET of a missing key says 404 without a code.
  bool locks_objects = true;         // Else its buckets have no Object Lock, and say so.
  bool uploads_take_tags = true;     // Else a multipart upload forgets the tags it was made with.
  bool heads_tell_tags = true;       // Else a HEAD says of all objects that they have none.
  // As a bucket that encrypts by SSE-KMS: the ETags of objects and of parts look like MD5s and are
  // none. Who uploads is told with the answer to his first part, who reads by a HEAD or a GET.
  bool encrypts_by_kms = false;
  PartRules part_rules{};  // Without etags_of_md5: ETags as above, and no answer says so.
  // Parts from this size on must be ranges of the sparse content, and no more than that is
  // remembered of them; others are refused.
  uint64_t sparse_part_bytes_min = ~uint64_t{0};

  static Capabilities DefaultCapabilities();
};

class MemoryStoreBackend {
 public:
  explicit MemoryStoreBackend(MemoryStoreOptions options = {}) : options(std::move(options)) {}

  struct Part {
    std::shared_ptr<const std::string> bytes;
    std::string etag;
    SystemTime uploaded{};
    std::optional<SparseRange> sparse{};  // Set: what it holds; `bytes` is empty then.
    [[nodiscard]] uint64_t size_bytes() const {
      return sparse ? sparse->size_bytes : bytes->size();
    }
  };
  struct Version {
    std::shared_ptr<const std::string> bytes;  // shared with the streams that read it.
    std::optional<SparseRange> sparse;         // Set: what it holds; `bytes` is empty then.
    ObjectInfo info;                           // last_modified, etag, version_id, … as stored.
    Tags tags;
    std::vector<uint64_t> part_sizes_bytes;  // Empty: not a multipart object.
    bool is_delete_marker = false;
    std::string sse;  // These six as the request had them.
    std::string kms_key;
    std::optional<bool> bucket_key{};
    std::string acl;
    std::string bucket_owner;
    std::optional<ObjectLock> lock{};
    [[nodiscard]] uint64_t size_bytes() const {
      return sparse ? sparse->size_bytes : bytes->size();
    }
  };
  struct Upload {
    PutRequest request;
    std::map<int, Part> parts;
    SystemTime initiated{};
  };
  enum class Versioning { kNever, kEnabled, kSuspended };
  struct Bucket {
    SystemTime created{};
    Versioning versioning = Versioning::kNever;
    std::map<std::string, std::vector<Version>> objects;  // Newest last; never an empty vector.
    std::map<std::string, Upload> uploads;
  };

  // The current object, for assertions; null: none (or a delete marker).
  [[nodiscard]] const Version* Find(std::string_view bucket, std::string_view key) const;
  // All keys with a current object, in order.
  [[nodiscard]] std::vector<std::string> Keys(std::string_view bucket) const;
  // Changes one byte of what is stored, not its checksums: bit rot.
  void CorruptStored(std::string_view bucket, std::string_view key, size_t offset_bytes);

  [[nodiscard]] int count(StoreOperation operation) const {
    auto found = counts.find(operation);
    return found == counts.end() ? 0 : found->second;
  }
  [[nodiscard]] int total_count() const;
  void ResetCounts();

  // Runs `effect` later. The backend owns the timer, so it does not need its client any more; it
  // must be destroyed before `clock`.
  void Later(Clock& clock, std::chrono::nanoseconds delay, std::function<void()> effect);

  MemoryStoreOptions options;
  std::map<std::string, Bucket> buckets;
  std::map<StoreOperation, int> counts;  // Also those that failed.
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t next_id = 1;  // Of versions, uploads and requests.

 private:
  std::list<std::unique_ptr<Clock::Timer>> timers_;
};

class MemoryStore : public Store, public HasPartRules {
 public:
  // `faults` is borrowed; null: nothing goes wrong.
  MemoryStore(Runtime runtime, std::shared_ptr<MemoryStoreBackend> backend,
              FaultPlan* faults = nullptr);

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] std::string description() const override;
  [[nodiscard]] PartRules part_rules() const override { return backend_->options.part_rules; }
  [[nodiscard]] bool part_etags_opaque(const MultipartUpload& upload) const override {
    return opaque_uploads_.contains(upload.upload_id);
  }
  Async<ListPage> List(ListRequest request) override;
  Async<ObjectInfo> Head(HeadRequest request) override;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) override;
  Async<PutResult> Put(PutRequest request, ByteSource& body) override;
  Async<MultipartUpload> CreateMultipart(PutRequest request) override;
  Async<UploadedPart> UploadPart(const MultipartUpload& upload, int number,
                                 ByteSource& body) override;
  Async<std::vector<UploadedPart>> ListParts(const MultipartUpload& upload) override;
  Async<PutResult> CompleteMultipart(CompleteRequest request) override;
  Async<void> AbortMultipart(const MultipartUpload& upload) override;
  Async<std::vector<MultipartUpload>> ListMultipartUploads(std::string bucket,
                                                           std::string prefix) override;
  Async<PutResult> Copy(CopyRequest request) override;
  Async<void> Remove(RemoveRequest request) override;
  Async<std::vector<RemoveFailure>> RemoveMany(std::string bucket,
                                               std::vector<RemoveRequest> requests) override;
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override;
  Async<void> PutTags(std::string bucket, std::string key, Tags tags) override;
  Async<void> HeadBucket(std::string bucket) override;
  Async<void> CreateBucket(std::string bucket) override;
  Async<void> RemoveBucket(std::string bucket) override;
  Async<std::vector<BucketInfo>> ListBuckets() override;
  Async<bool> GetVersioning(std::string bucket) override;
  Async<void> SetVersioning(std::string bucket, bool enabled) override;

  // Done at the server itself, at once and without faults, for what would take hours as requests.
  // An object of `size_bytes` of the sparse content, in parts of `part_size_bytes`; the multipart
  // ETag tells the range that each part holds.
  Result<PutResult> PutSparse(const PutRequest& request, uint64_t size_bytes,
                              uint64_t part_size_bytes);
  // A part of an upload, as UploadPart would store it.
  Result<UploadedPart> PutSparsePart(const MultipartUpload& upload, int number, SparseRange range);

 private:
  template <class T>
  Async<T> Perform(StoreOperation operation, std::string bucket, std::string key,
                   std::function<Result<T>()> effect, Fault* fault_out = nullptr);

  Runtime runtime_;
  std::shared_ptr<MemoryStoreBackend> backend_;  // shared by all clients: it is the "server".
  FaultPlan* faults_;
  std::set<std::string> opaque_uploads_;  // Of which this client has been told so.
};

}  // namespace longhaul::testing
