#include "server/notification_webhook.h"

#include <algorithm>

#include "base/json.h"
#include "base/until_stopped.h"

namespace longhaul {

namespace {

constexpr size_t kWaitingMax = 10'000;
constexpr size_t kPerPostMax = 1'000;
constexpr std::chrono::milliseconds kPauseMin{500};
constexpr std::chrono::milliseconds kPauseMax{30'000};
constexpr std::chrono::milliseconds kPoll{1'000};  // How soon a stop is noticed.
constexpr std::chrono::milliseconds kLastMax{3'000};
constexpr size_t kAnswerBytesMax = 64 << 10;

}  // namespace

struct NotificationWebhook::Receiver {
  Receiver(const Runtime& runtime, Secret the_url, HttpClientOptions own, HttpClient* given)
      : url(std::move(the_url)),
        own_http(given == nullptr ? MakeHttpClient(runtime, std::move(own)) : nullptr),
        http(given == nullptr ? *own_http : *given) {}

  Secret url;                            // Often holds a token.
  std::unique_ptr<HttpClient> own_http;  // Null where one was given.
  HttpClient& http;
};

NotificationWebhook::NotificationWebhook(const Runtime& runtime, Secret url, std::string site,
                                         HttpClientOptions own, HttpClient* http)
    : runtime_(runtime),
      receiver_(std::make_shared<Receiver>(runtime, std::move(url), std::move(own), http)),
      site_(std::move(site)),
      dropped_(runtime_.metrics.counter(
          "longhaul_notifications_dropped_total",
          "Events dropped because `notify` refused them, or did not answer for too long")) {}

NotificationWebhook::~NotificationWebhook() = default;

void NotificationWebhook::Add(std::string event) {
  if (waiting_.size() >= kWaitingMax) {
    waiting_.pop_front();
    CountDropped(1);
  }
  waiting_.push_back(std::move(event));
  changed_.NotifyAll();
}

void NotificationWebhook::CountDropped(size_t events) {
  if (events > 0) dropped_.Add(static_cast<double>(events));
}

std::string NotificationWebhook::BodyOf(const std::vector<std::string>& events) const {
  std::string body = "{\"site\":";
  AppendJsonString(body, site_);
  body += ",\"events\":[";
  for (const std::string& event : events) {
    if (!body.ends_with('[')) body += ',';
    body += event;
  }
  return body + "]}";
}

Async<void> NotificationWebhook::Post(std::shared_ptr<Receiver> receiver, std::string body) {
  HttpRequest request{.method = "POST", .url = std::string(receiver->url.Reveal())};
  request.headers.Add("Content-Type", "application/json");
  request.body = std::as_bytes(std::span(body));
  request.timeouts.total = kPauseMax;
  Result<HttpResponse> response = co_await receiver->http.Send(std::move(request));
  if (!response) co_return Retryable(response.error().Describe());
  Result<std::string> answer = co_await ReadAll(*response->body, kAnswerBytesMax);
  if (response->status / 100 == 2) co_return Ok();
  Error error = Retryable("it answers " + std::to_string(response->status));
  // That is of what was sent: the same will be refused again.
  if (response->status == 400 || response->status == 413 || response->status == 422) {
    error.kind = ErrorKind::kInvalidInput;
  }
  co_return error;
}

asio::awaitable<void> NotificationWebhook::Run(Event& stop) {
  std::chrono::milliseconds pause = kPauseMin;
  size_t per_post = kPerPostMax;
  while (true) {
    const bool last = stop.is_set();
    if (waiting_.empty()) per_post = kPerPostMax;
    if (!waiting_.empty()) {
      std::vector<std::string> events;
      while (!waiting_.empty() && events.size() < per_post) {
        events.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      Result<void> posted =
          co_await UntilStopped(runtime_, stop, kLastMax, Post(receiver_, BodyOf(events)));
      if (posted) {
        pause = kPauseMin;
        per_post = std::min(2 * per_post, kPerPostMax);
        continue;
      }
      const bool refused = posted.error().kind == ErrorKind::kInvalidInput;
      if (refused && events.size() == 1) {
        runtime_.log.Warning("a notification is dropped: `notify` refuses it", {posted.error()});
        CountDropped(1);
        events.clear();
      } else {
        runtime_.log.Warning("notifications wait: `notify` does not take them", {posted.error()});
      }
      const bool halved = refused && !events.empty();
      if (halved) per_post = events.size() / 2;
      while (!events.empty() && waiting_.size() < kWaitingMax) {
        waiting_.push_front(std::move(events.back()));
        events.pop_back();
      }
      CountDropped(events.size());  // The oldest: others have come in their place meanwhile.
      if (last || posted.error().kind == ErrorKind::kCancelled) co_return;
      if (halved) continue;
      co_await stop.WaitFor(runtime_.clock, pause);
      pause = std::min(2 * pause, kPauseMax);
      continue;
    }
    if (last) co_return;
    co_await changed_.WaitFor(runtime_.clock, kPoll);
  }
}

}  // namespace longhaul
