// NotificationWebhook: tells a URL what an operator should know, as JSON: {"site":…,"events":[…]}.
//
// Events wait in memory, at most so many; a webhook that stays away costs the oldest ones (counted
// and logged). Several go in one POST, in order; it is repeated with growing pauses until it is
// answered by 2xx. What is refused (400, 413, 422) is sent in halves; one event that is refused
// alone is dropped. At the end of the process none is waited for longer than three seconds.

#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "base/secret.h"
#include "net/http_client.h"

namespace longhaul {

class NotificationWebhook {
 public:
  // `http` is borrowed; null: a client of its own, with these options.
  NotificationWebhook(const Runtime& runtime, Secret url, std::string site, HttpClientOptions own,
                      HttpClient* http = nullptr);
  ~NotificationWebhook();

  // `event`: a JSON object.
  void Add(std::string event);
  // Sends until `stop`, and then once more what waits. Run it once.
  asio::awaitable<void> Run(Event& stop);

 private:
  struct Receiver;

  static Async<void> Post(std::shared_ptr<Receiver> receiver, std::string body);
  [[nodiscard]] std::string BodyOf(const std::vector<std::string>& events) const;
  void CountDropped(size_t events);

  Runtime runtime_;
  std::shared_ptr<Receiver> receiver_;  // shared with a POST that is not waited for any more.
  std::string site_;
  Counter& dropped_;
  std::deque<std::string> waiting_;
  WaitList changed_;
};

}  // namespace longhaul
