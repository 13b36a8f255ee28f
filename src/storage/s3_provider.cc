#include "storage/s3_provider.h"

#include <algorithm>
#include <array>

namespace longhaul {
namespace {

S3Quirks None() { return {}; }

// Servers of which each release does something else: what one lacks the probe finds.
S3Quirks OfRelease() {
  S3Quirks quirks;
  quirks.can.conditions_proven = false;
  return quirks;
}

void NoConditions(Capabilities& can) {
  can.create_if_absent = can.replace_if_match = can.delete_if_match = false;
  can.complete_if_absent = can.complete_if_match = false;
}

// Cloud Storage XML API: "Interoperability with other storage providers", "x-goog-hash",
// "Preconditions" (x-goog-if-generation-match in place of If-Match). No tags, no listing of
// versions by S3's markers, and batches of deletes not for every project yet. It gives CRC32C with
// every object, also with those of many parts, whose ETag is no MD5.
S3Quirks Gcs() {
  S3Quirks quirks;
  NoConditions(quirks.can);
  quirks.can.versions = quirks.can.tags = false;
  quirks.can.checksums = quirks.can.trailing_checksums = false;
  quirks.multipart_etags = quirks.can.heads_parts = false;
  quirks.deletes_batches = false;
  quirks.own_checksum = {
      .header = "x-goog-hash", .begins = "crc32c=", .algorithm = ChecksumAlgorithm::kCrc32c};
  return quirks;
}

// OSS: "Compatibility with Amazon S3": virtual style alone; aws-chunked bodies only where each
// chunk is signed; the operations that are listed there have neither tags nor versions; a write
// that must not replace anything takes x-oss-forbid-overwrite. Multipart ETags are OSS's own.
S3Quirks AliyunOss() {
  S3Quirks quirks;
  NoConditions(quirks.can);
  quirks.can.versions = quirks.can.tags = false;
  quirks.can.checksums = quirks.can.trailing_checksums = false;
  quirks.multipart_etags = quirks.can.heads_parts = false;
  return quirks;
}

// COS: "Compatibility with S3": x-cos-forbid-overwrite in place of conditions; its checksum is
// x-cos-hash-crc64ecma.
S3Quirks TencentCos() {
  S3Quirks quirks;
  NoConditions(quirks.can);
  quirks.can.checksums = quirks.can.trailing_checksums = false;
  quirks.multipart_etags = quirks.can.heads_parts = false;
  return quirks;
}

// Kodo: "S3 protocol compatibility": neither tags nor versions; ETags are Kodo's own hash.
S3Quirks QiniuKodo() {
  S3Quirks quirks = TencentCos();
  quirks.can.versions = quirks.can.tags = false;
  return quirks;
}

// R2: "S3 API compatibility", "Conditional operations", "Limits": the parts of an upload are of one
// size but for the last; ETags of parts are no MD5; tags, versions and ACLs are not implemented.
S3Quirks R2() {
  S3Quirks quirks;
  quirks.equal_parts = true;
  quirks.multipart_etags = false;
  quirks.can.versions = quirks.can.tags = false;
  quirks.can.trailing_checksums = false;
  quirks.can.delete_if_match = false;
  quirks.can.put_size_bytes_max = 5'363'000'000;  // "4.995 GiB".
  return quirks;
}

// B2: "S3-Compatible API", "S3 Copy Object": x-amz-tagging is rejected. Its documents name no
// conditions of writes.
S3Quirks B2() {
  S3Quirks quirks;
  NoConditions(quirks.can);
  quirks.can.tags = false;
  quirks.can.storage_classes = false;
  quirks.can.trailing_checksums = false;
  return quirks;
}

// Wasabi: "S3 API reference": no x-amz-checksum headers, no conditions of writes, one class.
S3Quirks Wasabi() {
  S3Quirks quirks;
  NoConditions(quirks.can);
  quirks.can.checksums = quirks.can.trailing_checksums = false;
  quirks.can.storage_classes = false;
  return quirks;
}

constexpr std::array kProviders = {
    S3Provider{"aws", "Amazon S3", "", "", "", "", "eu-west-1", S3Addressing::kAuto, false, None},
    S3Provider{"aws-cn", "Amazon S3 in China", "", "", "", "cn-", "cn-north-1", S3Addressing::kAuto,
               false, None},
    S3Provider{"gcs", "Google Cloud Storage", "https://storage.googleapis.com",
               "storage.googleapis.com", "auto", "", "auto", S3Addressing::kPath, false, Gcs},
    S3Provider{"aliyun-oss", "Alibaba Cloud OSS", "https://s3.oss-{region}.aliyuncs.com",
               ".aliyuncs.com", "", "", "cn-hangzhou", S3Addressing::kVirtualHost, true, AliyunOss},
    S3Provider{"tencent-cos", "Tencent Cloud COS", "https://cos.{region}.myqcloud.com",
               ".myqcloud.com", "", "", "ap-guangzhou", S3Addressing::kVirtualHost, true,
               TencentCos},
    S3Provider{"qiniu-kodo", "Qiniu Kodo", "https://s3-{region}.qiniucs.com", ".qiniucs.com", "",
               "", "cn-east-1", S3Addressing::kPath, false, QiniuKodo},
    S3Provider{"r2", "Cloudflare R2", "https://{account}.r2.cloudflarestorage.com",
               ".r2.cloudflarestorage.com", "auto", "", "auto", S3Addressing::kPath, false, R2},
    S3Provider{"b2", "Backblaze B2", "https://s3.{region}.backblazeb2.com", ".backblazeb2.com", "",
               "", "us-west-004", S3Addressing::kPath, false, B2},
    S3Provider{"wasabi", "Wasabi", "https://s3.{region}.wasabisys.com", ".wasabisys.com",
               "us-east-1", "", "eu-central-1", S3Addressing::kPath, false, Wasabi},
    S3Provider{"minio", "MinIO", "-", "", "us-east-1", "", "us-east-1", S3Addressing::kPath, false,
               OfRelease},
    S3Provider{"ceph", "Ceph Object Gateway", "-", "", "us-east-1", "", "us-east-1",
               S3Addressing::kPath, false, OfRelease},
    S3Provider{"generic", "any other server", "-", "", "us-east-1", "", "us-east-1",
               S3Addressing::kPath, false, OfRelease},
};

bool IsLabel(std::string_view text) {
  return !text.empty() && text.size() <= 63 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == text.npos;
}

void Replace(std::string& text, std::string_view what, std::string_view by) {
  size_t at = text.find(what);
  if (at != std::string::npos) text.replace(at, what.size(), by);
}

}  // namespace

std::span<const S3Provider> S3Providers() { return kProviders; }

const S3Provider* FindS3Provider(std::string_view name) {
  auto found = std::ranges::find(kProviders, name, &S3Provider::name);
  return found == kProviders.end() ? nullptr : &*found;
}

const S3Provider* FindS3ProviderOf(std::string_view endpoint) {
  std::string_view host = endpoint.substr(std::min(endpoint.find("://"), endpoint.size()));
  if (!host.empty()) host.remove_prefix(3);
  host = host.substr(0, host.find_first_of("/:"));
  for (const S3Provider& provider : kProviders) {
    if (!provider.host_ends.empty() && host.ends_with(provider.host_ends)) return &provider;
  }
  return nullptr;
}

std::string S3ProviderNames() {
  std::string names;
  for (const S3Provider& provider : kProviders) {
    names += (names.empty() ? "" : ", ") + std::string(provider.name);
  }
  return names;
}

Result<S3Place> PlaceAt(const S3Provider& provider, S3Place given) {
  const std::string of = " of " + std::string(provider.name);
  if (given.region.empty()) given.region = provider.region;
  if (!given.region.empty() && !given.region.starts_with(provider.region_begins)) {
    return InvalidInput("'" + given.region + "' is no region" + of + ": write it as " +
                        std::string(provider.region_example));
  }
  if (!given.endpoint.empty()) return given;
  // That of the environment may be of another part of the world.
  if (given.region.empty() && !provider.region_begins.empty()) {
    return InvalidInput("no region" + of + ": write one, as " +
                        std::string(provider.region_example));
  }
  if (provider.endpoint == "-") {
    return InvalidInput("no endpoint" + of + ": it is where you run it");
  }
  std::string endpoint(provider.endpoint);
  if (endpoint.find("{region}") != std::string::npos && !IsLabel(given.region)) {
    return InvalidInput(
        (given.region.empty() ? "no region" : "'" + given.region + "' is no region") + of +
        ", which its endpoint is made of: write it as " + std::string(provider.region_example));
  }
  if (endpoint.find("{account}") != std::string::npos && !IsLabel(given.account)) {
    return InvalidInput("no account" + of +
                        ", which its endpoint is made of: give the account id, or "
                        "the endpoint");
  }
  Replace(endpoint, "{region}", given.region);
  Replace(endpoint, "{account}", given.account);
  given.endpoint = endpoint;
  return given;
}

}  // namespace longhaul
