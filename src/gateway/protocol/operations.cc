#include "gateway/protocol/operations.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/ascii.h"

namespace longhaul {
namespace {

using Operation = GatewayOperation;
enum class Place { kService, kBucket, kObject };

// Lists of words are texts: "NAME" (any value; what it may be is for the operation to say),
// "NAME=A|B" (these values are carried out), "PREFIX*", and "$GROUP" for one of these.
struct Group {
  std::string_view name;
  std::string_view words;
};
constexpr std::array kGroups = {
    // Taken with every operation. The signature has been checked by then; a session token adds
    // nothing to one pair of keys; x-id and x-amz-user-agent tell of the client's library. Nobody
    // pays here, so all may say that they would.
    Group{"query",
          "X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders "
          "X-Amz-Signature X-Amz-Security-Token X-Amz-Content-Sha256=UNSIGNED-PAYLOAD x-id "
          "x-amz-user-agent"},
    Group{"headers",
          "x-amz-date x-amz-content-sha256 x-amz-security-token x-amz-user-agent "
          "x-amz-request-payer=requester x-amz-api-version=2006-03-01"},
    // gateway_body.cc checks all of these.
    Group{"body",
          "x-amz-decoded-content-length "
          "x-amz-trailer=x-amz-checksum-crc32|x-amz-checksum-crc32c|x-amz-checksum-crc64nvme|"
          "x-amz-checksum-sha1|x-amz-checksum-sha256 "
          "x-amz-sdk-checksum-algorithm=CRC32|CRC32C|CRC64NVME|SHA1|SHA256 $checksums"},
    Group{"checksums",
          "x-amz-checksum-crc32 x-amz-checksum-crc32c x-amz-checksum-crc64nvme "
          "x-amz-checksum-sha1 x-amz-checksum-sha256"},
    // What is stored with an object. The two ACLs are what an owner without ACLs has anyway.
    Group{"stored",
          "x-amz-meta-* x-amz-storage-class x-amz-tagging x-amz-website-redirect-location "
          "x-amz-acl=private|bucket-owner-full-control"},
    Group{"write-if", "if-match if-none-match"},
    Group{"read-if", "if-match if-none-match if-modified-since if-unmodified-since range"},
    // x-amz-copy-if-match is the name that Ceph reads.
    Group{"copy-source",
          "x-amz-copy-source x-amz-copy-source-if-match x-amz-copy-source-if-none-match "
          "x-amz-copy-source-if-modified-since x-amz-copy-source-if-unmodified-since "
          "x-amz-copy-if-match"},
    Group{"listing", "prefix delimiter encoding-type max-keys"},
    Group{"answer",
          "response-content-type response-content-language response-expires "
          "response-cache-control response-content-disposition response-content-encoding"},
};

// Of those that fit a request the one with most selectors is meant.
struct Entry {
  Operation operation;
  std::string_view name;
  std::string_view method;
  Place place;
  std::string_view selects;           // Query parameters that make it this operation.
  std::string_view selecting_header;  // The same of a header.
  std::string_view query;             // What else is taken.
  std::string_view headers;
};
constexpr std::array kTable = {
    Entry{Operation::kListBuckets, "ListBuckets", "GET", Place::kService, "", "",
          "prefix bucket-region max-buckets continuation-token", ""},

    Entry{Operation::kHeadBucket, "HeadBucket", "HEAD", Place::kBucket, "", "", "", ""},
    // Its owner owns what is in a bucket, and nothing is locked.
    Entry{Operation::kCreateBucket, "CreateBucket", "PUT", Place::kBucket, "", "", "",
          "$body x-amz-acl=private x-amz-object-ownership=BucketOwnerEnforced "
          "x-amz-bucket-object-lock-enabled=false"},
    Entry{Operation::kDeleteBucket, "DeleteBucket", "DELETE", Place::kBucket, "", "", "", ""},
    Entry{Operation::kGetBucketLocation, "GetBucketLocation", "GET", Place::kBucket, "location", "",
          "", ""},
    Entry{Operation::kGetBucketVersioning, "GetBucketVersioning", "GET", Place::kBucket,
          "versioning", "", "", ""},
    // What an owner without ACLs has; private is what it is already.
    Entry{Operation::kGetBucketAcl, "GetBucketAcl", "GET", Place::kBucket, "acl", "", "", ""},
    Entry{Operation::kPutBucketAcl, "PutBucketAcl", "PUT", Place::kBucket, "acl", "x-amz-acl", "",
          "$body x-amz-acl=private"},
    Entry{Operation::kGetObjectAcl, "GetObjectAcl", "GET", Place::kObject, "acl", "", "versionId",
          ""},
    Entry{Operation::kPutObjectAcl, "PutObjectAcl", "PUT", Place::kObject, "acl", "x-amz-acl", "",
          "$body x-amz-acl=private|bucket-owner-full-control"},
    Entry{Operation::kPutBucketVersioning, "PutBucketVersioning", "PUT", Place::kBucket,
          "versioning", "", "", "$body"},
    Entry{Operation::kListObjects, "ListObjects", "GET", Place::kBucket, "", "", "$listing marker",
          ""},
    Entry{Operation::kListObjectsV2, "ListObjectsV2", "GET", Place::kBucket, "list-type=2", "",
          "$listing continuation-token start-after fetch-owner=true|false", ""},
    Entry{Operation::kListObjectVersions, "ListObjectVersions", "GET", Place::kBucket, "versions",
          "", "$listing key-marker version-id-marker", ""},
    Entry{Operation::kListMultipartUploads, "ListMultipartUploads", "GET", Place::kBucket,
          "uploads", "", "prefix delimiter encoding-type max-uploads key-marker upload-id-marker",
          ""},
    Entry{Operation::kDeleteObjects, "DeleteObjects", "POST", Place::kBucket, "delete", "", "",
          "$body"},
    // A form, whose fields gateway_post.cc looks at.
    Entry{Operation::kPostObject, "PostObject", "POST", Place::kBucket, "", "", "", ""},

    Entry{Operation::kGetObject, "GetObject", "GET", Place::kObject, "", "",
          "$answer versionId partNumber x-amz-checksum-mode=ENABLED",
          "$read-if x-amz-checksum-mode=ENABLED"},
    Entry{Operation::kGetObjectAttributes, "GetObjectAttributes", "GET", Place::kObject,
          "attributes", "", "versionId",
          "x-amz-object-attributes x-amz-max-parts x-amz-part-number-marker"},
    Entry{Operation::kHeadObject, "HeadObject", "HEAD", Place::kObject, "", "",
          "$answer versionId partNumber x-amz-checksum-mode=ENABLED",
          "$read-if x-amz-checksum-mode=ENABLED"},
    Entry{Operation::kPutObject, "PutObject", "PUT", Place::kObject, "", "", "",
          "$body $stored $write-if"},
    Entry{Operation::kCopyObject, "CopyObject", "PUT", Place::kObject, "", "x-amz-copy-source", "",
          "$copy-source $stored $write-if x-amz-metadata-directive=COPY|REPLACE "
          "x-amz-tagging-directive=COPY|REPLACE"},
    Entry{Operation::kDeleteObject, "DeleteObject", "DELETE", Place::kObject, "", "", "versionId",
          "if-match"},
    Entry{Operation::kGetObjectTagging, "GetObjectTagging", "GET", Place::kObject, "tagging", "",
          "versionId", ""},
    Entry{Operation::kPutObjectTagging, "PutObjectTagging", "PUT", Place::kObject, "tagging", "",
          "", "$body"},
    Entry{Operation::kDeleteObjectTagging, "DeleteObjectTagging", "DELETE", Place::kObject,
          "tagging", "", "", ""},

    Entry{Operation::kCreateMultipartUpload, "CreateMultipartUpload", "POST", Place::kObject,
          "uploads", "", "",
          "$stored x-amz-checksum-algorithm=CRC32|CRC32C|CRC64NVME|SHA1|SHA256 "
          "x-amz-checksum-type=COMPOSITE|FULL_OBJECT"},
    Entry{Operation::kUploadPart, "UploadPart", "PUT", Place::kObject, "uploadId partNumber", "",
          "", "$body"},
    Entry{Operation::kUploadPartCopy, "UploadPartCopy", "PUT", Place::kObject,
          "uploadId partNumber", "x-amz-copy-source", "", "$copy-source x-amz-copy-source-range"},
    Entry{Operation::kListParts, "ListParts", "GET", Place::kObject, "uploadId", "",
          "max-parts part-number-marker", ""},
    Entry{Operation::kCompleteMultipartUpload, "CompleteMultipartUpload", "POST", Place::kObject,
          "uploadId", "", "",
          "$body $write-if x-amz-checksum-type=COMPOSITE|FULL_OBJECT x-amz-mp-object-size"},
    Entry{Operation::kAbortMultipartUpload, "AbortMultipartUpload", "DELETE", Place::kObject,
          "uploadId", "", "", ""},
};

// Headers of HTTP that change what is asked for.
constexpr std::array<std::string_view, 6> kConditions = {
    "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"};

Error Refused(std::string code, std::string message) {
  Error error = InvalidInput(std::move(message));
  error.code = std::move(code);
  return error;
}

// Takes what is before `separator` off the front.
std::string_view Next(std::string_view& rest, char separator) {
  size_t end = rest.find(separator);
  std::string_view one = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return one;
}

struct Word {
  std::string_view name;
  std::string_view values;  // Empty: any.
};

std::optional<Word> FindWord(std::string_view words, std::string_view name) {
  while (!words.empty()) {
    std::string_view one = Next(words, ' ');
    if (one.starts_with('$')) {
      auto group = std::ranges::find(kGroups, one.substr(1), &Group::name);
      std::optional<Word> found = FindWord(group->words, name);
      if (found) return found;
      continue;
    }
    std::string_view values = one;
    std::string_view known = Next(values, '=');
    bool begins = known.ends_with('*') && name.starts_with(known.substr(0, known.size() - 1));
    if (known == name || begins) return Word{known, values};
  }
  return std::nullopt;
}

bool Takes(std::string_view values, std::string_view value) {
  if (values.empty()) return true;
  std::string wanted = LowerAscii(value);
  while (!values.empty()) {
    if (LowerAscii(Next(values, '|')) == wanted) return true;
  }
  return false;
}

bool Fits(const Entry& entry, const GatewayAsked& asked, Place place) {
  if (entry.method != asked.method || entry.place != place) return false;
  std::string_view selects = entry.selects;
  while (!selects.empty()) {
    std::string_view one = Next(selects, ' ');
    if (!asked.query.contains(std::string(Next(one, '=')))) return false;
  }
  return entry.selecting_header.empty() || asked.headers.Find(entry.selecting_header) != nullptr;
}

size_t Weight(const Entry& entry) {
  size_t words = entry.selects.empty() ? 0 : 1 + std::ranges::count(entry.selects, ' ');
  return words + (entry.selecting_header.empty() ? 0 : 1);
}

Result<void> Check(const std::optional<Word>& word, const std::string& shown,
                   std::string_view value, const Entry& entry) {
  std::string where = "not implemented here: " + shown + " of " + std::string(entry.name);
  if (!word) return Refused("NotImplemented", where);
  if (Takes(word->values, value)) return Ok();
  return Refused("NotImplemented", where + " with a value other than " + std::string(word->values));
}

}  // namespace

GatewayNeed NeedOf(GatewayOperation operation) {
  switch (operation) {
    case Operation::kListBuckets:
    case Operation::kDeleteObjects:
    case Operation::kPostObject:  // Its key and its user are in the form.
      return GatewayNeed::kNothing;
    case Operation::kHeadBucket:
    case Operation::kGetBucketLocation:
    case Operation::kGetBucketVersioning:
    case Operation::kGetBucketAcl:
      return GatewayNeed::kKnowsBucket;
    case Operation::kCreateBucket:
    case Operation::kDeleteBucket:
    case Operation::kPutBucketVersioning:
    case Operation::kPutBucketAcl:
      return GatewayNeed::kOwnsBucket;
    case Operation::kListObjects:
    case Operation::kListObjectsV2:
    case Operation::kListObjectVersions:
      return GatewayNeed::kReadsPrefix;
    case Operation::kListMultipartUploads:
      return GatewayNeed::kWritesPrefix;
    case Operation::kGetObject:
    case Operation::kHeadObject:
    case Operation::kGetObjectAttributes:
    case Operation::kGetObjectAcl:
    case Operation::kGetObjectTagging:
      return GatewayNeed::kReadsKey;
    default:
      return GatewayNeed::kWritesKey;
  }
}

Result<GatewayOperation> FindGatewayOperation(const GatewayAsked& asked) {
  Place place = Place::kService;
  std::string of = " without a bucket";
  if (asked.names_key) {
    place = Place::kObject;
    of = " of an object";
  } else if (asked.names_bucket) {
    place = Place::kBucket;
    of = " of a bucket";
  }
  const Entry* found = nullptr;
  for (const Entry& entry : kTable) {
    if (!Fits(entry, asked, place)) continue;
    if (found == nullptr || Weight(entry) > Weight(*found)) found = &entry;
  }
  if (found == nullptr) {
    return Refused("NotImplemented", "not implemented here: " + std::string(asked.method) + of);
  }

  std::set<std::string_view> given;
  for (const auto& [name, value] : asked.query) {
    std::optional<Word> word = FindWord(found->selects, name);
    if (!word) word = FindWord(found->query, name);
    if (!word) word = FindWord("$query", name);
    Result<void> known = Check(word, name, value, *found);
    if (!known) return known.error();
    if (!given.insert(name).second) {
      return Refused("InvalidArgument", "the query has " + name + " twice");
    }
  }
  std::set<std::string> headers;
  for (const auto& [header, value] : asked.headers.entries()) {
    std::string name = LowerAscii(header);
    bool looked_at =
        name.starts_with("x-amz-") || std::ranges::find(kConditions, name) != kConditions.end();
    if (!looked_at) continue;
    std::optional<Word> word = FindWord(found->headers, name);
    if (!word) word = FindWord("$headers", name);
    Result<void> known = Check(word, "the header " + name, value, *found);
    if (!known) return known.error();
    if (!headers.insert(name).second && !word->name.ends_with('*')) {
      return Refused("InvalidArgument", "the header " + name + " is given twice");
    }
  }
  return found->operation;
}

}  // namespace longhaul
