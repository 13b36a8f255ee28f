#include "aws/credentials_text.h"

#include <algorithm>
#include <boost/json.hpp>
#include <pugixml.hpp>

#include "base/json.h"

namespace longhaul {
namespace {

namespace json = boost::json;

constexpr size_t kKeyIdBytesMax = 128;  // IAM API Reference, AccessKey.
constexpr size_t kSecretBytesMax = 1 << 10;
constexpr size_t kTokenBytesMax = 16 << 10;
constexpr JsonLimits kCredentialsLimits{.size_bytes_max = kCredentialsBytesMax, .depth_max = 8};

bool IsWord(std::string_view text, size_t size_bytes_max) {
  return !text.empty() && text.size() <= size_bytes_max && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '-' || c == '_' || c == ':';
  });
}

Result<json::value> Object(std::string_view text) {
  Result<json::value> value = ParseJson(text, kCredentialsLimits);
  if (!value) return CredentialsDenied(value.error().message);
  if (!value->is_object()) return CredentialsDenied("not a JSON object");
  return value;
}

std::string_view Text(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  if (found == nullptr || !found->is_string()) return {};
  return {found->get_string().data(), found->get_string().size()};
}

// What every kind has. No value gets into a message: it may be a secret in the wrong place.
Result<Credentials> Checked(std::string_view id, std::string_view secret, std::string_view token,
                            bool needs_token) {
  if (!IsHeaderText(id, kKeyIdBytesMax)) return CredentialsDenied("no access key id in the answer");
  if (!IsHeaderText(secret, kSecretBytesMax)) {
    return CredentialsDenied("no secret access key in the answer");
  }
  if (token.empty() ? needs_token : !IsHeaderText(token, kTokenBytesMax)) {
    return CredentialsDenied("no session token in the answer");
  }
  return Credentials{.access_key_id = std::string(id),
                     .secret_access_key = Secret(std::string(secret)),
                     .session_token = Secret(std::string(token)),
                     .expires = std::nullopt};
}

Result<void> SetExpiry(std::string_view text, std::string_view name, Credentials& credentials) {
  Result<SystemTime> time = ParseRfc3339(text);
  if (!time) return CredentialsDenied(std::string(name) + " is no time");
  credentials.expires = *time;
  return Ok();
}

// Blanks are kept: a key that begins with one is none.
constexpr unsigned kXmlFlags = pugi::parse_cdata | pugi::parse_escapes;

pugi::xml_node Child(pugi::xml_node node, std::string_view name) {
  for (pugi::xml_node child : node.children()) {
    std::string_view own = child.name();
    const size_t colon = own.find(':');
    if (colon != own.npos) own.remove_prefix(colon + 1);
    if (own == name) return child;
  }
  return {};
}

std::string_view Value(pugi::xml_node node, std::string_view name) {
  return Child(node, name).child_value();
}

}  // namespace

Result<Credentials> ParseMetadataCredentials(std::string_view text) {
  Result<json::value> value = Object(text);
  if (!value) return value.error();
  const json::object& object = value->get_object();
  const std::string_view code = Text(object, "Code");
  if (!code.empty() && code != "Success") {
    Error error = CredentialsDenied(Quotable(Text(object, "Message")));
    if (IsWord(code, 64)) error.code = code;
    if (error.message.empty()) error.message = "no credentials";
    return error;
  }
  Result<Credentials> credentials = Checked(
      Text(object, "AccessKeyId"), Text(object, "SecretAccessKey"), Text(object, "Token"), true);
  if (!credentials) return credentials;
  Result<void> set = SetExpiry(Text(object, "Expiration"), "Expiration", *credentials);
  if (!set) return set.error();
  return credentials;
}

Result<Credentials> ParseProcessCredentials(std::string_view text) {
  Result<json::value> value = Object(text);
  if (!value) return value.error();
  const json::object& object = value->get_object();
  const json::value* version = object.if_contains("Version");
  if (version == nullptr || !version->is_int64() || version->get_int64() != 1) {
    return CredentialsDenied("not \"Version\": 1");
  }
  Result<Credentials> credentials =
      Checked(Text(object, "AccessKeyId"), Text(object, "SecretAccessKey"),
              Text(object, "SessionToken"), false);
  if (!credentials) return credentials;
  const json::value* expiration = object.if_contains("Expiration");
  if (expiration != nullptr && !expiration->is_null()) {
    Result<void> set = SetExpiry(Text(object, "Expiration"), "Expiration", *credentials);
    if (!set) return set.error();
  }
  return credentials;
}

