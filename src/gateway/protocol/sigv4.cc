#include "gateway/protocol/sigv4.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <vector>

#include "aws/signer.h"
#include "base/ascii.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "gateway/protocol/errors.h"

namespace longhaul {
namespace {

constexpr std::chrono::minutes kSkewMax{15};
constexpr int kExpiresMax = 7 * 24 * 3600;
constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

constexpr std::string_view kOnlyVersion4 =
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256 "
    "(signature version 4). The AWS CLI v1 makes URLs of version 2 unless told otherwise: aws "
    "configure set default.s3.signature_version s3v4; boto3: Config(signature_version='s3v4')";

Error Denied(std::string code, std::string message) {
  return GatewayDenied(std::move(code), std::move(message));
}
Error Bad(std::string code, std::string message) {
  return GatewayError(std::move(code), std::move(message));
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// "20260301T093000Z"
std::optional<SystemTime> ParseAmzDate(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  auto number = [&](size_t at, size_t size) {
    int value = -1;
    std::from_chars(text.data() + at, text.data() + at + size, value);
    return value;
  };
  using namespace std::chrono;
  year_month_day date(year(number(0, 4)), month(static_cast<unsigned>(number(4, 2))),
                      day(static_cast<unsigned>(number(6, 2))));
  if (!date.ok()) return std::nullopt;
  SystemTime time =
      sys_days(date) + hours(number(9, 2)) + minutes(number(11, 2)) + seconds(number(13, 2));
  // What does not come out as it went in was no date.
  return FormatAmzDate(time) == text ? std::optional(time) : std::nullopt;
}

// What a request says of its signature, from either place.
struct Claim {
  std::string access_key_id;
  std::string date;
  std::string region;
  std::string service;
  std::vector<std::string> signed_headers;  // In the order given.
  std::string signature;
  std::string timestamp;
  std::string payload;
  std::optional<int> expires_seconds;  // Presigned.
};

// `code`: that of a credential which is none.
Result<void> ReadCredential(std::string_view text, std::string code, Claim& claim) {
  // The key id may itself hold slashes: the last four parts are the scope.
  std::vector<std::string> parts = Split(text, '/');
  if (parts.size() < 5 || parts.back() != "aws4_request") {
    return Bad(std::move(code), "the credential is not KEY/DATE/REGION/s3/aws4_request");
  }
  size_t n = parts.size();
  claim.service = parts[n - 2];
  claim.region = parts[n - 3];
  claim.date = parts[n - 4];
  claim.access_key_id = text.substr(0, text.size() - claim.date.size() - claim.region.size() -
                                           claim.service.size() - parts[n - 1].size() - 4);
  return Ok();
}

Result<Claim> ReadHeader(const HttpRequestHead& head) {
  std::string_view text = head.headers.Get("Authorization");
  if (text.empty()) return Denied("AccessDenied", "the request is not signed");
  if (text.starts_with("AWS ")) return Bad("InvalidRequest", std::string(kOnlyVersion4));
  if (!text.starts_with(kAlgorithm)) {
    return Bad("InvalidArgument", "Unsupported Authorization Type: sign with AWS4-HMAC-SHA256");
  }
  text.remove_prefix(kAlgorithm.size());
  Claim claim;
  for (std::string_view part : Split(text, ',')) {
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    size_t equals = part.find('=');
    std::string_view name = part.substr(0, equals);
    std::string_view value = equals == std::string_view::npos ? "" : part.substr(equals + 1);
    if (name == "Credential") {
      Result<void> read = ReadCredential(value, "AuthorizationHeaderMalformed", claim);
      if (!read) return read.error();
    } else if (name == "SignedHeaders") {
      claim.signed_headers = Split(value, ';');
    } else if (name == "Signature") {
      claim.signature = value;
    }
  }
  if (claim.access_key_id.empty() || claim.signed_headers.empty() || claim.signature.empty()) {
    return Bad("AuthorizationHeaderMalformed",
               "the Authorization header lacks one of Credential, SignedHeaders and Signature");
  }
  claim.timestamp = head.headers.Get("x-amz-date");
  if (claim.timestamp.empty()) {
    Result<SystemTime> date = ParseHttpDate(head.headers.Get("Date"));
    if (date) claim.timestamp = FormatAmzDate(*date);
  }
  if (!ParseAmzDate(claim.timestamp)) {
    return Denied("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  }
  const std::string* payload = head.headers.Find("x-amz-content-sha256");
  if (payload == nullptr) {
    return Bad("InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
  }
  claim.payload = *payload;
  return claim;
}

std::string First(const QueryParameters& query, const std::string& name) {
  auto found = query.find(name);
  return found == query.end() ? "" : found->second;
}

Result<Claim> ReadPresigned(const HttpRequestHead& head, const QueryParameters& query) {
  Claim claim;
  if (First(query, "X-Amz-Algorithm") != kAlgorithm) {
    return Bad("AuthorizationQueryParametersError", "X-Amz-Algorithm must be AWS4-HMAC-SHA256");
  }
  Result<void> read =
      ReadCredential(First(query, "X-Amz-Credential"), "AuthorizationQueryParametersError", claim);
  if (!read) return read.error();
  claim.signed_headers = Split(First(query, "X-Amz-SignedHeaders"), ';');
  claim.signature = First(query, "X-Amz-Signature");
  claim.timestamp = First(query, "X-Amz-Date");
  if (!ParseAmzDate(claim.timestamp)) {
    return Bad("AuthorizationQueryParametersError",
               "X-Amz-Date must be in the ISO8601 Long Format yyyyMMdd'T'HHmmss'Z'");
  }
  std::string expires = First(query, "X-Amz-Expires");
  int seconds = 0;
  auto [end, failed] = std::from_chars(expires.data(), expires.data() + expires.size(), seconds);
  if (failed != std::errc() || end != expires.data() + expires.size() || seconds < 1 ||
      seconds > kExpiresMax) {
    return Bad("AuthorizationQueryParametersError", "X-Amz-Expires must be 1 to 604800 seconds");
  }
  claim.expires_seconds = seconds;
  claim.payload = head.headers.Get("x-amz-content-sha256");
  if (claim.payload.empty()) claim.payload = kUnsignedPayload;
  return claim;
}

// The value with runs of blanks as one, and none at its ends.
std::string Trimmed(std::string_view value) {
  std::string trimmed;
  for (char c : value) {
    if (c == '\t') c = ' ';
    if (c == ' ' && (trimmed.empty() || trimmed.back() == ' ')) continue;
    trimmed += c;
  }
  if (trimmed.ends_with(' ')) trimmed.pop_back();
  return trimmed;
}

Result<std::string> CanonicalRequest(const HttpRequestHead& head, const QueryParameters& query,
                                     const Claim& claim) {
  Result<std::string> path = PercentDecode(head.path());
  if (!path) return Bad("InvalidURI", "the path is not percent-encoded rightly");
  std::string canonical = head.method + "\n" + PercentEncode(*path, Slash::kKeep) + "\n";

  std::vector<std::pair<std::string, std::string>> parameters;
  for (const auto& [name, value] : query) {
    if (claim.expires_seconds && name == "X-Amz-Signature") continue;
    parameters.emplace_back(PercentEncode(name, Slash::kEncode),
                            PercentEncode(value, Slash::kEncode));
  }
  std::ranges::sort(parameters);
  for (size_t i = 0; i < parameters.size(); ++i) {
    canonical += (i > 0 ? "&" : "") + parameters[i].first + "=" + parameters[i].second;
  }
  canonical += "\n";

  std::string names;
  std::set<std::string> covered;
  for (const std::string& name : claim.signed_headers) {
    if (name.empty() || !covered.insert(name).second) {
      return Bad("AuthorizationHeaderMalformed", "SignedHeaders makes no sense");
    }
    std::string values;
    bool there = false;
    for (const auto& [header, value] : head.headers.entries()) {
      if (LowerAscii(header) != name) continue;
      values += (there ? "," : "") + Trimmed(value);
      there = true;
    }
    if (!there) {
      return Denied("SignatureDoesNotMatch", "the signed header " + name + " is not there");
    }
    canonical += name + ":" + values + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  // What is not signed could have been added on the way.
  if (!covered.contains("host")) {
    return Denied("AccessDenied", "the Host header must be signed");
  }
  for (const auto& [header, value] : head.headers.entries()) {
    std::string lower = LowerAscii(header);
    if (lower.starts_with("x-amz-") && !covered.contains(lower) &&
        !(claim.expires_seconds && lower == "x-amz-content-sha256")) {
      return Denied("AccessDenied",
                    "There were headers present in the request which were not signed: " + lower);
    }
  }
  canonical += "\n" + names + "\n" + claim.payload;
  return canonical;
}

Result<PayloadKind> KindOf(const std::string& payload) {
  if (payload == kUnsignedPayload) return PayloadKind::kUnsigned;
  if (payload == kUnsignedPayloadTrailer) return PayloadKind::kChunksUnsignedTrailer;
  if (payload == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") return PayloadKind::kChunksSigned;
  if (payload == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") {
    return PayloadKind::kChunksSignedTrailer;
  }
  if (payload.size() == 64 && HexDecode(payload)) return PayloadKind::kSha256;
  return Bad("InvalidArgument", "x-amz-content-sha256 is none of those known here");
}

// Which key it is. All are compared, so that the time tells nothing of them.
std::optional<size_t> FindKey(std::span<const GatewayKeys> keys, std::string_view id) {
  std::optional<size_t> found;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (EqualInConstantTime(keys[i].access_key_id, id)) found = i;
  }
  return found;
}

// The key that signs what is of this day, region and service.
std::string SigningKey(const Secret& secret, const Claim& claim) {
  std::string key = HmacSha256("AWS4" + secret.Reveal(), claim.date);
  key = HmacSha256(key, claim.region);
  key = HmacSha256(key, claim.service);
  return HmacSha256(key, "aws4_request");
}

Error NoSuchAccessKey() {
  return Denied("InvalidAccessKeyId", "The access key id does not exist in our records");
}
Error WrongSignature() {
  return Denied("SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided");
}

}  // namespace

Result<QueryParameters> ParseQuery(std::string_view query) {
  QueryParameters parameters;
  while (!query.empty()) {
    size_t end = query.find('&');
    std::string_view one = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (one.empty()) continue;
    size_t equals = one.find('=');
    Result<std::string> name = FormDecode(one.substr(0, equals));
    Result<std::string> value =
        FormDecode(equals == std::string_view::npos ? "" : one.substr(equals + 1));
    if (!name || !value) return Bad("InvalidURI", "the query is not percent-encoded rightly");
    parameters.emplace(std::move(*name), std::move(*value));
  }
  return parameters;
}

Result<SignedRequest> VerifySigV4(const HttpRequestHead& head, const QueryParameters& query,
                                  std::span<const GatewayKeys> keys, SystemTime now) {
  bool in_header = head.headers.Find("Authorization") != nullptr;
  bool in_query = query.contains("X-Amz-Signature") || query.contains("X-Amz-Algorithm");
  if (!in_header && !in_query) {
    if (query.contains("AWSAccessKeyId") && query.contains("Signature")) {
      return Bad("InvalidRequest", std::string(kOnlyVersion4));
    }
    return Denied("AccessDenied", "the request is not signed");
  }
  if (in_header && in_query) {
    return Bad("InvalidArgument", "Only one auth mechanism allowed");
  }
  Result<Claim> claim = in_header ? ReadHeader(head) : ReadPresigned(head, query);
  if (!claim) return claim.error();
  std::optional<size_t> signer = FindKey(keys, claim->access_key_id);
  if (!signer) return NoSuchAccessKey();
  std::optional<SystemTime> time = ParseAmzDate(claim->timestamp);
  if (!time || claim->timestamp.substr(0, 8) != claim->date || claim->service != "s3") {
    return Bad(in_header ? "AuthorizationHeaderMalformed" : "AuthorizationQueryParametersError",
               "the date or the service in the credential is not that of the request");
  }
  if (*time > now + kSkewMax || (!claim->expires_seconds && *time < now - kSkewMax)) {
    return Denied("RequestTimeTooSkewed",
                  "The difference between the request time and the current time is too large");
  }
  if (claim->expires_seconds && now > *time + std::chrono::seconds(*claim->expires_seconds)) {
    return Denied("AccessDenied", "Request has expired");
  }
  Result<std::string> canonical = CanonicalRequest(head, query, *claim);
  if (!canonical) return canonical.error();
  Result<PayloadKind> kind = KindOf(claim->payload);
  if (!kind) return kind.error();

  SignedRequest request{.signer = *signer, .payload = *kind, .timestamp = claim->timestamp};
  if (*kind == PayloadKind::kSha256) request.payload_sha256 = LowerAscii(claim->payload);
  request.scope = claim->date + "/" + claim->region + "/" + claim->service + "/aws4_request";
  request.signing_key = SigningKey(keys[*signer].secret_access_key, *claim);
  std::string to_sign = std::string(kAlgorithm) + "\n" + request.timestamp + "\n" + request.scope +
                        "\n" + HexEncode(Sha256(*canonical));
  request.signature = HexEncode(HmacSha256(request.signing_key, to_sign));
  if (!EqualInConstantTime(request.signature, claim->signature)) return WrongSignature();
  return request;
}

Result<size_t> VerifyPolicySignature(const SignedPolicy& given, std::span<const GatewayKeys> keys) {
  if (given.algorithm != kAlgorithm) {
    return Bad("InvalidArgument", "x-amz-algorithm must be AWS4-HMAC-SHA256");
  }
  Claim claim;
  Result<void> read = ReadCredential(given.credential, "InvalidArgument", claim);
  if (!read) return read.error();
  if (!ParseAmzDate(given.date) || given.date.substr(0, 8) != claim.date || claim.service != "s3") {
    return Bad("InvalidArgument", "x-amz-date or the service in x-amz-credential is wrong");
  }
  std::optional<size_t> signer = FindKey(keys, claim.access_key_id);
  if (!signer) return NoSuchAccessKey();
  std::string signature =
      HexEncode(HmacSha256(SigningKey(keys[*signer].secret_access_key, claim), given.policy));
  if (!EqualInConstantTime(signature, given.signature)) return WrongSignature();
  return *signer;
}

std::string ChunkSignature(const SignedRequest& request, std::string_view previous,
                           std::string_view chunk_sha256_hex) {
  std::string to_sign = "AWS4-HMAC-SHA256-PAYLOAD\n" + request.timestamp + "\n" + request.scope +
                        "\n" + std::string(previous) + "\n" + std::string(kEmptyPayloadSha256) +
                        "\n" + std::string(chunk_sha256_hex);
  return HexEncode(HmacSha256(request.signing_key, to_sign));
}

std::string TrailerSignature(const SignedRequest& request, std::string_view previous,
                             std::string_view trailer_sha256_hex) {
  std::string to_sign = "AWS4-HMAC-SHA256-TRAILER\n" + request.timestamp + "\n" + request.scope +
                        "\n" + std::string(previous) + "\n" + std::string(trailer_sha256_hex);
  return HexEncode(HmacSha256(request.signing_key, to_sign));
}

}  // namespace longhaul
