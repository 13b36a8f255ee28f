// Objects: GET, HEAD, PUT, copy, DELETE, tags.

#include <algorithm>
#include <charconv>

#include "base/ascii.h"
#include "base/bytes.h"
#include "gateway/gateway_impl.h"
#include "storage/origin.h"

namespace longhaul {
namespace {

constexpr size_t kStreamBytes = 256 << 10;
constexpr uint64_t kObjectHoldBytesMax = 1 << 20;
constexpr size_t kPieceBytes = 8 << 20;  // Of a body of unknown size.
constexpr size_t kTaggingBytesMax = 64 << 10;
constexpr size_t kMetadataBytesMax = 2 << 10;
constexpr std::string_view kMetaPrefix = "x-amz-meta-";

// "aws-chunked" is how the body travelled, not what it is.
std::string WithoutAwsChunked(std::string_view encodings) {
  if (!LowerAscii(encodings).contains("aws-chunked")) return std::string(encodings);
  std::string kept;
  while (!encodings.empty()) {
    size_t comma = encodings.find(',');
    std::string_view one = encodings.substr(0, comma);
    encodings.remove_prefix(comma == std::string_view::npos ? encodings.size() : comma + 1);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty() || LowerAscii(one) == "aws-chunked") continue;
    kept += (kept.empty() ? "" : ", ") + std::string(one);
  }
  return kept;
}

Async<void> SendCondition(GatewayCall& call, int status) {
  if (status == 412) {
    Error failed =
        PreconditionFailed("At least one of the pre-conditions you specified did not hold");
    failed.code = "PreconditionFailed";
    co_return failed;
  }
  call.response.status = 304;
  co_return co_await call.response.Send();
}

}  // namespace

Result<PutRequest> ReadPutHeaders(const GatewayCall& call) {
  Result<void> named = CheckNewKey(call.key);
  if (!named) return named.error();
  PutRequest put;
  put.bucket = call.bucket;
  put.key = call.key;
  put.headers = {
      .content_type = std::string(call.Header("Content-Type")),
      .content_encoding = WithoutAwsChunked(call.Header("Content-Encoding")),
      .content_language = std::string(call.Header("Content-Language")),
      .content_disposition = std::string(call.Header("Content-Disposition")),
      .cache_control = std::string(call.Header("Cache-Control")),
      .expires = std::string(call.Header("Expires")),
      .website_redirect_location = std::string(call.Header("x-amz-website-redirect-location"))};
  put.storage_class = call.Header("x-amz-storage-class");
  size_t metadata_bytes = 0;
  for (const auto& [header, value] : call.request.headers().entries()) {
    std::string name = LowerAscii(header);
    if (!name.starts_with(kMetaPrefix)) continue;
    std::string& stored = put.metadata[name.substr(kMetaPrefix.size())];
    stored += (stored.empty() ? "" : ",") + value;
    metadata_bytes += name.size() - kMetaPrefix.size() + value.size();
  }
  if (metadata_bytes > kMetadataBytesMax) {
    return GatewayError("MetadataTooLarge", "Your metadata headers exceed 2 KB");
  }
  std::string_view tagging = call.Header("x-amz-tagging");
  if (!tagging.empty()) {
    Result<QueryParameters> tags = ParseQuery(tagging);
    if (!tags) return GatewayError("InvalidArgument", "x-amz-tagging is not a query string");
    for (const auto& [name, value] : *tags) {
      if (!put.tags.emplace(name, value).second) {
        return GatewayError("InvalidTag", "a tag is given twice");
      }
    }
    Result<void> allowed = CheckTags(put.tags);
    if (!allowed) return allowed.error();
  }
  return put;
}

Result<GatewayCopySource> ReadCopySource(const GatewayCall& call) {
  std::string_view text = call.Header("x-amz-copy-source");
  GatewayCopySource source;
  static constexpr std::string_view kVersion = "?versionId=";
  if (size_t at = text.find(kVersion); at != std::string_view::npos) {
    source.version_id = text.substr(at + kVersion.size());
    text = text.substr(0, at);
  }
  Result<std::string> decoded = PercentDecode(text);
  if (!decoded) return GatewayError("InvalidArgument", "x-amz-copy-source is not encoded rightly");
  if (decoded->starts_with('/')) decoded->erase(0, 1);
  size_t slash = decoded->find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == decoded->size()) {
    return GatewayError("InvalidArgument", "x-amz-copy-source is not BUCKET/KEY");
  }
  source.bucket = decoded->substr(0, slash);
  source.key = decoded->substr(slash + 1);
  return source;
}

