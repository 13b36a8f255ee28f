// What the S3 client says of objects, and does with answers that are wrong (when it asks again:
// s3_retries_test.cc, how it signs: s3_signing_test.cc, bodies: s3_bodies_test.cc). What servers do
// rightly is tested on real ones (tests/conformance).

#include "storage/s3_store.h"

#include <gtest/gtest.h>

#include <set>

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/adopt_multipart.h"
#include "storage/part_rules.h"
#include "storage/restores_objects.h"
#include "storage/s3_body.h"
#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul {
namespace {

using testing::Answer;
using testing::PlannedHttp;
using testing::S3StoreTest;
using testing::Seen;

// Encryption, class and owner of an object are decided when it is written: a header that is missing
// then leaves a replica under the wrong key.
TEST_F(S3StoreTest, SaysHowAnObjectIsToBeKept) {
  PutRequest request = At("k");
  request.storage_class = "STANDARD_IA";
  request.kms_key = "arn:aws:kms:us-east-2:111122223333:key/k";
  request.acl = "bucket-owner-full-control";
  request.bucket_owner = "111122223333";
  http.answers = {{.headers = {{"ETag", "\"e\""}}}};
  ASSERT_TRUE(world.Run(PutText(Open(), request, "text")));
  http.answers = {{.body = "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                           "</InitiateMultipartUploadResult>"}};
  ASSERT_TRUE(world.Run(store->CreateMultipart(request)));
  http.answers = {{.status = 204}};
  ASSERT_TRUE(
      world.Run(store->Remove({.bucket = "bucket", .key = "k", .bucket_owner = "111122223333"})));
  CopyRequest copy{.source_bucket = "bucket",
                   .source_key = "from",
                   .bucket = "bucket",
                   .key = "k",
                   .storage_class = request.storage_class,
                   .kms_key = request.kms_key,
                   .acl = request.acl,
                   .bucket_owner = request.bucket_owner};
  http.answers = {{.body = "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"}};
  ASSERT_TRUE(world.Run(store->Copy(copy)));
  ASSERT_EQ(http.seen.size(), 4u);
  for (size_t i : {0, 1, 3}) {
    const HttpHeaders& headers = http.seen[i].request.headers;
    EXPECT_EQ(headers.Get("x-amz-storage-class"), "STANDARD_IA");
    EXPECT_EQ(headers.Get("x-amz-server-side-encryption"), "aws:kms");
    EXPECT_EQ(headers.Get("x-amz-server-side-encryption-aws-kms-key-id"), request.kms_key);
    EXPECT_EQ(headers.Get("x-amz-acl"), "bucket-owner-full-control");
  }
  for (const Seen& seen : http.seen) {
    EXPECT_EQ(seen.request.headers.Get("x-amz-expected-bucket-owner"), "111122223333");
  }
  http.seen.clear();
  http.answers = {{.headers = {{"ETag", "\"e\""}}}};
  ASSERT_TRUE(world.Run(PutText(*store, At("k"), "text")));
  for (const char* name : {"x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-acl",
                           "x-amz-expected-bucket-owner"}) {
    EXPECT_EQ(http.seen[0].request.headers.Find(name), nullptr) << name;
  }
}

// A bucket of which the requester pays refuses whatever does not say so, signed.
TEST_F(S3StoreTest, EachRequestSaysThatTheRequesterPays) {
  for (const bool pays : {true, false}) {
    options.requester_pays = pays;
    http.seen.clear();
    http.answers = {{.headers = {{"ETag", "\"e\""}, {"Content-Length", "0"}}}};
    ASSERT_TRUE(world.Run(PutText(Open(), At("k"), "text")));
    ASSERT_TRUE(world.Run(store->Head({.bucket = "bucket", .key = "k"})));
    ASSERT_TRUE(world.Run(store->Get(From("k"))));
    ASSERT_TRUE(world.Run(store->GetTags("bucket", "k", "")));
    ASSERT_TRUE(world.Run(store->Remove({.bucket = "bucket", .key = "k"})));
    http.answers = {
        {.body = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"}};
    ASSERT_TRUE(world.Run(store->List({.bucket = "bucket"})));
    ASSERT_EQ(http.seen.size(), 6U);
    for (const Seen& seen : http.seen) {
      const HttpHeaders& headers = seen.request.headers;
      EXPECT_EQ(headers.Get("x-amz-request-payer"), pays ? "requester" : "") << seen.request.url;
      EXPECT_EQ(headers.Get("Authorization").contains("x-amz-request-payer"), pays);
    }
  }
}

// Nothing of a copy within the store travels, and S3 refuses it between regions at the host that
// accelerates: a rename would fail, or cost what acceleration costs.
TEST_F(S3StoreTest, CopiesWithinAnAcceleratedStoreAreNotAccelerated) {
  options.endpoint.clear();
  options.accelerate = true;
  http.answers = {{.headers = {{"ETag", "\"e\""}}}};
  ASSERT_TRUE(world.Run(PutText(Open(), At("k"), "text")));
  http.answers = {{.body = "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"}};
  CopyRequest copy{.source_bucket = "bucket", .source_key = "from", .bucket = "bucket", .key = "k"};
  ASSERT_TRUE(world.Run(store->Copy(copy)));
  http.answers = {{.body = "<CopyPartResult><ETag>e</ETag></CopyPartResult>"}};
  MultipartUpload upload{.bucket = "bucket", .key = "k", .upload_id = "u"};
  CopyPartRequest part{.source_bucket = "bucket", .source_key = "from", .range = {.size_bytes = 5}};
  ASSERT_TRUE(world.Run(store->CopyPart(upload, 1, part)));
  ASSERT_EQ(http.seen.size(), 3U);
  EXPECT_TRUE(http.seen[0].request.url.contains("bucket.s3-accelerate."))
      << http.seen[0].request.url;
  for (size_t i : {1, 2}) {
    EXPECT_FALSE(http.seen[i].request.url.contains("accelerate")) << http.seen[i].request.url;
    EXPECT_TRUE(http.seen[i].request.url.contains("://bucket.s3.")) << http.seen[i].request.url;
  }
}

// The Content-Length of a HEAD is the object's: memory for it would be taken and cleared for
// nothing, outside of the budget.
TEST_F(S3StoreTest, AHeadTakesNoMemoryForTheObject) {
  http.answers = {{.headers = {{"ETag", "\"e\""}, {"Content-Length", "5497558138880"}}}};
  Result<ObjectInfo> info = world.Run(Open().Head({.bucket = "bucket", .key = "k"}));
  ASSERT_TRUE(info) << info.error().Describe();
  EXPECT_EQ(info->size_bytes, uint64_t{5} << 40);
  EXPECT_LE(http.asked_most, 64U << 10);
}

// A lock that is read wrongly, or not sent, is a replica that anybody may remove.
TEST_F(S3StoreTest, LocksAreReadAndSent) {
  const SystemTime until(std::chrono::seconds(1'900'000'000));
  http.answers = {{.headers = {{"ETag", "\"e\""},
                               {"x-amz-object-lock-mode", "COMPLIANCE"},
                               {"x-amz-object-lock-retain-until-date", "2030-03-17T17:46:40.000Z"},
                               {"x-amz-object-lock-legal-hold", "ON"}}},
                  {.headers = {{"ETag", "\"e\""}, {"x-amz-object-lock-legal-hold", "OFF"}}}};
  Result<ObjectInfo> info = world.Run(Open().Head({.bucket = "bucket", .key = "k"}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->lock, (ObjectLock{.mode = "COMPLIANCE", .until = until, .legal_hold = true}));
  info = world.Run(store->Head({.bucket = "bucket", .key = "k"}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->lock, std::nullopt);
  http.seen.clear();
  http.answers = {{.headers = {{"ETag", "\"e\""}}}};
  PutRequest request = At("k");
  request.lock = ObjectLock{.mode = "GOVERNANCE", .until = until};
  ASSERT_TRUE(world.Run(PutText(*store, request, "text")));
  request.lock = ObjectLock{.legal_hold = true};
  ASSERT_TRUE(world.Run(PutText(*store, request, "text")));
  ASSERT_EQ(http.seen.size(), 2U);
  const HttpHeaders& retained = http.seen[0].request.headers;
  EXPECT_EQ(retained.Get("x-amz-object-lock-mode"), "GOVERNANCE");
  EXPECT_EQ(retained.Get("x-amz-object-lock-retain-until-date"), "2030-03-17T17:46:40Z");
  EXPECT_EQ(retained.Find("x-amz-object-lock-legal-hold"), nullptr);
  const HttpHeaders& held = http.seen[1].request.headers;
  EXPECT_EQ(held.Find("x-amz-object-lock-mode"), nullptr);
  EXPECT_EQ(held.Get("x-amz-object-lock-legal-hold"), "ON");
  for (const Seen& seen : http.seen) {  // S3 wants one of them beside a lock.
    const HttpHeaders& headers = seen.request.headers;
    bool checked = headers.Find("Content-MD5") != nullptr;
    for (const auto& [name, value] : headers.entries()) {
      checked = checked || name.starts_with("x-amz-checksum-");
    }
    EXPECT_TRUE(checked);
  }
}

// What is not said, or is said and not signed, leaves a replica under another key than was meant.
TEST_F(S3StoreTest, SaysHowAnObjectIsToBeEncrypted) {
  constexpr char kMode[] = "x-amz-server-side-encryption";
  constexpr char kKey[] = "x-amz-server-side-encryption-aws-kms-key-id";
  constexpr char kBucketKey[] = "x-amz-server-side-encryption-bucket-key-enabled";
  struct Case {
    const char* sse;
    const char* kms_key;
    std::optional<bool> bucket_key;
    const char* mode;
  };
  for (const Case& one :
       {Case{"AES256", "", {}, "AES256"}, Case{"aws:kms", "", true, "aws:kms"},
        Case{"aws:kms", "k", false, "aws:kms"}, Case{"aws:kms:dsse", "k", {}, "aws:kms:dsse"},
        Case{"", "k", true, "aws:kms"}}) {
    PutRequest request = At("k");
    request.sse = one.sse;
    request.kms_key = one.kms_key;
    request.bucket_key = one.bucket_key;
    CopyRequest copy{.source_bucket = "bucket",
                     .source_key = "from",
                     .bucket = "bucket",
                     .key = "k",
                     .sse = one.sse,
                     .kms_key = one.kms_key,
                     .bucket_key = one.bucket_key};
    http.seen.clear();
    http.answers = {{.headers = {{"ETag", "\"e\""}}}};
    ASSERT_TRUE(world.Run(PutText(Open(), request, "text")));
    http.answers = {{.body = "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                             "</InitiateMultipartUploadResult>"}};
    ASSERT_TRUE(world.Run(store->CreateMultipart(request)));
    http.answers = {{.body = "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"}};
    ASSERT_TRUE(world.Run(store->Copy(copy)));
    ASSERT_EQ(http.seen.size(), 3u);
    for (const Seen& seen : http.seen) {
      const HttpHeaders& headers = seen.request.headers;
      const std::string authorization(headers.Get("Authorization"));
      auto is_signed = [&](const std::string& name) {
        return authorization.find(";" + name + ";") != std::string::npos ||
               authorization.find(";" + name + ",") != std::string::npos;
      };
      EXPECT_EQ(headers.Get(kMode), one.mode);
      EXPECT_TRUE(is_signed(kMode)) << authorization;
      EXPECT_EQ(headers.Get(kKey), one.kms_key);
      EXPECT_EQ(is_signed(kKey), *one.kms_key != 0) << authorization;
      EXPECT_EQ(headers.Get(kBucketKey), !one.bucket_key ? "" : *one.bucket_key ? "true" : "false");
      EXPECT_EQ(is_signed(kBucketKey), one.bucket_key.has_value()) << authorization;
    }
  }
}

// Whoever takes one that is on its way for one that nobody has asked for pays twice.
TEST_F(S3StoreTest, TellsWhetherAnArchivedObjectIsOnItsWay) {
  Open();
  auto* archives = dynamic_cast<RestoresObjects*>(store.get());
  ASSERT_NE(archives, nullptr);
  const auto asked = [&](HttpHeaders headers) {
    http.answers = {{.headers = std::move(headers)}};
    Result<bool> found = world.Run(archives->IsBeingRestored("bucket", "k"));
    EXPECT_TRUE(found);
    return found && *found;
  };
  EXPECT_FALSE(asked({{"x-amz-storage-class", "GLACIER"}}));
  EXPECT_TRUE(asked({{"x-amz-restore", "ongoing-request=\"true\""}}));
  EXPECT_FALSE(
      asked({{"x-amz-restore",
              "ongoing-request=\"false\", expiry-date=\"Fri, 27 Nov 2026 00:00:00 GMT\""}}));
  EXPECT_EQ(http.seen.back().request.method, "HEAD");
  http.answers = {{.status = 409, .body = "<Error><Code>RestoreAlreadyInProgress</Code></Error>"}};
  EXPECT_TRUE(
      world.Run(archives->Restore({.bucket = "bucket", .key = "k", .tier = "Bulk", .days = 2})));
  EXPECT_TRUE(http.seen.back().request.url.ends_with("k?restore="));
}

// A part of what lies in the store already needs no bytes from here; and as nobody here has seen
// them, no checksum is announced, which servers would ask for.
TEST_F(S3StoreTest, CopiesPartsOnTheServer) {
  http.answers = {{.body = "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                           "</InitiateMultipartUploadResult>"}};
  PutRequest request = At("k");
  request.parts_copied = true;
  ASSERT_TRUE(world.Run(Open().CreateMultipart(request)));
  EXPECT_EQ(http.seen[0].request.headers.Find("x-amz-checksum-algorithm"), nullptr);
  http.answers = {{.body = "<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>"}};
  Result<UploadedPart> part =
      world.Run(store->CopyPart({.bucket = "bucket", .key = "k", .upload_id = "u"}, 2,
                                {.source_bucket = "from",
                                 .source_key = "a b",
                                 .source_version_id = "v",
                                 .source_if_match = "m",
                                 .range = {.offset_bytes = 10, .size_bytes = 5}}));
  ASSERT_TRUE(part) << part.error().Describe();
  EXPECT_EQ(part->etag, "e");
  EXPECT_EQ(part->number, 2);
  EXPECT_EQ(part->size_bytes, 5U);
  ASSERT_EQ(http.seen.size(), 2U);
  const HttpHeaders& headers = http.seen[1].request.headers;
  EXPECT_EQ(headers.Get("x-amz-copy-source"), "from/a%20b?versionId=v");
  EXPECT_EQ(headers.Get("x-amz-copy-source-range"), "bytes=10-14");
  EXPECT_EQ(headers.Get("x-amz-copy-source-if-match"), "\"m\"");
}

// Which objects are under a key of the KMS decides whether a rule takes them.
TEST_F(S3StoreTest, TellsWhetherAnObjectIsUnderAKmsKey) {
  for (const auto& [encryption, is_kms] :
       {std::pair("aws:kms", true), std::pair("aws:kms:dsse", true), std::pair("AES256", false)}) {
    http.answers = {{.headers = {{"ETag", "\"e\""},
                                 {"Content-Length", "4"},
                                 {"x-amz-server-side-encryption", encryption}}}};
    Result<ObjectInfo> info = world.Run(Open().Head({.bucket = "bucket", .key = "k"}));
    ASSERT_TRUE(info) << info.error().Describe();
    EXPECT_EQ(info->kms_encrypted, is_kms) << encryption;
  }
}

// Under SSE-KMS and customer keys the ETag of a part looks like an MD5 and is none: whoever
// compares it sends everything again.
TEST_F(S3StoreTest, TellsWhetherEtagsOfPartsAreNoMd5s) {
  const Answer created{.body =
                           "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                           "</InitiateMultipartUploadResult>"};
  constexpr char kMode[] = "x-amz-server-side-encryption";
  constexpr char kCustomer[] = "x-amz-server-side-encryption-customer-algorithm";
  for (const auto& [name, value, opaque] :
       {std::tuple(kMode, "aws:kms", true), std::tuple(kMode, "aws:kms:dsse", true),
        std::tuple(kCustomer, "AES256", true), std::tuple(kMode, "AES256", false)}) {
    for (bool told_at_once : {true, false}) {
      Answer first = created;
      if (told_at_once) first.headers.Add(name, value);
      Answer part{.headers = {{"ETag", "\"0123456789abcdef0123456789abcdef\""}}};
      part.headers.Add(name, value);
      http.answers = {first, part};
      PutRequest request = At("k");
      request.checksum = Checksum{.algorithm = ChecksumAlgorithm::kCrc32c};
      Store& target = Open();
      Result<MultipartUpload> upload = world.Run(target.CreateMultipart(request));
      ASSERT_TRUE(upload) << upload.error().Describe();
      EXPECT_EQ(PartEtagsOpaque(target, *upload), opaque && told_at_once) << value;
      MemorySource body("bytes");
      ASSERT_TRUE(world.Run(target.UploadPart(*upload, 1, body)));
      EXPECT_EQ(PartEtagsOpaque(target, *upload), opaque) << value;
      // Somebody who takes it over knows less, and must not make it be forgotten.
      AdoptMultipart(target, *upload, request);
      EXPECT_EQ(PartEtagsOpaque(target, *upload), opaque) << value;
      EXPECT_FALSE(PartEtagsOpaque(target, {.upload_id = "another"}));
    }
  }
}

// "200 OK" and then an error: the answer of a server that began before it knew.
TEST_F(S3StoreTest, ErrorsInsideAnAnswerOf200AreErrors) {
  http.answers = {ErrorAnswer(200, "InternalError"),
                  {.body = "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag>"
                           "</CompleteMultipartUploadResult>"},
                  {.headers = {{"ETag", "\"e-1\""}}}};
  CompleteRequest request;
  request.upload = {.bucket = "bucket", .key = "k", .upload_id = "u", .initiated = {}};
  request.parts = {{.number = 1, .etag = "e", .size_bytes = 1, .checksum = {}}};
  Result<PutResult> done = world.Run(Open().CompleteMultipart(request));
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->etag, "e-1");
  http.answers = {ErrorAnswer(200, "PreconditionFailed")};
  EXPECT_EQ(world.Run(store->CompleteMultipart(request)).error().kind, ErrorKind::kPrecondition);
}

// versitygw answers so while another request, of a process that was killed, puts the parts
// together: when that one fails there is no object, and what stands there may be an older one.
TEST_F(S3StoreTest, ACompletionIsBelievedWhenTheObjectIsThere) {
  const std::string now = "Thu, 26 Nov 2026 21:00:00 GMT";
  const std::string before = "Thu, 26 Nov 2026 20:00:00 GMT";
  const Answer complete{.headers = {{"Date", now}},
                        .body =
                            "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag>"
                            "</CompleteMultipartUploadResult>"};
  const Answer old{.headers = {{"ETag", "\"old\""}, {"Last-Modified", before}}};
  CompleteRequest request;
  request.upload = {.bucket = "bucket", .key = "k", .upload_id = "u", .initiated = {}};
  request.parts = {{.number = 1, .etag = "e", .size_bytes = 1, .checksum = {}}};
  http.answers = {complete, {.status = 404}, old, {.headers = {{"ETag", "\"e-1\""}}}};
  Result<PutResult> done = world.Run(Open().CompleteMultipart(request));
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(http.seen.size(), 4u);
  // Somebody has written another one in the meantime; and who may not look.
  for (const Answer& answer : {Answer{.headers = {{"ETag", "\"newer\""}, {"Last-Modified", now}}},
                               Answer{.status = 403}}) {
    http.answers = {complete, answer, answer};
    EXPECT_TRUE(world.Run(store->CompleteMultipart(request)));
  }
  for (const Answer& answer : {Answer{.status = 404}, old}) {
    http.answers.assign(200, answer);
    http.answers.front() = complete;
    done = world.Run(store->CompleteMultipart(request));
    ASSERT_FALSE(done);
    EXPECT_TRUE(done.error().Transient()) << done.error().Describe();
    http.answers.clear();
  }
}

// The answer was lost, the upload is finished: looking at the object tells.
TEST_F(S3StoreTest, CompletionWhoseAnswerWasLostIsFound) {
  std::string part = HexEncode(Md5("part"));
  std::string whole = HexEncode(Md5(Md5("part"))) + "-1";
  CompleteRequest request;
  request.upload = {.bucket = "bucket", .key = "k", .upload_id = "u", .initiated = {}};
  request.parts = {{.number = 1, .etag = part, .size_bytes = 4, .checksum = {}}};
  http.answers = {Broken(), ErrorAnswer(404, "NoSuchUpload"), {.headers = {{"ETag", whole}}}};
  Result<PutResult> done = world.Run(Open().CompleteMultipart(request));
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->etag, whole);
  http.answers = {Broken(), ErrorAnswer(404, "NoSuchUpload"), {.headers = {{"ETag", "other"}}}};
  EXPECT_EQ(world.Run(store->CompleteMultipart(request)).error().code, "NoSuchUpload");
}

// The server forgets the tags of an upload, and nobody else has set them.
TEST_F(S3StoreTest, CompletionWhoseAnswerWasLostGetsItsTags) {
  http.answers = {{.body = "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                           "</InitiateMultipartUploadResult>"}};
  PutRequest put = At("k");
  put.tags = {{"color", "red"}};
  Result<MultipartUpload> upload = world.Run(Open().CreateMultipart(put));
  ASSERT_TRUE(upload) << upload.error().Describe();
  CompleteRequest request;
  request.upload = *upload;
  request.parts = {{.number = 1, .etag = HexEncode(Md5("part")), .size_bytes = 4, .checksum = {}}};
  const std::string whole = HexEncode(Md5(Md5("part"))) + "-1";
  const Answer there{.headers = {{"ETag", whole}}};
  http.answers = {Broken(), ErrorAnswer(404, "NoSuchUpload"), there, {}, there, {}};
  http.seen.clear();
  Result<PutResult> done = world.Run(store->CompleteMultipart(request));
  ASSERT_TRUE(done) << done.error().Describe();
  ASSERT_EQ(http.seen.size(), 6U)
      << "twice completed, looked at, asked for tags, looked at, given them";
  EXPECT_NE(http.seen.back().body.find("<Key>color</Key>"), std::string::npos);
}

// Another one may have written the key between the copy and the look at its tags.
TEST_F(S3StoreTest, TagsAreNotPutOnWhatIsNewer) {
  const CopyRequest copy{.source_bucket = "bucket",
                         .source_key = "from",
                         .bucket = "bucket",
                         .key = "k",
                         .tags = Tags{{"color", "red"}}};
  Answer copied{.body = "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"};
  const auto last_asked = [&](std::deque<Answer> answers) {
    answers.push_front({});
    answers.push_front(copied);
    http.answers = std::move(answers);
    http.seen.clear();
    Result<PutResult> done = world.Run(Open().Copy(copy));
    EXPECT_TRUE(done) << done.error().Describe();
    return http.seen.back().request.method;
  };
  EXPECT_EQ(last_asked({{.headers = {{"ETag", "\"newer\""}}}, {}}), "HEAD");
  EXPECT_EQ(last_asked({{.status = 404}, {}}), "HEAD");
  EXPECT_EQ(last_asked({{.headers = {{"ETag", "\"e\""}}}, {}}), "PUT");
  // Who may not look; why, is asked between two looks.
  const Answer denied{.status = 403};
  EXPECT_EQ(last_asked({denied, denied, denied, {}}), "PUT");
  // With versions there is nothing to look for.
  copied.headers = {{"x-amz-version-id", "v1"}};
  EXPECT_EQ(last_asked({{}}), "PUT");
  ASSERT_EQ(http.seen.size(), 3U);
  for (size_t i : {1, 2}) {
    EXPECT_TRUE(http.seen[i].request.url.contains("versionId=v1")) << http.seen[i].request.url;
  }
}

// Deletes are replicated on the word of the server: a bare 404 is nobody's word.
TEST_F(S3StoreTest, AbsenceNeedsACode) {
  SystemTime absent_at{};
  Answer missing = ErrorAnswer(404, "NoSuchKey");
  missing.headers = {{"Date", "Sun, 01 Mar 2026 09:00:07 GMT"}};
  http.answers = {missing};
  Result<ObjectStream> got = world.Run(Open().Get(From("k"), &absent_at));
  EXPECT_EQ(got.error().code, "NoSuchKey");
  EXPECT_EQ(FormatRfc3339(absent_at), "2026-03-01T09:00:07Z");
  absent_at = {};
  http.answers = {{.status = 404}};
  got = world.Run(store->Get(From("k"), &absent_at));
  EXPECT_EQ(got.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(got.error().code, "");
  EXPECT_EQ(absent_at, SystemTime{});
}

// A wrong URL is another key, or another bucket.
TEST_F(S3StoreTest, UrlsNameTheKeyByteForByte) {
  struct Case {
    const char* endpoint;
    S3Addressing addressing;
    const char* bucket;
    const char* url;
  };
  for (const Case& one :
       {Case{"http://h:9000/", S3Addressing::kAuto, "bucket", "http://h:9000/bucket/"},
        Case{"http://h:80/base", S3Addressing::kAuto, "bucket", "http://h/base/bucket/"},
        Case{"https://h", S3Addressing::kVirtualHost, "bucket", "https://bucket.h/"},
        Case{"", S3Addressing::kAuto, "bucket", "https://bucket.s3.us-east-1.amazonaws.com/"},
        Case{"", S3Addressing::kAuto, "dotted.bucket",
             "https://s3.us-east-1.amazonaws.com/dotted.bucket/"}}) {
    options.endpoint = one.endpoint;
    options.addressing = one.addressing;
    http.answers = {{}};
    PutRequest request = At("/a//b/../ü +%?#&=~'");
    request.bucket = one.bucket;
    ASSERT_TRUE(world.Run(PutText(Open(), request, "text")));
    EXPECT_EQ(http.seen.back().request.url,
              std::string(one.url) + "/a//b/../%C3%BC%20%2B%25%3F%23%26%3D~%27");
  }
  for (const char* endpoint : {"h:9000", "ftp://h", "http://", "http://:80", "http://a b",
                               "http://user@h", "http://h?x"}) {
    options.endpoint = endpoint;
    Result<std::unique_ptr<Store>> made = MakeS3Store(world.runtime, options, &http);
    ASSERT_FALSE(made) << endpoint;
    EXPECT_EQ(made.error().kind, ErrorKind::kInvalidInput);
  }
  Result<void> bucket = world.Run(store->HeadBucket("a/b"));
  ASSERT_FALSE(bucket);
  EXPECT_EQ(bucket.error().kind, ErrorKind::kInvalidInput);
}

// What the probe found is obeyed: such a key must not reach a server that would alias it.
TEST_F(S3StoreTest, RefusesKeysThatTheServerCannotHold) {
  Capabilities can;
  can.key_dot_segments = can.key_double_slash = can.key_trailing_slash = false;
  options.probed = can;
  Store& store = Open();
  for (const char* key : {"a//b", "/a", "a/", "a/./b", "..", "./a", "a/.."}) {
    Result<PutResult> put = world.Run(PutText(store, At(key), "text"));
    ASSERT_FALSE(put) << key;
    EXPECT_EQ(put.error().code, "KeyNotStorable");
  }
  EXPECT_TRUE(http.seen.empty());
  http.answers = {{}};
  for (const char* key : {"a/b", "..a", "a..", ".a/b.", "..."}) {
    EXPECT_TRUE(world.Run(PutText(store, At(key), "text"))) << key;
  }
}

// Keys that XML cannot carry are deleted alone; those that failed for a moment are tried again.
TEST_F(S3StoreTest, RemoveManyTellsTheFateOfEachKey) {
  http.answers = {
      {.body = "<DeleteResult><Error><Key>busy</Key><Code>SlowDown</Code></Error>"
               "<Error><Key>held</Key><Code>AccessDenied</Code></Error></DeleteResult>"},
      {.status = 204}};
  std::vector<RemoveRequest> requests(4);
  requests[0].key = "fine";
  requests[1].key = "busy";
  requests[2].key = "held";
  requests[3].key = "control\x01";
  Result<std::vector<RemoveFailure>> failures = world.Run(Open().RemoveMany("bucket", requests));
  ASSERT_TRUE(failures) << failures.error().Describe();
  ASSERT_EQ(failures->size(), 1u);
  EXPECT_EQ((*failures)[0].key, "held");
  EXPECT_EQ((*failures)[0].error.kind, ErrorKind::kDenied);
  ASSERT_EQ(http.seen.size(), 3u);
  EXPECT_EQ(http.seen[0].body.find("control"), std::string::npos);
}

// A failure of nobody knows which key: that one was not removed. With an empty key, what is tried
// again alone would be the bucket.
TEST_F(S3StoreTest, AFailureOfNoKeyIsOneOfAll) {
  for (const char* key : {"", "<Key></Key>", "<Key>other</Key>"}) {
    for (const char* code : {"AccessDenied", "InternalError"}) {
      http.seen.clear();
      http.answers = {{.body = "<DeleteResult><Error>" + std::string(key) + "<Code>" + code +
                               "</Code></Error></DeleteResult>"}};
      std::vector<RemoveRequest> requests(2);
      requests[0].key = "a";
      requests[1].key = "b";
      auto removed = world.Run(Open().RemoveMany("bucket", std::move(requests)));
      EXPECT_FALSE(removed) << key << " " << code;
      EXPECT_EQ(http.seen.size(), 1u) << key << " " << code;
    }
  }
}

// A server need not say of which version: all of the key are tried again, each as it was asked for.
TEST_F(S3StoreTest, WhatIsTriedAgainAloneIsOfTheVersionsAskedFor) {
  http.answers = {{.body = "<DeleteResult><Error><Key>a</Key><Code>SlowDown</Code></Error>"
                           "</DeleteResult>"},
                  {.status = 204}};
  std::vector<RemoveRequest> requests(3);
  requests[0].key = requests[1].key = "a";
  requests[0].version_id = "v1";
  requests[1].version_id = "v2";
  requests[2].key = "b";
  auto removed = world.Run(Open().RemoveMany("bucket", requests));
  ASSERT_TRUE(removed);
  EXPECT_TRUE(removed->empty());
  std::set<std::string> again;
  for (size_t i = 1; i < http.seen.size(); ++i) {
    const std::string& url = http.seen[i].request.url;
    again.insert(url.substr(url.rfind('/')));
  }
  EXPECT_EQ(again, (std::set<std::string>{"/a?versionId=v1", "/a?versionId=v2"}));
  http.answers = {{.body = "<DeleteResult><Error><Key>a</Key><VersionId>v3</VersionId>"
                           "<Code>SlowDown</Code></Error></DeleteResult>"}};
  EXPECT_FALSE(world.Run(Open().RemoveMany("bucket", requests))) << "v3 was not asked for";
}

}  // namespace
}  // namespace longhaul
