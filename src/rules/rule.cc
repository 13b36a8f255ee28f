#include "rules/rule.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/s3_bucket_name.h"

namespace longhaul {

std::string Address::ToString() const { return store + ":" + bucket + "/" + prefix; }

Result<Address> ParseAddress(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return InvalidInput("an address is NAME:bucket/prefix, with NAME one of 'stores'");
  }
  std::string_view rest = text.substr(colon + 1);
  const size_t slash = rest.find('/');
  Address address;
  address.store = text.substr(0, colon);
  address.bucket = rest.substr(0, slash);
  if (slash != std::string_view::npos) address.prefix = rest.substr(slash + 1);
  // What is kept of a rule is kept by bucket, and a name is what a bucket has.
  if (IsMultiRegionAccessPoint(rest)) {
    return InvalidInput(
        "the address has the ARN of a multi-Region access point, whose requests need another kind "
        "of signature (SigV4A), which longhaul does not make: write one of its buckets");
  }
  if (IsS3Arn(rest)) {
    return InvalidInput(
        "the address has an ARN: write the bucket, or the alias of its access point "
        "(NAME-…-s3alias)");
  }
  if (IsDirectoryBucket(address.bucket)) {
    return InvalidInput("'" + address.bucket +
                        "' is a directory bucket, which keeps no order, no tags and no versions: "
                        "rules and migrations take others; cp, sync and cache fill take it");
  }
  if (address.bucket.empty()) {
    return InvalidInput("the address names no bucket; it is NAME:bucket/prefix");
  }
  return address;
}

std::string StoreSettings::Place() const {
  if (type == StoreType::kFile) return "file " + root;
  const size_t host_start = endpoint.find("://");
  // A bucket's name is one in a partition; each has its own hosts and regions (AWS General
  // Reference, "Amazon S3 endpoints and quotas").
  if (host_start == std::string::npos) {
    if (region.starts_with("cn-")) return "s3 aws-cn";
    return region.starts_with("us-gov-") ? "s3 aws-us-gov" : "s3 aws";
  }
  std::string_view host = std::string_view(endpoint).substr(host_start + 3);
  if (host.ends_with(".amazonaws.com.cn")) return "s3 aws-cn";
  if (host.ends_with(".amazonaws.com")) {
    return host.find("us-gov-") != host.npos ? "s3 aws-us-gov" : "s3 aws";
  }
  if (host == "localhost" || host.starts_with("localhost:")) {
    return "s3 127.0.0.1" + std::string(host.substr(9));
  }
  // Without the scheme: one server may answer to both.
  return "s3 " + std::string(host);
}

Filter::Match Filter::Matches(const ObjectFacts& facts) const {
  Match match = Match::kYes;
  // Each condition says no, or what it needs to know is not known, or it holds.
  auto condition = [&match](bool is_one, bool known, auto holds) {
    if (!is_one || match == Match::kNo) return;
    if (!known) {
      match = Match::kUnknown;
    } else if (!holds()) {
      match = Match::kNo;
    }
  };
  condition(size_bytes_min > 0, facts.size_bytes.has_value(),
            [&] { return *facts.size_bytes >= size_bytes_min; });
  condition(size_bytes_max.has_value(), facts.size_bytes.has_value(),
            [&] { return *facts.size_bytes <= *size_bytes_max; });
  condition(modified_since.has_value(), facts.last_modified.has_value(),
            [&] { return *facts.last_modified >= *modified_since; });
  condition(!kms_encrypted, facts.kms_encrypted.has_value(), [&] { return !*facts.kms_encrypted; });
  condition(!tags.empty(), facts.tags != nullptr, [&] {
    for (const auto& [name, value] : tags) {
      auto found = facts.tags->find(name);
      if (found == facts.tags->end() || found->second != value) return false;
    }
    return true;
  });
  return match;
}

bool Rule::MatchesKey(std::string_view bucket, std::string_view key) const {
  return bucket == source.bucket && key.starts_with(source.prefix) && key.ends_with(filter.suffix);
}

bool ListenAddress::loopback() const {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

const Rule* Configuration::FindRule(std::string_view id) const {
  for (const Rule& rule : rules) {
    if (rule.id == id) return &rule;
  }
  return nullptr;
}

std::optional<std::string> TargetKey(const Rule& rule, const Target& target,
                                     std::string_view source_key) {
  if (!source_key.starts_with(rule.source.prefix)) return std::nullopt;
  std::string key = target.to.prefix;
  key += source_key.substr(rule.source.prefix.size());
  return key;
}

std::optional<std::string> SourceKey(const Rule& rule, const Target& target,
                                     std::string_view target_key) {
  if (!target_key.starts_with(target.to.prefix)) return std::nullopt;
  std::string key = rule.source.prefix;
  key += target_key.substr(target.to.prefix.size());
  return key;
}

std::string_view ToString(Transport transport) {
  switch (transport) {
    case Transport::kDirect:
      return "direct";
    case Transport::kS3Replication:
      return "s3-replication";
    case Transport::kCopy:
      return "copy";
    case Transport::kAuto:
      return "auto";
    case Transport::kPlain:
      return "plain";
  }
  return "";
}

std::string LocalStagingPrefix(const Rule& rule) {
  return rule.local_staging->prefix + rule.id + "/";
}

std::string StagingPrefix(const Rule& rule, const Target& target) {
  return target.staging.prefix + rule.id + "/";
}

std::string ProbePrefix(const Target& target) { return target.staging.prefix + "probe/"; }

std::string StatePartition(const Rule& rule, const Target& target) {
  return rule.id + "/" + target.name;
}

std::string ReplicaPartition(const Target& target) {
  return "replicas/" + target.to.store + "/" + target.to.bucket;
}

std::string DerivedTargetName(const Address& to) {
  std::string name;
  for (char c : to.bucket.substr(0, 63)) {
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                 c == '.' || c == '_' || c == '-';
    name += plain ? c : '_';
  }
  return name + "-" + HexEncode(Sha256(to.bucket + "/" + to.prefix)).substr(0, 8);
}

}  // namespace longhaul
