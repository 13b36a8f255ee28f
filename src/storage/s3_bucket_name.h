// What the name of a bucket says by itself: a directory bucket of S3 Express One Zone, and the ARN
// of an access point in place of a name.
//
// Sources: S3 User Guide, "Directory bucket naming rules", "Differences for directory buckets",
// "Endpoints for directory buckets in Availability Zones", "Access points: ARNs, aliases and
// host names"; CreateSession and CopyObject in the S3 API Reference.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/s3_quirks.h"

namespace longhaul {

// BASE--ZONE--x-s3, as in "logs--use1-az4--x-s3". No other bucket may be called so.
bool IsDirectoryBucket(std::string_view bucket);
// "use1-az4".
std::string_view ZoneOfDirectoryBucket(std::string_view bucket);
// Whether a zone of this name can be one of this region: "use1-az4" is of us-east-1 and of no
// other. True where the region's name does not tell how its zones begin.
// Source: AWS RAM User Guide, "Availability Zone IDs for your AWS resources".
bool ZoneFitsRegion(std::string_view zone, std::string_view region);
// What such buckets do otherwise than those of general purpose.
S3Quirks DirectoryBucketQuirks();

// "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports".
struct S3AccessPoint {
  std::string partition;  // "aws"
  std::string region;
  std::string account;
  std::string name;
};
// Whether `text` stands where a bucket is named and is an ARN: it has "/" and ":" in it then.
bool IsS3Arn(std::string_view text);
// Whether it is, or begins with, the ARN of a multi-Region access point.
bool IsMultiRegionAccessPoint(std::string_view text);
// kInvalidInput: an ARN of something else, such as a multi-Region access point, with what to name
// in its place.
Result<S3AccessPoint> ParseS3AccessPoint(std::string_view arn);

// Cuts a bucket, which may be an ARN, off what follows it: "BUCKET/KEY" gives "BUCKET"; of an ARN
// ("…:accesspoint/NAME/KEY") its name belongs to it.
std::string_view BucketPartOf(std::string_view bucket_and_key);

}  // namespace longhaul
