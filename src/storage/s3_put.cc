// Bodies on their way up: which checksum goes with them, and what the answer proves.

#include <algorithm>

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/s3_body.h"
#include "storage/s3_bucket_name.h"
#include "storage/s3_error.h"
#include "storage/s3_operations.h"
#include "storage/s3_xml.h"

namespace longhaul {
namespace {

using ChecksumSupport = S3Client::ChecksumSupport;

// A CRC of this much takes an eighth of a millisecond; more goes to the pool.
constexpr size_t kCrcInlineBytes = 1 << 20;
constexpr size_t kHashInlineBytes = 32 << 10;
constexpr size_t kReadBackBytes = 256 << 10;

Async<std::string> DigestOf(S3Client& client, HashKind kind, std::span<const std::byte> bytes) {
  bool cheap =
      kind == HashKind::kCrc32 || kind == HashKind::kCrc32c || kind == HashKind::kCrc64Nvme;
  if (bytes.size() <= (cheap ? kCrcInlineBytes : kHashInlineBytes)) co_return Digest(kind, bytes);
  std::string digest =
      co_await client.runtime().pool.Run([kind, bytes] { return Digest(kind, bytes); });
  co_return digest;
}

struct Upload {
  S3Request request;
  std::optional<Checksum> checksum;  // What the caller knows of the body.
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc64Nvme;  // What is computed else.
  std::string content_md5;
  bool etag_is_md5 = true;  // Of the answer; else it verifies nothing.
};

struct Uploaded {
  HttpHeaders headers;
  std::optional<Checksum> checksum;  // That the server confirmed or was sent.
};

Async<Uploaded> SendContiguous(S3Client& client, Upload upload, std::span<const std::byte> bytes) {
  S3Request& request = upload.request;
  request.body = bytes;
  ChecksumSupport support =
      client.ChecksumSupportOf(upload.checksum ? upload.checksum->algorithm : upload.algorithm);
  if (upload.checksum && support != ChecksumSupport::kYes) {
    // Such a server would take the body whatever the checksum says.
    Result<std::string> digest =
        co_await DigestOf(client, HashKindOf(upload.checksum->algorithm), bytes);
    if (!digest) co_return digest.error();
    if (Base64Encode(*digest) != upload.checksum->value) {
      co_return WrongDigest();
    }
  }
  if (!upload.checksum && support != ChecksumSupport::kNo) {
    Result<std::string> digest = co_await DigestOf(client, HashKindOf(upload.algorithm), bytes);
    if (!digest) co_return digest.error();
    upload.checksum = Checksum{upload.algorithm, Base64Encode(*digest), false};
  }
  if (upload.checksum && support != ChecksumSupport::kNo) {
    request.headers.Add(std::string(S3ChecksumHeader(upload.checksum->algorithm)),
                        upload.checksum->value);
  }
  if (upload.content_md5.empty() && support != ChecksumSupport::kYes) {
    Result<std::string> digest = co_await DigestOf(client, HashKind::kMd5, bytes);
    if (!digest) co_return digest.error();
    upload.content_md5 = Base64Encode(*digest);
  }
  if (!upload.content_md5.empty()) request.headers.Add("Content-MD5", upload.content_md5);
  Result<S3Answer> answer = co_await client.Call(request);
  if (!answer) co_return answer.error();
  if (upload.checksum && support == ChecksumSupport::kUnknown) {
    client.LearnChecksums(
        upload.checksum->algorithm,
        answer->response.headers.Find(S3ChecksumHeader(upload.checksum->algorithm)) != nullptr);
  }
  if (upload.checksum &&
      client.ChecksumSupportOf(upload.checksum->algorithm) == ChecksumSupport::kNo) {
    upload.checksum.reset();
  }
  co_return Uploaded{std::move(answer->response.headers), std::move(upload.checksum)};
}

Error StoredWrong(const Checksum& sent, const std::string& there) {
  return Corrupt("what the server stored is not what was sent: its checksum is " + there +
                 ", that of the body was " + sent.value);
}

constexpr int kReadBacksMax = 3;

// Reads the object that a PUT answered with `etag`, and compares.
Async<void> ReadBack(S3Client& client, const S3Request& put, const Checksum& sent,
                     const std::string& etag, const std::string& version_id) {
  Result<ObjectStream> stream = co_await S3Get(client,
                                               {.bucket = put.bucket,
                                                .key = put.key,
                                                .version_id = version_id,
                                                .range = {},
                                                .suffix_bytes = {},
                                                .if_match = etag,
                                                .verify = false},
                                               nullptr);
  if (!stream) co_return stream.error();
  HashKind kind = HashKindOf(sent.algorithm);
  std::unique_ptr<Hasher> hasher = NewHasher(kind);
  std::vector<std::byte> buffer(kReadBackBytes);
  while (true) {
    Result<size_t> count = co_await stream->body->Read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) break;
    co_await HashPiece(client.runtime().pool, kind, *hasher, std::span(buffer).first(*count));
  }
  std::string there = Base64Encode(hasher->Finish());
  if (there != sent.value) co_return StoredWrong(sent, there);
  co_return Ok();
}

// After a streamed PUT with a checksum to a server of which it is not known whether it looks at
// them: finds out, and where it does not, reads back what was stored, if `read_back`. Those that
// come after it have their MD5 compared.
Async<void> Confirm(S3Client& client, const S3Request& put, const Checksum& sent,
                    const HttpHeaders& headers, bool read_back) {
  std::string_view header = S3ChecksumHeader(sent.algorithm);
  if (const std::string* there = headers.Find(header)) {
    if (*there != sent.value) co_return StoredWrong(sent, *there);
    client.LearnChecksums(sent.algorithm, true);
    co_return Ok();
  }
  // Not every server that keeps a checksum tells it at once.
  std::string etag = StripEtag(headers.Get("ETag"));
  std::string version_id(headers.Get("x-amz-version-id"));
  if (version_id == "null") version_id.clear();
  Result<ObjectInfo> info = co_await S3Head(
      client, {.bucket = put.bucket, .key = put.key, .version_id = version_id, .part_number = {}});
  if (!info) {
    Error error = info.error().In("look at what was put");
    // Who may only write cannot look: the next one has its MD5 compared.
    if (error.kind == ErrorKind::kDenied) {
      client.LearnChecksums(sent.algorithm, false);
      error.kind = ErrorKind::kRetryable;
    }
    co_return error;
  }
  for (const Checksum& there : info->checksums) {
    if (there.algorithm != sent.algorithm || there.composite || info->etag != etag) continue;
    if (there.value != sent.value) co_return StoredWrong(sent, there.value);
    client.LearnChecksums(sent.algorithm, true);
    co_return Ok();
  }
  client.LearnChecksums(sent.algorithm, false);
  if (!read_back) co_return Ok();
  // Again when the stream broke: a caller who put it again would find it there, and believe it.
  Result<void> same = co_await ReadBack(client, put, sent, etag, version_id);
  for (int tries = 1; !same && same.error().Transient() && tries < kReadBacksMax; ++tries) {
    same = co_await ReadBack(client, put, sent, etag, version_id);
  }
  if (same) co_return Ok();
  // Someone else wrote the key since: what became of our bytes cannot be told.
  Error error = same.error();
  if (error.kind == ErrorKind::kPrecondition) error.kind = ErrorKind::kRetryable;
  co_return error.kind == ErrorKind::kCorrupt ? error : error.In("read back what was put");
}

// Whether a streamed body has its checksum behind it.
bool GoesByTrailer(const S3Client& client, const Upload& upload) {
  const std::optional<Capabilities>& probed = client.options().probed;
  return !upload.checksum && upload.algorithm == ChecksumAlgorithm::kCrc64Nvme &&
         client.ChecksumSupportOf(upload.algorithm) == ChecksumSupport::kYes &&
         client.options().quirks.can.trailing_checksums && (!probed || probed->trailing_checksums);
}

Async<Uploaded> SendStreamed(S3Client& client, Upload upload, ByteSource& body) {
  S3Request& request = upload.request;
  ChecksumSupport support =
      client.ChecksumSupportOf(upload.checksum ? upload.checksum->algorithm : upload.algorithm);
  const bool by_trailer = GoesByTrailer(client, upload);
  // What neither a checksum nor Content-MD5 lets the server check is checked here, by the ETag.
  // With a checksum that the server may or may not know, its answer tells first: an MD5 costs ten
  // times as much as what is done then.
  bool by_etag = !by_trailer && upload.content_md5.empty() &&
                 (!upload.checksum || support == ChecksumSupport::kNo);
  std::optional<ExpectedDigest> expected;
  if (upload.checksum && support != ChecksumSupport::kYes) {
    Result<std::string> digest = Base64Decode(upload.checksum->value);
    if (!digest) co_return WrongDigest();
    expected = ExpectedDigest{HashKindOf(upload.checksum->algorithm), std::move(*digest)};
  }
  CpuPool& pool = client.runtime().pool;
  HashingSource plain(pool, body, by_etag ? std::optional(HashKind::kMd5) : std::nullopt, expected);
  TrailerSource trailer(pool, body);
  if (by_trailer) {
    request.source = &trailer;
    request.source_size_bytes = TrailerSource::EncodedSize(body.size_bytes());
    request.payload_sha256 = kUnsignedPayloadTrailer;
    std::string encoding(request.headers.Get("Content-Encoding"));
    request.headers.Set("Content-Encoding",
                        encoding.empty() ? "aws-chunked" : "aws-chunked," + encoding);
    request.headers.Add("x-amz-decoded-content-length", std::to_string(body.size_bytes()));
    request.headers.Add("x-amz-trailer", "x-amz-checksum-crc64nvme");
    // With Object Lock S3 wants to read in the head that there will be one. (Others refuse it.)
    if (request.headers.Find("x-amz-object-lock-mode") != nullptr ||
        request.headers.Find("x-amz-object-lock-legal-hold") != nullptr) {
      request.headers.Add("x-amz-sdk-checksum-algorithm", "CRC64NVME");
    }
  } else {
    request.source = &plain;
    request.source_size_bytes = body.size_bytes();
    if (upload.checksum && support != ChecksumSupport::kNo) {
      request.headers.Add(std::string(S3ChecksumHeader(upload.checksum->algorithm)),
                          upload.checksum->value);
    }
    if (!upload.content_md5.empty()) request.headers.Add("Content-MD5", upload.content_md5);
  }
  // Sent once: its bytes are gone then. Only what never left may be tried again.
  const Runtime& runtime = client.runtime();
  RetryState state(client.retry_policy(), client.retry_budget(), runtime.clock, runtime.random);
  while (true) {
    Result<HttpResponse> response = co_await client.SendOnce(request);
    if (!response) {
      bool untouched = by_trailer ? !trailer.touched() : !plain.touched();
      if (!untouched || !co_await client.WaitToRetry(state, request, response.error())) {
        co_return state.GaveUp(response.error());
      }
      continue;
    }
    Result<std::string> text = co_await ReadAll(*response->body, kS3ErrorBytesMax);
    if (!text) co_return text.error();
    client.Succeeded(state);
    std::string etag = StripEtag(response->headers.Get("ETag"));
    if (by_etag && IsPlainMd5Etag(etag) && !HasEncryptionOfItsOwn(response->headers) &&
        etag != HexEncode(plain.digest())) {
      co_return Corrupt("what the server stored is not what was sent: its ETag is " + etag +
                        ", the MD5 was " + HexEncode(plain.digest()));
    }
    if (by_trailer) {
      upload.checksum =
          Checksum{ChecksumAlgorithm::kCrc64Nvme, Base64Encode(trailer.digest()), false};
    } else if (upload.checksum && support == ChecksumSupport::kUnknown) {
      Result<void> confirmed = co_await Confirm(client, request, *upload.checksum,
                                                response->headers, upload.content_md5.empty());
      if (!confirmed) co_return confirmed.error();
    }
    if (upload.checksum &&
        client.ChecksumSupportOf(upload.checksum->algorithm) == ChecksumSupport::kNo) {
      upload.checksum.reset();
    }
    co_return Uploaded{std::move(response->headers), std::move(upload.checksum)};
  }
}

Async<Uploaded> SendPieces(S3Client& client, Upload upload, ByteSource& body) {
  // Payloads that must be signed are needed twice, so they are held, as are those of which only
  // Content-MD5 can say what they are; and what is empty is at hand.
  const bool verifiable = upload.etag_is_md5 || upload.checksum || !upload.content_md5.empty() ||
                          GoesByTrailer(client, upload);
  if (body.size_bytes() == 0 || client.signs_payloads || !verifiable) {
    const uint64_t size = body.size_bytes();
    if (size > kS3HeldBytesMax) {
      co_return InvalidInput(
          !verifiable ? "a streamed body of more than 64 MiB cannot be verified by this server; "
                        "use smaller parts"
                      : "a streamed body of more than 64 MiB cannot be signed; use smaller parts, "
                        "or https or payload_signing: never for this store");
    }
    std::optional<HeldBodies::Room> room = co_await HeldBodies::Take(
        client.held_bodies, client.runtime().clock, size, client.options().operation_timeout);
    if (!room) {
      co_return Error{.kind = ErrorKind::kThrottled,
                      .message = "bodies that are held to be signed took all room for too long",
                      .code = "SlowDown"};
    }
    std::vector<std::byte> held(static_cast<size_t>(size));
    size_t filled = 0;
    while (filled < held.size()) {
      Result<size_t> count = co_await body.Read(std::span(held).subspan(filled));
      if (!count) co_return count.error();
      if (*count == 0) co_return InvalidInput("the source ended early");
      filled += *count;
    }
    Result<void> right = co_await ReadEnd(body);
    if (!right) co_return right.error();
    co_return co_await SendContiguous(client, std::move(upload), held);
  }
  co_return co_await SendStreamed(client, std::move(upload), body);
}

Async<Uploaded> Send(S3Client& client, Upload upload, ByteSource& body) {
  if (std::optional<std::span<const std::byte>> bytes = body.contiguous()) {
    return SendContiguous(client, std::move(upload), *bytes);
  }
  return SendPieces(client, std::move(upload), body);
}

}  // namespace