void AddObjectHeaders(GatewayCall& call, const ObjectInfo& info, bool with_checksums) {
  HttpHeaders& headers = call.response.headers;
  // The time of the reading itself: others order writes by it.
  if (info.server_time != SystemTime()) headers.Set("Date", FormatHttpDate(info.server_time));
  headers.Set("Last-Modified", FormatHttpDate(info.last_modified));
  headers.Set("ETag", Quoted(info.etag));
  headers.Set("Accept-Ranges", "bytes");
  const SystemHeaders& system = info.headers;
  auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) headers.Set(name, value);
  };
  add("Content-Type", system.content_type);
  add("Content-Encoding", system.content_encoding);
  add("Content-Language", system.content_language);
  add("Content-Disposition", system.content_disposition);
  add("Cache-Control", system.cache_control);
  add("Expires", system.expires);
  add("x-amz-website-redirect-location", system.website_redirect_location);
  add("x-amz-version-id", info.version_id);
  if (info.storage_class != "STANDARD") add("x-amz-storage-class", info.storage_class);
  if (info.tag_count > 0) headers.Set("x-amz-tagging-count", std::to_string(info.tag_count));
  if (info.part_count > 0) headers.Set("x-amz-mp-parts-count", std::to_string(info.part_count));
  for (const auto& [name, value] : info.metadata) {
    headers.Set(std::string(kMetaPrefix) + name, value);
  }
  for (const auto& [query, header] :
       {std::pair{"response-content-type", "Content-Type"},
        std::pair{"response-content-language", "Content-Language"},
        std::pair{"response-expires", "Expires"},
        std::pair{"response-cache-control", "Cache-Control"},
        std::pair{"response-content-disposition", "Content-Disposition"},
        std::pair{"response-content-encoding", "Content-Encoding"}}) {
    if (call.Has(query)) headers.Set(header, call.Query(query));
  }
  bool asks = !call.Header("x-amz-checksum-mode").empty() || call.Has("x-amz-checksum-mode");
  if (!with_checksums || !asks) return;
  if (info.checksums.empty()) return;
  // The one that its writer chose comes last: S3 tells one alone.
  const Checksum& checksum = info.checksums.back();
  headers.Set(ChecksumHeader(checksum.algorithm), ChecksumValue(info, checksum));
  headers.Set("x-amz-checksum-type", checksum.composite ? "COMPOSITE" : "FULL_OBJECT");
}

Result<int> ReadPartNumber(const GatewayCall& call) {
  std::string text = call.Query("partNumber");
  int number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number < 1 || number > 10'000) {
    return GatewayError("InvalidArgument", "Part number must be an integer between 1 and 10000");
  }
  if (!call.Header("Range").empty()) {
    return GatewayError("InvalidRequest", "Cannot specify both Range and partNumber");
  }
  return number;
}

