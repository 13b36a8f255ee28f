#include "storage/s3_store.h"

#include <algorithm>

#include "storage/adopt_multipart.h"
#include "storage/part_rules.h"
#include "storage/s3_client.h"
#include "storage/s3_operations.h"

namespace longhaul {
namespace {

// Refuses what the server is known not to hold under its own name.
Result<void> CheckKey(const std::string& key, const Capabilities& can) {
  if (key.empty() || key.size() > 1024) {
    Error error = InvalidInput(key.empty() ? "an empty key" : "a key of more than 1,024 bytes");
    error.code = key.empty() ? "InvalidArgument" : "KeyTooLongError";
    return error;
  }
  auto refuse = [&key](std::string_view why) -> Result<void> {
    Error error = InvalidInput("the store cannot hold the key '" + key + "': " + std::string(why));
    error.code = "KeyNotStorable";
    return error;
  };
  if (!can.key_double_slash && (key.starts_with('/') || key.find("//") != key.npos)) {
    return refuse("an empty segment");
  }
  if (!can.key_trailing_slash && key.ends_with('/')) return refuse("a slash at its end");
  if (!can.key_dot_segments) {
    for (size_t at = 0; at <= key.size();) {
      size_t end = std::min(key.find('/', at), key.size());
      std::string_view segment = std::string_view(key).substr(at, end - at);
      if (segment == "." || segment == "..") return refuse("a segment of dots");
      at = end + 1;
    }
  }
  return Ok();
}

// What has failed before anything was asked.
template <class T>
Async<T> Refused(Error error) {
  co_return error;
}

class S3Store : public Store,
                public AdoptsMultipart,
                public HasPartRules,
                public RestoresObjects,
                public ReadsLocks {
 public:
  explicit S3Store(std::unique_ptr<S3Client> client) : client_(std::move(client)) {
    const S3StoreOptions& options = client_->options();
    can_ = options.probed ? WithinQuirks(*options.probed, options.quirks) : options.quirks.can;
  }

  [[nodiscard]] Capabilities capabilities() const override {
    Capabilities can = can_;
    if (client_->checksum_support == S3Client::ChecksumSupport::kNo) {
      can.checksums = can.trailing_checksums = false;
    }
    // What must be signed is held: larger objects go by parts.
    if (client_->signs_payloads) {
      can.put_size_bytes_max = std::min(can.put_size_bytes_max, kS3HeldBytesMax);
    }
    return can;
  }
  void UseProbed(const Capabilities& probed) override {
    can_ = WithinQuirks(probed, client_->options().quirks);
    client_->UseProbed(can_);
  }
  [[nodiscard]] std::string description() const override { return client_->description(); }
  [[nodiscard]] PartRules part_rules() const override {
    const S3Quirks& quirks = client_->options().quirks;
    return {.equal = quirks.equal_parts, .etags_of_md5 = quirks.multipart_etags};
  }
  [[nodiscard]] bool part_etags_opaque(const MultipartUpload& upload) const override {
    auto notes = client_->upload_notes.find(upload.upload_id);
    return notes != client_->upload_notes.end() && notes->second.etags_opaque;
  }

  Async<ListPage> List(ListRequest request) override {
    return S3List(*client_, std::move(request));
  }
  Async<ObjectInfo> Head(HeadRequest request) override {
    if (request.key.empty()) return Refused<ObjectInfo>(CheckKey(request.key, can_).error());
    return S3Head(*client_, std::move(request));
  }
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at) override {
    if (request.key.empty()) return Refused<ObjectStream>(CheckKey(request.key, can_).error());
    return S3Get(*client_, std::move(request), absent_at);
  }
  Async<PutResult> Put(PutRequest request, ByteSource& body) override {
    Result<void> key = CheckKey(request.key, can_);
    if (!key) return Refused<PutResult>(key.error().In("put to " + request.bucket));
    return S3Put(*client_, std::move(request), body);
  }
  Async<MultipartUpload> CreateMultipart(PutRequest request) override {
    Result<void> key = CheckKey(request.key, can_);
    if (!key) co_return key.error().In("create upload in " + request.bucket);
    co_return co_await S3CreateMultipart(*client_, std::move(request));
  }
  void Adopt(const MultipartUpload& upload, const PutRequest& request) override {
    S3NoteUpload(*client_, upload.upload_id, request);
  }
  Async<UploadedPart> UploadPart(const MultipartUpload& upload, int number,
                                 ByteSource& body) override {
    return S3UploadPart(*client_, upload, number, body);
  }
  Async<UploadedPart> CopyPart(const MultipartUpload& upload, int number,
                               CopyPartRequest request) override {
    return S3CopyPart(*client_, upload, number, std::move(request));
  }
  Async<std::vector<UploadedPart>> ListParts(const MultipartUpload& upload) override {
    return S3ListParts(*client_, upload);
  }
  Async<PutResult> CompleteMultipart(CompleteRequest request) override {
    return S3CompleteMultipart(*client_, std::move(request));
  }
  Async<void> AbortMultipart(const MultipartUpload& upload) override {
    return S3AbortMultipart(*client_, upload);
  }
  Async<std::vector<MultipartUpload>> ListMultipartUploads(std::string bucket,
                                                           std::string prefix) override {
    return S3ListMultipartUploads(*client_, std::move(bucket), std::move(prefix));
  }
  Async<PutResult> Copy(CopyRequest request) override {
    Result<void> key = CheckKey(request.key, can_);
    if (!key) co_return key.error().In("copy to " + request.bucket);
    co_return co_await S3Copy(*client_, std::move(request));
  }
  Async<void> Remove(RemoveRequest request) override {
    if (request.key.empty()) co_return CheckKey(request.key, can_).error();
    co_return co_await S3Remove(*client_, std::move(request));
  }
  Async<std::vector<RemoveFailure>> RemoveMany(std::string bucket,
                                               std::vector<RemoveRequest> requests) override {
    for (const RemoveRequest& request : requests) {
      if (request.key.empty()) co_return CheckKey(request.key, can_).error();
    }
    co_return co_await S3RemoveMany(*client_, std::move(bucket), std::move(requests));
  }
  Async<void> Restore(RestoreRequest request) override {
    return S3Restore(*client_, std::move(request));
  }
  Async<bool> IsBeingRestored(std::string bucket, std::string key) override {
    return S3IsBeingRestored(*client_, std::move(bucket), std::move(key));
  }
  Async<void> ReadLock(LockPart part, std::string bucket, std::string key) override {
    return S3ReadLock(*client_, part, std::move(bucket), std::move(key));
  }
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override {
    return S3GetTags(*client_, std::move(bucket), std::move(key), std::move(version_id));
  }
  Async<void> PutTags(std::string bucket, std::string key, Tags tags) override {
    return S3PutTags(*client_, std::move(bucket), std::move(key), std::move(tags));
  }
  Async<void> HeadBucket(std::string bucket) override {
    return S3HeadBucket(*client_, std::move(bucket));
  }
  Async<void> CreateBucket(std::string bucket) override {
    return S3CreateBucket(*client_, std::move(bucket));
  }
  Async<void> RemoveBucket(std::string bucket) override {
    return S3RemoveBucket(*client_, std::move(bucket));
  }
  Async<std::vector<BucketInfo>> ListBuckets() override { return S3ListBuckets(*client_); }
  Async<bool> GetVersioning(std::string bucket) override {
    return S3GetVersioning(*client_, std::move(bucket));
  }
  Async<void> SetVersioning(std::string bucket, bool enabled) override {
    return S3SetVersioning(*client_, std::move(bucket), enabled);
  }

 private:
  std::unique_ptr<S3Client> client_;
  Capabilities can_;
};

}  // namespace

Result<std::unique_ptr<Store>> MakeS3Store(const Runtime& runtime, S3StoreOptions options,
                                           HttpClient* http) {
  Result<std::unique_ptr<S3Client>> client = S3Client::Make(runtime, std::move(options), http);
  if (!client) return client.error();
  return std::unique_ptr<Store>(std::make_unique<S3Store>(std::move(*client)));
}

}  // namespace longhaul