bool HasEncryptionOfItsOwn(const HttpHeaders& headers) {
  std::string_view encryption = headers.Get("x-amz-server-side-encryption");
  return encryption.starts_with("aws:kms") ||
         headers.Find("x-amz-server-side-encryption-customer-algorithm") != nullptr;
}

std::string EtagToMatch(const S3Client& client, const std::string& etag) {
  return client.is_aws() ? "\"" + etag + "\"" : etag;
}

void AddWriteCondition(const S3Client& client, const WriteCondition& condition,
                       HttpHeaders& headers) {
  if (condition.if_absent) headers.Add("If-None-Match", "*");
  if (!condition.if_match.empty()) {
    headers.Add("If-Match", EtagToMatch(client, condition.if_match));
  }
}

void AddContentMd5(S3Request& request) {
  request.headers.Set("Content-MD5", Base64Encode(Digest(HashKind::kMd5, *request.body)));
}

void AddObjectHeaders(const PutRequest& request, HttpHeaders& headers) {
  auto add = [&headers](const char* name, const std::string& value) {
    if (!value.empty()) headers.Add(name, value);
  };
  add("Content-Type", request.headers.content_type);
  add("Content-Encoding", request.headers.content_encoding);
  add("Content-Language", request.headers.content_language);
  add("Content-Disposition", request.headers.content_disposition);
  add("Cache-Control", request.headers.cache_control);
  add("Expires", request.headers.expires);
  add("x-amz-website-redirect-location", request.headers.website_redirect_location);
  for (const auto& [name, value] : request.metadata) headers.Add("x-amz-meta-" + name, value);
  add("x-amz-storage-class", request.storage_class);
  std::string tagging;
  for (const auto& [name, value] : request.tags) {
    if (!tagging.empty()) tagging += '&';
    tagging += PercentEncode(name, Slash::kEncode) + "=" + PercentEncode(value, Slash::kEncode);
  }
  add("x-amz-tagging", tagging);
  add("x-amz-server-side-encryption",
      request.sse.empty() && !request.kms_key.empty() ? "aws:kms" : request.sse);
  add("x-amz-server-side-encryption-aws-kms-key-id", request.kms_key);
  if (request.bucket_key) {
    add("x-amz-server-side-encryption-bucket-key-enabled", *request.bucket_key ? "true" : "false");
  }
  if (request.lock && !request.lock->mode.empty()) {
    headers.Add("x-amz-object-lock-mode", request.lock->mode);
    headers.Add("x-amz-object-lock-retain-until-date", FormatRfc3339(request.lock->until));
  }
  if (request.lock && request.lock->legal_hold) headers.Add("x-amz-object-lock-legal-hold", "ON");
  add("x-amz-acl", request.acl);
  add("x-amz-expected-bucket-owner", request.bucket_owner);
}

