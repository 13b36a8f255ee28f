// EventWebhook: takes events that stores send by HTTP, and puts hints into the Queue.
//
// It knows no HTTP server: server/ hands it requests. 200 is said when the hints are durable. It
// belongs to one shard.
//
//   200  taken, or understood and of no interest (a test, keys of no rule)
//   400  not an event, or one that needs a person (SNS asks to confirm a subscription)
//   401  the token is missing or wrong       404  no rule replicates this bucket, or no such store
//   405  neither POST nor HEAD               413  more than kEventBodyBytesMax
//   503  the queue did not take it: send it again
//
// A HEAD is answered 200: MinIO asks so whether anyone is there.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "base/secret.h"
#include "events/s3_event.h"
#include "queue/queue.h"
#include "rules/rule.h"

namespace longhaul {

struct WebhookReply {
  int status = 200;
  std::string body;  // JSON.
  std::optional<int> retry_after_seconds;
};

class EventWebhook {
 public:
  // `configuration` and `queue` are borrowed. An empty `token`: no one is asked for one.
  EventWebhook(Runtime runtime, const Configuration& configuration, Queue& queue, Secret token);

  // What can be said before the body is read; nullopt: read it and call Handle.
  std::optional<WebhookReply> CheckHead(std::string_view method, std::string_view authorization);

  // `store`: the one the events come from, where the sender's URL names it (?store=NAME); empty:
  // every store from which a rule replicates the event's bucket.
  asio::awaitable<WebhookReply> Handle(std::string store, std::string body);

  // For the caller that finds the body too large.
  WebhookReply BodyTooLarge();

 private:
  // The stores from which rules that take webhooks replicate `bucket`.
  [[nodiscard]] std::vector<std::string> StoresOf(std::string_view bucket,
                                                  std::string_view store) const;
  // The rules that take webhooks and this record.
  [[nodiscard]] std::vector<const Rule*> RulesOf(std::string_view store,
                                                 const S3EventRecord& record) const;
  [[nodiscard]] std::string KnownBuckets() const;
  WebhookReply Refuse(int status, std::string_view reason, std::string message);
  void Ignore(std::string_view reason, int64_t count);

  Runtime runtime_;
  const Configuration& configuration_;
  Queue& queue_;
  Secret token_;
};

// Whether an Authorization header carries this token ("Bearer <token>"), in constant time.
bool BearerTokenFits(std::string_view authorization, const Secret& token);

}  // namespace longhaul
