#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/s3_operations.h"
#include "storage/s3_xml.h"

namespace longhaul {
namespace {

constexpr size_t kRememberedUploadsMax = 10'000;

std::string Place(std::string_view what, const MultipartUpload& upload) {
  return std::string(what) + " " + upload.bucket + "/" + upload.key;
}

// What S3 makes the ETag of: the MD5 of the parts' MD5s; empty where their ETags are no MD5s.
std::string EtagOfParts(const std::vector<UploadedPart>& parts) {
  std::string digests;
  for (const UploadedPart& part : parts) {
    Result<std::string> digest = HexDecode(part.etag);
    if (!IsPlainMd5Etag(part.etag) || !digest) return {};
    digests += *digest;
  }
  return HexEncode(Md5(digests)) + "-" + std::to_string(parts.size());
}

// Ceph says NoSuchKey of an upload that is not there.
Error UploadError(Error error) {
  if (error.code == "NoSuchKey") error.code = "NoSuchUpload";
  return error;
}

S3Client::UploadNotes& NotesOf(S3Client& client, const std::string& upload_id) {
  auto found = client.upload_notes.find(upload_id);
  if (found != client.upload_notes.end()) return found->second;
  if (client.upload_notes.size() >= kRememberedUploadsMax) client.upload_notes.clear();
  return client.upload_notes[upload_id];
}

}  // namespace

void S3NoteUpload(S3Client& client, const std::string& upload_id, const PutRequest& request) {
  ChecksumAlgorithm algorithm =
      request.checksum ? request.checksum->algorithm : ChecksumAlgorithm::kCrc64Nvme;
  if (algorithm == ChecksumAlgorithm::kCrc64Nvme && (request.tags.empty() || client.is_aws())) {
    return;
  }
  S3Client::UploadNotes& notes = NotesOf(client, upload_id);
  notes.algorithm = algorithm;
  if (!client.is_aws()) notes.tags = request.tags;
}

void S3NoteEncryption(S3Client& client, const std::string& upload_id, const HttpHeaders& headers) {
  if (HasEncryptionOfItsOwn(headers)) NotesOf(client, upload_id).etags_opaque = true;
}

Async<MultipartUpload> S3CreateMultipart(S3Client& client, PutRequest request) {
  Result<void> known = CheckWrite(client, {}, request.tags, false);
  if (known) known = SettleClass(client, request.bucket, request.storage_class);
  if (!known) co_return known.error().In("create upload of " + request.bucket + "/" + request.key);
  S3Request http{
      .method = "POST", .bucket = request.bucket, .key = request.key, .query = {{"uploads", ""}}};
  AddObjectHeaders(request, http.headers);
  ChecksumAlgorithm algorithm =
      request.checksum ? request.checksum->algorithm : ChecksumAlgorithm::kCrc64Nvme;
  if (client.checksum_support != S3Client::ChecksumSupport::kNo && !request.parts_copied) {
    http.headers.Add("x-amz-checksum-algorithm", std::string(S3ChecksumName(algorithm)));
    bool is_crc = algorithm != ChecksumAlgorithm::kSha1 && algorithm != ChecksumAlgorithm::kSha256;
    http.headers.Add("x-amz-checksum-type", is_crc ? "FULL_OBJECT" : "COMPOSITE");
  }
  // Repeated, it may leave an upload without parts that nobody knows of.
  http.repeatable = !request.at_most_once;
  Result<S3Answer> answer = co_await client.Call(http);
  Result<std::string> id =
      answer ? ParseS3UploadId(answer->text) : Result<std::string>(answer.error());
  if (!id) co_return id.error().In("create upload of " + request.bucket + "/" + request.key);
  S3NoteUpload(client, *id, request);
  S3NoteEncryption(client, *id, answer->response.headers);
  co_return MultipartUpload{.bucket = request.bucket,
                            .key = request.key,
                            .upload_id = std::move(*id),
                            .initiated = client.TimeOf(answer->response.headers)};
}

Async<std::vector<UploadedPart>> S3ListParts(S3Client& client, const MultipartUpload& upload) {
  std::vector<UploadedPart> parts;
  int marker = 0;
  do {
    S3Request http{.bucket = upload.bucket,
                   .key = upload.key,
                   .query = {{"uploadId", upload.upload_id}, {"max-parts", "1000"}}};
    if (marker > 0) http.query.emplace_back("part-number-marker", std::to_string(marker));
    Result<S3Answer> answer = co_await client.Call(http);
    Result<S3PartsPage> page =
        answer ? ParseS3Parts(answer->text) : Result<S3PartsPage>(answer.error());
    if (!page) co_return UploadError(page.error()).In(Place("list parts of", upload));
    for (UploadedPart& part : page->parts) parts.push_back(std::move(part));
    if (page->next_marker != 0 && page->next_marker <= marker) {
      co_return Corrupt("the list of parts does not move on").In(Place("list parts of", upload));
    }
    marker = page->next_marker;
  } while (marker > 0);
  co_return parts;
}

namespace {

// To put parts together takes some servers as long as to copy them.
constexpr std::chrono::minutes kThereWithin{5};
constexpr std::chrono::milliseconds kLookFirst{100};
constexpr std::chrono::milliseconds kLookLast{5'000};

// Whether what stands there has been written since a request that took `took` and was answered
// then.
bool IsWrittenSince(const ObjectInfo& info, const PutResult& done, std::chrono::nanoseconds took) {
  if (info.last_modified == SystemTime{}) return true;  // It does not tell.
  const auto begun = done.server_time - std::chrono::ceil<std::chrono::seconds>(took);
  return info.last_modified + std::chrono::seconds(1) >= begun;
}

// A server may answer with success while another request still puts the parts together, as that of
// a process that was killed, and have nothing when that fails; or where an earlier object stands
// and the upload is gone (versitygw 1.8: both). OK: the object is there.
Async<void> AwaitObject(S3Client& client, const MultipartUpload& upload, const PutResult& done,
                        std::chrono::nanoseconds took) {
  Clock& clock = client.runtime().clock;
  const SteadyTime end = clock.SteadyNow() + kThereWithin;
  for (std::chrono::milliseconds pause = kLookFirst;; pause = std::min(2 * pause, kLookLast)) {
    Result<ObjectInfo> there = co_await S3Head(client, {.bucket = upload.bucket,
                                                        .key = upload.key,
                                                        .version_id = "",
                                                        .part_number = std::nullopt});
    if (there && (there->etag == done.etag || IsWrittenSince(*there, done, took))) co_return Ok();
    const bool may_come =
        there || there.error().Transient() || there.error().kind == ErrorKind::kNotFound;
    if (!may_come) co_return Ok();  // Whoever may write need not be allowed to look.
    if (clock.SteadyNow() >= end) {
      co_return Retryable(
          "the server says that the upload is complete, and the object is not there");
    }
    co_await clock.Sleep(pause);
  }
}

}  // namespace

Async<PutResult> S3CompleteMultipart(S3Client& client, CompleteRequest request) {
  const MultipartUpload& upload = request.upload;
  Result<void> known = CheckWrite(client, request.condition, {}, true);
  if (!known) co_return known.error().In(Place("complete", upload));
  std::string xml = WriteS3Complete(request.parts);
  S3Request http{.method = "POST",
                 .bucket = upload.bucket,
                 .key = upload.key,
                 .query = {{"uploadId", upload.upload_id}}};
  http.body = AsBytes(xml);
  http.slow_answer = true;
  http.headers.Add("Content-Type", "application/xml");
  AddWriteCondition(client, request.condition, http.headers);
  if (request.checksum && !request.checksum->value.empty() && !request.checksum->composite &&
      client.checksum_support != S3Client::ChecksumSupport::kNo) {
    http.headers.Add(std::string(S3ChecksumHeader(request.checksum->algorithm)),
                     request.checksum->value);
    http.headers.Add("x-amz-checksum-type", "FULL_OBJECT");
  }
  http.repeatable = !request.condition.if_absent && request.condition.if_match.empty();
  S3Trace trace;
  http.trace = &trace;
  const SteadyTime asked = client.runtime().clock.SteadyNow();
  Result<S3Answer> answer = co_await client.Call(http);
  PutResult result;
  if (answer) {
    Result<std::string> etag = ParseS3Etag(answer->text);
    if (!etag) co_return etag.error().In(Place("complete", upload));
    // Ceph answers with an empty one.
    result.etag = etag->empty() ? EtagOfParts(request.parts) : std::move(*etag);
    result.version_id = answer->response.headers.Get("x-amz-version-id");
    if (result.version_id == "null") result.version_id.clear();
    result.server_time = client.TimeOf(answer->response.headers);
    if (!client.is_aws()) {
      Result<void> there =
          co_await AwaitObject(client, upload, result, client.runtime().clock.SteadyNow() - asked);
      if (!there) co_return there.error().In(Place("complete", upload));
    }
  } else {
    Error error = UploadError(answer.error());
    if (error.code != "NoSuchUpload" || trace.sent <= 1) {
      co_return error.In(Place("complete", upload));
    }
    // Perhaps an earlier attempt succeeded and only its answer was lost.
    Result<ObjectInfo> there = co_await S3Head(client, {.bucket = upload.bucket,
                                                        .key = upload.key,
                                                        .version_id = "",
                                                        .part_number = std::nullopt});
    if (!there || there->etag != EtagOfParts(request.parts)) {
      co_return error.In(Place("complete", upload));
    }
    result.etag = there->etag;
    result.version_id = there->version_id;
    result.server_time = there->server_time;
  }
  auto notes = client.upload_notes.extract(upload.upload_id);
  if (!notes.empty() && !notes.mapped().tags.empty()) {
    Result<void> tagged = co_await KeepTags(client, upload.bucket, upload.key, result,
                                            std::move(notes.mapped().tags));
    if (!tagged) co_return tagged.error().In(Place("complete", upload));
  }
  co_return result;
}

Async<void> S3AbortMultipart(S3Client& client, const MultipartUpload& upload) {
  S3Request http{.method = "DELETE",
                 .bucket = upload.bucket,
                 .key = upload.key,
                 .query = {{"uploadId", upload.upload_id}}};
  client.upload_notes.erase(upload.upload_id);
  Result<S3Answer> answer = co_await client.Call(http);
  if (!answer && UploadError(answer.error()).code != "NoSuchUpload") {
    co_return answer.error().In(Place("abort upload of", upload));
  }
  co_return Ok();
}

}  // namespace longhaul
