#include "aws/signer.h"

#include <algorithm>
#include <cstdio>
#include <span>
#include <vector>

#include "base/ascii.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {
namespace {

void AppendLower(std::string& to, std::string_view text) {
  const size_t begin = to.size();
  to.append(text);
  for (char& c : std::span(to).subspan(begin)) {
    c = LowerAscii(c);
  }
}

// Names in order, then values; a name without "=" gets one.
std::string CanonicalQuery(std::string_view query) {
  if (query.empty()) return {};
  std::vector<std::pair<std::string_view, std::string_view>> parameters;
  while (!query.empty()) {
    size_t end = std::min(query.find('&'), query.size());
    std::string_view one = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (one.empty()) continue;
    size_t equals = one.find('=');
    parameters.emplace_back(one.substr(0, equals),
                            equals == one.npos ? std::string_view() : one.substr(equals + 1));
  }
  std::sort(parameters.begin(), parameters.end());
  std::string canonical;
  for (const auto& [name, value] : parameters) {
    if (!canonical.empty()) canonical += '&';
    canonical.append(name).append("=").append(value);
  }
  return canonical;
}

// Without blanks at the ends, and with runs of blanks inside as one.
void AppendTrimmed(std::string& to, std::string_view value) {
  if (value.find(' ') == value.npos && value.find('\t') == value.npos) {  // Mostly.
    to.append(value);
    return;
  }
  bool blank = false;
  bool first = true;
  for (char c : value) {
    if (c == ' ' || c == '\t') {
      blank = true;
      continue;
    }
    if (blank && !first) to += ' ';
    blank = first = false;
    to += c;
  }
}

bool IsSigned(std::string_view lower_name) {
  // What proxies on the way may add or change.
  return lower_name != "user-agent" && lower_name != "connection" && lower_name != "expect" &&
         lower_name != "accept-encoding" && lower_name != "host";
}

}  // namespace

