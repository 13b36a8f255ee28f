#include "storage/s3_xml.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <initializer_list>
#include <map>
#include <pugixml.hpp>
#include <vector>

#include "base/bytes.h"
#include "storage/s3_plain_objects.h"

namespace longhaul {
namespace {

// White space is kept: a tag's value or a key may be nothing else.
constexpr unsigned kParseFlags =
    pugi::parse_cdata | pugi::parse_escapes | pugi::parse_ws_pcdata_single;

std::string_view LocalName(pugi::xml_node node) {
  std::string_view name = node.name();
  size_t colon = name.find(':');
  return colon == name.npos ? name : name.substr(colon + 1);
}

pugi::xml_node Child(pugi::xml_node node, std::string_view name) {
  for (pugi::xml_node child : node.children()) {
    if (LocalName(child) == name) return child;
  }
  return {};
}

std::string Text(pugi::xml_node node, std::string_view name) {
  return Child(node, name).child_value();
}

// The text of a child without white space at its ends, as a string of its own.
std::string Value(pugi::xml_node node, std::string_view name) {
  return std::string(TrimmedXml(Child(node, name).child_value()));
}

template <class T>
bool Number(pugi::xml_node node, std::string_view name, T* value) {
  return ParseXmlNumber(Child(node, name).child_value(), value);
}

bool Flag(pugi::xml_node node, std::string_view name) {
  return TrimmedXml(Text(node, name)) == "true";
}

SystemTime Time(pugi::xml_node node, std::string_view name) {
  Result<SystemTime> time = ParseRfc3339(TrimmedXml(Text(node, name)));
  return time ? *time : SystemTime{};
}

// Reads a document whose root is `root`.
class Document {
 public:
  Result<pugi::xml_node> Open(std::string_view xml, std::string_view root) {
    return Look(document_.load_buffer(xml.data(), xml.size(), kParseFlags, pugi::encoding_utf8),
                root);
  }
  // The same without a copy: `xml` becomes the document's and must outlive it.
  Result<pugi::xml_node> OpenInPlace(std::string& xml, std::string_view root) {
    return Look(
        document_.load_buffer_inplace(xml.data(), xml.size(), kParseFlags, pugi::encoding_utf8),
        root);
  }

 private:
  Result<pugi::xml_node> Look(const pugi::xml_parse_result& parsed, std::string_view root) {
    if (!parsed) {
      return Corrupt(std::string("not the XML that was asked for: ") + parsed.description());
    }
    pugi::xml_node element = document_.document_element();
    if (!root.empty() && LocalName(element) != root) {
      return Corrupt("not <" + std::string(root) + "> but <" +
                     std::string(LocalName(element).substr(0, 64)) + ">");
    }
    return element;
  }

  pugi::xml_document document_;
};

// Keys come as they are or, where the answer says so, percent-encoded with "+" for a space.
class KeyDecoder {
 public:
  explicit KeyDecoder(std::string_view encoding_type)
      : encoded_(TrimmedXml(encoding_type) == "url") {}
  Result<std::string> Get(pugi::xml_node node, std::string_view name) const {
    return Decode(Child(node, name).child_value());
  }
  Result<std::string> Decode(std::string_view text) const {
    std::string key(text);
    Result<void> decoded = DecodeInPlace(key);
    if (!decoded) return decoded.error();
    return key;
  }
  Result<void> DecodeInPlace(std::string& text) const {
    if (!encoded_ || (text.find('%') == text.npos && text.find('+') == text.npos)) return Ok();
    Result<std::string> key = FormDecode(text);
    if (!key) return Corrupt("a key in the listing: " + key.error().message);
    text = std::move(*key);
    return Ok();
  }

