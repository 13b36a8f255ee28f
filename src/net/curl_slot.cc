#include "net/curl_slot.h"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

#include "base/check.h"

namespace longhaul {
namespace {

constexpr size_t kBodyWithHeadBytes = 64 << 10;  // curl sends smaller ones in the head's packet.
constexpr size_t kHeaderBytesMax = 64 << 10;
constexpr size_t kHeaderCountMax = 256;

}  // namespace

Result<void> CurlSlot::Prepare(const HttpRequest& request, SteadyTime now) {
  upload = rewind = {};
  upload_from_source = false;
  upload_ended = true;
  send_paused = receive_paused = false;
  status = 0;
  head_done = done = false;
  header_bytes = 0;
  headers.clear();
  trailers.clear();
  out = {};
  out_filled = 0;
  spill.clear();
  spill_begin = 0;
  error.reset();
  error_text[0] = 0;
  timeouts = request.timeouts;
  once = request.once;
  sent = false;
  idle_sweeps = 0;
  deadline = request.timeouts.total.count() > 0 ? now + request.timeouts.total : SteadyTime::max();

  bool is_http = request.url.starts_with("http://") || request.url.starts_with("https://");
  if (!is_http || curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str()) != CURLE_OK) {
    return InvalidInput("not a URL: " + request.url);
  }
  SetMethod(request);
  Result<void> prepared = SetHeaders(request);
  if (!prepared) return prepared;
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(request.timeouts.connect.count()));
  return Ok();
}

asio::awaitable<void> CurlSlot::Park() {
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [this](auto handler) {
        LH_CHECK(!resume);  // One coroutine at a time uses a response.
        resume = [handler = std::move(handler)]() mutable {
          auto executor = asio::get_associated_executor(handler);
          asio::post(executor, [handler = std::move(handler)]() mutable { std::move(handler)(); });
        };
      },
      asio::use_awaitable);
}

void CurlSlot::SetMethod(const HttpRequest& request) {
  curl_easy_setopt(easy, CURLOPT_NOBODY, 0L);
  // Left set, curl would not rewind an upload that it sends again.
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, nullptr);
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, nullptr);
  if (request.source != nullptr) {
    upload_from_source = true;
    upload_ended = false;
    upload_buffer.resize(kSocketBufferBytes);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_off_t size = request.source_size_bytes
                          ? static_cast<curl_off_t>(*request.source_size_bytes)
                          : curl_off_t{-1};
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, size);
  } else if (request.body && request.body->size() >= kBodyWithHeadBytes) {
    upload = rewind = *request.body;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
  } else if (request.body || request.method == "PUT" || request.method == "POST") {
    // curl keeps its own copy once it sends, together with the head.
    size_t size = request.body ? request.body->size() : 0;
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(size));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     size > 0 ? reinterpret_cast<const char*>(request.body->data()) : "");
  } else if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  } else if (request.method == "GET") {
    return;
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

Result<void> CurlSlot::SetHeaders(const HttpRequest& request) {
  // curl would add these by itself; empty, they stay away.
  static char no_accept[] = "Accept:";
  static char no_expect[] = "Expect:";
  static char no_type[] = "Content-Type:";
  std::string& text = header_text;
  text.clear();
  for (const auto& [name, value] : request.headers.entries()) {
    constexpr std::string_view kForbidden("\r\n\0", 3);
    if (name.empty() || name.find_first_of(kForbidden) != std::string::npos ||
        name.find(':') != std::string::npos ||
        value.find_first_of(kForbidden) != std::string::npos) {
      return InvalidInput("not an HTTP header: '" + name + "'");
    }
    text += name;
    if (value.empty()) {
      text += ';';  // curl's way to send an empty one.
    } else {
      text += ": ";
      text += value;
    }
    text += '\0';
  }
  std::vector<curl_slist>& list = header_list;
  list.clear();
  list.reserve(request.headers.entries().size() + 3);
  char* at = text.data();
  for (size_t i = 0; i < request.headers.entries().size(); ++i) {
    list.push_back({at, nullptr});
    at += std::strlen(at) + 1;
  }
  if (!request.headers.Find("Accept")) list.push_back({no_accept, nullptr});
  if (request.body || request.source || request.method == "PUT" || request.method == "POST") {
    list.push_back({no_expect, nullptr});
    if (!request.headers.Find("Content-Type")) list.push_back({no_type, nullptr});
  }
  for (size_t i = 0; i + 1 < list.size(); ++i) list[i].next = &list[i + 1];
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list.empty() ? nullptr : list.data());
  return Ok();
}

