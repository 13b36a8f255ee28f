#include "gateway/protocol/errors.h"

#include <algorithm>
#include <array>
#include <utility>

namespace longhaul {
namespace {

constexpr std::array kAnswers = {
    GatewayErrorAnswer{"AccessDenied", 403},
    GatewayErrorAnswer{"AuthorizationHeaderMalformed", 400},
    GatewayErrorAnswer{"AuthorizationQueryParametersError", 400},
    GatewayErrorAnswer{"BadDigest", 400},
    GatewayErrorAnswer{"BadRequest", 400},
    GatewayErrorAnswer{"BucketAlreadyOwnedByYou", 409},
    GatewayErrorAnswer{"BucketNotEmpty", 409},
    GatewayErrorAnswer{"ConditionalRequestConflict", 409},
    GatewayErrorAnswer{"EntityTooLarge", 400},
    GatewayErrorAnswer{"EntityTooSmall", 400},
    GatewayErrorAnswer{"IncompleteBody", 400},
    GatewayErrorAnswer{"InternalError", 500},
    GatewayErrorAnswer{"InvalidAccessKeyId", 403},
    GatewayErrorAnswer{"InvalidArgument", 400},
    GatewayErrorAnswer{"InvalidBucketName", 400},
    GatewayErrorAnswer{"InvalidChunkSizeError", 403},
    GatewayErrorAnswer{"InvalidDigest", 400},
    GatewayErrorAnswer{"InvalidPart", 400},
    GatewayErrorAnswer{"InvalidPartNumber", 416},
    GatewayErrorAnswer{"InvalidPartOrder", 400},
    GatewayErrorAnswer{"InvalidPolicyDocument", 400},
    GatewayErrorAnswer{"InvalidRange", 416},
    GatewayErrorAnswer{"InvalidRequest", 400},
    GatewayErrorAnswer{"InvalidStorageClass", 400},
    GatewayErrorAnswer{"InvalidTag", 400},
    GatewayErrorAnswer{"InvalidURI", 400},
    GatewayErrorAnswer{"KeyNotStorable", 400},
    GatewayErrorAnswer{"KeyTooLongError", 400},
    GatewayErrorAnswer{"MalformedPOSTRequest", 400},
    GatewayErrorAnswer{"MalformedTrailerError", 400},
    GatewayErrorAnswer{"MalformedXML", 400},
    GatewayErrorAnswer{"MaxPostPreDataLengthExceededError", 400},
    GatewayErrorAnswer{"MetadataTooLarge", 400},
    GatewayErrorAnswer{"MethodNotAllowed", 405},
    GatewayErrorAnswer{"MissingContentLength", 411},
    GatewayErrorAnswer{"NoSuchBucket", 404},
    GatewayErrorAnswer{"NoSuchKey", 404},
    GatewayErrorAnswer{"NoSuchUpload", 404},
    GatewayErrorAnswer{"NoSuchVersion", 404},
    GatewayErrorAnswer{"NotImplemented", 501},
    GatewayErrorAnswer{"PreconditionFailed", 412},
    GatewayErrorAnswer{"RequestTimeTooSkewed", 403},
    GatewayErrorAnswer{"RequestTimeout", 400},
    GatewayErrorAnswer{"ServiceUnavailable", 503},
    GatewayErrorAnswer{"SignatureDoesNotMatch", 403},
    GatewayErrorAnswer{"SlowDown", 503},
    GatewayErrorAnswer{"XAmzContentSHA256Mismatch", 400},
};

}  // namespace

Error GatewayError(std::string code, std::string message) {
  Error error = InvalidInput(std::move(message));
  error.code = std::move(code);
  return error;
}

Error GatewayDenied(std::string code, std::string message) {
  return {.kind = ErrorKind::kDenied, .message = std::move(message), .code = std::move(code)};
}

GatewayErrorAnswer GatewayAnswerFor(const Error& error) {
  auto known = std::ranges::find(kAnswers, std::string_view(error.code), &GatewayErrorAnswer::code);
  if (known != kAnswers.end()) return *known;
  switch (error.kind) {
    case ErrorKind::kRetryable:
    case ErrorKind::kCancelled:
      return {"ServiceUnavailable", 503};
    case ErrorKind::kThrottled:
      return {"SlowDown", 503};
    case ErrorKind::kNotFound:
      return {"NoSuchKey", 404};
    case ErrorKind::kPrecondition:
      return {"PreconditionFailed", 412};
    case ErrorKind::kDenied:
      return {"AccessDenied", 403};
    case ErrorKind::kCorrupt:
      return {"InternalError", 500};
    case ErrorKind::kInvalidInput:
      return {"InvalidRequest", 400};
  }
  return {"InternalError", 500};
}

}  // namespace longhaul