 private:
  bool encoded_;
};

Result<ListedObject> ReadObject(pugi::xml_node node, const KeyDecoder& keys) {
  ObjectFields fields;
  ListedObject& object = fields.object;
  object.is_delete_marker = LocalName(node) == "DeleteMarker";
  // One pass, and views into the document: a listing is a million of these.
  for (pugi::xml_node child : node.children()) fields.Take(LocalName(child), child.child_value());
  Result<void> decoded = keys.DecodeInPlace(object.key);
  if (!decoded) return decoded.error();
  if (!object.is_delete_marker && !fields.has_size) {
    return Corrupt("an object without a size in the listing: " + object.key);
  }
  return std::move(object);
}

// What a page of a listing holds, sorted out in one pass: it has a thousand children.
struct PageNodes {
  PageNodes(pugi::xml_node root, std::initializer_list<std::string_view> object_names) {
    for (pugi::xml_node child : root.children()) {
      const std::string_view name = LocalName(child);
      if (std::ranges::find(object_names, name) != object_names.end()) {
        objects.push_back(child);
      } else if (name == "CommonPrefixes") {
        prefixes.push_back(child);
      } else {
        fields.try_emplace(name, child.child_value());
      }
    }
  }
  // The first of that name; empty: none.
  [[nodiscard]] std::string_view Field(std::string_view name) const {
    auto found = fields.find(name);
    return found == fields.end() ? std::string_view() : found->second;
  }
  // Whether more pages follow. What is behind a page that is wrongly taken for the last one counts
  // as not there, and callers delete by that. `may_lack`: it need not be said; the end is where
  // none of `tokens` is then.
  [[nodiscard]] Result<bool> Truncated(bool may_lack,
                                       std::initializer_list<std::string_view> tokens) const {
    const std::string_view told = TrimmedXml(Field("IsTruncated"));
    if (told == "true" || told == "false") return told == "true";
    auto is_there = [this](std::string_view name) { return !TrimmedXml(Field(name)).empty(); };
    if (told.empty() && may_lack && std::ranges::none_of(tokens, is_there)) return false;
    return Corrupt("a listing that does not say whether it is truncated");
  }

  std::vector<pugi::xml_node> objects;
  std::vector<pugi::xml_node> prefixes;
  std::map<std::string_view, std::string_view> fields;
};

Result<void> ReadPrefixes(const PageNodes& nodes, const KeyDecoder& keys, ListPage* page) {
  for (pugi::xml_node node : nodes.prefixes) {
    Result<std::string> prefix = keys.Get(node, "Prefix");
    if (!prefix) return prefix.error();
    page->common_prefixes.push_back(std::move(*prefix));
  }
  return Ok();
}

// A page of these objects, with what else it says.
Result<ListPage> FinishPage(const PageNodes& nodes, const KeyDecoder& keys,
                            std::vector<ListedObject> objects, bool second) {
  ListPage page;
  page.objects = std::move(objects);
  Result<void> prefixes = ReadPrefixes(nodes, keys, &page);
  if (!prefixes) return prefixes.error();
  Result<bool> truncated = nodes.Truncated(!second, {"NextContinuationToken", "NextMarker"});
  if (!truncated) return truncated.error();
  if (*truncated && !second) {
    // It need not be there without a delimiter: the last key does as well then.
    Result<std::string> marker = keys.Decode(nodes.Field("NextMarker"));
    if (!marker) return marker.error();
    if (marker->empty() && !page.objects.empty()) *marker = page.objects.back().key;
    if (!page.common_prefixes.empty()) *marker = std::max(*marker, page.common_prefixes.back());
    page.next_token = std::move(*marker);
    if (page.next_token.empty()) return Corrupt("a truncated listing without a marker");
  } else if (*truncated) {
    page.next_token = nodes.Field("NextContinuationToken");
    if (page.next_token.empty()) return Corrupt("a truncated listing without a token");
  }
  return page;
}

void AppendEscaped(std::string& to, std::string_view text) {
  for (char c : text) {
    switch (c) {
      case '&':
        to += "&amp;";
        break;
      case '<':
        to += "&lt;";
        break;
      case '>':
        to += "&gt;";
        break;
      case '"':
        to += "&quot;";
        break;
      case '\r':
        to += "&#13;";
        break;  // As it is, a parser would make a line feed of it.
      case '\n':
        to += "&#10;";
        break;
      case '\t':
        to += "&#9;";
        break;
      default:
        to += c;
    }
  }
}

void AppendElement(std::string& to, std::string_view name, std::string_view text) {
  to.append("<").append(name).append(">");
  AppendEscaped(to, text);
  to.append("</").append(name).append(">");
}

constexpr std::string_view kNamespace = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

std::string OpenElement(std::string_view name) {
  return "<" + std::string(name) + std::string(kNamespace) + ">";
}

S3ErrorText ReadError(pugi::xml_node node) {
  return {.code = Value(node, "Code"),
          .message = Value(node, "Message"),
          .request_id = Value(node, "RequestId"),
          .region = Value(node, "Region"),
          .endpoint = Value(node, "Endpoint"),
          .storage_class = Value(node, "StorageClass")};
}

}  // namespace

std::string StripEtag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return std::string(etag);
}

