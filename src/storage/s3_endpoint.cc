#include "storage/s3_endpoint.h"

#include <algorithm>

#include "base/bytes.h"
#include "storage/s3_bucket_name.h"

namespace longhaul {
namespace {

// A bucket that is sent from place to place is nowhere.
constexpr int kHopsMax = 4;
constexpr size_t kElsewhereMax = 10'000;

// Names that can be a label of a host name, also under a certificate for one level.
bool IsHostLabel(std::string_view bucket) {
  return bucket.size() >= 3 && bucket.size() <= 63 &&
         bucket.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == bucket.npos &&
         bucket.front() != '-' && bucket.back() != '-';
}

bool IsBucketName(std::string_view bucket) {
  return !bucket.empty() && bucket.size() <= 255 && bucket != "." && bucket != ".." &&
         bucket.find_first_of(std::string_view("/?#\r\n\0", 6)) == bucket.npos;
}

bool IsHost(std::string_view host) {
  return !host.empty() && host.size() <= 253 + 6 &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-:") == host.npos &&
         host.front() != '.' && host.front() != '-';
}

std::string HostOfUrl(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == url.npos) return {};
  url.remove_prefix(scheme + 3);
  return std::string(url.substr(0, url.find_first_of("/?#")));
}

// Empty: a host outside of AWS.
std::string_view AwsDomainOfHost(std::string_view host) {
  if (host.ends_with(".amazonaws.com.cn")) return "amazonaws.com.cn";
  return host.ends_with(".amazonaws.com") ? "amazonaws.com" : "";
}

}  // namespace

std::optional<S3Redirect> FindS3Redirect(int status, const HttpHeaders& headers,
                                         const std::optional<S3ErrorText>& text) {
  S3Redirect redirect{.region = std::string(headers.Get("x-amz-bucket-region"))};
  if (redirect.region.empty() && text) redirect.region = text->region;
  if (status >= 300 && status < 400 && status != 304) {
    redirect.host = HostOfUrl(headers.Get("Location"));
    if (redirect.host.empty() && text) redirect.host = text->endpoint;
    return redirect;
  }
  // A HEAD has no body that names the code.
  if (status == 400 && !redirect.region.empty() &&
      (!text || text->code == "AuthorizationHeaderMalformed" ||
       text->code == "IllegalLocationConstraintException")) {
    return redirect;
  }
  return std::nullopt;
}

Result<S3Endpoint> S3Endpoint::Make(const S3StoreOptions& options) {
  S3Endpoint endpoint;
  endpoint.url_ = options.endpoint;
  endpoint.region_ = options.region.empty() ? "us-east-1" : options.region;
  endpoint.wishes_ = options.wishes;
  endpoint.addressing_ = options.addressing;
  endpoint.accelerate_ = options.accelerate;
  if (options.endpoint.empty()) {
    Result<std::string> host = AwsServiceHost("s3", endpoint.region_, options.wishes);
    if (!host) return host.error();
    endpoint.scheme_ = "https";
    endpoint.host_ = std::move(*host);
    endpoint.is_aws_ = true;
  } else if (Result<void> read = endpoint.ReadUrl(); !read) {
    return read.error();
  }
  if (!endpoint.accelerate_) return endpoint;
  if (!options.endpoint.empty()) {
    return InvalidInput("accelerate: transfer acceleration has an endpoint of its own; leave '" +
                        options.endpoint + "' out");
  }
  if (endpoint.addressing_ == S3Addressing::kPath) {
    return InvalidInput("accelerate: transfer acceleration takes buckets in host names alone");
  }
  if (endpoint.wishes_.fips || AwsPartitionOf(endpoint.region_) != "aws") {
    return InvalidInput("accelerate: there is no transfer acceleration " +
                        (endpoint.wishes_.fips ? "with FIPS endpoints" : "in " + endpoint.region_));
  }
  return endpoint;
}

Result<void> S3Endpoint::ReadUrl() {
  Error bad = InvalidInput("not an endpoint: '" + url_ +
                           "'; expected http://HOST[:PORT] or https://HOST[:PORT]");
  std::string_view rest = url_;
  if (rest.starts_with("https://")) {
    scheme_ = "https";
  } else if (rest.starts_with("http://")) {
    scheme_ = "http";
  } else {
    return bad;
  }
  rest.remove_prefix(scheme_.size() + 3);
  if (rest.find_first_of("?#@ \r\n\t\"<>\\") != rest.npos) return bad;
  size_t slash = std::min(rest.find('/'), rest.size());
  host_ = rest.substr(0, slash);
  base_path_ = rest.substr(slash);
  while (base_path_.ends_with('/')) base_path_.pop_back();
  if (host_.empty() || host_.front() == ':') return bad;
  // HttpClient leaves the scheme's own port out of the Host header, so the signature must too.
  std::string_view own_port = scheme_ == "https" ? ":443" : ":80";
  if (host_.ends_with(own_port)) host_.resize(host_.size() - own_port.size());
  is_aws_ = !AwsDomainOfHost(host_).empty();
  return Ok();
}

bool S3Endpoint::UsesVirtualHost(std::string_view bucket) const {
  switch (addressing_) {
    case S3Addressing::kPath:
      return false;
    case S3Addressing::kVirtualHost:
      return true;
    case S3Addressing::kAuto:
      return is_aws_ && IsHostLabel(bucket);
  }
  return false;
}

