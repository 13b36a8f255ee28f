// What the gateway understands, as a table: each operation with the query parameters and headers
// that it carries out. A request that asks for anything else is refused before it has any effect,
// with NotImplemented: an S3 server that ignores a condition or a subresource does what nobody
// asked for.
//
// Looked at are all query parameters, all x-amz-… headers, and those of HTTP that set a condition
// or a range. Everything else (User-Agent, Accept, …) changes nothing here.
//
// tests/system/gateway_operations.py asks for every operation of the S3 API model with every
// parameter of it. Facts: S3 API Reference.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "gateway/protocol/sigv4.h"
#include "net/http_client.h"

namespace longhaul {

enum class GatewayOperation {
  kListBuckets,
  kHeadBucket,
  kCreateBucket,
  kDeleteBucket,
  kGetBucketLocation,
  kGetBucketVersioning,
  kGetBucketAcl,
  kPutBucketAcl,
  kPutBucketVersioning,
  kListObjects,
  kListObjectsV2,
  kListObjectVersions,
  kListMultipartUploads,
  kDeleteObjects,
  kPostObject,
  kGetObject,
  kHeadObject,
  kGetObjectAttributes,
  kGetObjectAcl,
  kPutObjectAcl,
  kPutObject,
  kCopyObject,
  kDeleteObject,
  kGetObjectTagging,
  kPutObjectTagging,
  kDeleteObjectTagging,
  kCreateMultipartUpload,
  kUploadPart,
  kUploadPartCopy,
  kListParts,
  kCompleteMultipartUpload,
  kAbortMultipartUpload,
};

// What a request is made of, as far as it says what is asked for.
struct GatewayAsked {
  std::string_view method;
  bool names_bucket = false;
  bool names_key = false;
  const QueryParameters& query;
  const HttpHeaders& headers;
};

// What its user must be allowed to.
enum class GatewayNeed {
  kNothing,      // What is seen is looked at one by one: buckets of a list, keys of a batch.
  kKnowsBucket,  // Any right in that bucket.
  kOwnsBucket,   // Writing of all its keys.
  kReadsPrefix,  // Reading of all keys that begin like the prefix asked for.
  kWritesPrefix,
  kReadsKey,
  kWritesKey,
};
GatewayNeed NeedOf(GatewayOperation operation);

// Which operation it is. kInvalidInput: NotImplemented (no such operation here, or a parameter or
// a value that it does not carry out), InvalidArgument (one of them is given twice).
Result<GatewayOperation> FindGatewayOperation(const GatewayAsked& asked);

}  // namespace longhaul
