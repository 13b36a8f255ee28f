#include "gateway/protocol/xml.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <pugixml.hpp>
#include <set>

#include "gateway/protocol/conditions.h"
#include "gateway/protocol/errors.h"
#include "gateway/protocol/names.h"

namespace longhaul {
namespace {

constexpr size_t kPartsMax = 10'000;
constexpr size_t kKeysMax = 1000;
constexpr size_t kTagsRead = 100;  // How many are allowed is for CheckTags to say.

constexpr std::array<std::pair<const char*, ChecksumAlgorithm>, 5> kPartChecksums = {
    {{"ChecksumCRC32", ChecksumAlgorithm::kCrc32},
     {"ChecksumCRC32C", ChecksumAlgorithm::kCrc32c},
     {"ChecksumCRC64NVME", ChecksumAlgorithm::kCrc64Nvme},
     {"ChecksumSHA1", ChecksumAlgorithm::kSha1},
     {"ChecksumSHA256", ChecksumAlgorithm::kSha256}}};

Error MalformedXml(std::string message) {
  return GatewayError("MalformedXML",
                      "The XML you provided was not well-formed: " + std::move(message));
}

// Each child once, and none but these ("*" at the end of one: it may come many times).
Result<void> OnlyChildren(pugi::xml_node parent, std::initializer_list<std::string_view> known) {
  std::set<std::string_view> seen;
  for (pugi::xml_node child : parent.children()) {
    if (child.type() != pugi::node_element) continue;
    std::string_view name = child.name();
    if (std::ranges::find(known, std::string(name) + "*") != known.end()) continue;
    if (std::ranges::find(known, name) == known.end()) {
      return GatewayError("NotImplemented", "not implemented here: the element " +
                                                std::string(name) + " of " + parent.name());
    }
    if (!seen.insert(name).second) return MalformedXml(std::string(name) + " is there twice");
  }
  return Ok();
}

// The text of an element without children, in however many pieces it is written; "" for none.
Result<std::string> TextOf(pugi::xml_node leaf) {
  std::string text;
  for (pugi::xml_node piece : leaf.children()) {
    switch (piece.type()) {
      case pugi::node_pcdata:
      case pugi::node_cdata:
        text += piece.value();
        break;
      case pugi::node_element:
        return MalformedXml(std::string(leaf.name()) + " has an element in it");
      default:
        break;  // A comment.
    }
  }
  return text;
}

// Of XML's characters (section 2.2) zero is none, and the parser's texts would end there; and what
// lies beyond Unicode it might take for another one.
bool HasNoCharacter(std::string_view xml) {
  constexpr uint32_t kLast = 0x10FFFF;
  if (xml.find('\0') != std::string_view::npos) return true;
  for (size_t at = xml.find("&#"); at != std::string_view::npos; at = xml.find("&#", at + 2)) {
    std::string_view number = xml.substr(at + 2);
    const bool hex = number.starts_with('x');
    if (hex) number.remove_prefix(1);
    uint32_t value = 0;
    const auto [end, failed] =
        std::from_chars(number.data(), number.data() + number.size(), value, hex ? 16 : 10);
    // (Without a digit it stands for itself.)
    if (failed == std::errc::result_out_of_range) return true;
    if (failed == std::errc() && (value == 0 || value > kLast)) return true;
  }
  return false;
}

Result<void> Load(pugi::xml_document& document, std::string_view xml, unsigned int flags) {
  if (HasNoCharacter(xml)) return MalformedXml("a character that XML does not have");
  pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size(), flags);
  if (!parsed) return MalformedXml(parsed.description());
  return Ok();
}

// Parses, and finds the root element whatever its namespace prefix.
Result<pugi::xml_node> Root(pugi::xml_document& document, std::string_view xml, const char* name) {
  Result<void> loaded = Load(document, xml, pugi::parse_default);
  if (!loaded) return loaded.error();
  pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != name) return MalformedXml(std::string("no ") + name);
  return root;
}

}  // namespace

XmlWriter::XmlWriter(std::string_view root) {
  text_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<" + std::string(root);
  if (root != "Error") text_ += " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
  text_ += ">";
  open_.emplace_back(root);
}

void XmlWriter::Open(std::string_view name) {
  text_ += "<" + std::string(name) + ">";
  open_.emplace_back(name);
}

void XmlWriter::Close() {
  text_ += "</" + open_.back() + ">";
  open_.pop_back();
}

void XmlWriter::Text(std::string_view name, std::string_view value) {
  text_ += "<" + std::string(name) + ">";
  for (char c : value) {
    switch (c) {
      case '&':
        text_ += "&amp;";
        break;
      case '<':
        text_ += "&lt;";
        break;
      case '>':
        text_ += "&gt;";
        break;
      case '"':
        text_ += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          text_ += "&#" + std::to_string(static_cast<int>(c)) + ";";
        } else {
          text_ += c;
        }
    }
  }
  text_ += "</" + std::string(name) + ">";
}

std::string XmlWriter::Finish() {
  while (!open_.empty()) Close();
  return std::move(text_);
}

