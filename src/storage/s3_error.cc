#include "storage/s3_error.h"

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "storage/restores_objects.h"

namespace longhaul {
namespace {

template <size_t N>
bool OneOf(std::string_view code, const std::string_view (&codes)[N]) {
  return std::ranges::find(codes, code) != std::end(codes);
}

// What S3 and its likes mean by a code, where that is more than the status says.
std::optional<ErrorKind> KindOfCode(std::string_view code) {
  // Sources: S3 API Reference, "List of Error Codes"; AWS SDKs, retry behaviour.
  constexpr std::string_view kThrottled[] = {"SlowDown",
                                             "SlowDownRead",
                                             "SlowDownWrite",
                                             "Throttling",
                                             "ThrottlingException",
                                             "RequestLimitExceeded",
                                             "TooManyRequests",
                                             "BandwidthLimitExceeded",
                                             "RequestThrottled",
                                             "KMS.ThrottlingException"};
  constexpr std::string_view kRetryable[] = {"InternalError",      "RequestTimeout",
                                             "ServiceUnavailable", "OperationAborted",
                                             "IncompleteBody",     "InternalServerError"};
  constexpr std::string_view kNotFound[] = {"NoSuchKey",     "NoSuchBucket", "NoSuchUpload",
                                            "NoSuchVersion", "NoSuchTagSet", "DeleteMarker"};
  constexpr std::string_view kPrecondition[] = {"PreconditionFailed", "ConditionalRequestConflict"};
  constexpr std::string_view kDenied[] = {
      "AccessDenied",          "InvalidAccessKeyId",
      "SignatureDoesNotMatch", "ExpiredToken",
      "InvalidToken",          "TokenRefreshRequired",
      "AccountProblem",        "AllAccessDisabled",
      "InvalidObjectState",    "ExpiredTokenException",
      "RequestTimeTooSkewed",  "XAdminUserNotFound"};  // versitygw: no such access key, with a 404.
  if (OneOf(code, kThrottled)) return ErrorKind::kThrottled;
  if (OneOf(code, kRetryable)) return ErrorKind::kRetryable;
  if (OneOf(code, kNotFound)) return ErrorKind::kNotFound;
  if (OneOf(code, kPrecondition)) return ErrorKind::kPrecondition;
  if (OneOf(code, kDenied)) return ErrorKind::kDenied;
  return std::nullopt;
}

// Servers that keep objects in a file system refuse what that cannot hold, each in its own words.
bool IsKeyNotStorable(std::string_view code) {
  constexpr std::string_view kCodes[] = {
      "XMinioInvalidObjectName",       "XMinioInvalidResourceName", "XMinioParentIsObject",
      "XMinioObjectExistsAsDirectory", "ObjectParentIsFile",        "ExistingObjectIsDirectory",
      "DirectoryObjectContainsData",   "ObjectExistsAsDirectory",   "KeyTooLongErrorPosix"};
  return OneOf(code, kCodes);
}

ErrorKind KindOfStatus(int status, std::string_view code) {
  switch (status) {
    case 304:
    case 409:
    case 412:
      return ErrorKind::kPrecondition;
    case 401:
    case 403:
      return ErrorKind::kDenied;
    case 404:
      return ErrorKind::kNotFound;
    case 429:
      return ErrorKind::kThrottled;
    case 408:
      return ErrorKind::kRetryable;
    case 501:
      return ErrorKind::kInvalidInput;
    default:
      break;
  }
  if (status == 503 && code.empty()) return ErrorKind::kThrottled;  // A HEAD tells no code.
  return status >= 500 ? ErrorKind::kRetryable : ErrorKind::kInvalidInput;
}

// What the answer does not say: what can be done.
void Explain(const std::string& storage_class, Error& error) {
  // The second is what copies say. (S3 API Reference, CopyObject.)
  if (error.code == kArchivedCode || error.code == "ObjectNotInActiveTierError") {
    error.code = kArchivedCode;
    error.kind = ErrorKind::kDenied;
    error.message = "it lies in " +
                    (storage_class.empty() ? std::string("an archive class") : storage_class) +
                    ", where nothing can be read: restore it (aws s3api restore-object), and try "
                    "again when it is there";
  }
  if (error.code == "InvalidRequest" &&
      error.message.find("Server Side Encryption") != std::string::npos) {
    error.message +=
        " It is encrypted with a key of its writer (SSE-C), which S3 does not keep and longhaul "
        "does not take: whoever has the key can copy it onto itself with SSE-S3 or SSE-KMS.";
  }
}

}  // namespace

Error S3Error(int status, const HttpHeaders& headers, std::string_view body) {
  Error error;
  error.http_status = status;
  error.request_id = headers.Get("x-amz-request-id");
  std::optional<S3ErrorText> text;
  if (!body.empty()) text = ParseS3Error(body);
  if (text) {
    error.code = std::move(text->code);
    error.message = std::move(text->message);
    if (error.request_id.empty()) error.request_id = std::move(text->request_id);
  }
  if (error.message.empty()) {
    // The answer to a HEAD has no body that tells why.
    error.message = status == 403   ? "access denied: wrong keys, or no right to it"
                    : status == 404 ? "there is no such key, or no such bucket"
                                    : "HTTP status " + std::to_string(status);
  }
  std::optional<ErrorKind> by_code = KindOfCode(error.code);
  error.kind = by_code ? *by_code : KindOfStatus(status, error.code);

  // GET of a key, or of a version, that is a delete marker.
  if ((status == 404 || status == 405) && headers.Get("x-amz-delete-marker") == "true") {
    error.kind = ErrorKind::kNotFound;
    error.code = "DeleteMarker";
  }
  if (status == 501) error.code = "NotImplemented";
  if (status == 416 && error.code.empty()) error.code = "InvalidRange";
  if (IsKeyNotStorable(error.code)) {
    error.kind = ErrorKind::kInvalidInput;
    error.message = error.code + ": " + error.message;
    error.code = "KeyNotStorable";
  }
  if (status >= 300 && status < 400 && status != 304) {
    std::string region(headers.Get("x-amz-bucket-region"));
    if (region.empty() && text) region = text->region;
    error.message = region.empty() ? "the bucket is at another endpoint: " + error.message
                                   : "the bucket is in region " + region + ": " + error.message;
  }
  Explain(text ? text->storage_class : std::string(), error);
  std::string_view retry_after = headers.Get("Retry-After");
  int seconds = 0;
  auto [end, parsed] =
      std::from_chars(retry_after.data(), retry_after.data() + retry_after.size(), seconds);
  if (parsed == std::errc() && seconds > 0) {
    error.retry_after = std::chrono::seconds(std::min(seconds, 3600));
  }
  return error;
}

Error S3ErrorInside(const S3ErrorText& text) {
  Error error;
  error.code = text.code;
  error.message = text.message.empty() ? text.code : text.message;
  error.request_id = text.request_id;
  std::optional<ErrorKind> kind = KindOfCode(text.code);
  error.kind = kind ? *kind : ErrorKind::kInvalidInput;
  if (text.code == "NotImplemented") error.kind = ErrorKind::kInvalidInput;
  Explain(text.storage_class, error);
  return error;
}

bool IsCredentialsExpired(const Error& error) {
  constexpr std::string_view kCodes[] = {"ExpiredToken", "ExpiredTokenException",
                                         "TokenRefreshRequired", "InvalidToken",
                                         "InvalidAccessKeyId"};
  return OneOf(error.code, kCodes);
}

bool IsClockSkew(const Error& error) { return error.code == "RequestTimeTooSkewed"; }

}  // namespace longhaul