Result<Credentials> ParseKeptCredentials(std::string_view text) {
  Result<json::value> value = Object(text);
  if (!value) return value.error();
  const json::object& object = value->get_object();
  const std::string prefix = object.contains("aws_access_key_id") ? "aws_" : "";
  return Checked(Text(object, prefix + "access_key_id"), Text(object, prefix + "secret_access_key"),
                 Text(object, prefix + "session_token"), false);
}

Result<Credentials> ParseSsoCredentials(std::string_view text) {
  Result<json::value> value = Object(text);
  if (!value) return value.error();
  const json::value* inner = value->get_object().if_contains("roleCredentials");
  if (inner == nullptr || !inner->is_object()) {
    return CredentialsDenied("no roleCredentials in the answer");
  }
  const json::object& object = inner->get_object();
  Result<Credentials> credentials =
      Checked(Text(object, "accessKeyId"), Text(object, "secretAccessKey"),
              Text(object, "sessionToken"), true);
  if (!credentials) return credentials;
  const json::value* expiration = object.if_contains("expiration");
  constexpr int64_t kMillisecondsMax = 253'402'300'799'000;  // The year 9999.
  if (expiration == nullptr || !expiration->is_int64() || expiration->get_int64() < 0 ||
      expiration->get_int64() > kMillisecondsMax) {
    return CredentialsDenied("expiration is no time");
  }
  credentials->expires = SystemTime(std::chrono::milliseconds(expiration->get_int64()));
  return credentials;
}

Result<SsoToken> ParseSsoToken(std::string_view text) {
  Result<json::value> value = Object(text);
  if (!value) return value.error();
  const json::object& object = value->get_object();
  const std::string_view token = Text(object, "accessToken");
  if (!IsHeaderText(token, kTokenBytesMax)) return CredentialsDenied("no accessToken");
  std::string expires(Text(object, "expiresAt"));
  if (expires.ends_with("UTC")) expires.replace(expires.size() - 3, 3, "Z");  // Older tools.
  Result<SystemTime> time = ParseRfc3339(expires);
  if (!time) return CredentialsDenied("expiresAt is no time");
  return SsoToken{.access_token = Secret(std::string(token)), .expires = *time};
}

Result<Credentials> ParseStsCredentials(std::string_view xml) {
  pugi::xml_document document;
  if (xml.size() > kCredentialsBytesMax ||
      !document.load_buffer(xml.data(), xml.size(), kXmlFlags, pugi::encoding_utf8)) {
    return CredentialsDenied("not the XML that was asked for");
  }
  for (pugi::xml_node result : document.document_element().children()) {
    const pugi::xml_node found = Child(result, "Credentials");
    if (!found) continue;
    Result<Credentials> credentials =
        Checked(Value(found, "AccessKeyId"), Value(found, "SecretAccessKey"),
                Value(found, "SessionToken"), true);
    if (!credentials) return credentials;
    Result<void> set = SetExpiry(Value(found, "Expiration"), "Expiration", *credentials);
    if (!set) return set.error();
    return credentials;
  }
  return CredentialsDenied("no credentials in the answer");
}

StsErrorText ParseStsError(std::string_view xml) {
  pugi::xml_document document;
  if (xml.size() > kCredentialsBytesMax ||
      !document.load_buffer(xml.data(), xml.size(), kXmlFlags, pugi::encoding_utf8)) {
    return {};
  }
  const pugi::xml_node root = document.document_element();
  const pugi::xml_node error = Child(root, "Error");
  StsErrorText text;
  if (std::string_view code = Value(error, "Code"); IsWord(code, 64)) text.code = code;
  text.message = Value(error, "Message");
  if (std::string_view id = Value(root, "RequestId"); IsWord(id, 64)) text.request_id = id;
  return text;
}

}  // namespace longhaul
