#include "events/webhook.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>

#include "events/rule_events.h"

namespace longhaul {

namespace {

constexpr int kRetryAfterSeconds = 5;

std::string ToLower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

}  // namespace

bool BearerTokenFits(std::string_view authorization, const Secret& token) {
  size_t space = authorization.find(' ');
  if (space == std::string_view::npos || ToLower(authorization.substr(0, space)) != "bearer") {
    return false;
  }
  std::string_view given = authorization.substr(space);
  while (given.starts_with(' ')) given.remove_prefix(1);
  return EqualInConstantTime(given, token.Reveal());
}

EventWebhook::EventWebhook(Runtime runtime, const Configuration& configuration, Queue& queue,
                           Secret token)
    : runtime_(runtime),
      configuration_(configuration),
      own_(std::make_unique<RuleEvents>(runtime, configuration, queue, "webhook",
                                        [](const Rule& rule) { return rule.intake.webhook; })),
      taker_(*own_),
      token_(std::move(token)) {}

EventWebhook::EventWebhook(Runtime runtime, const Configuration& configuration, EventTaker& taker,
                           Secret token)
    : runtime_(runtime), configuration_(configuration), taker_(taker), token_(std::move(token)) {}

WebhookReply EventWebhook::Refuse(int status, std::string_view reason, std::string message) {
  runtime_.metrics
      .counter("longhaul_events_refused_total", "Event messages answered with an error, by reason.",
               {{"reason", std::string(reason)}})
      .Add();
  runtime_.log.Warning("event refused",
                       {{"reason", reason}, {"status", status}, {"error", message}});
  boost::json::object body{{"error", reason}, {"message", message}};
  return {.status = status, .body = boost::json::serialize(body) + "\n"};
}

void EventWebhook::Ignore(std::string_view reason, int64_t count) {
  if (count == 0) return;
  runtime_.metrics
      .counter("longhaul_events_ignored_total", "Events that led to no hint, by reason.",
               {{"reason", std::string(reason)}})
      .Add(static_cast<double>(count));
}

std::optional<WebhookReply> EventWebhook::CheckHead(std::string_view method,
                                                    std::string_view authorization) {
  if (method == "HEAD") return WebhookReply{};
  if (method != "POST") return Refuse(405, "method", "events are sent by POST");
  if (!token_.empty() && !BearerTokenFits(authorization, token_)) {
    return Refuse(401, "unauthorized",
                  "send 'Authorization: Bearer <token>' with the token of the"
                  " configuration");
  }
  return std::nullopt;
}

WebhookReply EventWebhook::BodyTooLarge() {
  return Refuse(413, "too_large", "an event message of more than 1 MiB");
}

std::vector<std::string> EventWebhook::StoresOf(std::string_view bucket,
                                                std::string_view store) const {
  std::set<std::string> stores;
  for (const EventTaker::Source& source : taker_.Sources()) {
    if (source.bucket != bucket) continue;
    if (store.empty() || source.store == store) stores.insert(source.store);
  }
  return {stores.begin(), stores.end()};
}

std::string EventWebhook::KnownBuckets() const {
  std::set<std::string> buckets;
  for (const EventTaker::Source& source : taker_.Sources()) {
    buckets.insert(source.store + ":" + source.bucket);
  }
  std::string text;
  int count = 0;
  for (const std::string& bucket : buckets) {
    if (++count > 20) return text + ", …";
    text += (text.empty() ? "" : ", ") + bucket;
  }
  return text.empty() ? "none" : text;
}

asio::awaitable<WebhookReply> EventWebhook::Handle(std::string store, std::string body) {
  if (!store.empty() && !configuration_.stores.contains(store)) {
    co_return Refuse(404, "unknown_store",
                     "the configuration has no store '" + store.substr(0, 100) + "'");
  }
  Result<S3Events> events = ParseS3Events(body, taker_.NamelessBucket(store));
  if (!events) {
    if (events.error().code == "EntityTooLarge") co_return BodyTooLarge();
    co_return Refuse(400, events.error().code, events.error().message);
  }
  runtime_.metrics
      .counter("longhaul_events_received_total", "Events understood, by how they came.",
               {{"origin", "webhook"}})
      .Add(static_cast<double>(events->records.size()));

  std::vector<StoreEvent> wanted;
  int64_t unknown_buckets = 0;
  std::map<std::string_view, int64_t> unwanted;
  std::string unknown_bucket;
  for (S3EventRecord& record : events->records) {
    std::vector<std::string> stores = StoresOf(record.bucket, store);
    if (stores.empty()) {
      ++unknown_buckets;
      unknown_bucket = record.bucket;
      continue;
    }
    bool matched = false;
    std::string_view why_not;
    for (std::string& from : stores) {
      StoreEvent event{.store = std::move(from), .record = record};
      why_not = taker_.Unwanted(event);
      if (!why_not.empty()) continue;
      matched = true;
      wanted.push_back(std::move(event));
    }
    if (!matched) ++unwanted[why_not];
  }
  int64_t unwanted_count = 0;
  for (const auto& [reason, count] : unwanted) {
    Ignore(reason, count);
    unwanted_count += count;
  }
  Ignore("unknown_bucket", unknown_buckets);
  Ignore("kind", events->ignored);
  Ignore("test", events->tests);
  Ignore("malformed", events->malformed);

  bool nothing_else =
      wanted.empty() && unwanted_count == 0 && events->ignored == 0 && events->tests == 0;
  if (nothing_else && unknown_buckets > 0) {
    co_return Refuse(404, "unknown_bucket",
                     std::string(taker_.words().nobody) + " bucket '" + unknown_bucket + "'" +
                         (store.empty() ? "" : " of store '" + store + "'") + "; " +
                         std::string(taker_.words().everybody) + ": " + KnownBuckets());
  }
  if (nothing_else && events->malformed > 0) {
    co_return Refuse(400, "malformed",
                     "an event that is none, or without a bucket or a key that could be one");
  }

  size_t hint_count = 0;
  if (!wanted.empty()) {
    Result<size_t> taken = co_await taker_.Take(std::move(wanted));
    if (!taken) {
      WebhookReply reply = Refuse(503, "queue", taken.error().Describe());
      reply.retry_after_seconds = kRetryAfterSeconds;
      co_return reply;
    }
    hint_count = *taken;
  }
  boost::json::object answer{{"hints", hint_count},
                             {"ignored", unwanted_count + unknown_buckets + events->ignored},
                             {"malformed", events->malformed},
                             {"tests", events->tests}};
  co_return WebhookReply{.status = 200, .body = boost::json::serialize(answer) + "\n"};
}

}  // namespace longhaul