Result<S3Endpoint::Place> S3Endpoint::PlaceOf(std::string_view bucket, bool object) const {
  Place place{.host = host_, .path = base_path_, .region = region_};
  if (bucket.empty()) return place;
  if (IsS3Arn(bucket)) return PlaceOfAccessPoint(bucket);
  if (!IsBucketName(bucket)) {
    return InvalidInput("not a bucket name: '" + std::string(bucket) + "'");
  }
  if (IsDirectoryBucket(bucket)) return PlaceOfDirectory(bucket);
  if (accelerate_ && object) {
    if (!IsHostLabel(bucket)) {
      return InvalidInput(
          "accelerate: '" + std::string(bucket) +
          "' cannot be accelerated: its name does not fit into a host name; name it by "
          "a store without accelerate");
    }
    place.host = std::string(bucket) +
                 (wishes_.dual_stack ? ".s3-accelerate.dualstack." : ".s3-accelerate.") +
                 std::string(AwsDomainOf(region_));
    place.path.clear();
  }
  auto found = elsewhere_.empty() ? elsewhere_.end() : elsewhere_.find(bucket);
  if (found != elsewhere_.end()) place.region = found->second.region;
  if (accelerate_ && object) return place;
  if (found != elsewhere_.end()) place.host = found->second.host;
  if (UsesVirtualHost(bucket)) {
    place.host = std::string(bucket) + "." + place.host;
  } else {
    place.path += '/';
    place.path += PercentEncode(bucket, Slash::kEncode);
    place.bucket_in_path = true;
  }
  return place;
}

Result<S3Endpoint::Place> S3Endpoint::PlaceOfAccessPoint(std::string_view arn) const {
  Result<S3AccessPoint> point = ParseS3AccessPoint(arn);
  if (!point) return point.error();
  if (accelerate_) {
    return InvalidInput("accelerate: access points cannot be accelerated: " + std::string(arn));
  }
  Place place{.host = {}, .path = {}, .region = point->region};
  const std::string label = point->name + "-" + point->account + ".";
  if (!is_aws_) {
    place.host = label + host_;
    place.path = base_path_;
    return place;
  }
  if (AwsDomainOf(point->region) != AwsDomainOf(region_)) {
    return InvalidInput("'" + std::string(arn) + "' is in another partition than " + region_);
  }
  if (wishes_.fips && AwsPartitionOf(point->region) == "aws-cn") {
    return InvalidInput("AWS_USE_FIPS_ENDPOINT: there are none in " + point->region);
  }
  place.host = label + "s3-accesspoint" + (wishes_.fips ? "-fips" : "") +
               (wishes_.dual_stack ? ".dualstack." : ".") + point->region + "." +
               std::string(AwsDomainOf(point->region));
  return place;
}

Result<S3Endpoint::Place> S3Endpoint::PlaceOfDirectory(std::string_view bucket) const {
  Place place{.host = host_, .path = base_path_, .region = region_, .express = true};
  if (is_aws_ && !ZoneFitsRegion(ZoneOfDirectoryBucket(bucket), region_)) {
    // Its host would not be there, and be tried until the deadline.
    return InvalidInput("the directory bucket " + std::string(bucket) + " is in the zone " +
                        std::string(ZoneOfDirectoryBucket(bucket)) + ", and " + region_ +
                        " has no such zone: give the region of the bucket, or a bucket there");
  }
  if (is_aws_) {
    place.host = std::string(bucket) + ".s3express" + (wishes_.fips ? "-fips" : "") + "-" +
                 std::string(ZoneOfDirectoryBucket(bucket)) +
                 (wishes_.dual_stack ? ".dualstack." : ".") + region_ + "." +
                 std::string(AwsDomainOf(region_));
    place.path.clear();
  } else if (addressing_ == S3Addressing::kVirtualHost) {
    place.host = std::string(bucket) + "." + host_;
  } else {
    place.path += "/" + std::string(bucket);
    place.bucket_in_path = true;
  }
  return place;
}

std::string S3Endpoint::HostIn(std::string_view region) const {
  if (is_aws_) {
    if (!IsAwsRegion(region) || AwsDomainOf(region) != AwsDomainOfHost(host_)) return {};
    Result<std::string> host = AwsServiceHost("s3", region, wishes_);
    return host ? *host : std::string();
  }
  const size_t at = ("." + host_).find("." + region_ + ".");
  if (at == std::string::npos || !IsHostLabel(region)) return host_;
  std::string host = host_;
  return host.replace(at, region_.size(), region);
}

bool S3Endpoint::Follow(const std::string& bucket, const S3Redirect& redirect) {
  if (bucket.empty() || IsS3Arn(bucket) || IsDirectoryBucket(bucket)) return false;
  auto found = elsewhere_.find(bucket);
  Elsewhere now =
      found == elsewhere_.end() ? Elsewhere{.host = host_, .region = region_} : found->second;
  Elsewhere next = now;
  std::string named = redirect.host;
  if (named.starts_with(bucket + ".")) named.erase(0, bucket.size() + 1);
  if (!redirect.region.empty()) {
    if (redirect.region.size() > 64) return false;
    next.region = redirect.region;
    next.host = HostIn(redirect.region);
    if (next.host.empty()) return false;
  }
  // On AWS the region says it all, where it is told.
  if (!named.empty() && (!is_aws_ || redirect.region.empty())) {
    // Of AWS, those of S3 alone: everybody can have a host below amazonaws.com.
    const bool inside = named == host_ || named == next.host ||
                        (is_aws_ ? (named.starts_with("s3.") || named.starts_with("s3-")) &&
                                       AwsDomainOfHost(named) == AwsDomainOfHost(host_)
                                 : named.ends_with("." + host_));
    if (!IsHost(named) || !inside) return false;
    next.host = named;
  }
  next.hops = now.hops + 1;
  if ((next.host == now.host && next.region == now.region) || next.hops > kHopsMax) return false;
  if (found == elsewhere_.end() && elsewhere_.size() >= kElsewhereMax) elsewhere_.clear();
  elsewhere_[bucket] = std::move(next);
  return true;
}

}  // namespace longhaul
