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
#include "gateway/sigv4.h"
#include "net/http_client.h"

namespace longhaul {

enum class GatewayOperation {
  kListBuckets,
  kHeadBucket,
  kCreateBucket,
  kDeleteBucket,
  kGetBucketLocation,
  kGetBucketVersioning,
  kPutBucketVersioning,
  kListObjects,
  kListObjectsV2,
  kListObjectVersions,
  kListMultipartUploads,
  kDeleteObjects,
  kGetObject,
  kHeadObject,
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

// Which operation it is. kInvalidInput: NotImplemented (no such operation here, or a parameter or
// a value that it does not carry out), InvalidArgument (one of them is given twice).
Result<GatewayOperation> FindGatewayOperation(const GatewayAsked& asked);

}  // namespace longhaul
