// QuirkyHttp: the way to a server of the S3 API that lacks something. It stands between an S3 store
// and a gateway, both real: what the server would not know is refused, ignored or changed here, and
// the rest goes on, signed anew.
//
//   QuirkyHttp http(runtime, {.virtual_only = true});
//   http.Serve(gateway.endpoint());
//   MakeS3Store(runtime, {.endpoint = QuirkyHttp::kEndpoint, …}, &http);

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "aws/signer.h"
#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul::testing {

struct Quirkiness {
  bool lists_v1_only = false;           // Does not know list-type and answers as to ListObjects.
  bool refuses_batches = false;         // POST ?delete: 400 InvalidArgument.
  bool equal_parts_only = false;        // CompleteMultipartUpload: 400 InvalidPart.
  bool refuses_trailers = false;        // aws-chunked bodies: 400 InvalidArgument.
  bool refuses_checksums = false;       // x-amz-checksum-…: 400 InvalidArgument.
  bool virtual_only = false;            // A path without a bucket before the host: 403.
  bool ignores_conditions = false;      // If-Match and If-None-Match of writes.
  bool refuses_tags = false;            // x-amz-tagging and ?tagging: 501 NotImplemented.
  bool refuses_versions = false;        // ?versions and ?versioning: 501 NotImplemented.
  bool own_etags = false;               // Of parts and multipart objects: not made of MD5s.
  bool own_checksum = false;            // x-goog-hash in place of x-amz-checksum-….
  bool damages_bodies = false;          // One bit of each GET of a whole object.
  bool refuses_classes = false;         // x-amz-storage-class of any kind: 400 InvalidStorageClass.
  uint64_t put_bytes_max = UINT64_MAX;  // Larger PUTs of objects: 400 EntityTooLarge.
};

class QuirkyHttp : public HttpClient {
 public:
  static constexpr const char* kHost = "quirky.test";
  static constexpr const char* kEndpoint = "http://quirky.test";

  QuirkyHttp(Runtime runtime, Quirkiness quirks, Credentials credentials);

  // Where the gateway is: "http://127.0.0.1:9000".
  void Serve(std::string gateway) { gateway_ = std::move(gateway); }
  Async<HttpResponse> Send(HttpRequest request) override;

  std::vector<std::string> sent;  // "PUT /bucket/key?query" of each request.

 private:
  Runtime runtime_;
  Quirkiness quirks_;
  Credentials credentials_;
  Signer signer_;
  std::string gateway_;
  std::unique_ptr<HttpClient> http_;
  std::map<std::string, std::string> etags_;      // Ours by the gateway's.
  std::map<std::string, uint64_t> part_bytes_;    // By the ETag that the client knows.
  std::map<std::string, std::string> checksums_;  // CRC32C by path, of what was put or completed.
};

}  // namespace longhaul::testing
