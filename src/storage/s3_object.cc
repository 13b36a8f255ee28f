// Objects: what answers say of them, reading, copying, removing, tags.

#include <charconv>
#include <map>

#include "base/ascii.h"
#include "base/bytes.h"
#include "storage/is_gone.h"
#include "storage/s3_body.h"
#include "storage/s3_bucket_name.h"
#include "storage/s3_error.h"
#include "storage/s3_operations.h"
#include "storage/s3_xml.h"

namespace longhaul {
namespace {

std::string Place(std::string_view what, const std::string& bucket, const std::string& key) {
  return std::string(what) + " " + bucket + "/" + key;
}

bool ParseNumber(std::string_view text, uint64_t* value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// Headers of one answer, of which some thirty are asked for and ten are there: mostly none has a
// name of that length and with that end, and they need not be looked through.
class HeadersOfObject {
 public:
  explicit HeadersOfObject(const HttpHeaders& headers) : headers_(headers) {
    for (const auto& [name, value] : headers.entries()) names_ |= BitOf(name);
  }
  [[nodiscard]] const std::string* Find(std::string_view name) const {
    return (names_ & BitOf(name)) != 0 ? headers_.Find(name) : nullptr;
  }
  [[nodiscard]] std::string_view Get(std::string_view name) const {
    const std::string* value = Find(name);
    return value != nullptr ? std::string_view(*value) : std::string_view();
  }

 private:
  static uint64_t BitOf(std::string_view name) {
    const size_t last = name.empty() ? 0 : static_cast<unsigned char>(name.back() | 0x20);
    return uint64_t{1} << ((name.size() * 7 + last) % 64);
  }

  const HttpHeaders& headers_;
  uint64_t names_ = 0;
};

std::optional<Checksum> ChecksumIn(const HeadersOfObject& headers, ChecksumAlgorithm algorithm,
                                   const std::string& etag) {
  const std::string* value = headers.Find(S3ChecksumHeader(algorithm));
  if (value == nullptr || value->empty()) return std::nullopt;
  Checksum checksum{algorithm, *value, false};
  size_t dash = value->find('-');
  if (dash != value->npos) {  // '-' is not in the base64 alphabet.
    checksum.value.resize(dash);
    checksum.composite = true;
    return checksum;
  }
  std::string_view type = headers.Get("x-amz-checksum-type");
  if (type == "COMPOSITE") checksum.composite = true;
  // Servers that do not tell: only CRC64NVME is always one of the whole object.
  if (type.empty() && !IsPlainMd5Etag(etag) && etag.find('-') != etag.npos) {
    checksum.composite = algorithm != ChecksumAlgorithm::kCrc64Nvme;
  }
  return checksum;
}

std::optional<ObjectLock> LockIn(const HeadersOfObject& headers) {
  ObjectLock lock{.legal_hold = headers.Get("x-amz-object-lock-legal-hold") == "ON"};
  // (What is no retention is told all the same: it must not be taken for none.)
  lock.mode = headers.Get("x-amz-object-lock-mode");
  if (const std::string* date = headers.Find("x-amz-object-lock-retain-until-date")) {
    Result<SystemTime> until = ParseRfc3339(*date);
    if (until) lock.until = *until;
  }
  if (lock.mode.empty() && !lock.legal_hold) return std::nullopt;
  return lock;
}

ObjectInfo InfoOf(const S3Client& client, const HttpHeaders& all) {
  const HeadersOfObject headers(all);
  ObjectInfo info;
  ParseNumber(headers.Get("Content-Length"), &info.size_bytes);
  for (const auto& [name, value] : all.entries()) {
    constexpr std::string_view kPrefix = "x-amz-meta-";
    if (name.size() <= kPrefix.size()) continue;
    std::string lower = name;
    for (char& c : lower) c = LowerAscii(c);
    if (lower.starts_with(kPrefix)) info.metadata[lower.substr(kPrefix.size())] = value;
  }
  info.etag = StripEtag(headers.Get("ETag"));
  // Under KMS and customer keys the ETag is no MD5. (S3 API Reference, Object: ETag.)
  info.kms_encrypted = headers.Get("x-amz-server-side-encryption").starts_with("aws:kms");
  info.etag_opaque = info.kms_encrypted ||
                     headers.Find("x-amz-server-side-encryption-customer-algorithm") != nullptr ||
                     !client.options().verify_md5_etag || !client.options().quirks.md5_etags;
  info.version_id = headers.Get("x-amz-version-id");
  if (info.version_id == "null") info.version_id.clear();
  Result<SystemTime> modified = ParseHttpDate(headers.Get("Last-Modified"));
  if (modified) info.last_modified = *modified;
  // Where there is one class alone its name means nothing to another store.
  if (client.options().quirks.can.storage_classes) {
    info.storage_class = headers.Get("x-amz-storage-class");
  }
  info.headers = {
      .content_type = std::string(headers.Get("Content-Type")),
      .content_encoding = std::string(headers.Get("Content-Encoding")),
      .content_language = std::string(headers.Get("Content-Language")),
      .content_disposition = std::string(headers.Get("Content-Disposition")),
      .cache_control = std::string(headers.Get("Cache-Control")),
      .expires = std::string(headers.Get("Expires")),
      .website_redirect_location = std::string(headers.Get("x-amz-website-redirect-location"))};
  uint64_t number = 0;
  if (ParseNumber(headers.Get("x-amz-tagging-count"), &number)) {
    info.tag_count = static_cast<int>(std::min<uint64_t>(number, 1000));
  }
  if (ParseNumber(headers.Get("x-amz-mp-parts-count"), &number)) {
    info.part_count = static_cast<int>(std::min<uint64_t>(number, 10'000));
  }
  for (ChecksumAlgorithm algorithm : kS3ChecksumAlgorithms) {
    std::optional<Checksum> checksum = ChecksumIn(headers, algorithm, info.etag);
    if (checksum) info.checksums.push_back(std::move(*checksum));
  }
  if (const auto& own = client.options().quirks.own_checksum; own && info.checksums.empty()) {
    std::string_view value = headers.Get(own->header);
    size_t at = value.find(own->begins);
    if (at != value.npos) {
      value = value.substr(at + own->begins.size());
      value = value.substr(0, value.find(','));
      info.checksums.push_back({own->algorithm, std::string(value), false});
    }
  }
  info.lock = LockIn(headers);
  info.server_time = client.TimeOf(all);
  return info;
}

// "bytes 0-9/100".
bool ParseContentRange(std::string_view text, uint64_t* first, uint64_t* last, uint64_t* size) {
  if (!text.starts_with("bytes ")) return false;
  text.remove_prefix(6);
  size_t dash = text.find('-');
  size_t slash = text.find('/');
  if (dash == text.npos || slash == text.npos || dash > slash) return false;
  return ParseNumber(text.substr(0, dash), first) &&
         ParseNumber(text.substr(dash + 1, slash - dash - 1), last) &&
         ParseNumber(text.substr(slash + 1), size) && *first <= *last && *last < *size;
}

// Whether the answer of a part, with all fields set, is the part that was asked for. A server or a
// proxy may have kept another one.
bool IsPartAskedFor(const GetRequest& request, const ObjectStream& stream) {
  const uint64_t size = stream.info.size_bytes;
  if (request.range) {
    const ByteRange& range = *request.range;
    return stream.offset_bytes == range.offset_bytes &&
           stream.length_bytes == std::min(range.size_bytes, size - range.offset_bytes);
  }
  return request.suffix_bytes && stream.offset_bytes + stream.length_bytes == size &&
         stream.length_bytes == std::min(*request.suffix_bytes, size);
}

// What a whole object must hash to, by the best that came with it.
std::optional<ExpectedDigest> ExpectedOf(const ObjectInfo& info) {
  for (const Checksum& checksum : info.checksums) {
    if (checksum.composite) continue;
    Result<std::string> digest = Base64Decode(checksum.value);
    if (digest) return ExpectedDigest{HashKindOf(checksum.algorithm), std::move(*digest)};
  }
  if (!IsPlainMd5Etag(info.etag) || info.etag_opaque) return std::nullopt;
  Result<std::string> digest = HexDecode(info.etag);
  if (!digest) return std::nullopt;
  return ExpectedDigest{HashKind::kMd5, std::move(*digest)};
}

}  // namespace

Async<ObjectInfo> S3Head(S3Client& client, HeadRequest request) {
  S3Request http{.method = "HEAD", .bucket = request.bucket, .key = request.key};
  if (!request.version_id.empty()) http.query.emplace_back("versionId", request.version_id);
  if (request.part_number) {
    http.query.emplace_back("partNumber", std::to_string(*request.part_number));
  } else {
    http.headers.Add("x-amz-checksum-mode", "ENABLED");
  }
  Result<S3Answer> answer = co_await client.Call(http);
  if (!answer) co_return answer.error().In(Place("head", request.bucket, request.key));
  co_return InfoOf(client, answer->response.headers);
}

Async<ObjectStream> S3Get(S3Client& client, GetRequest request, SystemTime* absent_at) {
  S3Request http{.bucket = request.bucket, .key = request.key};
  if (!request.version_id.empty()) http.query.emplace_back("versionId", request.version_id);
  if (!request.if_match.empty()) http.headers.Add("If-Match", "\"" + request.if_match + "\"");
  bool whole = !request.range && !request.suffix_bytes;
  if (request.range) {
    const ByteRange& range = *request.range;
    if (range.size_bytes == 0 || range.offset_bytes + range.size_bytes < range.offset_bytes) {
      co_return InvalidInput("not a range").In(Place("get", request.bucket, request.key));
    }
    http.headers.Add("Range", "bytes=" + std::to_string(range.offset_bytes) + "-" +
                                  std::to_string(range.offset_bytes + range.size_bytes - 1));
  } else if (request.suffix_bytes) {
    http.headers.Add("Range", "bytes=-" + std::to_string(*request.suffix_bytes));
  } else {
    http.headers.Add("x-amz-checksum-mode", "ENABLED");
  }
  S3Trace trace;
  http.trace = &trace;
  Result<HttpResponse> response = co_await client.Open(http);
  if (!response) {
    const Error& error = response.error();
    if (absent_at != nullptr && IsGone(error)) {
      *absent_at = trace.answered_at;
    }
    co_return error.In(Place("get", request.bucket, request.key));
  }
  ObjectStream stream;
  stream.info = InfoOf(client, response->headers);
  if (!response->headers.Find("Content-Length")) {
    co_return Corrupt("the answer does not tell its length")
        .In(Place("get", request.bucket, request.key));
  }
  stream.length_bytes = stream.info.size_bytes;
  if (response->status == 206) {
    uint64_t last = 0;
    if (!ParseContentRange(response->headers.Get("Content-Range"), &stream.offset_bytes, &last,
                           &stream.info.size_bytes) ||
        last - stream.offset_bytes + 1 != stream.length_bytes || !IsPartAskedFor(request, stream)) {
      co_return Corrupt("the answer has a wrong Content-Range")
          .In(Place("get", request.bucket, request.key));
    }
    stream.info.checksums.clear();  // If any, they are those of a part.
  } else if (!whole && request.range &&
             (request.range->offset_bytes != 0 ||
              request.range->size_bytes < stream.info.size_bytes)) {
    co_return InvalidInput("the server does not know ranges")
        .In(Place("get", request.bucket, request.key));
  }
  std::optional<ExpectedDigest> expected;
  if (request.verify && stream.length_bytes == stream.info.size_bytes) {
    expected = ExpectedOf(stream.info);
  }
  stream.body = MakeVerifyingReader(client.runtime().pool, std::move(response->body),
                                    stream.length_bytes, std::move(expected));
  co_return stream;
}

namespace {

void AddCopySource(const S3Client& client, const std::string& bucket, const std::string& key,
                   const std::string& version_id, const std::string& if_match,
                   HttpHeaders& headers) {
  std::string source = IsS3Arn(bucket) ? PercentEncode(bucket, Slash::kKeep) + "/object"
                                       : PercentEncode(bucket, Slash::kEncode);
  source += "/" + PercentEncode(key, Slash::kKeep);
  if (!version_id.empty()) source += "?versionId=" + PercentEncode(version_id, Slash::kEncode);
  headers.Add("x-amz-copy-source", std::move(source));
  if (if_match.empty()) return;
  const std::string quoted = "\"" + if_match + "\"";
  headers.Add("x-amz-copy-source-if-match", quoted);
  // Ceph reads this one alone.
  if (!client.is_aws()) headers.Add("x-amz-copy-if-match", quoted);
}

}  // namespace

Async<UploadedPart> S3CopyPart(S3Client& client, const MultipartUpload& upload, int number,
                               CopyPartRequest request) {
  S3Request http{.method = "PUT",
                 .bucket = upload.bucket,
                 .key = upload.key,
                 .query = {{"partNumber", std::to_string(number)}, {"uploadId", upload.upload_id}}};
  http.slow_answer = http.is_copy = true;
  AddCopySource(client, request.source_bucket, request.source_key, request.source_version_id,
                request.source_if_match, http.headers);
  const ByteRange& range = request.range;
  http.headers.Add("x-amz-copy-source-range",
                   "bytes=" + std::to_string(range.offset_bytes) + "-" +
                       std::to_string(range.offset_bytes + range.size_bytes - 1));
  Result<S3Answer> answer = co_await client.Call(http);
  Result<std::string> etag =
      answer ? ParseS3Etag(answer->text) : Result<std::string>(answer.error());
  if (!etag) {
    co_return etag.error().In(
        Place("copy to part " + std::to_string(number) + " of", upload.bucket, upload.key));
  }
  co_return UploadedPart{
      .number = number, .etag = std::move(*etag), .size_bytes = range.size_bytes, .checksum = {}};
}

Async<PutResult> S3Copy(S3Client& client, CopyRequest request) {
  Result<void> known = CheckWrite(client, request.condition, request.tags.value_or(Tags()), false);
  if (known) known = SettleClass(client, request.bucket, request.storage_class);
  if (!known) co_return known.error().In(Place("copy to", request.bucket, request.key));
  if (!client.options().quirks.can.tags) request.tags.reset();
  S3Request http{.method = "PUT", .bucket = request.bucket, .key = request.key};
  http.slow_answer = http.is_copy = true;
  AddCopySource(client, request.source_bucket, request.source_key, request.source_version_id,
                request.source_if_match, http.headers);
  PutRequest made;
  made.storage_class = request.storage_class;
  made.sse = request.sse;
  made.kms_key = request.kms_key;
  made.bucket_key = request.bucket_key;
  made.acl = request.acl;
  made.bucket_owner = request.bucket_owner;
  made.lock = request.lock;
  if (request.replacement) {
    http.headers.Add("x-amz-metadata-directive", "REPLACE");
    made.headers = request.replacement->headers;
    made.metadata = request.replacement->metadata;
  }
  if (request.tags) {
    http.headers.Add("x-amz-tagging-directive", "REPLACE");
    made.tags = *request.tags;
  }
  AddObjectHeaders(made, http.headers);
  AddWriteCondition(client, request.condition, http.headers);
  http.repeatable =
      !request.at_most_once && !request.condition.if_absent && request.condition.if_match.empty();
  Result<S3Answer> answer = co_await client.Call(http);
  Result<std::string> etag =
      answer ? ParseS3Etag(answer->text) : Result<std::string>(answer.error());
  if (!etag) co_return etag.error().In(Place("copy to", request.bucket, request.key));
  PutResult result;
  result.etag = std::move(*etag);
  result.version_id = answer->response.headers.Get("x-amz-version-id");
  if (result.version_id == "null") result.version_id.clear();
  result.server_time = client.TimeOf(answer->response.headers);
  if (request.tags && !client.is_aws()) {
    Result<void> tagged =
        co_await KeepTags(client, request.bucket, request.key, result, std::move(*request.tags));
    if (!tagged) co_return tagged.error().In(Place("copy to", request.bucket, request.key));
  }
  co_return result;
}

Async<void> KeepTags(S3Client& client, std::string bucket, std::string key, PutResult written,
                     Tags tags) {
  Result<Tags> there = co_await S3GetTags(client, bucket, key, written.version_id);
  if (!there) co_return there.error();
  if (*there == tags) co_return Ok();
  if (written.version_id.empty()) {
    Result<ObjectInfo> now = co_await S3Head(client, {.bucket = bucket, .key = key});
    const bool gone = !now && now.error().kind == ErrorKind::kNotFound;
    // (Some answers of completions name no ETag.)
    if (gone || (now && !written.etag.empty() && now->etag != written.etag)) co_return Ok();
    // Whoever may write need not be allowed to look.
    if (!now && now.error().kind != ErrorKind::kDenied) co_return now.error();
  }
  co_return co_await S3PutTags(client, std::move(bucket), std::move(key), std::move(tags),
                               written.version_id);
}

Async<void> S3Remove(S3Client& client, RemoveRequest request) {
  if (!request.if_match.empty() && !client.options().quirks.can.delete_if_match) {
    Error error = InvalidInput("this store has no If-Match of deletes");
    error.code = "NotImplemented";
    co_return error.In(Place("remove", request.bucket, request.key));
  }
  S3Request http{.method = "DELETE", .bucket = request.bucket, .key = request.key};
  if (!request.version_id.empty()) http.query.emplace_back("versionId", request.version_id);
  if (!request.if_match.empty()) {
    http.headers.Add("If-Match", EtagToMatch(client, request.if_match));
  }
  if (!request.bucket_owner.empty()) {
    http.headers.Add("x-amz-expected-bucket-owner", request.bucket_owner);
  }
  http.repeatable = !request.at_most_once && request.if_match.empty();
  Result<S3Answer> answer = co_await client.Call(http);
  if (answer) co_return Ok();
  Error error = answer.error();
  if (error.kind == ErrorKind::kNotFound && error.code != "NoSuchBucket") {
    if (request.if_match.empty()) co_return Ok();
    error.kind = ErrorKind::kPrecondition;
  }
  co_return error.In(Place("remove", request.bucket, request.key));
}

namespace {

Async<void> RemoveInto(S3Client& client, RemoveRequest request,
                       std::vector<RemoveFailure>& failures) {
  Result<void> removed = co_await S3Remove(client, request);
  if (!removed) failures.push_back({request.key, removed.error()});
  co_return Ok();
}

// What an answer says of single keys: into `failures`, or `again` for what may succeed alone. Not
// OK: it tells of none that was asked for, so nobody knows what it did.
Result<void> SortFailures(const std::string& bucket, const std::vector<RemoveRequest>& batch,
                          std::vector<S3DeleteFailure> told, std::vector<RemoveFailure>& failures,
                          std::vector<RemoveRequest>& again) {
  std::multimap<std::string_view, const RemoveRequest*> asked;
  for (const RemoveRequest& request : batch) asked.emplace(request.key, &request);
  for (S3DeleteFailure& one : told) {
    Error error = S3ErrorInside(one.error);
    const auto [begin, end] = asked.equal_range(one.key);
    if (begin == end) {
      return error.In("the answer tells of the key \"" + one.key + "\", which was not asked for");
    }
    if (error.kind == ErrorKind::kNotFound && error.code != "NoSuchBucket") continue;
    if (!error.Transient()) {
      failures.push_back({one.key, error.In(Place("remove", bucket, one.key))});
      continue;
    }
    bool known = false;
    for (auto request = begin; request != end; ++request) {
      const std::string& version = request->second->version_id;
      // Alone it has retries of its own.
      if (one.version_id.empty() || version.empty() || version == one.version_id) {
        again.push_back(*request->second);
        known = true;
      }
    }
    if (!known) return error.In("the answer tells of another version of " + one.key);
  }
  return Ok();
}

}  // namespace

Async<std::vector<RemoveFailure>> S3RemoveMany(S3Client& client, std::string bucket,
                                               std::vector<RemoveRequest> requests) {
  std::vector<RemoveFailure> failures;
  std::vector<RemoveRequest> batch;
  std::vector<RemoveRequest> singles;  // What one request for many cannot say.
  for (RemoveRequest& request : requests) {
    request.bucket = bucket;
    bool in_batch = request.if_match.empty() && request.bucket_owner.empty() &&
                    IsXmlText(request.key) && requests.size() > 1 &&
                    client.options().quirks.deletes_batches;
    (in_batch ? batch : singles).push_back(std::move(request));
  }
  if (!batch.empty()) {
    std::string xml = WriteS3Delete(batch);
    S3Request http{.method = "POST", .bucket = bucket, .query = {{"delete", ""}}};
    http.body = AsBytes(xml);
    http.headers.Add("Content-Type", "application/xml");
    if (client.options().quirks.checks_checksums) {
      http.headers.Add(std::string(S3ChecksumHeader(ChecksumAlgorithm::kCrc64Nvme)),
                       Base64Encode(Digest(HashKind::kCrc64Nvme, *http.body)));
    } else {
      AddContentMd5(http);
    }
    Result<S3Answer> answer = co_await client.Call(http);
    if (!answer && answer.error().code == "NotImplemented") {
      for (RemoveRequest& request : batch) singles.push_back(std::move(request));
    } else {
      Result<std::vector<S3DeleteFailure>> failed =
          answer ? ParseS3DeleteResult(answer->text)
                 : Result<std::vector<S3DeleteFailure>>(answer.error());
      if (!failed) co_return failed.error().In("remove many of " + bucket);
      Result<void> sorted = SortFailures(bucket, batch, std::move(*failed), failures, singles);
      if (!sorted) co_return sorted.error().In("remove many of " + bucket);
    }
  }
  TaskGroup group(client.runtime().executor);
  for (RemoveRequest& request : singles) {
    co_await group.WaitBelow(16);
    group.Spawn(RemoveInto(client, std::move(request), failures));
  }
  Result<void> joined = co_await group.Join();
  if (!joined) co_return joined.error();
  co_return failures;
}

Async<void> S3Restore(S3Client& client, RestoreRequest request) {
  S3Request http{
      .method = "POST", .bucket = request.bucket, .key = request.key, .query = {{"restore", ""}}};
  if (!request.version_id.empty()) http.query.emplace_back("versionId", request.version_id);
  std::string xml = WriteS3Restore(request.tier, request.days);
  http.body = AsBytes(xml);
  http.headers.Add("Content-Type", "application/xml");
  AddContentMd5(http);
  Result<S3Answer> answer = co_await client.Call(http);
  if (!answer && answer.error().code == "RestoreAlreadyInProgress") co_return Ok();
  if (!answer) co_return answer.error().In(Place("restore", request.bucket, request.key));
  co_return Ok();
}

Async<bool> S3IsBeingRestored(S3Client& client, std::string bucket, std::string key) {
  S3Request http{.method = "HEAD", .bucket = bucket, .key = key};
  Result<S3Answer> answer = co_await client.Call(http);
  if (!answer) co_return answer.error().In(Place("head", bucket, key));
  // (S3 API Reference, HeadObject: x-amz-restore.)
  const std::string_view told = answer->response.headers.Get("x-amz-restore");
  co_return told.find("ongoing-request=\"true\"") != std::string_view::npos;
}

Async<void> S3ReadLock(S3Client& client, LockPart part, std::string bucket, std::string key) {
  S3Request http{.bucket = bucket, .key = key};
  http.query = {{part == LockPart::kRetention ? "retention" : "legal-hold", ""}};
  Result<S3Answer> answer = co_await client.Call(http);
  if (!answer) co_return answer.error().In(Place("lock of", bucket, key));
  co_return Ok();
}

Async<Tags> S3GetTags(S3Client& client, std::string bucket, std::string key,
                      std::string version_id) {
  if (!client.options().quirks.can.tags) co_return Tags();
  S3Request http{.bucket = bucket, .key = key, .query = {{"tagging", ""}}};
  if (!version_id.empty()) http.query.emplace_back("versionId", version_id);
  Result<S3Answer> answer = co_await client.Call(http);
  // Ceph answers with nothing at all where there are no tags.
  if (answer && answer->text.empty()) co_return Tags();
  if (!answer && answer.error().code == "NoSuchTagSet") co_return Tags();
  Result<Tags> tags = answer ? ParseS3Tagging(answer->text) : Result<Tags>(answer.error());
  if (!tags) co_return tags.error().In(Place("tags of", bucket, key));
  co_return tags;
}

Async<void> S3PutTags(S3Client& client, std::string bucket, std::string key, Tags tags,
                      std::string version_id) {
  for (const auto& [name, value] : tags) {
    if (!IsXmlText(name) || !IsXmlText(value)) {
      co_return InvalidInput("a tag that XML cannot carry").In(Place("tags of", bucket, key));
    }
  }
  S3Request http{.bucket = bucket, .key = key, .query = {{"tagging", ""}}};
  if (!version_id.empty()) http.query.emplace_back("versionId", std::move(version_id));
  std::string xml;
  if (tags.empty()) {
    http.method = "DELETE";
  } else {
    http.method = "PUT";
    xml = WriteS3Tagging(tags);
    http.body = AsBytes(xml);
    AddContentMd5(http);
  }
  Result<S3Answer> answer = co_await client.Call(http);
  if (!answer) co_return answer.error().In(Place("tags of", bucket, key));
  co_return Ok();
}

}  // namespace longhaul
