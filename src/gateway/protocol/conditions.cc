#include "gateway/protocol/conditions.h"

#include <charconv>
#include <chrono>

#include "gateway/protocol/errors.h"

namespace longhaul {
namespace {

bool ReadNumber(std::string_view digits, uint64_t& value) {
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return !digits.empty() && failed == std::errc() && end == digits.data() + digits.size();
}

struct Conditions {
  std::string_view match;
  std::string_view none_match;
  std::string_view modified_since;
  std::string_view unmodified_since;
};

enum class Held { kYes, kNotMatched, kNotModified };

// The order counts. (RFC 9110, 13.2.2.)
Held Look(const Conditions& conditions, const ObjectInfo& info) {
  SystemTime modified = std::chrono::floor<std::chrono::seconds>(info.last_modified);
  if (!conditions.match.empty()) {
    if (!ListsEtag(conditions.match, info.etag)) return Held::kNotMatched;
  } else if (Result<SystemTime> since = ParseHttpDate(conditions.unmodified_since); since) {
    if (modified > *since) return Held::kNotMatched;
  }
  if (!conditions.none_match.empty()) {
    if (ListsEtag(conditions.none_match, info.etag)) return Held::kNotModified;
  } else if (Result<SystemTime> since = ParseHttpDate(conditions.modified_since); since) {
    if (modified <= *since) return Held::kNotModified;
  }
  return Held::kYes;
}

}  // namespace

bool ListsEtag(std::string_view list, std::string_view etag) {
  while (true) {
    size_t comma = list.find(',');
    std::string_view one = list.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one == "*" || Unquoted(one) == etag) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

std::string ReadMatchOf(const HttpHeaders& headers) {
  std::string_view match = headers.Get("If-Match");
  if (match == "*" || match.contains(',')) return "";
  return std::string(Unquoted(match));
}

int ReadConditionOf(const HttpHeaders& headers, const ObjectInfo& info) {
  Held held = Look({.match = headers.Get("If-Match"),
                    .none_match = headers.Get("If-None-Match"),
                    .modified_since = headers.Get("If-Modified-Since"),
                    .unmodified_since = headers.Get("If-Unmodified-Since")},
                   info);
  if (held == Held::kYes) return 0;
  return held == Held::kNotMatched ? 412 : 304;
}

bool HasSourceCondition(const HttpHeaders& headers) {
  for (std::string_view name : {"match", "none-match", "modified-since", "unmodified-since"}) {
    if (headers.Find("x-amz-copy-source-if-" + std::string(name)) != nullptr) return true;
  }
  return headers.Find("x-amz-copy-if-match") != nullptr;
}

bool SourceConditionHolds(const HttpHeaders& headers, const ObjectInfo& info) {
  std::string_view match = headers.Get("x-amz-copy-source-if-match");
  // The name that Ceph reads; with both, both must hold.
  std::string_view same = headers.Get("x-amz-copy-if-match");
  if (!same.empty() && !ListsEtag(same, info.etag)) return false;
  return Look({.match = match.empty() ? same : match,
               .none_match = headers.Get("x-amz-copy-source-if-none-match"),
               .modified_since = headers.Get("x-amz-copy-source-if-modified-since"),
               .unmodified_since = headers.Get("x-amz-copy-source-if-unmodified-since")},
              info) == Held::kYes;
}

Result<GatewayWriteCondition> ReadWriteCondition(const HttpHeaders& headers) {
  GatewayWriteCondition condition{.if_match = Unquoted(headers.Get("If-Match")),
                                  .if_none_match = Unquoted(headers.Get("If-None-Match"))};
  if (!condition.if_match.empty() && !condition.if_none_match.empty()) {
    return GatewayError("NotImplemented", "If-Match and If-None-Match of one write");
  }
  if (condition.if_match.contains(',') || condition.if_none_match.contains(',')) {
    return GatewayError("NotImplemented", "a condition of a write names one ETag, or all by *");
  }
  return condition;
}

void ReadRange(std::string_view text, GetRequest& request) {
  if (!text.starts_with("bytes=") || text.contains(',')) return;
  text.remove_prefix(6);
  size_t dash = text.find('-');
  if (dash == std::string_view::npos) return;
  uint64_t first = 0;
  uint64_t last = 0;
  if (dash == 0) {
    if (ReadNumber(text.substr(1), last)) request.suffix_bytes = last;
    return;
  }
  if (!ReadNumber(text.substr(0, dash), first)) return;
  if (dash + 1 == text.size()) {
    request.range = ByteRange{first, UINT64_MAX - first};
  } else if (ReadNumber(text.substr(dash + 1), last) && last >= first) {
    request.range = ByteRange{first, last - first + (last < UINT64_MAX ? 1 : 0)};
  }
}

Result<ByteRange> ReadCopyRange(std::string_view text, uint64_t source_size_bytes) {
  uint64_t first = 0;
  uint64_t last = 0;
  size_t dash = text.find('-');
  bool right = text.starts_with("bytes=") && dash != std::string_view::npos &&
               ReadNumber(text.substr(6, dash - 6), first) &&
               ReadNumber(text.substr(dash + 1), last) && last >= first;
  if (!right) {
    return GatewayError("InvalidArgument",
                        "The x-amz-copy-source-range value must be of the form bytes=first-last "
                        "where first and last are the zero-based offsets of the first and last "
                        "bytes to copy");
  }
  if (last >= source_size_bytes) {
    return GatewayError("InvalidArgument",
                        "Range specified is not valid for source object of size: " +
                            std::to_string(source_size_bytes));
  }
  return ByteRange{first, last - first + 1};
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
