#include "storage/s3_bucket_name.h"

#include <algorithm>
#include <array>
#include <utility>

#include "aws/aws_endpoint.h"

namespace longhaul {
namespace {

constexpr std::string_view kDirectorySuffix = "--x-s3";

bool IsLabel(std::string_view text) {
  return !text.empty() && text.size() <= 63 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == text.npos &&
         text.front() != '-' && text.back() != '-';
}

// How zones of a region begin: "use1-" for us-east-1. Empty: a name of another make.
std::string ZonesOfRegion(std::string_view region) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kDirections = {{
      {"north", "n"},
      {"south", "s"},
      {"east", "e"},
      {"west", "w"},
      {"central", "c"},
      {"northeast", "ne"},
      {"northwest", "nw"},
      {"southeast", "se"},
      {"southwest", "sw"},
  }};
  const size_t first = region.find('-');
  const size_t second = region.find('-', first == region.npos ? first : first + 1);
  if (first != 2 || second == region.npos) return {};
  const std::string_view number = region.substr(second + 1);
  if (number.empty() || number.find_first_not_of("0123456789") != number.npos) return {};
  const std::string_view direction = region.substr(first + 1, second - first - 1);
  const auto* found = std::ranges::find(kDirections, direction,
                                        &std::pair<std::string_view, std::string_view>::first);
  if (found == kDirections.end()) return {};
  return std::string(region.substr(0, first)).append(found->second).append(number) + "-";
}

bool IsAccount(std::string_view text) {
  return text.size() == 12 && text.find_first_not_of("0123456789") == text.npos;
}

}  // namespace

bool IsDirectoryBucket(std::string_view bucket) {
  return bucket.ends_with(kDirectorySuffix) && !ZoneOfDirectoryBucket(bucket).empty();
}

std::string_view ZoneOfDirectoryBucket(std::string_view bucket) {
  if (!bucket.ends_with(kDirectorySuffix)) return {};
  bucket.remove_suffix(kDirectorySuffix.size());
  const size_t dashes = bucket.rfind("--");
  if (dashes == bucket.npos || dashes == 0) return {};
  const std::string_view zone = bucket.substr(dashes + 2);
  return IsLabel(zone) ? zone : std::string_view();
}

bool ZoneFitsRegion(std::string_view zone, std::string_view region) {
  const std::string begins = ZonesOfRegion(region);
  return begins.empty() || zone.starts_with(begins);
}

S3Quirks DirectoryBucketQuirks() {
  S3Quirks quirks;
  quirks.can.sorted_listing = false;
  quirks.can.versions = quirks.can.tags = quirks.can.storage_classes = false;
  quirks.lists_folders = true;
  quirks.md5_etags = quirks.multipart_etags = false;
  quirks.checks_checksums = true;
  return quirks;
}

bool IsS3Arn(std::string_view text) { return text.starts_with("arn:"); }

bool IsMultiRegionAccessPoint(std::string_view text) {
  constexpr std::string_view kWithoutRegion = ":s3::";
  const size_t service = text.find(kWithoutRegion);
  if (!IsS3Arn(text) || service == text.npos) return false;
  const std::string_view account = text.substr(service + kWithoutRegion.size());
  const size_t end = account.find(':');
  return end != 0 && end != text.npos && account.substr(end + 1).starts_with("accesspoint");
}

Result<S3AccessPoint> ParseS3AccessPoint(std::string_view arn) {
  const std::string quoted = "'" + std::string(arn) + "'";
  // arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
  std::array<std::string_view, 6> fields;
  std::string_view rest = arn;
  for (size_t i = 0; i < fields.size(); ++i) {
    const size_t colon = i + 1 < fields.size() ? rest.find(':') : rest.npos;
    if (colon == rest.npos && i + 1 < fields.size()) {
      return InvalidInput(quoted + " is no ARN: write arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME");
    }
    fields[i] = rest.substr(0, colon);
    rest.remove_prefix(std::min(colon == rest.npos ? rest.size() : colon + 1, rest.size()));
  }
  std::string_view resource = fields[5];
  const bool access_point =
      resource.starts_with("accesspoint/") || resource.starts_with("accesspoint:");
  if (fields[2] == "s3" && fields[3].empty() && fields[4].empty()) {
    return InvalidInput(quoted + " is the ARN of a bucket: write its name alone");
  }
  if (IsMultiRegionAccessPoint(arn)) {
    return InvalidInput(quoted +
                        " is a multi-Region access point, whose requests need another kind of "
                        "signature (SigV4A), which longhaul does not make: name one of its "
                        "buckets, or the access point of one Region");
  }
  if (fields[2] != "s3" || !access_point) {
    return InvalidInput(quoted +
                        " is no access point of S3: name a bucket, or "
                        "arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME");
  }
  S3AccessPoint point{.partition = std::string(fields[1]),
                      .region = std::string(fields[3]),
                      .account = std::string(fields[4]),
                      .name = std::string(resource.substr(std::string("accesspoint/").size()))};
  // The host is made of these: what is no part of a host name would lead somewhere else.
  if (!IsAwsRegion(point.region) || point.partition != AwsPartitionOf(point.region)) {
    return InvalidInput(quoted + ": '" + point.region + "' is no region of '" + point.partition +
                        "'");
  }
  if (!IsAccount(point.account)) {
    return InvalidInput(quoted + ": '" + point.account + "' is no account: it has 12 digits");
  }
  if (!IsLabel(point.name) || point.name.size() > 50) {
    return InvalidInput(quoted + ": '" + point.name + "' is no name of an access point");
  }
  return point;
}

std::string_view BucketPartOf(std::string_view bucket_and_key) {
  size_t slash = bucket_and_key.find('/');
  if (IsS3Arn(bucket_and_key) && slash != bucket_and_key.npos) {
    // A resource in the form "accesspoint:NAME" has no slash of its own.
    const bool by_slash = bucket_and_key.substr(0, slash).ends_with(":accesspoint");
    if (by_slash) slash = bucket_and_key.find('/', slash + 1);
  }
  return bucket_and_key.substr(0, slash);
}

}  // namespace longhaul