std::optional<S3ErrorText> ParseS3Error(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "");
  if (!root) return std::nullopt;
  if (LocalName(*root) == "Error") return ReadError(*root);
  // Some servers wrap it.
  if (LocalName(*root) == "ErrorResponse") return ReadError(Child(*root, "Error"));
  return std::nullopt;
}

Result<ListPage> ParseS3Listing(std::string xml, bool second) {
  if (std::optional<PlainObjects> plain = ReadPlainObjects(xml)) {
    Document document;
    Result<pugi::xml_node> root = document.OpenInPlace(plain->rest, "ListBucketResult");
    if (root) {
      const PageNodes nodes(*root, {"Contents"});
      if (nodes.objects.empty() && nodes.fields.contains(kPlainObjectsMark)) {
        const KeyDecoder keys(nodes.Field("EncodingType"));
        for (ListedObject& object : plain->objects) {
          Result<void> decoded = keys.DecodeInPlace(object.key);
          if (!decoded) return decoded.error();
        }
        return FinishPage(nodes, keys, std::move(plain->objects), second);
      }
    }
  }
  Document document;
  Result<pugi::xml_node> root = document.OpenInPlace(xml, "ListBucketResult");
  if (!root) return root.error();
  const PageNodes nodes(*root, {"Contents"});
  const KeyDecoder keys(nodes.Field("EncodingType"));
  std::vector<ListedObject> objects;
  objects.reserve(nodes.objects.size());
  for (pugi::xml_node node : nodes.objects) {
    Result<ListedObject> object = ReadObject(node, keys);
    if (!object) return object.error();
    objects.push_back(std::move(*object));
  }
  return FinishPage(nodes, keys, std::move(objects), second);
}

Result<ListPage> ParseS3VersionListing(std::string xml) {
  Document document;
  Result<pugi::xml_node> root = document.OpenInPlace(xml, "ListVersionsResult");
  if (!root) return root.error();
  const PageNodes nodes(*root, {"Version", "DeleteMarker"});
  KeyDecoder keys(nodes.Field("EncodingType"));
  ListPage page;
  page.objects.reserve(nodes.objects.size());
  for (pugi::xml_node node : nodes.objects) {
    Result<ListedObject> object = ReadObject(node, keys);
    if (!object) return object.error();
    page.objects.push_back(std::move(*object));
  }
  Result<void> prefixes = ReadPrefixes(nodes, keys, &page);
  if (!prefixes) return prefixes.error();
  Result<bool> truncated = nodes.Truncated(true, {"NextKeyMarker", "NextVersionIdMarker"});
  if (!truncated) return truncated.error();
  if (*truncated) {
    Result<std::string> key = keys.Decode(nodes.Field("NextKeyMarker"));
    if (!key) return key.error();
    if (key->empty()) return Corrupt("a truncated listing without a marker");
    page.next_token = PercentEncode(*key, Slash::kKeep) + " " +
                      PercentEncode(TrimmedXml(nodes.Field("NextVersionIdMarker")), Slash::kEncode);
  }
  return page;
}

Result<S3VersionMarkers> ParseS3VersionToken(std::string_view token) {
  size_t space = token.find(' ');
  if (space == token.npos) return InvalidInput("not a token of a listing of versions");
  Result<std::string> key = PercentDecode(token.substr(0, space));
  Result<std::string> version = PercentDecode(token.substr(space + 1));
  if (!key || !version) return InvalidInput("not a token of a listing of versions");
  return S3VersionMarkers{std::move(*key), std::move(*version)};
}

