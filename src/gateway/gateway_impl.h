// Inside the gateway: one request on its way, and the operations, in groups by file.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "gateway/events/notifier.h"
#include "gateway/gateway.h"
#include "gateway/part_notes.h"
#include "gateway/protocol/body.h"
#include "gateway/protocol/conditions.h"
#include "gateway/protocol/errors.h"
#include "gateway/protocol/names.h"
#include "gateway/protocol/operations.h"
#include "gateway/protocol/sigv4.h"
#include "gateway/protocol/xml.h"
#include "net/http_server.h"

namespace longhaul {

// One request. Lives in the handler's frame.
struct GatewayCall {
  HttpServerRequest& request;
  HttpServerResponse& response;
  std::string request_id;
  QueryParameters query;
  SignedRequest signature;
  const GatewayUser* user = nullptr;
  std::string bucket;
  std::string key;

  [[nodiscard]] bool Has(const std::string& name) const { return query.contains(name); }
  [[nodiscard]] std::string Query(const std::string& name) const {
    auto found = query.find(name);
    return found == query.end() ? "" : found->second;
  }
  [[nodiscard]] std::string_view Header(std::string_view name) const {
    return request.headers().Get(name);
  }
  [[nodiscard]] const std::string& method() const { return request.method(); }
};

// x-amz-copy-source: bucket, key and version.
struct GatewayCopySource {
  std::string bucket;
  std::string key;
  std::string version_id;
};

struct Gateway::Impl {
  Impl(const Runtime& runtime, Store& store, GatewayOptions options);

  asio::awaitable<void> Handle(HttpServerRequest& request, HttpServerResponse& response);
  Async<void> Serve(GatewayCall& call);
  // kDenied: its user has no right to that.
  Result<void> Authorize(GatewayOperation operation, const GatewayCall& call) const;
  Async<void> Perform(GatewayOperation operation, GatewayCall& call);
  asio::awaitable<void> SendError(GatewayCall& call, Error error);
  Async<void> SendXml(GatewayCall& call, std::string xml);

  // gateway_buckets.cc
  Async<void> ListBuckets(GatewayCall& call);
  Async<void> HeadBucket(GatewayCall& call);
  Async<void> CreateBucket(GatewayCall& call);
  Async<void> DeleteBucket(GatewayCall& call);
  Async<void> ListObjects(GatewayCall& call);
  Async<void> ListVersions(GatewayCall& call);
  Async<void> ListUploads(GatewayCall& call);
  Async<void> DeleteMany(GatewayCall& call);
  Async<void> GetVersioning(GatewayCall& call);
  Async<void> PutVersioning(GatewayCall& call);
  Async<void> GetLocation(GatewayCall& call);

  // gateway_listings.cc: a page by any delimiter.
  Async<ListPage> List(ListRequest request);

  // gateway_post.cc
  Async<void> PostObject(GatewayCall& call);

  // gateway_acl.cc
  Async<void> GetAcl(GatewayCall& call);
  Async<void> PutAcl(GatewayCall& call);

  // gateway_attributes.cc
  Async<void> GetAttributes(GatewayCall& call);
  // Where part `number` lies. kInvalidInput: InvalidPartNumber.
  Async<ByteRange> FindPart(GatewayCall& call, int number, ObjectInfo& info);

  // gateway_conditions.cc: the conditions of a write as the store takes them. Those that it does
  // not know are made of what is there now: `looked`, and then a failure is a conflict.
  struct Settled {
    WriteCondition condition;
    bool looked = false;
    bool names_etag = false;
  };
  Async<Settled> Settle(GatewayCall& call, bool can_if_absent, bool can_if_match);
  // What the client is told of a store's error.
  asio::awaitable<Error> Explain(GatewayCall& call, Settled settled, Error error);
  // Looks at a copy's source, pinned to its ETag where there are conditions. kPrecondition.
  Async<ObjectInfo> LookAtSource(GatewayCall& call, const GatewayCopySource& source);
  // A body of unknown size: from memory, or part by part where it is large.
  Async<PutResult> PutUnsized(PutRequest put, GatewayBody& body);

  // gateway_objects.cc
  Async<void> GetObject(GatewayCall& call);
  Async<void> HeadObject(GatewayCall& call);
  Async<void> PutObject(GatewayCall& call);
  Async<void> CopyObject(GatewayCall& call);
  Async<void> DeleteObject(GatewayCall& call);
  Async<void> GetTagging(GatewayCall& call);
  Async<void> PutTagging(GatewayCall& call, bool remove);

  // gateway_multipart.cc
  Async<void> CreateUpload(GatewayCall& call);
  Async<void> UploadPart(GatewayCall& call);
  Async<void> UploadPartCopy(GatewayCall& call);
  Async<void> CompleteUpload(GatewayCall& call);
  Async<void> CheckComplete(GatewayCall& call, CompleteRequest& request);
  Result<void> CheckComposite(const CompleteRequest& request);
  Async<void> AbortUpload(GatewayCall& call);
  Async<void> ListParts(GatewayCall& call);

  // Reads a small body (XML), checked.
  Async<std::string> ReadBody(GatewayCall& call, size_t size_bytes_max, bool with_checksum = true);
  // Holds a body of known size in memory where it is small and the budget has room: stores take
  // that in one step. nullopt: stream it.
  struct HeldBody {
    Reservation reservation;
    std::string bytes;
  };
  Async<std::optional<HeldBody>> Hold(ByteSource& body, uint64_t size_bytes_max);
  void Notify(const GatewayCall& call, std::string name, std::string key, const PutResult& result,
              uint64_t size_bytes);
  void NotifyRemoved(const GatewayCall& call, std::string name, std::string key);

  Runtime runtime;
  Store& store;
  GatewayOptions options;
  std::vector<GatewayUser> users;  // The owner first, where there is one.
  std::vector<GatewayKeys> keys;   // Of the same.
  MemoryBudget memory;
  GatewayPartNotes part_notes;
  std::unique_ptr<Notifier> notifier;
  std::unique_ptr<HttpServer> server;
};

// Headers of a PUT or of CreateMultipartUpload.
Result<PutRequest> ReadPutHeaders(const GatewayCall& call);
Result<GatewayCopySource> ReadCopySource(const GatewayCall& call);
// Whether it is a form, which is signed inside.
bool IsPostForm(const HttpServerRequest& request);
// A count in the query, at most `count_max`, which is also what is meant where there is none.
Result<int> ReadListCount(const GatewayCall& call, const std::string& name, int count_max);
// partNumber of a read.
Result<int> ReadPartNumber(const GatewayCall& call);
void AddObjectHeaders(GatewayCall& call, const ObjectInfo& info, bool with_checksums);
// Milliseconds, as S3 writes times in XML.
std::string XmlTime(SystemTime time);
void WriteOwner(XmlWriter& xml);
// "ChecksumCRC32" and ChecksumType, where it has one: that which its writer chose comes last.
void WriteChecksum(XmlWriter& xml, const ObjectInfo& info);
// As it is told: "…-N" of checksums of N parts.
std::string ChecksumValue(const ObjectInfo& info, const Checksum& checksum);

}  // namespace longhaul
