#include "gateway/events/notifier.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cinttypes>
#include <cstdio>

#include "base/bytes.h"

namespace longhaul {
namespace {

namespace json = boost::json;

constexpr size_t kWaitingMax = 10'000;
constexpr size_t kPerPostMax = 100;
constexpr std::chrono::milliseconds kPauseMin{200};
constexpr std::chrono::milliseconds kPauseMax{30'000};
constexpr size_t kAnswerBytesMax = 64 << 10;

// As in a form: a space is "+", "/" stays. (S3 User Guide: "The key is URL encoded".)
std::string FormEncode(std::string_view key) {
  std::string encoded = PercentEncode(key, Slash::kKeep);
  std::string form;
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (encoded.compare(i, 3, "%20") == 0) {
      form += '+';
      i += 2;
    } else {
      form += encoded[i];
    }
  }
  return form;
}

// Always with three digits, as S3 has it.
std::string EventTime(SystemTime time) {
  auto second = std::chrono::floor<std::chrono::seconds>(time);
  auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(time - second).count();
  std::string text = FormatRfc3339(second);
  text.pop_back();
  char digits[8];
  std::snprintf(digits, sizeof digits, ".%03dZ", static_cast<int>(rest));
  return text + digits;
}

}  // namespace

std::string RenderEvents(const std::deque<GatewayEvent>& events, size_t count, uint64_t sequence,
                         const std::string& region) {
  json::array records;
  for (size_t i = 0; i < count; ++i) {
    const GatewayEvent& event = events[i];
    char sequencer[24];
    std::snprintf(sequencer, sizeof sequencer, "%016" PRIX64, sequence + i);
    json::object object{{"key", FormEncode(event.key)}, {"sequencer", sequencer}};
    if (event.has_object) {
      object["size"] = event.size_bytes;
      object["eTag"] = event.etag;
    }
    if (!event.version_id.empty()) object["versionId"] = event.version_id;
    records.push_back({{"eventVersion", "2.1"},
                       {"eventSource", "aws:s3"},
                       {"awsRegion", region},
                       {"eventTime", EventTime(event.time)},
                       {"eventName", event.name},
                       {"userIdentity", {{"principalId", "longhaul"}}},
                       {"requestParameters", {{"sourceIPAddress", event.source_address}}},
                       {"responseElements", {{"x-amz-request-id", event.request_id}}},
                       {"s3",
                        {{"s3SchemaVersion", "1.0"},
                         {"configurationId", "webhook"},
                         {"bucket",
                          {{"name", event.bucket},
                           {"ownerIdentity", {{"principalId", "longhaul"}}},
                           {"arn", "arn:aws:s3:::" + event.bucket}}},
                         {"object", std::move(object)}}}});
  }
  return json::serialize(json::object{{"Records", std::move(records)}});
}

Notifier::Notifier(const Runtime& runtime, std::string url, std::string region)
    : runtime_(runtime),
      url_(std::move(url)),
      region_(std::move(region)),
      http_(MakeHttpClient(runtime)) {
  // What a restart must not turn back: microseconds leave room for a million events a second.
  sequence_ = static_cast<uint64_t>(runtime_.clock.Now().time_since_epoch().count());
}

Notifier::~Notifier() = default;

void Notifier::Add(GatewayEvent event) {
  if (waiting_.size() >= kWaitingMax) {
    waiting_.pop_front();
    runtime_.metrics
        .counter("longhaul_gateway_events_dropped_total",
                 "Notifications dropped because the webhook did not answer for too long")
        .Add();
    runtime_.log.Warning("gateway dropped the oldest notification", {{"webhook", url_}});
  }
  waiting_.push_back(std::move(event));
  changed_.NotifyAll();
}

Async<void> Notifier::Post(std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.url = url_;
  request.headers.Add("Content-Type", "application/json");
  request.body = AsBytes(body);
  request.timeouts.total = std::chrono::milliseconds(30'000);
  Result<HttpResponse> response = co_await http_->Send(std::move(request));
  if (!response) co_return response.error();
  (void)co_await ReadAll(*response->body, kAnswerBytesMax);
  if (response->status / 100 != 2) {
    co_return Retryable("the webhook answered " + std::to_string(response->status));
  }
  co_return Ok();
}

asio::awaitable<void> Notifier::Run() {
  running_ = true;
  std::chrono::milliseconds pause = kPauseMin;
  while (!stop_now_.is_set()) {
    if (waiting_.empty()) {
      if (stopping_) break;
      co_await changed_.Wait();
      continue;
    }
    std::deque<GatewayEvent> batch;
    while (batch.size() < kPerPostMax && batch.size() < waiting_.size()) {
      batch.push_back(waiting_[batch.size()]);
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(batch.size()));
    std::string body = RenderEvents(batch, batch.size(), sequence_, region_);
    sequence_ += batch.size();
    while (!stop_now_.is_set()) {
      Result<void> sent = co_await Post(body);
      if (sent) {
        pause = kPauseMin;
        break;
      }
      runtime_.log.Warning("gateway notification failed",
                           {{"webhook", url_}, LogField(sent.error())});
      (void)co_await stop_now_.WaitFor(runtime_.clock, pause);
      pause = std::min(pause * 2, kPauseMax);
    }
  }
  running_ = false;
  changed_.NotifyAll();
}

asio::awaitable<void> Notifier::Stop(std::chrono::milliseconds grace) {
  stopping_ = true;
  changed_.NotifyAll();
  SteadyTime deadline = runtime_.clock.SteadyNow() + grace;
  while (running_) {
    SteadyTime now = runtime_.clock.SteadyNow();
    if (now >= deadline) stop_now_.Set();
    auto wait =
        now >= deadline ? std::chrono::nanoseconds(std::chrono::seconds(1)) : deadline - now;
    (void)co_await changed_.WaitFor(runtime_.clock, wait);
  }
}

}  // namespace longhaul
