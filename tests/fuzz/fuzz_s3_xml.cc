// Any bytes as each of the answers of an S3 server.

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/s3_xml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ParseS3Error(text);
  (void)ParseS3Listing(std::string(text));
  Result<ListPage> versions = ParseS3VersionListing(std::string(text));
  if (versions && !versions->next_token.empty()) {
    if (!ParseS3VersionToken(versions->next_token)) __builtin_trap();
  }
  (void)ParseS3VersionToken(text);
  (void)ParseS3Parts(text);
  (void)ParseS3Uploads(text);
  (void)ParseS3UploadId(text);
  (void)ParseS3Etag(text);
  (void)ParseS3DeleteResult(text);
  (void)ParseS3Session(text);
  (void)ParseS3Tagging(text);
  (void)ParseS3Buckets(text);
  (void)ParseS3Versioning(text);
  if (IsXmlText(text)) {
    // What is written must read back as it was: a batch delete names keys this way.
    Tags tags{{"key", std::string(text)}};
    Result<Tags> back = ParseS3Tagging(WriteS3Tagging(tags));
    if (!back || *back != tags) __builtin_trap();
  }
  return 0;
}
