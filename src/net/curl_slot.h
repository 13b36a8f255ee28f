// CurlSlot: one request under way in libcurl, with its handle, its buffers and the coroutine that
// is parked on it.
//
// Internal to the HTTP client. Belongs to a CurlEngine; a lease says who uses it. curl's callbacks
// only note what happened and wake the coroutine by a post.

#pragma once

#include <curl/curl.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/http_client.h"

namespace longhaul {

// bench: 16K costs a third more CPU per GiB; 64K to 256K are the same.
inline constexpr size_t kSocketBufferBytes = 256 << 10;
inline constexpr size_t kSpillPauseBytes = 64 << 10;

struct CurlSlot {
  CURL* easy = nullptr;
  uint64_t generation = 0;
  bool added = false;  // To the multi handle.

  std::string header_text;  // "Name: value\0" one after the other.
  std::vector<curl_slist> header_list;
  char error_text[CURL_ERROR_SIZE] = {};

  // Upload.
  std::span<const std::byte> upload;  // What curl may take now.
  bool upload_from_source = false;
  bool upload_ended = true;  // Nothing comes after `upload`.
  bool send_paused = false;
  std::span<const std::byte> rewind;  // The whole body, where it is contiguous.
  std::vector<std::byte> upload_buffer;

  // Download.
  int status = 0;
  bool once = false;  // As in HttpRequest.
  bool sent = false;  // It went out, on this connection or the one before.
  bool head_done = false;
  size_t header_bytes = 0;
  HttpHeaders headers;
  HttpHeaders trailers;
  std::span<std::byte> out;  // Where the reader wants bytes now.
  size_t out_filled = 0;
  std::vector<std::byte> spill;  // What came while no reader waited.
  size_t spill_begin = 0;
  bool receive_paused = false;

  bool done = false;
  std::optional<Error> error;
  bool connection_was_reused = false;

  HttpTimeouts timeouts;
  int idle_sweeps = 0;
  SteadyTime deadline = SteadyTime::max();

  std::move_only_function<void()> resume;  // The parked coroutine.

  [[nodiscard]] bool NeedsBody() const {
    return upload_from_source && upload.empty() && !upload_ended;
  }
  // Send has nothing more to do: the head is here and the body has gone or is not wanted.
  [[nodiscard]] bool SendFinished() const {
    return done || (head_done && (status >= 400 || (upload.empty() && upload_ended)));
  }
  [[nodiscard]] size_t spilled() const { return spill.size() - spill_begin; }

  void Wake() {
    if (resume) std::exchange(resume, nullptr)();
  }
  void Fail(Error failure) {
    if (!error) error = std::move(failure);
  }

  // Makes the slot and its handle ready for `request`. kInvalidInput: a URL or a header that cannot
  // be sent.
  Result<void> Prepare(const HttpRequest& request, SteadyTime now);
  // Parks the caller until Wake. One coroutine at a time.
  asio::awaitable<void> Park();
  // Notes how curl ended it.
  void Finish(CURLcode result);

  // Callbacks of curl, with the slot as their data.
  static int OnRequest(void* user, char* ip, char* local_ip, int port, int local_port);
  static size_t OnHeader(char* data, size_t, size_t size, void* user);
  static size_t OnBody(char* data, size_t, size_t size, void* user);
  static size_t OnUpload(char* into, size_t, size_t size, void* user);
  static int OnSeek(void* user, curl_off_t offset, int origin);

 private:
  void SetMethod(const HttpRequest& request);
  Result<void> SetHeaders(const HttpRequest& request);
  [[nodiscard]] Error ErrorOf(CURLcode result) const;
};

}  // namespace longhaul