Result<CompleteBody> ParseComplete(std::string_view xml) {
  pugi::xml_document document;
  Result<pugi::xml_node> root = Root(document, xml, "CompleteMultipartUpload");
  if (!root) return root.error();
  CompleteBody body;
  Result<void> known = OnlyChildren(*root, {"Part*"});
  if (!known) return known.error();
  for (pugi::xml_node part : root->children("Part")) {
    if (body.parts.size() >= kPartsMax) return MalformedXml("more than 10,000 parts");
    known = OnlyChildren(part, {"PartNumber", "ETag", "ChecksumCRC32", "ChecksumCRC32C",
                                "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256"});
    if (!known) return known.error();
    Result<std::string> etag = TextOf(part.child("ETag"));
    if (!etag) return etag.error();
    UploadedPart read{.number = part.child("PartNumber").text().as_int(),
                      .etag = Unquoted(*etag),
                      .size_bytes = 0,
                      .checksum = std::nullopt};
    if (!part.child("PartNumber") || !part.child("ETag")) {
      return MalformedXml("a part has a PartNumber and an ETag");
    }
    if (read.number < 1 || read.number > static_cast<int>(kPartsMax)) {
      return GatewayError("InvalidArgument", "PartNumber must be between 1 and 10000");
    }
    for (const auto& [name, algorithm] : kPartChecksums) {
      Result<std::string> value = TextOf(part.child(name));
      if (!value) return value.error();
      if (value->empty()) continue;
      if (read.checksum) return MalformedXml("a part with two checksums");
      read.checksum = Checksum{algorithm, std::move(*value), false};
    }
    body.parts.push_back(std::move(read));
  }
  if (body.parts.empty()) return MalformedXml("no parts");
  return body;
}

Result<DeleteBody> ParseDelete(std::string_view xml) {
  pugi::xml_document document;
  // Keys may begin with blanks or be nothing but blanks.
  Result<void> loaded = Load(document, xml, pugi::parse_default | pugi::parse_ws_pcdata);
  if (!loaded) return loaded.error();
  pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "Delete") return MalformedXml("no Delete");
  Result<void> known = OnlyChildren(root, {"Quiet", "Object*"});
  if (!known) return known.error();
  DeleteBody body;
  body.quiet = root.child("Quiet").text().as_bool();
  for (pugi::xml_node object : root.children("Object")) {
    if (body.requests.size() >= kKeysMax) return MalformedXml("more than 1,000 keys");
    // LastModifiedTime and Size are conditions that no store here can keep in one step.
    known = OnlyChildren(object, {"Key", "VersionId", "ETag"});
    if (!known) return known.error();
    RemoveRequest request;
    Result<std::string> key = TextOf(object.child("Key"));
    if (!key) return key.error();
    Result<std::string> version_id = TextOf(object.child("VersionId"));
    if (!version_id) return version_id.error();
    Result<std::string> etag = TextOf(object.child("ETag"));
    if (!etag) return etag.error();
    request.key = std::move(*key);
    request.version_id = std::move(*version_id);
    request.if_match = Unquoted(*etag);
    if (request.key.empty()) return MalformedXml("an object without a key");
    body.requests.push_back(std::move(request));
  }
  if (body.requests.empty()) return MalformedXml("no objects");
  return body;
}

Result<Tags> ParseTagging(std::string_view xml) {
  pugi::xml_document document;
  Result<pugi::xml_node> root = Root(document, xml, "Tagging");
  if (!root) return root.error();
  Result<void> known = OnlyChildren(*root, {"TagSet"});
  if (!known) return known.error();
  if (!root->child("TagSet")) return MalformedXml("no TagSet");
  known = OnlyChildren(root->child("TagSet"), {"Tag*"});
  if (!known) return known.error();
  Tags tags;
  for (pugi::xml_node tag : root->child("TagSet").children("Tag")) {
    known = OnlyChildren(tag, {"Key", "Value"});
    if (!known) return known.error();
    if (!tag.child("Key") || !tag.child("Value"))
      return MalformedXml("a tag has a Key and a Value");
    Result<std::string> key = TextOf(tag.child("Key"));
    if (!key) return key.error();
    Result<std::string> value = TextOf(tag.child("Value"));
    if (!value) return value.error();
    const bool added = tags.emplace(std::move(*key), std::move(*value)).second;
    if (!added) return GatewayError("InvalidTag", "Cannot provide multiple Tags with the same key");
    if (tags.size() > kTagsRead) break;
  }
  Result<void> allowed = CheckTags(tags);
  if (!allowed) return allowed.error();
  return tags;
}

Result<bool> ParseVersioning(std::string_view xml) {
  pugi::xml_document document;
  Result<pugi::xml_node> root = Root(document, xml, "VersioningConfiguration");
  if (!root) return root.error();
  Result<void> known = OnlyChildren(*root, {"Status", "MfaDelete"});
  if (!known) return known.error();
  if (std::string_view(root->child("MfaDelete").child_value()) == "Enabled") {
    return GatewayError("NotImplemented", "not implemented here: MfaDelete");
  }
  std::string_view status = root->child("Status").child_value();
  if (status != "Enabled" && status != "Suspended") return MalformedXml("no Status");
  return status == "Enabled";
}

Result<void> CheckCreateBucket(std::string_view xml) {
  if (xml.empty()) return Ok();
  pugi::xml_document document;
  Result<pugi::xml_node> root = Root(document, xml, "CreateBucketConfiguration");
  if (!root) return root.error();
  return OnlyChildren(*root, {"LocationConstraint"});
}

}  // namespace longhaul
