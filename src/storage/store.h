// A Store is where buckets live: an S3 endpoint (s3_store.h) or a local folder (file_store.h).
//
// Requests name a bucket and a key; keys are bytes and are never cleaned, joined or normalised. A
// key that a store cannot hold under its own name is refused with kInvalidInput and the code
// "KeyNotStorable", never stored under another name.
//
// A Store belongs to one shard; many coroutines of it may call at once. Retries happen inside, by
// base/retry.h: kRetryable and kThrottled come out only when the deadline of the operation has run
// out or the body cannot be sent again. HTTP becomes an ErrorKind in s3_error.h alone:
//   404 kNotFound (code NoSuchKey, NoSuchBucket, NoSuchUpload; a bare 404 without a code has an
//   empty code: it does not prove absence) · 412, 409 and 304 kPrecondition · 401 and 403 kDenied ·
//   503 SlowDown and 429 kThrottled · other 5xx and broken connections kRetryable · 416 and other
//   4xx kInvalidInput · 501 kInvalidInput with code NotImplemented.
//
// tests/conformance/store_suite.h says in code what the comments below say; it runs on every store.
// Facts: S3 API Reference (docs.aws.amazon.com/AmazonS3/latest/API).

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "storage/object.h"

namespace longhaul {

// Bytes that arrive in order, each once.
class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // Fills up to `out.size()` bytes (> 0) and says how many; 0 is the end, and only then the length
  // and the checksum that the server declared have been found right (else kCorrupt).
  // kRetryable: the connection broke; the caller starts over. Dropping a reader early is fine.
  virtual Async<size_t> Read(std::span<std::byte> out) = 0;
};

// Bytes to be sent. Either all at hand (`contiguous`) or read piece by piece.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  [[nodiscard]] virtual uint64_t size_bytes() const = 0;
  // The whole, when it lies in memory in one piece; it can then be sent again after a failure.
  [[nodiscard]] virtual std::optional<std::span<const std::byte>> contiguous() const {
    return std::nullopt;
  }
  // The next bytes; 0 only after size_bytes(). Not called where contiguous() gives the whole.
  virtual Async<size_t> Read(std::span<std::byte> out) = 0;
};

// A ByteSource over memory that the caller keeps alive.
class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  explicit MemorySource(std::string_view text) : bytes_(std::as_bytes(std::span(text))) {}
  [[nodiscard]] uint64_t size_bytes() const override { return bytes_.size(); }
  [[nodiscard]] std::optional<std::span<const std::byte>> contiguous() const override {
    return bytes_;
  }
  Async<size_t> Read(std::span<std::byte> out) override;

 private:
  std::span<const std::byte> bytes_;
  size_t offset_ = 0;
};

struct ByteRange {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;  // > 0.
};

struct ListRequest {
  std::string bucket;
  std::string prefix;
  std::string start_after;  // Keys greater than this; ignored when `token` is set.
  std::string delimiter;    // "" or "/".
  std::string token;        // From the page before.
  int count_max = 1000;
  bool versions = false;  // All versions and delete markers, newest of a key first.
};

struct ListPage {
  std::vector<ListedObject> objects;  // In byte order of keys where capabilities().sorted_listing.
  std::vector<std::string> common_prefixes;  // Only with a delimiter.
  std::string next_token;                    // Empty on the last page.
};

struct HeadRequest {
  std::string bucket;
  std::string key;
  std::string version_id;
  std::optional<int> part_number;  // Headers of that part, with ObjectInfo::part_count.
};

struct GetRequest {
  std::string bucket;
  std::string key;
  std::string version_id;
  std::optional<ByteRange> range;        // Past the end: kInvalidInput, code InvalidRange.
  std::optional<uint64_t> suffix_bytes;  // The last N bytes (or all, if fewer); not with `range`.
  std::string if_match;                  // ETag; another one there: kPrecondition.
  // False: a store need not compare the bytes with the object's checksum or ETag, because someone
  // behind the caller does: a Put that is given the same digest. Saves hashing twice.
  bool verify = true;
};

struct ObjectStream {
  ObjectInfo info;  // size_bytes is that of the whole object, also for a range.
  uint64_t offset_bytes = 0;
  uint64_t length_bytes = 0;  // Of this stream.
  std::unique_ptr<ByteReader> body;
};

struct WriteCondition {
  bool if_absent = false;  // If-None-Match: *
  std::string if_match;    // ETag that must be there.
};