Error CurlSlot::ErrorOf(CURLcode result) const {
  std::string text = error_text[0] ? error_text : curl_easy_strerror(result);
  Error error = Retryable(std::move(text));
  switch (result) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
      error.code = kNotSentCode;
      break;
    case CURLE_OPERATION_TIMEDOUT:  // Of ours, only the connect timeout is curl's.
      error.code = kNotSentCode;
      break;
    case CURLE_PEER_FAILED_VERIFICATION:
      error.kind = ErrorKind::kDenied;
      break;
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      // (Of an answer that has begun it is what libcurl makes of trailers that are too long.)
      if (!head_done) error.kind = ErrorKind::kInvalidInput;
      break;
    default:
      break;
  }
  return error;
}

void CurlSlot::Finish(CURLcode result) {
  long connects = 0;
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
  connection_was_reused = connects == 0;
  if (result != CURLE_OK) Fail(ErrorOf(result));
  if (result == CURLE_OK && !head_done) Fail(Retryable("the answer has no complete head"));
}

// libcurl, too, sends a request again where a kept connection turns out dead.
int CurlSlot::OnRequest(void* user, char*, char*, int, int) {
  auto* slot = static_cast<CurlSlot*>(user);
  const bool again = std::exchange(slot->sent, true);
  return again && slot->once ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

size_t CurlSlot::OnHeader(char* data, size_t, size_t size, void* user) {
  auto* slot = static_cast<CurlSlot*>(user);
  slot->idle_sweeps = 0;
  std::string_view line(data, size);
  slot->header_bytes += size;
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  HttpHeaders& into = slot->head_done ? slot->trailers : slot->headers;
  if (slot->header_bytes > kHeaderBytesMax || into.entries().size() >= kHeaderCountMax) {
    slot->Fail(Retryable("the head of the answer is too large"));
    return 0;
  }
  if (!slot->head_done && line.starts_with("HTTP/")) {  // Also after a "100 Continue".
    slot->headers.clear();
    size_t space = line.find(' ');
    slot->status = 0;
    for (size_t i = space + 1; space != line.npos && i < std::min(line.size(), space + 4); ++i) {
      if (line[i] >= '0' && line[i] <= '9') slot->status = slot->status * 10 + (line[i] - '0');
    }
    return size;
  }
  if (line.empty()) {
    if (slot->status >= 200 && !slot->head_done) {
      slot->head_done = true;
      if (slot->SendFinished()) slot->Wake();
    }
    return size;
  }
  size_t colon = line.find(':');
  if (colon == line.npos) return size;
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
  while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
  into.Add(std::string(line.substr(0, colon)), std::string(value));
  return size;
}

size_t CurlSlot::OnBody(char* data, size_t, size_t size, void* user) {
  auto* slot = static_cast<CurlSlot*>(user);
  slot->idle_sweeps = 0;
  size_t direct = std::min(size, slot->out.size() - slot->out_filled);
  if (direct > 0) {
    std::memcpy(slot->out.data() + slot->out_filled, data, direct);
    slot->out_filled += direct;
    if (slot->out_filled == slot->out.size()) slot->Wake();
  }
  if (direct < size) {
    const auto* rest = reinterpret_cast<const std::byte*>(data) + direct;
    slot->spill.insert(slot->spill.end(), rest, rest + (size - direct));
    // curl delivers what its own buffer holds to the end, so the spill stays below 64 + 256 KiB.
    if (slot->spilled() >= kSpillPauseBytes && !slot->receive_paused) {
      slot->receive_paused = true;
      curl_easy_pause(slot->easy, CURLPAUSE_RECV | (slot->send_paused ? CURLPAUSE_SEND : 0));
    }
  }
  return size;
}

size_t CurlSlot::OnUpload(char* into, size_t, size_t size, void* user) {
  auto* slot = static_cast<CurlSlot*>(user);
  slot->idle_sweeps = 0;
  if (slot->upload.empty()) {
    if (slot->upload_ended) return 0;
    slot->send_paused = true;
    slot->Wake();
    return CURL_READFUNC_PAUSE;
  }
  size_t count = std::min(size, slot->upload.size());
  std::memcpy(into, slot->upload.data(), count);
  slot->upload = slot->upload.subspan(count);
  if (slot->upload.empty() && (slot->NeedsBody() || slot->head_done)) slot->Wake();
  return count;
}

int CurlSlot::OnSeek(void* user, curl_off_t offset, int origin) {
  auto* slot = static_cast<CurlSlot*>(user);
  if (slot->upload_from_source || origin != SEEK_SET || offset < 0 ||
      static_cast<size_t>(offset) > slot->rewind.size()) {
    return CURL_SEEKFUNC_FAIL;
  }
  slot->upload = slot->rewind.subspan(static_cast<size_t>(offset));
  return CURL_SEEKFUNC_OK;
}

}  // namespace longhaul
