#include "events/webhook.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>

#include "events/hint.h"

namespace longhaul {

namespace {

constexpr int kRetryAfterSeconds = 5;

bool TakesWebhooks(const Rule& rule) { return rule.enabled && rule.intake.webhook; }

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
    : runtime_(runtime), configuration_(configuration), queue_(queue), token_(std::move(token)) {}

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
  for (const Rule& rule : configuration_.rules) {
    if (!TakesWebhooks(rule) || rule.source.bucket != bucket) continue;
    if (store.empty() || rule.source.store == store) stores.insert(rule.source.store);
  }
  return {stores.begin(), stores.end()};
}

std::vector<const Rule*> EventWebhook::RulesOf(std::string_view store,
                                               const S3EventRecord& record) const {
  std::vector<const Rule*> rules;
  for (const Rule& rule : configuration_.rules) {
    if (TakesWebhooks(rule) && rule.source.store == store &&
        rule.MatchesKey(record.bucket, record.key)) {
      rules.push_back(&rule);
    }
  }
  return rules;
}

std::string EventWebhook::KnownBuckets() const {
  std::set<std::string> buckets;
  for (const Rule& rule : configuration_.rules) {
    if (TakesWebhooks(rule)) buckets.insert(rule.source.store + ":" + rule.source.bucket);
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
  Result<S3Events> events = ParseS3Events(body);
  if (!events) {
    if (events.error().code == "EntityTooLarge") co_return BodyTooLarge();
    co_return Refuse(400, events.error().code, events.error().message);
  }
  runtime_.metrics
      .counter("longhaul_events_received_total", "Events understood, by how they came.",
               {{"origin", "webhook"}})
      .Add(static_cast<double>(events->records.size()));

  // Never later than now: a store whose clock is ahead must not hold its keys back.
  SystemTime now = runtime_.clock.Now();
  std::map<const Rule*, std::vector<Hint>> hints;  // Each rule's wait in a lane of its own.
  int64_t unknown_buckets = 0;
  int64_t no_rule = 0;
  std::string unknown_bucket;
  for (S3EventRecord& record : events->records) {
    std::vector<std::string> stores = StoresOf(record.bucket, store);
    if (stores.empty()) {
      ++unknown_buckets;
      unknown_bucket = record.bucket;
      continue;
    }
    bool matched = false;
    for (const std::string& from : stores) {
      for (const Rule* rule : RulesOf(from, record)) {
        matched = true;
        hints[rule].push_back({.key = record.key,
                               .time = std::min(record.time.value_or(now), now),
                               .size_bytes = record.size_bytes,
                               .attributes = record.attributes});
      }
    }
    if (!matched) ++no_rule;
  }
  Ignore("unknown_bucket", unknown_buckets);
  Ignore("no_rule", no_rule);
  Ignore("kind", events->ignored);
  Ignore("test", events->tests);
  Ignore("malformed", events->malformed);

  bool nothing_else = hints.empty() && no_rule == 0 && events->ignored == 0 && events->tests == 0;
  if (nothing_else && unknown_buckets > 0) {
    co_return Refuse(404, "unknown_bucket",
                     "no rule replicates bucket '" + unknown_bucket + "'" +
                         (store.empty() ? "" : " of store '" + store + "'") +
                         "; rules replicate: " + KnownBuckets());
  }
  if (nothing_else && events->malformed > 0) {
    co_return Refuse(400, "malformed", "an event without a bucket or a key that could be one");
  }

  std::vector<NewMessage> messages;
  size_t hint_count = 0;
  for (auto& [rule, found] : hints) {
    hint_count += found.size();
    HintMessage message{.store = rule->source.store,
                        .bucket = rule->source.bucket,
                        .rule = rule->id,
                        .target = {},
                        .origin = HintOrigin::kWebhook,
                        .hints = std::move(found)};
    for (NewMessage& encoded : EncodeHints(message)) messages.push_back(std::move(encoded));
  }
  if (!messages.empty()) {
    Result<void> sent = co_await queue_.Send(std::move(messages), std::chrono::milliseconds(0));
    if (!sent) {
      WebhookReply reply = Refuse(503, "queue", sent.error().Describe());
      reply.retry_after_seconds = kRetryAfterSeconds;
      co_return reply;
    }
  }
  runtime_.metrics
      .counter("longhaul_hints_queued_total", "Hints put into the queue, by origin.",
               {{"origin", "webhook"}})
      .Add(static_cast<double>(hint_count));
  boost::json::object answer{{"hints", hint_count},
                             {"ignored", no_rule + unknown_buckets + events->ignored},
                             {"malformed", events->malformed},
                             {"tests", events->tests}};
  co_return WebhookReply{.status = 200, .body = boost::json::serialize(answer) + "\n"};
}

}  // namespace longhaul
