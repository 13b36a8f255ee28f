#include "base/bytes.h"
#include "storage/s3_bucket_name.h"
#include "storage/s3_operations.h"
#include "storage/s3_xml.h"

namespace longhaul {

namespace {

// The endpoint at which those are made and removed is another one.
Result<void> RefuseDirectory(const std::string& bucket) {
  if (!IsDirectoryBucket(bucket)) return Ok();
  Error error = InvalidInput("a directory bucket is made and removed with the AWS CLI (aws s3api)");
  error.code = "NotImplemented";
  return error;
}

}  // namespace

Async<void> S3HeadBucket(S3Client& client, std::string bucket) {
  S3Request request{.method = "HEAD", .bucket = bucket};
  Result<S3Answer> answer = co_await client.Call(request);
  if (answer) co_return Ok();
  Error error = answer.error();
  // A HEAD has no body to say so, but here nothing else can be missing.
  if (error.kind == ErrorKind::kNotFound && error.code.empty()) error.code = "NoSuchBucket";
  co_return error.In("HeadBucket " + bucket);
}

Async<void> S3CreateBucket(S3Client& client, std::string bucket) {
  if (Result<void> known = RefuseDirectory(bucket); !known) {
    co_return known.error().In("CreateBucket " + bucket);
  }
  S3Request request{.method = "PUT", .bucket = bucket};
  std::string xml = WriteS3CreateBucket(client.region());
  if (!xml.empty()) request.body = AsBytes(xml);
  Result<S3Answer> answer = co_await client.Call(request);
  if (!answer) co_return answer.error().In("CreateBucket " + bucket);
  co_return Ok();
}

Async<void> S3RemoveBucket(S3Client& client, std::string bucket) {
  if (Result<void> known = RefuseDirectory(bucket); !known) {
    co_return known.error().In("DeleteBucket " + bucket);
  }
  S3Request request{.method = "DELETE", .bucket = bucket};
  Result<S3Answer> answer = co_await client.Call(request);
  if (!answer) co_return answer.error().In("DeleteBucket " + bucket);
  co_return Ok();
}

Async<std::vector<BucketInfo>> S3ListBuckets(S3Client& client) {
  S3Request request;
  Result<S3Answer> answer = co_await client.Call(request);
  if (!answer) co_return answer.error().In("ListBuckets");
  Result<std::vector<BucketInfo>> buckets = ParseS3Buckets(answer->text);
  if (!buckets) co_return buckets.error().In("ListBuckets");
  co_return buckets;
}

Async<bool> S3GetVersioning(S3Client& client, std::string bucket) {
  if (!client.options().quirks.can.versions) co_return false;
  S3Request request{.bucket = bucket, .query = {{"versioning", ""}}};
  Result<S3Answer> answer = co_await client.Call(request);
  Result<bool> enabled = answer ? ParseS3Versioning(answer->text) : answer.error();
  if (!enabled) {
    // A server that keeps no versions need not know the question.
    if (enabled.error().code == "NotImplemented") co_return false;
    co_return enabled.error().In("GetBucketVersioning " + bucket);
  }
  co_return enabled;
}

Async<void> S3SetVersioning(S3Client& client, std::string bucket, bool enabled) {
  S3Request request{.method = "PUT", .bucket = bucket, .query = {{"versioning", ""}}};
  std::string xml = WriteS3Versioning(enabled);
  request.body = AsBytes(xml);
  AddContentMd5(request);
  Result<S3Answer> answer = co_await client.Call(request);
  if (!answer) co_return answer.error().In("PutBucketVersioning " + bucket);
  co_return Ok();
}

}  // namespace longhaul