Result<void> CheckWrite(const S3Client& client, const WriteCondition& condition, const Tags& tags,
                        bool completes) {
  const Capabilities& can = client.options().quirks.can;
  auto refuse = [](std::string_view what) -> Result<void> {
    Error error = InvalidInput("this store has no " + std::string(what));
    error.code = "NotImplemented";
    return error;
  };
  if (condition.if_absent && !(completes ? can.complete_if_absent : can.create_if_absent)) {
    return refuse("If-None-Match of writes");
  }
  if (!condition.if_match.empty() && !(completes ? can.complete_if_match : can.replace_if_match)) {
    return refuse("If-Match of writes");
  }
  if (!tags.empty() && !can.tags) return refuse("tags");
  return Ok();
}

Result<void> SettleClass(const S3Client& client, const std::string& bucket,
                         std::string& storage_class) {
  if (client.options().quirks.can.storage_classes || storage_class.empty()) return Ok();
  const std::string_view only = IsDirectoryBucket(bucket) ? "EXPRESS_ONEZONE" : "STANDARD";
  if (storage_class != only) {
    Error error = InvalidInput("this store has one storage class, and it is not " + storage_class);
    error.code = "NotImplemented";
    return error;
  }
  storage_class.clear();
  return Ok();
}

Async<PutResult> S3Put(S3Client& client, PutRequest request, ByteSource& body) {
  Result<void> known = CheckWrite(client, request.condition, request.tags, false);
  if (known) known = SettleClass(client, request.bucket, request.storage_class);
  if (!known) co_return known.error().In("put " + request.bucket + "/" + request.key);
  Upload upload;
  upload.request.method = "PUT";
  upload.request.bucket = request.bucket;
  upload.request.key = request.key;
  AddObjectHeaders(request, upload.request.headers);
  AddWriteCondition(client, request.condition, upload.request.headers);
  if (request.checksum) {
    upload.algorithm = request.checksum->algorithm;
    if (!request.checksum->value.empty() && !request.checksum->composite) {
      upload.checksum = request.checksum;
    }
  }
  if (!client.options().quirks.checks_checksums) upload.content_md5 = request.content_md5;
  upload.etag_is_md5 = client.options().quirks.md5_etags;
  upload.request.repeatable =
      !request.at_most_once && !request.condition.if_absent && request.condition.if_match.empty();
  Result<Uploaded> sent = co_await Send(client, std::move(upload), body);
  if (!sent) co_return sent.error().In("put " + request.bucket + "/" + request.key);
  PutResult result;
  result.etag = StripEtag(sent->headers.Get("ETag"));
  result.version_id = sent->headers.Get("x-amz-version-id");
  if (result.version_id == "null") result.version_id.clear();
  result.server_time = client.TimeOf(sent->headers);
  co_return result;
}

Async<UploadedPart> S3UploadPart(S3Client& client, const MultipartUpload& multipart, int number,
                                 ByteSource& body) {
  Upload upload;
  upload.request.method = "PUT";
  upload.request.bucket = multipart.bucket;
  upload.request.key = multipart.key;
  upload.request.query = {{"partNumber", std::to_string(number)},
                          {"uploadId", multipart.upload_id}};
  upload.etag_is_md5 = client.options().quirks.multipart_etags;
  auto notes = client.upload_notes.find(multipart.upload_id);
  if (notes != client.upload_notes.end()) upload.algorithm = notes->second.algorithm;
  uint64_t size = body.size_bytes();
  Result<Uploaded> sent = co_await Send(client, std::move(upload), body);
  if (!sent) {
    co_return sent.error().In("part " + std::to_string(number) + " of " + multipart.bucket + "/" +
                              multipart.key);
  }
  S3NoteEncryption(client, multipart.upload_id, sent->headers);
  co_return UploadedPart{.number = number,
                         .etag = StripEtag(sent->headers.Get("ETag")),
                         .size_bytes = size,
                         .checksum = std::move(sent->checksum)};
}

}  // namespace longhaul
