#include "gateway/gateway_xml.h"

#include <pugixml.hpp>

namespace longhaul {
namespace {

constexpr size_t kPartsMax = 10'000;
constexpr size_t kKeysMax = 1000;
constexpr size_t kTagsMax = 50;

Error Malformed(std::string message) {
  Error error = InvalidInput("The XML you provided was not well-formed: " + std::move(message));
  error.code = "MalformedXML";
  return error;
}

// Parses, and finds the root element whatever its namespace prefix.
Result<pugi::xml_node> Root(pugi::xml_document& document, std::string_view xml, const char* name) {
  pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size());
  if (!parsed) return Malformed(parsed.description());
  pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != name) return Malformed(std::string("no ") + name);
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
  for (pugi::xml_node part : root->children("Part")) {
    if (body.parts.size() >= kPartsMax) return Malformed("more than 10,000 parts");
    body.parts.push_back({.number = part.child("PartNumber").text().as_int(),
                          .etag = Unquoted(part.child("ETag").text().get()),
                          .size_bytes = 0,
                          .checksum = std::nullopt});
  }
  if (body.parts.empty()) return Malformed("no parts");
  return body;
}

Result<DeleteBody> ParseDelete(std::string_view xml) {
  pugi::xml_document document;
  // Keys may begin with blanks or be nothing but blanks.
  pugi::xml_parse_result parsed = document.load_buffer(
      xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single);
  if (!parsed) return Malformed(parsed.description());
  pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "Delete") return Malformed("no Delete");
  DeleteBody body;
  body.quiet = root.child("Quiet").text().as_bool();
  for (pugi::xml_node object : root.children("Object")) {
    if (body.requests.size() >= kKeysMax) return Malformed("more than 1,000 keys");
    RemoveRequest request;
    request.key = object.child("Key").child_value();
    request.version_id = object.child("VersionId").child_value();
    request.if_match = Unquoted(object.child("ETag").child_value());
    if (request.key.empty()) return Malformed("an object without a key");
    body.requests.push_back(std::move(request));
  }
  if (body.requests.empty()) return Malformed("no objects");
  return body;
}

Result<Tags> ParseTagging(std::string_view xml) {
  pugi::xml_document document;
  Result<pugi::xml_node> root = Root(document, xml, "Tagging");
  if (!root) return root.error();
  Tags tags;
  for (pugi::xml_node tag : root->child("TagSet").children("Tag")) {
    auto [at, added] =
        tags.emplace(tag.child("Key").child_value(), tag.child("Value").child_value());
    if (!added || tags.size() > kTagsMax || at->first.empty()) {
      Error error = InvalidInput("The tags are not valid");
      error.code = "InvalidTag";
      return error;
    }
  }
  return tags;
}

Result<bool> ParseVersioning(std::string_view xml) {
  pugi::xml_document document;
  Result<pugi::xml_node> root = Root(document, xml, "VersioningConfiguration");
  if (!root) return root.error();
  std::string_view status = root->child("Status").child_value();
  if (status != "Enabled" && status != "Suspended") return Malformed("no Status");
  return status == "Enabled";
}

std::string Unquoted(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return std::string(etag);
}

std::string Quoted(std::string_view etag) { return "\"" + std::string(etag) + "\""; }

}  // namespace longhaul
