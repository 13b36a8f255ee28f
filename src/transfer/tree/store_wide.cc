#include "transfer/tree/store_wide.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string_view>

namespace longhaul {

namespace {

// Sources: S3 API Reference, "List of Error Codes"; what versitygw, MinIO and Ceph answer.
struct Cause {
  std::string_view code;
  std::string_view remedy;
};

constexpr std::string_view kKeys =
    "check the access key and secret: --profile, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
    "the store's in the configuration";
constexpr std::string_view kToken =
    "get new temporary credentials (aws sso login, or the role's), then run the same again";
constexpr std::string_view kRegion =
    "say the bucket's region: --region, --source-region or --target-region";

constexpr Cause kCauses[] = {
    {"NoSuchBucket", "create the bucket first, or check its name"},
    {"InvalidBucketName", "check the bucket's name: 3 to 63 of a-z, 0-9, '.' and '-'"},
    {"InvalidAccessKeyId", kKeys},
    {"SignatureDoesNotMatch", kKeys},
    {"XAdminUserNotFound", kKeys},
    {"InvalidSecurity", kKeys},
    {"NotSignedUp", kKeys},
    {"ExpiredToken", kToken},
    {"ExpiredTokenException", kToken},
    {"InvalidToken", kToken},
    {"TokenRefreshRequired", kToken},
    {"NoCredentials", kKeys},
    // aws/credentials_failure.h: the message says what is wrong, and often the command.
    {"CredentialsFailed", ""},
    {"CredentialsRefused", ""},
    {"AuthorizationHeaderMalformed", kRegion},
    {"PermanentRedirect", kRegion},
    {"TemporaryRedirect", kRegion},
    {"IllegalLocationConstraintException", kRegion},
    {"RequestTimeTooSkewed", "set this machine's clock"},
    {"AllAccessDisabled", "ask the owner of the bucket"},
    {"AccountProblem", "ask the provider about the account"},
    // Of local files (local_file.h).
    {"NoSpace", "make room at the target, then run the same again"},
    {kFolderNotPossible,
     "name another TARGET, or make it a folder: it is a file, a link that leads nowhere or to "
     "itself, or its name is none that the file system takes"},
    {"FoldsNames", "give a PATH in place of the store: names are looked at there, one by one"},
    {"ReadOnly", "mount the target's file system so that it can be written to"},
};

// Codes of single objects: in an archive, gone, of a name or a size that the store does not take.
constexpr std::string_view kOfObjects[] = {
    "InvalidObjectState", "NoSuchKey",        "NoSuchVersion",  "DeleteMarker",
    "KeyNotStorable",     "KeyTooLongError",  "EntityTooLarge", "MetadataTooLarge",
    "InvalidTag",         "CopiedNotRemoved", "FileNotPossible"};

bool OneOf(std::string_view code, std::span<const std::string_view> codes) {
  return std::ranges::find(codes, code) != codes.end();
}

const Cause* FindCause(std::string_view code) {
  const Cause* found = std::ranges::find(kCauses, code, &Cause::code);
  return found == std::end(kCauses) ? nullptr : found;
}

// The bucket is somewhere else, which some answers say without a code.
bool IsElsewhere(const Error& error) { return error.http_status / 100 == 3; }

}  // namespace

bool IsStoreWide(const Error& error) {
  if (FindCause(error.code) != nullptr) return true;
  return IsElsewhere(error) && error.http_status != 304;
}

std::string RemedyFor(const Error& error) {
  if (const Cause* cause = FindCause(error.code)) return std::string(cause->remedy);
  if (IsElsewhere(error)) return std::string(kRegion);
  if (error.kind == ErrorKind::kDenied) {
    return "check that these keys may read the source and write to the target";
  }
  if (error.Transient()) return "check the endpoint and the network, then run the same again";
  return "";
}

bool FailureWatch::Failed(const Error& error) {
  if (IsStoreWide(error)) return true;
  // Others are about the object: InvalidObjectState says that it is in an archive.
  if (error.code == "AccessDenied" || (error.kind == ErrorKind::kDenied && error.code.empty())) {
    return !proven_ && (bucket_denied_ || ++denied_ >= kDeniedMax);
  }
  if (error.Transient()) return !proven_ || ++away_ >= in_flight_;
  // Whatever it means: all that was tried has met it, and it is not about keys or states of
  // objects.
  if (proven_ || error.code.empty() || error.kind == ErrorKind::kCorrupt ||
      OneOf(error.code, kOfObjects)) {
    return false;
  }
  alike_ = error.code == alike_code_ ? alike_ + 1 : 1;
  alike_code_ = error.code;
  return alike_ >= kAlikeMax;
}

}  // namespace longhaul
