#include "transfer/limits/limited_store.h"

#include <algorithm>
#include <utility>

namespace longhaul {

namespace {

class LimitedReader : public ByteReader {
 public:
  LimitedReader(std::unique_ptr<ByteReader> reader, TransferLimits& limits)
      : reader_(std::move(reader)), limits_(limits) {}

  Async<size_t> Read(std::span<std::byte> out) override {
    const uint64_t rate = limits_.bandwidth.BytesPerSecondAt(limits_.clock.Now());
    // Not more than an eighth of a second at once, or a slow pace would come in fits.
    if (rate > 0) out = out.first(std::min<uint64_t>(out.size(), std::max<uint64_t>(rate / 8, 1)));
    Result<size_t> count = co_await reader_->Read(out);
    if (count && *count > 0) {
      co_await limits_.bytes.Take(static_cast<double>(*count), static_cast<double>(rate));
    }
    co_return count;
  }

 private:
  std::unique_ptr<ByteReader> reader_;
  TransferLimits& limits_;
};

}  // namespace

Async<ObjectStream> LimitedStore::Get(GetRequest request, SystemTime* absent_at) {
  co_await limits_.Request();
  Result<ObjectStream> stream = co_await store_.Get(std::move(request), absent_at);
  if (stream) stream->body = std::make_unique<LimitedReader>(std::move(stream->body), limits_);
  co_return stream;
}

Async<ListPage> LimitedStore::List(ListRequest request) {
  co_await limits_.Request();
  co_return co_await store_.List(std::move(request));
}
Async<ObjectInfo> LimitedStore::Head(HeadRequest request) {
  co_await limits_.Request();
  co_return co_await store_.Head(std::move(request));
}
Async<PutResult> LimitedStore::Put(PutRequest request, ByteSource& body) {
  co_await limits_.Request();
  co_return co_await store_.Put(std::move(request), body);
}
Async<MultipartUpload> LimitedStore::CreateMultipart(PutRequest request) {
  co_await limits_.Request();
  co_return co_await store_.CreateMultipart(std::move(request));
}
Async<PlacedUpload> LimitedStore::OpenPlaced(PutRequest request, PartPlaces places) {
  co_await limits_.Request();
  co_return co_await PlacedPartsOf(store_)->OpenPlaced(std::move(request), std::move(places));
}
Async<UploadedPart> LimitedStore::UploadPart(const MultipartUpload& upload, int number,
                                             ByteSource& body) {
  co_await limits_.Request();
  co_return co_await store_.UploadPart(upload, number, body);
}
Async<std::vector<UploadedPart>> LimitedStore::ListParts(const MultipartUpload& upload) {
  co_await limits_.Request();
  co_return co_await store_.ListParts(upload);
}
Async<PutResult> LimitedStore::CompleteMultipart(CompleteRequest request) {
  co_await limits_.Request();
  co_return co_await store_.CompleteMultipart(std::move(request));
}
Async<void> LimitedStore::AbortMultipart(const MultipartUpload& upload) {
  co_return co_await store_.AbortMultipart(upload);  // What is to be given up does not wait.
}
Async<std::vector<MultipartUpload>> LimitedStore::ListMultipartUploads(std::string bucket,
                                                                       std::string prefix) {
  co_await limits_.Request();
  co_return co_await store_.ListMultipartUploads(std::move(bucket), std::move(prefix));
}
Async<UploadedPart> LimitedStore::CopyPart(const MultipartUpload& upload, int number,
                                           CopyPartRequest request) {
  co_await limits_.Request();
  co_return co_await store_.CopyPart(upload, number, std::move(request));
}
Async<PutResult> LimitedStore::Copy(CopyRequest request) {
  co_await limits_.Request();
  co_return co_await store_.Copy(std::move(request));
}
Async<void> LimitedStore::Remove(RemoveRequest request) {
  co_await limits_.Request();
  co_return co_await store_.Remove(std::move(request));
}
Async<std::vector<RemoveFailure>> LimitedStore::RemoveMany(std::string bucket,
                                                           std::vector<RemoveRequest> requests) {
  co_await limits_.Request();
  co_return co_await store_.RemoveMany(std::move(bucket), std::move(requests));
}
Async<Tags> LimitedStore::GetTags(std::string bucket, std::string key, std::string version_id) {
  co_await limits_.Request();
  co_return co_await store_.GetTags(std::move(bucket), std::move(key), std::move(version_id));
}
Async<void> LimitedStore::PutTags(std::string bucket, std::string key, Tags tags) {
  co_await limits_.Request();
  co_return co_await store_.PutTags(std::move(bucket), std::move(key), std::move(tags));
}
Async<void> LimitedStore::HeadBucket(std::string bucket) {
  co_await limits_.Request();
  co_return co_await store_.HeadBucket(std::move(bucket));
}
Async<void> LimitedStore::CreateBucket(std::string bucket) {
  co_await limits_.Request();
  co_return co_await store_.CreateBucket(std::move(bucket));
}
Async<void> LimitedStore::RemoveBucket(std::string bucket) {
  co_await limits_.Request();
  co_return co_await store_.RemoveBucket(std::move(bucket));
}
Async<std::vector<BucketInfo>> LimitedStore::ListBuckets() {
  co_await limits_.Request();
  co_return co_await store_.ListBuckets();
}
Async<bool> LimitedStore::GetVersioning(std::string bucket) {
  co_await limits_.Request();
  co_return co_await store_.GetVersioning(std::move(bucket));
}
Async<void> LimitedStore::SetVersioning(std::string bucket, bool enabled) {
  co_await limits_.Request();
  co_return co_await store_.SetVersioning(std::move(bucket), enabled);
}

}  // namespace longhaul
