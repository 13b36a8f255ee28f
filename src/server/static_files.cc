#include "server/static_files.h"

#include <zlib.h>

#include <algorithm>

namespace longhaul {

namespace {

// Unpacks what this build has packed itself; empty when it makes no sense.
std::string Gunzip(std::string_view gzip, size_t size_bytes) {
  std::string out(size_bytes, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return "";
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(gzip.data()));
  stream.avail_in = static_cast<uInt>(gzip.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_FINISH);
  const bool whole = result == Z_STREAM_END && stream.total_out == size_bytes;
  inflateEnd(&stream);
  return whole ? out : "";
}

// "gzip, deflate, br;q=0.9"; a q of 0 is seldom and then means identity.
bool TakesGzip(std::string_view accepted) {
  while (!accepted.empty()) {
    const size_t end = std::min(accepted.find(','), accepted.size());
    std::string_view one = accepted.substr(0, end);
    accepted.remove_prefix(std::min(end + 1, accepted.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    const std::string_view name = one.substr(0, one.find_first_of("; "));
    if (name != "gzip" && name != "*") continue;
    return one.find("q=0") == std::string_view::npos || one.find("q=0.") != std::string_view::npos;
  }
  return false;
}

// If-None-Match: a list of tags, weak or not, or "*".
bool Matches(std::string_view tags, std::string_view etag) {
  return tags == "*" || tags.find(etag) != std::string_view::npos;
}

asio::awaitable<void> Send(HttpServerResponse& response, std::string body) {
  // A client that has gone away needs no answer.
  Result<void> sent = co_await response.Send(std::move(body));
  static_cast<void>(sent);
}

}  // namespace

void SetSecurityHeaders(HttpHeaders& headers) {
  headers.Set("Content-Security-Policy",
              "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
              "object-src 'none'; require-trusted-types-for 'script'");
  headers.Set("X-Content-Type-Options", "nosniff");
  headers.Set("X-Frame-Options", "DENY");
  headers.Set("Referrer-Policy", "no-referrer");
  headers.Set("Cross-Origin-Opener-Policy", "same-origin");
  headers.Set("Cross-Origin-Resource-Policy", "same-origin");
}

bool StaticFiles::Owns(std::string_view path) {
  return path == "/" || path == "/index.html" || path.starts_with("/assets/");
}

const StaticFile* StaticFiles::Find(std::string_view path) const {
  if (path == "/index.html") path = "/";
  const auto found = std::ranges::find(files_, path, &StaticFile::path);
  return found == files_.end() ? nullptr : &*found;
}

asio::awaitable<void> StaticFiles::Serve(const HttpServerRequest& request,
                                         HttpServerResponse& response) const {
  SetSecurityHeaders(response.headers);
  const StaticFile* file = Find(request.path());
  if (file == nullptr) {
    response.status = 404;
    response.headers.Set("Content-Type", "text/plain; charset=utf-8");
    response.headers.Set("Cache-Control", "no-store");
    co_return co_await Send(response, files_.empty()
                                          ? "this build has no dashboard; the API is at /v1\n"
                                          : "nothing here\n");
  }
  response.headers.Set("ETag", std::string(file->etag));
  response.headers.Set("Vary", "Accept-Encoding");
  response.headers.Set("Cache-Control",
                       file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
  if (Matches(request.headers().Get("If-None-Match"), file->etag)) {
    response.status = 304;
    co_return co_await Send(response, "");
  }
  response.headers.Set("Content-Type", std::string(file->content_type));
  std::string body;
  if (TakesGzip(request.headers().Get("Accept-Encoding"))) {
    response.headers.Set("Content-Encoding", "gzip");
    body = file->gzip;
  } else {
    body = Gunzip(file->gzip, file->size_bytes);
  }
  co_await Send(response, std::move(body));
}

}  // namespace longhaul