std::string FormatAmzDate(SystemTime time) {
  using namespace std::chrono;
  auto day = floor<days>(time);
  year_month_day date(day);
  hh_mm_ss clock(floor<seconds>(time - day));
  char text[40];
  std::snprintf(text, sizeof text, "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

const std::string& Signer::TimestampOf(SystemTime now) {
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (timestamp_.empty() || second != timestamp_second_) {
    timestamp_ = FormatAmzDate(now);
    timestamp_second_ = second;
  }
  return timestamp_;
}

const std::string& Signer::ScopeOf(std::string_view date) {
  if (!scope_.starts_with(date)) {
    scope_ = date;
    scope_.append("/").append(region_).append("/").append(service_).append("/aws4_request");
  }
  return scope_;
}

std::string Signer::CanonicalPath(std::string_view path) const {
  if (path.empty()) return "/";
  return IsS3() ? std::string(path) : PercentEncode(path, Slash::kKeep);
}

const std::string& Signer::KeyOf(const Credentials& credentials, std::string_view date) {
  if (key_date_ != date || key_access_key_id_ != credentials.access_key_id ||
      !(key_secret_ == credentials.secret_access_key)) {
    std::string key = HmacSha256("AWS4" + credentials.secret_access_key.Reveal(), date);
    key = HmacSha256(key, region_);
    key = HmacSha256(key, service_);
    key_ = HmacSha256(key, "aws4_request");
    key_date_ = date;
    key_access_key_id_ = credentials.access_key_id;
    key_secret_ = credentials.secret_access_key;
  }
  return key_;
}

std::string Signer::Signature(std::string_view canonical_request, std::string_view timestamp,
                              const Credentials& credentials) {
  std::string_view date = timestamp.substr(0, 8);
  std::string to_sign;
  to_sign.reserve(192);
  to_sign.append("AWS4-HMAC-SHA256\n")
      .append(timestamp)
      .append("\n")
      .append(ScopeOf(date))
      .append("\n");
  to_sign += HexEncode(Sha256(canonical_request));
  return HexEncode(HmacSha256(KeyOf(credentials, date), to_sign));
}

void Signer::Sign(std::string_view method, const SignedTarget& target, HttpHeaders& headers,
                  std::string_view payload_sha256, const Credentials& credentials, SystemTime now) {
  const std::string& timestamp = TimestampOf(now);
  headers.Set("X-Amz-Date", timestamp);
  if (!credentials.session_token.empty()) {
    headers.Set("X-Amz-Security-Token", credentials.session_token.Reveal());
  }
  if (IsS3()) headers.Set("x-amz-content-sha256", std::string(payload_sha256));

  // One string holds all names in lower case; it is long enough from the beginning.
  std::string lower_names;
  size_t names_size = 0;
  for (const auto& [name, value] : headers.entries()) names_size += name.size();
  lower_names.reserve(names_size);
  std::vector<std::pair<std::string_view, std::string_view>> signed_headers;
  signed_headers.reserve(headers.entries().size() + 1);
  signed_headers.emplace_back("host", target.host);
  for (const auto& [name, value] : headers.entries()) {
    const size_t begin = lower_names.size();
    AppendLower(lower_names, name);
    const std::string_view lower = std::string_view(lower_names).substr(begin);
    if (!IsSigned(lower)) continue;
    // In order of names; values of one name in the order in which they are sent.
    auto after = std::upper_bound(signed_headers.begin(), signed_headers.end(), lower,
                                  [](const auto& x, const auto& y) { return x < y.first; });
    signed_headers.emplace(after, lower, value);
  }

  std::string canonical;
  canonical.reserve(1024);
  canonical.append(method).append("\n").append(CanonicalPath(target.path)).append("\n");
  canonical.append(CanonicalQuery(target.query)).append("\n");
  std::string names;
  names.reserve(names_size + signed_headers.size() + 4);
  for (size_t i = 0; i < signed_headers.size(); ++i) {
    const auto& [name, value] = signed_headers[i];
    if (i > 0 && signed_headers[i - 1].first == name) {  // The same header again: one line.
      canonical.back() = ',';
    } else {
      canonical.append(name).append(":");
      if (!names.empty()) names += ';';
      names += name;
    }
    AppendTrimmed(canonical, value);
    canonical += '\n';
  }
  canonical.append("\n").append(names).append("\n").append(payload_sha256);

  std::string authorization;
  authorization.reserve(names.size() + 256);
  authorization.append("AWS4-HMAC-SHA256 Credential=").append(credentials.access_key_id);
  authorization.append("/").append(ScopeOf(std::string_view(timestamp).substr(0, 8)));
  authorization.append(", SignedHeaders=").append(names);
  authorization.append(", Signature=").append(Signature(canonical, timestamp, credentials));
  headers.Set("Authorization", std::move(authorization));
}

std::string Signer::Presign(std::string_view method, const SignedTarget& target,
                            const Credentials& credentials, SystemTime now,
                            std::chrono::seconds expires) {
  std::string timestamp = FormatAmzDate(now);
  std::string query(target.query);
  auto add = [&query](std::string_view name, std::string_view value) {
    if (!query.empty()) query += '&';
    query.append(name).append("=").append(PercentEncode(value, Slash::kEncode));
  };
  add("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
  add("X-Amz-Credential",
      credentials.access_key_id + "/" + ScopeOf(std::string_view(timestamp).substr(0, 8)));
  add("X-Amz-Date", timestamp);
  add("X-Amz-Expires", std::to_string(expires.count()));
  if (!credentials.session_token.empty()) {
    add("X-Amz-Security-Token", credentials.session_token.Reveal());
  }
  add("X-Amz-SignedHeaders", "host");
  std::string canonical(method);
  canonical.append("\n").append(CanonicalPath(target.path)).append("\n");
  canonical.append(CanonicalQuery(query)).append("\nhost:").append(target.host);
  canonical.append("\n\nhost\n").append(kUnsignedPayload);
  return query + "&X-Amz-Signature=" + Signature(canonical, timestamp, credentials);
}

}  // namespace longhaul
