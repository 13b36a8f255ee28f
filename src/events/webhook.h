// EventWebhook: takes events that stores send by HTTP, and hands them to whoever wants them; for
// the rules of a configuration it puts hints into the Queue.
//
// It knows no HTTP server: server/ hands it requests. 200 is said when what they ask for is
// durable. It belongs to one shard.
//
//   200  taken, or understood and of no interest (a test, keys of no rule)
//   400  not an event, or one that needs a person (SNS asks to confirm a subscription)
//   401  the token is missing or wrong       404  no rule replicates this bucket, or no such store
//   405  neither POST nor HEAD               413  more than kEventBodyBytesMax
//   503  the queue did not take it: send it again
//
// A HEAD is answered 200: MinIO asks so whether anyone is there.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "base/secret.h"
#include "events/event_taker.h"
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
  // For somebody else than the rules; `taker` is borrowed.
  EventWebhook(Runtime runtime, const Configuration& configuration, EventTaker& taker,
               Secret token);

  // What can be said before the body is read; nullopt: read it and call Handle.
  std::optional<WebhookReply> CheckHead(std::string_view method, std::string_view authorization);

  // `store`: the one the events come from, where the sender's URL names it (?store=NAME); empty:
  // every store from which somebody wants events of the bucket.
  asio::awaitable<WebhookReply> Handle(std::string store, std::string body);

  // For the caller that finds the body too large.
  WebhookReply BodyTooLarge();

 private:
  // The stores from which events of `bucket` are wanted.
  [[nodiscard]] std::vector<std::string> StoresOf(std::string_view bucket,
                                                  std::string_view store) const;
  [[nodiscard]] std::string KnownBuckets() const;
  WebhookReply Refuse(int status, std::string_view reason, std::string message);
  void Ignore(std::string_view reason, int64_t count);

  Runtime runtime_;
  const Configuration& configuration_;
  std::unique_ptr<EventTaker> own_;  // Null: borrowed.
  EventTaker& taker_;
  Secret token_;
};

// Whether an Authorization header carries this token ("Bearer <token>"), in constant time.
bool BearerTokenFits(std::string_view authorization, const Secret& token);

}  // namespace longhaul
