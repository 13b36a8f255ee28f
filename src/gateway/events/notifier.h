// Notifier: tells a webhook what changed, in the JSON that S3 sends.
//
// Events wait in memory, at most so many; a webhook that stays away costs the oldest ones (counted
// and logged: notifications are hints, reconcile finds what they do not tell). Several go in one
// POST, in order; it is repeated with growing pauses until it is answered by 2xx.
//
// Source: S3 User Guide, "Event message structure" (version 2.1): keys are form-encoded.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul {

struct GatewayEvent {
  std::string name;  // "ObjectCreated:Put"
  std::string bucket;
  std::string key;
  std::string etag;
  std::string version_id;
  uint64_t size_bytes = 0;
  bool has_object = true;  // Removals have no size and no ETag.
  SystemTime time{};
  std::string request_id;
  std::string source_address;
};

// {"Records":[…]} for these events. `sequence` goes up with each event.
std::string RenderEvents(const std::deque<GatewayEvent>& events, size_t count, uint64_t sequence,
                         const std::string& region);

class Notifier {
 public:
  Notifier(const Runtime& runtime, std::string url, std::string region);
  ~Notifier();

  void Add(GatewayEvent event);
  // Sends until Stop. Run it once.
  asio::awaitable<void> Run();
  // Waits until all is sent, for at most `grace`, and ends Run.
  asio::awaitable<void> Stop(std::chrono::milliseconds grace);

 private:
  Async<void> Post(std::string body);

  Runtime runtime_;
  std::string url_;
  std::string region_;
  std::unique_ptr<HttpClient> http_;
  std::deque<GatewayEvent> waiting_;
  uint64_t sequence_ = 0;
  bool stopping_ = false;
  bool running_ = false;
  Event stop_now_;
  WaitList changed_;
};

}  // namespace longhaul
