// Multipart uploads.

#include <algorithm>
#include <array>
#include <charconv>

#include "base/bytes.h"
#include "gateway/gateway_impl.h"
#include "storage/origin.h"

namespace longhaul {
namespace {

constexpr uint64_t kPartHoldBytesMax = 16 << 20;
constexpr uint64_t kPartBytesMin = 5 << 20;  // But for the last one.
constexpr size_t kCompleteBytesMax = 4 << 20;
constexpr std::array kAllChecksums = {ChecksumAlgorithm::kCrc32, ChecksumAlgorithm::kCrc32c,
                                      ChecksumAlgorithm::kCrc64Nvme, ChecksumAlgorithm::kSha1,
                                      ChecksumAlgorithm::kSha256};

Result<int> ReadNumber(const GatewayCall& call, const std::string& name, int missing) {
  if (!call.Has(name)) return missing;
  std::string text = call.Query(name);
  int number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number < 0) {
    return GatewayError("InvalidArgument", name + " is not a number");
  }
  return number;
}

Result<int> ReadUploadNumber(const GatewayCall& call) {
  Result<int> number = ReadNumber(call, "partNumber", 0);
  if (number && (*number < 1 || *number > 10'000)) {
    return GatewayError("InvalidArgument", "Part number must be an integer between 1 and 10000");
  }
  return number;
}

MultipartUpload UploadOf(const GatewayCall& call) {
  return {call.bucket, call.key, call.Query("uploadId"), {}};
}

// An object that is read, as a body to be written.
class StreamSource : public ByteSource {
 public:
  explicit StreamSource(ObjectStream& stream) : stream_(stream) {}
  [[nodiscard]] uint64_t size_bytes() const override { return stream_.length_bytes; }
  Async<size_t> Read(std::span<std::byte> out) override { return stream_.body->Read(out); }

 private:
  ObjectStream& stream_;
};

}  // namespace

Async<void> Gateway::Impl::CreateUpload(GatewayCall& call) {
  Result<PutRequest> put = ReadPutHeaders(call);
  if (!put) co_return put.error();
  std::string_view algorithm = call.Header("x-amz-checksum-algorithm");
  std::string_view type = call.Header("x-amz-checksum-type");
  if (!type.empty() && algorithm.empty()) {
    co_return GatewayError("InvalidRequest", "a checksum type without an algorithm");
  }
  if (!algorithm.empty()) {
    auto known = ParseChecksumAlgorithm(algorithm);
    if (!known) co_return GatewayError("InvalidRequest", "an unknown checksum algorithm");
    // Checksums of parts cannot be combined to a SHA of the whole, and of a CRC64NVME nothing else
    // is made. (S3 User Guide, "Checking object integrity for multipart uploads".)
    bool is_sha = *known == ChecksumAlgorithm::kSha1 || *known == ChecksumAlgorithm::kSha256;
    if ((is_sha && type == "FULL_OBJECT") ||
        (*known == ChecksumAlgorithm::kCrc64Nvme && type == "COMPOSITE")) {
      co_return GatewayError("InvalidRequest",
                             "this checksum algorithm does not go with this checksum type");
    }
    bool composite = type.empty() ? *known != ChecksumAlgorithm::kCrc64Nvme : type == "COMPOSITE";
    put->checksum = Checksum{*known, "", composite};
    call.response.headers.Set("x-amz-checksum-type", composite ? "COMPOSITE" : "FULL_OBJECT");
    call.response.headers.Set("x-amz-checksum-algorithm",
                              std::string(ChecksumAlgorithmName(*known)));
  }
  Result<MultipartUpload> upload = co_await store.CreateMultipart(*put);
  if (!upload) co_return upload.error();
  XmlWriter xml("InitiateMultipartUploadResult");
  xml.Text("Bucket", call.bucket);
  xml.Text("Key", call.key);
  xml.Text("UploadId", upload->upload_id);
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::UploadPart(GatewayCall& call) {
  Result<int> number = ReadUploadNumber(call);
  if (!number) co_return number.error();
  auto body = GatewayBody::Open(call.request, call.signature, runtime.pool);
  if (!body) co_return body.error();
  if (!call.request.head.content_length && (!(*body)->sized() || !call.request.head.chunked)) {
    co_return GatewayError("MissingContentLength",
                           "You must provide the Content-Length HTTP header.");
  }
  Result<std::optional<HeldBody>> held = co_await Hold(**body, kPartHoldBytesMax);
  if (!held) co_return held.error();
  MultipartUpload upload = UploadOf(call);
  Result<UploadedPart> part = UploadedPart();
  if (*held) {
    MemorySource source{std::string_view((*held)->bytes)};
    part = co_await store.UploadPart(upload, *number, source);
  } else {
    part = co_await store.UploadPart(upload, *number, **body);
  }
  if (!part) co_return part.error();
  call.response.headers.Set("ETag", Quoted(part->etag));
  std::optional<Checksum> checksum = (*body)->checksum();
  if (!checksum) checksum = part->checksum;
  if (checksum) {
    call.response.headers.Set(ChecksumHeader(checksum->algorithm), checksum->value);
    part_notes.Add(upload.upload_id, *number, part->etag, *checksum);
  }
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::UploadPartCopy(GatewayCall& call) {
  Result<int> number = ReadUploadNumber(call);
  if (!number) co_return number.error();
  Result<GatewayCopySource> source = ReadCopySource(call);
  if (!source) co_return source.error();
  GetRequest get;
  get.bucket = source->bucket;
  get.key = source->key;
  get.version_id = source->version_id;
  std::string_view range = call.Header("x-amz-copy-source-range");
  if (!range.empty() || HasSourceCondition(call.request.headers())) {
    Result<ObjectInfo> looked = co_await LookAtSource(call, *source);
    if (!looked) co_return looked.error();
    get.if_match = looked->etag;
    if (!range.empty()) {
      Result<ByteRange> wanted = ReadCopyRange(range, looked->size_bytes);
      if (!wanted) co_return wanted.error();
      get.range = *wanted;
    }
  }
  // A copy of the source, in a cache, may be older; a part is there for good.
  Result<ObjectStream> stream = co_await GetOrigin(store, get);
  if (!stream) co_return stream.error();
  StreamSource body(*stream);
  Result<std::optional<HeldBody>> held = co_await Hold(body, kPartHoldBytesMax);
  if (!held) co_return held.error();
  MultipartUpload upload = UploadOf(call);
  Result<UploadedPart> part = UploadedPart();
  if (*held) {
    MemorySource memory_source{std::string_view((*held)->bytes)};
    part = co_await store.UploadPart(upload, *number, memory_source);
  } else {
    part = co_await store.UploadPart(upload, *number, body);
  }
  if (!part) co_return part.error();
  XmlWriter xml("CopyPartResult");
  xml.Text("ETag", Quoted(part->etag));
  if (part->checksum) {
    xml.Text("Checksum" + std::string(ChecksumAlgorithmName(part->checksum->algorithm)),
             part->checksum->value);
  }
  xml.Text("LastModified", XmlTime(runtime.clock.Now()));
  co_return co_await SendXml(call, xml.Finish());
}

// What the request says of the parts and of the whole, as far as the store does not look at it
// itself; that is put into `request`.
Async<void> Gateway::Impl::CheckComplete(GatewayCall& call, CompleteRequest& request) {
  const std::string& id = request.upload.upload_id;
  for (UploadedPart& part : request.parts) {
    if (!part.checksum) continue;
    std::optional<Checksum> noted =
        part_notes.Find(id, part.number, part.etag, part.checksum->algorithm);
    if (noted && noted->value != part.checksum->value) {
      co_return GatewayError("InvalidPart", "the checksum of part " + std::to_string(part.number) +
                                                " is not the one that it came with");
    }
  }
  std::string_view type = call.Header("x-amz-checksum-type");
  for (ChecksumAlgorithm algorithm : kAllChecksums) {
    std::string_view value = call.Header(ChecksumHeader(algorithm));
    if (value.empty()) continue;
    bool composite = value.find('-') != std::string_view::npos;
    if (request.checksum || (!type.empty() && composite != (type == "COMPOSITE"))) {
      co_return GatewayError("InvalidRequest", "the checksums of the whole contradict each other");
    }
    request.checksum = Checksum{algorithm, std::string(value), composite};
  }
  if (request.checksum && request.checksum->composite) {
    Result<void> same = CheckComposite(request);
    if (!same) co_return same.error();
    request.checksum.reset();
  }
  Result<std::vector<UploadedPart>> parts = co_await store.ListParts(request.upload);
  // It may have been completed already: the store knows whether by this very request.
  if (!parts && parts.error().code == "NoSuchUpload") co_return Ok();
  if (!parts) co_return parts.error();
  for (const UploadedPart& part : request.parts) {
    auto found = std::ranges::find(*parts, part.number, &UploadedPart::number);
    bool last = &part == &request.parts.back();
    if (!last && found != parts->end() && found->size_bytes < kPartBytesMin) {
      co_return GatewayError(
          "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size: part " +
                                std::to_string(part.number) + " has less than 5 MiB");
    }
  }
  std::string_view size = call.Header("x-amz-mp-object-size");
  if (size.empty()) co_return Ok();
  uint64_t wanted = 0;
  auto [end, failed] = std::from_chars(size.data(), size.data() + size.size(), wanted);
  if (failed != std::errc() || end != size.data() + size.size()) {
    co_return GatewayError("InvalidRequest", "x-amz-mp-object-size is not a number");
  }
  uint64_t there = 0;
  for (const UploadedPart& part : request.parts) {
    auto found = std::ranges::find(*parts, part.number, &UploadedPart::number);
    if (found == parts->end() || found->etag != part.etag) {
      co_return GatewayError("InvalidPart", "part " + std::to_string(part.number) +
                                                " is not there, or is another one");
    }
    there += found->size_bytes;
  }
  if (there != wanted) {
    co_return GatewayError("InvalidRequest",
                           "The provided 'x-amz-mp-object-size' header value " + std::string(size) +
                               " does not match what was computed: " + std::to_string(there));
  }
  co_return Ok();
}

// A checksum of the parts' checksums: "…-N".
Result<void> Gateway::Impl::CheckComposite(const CompleteRequest& request) {
  ChecksumAlgorithm algorithm = request.checksum->algorithm;
  std::string digests;
  for (const UploadedPart& part : request.parts) {
    std::optional<Checksum> noted =
        part_notes.Find(request.upload.upload_id, part.number, part.etag, algorithm);
    Result<std::string> digest = noted ? Base64Decode(noted->value) : Result<std::string>("");
    if (!digest || digest->empty()) {
      return GatewayError("NotImplemented",
                          "a checksum of checksums of parts that came without that checksum");
    }
    digests += *digest;
  }
  std::string whole = Base64Encode(Digest(HashKindOf(algorithm), AsBytes(digests))) + "-" +
                      std::to_string(request.parts.size());
  if (whole == request.checksum->value) return Ok();
  return GatewayError("BadDigest", "the checksum of the checksums of the parts is wrong");
}

Async<void> Gateway::Impl::AbortUpload(GatewayCall& call) {
  // A store says OK as well where there is none.
  Result<std::vector<UploadedPart>> there = co_await store.ListParts(UploadOf(call));
  if (!there) co_return there.error();
  Result<void> done = co_await store.AbortMultipart(UploadOf(call));
  if (!done) co_return done.error();
  part_notes.Forget(call.Query("uploadId"));
  call.response.status = 204;
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::CompleteUpload(GatewayCall& call) {
  Result<std::string> text = co_await ReadBody(call, kCompleteBytesMax, false);
  if (!text) co_return text.error();
  Result<CompleteBody> body = ParseComplete(*text);
  if (!body) co_return body.error();
  Capabilities can = store.capabilities();
  Result<Settled> condition = co_await Settle(call, can.complete_if_absent, can.complete_if_match);
  if (!condition) co_return condition.error();
  CompleteRequest request{.upload = UploadOf(call),
                          .parts = std::move(body->parts),
                          .condition = condition->condition,
                          .checksum = std::nullopt};
  Result<void> right = co_await CheckComplete(call, request);
  if (!right) co_return right.error();
  Result<PutResult> result = co_await store.CompleteMultipart(request);
  if (!result) co_return co_await Explain(call, *condition, result.error());
  part_notes.Forget(request.upload.upload_id);
  if (!result->version_id.empty()) {
    call.response.headers.Set("x-amz-version-id", result->version_id);
  }
  HeadRequest head;
  head.bucket = call.bucket;
  head.key = call.key;
  Result<ObjectInfo> info = co_await store.Head(head);
  if (notifier != nullptr) {
    Notify(call, "ObjectCreated:CompleteMultipartUpload", call.key, *result,
           info ? info->size_bytes : 0);
  }
  XmlWriter xml("CompleteMultipartUploadResult");
  xml.Text("Location", "/" + call.bucket + "/" + call.key);
  xml.Text("Bucket", call.bucket);
  xml.Text("Key", call.key);
  xml.Text("ETag", Quoted(result->etag));
  if (info && info->etag == result->etag) WriteChecksum(xml, *info);
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::ListParts(GatewayCall& call) {
  Result<int> count_max = ReadNumber(call, "max-parts", 1000);
  Result<int> marker = ReadNumber(call, "part-number-marker", 0);
  if (!count_max) co_return count_max.error();
  if (!marker) co_return marker.error();
  Result<std::vector<UploadedPart>> parts = co_await store.ListParts(UploadOf(call));
  if (!parts) co_return parts.error();
  std::erase_if(*parts, [&](const UploadedPart& part) { return part.number <= *marker; });
  size_t count = static_cast<size_t>(std::clamp(*count_max, 0, 1000));
  bool truncated = parts->size() > count;
  if (truncated) parts->resize(count);
  XmlWriter xml("ListPartsResult");
  xml.Text("Bucket", call.bucket);
  xml.Text("Key", call.key);
  xml.Text("UploadId", call.Query("uploadId"));
  xml.Text("StorageClass", "STANDARD");
  xml.Text("PartNumberMarker", std::to_string(*marker));
  xml.Text("MaxParts", std::to_string(count));
  xml.Text("IsTruncated", truncated ? "true" : "false");
  if (truncated && !parts->empty()) {
    xml.Text("NextPartNumberMarker", std::to_string(parts->back().number));
  }
  for (const UploadedPart& part : *parts) {
    xml.Open("Part");
    xml.Text("PartNumber", std::to_string(part.number));
    xml.Text("LastModified", XmlTime(runtime.clock.Now()));
    xml.Text("ETag", Quoted(part.etag));
    xml.Text("Size", std::to_string(part.size_bytes));
    if (part.checksum) {
      xml.Text("Checksum" + std::string(ChecksumAlgorithmName(part.checksum->algorithm)),
               part.checksum->value);
    }
    xml.Close();
  }
  co_return co_await SendXml(call, xml.Finish());
}

}  // namespace longhaul
