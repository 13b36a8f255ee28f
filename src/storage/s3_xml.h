// The XML of the S3 API: answers read, request bodies written.
//
// Answers come from outside: no entity but the five of XML and character references is expanded,
// unknown elements are ignored, and what is no answer of the expected kind is kCorrupt. Callers
// bound the size of the text.

#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aws/credentials.h"
#include "storage/store.h"

namespace longhaul {

// Answers are read up to these sizes: 1,000 keys of 1,024 bytes, each byte as %XX, and their rest.
inline constexpr size_t kS3AnswerBytesMax = 16 << 20;
inline constexpr size_t kS3ErrorBytesMax = 64 << 10;

struct S3ErrorText {
  std::string code;
  std::string message;
  std::string request_id;
  std::string region;         // Of the bucket, where the request went to another one.
  std::string endpoint;       // The host to ask instead.
  std::string storage_class;  // Of an object that cannot be read for it.
};
// nullopt: not an <Error>.
std::optional<S3ErrorText> ParseS3Error(std::string_view xml);

// ListObjectsV2 and ListObjectVersions, parsed in place: move the text in. The token of the latter
// is made here of its two markers.
// `second`: ListObjectsV2; else ListObjects, whose token is the marker to go on from.
Result<ListPage> ParseS3Listing(std::string xml, bool second = true);
Result<ListPage> ParseS3VersionListing(std::string xml);
struct S3VersionMarkers {
  std::string key;
  std::string version_id;
};
Result<S3VersionMarkers> ParseS3VersionToken(std::string_view token);

struct S3PartsPage {
  std::vector<UploadedPart> parts;
  int next_marker = 0;  // 0: the last page.
};
Result<S3PartsPage> ParseS3Parts(std::string_view xml);

struct S3UploadsPage {
  std::vector<MultipartUpload> uploads;  // Without bucket.
  std::string next_key_marker;
  std::string next_upload_id_marker;
  bool truncated = false;
};
Result<S3UploadsPage> ParseS3Uploads(std::string_view xml);

// The UploadId of InitiateMultipartUploadResult.
Result<std::string> ParseS3UploadId(std::string_view xml);
// The ETag of CompleteMultipartUploadResult, CopyObjectResult or CopyPartResult.
Result<std::string> ParseS3Etag(std::string_view xml);

struct S3DeleteFailure {
  std::string key;
  std::string version_id;
  S3ErrorText error;
};
Result<std::vector<S3DeleteFailure>> ParseS3DeleteResult(std::string_view xml);

// The credentials of CreateSessionResult.
Result<Credentials> ParseS3Session(std::string_view xml);
Result<Tags> ParseS3Tagging(std::string_view xml);
Result<std::vector<BucketInfo>> ParseS3Buckets(std::string_view xml);
// Whether the status is Enabled.
Result<bool> ParseS3Versioning(std::string_view xml);

// Whether XML 1.0 can carry `text`: UTF-8 without most control characters.
bool IsXmlText(std::string_view text);

// Keys for which IsXmlText.
std::string WriteS3Delete(std::span<const RemoveRequest> requests);
std::string WriteS3Complete(std::span<const UploadedPart> parts);
std::string WriteS3Tagging(const Tags& tags);
std::string WriteS3Versioning(bool enabled);
std::string WriteS3Restore(std::string_view tier, int days);
// Empty for us-east-1, which takes no body.
std::string WriteS3CreateBucket(std::string_view region);

// "x-amz-checksum-crc64nvme" and "ChecksumCRC64NVME".
std::string_view S3ChecksumHeader(ChecksumAlgorithm algorithm);
std::string_view S3ChecksumElement(ChecksumAlgorithm algorithm);
// "CRC64NVME".
std::string_view S3ChecksumName(ChecksumAlgorithm algorithm);
inline constexpr ChecksumAlgorithm kS3ChecksumAlgorithms[] = {
    ChecksumAlgorithm::kCrc64Nvme, ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kCrc32,
    ChecksumAlgorithm::kSha256, ChecksumAlgorithm::kSha1};

// Without the quotes that S3 puts around ETags (also in the weak form of some proxies).
std::string StripEtag(std::string_view etag);

}  // namespace longhaul
