// The conditions of requests: what a client says of the object that it reads, copies, replaces or
// removes.
//
// Facts: RFC 9110, 13; S3 API Reference, PutObject, CopyObject, DeleteObject.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_client.h"
#include "storage/store.h"

namespace longhaul {

// The ETag that If-Match names, if it is one alone; else empty.
std::string ReadMatchOf(const HttpHeaders& headers);
// Whether an If-Match or If-None-Match names this ETag, or all by "*".
bool ListsEtag(std::string_view list, std::string_view etag);

// Of a read. 0: go on; else 304 or 412.
int ReadConditionOf(const HttpHeaders& headers, const ObjectInfo& info);

// Of a copy's source, by the headers x-amz-copy-source-if-….
bool HasSourceCondition(const HttpHeaders& headers);
// Whether the source is as they want it.
bool SourceConditionHolds(const HttpHeaders& headers, const ObjectInfo& info);

// Of a write or a delete. `if_match` and `if_none_match` are ETags without quotes or "*".
struct GatewayWriteCondition {
  std::string if_match;
  std::string if_none_match;

  [[nodiscard]] bool empty() const { return if_match.empty() && if_none_match.empty(); }
};
// kInvalidInput: NotImplemented, for a list of ETags or for both headers at once.
Result<GatewayWriteCondition> ReadWriteCondition(const HttpHeaders& headers);

// A range of an object, from a Range header, into `request`; left as it is where that is to be
// ignored. (RFC 9110, 14.2.)
void ReadRange(std::string_view text, GetRequest& request);

// x-amz-copy-source-range, which must lie within the source. kInvalidInput, code InvalidArgument.
Result<ByteRange> ReadCopyRange(std::string_view text, uint64_t source_size_bytes);

std::string Unquoted(std::string_view etag);
std::string Quoted(std::string_view etag);

}  // namespace longhaul