struct PutRequest {
  std::string bucket;
  std::string key;
  SystemHeaders headers;
  UserMetadata metadata;
  Tags tags;
  std::string storage_class;  // Empty: the store's default.
  // "AES256", "aws:kms" or "aws:kms:dsse". Empty: with a kms_key aws:kms, else the bucket's
  // default.
  std::string sse;
  std::string kms_key;               // Empty: the account's own key for S3, where KMS encrypts.
  std::optional<bool> bucket_key{};  // Of aws:kms; none: as the bucket has it.
  std::string acl;  // A canned ACL ("bucket-owner-full-control"); empty: none is sent.
  // The account that the bucket must belong to; another one: kDenied. Empty: any.
  std::string bucket_owner;
  WriteCondition condition;
  // A store, or a bucket, that cannot lock refuses it: kInvalidInput. An end that is past, too.
  std::optional<ObjectLock> lock{};
  // A checksum of the whole body that the caller knows: OK means that what is stored has it. The
  // server checks it, or where it cannot, the store does, before the last byte goes out and again
  // on what has arrived. BadDigest or kCorrupt: it does not. Without one the store computes one
  // itself where the body is contiguous.
  std::optional<Checksum> checksum;
  std::string content_md5;  // base64; for servers without checksums, which check it. Optional.
  // Of CreateMultipart: its parts come by CopyPart. No checksum is announced then: servers would
  // ask for one of each part, and nobody here has seen its bytes.
  bool parts_copied = false;
  // Of Put and CreateMultipart: not sent again after an attempt that may have had an effect, or may
  // have it yet.
  bool at_most_once = false;
};

struct PutResult {
  std::string etag;
  std::string version_id;
  SystemTime server_time{};
};

struct MultipartUpload {
  std::string bucket;
  std::string key;
  std::string upload_id;
  SystemTime initiated{};  // In listings.
};

struct UploadedPart {
  int number = 0;  // 1 to 10,000
  std::string etag;
  uint64_t size_bytes = 0;
  std::optional<Checksum> checksum;
};

struct CompleteRequest {
  MultipartUpload upload;
  std::vector<UploadedPart> parts;  // In order of number.
  WriteCondition condition;
  std::optional<Checksum> checksum;  // Of the whole object (FULL_OBJECT), where known.
};

struct CopyRequest {
  std::string source_bucket;
  std::string source_key;
  std::string source_version_id;
  std::string source_if_match;
  std::string bucket;
  std::string key;
  // Set: replaces headers, metadata and storage class (x-amz-metadata-directive: REPLACE).
  struct Replacement {
    SystemHeaders headers;
    UserMetadata metadata;
  };
  std::optional<Replacement> replacement;
  std::optional<Tags> tags;  // Set: x-amz-tagging-directive: REPLACE.
  std::string storage_class;
  WriteCondition condition;
  std::string sse;  // These five as in PutRequest; nothing of them is copied.
  std::string kms_key;
  std::optional<bool> bucket_key{};
  std::string acl;
  std::string bucket_owner;
  bool at_most_once = false;         // As of Put.
  std::optional<ObjectLock> lock{};  // As of Put; a lock of the source is not copied.
};

// A range of an object of the same store. Not every server heeds `source_if_match` here: whoever
// must know that all parts are of one object looks at it (Head) after the last of them.
struct CopyPartRequest {
  std::string source_bucket;
  std::string source_key;
  std::string source_version_id;
  std::string source_if_match;
  ByteRange range;
};

struct RemoveRequest {
  std::string bucket;
  std::string key;
  std::string version_id;  // Removes that version for good; else adds a delete marker where kept.
  std::string if_match;
  std::string bucket_owner;   // As in PutRequest.
  bool at_most_once = false;  // As of Put.
};

struct RemoveFailure {
  std::string key;
  Error error;
};

struct BucketInfo {
  std::string name;
  SystemTime created{};
};

// What a store can do. `declared` by its type; the conditional ones are *probed* (storage/probe.h),
// not believed, before anything relies on them.
struct Capabilities {
  bool sorted_listing = true;
  bool versions = false;
  bool tags = true;
  bool checksums = true;  // Stores and returns x-amz-checksum-*.
  bool trailing_checksums = true;
  bool storage_classes = true;
  uint64_t copy_size_bytes_max = 5ULL << 30;
  uint64_t put_size_bytes_max = 5ULL << 30;
  uint64_t part_size_bytes_min = 5ULL << 20;
  bool lists_uploads = true;  // ListMultipartUploads finds uploads by prefix.
  bool heads_parts = true;    // Head with a part number tells that part's size and their count.
  // Probed.
  bool create_if_absent = false;    // PUT If-None-Match: *
  bool replace_if_match = false;    // PUT If-Match
  bool complete_if_absent = false;  // CompleteMultipartUpload If-None-Match: *
  bool complete_if_match = false;
  bool delete_if_match = false;
  // Whether these five are known: by the service's documents or a probe. Else they are what a
  // server of this kind may do, and one that ignores them says nothing of it.
  bool conditions_proven = true;
  bool copy_conditions = true;         // Copy heeds them, too; no probe tries that.
  bool key_dot_segments = true;        // "a/./b" and "a/../b" are keys of their own.
  bool key_double_slash = true;        // "a//b" is.
  bool key_file_beside_folder = true;  // "a" and "a/b" may both be, and both are listed.
  bool key_trailing_slash = true;      // "a/" may have a body.

