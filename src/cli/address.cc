#include "cli/address.h"

#include <filesystem>
#include <system_error>

#include "storage/s3_bucket_name.h"

namespace longhaul {

namespace {

bool IsStoreName(std::string_view text) {
  if (text.empty()) return false;
  for (char c : text) {
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '.' || c == '_' || c == '-';
    if (!good) return false;
  }
  return true;
}

void SplitBucket(std::string_view rest, CommandAddress& address) {
  address.bucket = BucketPartOf(rest);
  if (rest.size() > address.bucket.size()) address.key = rest.substr(address.bucket.size() + 1);
}

Result<CommandAddress> LocalAddress(std::string_view path, CommandAddress address) {
  if (path.empty()) return InvalidInput("'" + address.text + "' names no path");
  if (path.find('\0') != std::string_view::npos) return InvalidInput("a path with a NUL byte");
  address.kind = CommandAddress::Kind::kLocal;
  std::error_code ignored;
  size_t slash = path.rfind('/');
  std::string_view last = slash == std::string_view::npos ? path : path.substr(slash + 1);
  bool folder = last.empty() || last == "." || last == ".." ||
                std::filesystem::is_directory(std::filesystem::path(path), ignored);
  if (folder) {
    address.bucket = path;
    if (!address.bucket.ends_with('/')) address.bucket += '/';
  } else {
    address.bucket = slash == std::string_view::npos ? "./" : path.substr(0, slash + 1);
    address.key = last;
  }
  return address;
}

}  // namespace

std::string CommandAddress::WithKey(std::string_view other_key) const {
  switch (kind) {
    case Kind::kNamed:
      return store + ":" + bucket + "/" + std::string(other_key);
    case Kind::kS3:
      return "s3://" + bucket + "/" + std::string(other_key);
    case Kind::kLocal:
      return (bucket == "./" ? std::string() : bucket) + std::string(other_key);
  }
  return text;
}

Result<CommandAddress> ParseCommandAddress(std::string_view text) {
  CommandAddress address;
  address.text = text;
  if (text.starts_with("s3://")) {
    address.kind = CommandAddress::Kind::kS3;
    SplitBucket(text.substr(5), address);
    if (address.bucket.empty() && !address.key.empty()) {
      return InvalidInput("'" + address.text + "' names no bucket: write s3://BUCKET/KEY");
    }
    return address;
  }
  if (text.starts_with("file:")) {
    std::string_view path = text.substr(5);
    if (path.starts_with("//")) path.remove_prefix(2);  // file:///srv/x
    return LocalAddress(path, std::move(address));
  }
  size_t colon = text.find(':');
  size_t slash = text.find('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon < slash) &&
      IsStoreName(text.substr(0, colon))) {
    if (text.substr(colon + 1).starts_with("//")) {
      return InvalidInput("'" + address.text + "': there is no '" +
                          std::string(text.substr(0, colon)) +
                          "://' here; write s3://BUCKET/KEY, NAME:BUCKET/KEY or a path");
    }
    address.kind = CommandAddress::Kind::kNamed;
    address.store = text.substr(0, colon);
    SplitBucket(text.substr(colon + 1), address);
    if (address.bucket.empty() && !address.key.empty()) {
      return InvalidInput("'" + address.text + "' names no bucket: write NAME:BUCKET/KEY");
    }
    return address;
  }
  std::error_code ignored;
  if (slash != std::string_view::npos || text == "." || text == ".." ||
      (!text.empty() && std::filesystem::exists(std::filesystem::path(text), ignored))) {
    return LocalAddress(text, std::move(address));
  }
  return InvalidInput("'" + address.text + "' is no address: write s3://BUCKET/KEY, " +
                      "NAME:BUCKET/KEY with a store of the configuration, or ./" + address.text +
                      " for a local file");
}

Error At(const CommandAddress& address, const Error& error) {
  const std::string name = address.bucket + "/" + address.key;
  const size_t place = error.message.find(" " + name + ": ");
  if (address.kind == CommandAddress::Kind::kLocal || place == std::string::npos) {
    return error.In(address.text);
  }
  Error named = error;
  named.message.replace(place + 1, name.size(), address.WithKey(address.key));
  return named;
}

}  // namespace longhaul