Result<S3PartsPage> ParseS3Parts(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "ListPartsResult");
  if (!root) return root.error();
  S3PartsPage page;
  for (pugi::xml_node node : root->children()) {
    if (LocalName(node) != "Part") continue;
    UploadedPart part;
    if (!Number(node, "PartNumber", &part.number) || !Number(node, "Size", &part.size_bytes)) {
      return Corrupt("a part without number or size");
    }
    part.etag = StripEtag(Value(node, "ETag"));
    for (ChecksumAlgorithm algorithm : kS3ChecksumAlgorithms) {
      std::string value = Value(node, S3ChecksumElement(algorithm));
      if (!value.empty()) part.checksum = Checksum{algorithm, std::move(value), false};
    }
    page.parts.push_back(std::move(part));
  }
  if (Flag(*root, "IsTruncated") && !Number(*root, "NextPartNumberMarker", &page.next_marker)) {
    return Corrupt("a truncated list of parts without a marker");
  }
  return page;
}

Result<S3UploadsPage> ParseS3Uploads(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "ListMultipartUploadsResult");
  if (!root) return root.error();
  KeyDecoder keys(Value(*root, "EncodingType"));
  S3UploadsPage page;
  for (pugi::xml_node node : root->children()) {
    if (LocalName(node) != "Upload") continue;
    Result<std::string> key = keys.Get(node, "Key");
    if (!key) return key.error();
    page.uploads.push_back({.bucket = "",
                            .key = std::move(*key),
                            .upload_id = Value(node, "UploadId"),
                            .initiated = Time(node, "Initiated")});
  }
  page.truncated = Flag(*root, "IsTruncated");
  Result<std::string> key = keys.Get(*root, "NextKeyMarker");
  if (!key) return key.error();
  page.next_key_marker = std::move(*key);
  page.next_upload_id_marker = Value(*root, "NextUploadIdMarker");
  return page;
}

Result<std::string> ParseS3UploadId(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "InitiateMultipartUploadResult");
  if (!root) return root.error();
  std::string id = Value(*root, "UploadId");
  if (id.empty()) return Corrupt("no upload id in the answer");
  return id;
}

Result<std::string> ParseS3Etag(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "");
  if (!root) return root.error();
  std::string_view name = LocalName(*root);
  if (name != "CompleteMultipartUploadResult" && name != "CopyObjectResult" &&
      name != "CopyPartResult") {
    return Corrupt("not a result but <" + std::string(name.substr(0, 64)) + ">");
  }
  return StripEtag(Value(*root, "ETag"));
}

Result<std::vector<S3DeleteFailure>> ParseS3DeleteResult(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "DeleteResult");
  if (!root) return root.error();
  std::vector<S3DeleteFailure> failures;
  for (pugi::xml_node node : root->children()) {
    if (LocalName(node) != "Error") continue;
    failures.push_back({.key = Text(node, "Key"),
                        .version_id = Value(node, "VersionId"),
                        .error = ReadError(node)});
  }
  return failures;
}

Result<Credentials> ParseS3Session(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "CreateSessionResult");
  if (!root) return root.error();
  const pugi::xml_node node = Child(*root, "Credentials");
  Credentials session{.access_key_id = Value(node, "AccessKeyId"),
                      .secret_access_key = Secret(Value(node, "SecretAccessKey")),
                      .session_token = Secret(Value(node, "SessionToken")),
                      .expires = {}};
  Result<SystemTime> expires = ParseRfc3339(Value(node, "Expiration"));
  if (session.access_key_id.empty() || session.secret_access_key.empty() ||
      session.session_token.empty() || !expires) {
    return Corrupt("a session without keys, token or expiry");
  }
  session.expires = *expires;
  return session;
}

Result<Tags> ParseS3Tagging(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "Tagging");
  if (!root) return root.error();
  Tags tags;
  for (pugi::xml_node node : Child(*root, "TagSet").children()) {
    if (LocalName(node) != "Tag") continue;
    tags[Text(node, "Key")] = Text(node, "Value");
  }
  return tags;
}

Result<std::vector<BucketInfo>> ParseS3Buckets(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "ListAllMyBucketsResult");
  if (!root) return root.error();
  std::vector<BucketInfo> buckets;
  for (pugi::xml_node node : Child(*root, "Buckets").children()) {
    if (LocalName(node) != "Bucket") continue;
    buckets.push_back({.name = Value(node, "Name"), .created = Time(node, "CreationDate")});
  }
  return buckets;
}

Result<bool> ParseS3Versioning(std::string_view xml) {
  Document document;
  Result<pugi::xml_node> root = document.Open(xml, "VersioningConfiguration");
  if (!root) return root.error();
  return Value(*root, "Status") == "Enabled";
}

