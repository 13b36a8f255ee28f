// Checks AWS Signature Version 4 on requests to the gateway: in the Authorization header, in the
// query (presigned), in a form (POST policy), and chunk by chunk in a body. Version 2 is told that
// it is not taken.
//
// Keys and signatures are compared in constant time, and all keys are looked at for each request.
//
// Sources: S3 API Reference, "Authenticating Requests: Using the Authorization Header", "… Using
// Query Parameters", "… Browser-Based Uploads Using POST", "Signature Calculations for …
// Transferring Payload in Multiple Chunks" and "… Including Trailing Headers".

#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "net/http_request_head.h"

namespace longhaul {

struct GatewayKeys {
  std::string access_key_id;
  Secret secret_access_key;
};

using QueryParameters = std::multimap<std::string, std::string>;

// Decodes "a=1&b=%20+" ("+" is a space). kInvalidInput: a % without two hex digits.
Result<QueryParameters> ParseQuery(std::string_view query);

// What the signature says of the body.
enum class PayloadKind {
  kUnsigned,
  kSha256,                 // One digest of it all.
  kChunksUnsignedTrailer,  // STREAMING-UNSIGNED-PAYLOAD-TRAILER
  kChunksSigned,           // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
  kChunksSignedTrailer,    // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
};

// A request whose signature is right.
struct SignedRequest {
  size_t signer = 0;  // Whose it is: an index into the keys.
  PayloadKind payload = PayloadKind::kUnsigned;
  std::string payload_sha256;  // Hex, for kSha256.
  // For the signatures of chunks.
  std::string signing_key;
  std::string timestamp;
  std::string scope;
  std::string signature;
};

// kDenied with S3's code: AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch,
// RequestTimeTooSkewed; kInvalidInput: AuthorizationHeaderMalformed,
// AuthorizationQueryParametersError, InvalidArgument, InvalidRequest.
Result<SignedRequest> VerifySigV4(const HttpRequestHead& head, const QueryParameters& query,
                                  std::span<const GatewayKeys> keys, SystemTime now);

// What a form says of its signature: the fields x-amz-….
struct SignedPolicy {
  std::string policy;  // As it came: base64.
  std::string algorithm;
  std::string credential;
  std::string date;
  std::string signature;
};
// Whose it is: an index into the keys. Errors as above; how long the policy holds is its own
// matter.
Result<size_t> VerifyPolicySignature(const SignedPolicy& given, std::span<const GatewayKeys> keys);

// The signature of a chunk, or of the trailer, that follows what `previous` signed.
std::string ChunkSignature(const SignedRequest& request, std::string_view previous,
                           std::string_view chunk_sha256_hex);
std::string TrailerSignature(const SignedRequest& request, std::string_view previous,
                             std::string_view trailer_sha256_hex);

}  // namespace longhaul
