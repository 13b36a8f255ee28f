// Gateway: an S3 endpoint over any Store. It serves the demo, the tests and `longhaul serve s3`.
//
// What works: SigV4 in header and query, signed, unsigned and aws-chunked bodies with trailers;
// buckets; objects with headers, metadata, tags, ranges, conditions and checksums; ListObjects V1
// and V2, versions where the store has them; multipart uploads, also by copying parts; copies;
// batch deletes; notifications to a webhook. Everything else answers 501 NotImplemented and has no
// effect: protocol/operations.h is the list of what is known. Path style only
// (http://host/bucket/key), no TLS. The owner's pair of keys may do everything; users may do
// what they have rights to. Keys reach the store exactly as they were sent.
//
//   Gateway gateway(runtime, *store, {.access_key_id = "…", .secret_access_key = Secret("…")});
//   Result<void> started = co_await gateway.Start("127.0.0.1:9000");
//   … gateway.endpoint() … co_await gateway.Stop(std::chrono::seconds(25));
//
// Belongs to one shard. Facts: S3 API Reference.

#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "base/secret.h"
#include "gateway/access/users.h"
#include "storage/store.h"

namespace longhaul {

struct GatewayOptions {
  std::string access_key_id;
  Secret secret_access_key;
  std::string region = "us-east-1";  // What GetBucketLocation says; requests may name any.
  std::string event_webhook;         // URL for event notifications; empty: none.
  // For bodies that are held whole; others are streamed. An S3 store over plain HTTP holds those
  // again, within a bound of its own.
  int64_t memory_bytes = 64 << 20;
  int connections_max = 1024;
  std::chrono::milliseconds form_timeout{120'000};  // From the head of a form to its last byte.
  std::vector<GatewayUser> users{};  // Beside the owner, whose keys may then be left empty.
};

class Gateway {
 public:
  // `runtime` and `store` outlive the gateway.
  Gateway(const Runtime& runtime, Store& store, GatewayOptions options);
  ~Gateway();

  // kInvalidInput: no keys and no users, not an address, or code "AddressInUse". Port 0: a free
  // one.
  Async<void> Start(std::string listen);
  [[nodiscard]] std::string endpoint() const;  // "http://127.0.0.1:9000"

  // Lets requests in flight finish and waiting notifications go out, both for at most `grace`.
  // Call it before the gateway is destroyed.
  Async<void> Stop(std::chrono::milliseconds grace);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul
