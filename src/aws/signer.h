// SigV4: the signature of a request to an AWS service or to a server that speaks like one.
//
// Source: AWS General Reference / IAM User Guide, "Signing AWS API requests", and S3 API Reference,
// "Authenticating Requests". S3's rule for paths is used for the services "s3" and "s3express"
// (encoded once, never normalised); other services encode the encoded path again.

#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "aws/credentials.h"
#include "base/clock.h"
#include "net/http_client.h"

namespace longhaul {

// What x-amz-content-sha256 says of the body.
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kUnsignedPayloadTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
inline constexpr std::string_view kEmptyPayloadSha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// The parts of a URL that are signed; `path` and `query` are percent-encoded as they go out.
struct SignedTarget {
  std::string_view host;   // As in the Host header.
  std::string_view path;   // Begins with "/".
  std::string_view query;  // Without "?"; "a=1&b=2"; names without "=" are signed as "name=".
};

// Signs for one service in one region; keeps the key of the day. Belongs to one shard.
class Signer {
 public:
  Signer(std::string region, std::string service)
      : region_(std::move(region)), service_(std::move(service)) {}

  // Adds X-Amz-Date, X-Amz-Security-Token (where there is one), for S3 x-amz-content-sha256, and
  // Authorization. All of `headers` but User-Agent, Connection, Expect and Accept-Encoding are
  // signed; `Host` is signed from `target` and not added. `payload_sha256`: 64 hex digits or one of
  // the constants above.
  void Sign(std::string_view method, const SignedTarget& target, HttpHeaders& headers,
            std::string_view payload_sha256, const Credentials& credentials, SystemTime now);

  // The query of a URL that anyone may use until `now` + `expires` (at most 7 days): `target.query`
  // and the X-Amz-… parameters, signature last. Only Host is signed.
  std::string Presign(std::string_view method, const SignedTarget& target,
                      const Credentials& credentials, SystemTime now, std::chrono::seconds expires);

  [[nodiscard]] const std::string& region() const { return region_; }

 private:
  [[nodiscard]] bool IsS3() const { return service_ == "s3" || service_ == "s3express"; }
  const std::string& KeyOf(const Credentials& credentials, std::string_view date);
  std::string Signature(std::string_view canonical_request, std::string_view timestamp,
                        const Credentials& credentials);
  const std::string& TimestampOf(SystemTime now);
  // Valid until that of another date is asked for.
  const std::string& ScopeOf(std::string_view date);
  std::string CanonicalPath(std::string_view path) const;

  std::string region_;
  std::string service_;
  std::string key_date_;
  std::string key_access_key_id_;
  Secret key_secret_;
  std::string key_;
  std::string scope_;
  std::string timestamp_;  // Of timestamp_second_: thousands of requests share one.
  std::chrono::sys_seconds timestamp_second_{};
};

// "20260301T093000Z".
std::string FormatAmzDate(SystemTime time);

}  // namespace longhaul
