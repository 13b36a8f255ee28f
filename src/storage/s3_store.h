// A Store over the S3 API: AWS, or any endpoint that speaks it.
//
// What a server lacks is not guessed request by request: options say it (`checksums: false`) or
// storage/probe.h finds it out. Facts: S3 API Reference; differences of servers: docs/operations.
//
// - Payloads: over TLS and to loopback they are not signed; over other plain HTTP they are, by
//   SHA-256 (3 CPU s/GiB). `payload_signing` overrides that.
// - Integrity up: a body in memory goes with x-amz-checksum-crc64nvme (the caller's own checksum
//   comes first); a streamed body without a known checksum carries a CRC64NVME trailer. Whether a
//   server that is not AWS checks them, its first answers tell; until then and where it does not,
//   bodies in memory go with Content-MD5, and of streamed ones the MD5 is compared with the ETag of
//   the answer (kCorrupt: what was written is not what was sent). A streamed body whose checksum
//   the caller knows is sent without an MD5 (1.8 CPU s/GiB) while the server is not known: its
//   answer confirms the checksum, else a HEAD, else the object is read back, once per store. Such
//   a body is checked on its way out; where it is wrong its last piece is not sent.
// - A streamed body whose payload must be signed is held in memory, up to 64 MiB.
// - Integrity down: a whole object is verified against the strongest full-object checksum that came
//   with it, else against a plain MD5 ETag (1.8 CPU s/GiB, on the CPU pool in pieces); a mismatch
//   is kCorrupt at the last Read. Ranges are verified by length alone.
// - User metadata goes out and comes back as the server's bytes. Values that are not ASCII come
//   back from AWS in the form of RFC 2047; such a value written again is stored as what it means.
// - A bucket that is in another region than the endpoint is found there, once for each bucket,
// where
//   that is below the endpoint's own host, or S3 of the same partition (storage/s3_endpoint.h).
// - A bucket may be the ARN of an access point; directory buckets (storage/s3_bucket_name.h) are
//   signed for by sessions, and need their quirks.
// - A conditional write whose connection broke after it was sent is not sent again: kRetryable.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "aws/aws_endpoint.h"
#include "aws/credentials.h"
#include "base/runtime.h"
#include "net/http_client.h"
#include "storage/request_meter.h"
#include "storage/s3_quirks.h"
#include "storage/store.h"

namespace longhaul {

enum class S3Addressing {
  kAuto,         // Virtual host on AWS for names that allow it, else path.
  kPath,         // https://host/bucket/key
  kVirtualHost,  // https://bucket.host/key
};

enum class S3PayloadSigning {
  kAuto,  // Over plain HTTP unless the host is loopback.
  kAlways,
  kNever,
};

struct S3StoreOptions {
  std::string endpoint;  // "https://host[:port]"; empty: AWS, by region.
  std::string region;    // Empty: us-east-1.
  AwsWishes wishes;      // For where AWS is.
  S3Addressing addressing = S3Addressing::kAuto;
  // Null: anonymous, requests are not signed. Shared by the stores of one shard that use the same
  // account, so that credentials are fetched once.
  std::shared_ptr<CredentialsProvider> credentials;
  S3PayloadSigning payload_signing = S3PayloadSigning::kAuto;
  bool requester_pays = false;
  // Objects go by S3 Transfer Acceleration, to buckets that have it; on AWS alone.
  bool accelerate = false;
  // What the server does otherwise (storage/s3_provider.h has those of known services).
  S3Quirks quirks;
  bool checksums = true;  // False: the server knows no x-amz-checksum-*; Content-MD5 stands in.
  bool verify_md5_etag = true;  // GET of what has no checksum: see above.
  // What storage/probe.h found: keys that the server would alias or hide are refused, and
  // capabilities() says this.
  std::optional<Capabilities> probed;
  int attempts_max = 10;
  std::chrono::milliseconds operation_timeout{300'000};  // With all retries of one operation.
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds stall_timeout{60'000};
  int connections_max = 64;  // Requests under way at a time: HttpClientOptions::requests_max.
  std::string ca_file;
  HttpProxySettings proxy;
  Shards* shards = nullptr;  // As HttpClientOptions has it.
  // Called once, when an answer shows that this machine's clock is a minute or more off: how much
  // the server's is ahead of it. Null: nobody wants to know.
  std::function<void(std::chrono::seconds ahead)> on_clock_off;
  // Once it is set nothing is waited for and repeated any more: what fails comes out at once.
  // Borrowed; null: never.
  Event* stop = nullptr;
  // Called with each failure that will be repeated ("GET bucket/key: …"), and with null by the
  // first success after one. Does not block.
  std::function<void(const Error* failure)> on_trouble;
  // Counts what is sent; null: nobody does. shared: with streams, which may outlive the store.
  std::shared_ptr<RequestMeter> meter;
};

// kInvalidInput: the endpoint is no http(s) URL, or two options contradict each other. `http`: to
// share one client (then `connections_max` and `ca_file` are its own affair); null: its
// own. `runtime` and `http` outlive the store.
Result<std::unique_ptr<Store>> MakeS3Store(const Runtime& runtime, S3StoreOptions options,
                                           HttpClient* http = nullptr);

}  // namespace longhaul