bool IsXmlText(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto c = static_cast<unsigned char>(text[i]);
    size_t length = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0x80) {
      if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
      ++i;
      continue;
    }
    if (c < 0xc2 || c > 0xf4 || i + length > text.size()) return false;
    uint32_t code = c & (0xffu >> (length + 1));
    for (size_t j = 1; j < length; ++j) {
      auto next = static_cast<unsigned char>(text[i + j]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3fu);
    }
    constexpr uint32_t kShortest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kShortest[length] || (code >= 0xd800 && code < 0xe000) || code == 0xfffe ||
        code == 0xffff || code > 0x10ffff) {
      return false;
    }
    i += length;
  }
  return true;
}

std::string WriteS3Delete(std::span<const RemoveRequest> requests) {
  std::string xml = OpenElement("Delete") + "<Quiet>true</Quiet>";
  for (const RemoveRequest& request : requests) {
    xml += "<Object>";
    AppendElement(xml, "Key", request.key);
    if (!request.version_id.empty()) AppendElement(xml, "VersionId", request.version_id);
    xml += "</Object>";
  }
  return xml + "</Delete>";
}

std::string WriteS3Complete(std::span<const UploadedPart> parts) {
  std::string xml = OpenElement("CompleteMultipartUpload");
  for (const UploadedPart& part : parts) {
    xml += "<Part>";
    AppendElement(xml, "PartNumber", std::to_string(part.number));
    AppendElement(xml, "ETag", "\"" + part.etag + "\"");
    if (part.checksum && !part.checksum->value.empty()) {
      AppendElement(xml, S3ChecksumElement(part.checksum->algorithm), part.checksum->value);
    }
    xml += "</Part>";
  }
  return xml + "</CompleteMultipartUpload>";
}

std::string WriteS3Tagging(const Tags& tags) {
  std::string xml = OpenElement("Tagging") + "<TagSet>";
  for (const auto& [key, value] : tags) {
    xml += "<Tag>";
    AppendElement(xml, "Key", key);
    AppendElement(xml, "Value", value);
    xml += "</Tag>";
  }
  return xml + "</TagSet></Tagging>";
}

std::string WriteS3Versioning(bool enabled) {
  return OpenElement("VersioningConfiguration") + "<Status>" + (enabled ? "Enabled" : "Suspended") +
         "</Status></VersioningConfiguration>";
}

std::string WriteS3Restore(std::string_view tier, int days) {
  std::string xml = OpenElement("RestoreRequest");
  if (days > 0) AppendElement(xml, "Days", std::to_string(days));
  xml += "<GlacierJobParameters>";
  AppendElement(xml, "Tier", tier);
  return xml + "</GlacierJobParameters></RestoreRequest>";
}

std::string WriteS3CreateBucket(std::string_view region) {
  if (region.empty() || region == "us-east-1") return {};
  std::string xml = OpenElement("CreateBucketConfiguration");
  AppendElement(xml, "LocationConstraint", region);
  return xml + "</CreateBucketConfiguration>";
}

std::string_view S3ChecksumHeader(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return "x-amz-checksum-crc32";
    case ChecksumAlgorithm::kCrc32c:
      return "x-amz-checksum-crc32c";
    case ChecksumAlgorithm::kCrc64Nvme:
      return "x-amz-checksum-crc64nvme";
    case ChecksumAlgorithm::kSha1:
      return "x-amz-checksum-sha1";
    case ChecksumAlgorithm::kSha256:
      return "x-amz-checksum-sha256";
  }
  return "";
}

std::string_view S3ChecksumElement(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return "ChecksumCRC32";
    case ChecksumAlgorithm::kCrc32c:
      return "ChecksumCRC32C";
    case ChecksumAlgorithm::kCrc64Nvme:
      return "ChecksumCRC64NVME";
    case ChecksumAlgorithm::kSha1:
      return "ChecksumSHA1";
    case ChecksumAlgorithm::kSha256:
      return "ChecksumSHA256";
  }
  return "";
}

std::string_view S3ChecksumName(ChecksumAlgorithm algorithm) {
  return S3ChecksumElement(algorithm).substr(std::strlen("Checksum"));
}

}  // namespace longhaul
