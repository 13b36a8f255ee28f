#include "tests/support/quirky_http.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul::testing {
namespace {

constexpr size_t kBodyBytesMax = 256 << 20;

class TextBody : public HttpBody {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    size_t count = std::min(out.size(), text_.size() - at_);
    std::memcpy(out.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }
  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

 private:
  std::string text_;
  size_t at_ = 0;
  HttpHeaders trailers_;
};

HttpResponse Answer(int status, HttpHeaders headers, std::string text, bool head) {
  headers.Set("Content-Length",
              head ? std::string(headers.Get("Content-Length")) : std::to_string(text.size()));
  return {.status = status,
          .headers = std::move(headers),
          .body = std::make_unique<TextBody>(std::move(text))};
}

HttpResponse Refusal(int status, const std::string& code) {
  return Answer(status, {},
                "<Error><Code>" + code + "</Code><Message>this server lacks it</Message></Error>",
                false);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return lower;
}

void ReplaceAll(std::string& text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

// The query without these parameters.
std::string Without(std::string_view query, std::initializer_list<std::string_view> names) {
  std::string kept;
  while (!query.empty()) {
    std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    if (std::ranges::find(names, one.substr(0, one.find('='))) != names.end()) continue;
    kept += (kept.empty() ? "" : "&") + std::string(one);
  }
  return kept;
}

bool Has(std::string_view query, std::string_view name) { return Without(query, {name}) != query; }

std::vector<std::string> EtagsIn(std::string_view xml) {
  std::vector<std::string> etags;
  for (size_t at = xml.find("<ETag>"); at != std::string::npos; at = xml.find("<ETag>", at + 1)) {
    std::string etag(xml.substr(at + 6, xml.find("</ETag>", at) - at - 6));
    ReplaceAll(etag, "&quot;", "");
    ReplaceAll(etag, "\"", "");
    etags.push_back(etag);
  }
  return etags;
}

}  // namespace

QuirkyHttp::QuirkyHttp(Runtime runtime, Quirkiness quirks, Credentials credentials)
    : runtime_(runtime),
      quirks_(quirks),
      credentials_(std::move(credentials)),
      signer_("us-east-1", "s3"),
      http_(MakeHttpClient(runtime)) {}

Async<HttpResponse> QuirkyHttp::Send(HttpRequest request) {
  std::string_view rest = std::string_view(request.url).substr(std::string_view("http://").size());
  std::string_view host = rest.substr(0, rest.find('/'));
  std::string_view target = rest.substr(host.size());
  std::string path(target.substr(0, target.find('?')));
  std::string query(path.size() == target.size() ? "" : target.substr(path.size() + 1));
  if (host != kHost) {
    path = "/" + std::string(host.substr(0, host.find('.'))) + path;
  } else if (quirks_.virtual_only && path != "/") {
    co_return Refusal(403, "SecondLevelDomainForbidden");
  }
  sent.push_back(request.method + " " + path + (query.empty() ? "" : "?" + query));

  std::string body;
  if (request.body) body.assign(AsText(*request.body));
  if (request.source != nullptr) {
    std::string piece(1 << 20, '\0');
    while (true) {
      Result<size_t> count =
          co_await request.source->Read(std::as_writable_bytes(std::span(piece)));
      if (!count) co_return count.error();
      if (*count == 0) break;
      body.append(piece, 0, *count);
    }
  }

  if (request.method == "PUT" && query.empty() && body.size() > quirks_.put_bytes_max) {
    co_return Refusal(400, "EntityTooLarge");
  }

  bool write = request.method == "PUT" || request.method == "POST";
  std::string payload(kUnsignedPayload);
  HttpHeaders headers;
  for (const auto& [header, value] : request.headers.entries()) {
    std::string name = Lower(header);
    if (name == "authorization" || name == "x-amz-date" || name == "host") continue;
    if (name == "x-amz-content-sha256") {
      if (value == kUnsignedPayloadTrailer) payload = value;
      continue;
    }
    if (name == "x-amz-trailer" && quirks_.refuses_trailers) {
      co_return Refusal(400, "InvalidArgument");
    }
    bool checksum = name.starts_with("x-amz-checksum-");
    if (checksum && quirks_.refuses_checksums && name != "x-amz-checksum-mode") {
      co_return Refusal(400, "InvalidArgument");
    }
    if (checksum && (quirks_.own_checksum || quirks_.refuses_checksums)) continue;
    if (name == "x-amz-tagging" && quirks_.refuses_tags) co_return Refusal(501, "NotImplemented");
    if (name == "x-amz-storage-class" && quirks_.refuses_classes) {
      co_return Refusal(400, "InvalidStorageClass");
    }
    bool condition = name == "if-match" || name == "if-none-match";
    if (condition && write && quirks_.ignores_conditions) continue;
    std::string sent_value = value;
    for (const auto& [real, ours] : etags_) ReplaceAll(sent_value, ours, real);
    headers.Add(header, sent_value);
  }
  if (quirks_.lists_v1_only && Has(query, "list-type")) {
    query = Without(query, {"list-type", "start-after", "continuation-token"});
  }
  if (quirks_.refuses_batches && request.method == "POST" && Has(query, "delete")) {
    co_return Refusal(400, "InvalidArgument");
  }
  if (quirks_.refuses_tags && Has(query, "tagging")) co_return Refusal(501, "NotImplemented");
  if (quirks_.refuses_versions && (Has(query, "versions") || Has(query, "versioning"))) {
    co_return Refusal(501, "NotImplemented");
  }
  bool completes = request.method == "POST" && Has(query, "uploadId");
  if (completes) {
    for (const auto& [real, ours] : etags_) ReplaceAll(body, ours, real);
    std::vector<std::string> parts = EtagsIn(body);
    for (size_t i = 0; i + 1 < parts.size() && quirks_.equal_parts_only; ++i) {
      if (part_bytes_[parts[i]] != part_bytes_[parts[0]]) co_return Refusal(400, "InvalidPart");
    }
  }

  std::string place(std::string_view(gateway_).substr(std::string_view("http://").size()));
  signer_.Sign(request.method, {.host = place, .path = path, .query = query}, headers, payload,
               credentials_, runtime_.clock.Now());
  HttpRequest onward{.method = request.method,
                     .url = gateway_ + path + (query.empty() ? "" : "?" + query),
                     .headers = std::move(headers)};
  if (write) onward.body = AsBytes(body);
  Result<HttpResponse> response = co_await http_->Send(std::move(onward));
  if (!response) co_return response.error();
  Result<std::string> text = co_await ReadAll(*response->body, kBodyBytesMax);
  if (!text) co_return text.error();
  HttpHeaders answered;
  for (const auto& [name, value] : response->headers.entries()) {
    if (Lower(name).starts_with("x-amz-checksum-") &&
        (quirks_.own_checksum || quirks_.refuses_checksums)) {
      continue;
    }
    answered.Add(name, value);
  }
  bool good = response->status >= 200 && response->status < 300;

  bool uploads_part = request.method == "PUT" && Has(query, "uploadId");
  auto forget_md5 = [&](const std::string& real) {
    std::string of_parts = real.find('-') == std::string::npos ? "" : real.substr(real.find('-'));
    if (quirks_.own_etags) etags_[real] = HexEncode(Md5("not " + real)) + of_parts;
  };
  if (good && uploads_part) {
    std::string etag(answered.Get("ETag"));
    ReplaceAll(etag, "\"", "");
    part_bytes_[etag] = body.size();
    forget_md5(etag);
  }
  if (good && completes) {
    for (const std::string& etag : EtagsIn(*text)) forget_md5(etag);
  }
  if (quirks_.own_checksum && good && request.method == "PUT" && !uploads_part) {
    checksums_[path] = Base64Encode(Digest(HashKind::kCrc32c, AsBytes(body)));
  }
  if (quirks_.own_checksum && good && completes) {
    HttpHeaders own;
    signer_.Sign("GET", {.host = place, .path = path, .query = ""}, own, kUnsignedPayload,
                 credentials_, runtime_.clock.Now());
    Result<HttpResponse> whole =
        co_await http_->Send({.url = gateway_ + path, .headers = std::move(own)});
    if (!whole) co_return whole.error();
    Result<std::string> bytes = co_await ReadAll(*whole->body, kBodyBytesMax);
    if (!bytes) co_return bytes.error();
    checksums_[path] = Base64Encode(Digest(HashKind::kCrc32c, AsBytes(*bytes)));
  }
  bool reads = (request.method == "GET" || request.method == "HEAD") && query.empty();
  if (good && reads && checksums_.contains(path)) {
    answered.Set("x-goog-hash", "crc32c=" + checksums_[path] + ",md5=none");
  }
  if (good && quirks_.damages_bodies && request.method == "GET" && reads && !text->empty()) {
    text->front() = static_cast<char>(text->front() ^ 1);
  }
  std::string etag(answered.Get("ETag"));
  for (const auto& [real, ours] : etags_) {
    ReplaceAll(etag, real, ours);
    if (text->starts_with("<?xml")) ReplaceAll(*text, real, ours);
  }
  if (!etag.empty()) answered.Set("ETag", etag);
  co_return Answer(response->status, std::move(answered), std::move(*text),
                   request.method == "HEAD");
}

}  // namespace longhaul::testing