Async<void> Gateway::Impl::GetObject(GatewayCall& call) {
  GetRequest request;
  request.bucket = call.bucket;
  request.key = call.key;
  request.version_id = call.Query("versionId");
  ReadRange(call.Header("Range"), request);
  // A cache that has another state than the one that is meant looks into its source.
  const std::string match = ReadMatchOf(call.request.headers());
  request.if_match = match;
  int part_count = 0;
  if (call.Has("partNumber")) {
    Result<int> number = ReadPartNumber(call);
    if (!number) co_return number.error();
    ObjectInfo info;
    Result<ByteRange> part = co_await FindPart(call, *number, info);
    if (!part) co_return part.error();
    part_count = info.part_count;
    request.if_match = info.etag;
    if (part->size_bytes > 0) {
      request.range = *part;
    } else if (part_count > 1) {
      // The last part may be empty. No range stands for that, and none is the whole object.
      const int condition = ReadConditionOf(call.request.headers(), info);
      AddObjectHeaders(call, info, false);
      if (condition != 0) co_return co_await SendCondition(call, condition);
      call.response.status = 206;
      co_return co_await call.response.Send("");
    }
  }
  bool partial = request.range || request.suffix_bytes;
  SystemTime absent_at{};
  Result<ObjectStream> stream = co_await store.Get(request, &absent_at);
  if (!stream) {
    if (absent_at != SystemTime()) call.response.headers.Set("Date", FormatHttpDate(absent_at));
    const bool unmatched = !match.empty() && stream.error().kind == ErrorKind::kPrecondition;
    if (unmatched && !call.Has("partNumber")) co_return co_await SendCondition(call, 412);
    co_return stream.error();
  }
  if (part_count > 0) stream->info.part_count = part_count;
  int condition = ReadConditionOf(call.request.headers(), stream->info);
  // boto3 takes a checksum in a 304 for that of a body and fails.
  AddObjectHeaders(call, stream->info, !partial && condition == 0);
  if (condition != 0) co_return co_await SendCondition(call, condition);
  if (partial) {
    call.response.status = 206;
    call.response.headers.Set(
        "Content-Range", "bytes " + std::to_string(stream->offset_bytes) + "-" +
                             std::to_string(stream->offset_bytes + stream->length_bytes - 1) + "/" +
                             std::to_string(stream->info.size_bytes));
  }
  uint64_t left = stream->length_bytes;
  std::string buffer(static_cast<size_t>(std::clamp<uint64_t>(left, 1, kStreamBytes)), '\0');
  std::span<std::byte> room = std::as_writable_bytes(std::span(buffer));
  if (left <= kStreamBytes) {
    // All of it, and its end, before the first byte goes out: an error can still be told.
    size_t filled = 0;
    while (true) {
      std::byte extra{};
      bool full = filled == left;
      Result<size_t> count = co_await stream->body->Read(
          full ? std::span(&extra, 1) : room.subspan(filled, static_cast<size_t>(left) - filled));
      if (!count) co_return count.error();
      if (*count == 0) break;
      if (full) co_return Corrupt("the object is longer than it said");
      filled += *count;
    }
    buffer.resize(filled);
    co_return co_await call.response.Send(std::move(buffer));
  }
  Result<void> sent = co_await call.response.Start(left);
  // The last piece is held back until the store has found everything right.
  std::string held;
  while (sent) {
    Result<size_t> count = co_await stream->body->Read(room);
    if (!count) co_return count.error();
    if (!held.empty()) sent = co_await call.response.Write(AsBytes(held));
    held.assign(buffer, 0, *count);
    if (*count == 0) break;
  }
  if (!sent) co_return sent;
  co_return co_await call.response.Finish();
}

