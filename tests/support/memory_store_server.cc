#include "tests/support/memory_store_server.h"

#include <algorithm>
#include <set>

#include "tests/support/memory_store_digests.h"

namespace longhaul::testing {
namespace {

using Backend = MemoryStoreBackend;
using Versioning = MemoryStoreBackend::Versioning;

uint64_t Shuffled(std::string_view key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::vector<std::string> Segments(const std::string& key) {
  std::vector<std::string> segments{""};
  for (char c : key) {
    if (c == '/') {
      segments.emplace_back();
    } else {
      segments.back() += c;
    }
  }
  return segments;
}

// The keys to walk, from the first that a page may hold.
std::vector<const std::string*> KeysAfter(const Backend::Bucket& bucket, bool sorted,
                                          const std::string& prefix, const std::string& after) {
  std::vector<const std::string*> keys;
  auto first = bucket.objects.lower_bound(sorted ? std::max(prefix, after) : prefix);
  for (; first != bucket.objects.end() && first->first.starts_with(prefix); ++first) {
    keys.push_back(&first->first);
  }
  if (sorted) return keys;
  auto before = [&](const std::string& a, const std::string& b) {
    return std::make_pair(Shuffled(a), a) < std::make_pair(Shuffled(b), b);
  };
  std::ranges::sort(keys, [&](auto* a, auto* b) { return before(*a, *b); });
  if (!after.empty()) {
    std::erase_if(keys, [&](const std::string* key) { return before(*key, after); });
  }
  return keys;
}

}  // namespace

SystemTime MemoryServer::Now() const {
  const SystemTime now = clock->Now() + backend->options.clock_offset;
  return backend->options.exact_time ? now : std::chrono::floor<std::chrono::seconds>(now);
}

std::string MemoryServer::NewId(std::string_view kind) const {
  return std::string(kind) + std::to_string(backend->next_id++);
}

Error MemoryServer::Fail(ErrorKind kind, int http_status, std::string code,
                         std::string message) const {
  return {.kind = kind,
          .message = std::move(message),
          .code = std::move(code),
          .request_id = NewId("m"),
          .http_status = http_status};
}

Result<Backend::Bucket*> MemoryServer::FindBucket(const std::string& bucket) const {
  auto found = backend->buckets.find(bucket);
  if (found == backend->buckets.end()) {
    return Fail(ErrorKind::kNotFound, 404, "NoSuchBucket", "no such bucket");
  }
  return &found->second;
}

std::string MemoryServer::StoredKey(const std::string& key) const {
  const Capabilities& can = backend->options.capabilities;
  if (!backend->options.alias_keys) return key;
  std::vector<std::string> kept;
  std::vector<std::string> segments = Segments(key);
  for (size_t i = 0; i < segments.size(); ++i) {
    bool last = i + 1 == segments.size();
    if (segments[i].empty() && !last && !can.key_double_slash) continue;
    if (segments[i].empty() && last && !can.key_trailing_slash) continue;
    if (segments[i] == "." && !can.key_dot_segments) continue;
    if (segments[i] == ".." && !can.key_dot_segments) {
      if (!kept.empty()) kept.pop_back();
      continue;
    }
    kept.push_back(segments[i]);
  }
  std::string stored;
  for (size_t i = 0; i < kept.size(); ++i) stored += (i > 0 ? "/" : "") + kept[i];
  return stored;
}

Result<void> MemoryServer::CheckStorable(const Backend::Bucket& bucket, const std::string& key,
                                         bool has_body) const {
  const Capabilities& can = backend->options.capabilities;
  auto refused = [&](std::string why) {
    return Fail(ErrorKind::kInvalidInput, 400, "KeyNotStorable", "key not storable: " + why);
  };
  if (key.empty()) return refused("it is empty");
  if (key.size() > 1024) return refused("it is longer than 1,024 bytes");
  if (!backend->options.alias_keys) {
    std::vector<std::string> segments = Segments(key);
    for (size_t i = 0; i < segments.size(); ++i) {
      bool inner = i + 1 < segments.size();
      if (segments[i].empty() && inner && !can.key_double_slash) return refused("empty segment");
      if ((segments[i] == "." || segments[i] == "..") && !can.key_dot_segments) {
        return refused("dot segment");
      }
    }
    if (key.ends_with('/') && has_body && !can.key_trailing_slash) return refused("trailing slash");
  }
  if (!can.key_file_beside_folder) {
    auto below = bucket.objects.lower_bound(key + "/");
    bool folder = below != bucket.objects.end() && below->first.starts_with(key + "/");
    bool under_file = false;
    for (size_t at = key.find('/'); at != std::string::npos; at = key.find('/', at + 1)) {
      under_file =
          under_file || (at + 1 < key.size() && bucket.objects.contains(key.substr(0, at)));
    }
    if (folder || under_file) return refused("a file beside a folder of the same name");
  }
  return Ok();
}

Result<void> MemoryServer::CheckLimits(const PutRequest& request) const {
  size_t metadata_bytes = 0;
  for (const auto& [name, value] : request.metadata) metadata_bytes += name.size() + value.size();
  if (metadata_bytes > 2048) {
    return Fail(ErrorKind::kInvalidInput, 400, "MetadataTooLarge", "more than 2 KB of metadata");
  }
  if (request.tags.size() > 10) {
    return Fail(ErrorKind::kInvalidInput, 400, "BadRequest", "more than 10 tags");
  }
  if (!request.tags.empty() && !backend->options.capabilities.tags) {
    return Fail(ErrorKind::kInvalidInput, 501, "NotImplemented", "no tags here");
  }
  // Some servers refuse the header whatever it says.
  if (!backend->options.capabilities.storage_classes && !request.storage_class.empty()) {
    return Fail(ErrorKind::kInvalidInput, 400, "InvalidStorageClass", "no storage classes here");
  }
  if (request.lock && !backend->options.locks_objects) {
    return Fail(ErrorKind::kInvalidInput, 400, "InvalidRequest",
                "Bucket is missing Object Lock Configuration");
  }
  if (request.lock && !request.lock->mode.empty() && request.lock->until <= Now()) {
    return Fail(ErrorKind::kInvalidInput, 400, "InvalidArgument",
                "The retain until date must be in the future!");
  }
  return Ok();
}

Result<void> MemoryServer::Check(const std::string& bucket, const std::string& key,
                                 const WriteCondition& condition, bool complete) const {
  const Capabilities& can = backend->options.capabilities;
  bool knows_absent = complete ? can.complete_if_absent : can.create_if_absent;
  bool knows_match = complete ? can.complete_if_match : can.replace_if_match;
  if (backend->options.refuse_unknown_conditions &&
      ((condition.if_absent && !knows_absent) || (!condition.if_match.empty() && !knows_match))) {
    return Fail(ErrorKind::kInvalidInput, 501, "NotImplemented", "condition not implemented");
  }
  const Version* current = backend->Find(bucket, StoredKey(key));
  if (condition.if_absent && knows_absent && current != nullptr) {
    return Fail(ErrorKind::kPrecondition, 412, "PreconditionFailed", "the key is there");
  }
  if (!condition.if_match.empty() && knows_match) {
    // S3 says 404 for a missing key. (S3 User Guide, "Conditional writes".)
    if (current == nullptr) return Fail(ErrorKind::kNotFound, 404, "NoSuchKey", "no such key");
    if (current->info.etag != condition.if_match) {
      return Fail(ErrorKind::kPrecondition, 412, "PreconditionFailed", "another ETag is there");
    }
  }
  return Ok();
}

Result<Backend::Version*> MemoryServer::FindVersion(const std::string& bucket,
                                                    const std::string& key,
                                                    const std::string& version_id) const {
  Result<Backend::Bucket*> in = FindBucket(bucket);
  if (!in) return in.error();
  auto found = (*in)->objects.find(StoredKey(key));
  if (version_id.empty()) {
    if (found == (*in)->objects.end()) {
      return Fail(ErrorKind::kNotFound, 404, "NoSuchKey", "no such key");
    }
    if (found->second.back().is_delete_marker) {
      return Fail(ErrorKind::kNotFound, 404,
                  backend->options.tells_delete_markers ? "DeleteMarker" : "NoSuchKey",
                  "no such key");
    }
    return &found->second.back();
  }
  if (found != (*in)->objects.end()) {
    for (Version& version : found->second) {
      std::string id = version.info.version_id.empty() ? "null" : version.info.version_id;
      if (id != version_id) continue;
      if (version.is_delete_marker) {
        return Fail(ErrorKind::kInvalidInput, 405, "MethodNotAllowed", "a delete marker");
      }
      return &version;
    }
  }
  return Fail(ErrorKind::kNotFound, 404, "NoSuchVersion", "no such version");
}

// Makes `version` the current one; its version id, as an answer gives it.
std::string MemoryServer::Store(Backend::Bucket& bucket, const std::string& key,
                                Version version) const {
  version.info.version_id.clear();
  if (bucket.versioning == Versioning::kEnabled) version.info.version_id = NewId("v");
  if (bucket.versioning == Versioning::kSuspended) version.info.version_id = "null";
  std::string id = version.info.version_id;
  std::vector<Version>& versions = bucket.objects[key];
  if (bucket.versioning != Versioning::kEnabled) {
    std::erase_if(versions, [](const Version& old) {
      return old.info.version_id.empty() || old.info.version_id == "null";
    });
  }
  versions.push_back(std::move(version));
  return id;
}

Result<ListPage> MemoryServer::List(const ListRequest& request) const {
  Result<Backend::Bucket*> bucket = FindBucket(request.bucket);
  if (!bucket) return bucket.error();
  // Tokens: 'k' + the last key; 'p' + the last common prefix; 'v' + versions given of the last key,
  // a colon and that key.
  bool sorted = backend->options.capabilities.sorted_listing;
  std::string after = sorted ? request.start_after : "";
  std::string after_prefix;
  size_t versions_given = 0;
  bool inside_key = false;
  if (!request.token.empty()) {
    after = request.token.substr(1);
    if (request.token[0] == 'p') after_prefix = after;
    if (request.token[0] == 'v') {
      size_t colon = after.find(':');
      versions_given = static_cast<size_t>(std::strtoul(after.c_str(), nullptr, 10));
      after = colon == std::string::npos ? "" : after.substr(colon + 1);
      inside_key = true;
    }
  }
  size_t count_max = static_cast<size_t>(std::clamp(request.count_max, 1, 1000));
  ListPage page;
  std::set<std::string> prefixes;
  for (const std::string* key : KeysAfter(**bucket, sorted, request.prefix, after)) {
    if (*key == after && !inside_key) continue;
    if (!sorted && request.token.empty() && *key <= request.start_after) continue;
    if (!after_prefix.empty() && key->starts_with(after_prefix)) continue;
    const std::vector<Version>& versions = (*bucket)->objects.at(*key);
    if (!request.versions && versions.back().is_delete_marker) continue;
    bool full = page.objects.size() + prefixes.size() >= count_max;
    if (!request.delimiter.empty()) {
      size_t at = key->find(request.delimiter, request.prefix.size());
      if (at != std::string::npos) {
        std::string prefix = key->substr(0, at + request.delimiter.size());
        if (prefixes.contains(prefix)) continue;
        // A start-after inside a common prefix does not hide what follows in it.
        if (full) return page;
        prefixes.insert(prefix);
        page.common_prefixes.push_back(prefix);
        page.next_token = sorted ? "p" + prefix : "k" + *key;
        continue;
      }
    }
    size_t skip = inside_key && *key == after ? versions_given : 0;
    for (size_t i = skip; i < (request.versions ? versions.size() : 1); ++i) {
      if (page.objects.size() + prefixes.size() >= count_max) return page;
      const Version& version = versions[versions.size() - 1 - i];
      page.objects.push_back({.key = *key,
                              .size_bytes = version.info.size_bytes,
                              .etag = version.info.etag,
                              .storage_class = version.info.storage_class,
                              .last_modified = version.info.last_modified,
                              .version_id = "",
                              .is_latest = i == 0,
                              .is_delete_marker = version.is_delete_marker});
      if (request.versions) {
        page.objects.back().version_id =
            version.info.version_id.empty() ? "null" : version.info.version_id;
        page.next_token = "v" + std::to_string(i + 1) + ":" + *key;
      } else {
        page.next_token = "k" + *key;
      }
    }
  }
  page.next_token.clear();
  return page;
}

Result<ObjectInfo> MemoryServer::Head(const HeadRequest& request) const {
  Result<Version*> version = FindVersion(request.bucket, request.key, request.version_id);
  if (!version) {
    Error error = version.error();
    error.code.clear();  // A HEAD has no body to say it in.
    return error;
  }
  ObjectInfo info = (*version)->info;
  info.server_time = Now();
  if (backend->options.heads_tell_tags) {
    info.tag_count = static_cast<int>((*version)->tags.size());
  }
  if (!backend->options.capabilities.checksums) info.checksums.clear();
  if (request.part_number) {
    const std::vector<uint64_t>& sizes = (*version)->part_sizes_bytes;
    info.part_count = static_cast<int>(sizes.size());
    int last = std::max(1, info.part_count);
    if (*request.part_number < 1 || *request.part_number > last) {
      return Fail(ErrorKind::kInvalidInput, 416, "", "no such part");
    }
    if (!sizes.empty()) info.size_bytes = sizes[static_cast<size_t>(*request.part_number - 1)];
  }
  return info;
}

Result<MemoryServer::Opened> MemoryServer::Get(const GetRequest& request,
                                               SystemTime& absent_at) const {
  Result<Version*> version = FindVersion(request.bucket, request.key, request.version_id);
  if (!version) {
    absent_at = Now();
    Error error = version.error();
    if (backend->options.bare_404) error.code.clear();
    return error;
  }
  const Version& found = **version;
  if (!request.if_match.empty() && request.if_match != found.info.etag) {
    return Fail(ErrorKind::kPrecondition, 412, "PreconditionFailed", "another ETag is there");
  }
  const uint64_t size = found.size_bytes();
  Opened opened{
      .info = found.info, .bytes = found.bytes, .sparse = found.sparse, .length_bytes = size};
  opened.info.server_time = Now();
  opened.info.tag_count = static_cast<int>(found.tags.size());
  if (!backend->options.capabilities.checksums) opened.info.checksums.clear();
  if (request.range) {
    if (request.range->offset_bytes >= size) {
      return Fail(ErrorKind::kInvalidInput, 416, "InvalidRange", "the range starts past the end");
    }
    opened.offset_bytes = request.range->offset_bytes;
    opened.length_bytes = std::min(request.range->size_bytes, size - opened.offset_bytes);
  } else if (request.suffix_bytes) {
    if (size == 0) {
      return Fail(ErrorKind::kInvalidInput, 416, "InvalidRange", "the object has no bytes");
    }
    opened.length_bytes = std::min(*request.suffix_bytes, size);
    opened.offset_bytes = size - opened.length_bytes;
  }
  return opened;
}

Result<PutResult> MemoryServer::Put(const PutRequest& request,
                                    std::shared_ptr<const std::string> bytes,
                                    std::vector<uint64_t> part_sizes, const std::string& etag,
                                    std::optional<SparseRange> sparse) const {
  if (!bytes) bytes = std::make_shared<const std::string>();
  Result<Backend::Bucket*> bucket = FindBucket(request.bucket);
  if (!bucket) return bucket.error();
  Result<void> storable = CheckStorable(**bucket, request.key, sparse || !bytes->empty());
  if (!storable) return storable.error();
  Result<void> allowed = CheckLimits(request);
  if (!allowed) return allowed.error();
  std::string md5 = Md5Digest(*bytes);
  if (!request.content_md5.empty() && request.content_md5 != Base64(md5)) {
    return Fail(ErrorKind::kInvalidInput, 400, "BadDigest", "the MD5 is wrong");
  }
  if (sparse && request.checksum && !request.checksum->value.empty()) {
    return Fail(ErrorKind::kInvalidInput, 501, "NotImplemented", "no checksums of sparse objects");
  }
  bool knows_checksums = backend->options.capabilities.checksums && !sparse;
  Version version;
  if (knows_checksums) {
    ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc64Nvme;
    if (request.checksum && !request.checksum->value.empty()) {
      algorithm = request.checksum->algorithm;
    }
    std::string value = Base64(RawChecksum(algorithm, *bytes));
    if (request.checksum && !request.checksum->value.empty() && request.checksum->value != value) {
      return Fail(ErrorKind::kInvalidInput, 400, "BadDigest", "the checksum is wrong");
    }
    version.info.checksums.push_back({algorithm, value, false});
  }
  if (part_sizes.empty()) {
    Result<void> holds = Check(request.bucket, request.key, request.condition);
    if (!holds) return holds.error();
  }
  version.bytes = std::move(bytes);
  version.sparse = sparse;
  version.tags = request.tags;
  version.part_sizes_bytes = std::move(part_sizes);
  ObjectInfo& info = version.info;
  info.size_bytes = version.size_bytes();
  info.etag = etag.empty() ? EtagFor(md5) : etag;
  info.last_modified = Now();
  info.storage_class = request.storage_class == "STANDARD" ? "" : request.storage_class;
  info.headers = request.headers;
  if (info.headers.content_type.empty()) info.headers.content_type = "binary/octet-stream";
  info.metadata = request.metadata;
  info.etag_opaque = backend->options.encrypts_by_kms;
  info.kms_encrypted =
      info.etag_opaque || !request.kms_key.empty() || request.sse.starts_with("aws:kms");
  version.sse = request.sse;
  version.kms_key = request.kms_key;
  version.bucket_key = request.bucket_key;
  version.acl = request.acl;
  version.bucket_owner = request.bucket_owner;
  version.lock = info.lock = request.lock;
  backend->bytes_written += info.size_bytes;
  PutResult result{.etag = info.etag, .version_id = "", .server_time = Now()};
  result.version_id = Store(**bucket, StoredKey(request.key), std::move(version));
  return result;
}

std::string MemoryServer::EtagFor(const std::string& md5) const {
  const MemoryStoreOptions& options = backend->options;
  if (!options.encrypts_by_kms && options.part_rules.etags_of_md5) return Hex(md5);
  return Hex(Md5Digest(md5 + std::to_string(backend->next_id++)));
}

Result<PutResult> MemoryServer::Copy(const CopyRequest& request) const {
  Result<Version*> source =
      FindVersion(request.source_bucket, request.source_key, request.source_version_id);
  if (!source) {
    Error error = source.error();
    if (error.code == "DeleteMarker") error.code = "NoSuchKey";
    return error;
  }
  const Version& from = **source;
  if (!request.source_if_match.empty() && request.source_if_match != from.info.etag) {
    return Fail(ErrorKind::kPrecondition, 412, "PreconditionFailed", "another ETag is there");
  }
  if (from.info.size_bytes > backend->options.capabilities.copy_size_bytes_max) {
    return Fail(ErrorKind::kInvalidInput, 400, "InvalidRequest", "too large for one copy");
  }
  if (request.source_bucket == request.bucket && request.source_key == request.key &&
      !request.replacement && !request.tags && request.storage_class.empty()) {
    return Fail(ErrorKind::kInvalidInput, 400, "InvalidRequest", "a copy onto itself");
  }
  PutRequest put{.bucket = request.bucket,
                 .key = request.key,
                 .headers = from.info.headers,
                 .metadata = from.info.metadata,
                 .tags = request.tags.value_or(from.tags),
                 .storage_class = request.storage_class,
                 .sse = request.sse,
                 .kms_key = request.kms_key,
                 .bucket_key = request.bucket_key,
                 .acl = request.acl,
                 .bucket_owner = request.bucket_owner,
                 .condition = request.condition,
                 .lock = request.lock};
  if (request.replacement) {
    put.headers = request.replacement->headers;
    put.metadata = request.replacement->metadata;
  }
  return Put(put, from.bytes, {}, "", from.sparse);
}

Result<void> MemoryServer::Remove(const RemoveRequest& request) const {
  Result<Backend::Bucket*> bucket = FindBucket(request.bucket);
  if (!bucket) return bucket.error();
  std::string key = StoredKey(request.key);
  if (!request.if_match.empty()) {
    if (backend->options.capabilities.delete_if_match) {
      const Version* current = backend->Find(request.bucket, key);
      if (current == nullptr || current->info.etag != request.if_match) {
        return Fail(ErrorKind::kPrecondition, 412, "PreconditionFailed", "not that ETag");
      }
    } else if (backend->options.refuse_unknown_conditions) {
      return Fail(ErrorKind::kInvalidInput, 501, "NotImplemented", "condition not implemented");
    }
  }
  auto found = (*bucket)->objects.find(key);
  if (!request.version_id.empty()) {
    if (found == (*bucket)->objects.end()) return Ok();
    std::erase_if(found->second, [&](const Version& version) {
      const std::string& id = version.info.version_id;
      return (id.empty() ? "null" : id) == request.version_id;
    });
    if (found->second.empty()) (*bucket)->objects.erase(found);
    return Ok();
  }
  if ((*bucket)->versioning == Versioning::kNever) {
    if (found != (*bucket)->objects.end()) (*bucket)->objects.erase(found);
    return Ok();
  }
  Version marker;
  marker.is_delete_marker = true;
  marker.info.last_modified = Now();
  marker.bucket_owner = request.bucket_owner;
  Store(**bucket, key, std::move(marker));
  return Ok();
}

Result<std::vector<RemoveFailure>> MemoryServer::RemoveMany(
    const std::string& bucket, const std::vector<RemoveRequest>& requests) const {
  Result<Backend::Bucket*> in = FindBucket(bucket);
  if (!in) return in.error();
  if (requests.size() > 1000) {
    return Fail(ErrorKind::kInvalidInput, 400, "MalformedXML", "more than 1,000 keys");
  }
  std::vector<RemoveFailure> failures;
  for (RemoveRequest request : requests) {
    request.bucket = bucket;
    Result<void> removed = Remove(request);
    if (!removed) failures.push_back({request.key, removed.error()});
  }
  return failures;
}

Result<Tags> MemoryServer::GetTags(const std::string& bucket, const std::string& key,
                                   const std::string& version_id) const {
  if (!backend->options.capabilities.tags) {
    return Fail(ErrorKind::kInvalidInput, 501, "NotImplemented", "no tags here");
  }
  Result<Version*> version = FindVersion(bucket, key, version_id);
  if (!version) return version.error();
  return (*version)->tags;
}

Result<void> MemoryServer::PutTags(const std::string& bucket, const std::string& key,
                                   const Tags& tags) const {
  PutRequest limits;
  limits.tags = tags;
  Result<void> allowed = CheckLimits(limits);
  if (!allowed) return allowed.error();
  Result<Version*> version = FindVersion(bucket, key, "");
  if (!version) return version.error();
  (*version)->tags = tags;
  return Ok();
}

Result<void> MemoryServer::CreateBucket(const std::string& bucket) const {
  auto [found, inserted] = backend->buckets.try_emplace(bucket);
  if (!inserted) {
    return Fail(ErrorKind::kPrecondition, 409, "BucketAlreadyOwnedByYou", "the bucket is there");
  }
  found->second.created = Now();
  return Ok();
}

Result<void> MemoryServer::RemoveBucket(const std::string& bucket) const {
  Result<Backend::Bucket*> found = FindBucket(bucket);
  if (!found) return found.error();
  if (!(*found)->objects.empty()) {
    return Fail(ErrorKind::kPrecondition, 409, "BucketNotEmpty", "the bucket is not empty");
  }
  backend->buckets.erase(bucket);
  return Ok();
}

Result<void> MemoryServer::SetVersioning(const std::string& bucket, bool enabled) const {
  Result<Backend::Bucket*> found = FindBucket(bucket);
  if (!found) return found.error();
  if (!backend->options.capabilities.versions) {
    return Fail(ErrorKind::kInvalidInput, 501, "NotImplemented", "no versions here");
  }
  if (enabled) {
    (*found)->versioning = Versioning::kEnabled;
  } else if ((*found)->versioning != Versioning::kNever) {
    (*found)->versioning = Versioning::kSuspended;
  }
  return Ok();
}

}  // namespace longhaul::testing