  bool operator==(const Capabilities&) const = default;
};

class Store {
 public:
  virtual ~Store() = default;

  // Declared abilities of this type of store; the probed fields are what the type promises when it
  // works as documented.
  [[nodiscard]] virtual Capabilities capabilities() const = 0;
  // What storage/probe.h has found out: from now on capabilities() says this, and keys that the
  // server would store under another name are refused (KeyNotStorable) before they are sent.
  virtual void UseProbed(const Capabilities& probed) { static_cast<void>(probed); }
  // For messages: "s3 http://127.0.0.1:9001", "file /srv/buckets".
  [[nodiscard]] virtual std::string description() const = 0;

  // One page. An empty page can have a next token. kNotFound: the bucket is not there.
  virtual Async<ListPage> List(ListRequest request) = 0;

  // kNotFound with code NoSuchKey only where the server said so: a HEAD has no body, so S3 gives a
  // bare 404 (empty code); ask by Get when absence matters.
  virtual Async<ObjectInfo> Head(HeadRequest request) = 0;

  // Opens an object or a range of it: OK when the headers are here. kNotFound with code NoSuchKey,
  // or with code "DeleteMarker" when the current version is one; both prove absence. `server_time`
  // of that answer is in `absent_at` if given.
  virtual Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) = 0;

  // Writes a whole object, at most capabilities().put_size_bytes_max. kPrecondition: the condition
  // does not hold, nothing was written. After a broken connection with a condition set, the store
  // does not know whether its own write succeeded: it returns kPrecondition or kRetryable, and the
  // caller looks (Head).
  virtual Async<PutResult> Put(PutRequest request, ByteSource& body) = 0;

  // `request.condition` and `content_md5` are ignored here; conditions belong to Complete. A
  // checksum algorithm in `request.checksum` (its value may be empty) is announced for the parts.
  virtual Async<MultipartUpload> CreateMultipart(PutRequest request) = 0;
  // The same number again replaces the part. A streamed body is sent once.
  virtual Async<UploadedPart> UploadPart(const MultipartUpload& upload, int number,
                                         ByteSource& body) = 0;
  virtual Async<std::vector<UploadedPart>> ListParts(const MultipartUpload& upload) = 0;
  // An error inside a 200 answer is an error (kRetryable, kPrecondition, …). OK: it has the tags of
  // its CreateMultipart, if that was asked of this Store. Some servers forget them (Ceph), and they
  // are set here when the object is there already: an error of that comes out of here as well.
  virtual Async<PutResult> CompleteMultipart(CompleteRequest request) = 0;
  // OK also when the upload is not there any more.
  virtual Async<void> AbortMultipart(const MultipartUpload& upload) = 0;
  virtual Async<std::vector<MultipartUpload>> ListMultipartUploads(std::string bucket,
                                                                   std::string prefix) = 0;

  // A part of an upload (PutRequest::parts_copied) from another object of this store; server-side
  // where the store can, else its bytes pass through this process. Errors of the source as of Copy.
  virtual Async<UploadedPart> CopyPart(const MultipartUpload& upload, int number,
                                       CopyPartRequest request);
  // Server-side, within this store, at most capabilities().copy_size_bytes_max. Tags as of
  // CompleteMultipart.
  virtual Async<PutResult> Copy(CopyRequest request) = 0;

  // OK also when the key was not there. kPrecondition with `if_match` (also when it is not there).
  virtual Async<void> Remove(RemoveRequest request) = 0;
  // Up to 1,000 keys; the failed ones come back, the others are gone.
  virtual Async<std::vector<RemoveFailure>> RemoveMany(std::string bucket,
                                                       std::vector<RemoveRequest> requests) = 0;

  virtual Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) = 0;
  virtual Async<void> PutTags(std::string bucket, std::string key, Tags tags) = 0;

  // kNotFound: no such bucket. kDenied: it may be there.
  virtual Async<void> HeadBucket(std::string bucket) = 0;
  virtual Async<void> CreateBucket(std::string bucket) = 0;
  virtual Async<void> RemoveBucket(std::string bucket) = 0;
  virtual Async<std::vector<BucketInfo>> ListBuckets() = 0;
  // Whether the bucket keeps versions now (Enabled; Suspended is false).
  virtual Async<bool> GetVersioning(std::string bucket) = 0;
  virtual Async<void> SetVersioning(std::string bucket, bool enabled) = 0;
};

// Reads a stream to its end into memory. kInvalidInput when it is longer than `size_bytes_max`.
Async<std::string> ReadAll(ByteReader& reader, uint64_t size_bytes_max);
// Get + ReadAll.
Async<std::string> GetAll(Store& store, GetRequest request, uint64_t size_bytes_max);
// Put from memory.
Async<PutResult> PutText(Store& store, PutRequest request, std::string text);

}  // namespace longhaul