Async<void> Gateway::Impl::HeadObject(GatewayCall& call) {
  HeadRequest request{.bucket = call.bucket,
                      .key = call.key,
                      .version_id = call.Query("versionId"),
                      .part_number = std::nullopt};
  if (call.Has("partNumber")) {
    Result<int> number = ReadPartNumber(call);
    if (!number) co_return number.error();
    request.part_number = *number;
  }
  Result<ObjectInfo> info = co_await store.Head(request);
  // As GetObject does.
  const std::string match = ReadMatchOf(call.request.headers());
  if (info && !match.empty() && info->etag != match && OriginOf(store) != nullptr) {
    info = co_await HeadOrigin(store, request);
  }
  if (!info) co_return info.error();
  int condition = ReadConditionOf(call.request.headers(), *info);
  AddObjectHeaders(call, *info, !request.part_number && condition == 0);
  if (condition != 0) co_return co_await SendCondition(call, condition);
  GetRequest range;
  ReadRange(call.Header("Range"), range);
  uint64_t length = info->size_bytes;
  if (request.part_number) {
    call.response.status = 206;
  } else if (range.range || range.suffix_bytes) {
    uint64_t offset =
        range.range ? range.range->offset_bytes : length - std::min(length, *range.suffix_bytes);
    if (offset >= length) co_return GatewayError("InvalidRange", "the range starts past the end");
    uint64_t size =
        range.range ? std::min(range.range->size_bytes, length - offset) : length - offset;
    call.response.status = 206;
    call.response.headers.Set("Content-Range", "bytes " + std::to_string(offset) + "-" +
                                                   std::to_string(offset + size - 1) + "/" +
                                                   std::to_string(length));
    length = size;
  }
  call.response.headers.Set("Content-Length", std::to_string(length));
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::PutObject(GatewayCall& call) {
  Result<PutRequest> put = ReadPutHeaders(call);
  if (!put) co_return put.error();
  Capabilities can = store.capabilities();
  Result<Settled> condition = co_await Settle(call, can.create_if_absent, can.replace_if_match);
  if (!condition) co_return condition.error();
  put->condition = condition->condition;
  auto body = GatewayBody::Open(call.request, call.signature, runtime.pool);
  if (!body) co_return body.error();
  if ((*body)->sized() && !call.request.head.content_length && !call.request.head.chunked) {
    co_return GatewayError("MissingContentLength",
                           "You must provide the Content-Length HTTP header.");
  }
  if ((*body)->size_bytes() > can.put_size_bytes_max) {
    co_return GatewayError("EntityTooLarge", "larger than one PUT may be");
  }
  put->content_md5 = (*body)->content_md5();
  Result<std::optional<HeldBody>> held = std::optional<HeldBody>();
  if ((*body)->sized()) held = co_await Hold(**body, kObjectHoldBytesMax);
  if (!held) co_return held.error();
  put->checksum = (*body)->checksum();
  Result<PutResult> result = PutResult();
  if (*held) {
    MemorySource source{std::string_view((*held)->bytes)};
    result = co_await store.Put(*put, source);
  } else if (!(*body)->sized()) {
    result = co_await PutUnsized(*put, **body);
  } else {
    result = co_await store.Put(*put, **body);
  }
  if (!result) co_return co_await Explain(call, *condition, result.error());
  HttpHeaders& headers = call.response.headers;
  if (result->server_time != SystemTime()) {
    headers.Set("Date", FormatHttpDate(result->server_time));
  }
  headers.Set("ETag", Quoted(result->etag));
  if (!result->version_id.empty()) headers.Set("x-amz-version-id", result->version_id);
  if (const std::optional<Checksum>& checksum = (*body)->checksum(); checksum) {
    headers.Set(ChecksumHeader(checksum->algorithm), checksum->value);
    headers.Set("x-amz-checksum-type", "FULL_OBJECT");
  }
  Notify(call, "ObjectCreated:Put", call.key, *result, (*body)->size_bytes());
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::CopyObject(GatewayCall& call) {
  Result<GatewayCopySource> source = ReadCopySource(call);
  if (!source) co_return source.error();
  Result<PutRequest> put = ReadPutHeaders(call);
  if (!put) co_return put.error();
  Capabilities can = store.capabilities();
  Result<Settled> condition = co_await Settle(call, can.copy_conditions && can.create_if_absent,
                                              can.copy_conditions && can.replace_if_match);
  if (!condition) co_return condition.error();
  std::string source_if_match;
  if (HasSourceCondition(call.request.headers())) {
    Result<ObjectInfo> looked = co_await LookAtSource(call, *source);
    if (!looked) co_return looked.error();
    source_if_match = looked->etag;
  }
  CopyRequest copy{.source_bucket = source->bucket,
                   .source_key = source->key,
                   .source_version_id = source->version_id,
                   .source_if_match = source_if_match,
                   .bucket = call.bucket,
                   .key = call.key,
                   .storage_class = put->storage_class,
                   .condition = condition->condition};
  std::string metadata = LowerAscii(call.Header("x-amz-metadata-directive"));
  std::string tagging = LowerAscii(call.Header("x-amz-tagging-directive"));
  if (metadata == "replace") copy.replacement = {put->headers, put->metadata};
  if (tagging == "replace") copy.tags = put->tags;
  if (copy.source_bucket == copy.bucket && copy.source_key == copy.key && !copy.replacement &&
      copy.storage_class.empty() && !copy.tags) {
    co_return GatewayError("InvalidRequest",
                           "This copy request is illegal because it is trying to copy an object "
                           "to itself without changing anything");
  }
  Result<PutResult> result = co_await store.Copy(copy);
  if (!result) co_return co_await Explain(call, *condition, result.error());
  HeadRequest head;
  head.bucket = call.bucket;
  head.key = call.key;
  Result<ObjectInfo> info = co_await store.Head(head);
  if (!result->version_id.empty()) {
    call.response.headers.Set("x-amz-version-id", result->version_id);
  }
  Notify(call, "ObjectCreated:Copy", call.key, *result, info ? info->size_bytes : 0);
  XmlWriter xml("CopyObjectResult");
  xml.Text("ETag", Quoted(result->etag));
  if (info) WriteChecksum(xml, *info);
  xml.Text("LastModified", XmlTime(info ? info->last_modified : runtime.clock.Now()));
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::DeleteObject(GatewayCall& call) {
  Result<Settled> settled = co_await Settle(call, false, store.capabilities().delete_if_match);
  if (!settled) co_return settled.error();
  Result<void> removed = co_await store.Remove({.bucket = call.bucket,
                                                .key = call.key,
                                                .version_id = call.Query("versionId"),
                                                .if_match = settled->condition.if_match});
  if (!removed) co_return co_await Explain(call, *settled, removed.error());
  NotifyRemoved(call, "ObjectRemoved:Delete", call.key);
  call.response.status = 204;
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::GetTagging(GatewayCall& call) {
  Result<Tags> tags = co_await store.GetTags(call.bucket, call.key, call.Query("versionId"));
  if (!tags) co_return tags.error();
  XmlWriter xml("Tagging");
  xml.Open("TagSet");
  for (const auto& [name, value] : *tags) {
    xml.Open("Tag");
    xml.Text("Key", name);
    xml.Text("Value", value);
    xml.Close();
  }
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::PutTagging(GatewayCall& call, bool remove) {
  Tags tags;
  if (!remove) {
    Result<std::string> body = co_await ReadBody(call, kTaggingBytesMax);
    if (!body) co_return body.error();
    Result<Tags> parsed = ParseTagging(*body);
    if (!parsed) co_return parsed.error();
    tags = std::move(*parsed);
  }
  Result<void> put = co_await store.PutTags(call.bucket, call.key, std::move(tags));
  if (!put) co_return put.error();
  if (notifier != nullptr) {
    HeadRequest head;
    head.bucket = call.bucket;
    head.key = call.key;
    Result<ObjectInfo> info = co_await store.Head(head);
    PutResult now{.etag = info ? info->etag : "", .version_id = "", .server_time = {}};
    Notify(call, remove ? "ObjectTagging:Delete" : "ObjectTagging:Put", call.key, now,
           info ? info->size_bytes : 0);
  }
  call.response.status = remove ? 204 : 200;
  co_return co_await call.response.Send();
}

Async<PutResult> Gateway::Impl::PutUnsized(PutRequest put, GatewayBody& body) {
  Result<Reservation> reserved = co_await memory.Reserve(static_cast<int64_t>(kPieceBytes));
  if (!reserved) co_return reserved.error();
  std::string piece(kPieceBytes, '\0');
  std::optional<MultipartUpload> upload;
  std::vector<UploadedPart> parts;
  Result<void> done = Ok();
  for (bool end = false; done && !end;) {
    size_t filled = 0;
    while (filled < piece.size()) {
      Result<size_t> count =
          co_await body.Read(std::as_writable_bytes(std::span(piece)).subspan(filled));
      if (!count) done = count.error();
      end = done && *count == 0;
      if (!done || end) break;
      filled += *count;
    }
    MemorySource source{std::string_view(piece).substr(0, filled)};
    if (done && end && !upload) {
      put.checksum = body.checksum();  // Known now, also where it came behind the body.
      co_return co_await store.Put(put, source);
    }
    if (done && !upload) {
      PutRequest create = put;
      create.checksum.reset();
      Result<MultipartUpload> created = co_await store.CreateMultipart(create);
      if (!created) co_return created.error();
      upload = std::move(*created);
    }
    if (!done || filled == 0) continue;
    Result<UploadedPart> part =
        co_await store.UploadPart(*upload, static_cast<int>(parts.size()) + 1, source);
    if (part) {
      parts.push_back(std::move(*part));
    } else {
      done = part.error();
    }
  }
  Result<PutResult> result = PutResult();
  if (done) {
    result = co_await store.CompleteMultipart({.upload = *upload,
                                               .parts = std::move(parts),
                                               .condition = put.condition,
                                               .checksum = std::nullopt});
    if (result) co_return result;
    done = result.error();
  }
  if (upload) (void)co_await store.AbortMultipart(*upload);
  co_return done.error();
}

}  // namespace longhaul
