// Inside the gateway: one request on its way, and the operations, in groups by file.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/memory_budget.h"
#include "gateway/gateway.h"
#include "gateway/gateway_body.h"
#include "gateway/gateway_operations.h"
#include "gateway/gateway_part_notes.h"
#include "gateway/gateway_xml.h"
#include "gateway/notifier.h"
#include "gateway/sigv4.h"
#include "net/http_server.h"

namespace longhaul {

// One request. Lives in the handler's frame.
struct GatewayCall {
  HttpServerRequest& request;
  HttpServerResponse& response;
  std::string request_id;
  QueryParameters query;
  SignedRequest signature;
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

struct Gateway::Impl {
  Impl(const Runtime& runtime, Store& store, GatewayOptions options);

  asio::awaitable<void> Handle(HttpServerRequest& request, HttpServerResponse& response);
  Async<void> Serve(GatewayCall& call);
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
  GatewayKeys keys;
  MemoryBudget memory;
  GatewayPartNotes part_notes;
  std::unique_ptr<Notifier> notifier;
  std::unique_ptr<HttpServer> server;
};

// Headers of a PUT or of CreateMultipartUpload.
Result<PutRequest> ReadPutHeaders(const GatewayCall& call);
// x-amz-copy-source: bucket, key and version, and its If-Match.
struct GatewayCopySource {
  std::string bucket;
  std::string key;
  std::string version_id;
  std::string if_match;
};
Result<GatewayCopySource> ReadCopySource(const GatewayCall& call);
// If-Match / If-None-Match of a write. NotImplemented: the store would not heed it.
Result<WriteCondition> ReadWriteCondition(const GatewayCall& call, bool if_absent, bool if_match);
// If-Match of a delete; empty: none.
Result<std::string> ReadDeleteCondition(std::string_view if_match, const Capabilities& can);
void AddObjectHeaders(GatewayCall& call, const ObjectInfo& info, bool with_checksums);
// Milliseconds, as S3 writes times in XML.
std::string XmlTime(SystemTime time);
Error GatewayError(std::string code, std::string message);

}  // namespace longhaul
