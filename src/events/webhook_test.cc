#include "events/webhook.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "tests/support/fake_queue.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class WebhookTest : public ::testing::Test {
 protected:
  WebhookTest() {
    for (const char* name : {"east", "west", "disk"}) configuration_.stores[name].name = name;
    AddRule("logs", {"east", "acme", "logs/"});
    AddRule("all-west", {"west", "shared", ""});
    AddRule("all-east", {"east", "shared", ""});
    AddRule("off", {"east", "paused", ""});
    configuration_.rules.back().enabled = false;
    AddRule("quiet", {"east", "listed-only", ""});
    configuration_.rules.back().intake.webhook = false;
  }
  void AddRule(std::string id, Address source) {
    Rule rule;
    rule.id = std::move(id);
    rule.source = std::move(source);
    configuration_.rules.push_back(std::move(rule));
  }
  static std::string Event(const std::string& bucket, const std::string& key,
                           const std::string& time = "2026-03-01T08:30:00Z") {
    return R"({"eventVersion":"2.1","eventTime":")" + time +
           R"(","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":")" + bucket +
           R"("},"object":{"key":")" + key + R"(","size":7}}})";
  }
  WebhookReply Post(std::string body, std::string store = "") {
    return world_.Run(webhook_.Handle(std::move(store), std::move(body)));
  }
  std::vector<HintMessage> Queued() {
    std::vector<HintMessage> messages;
    for (const std::string& body : backend_->Bodies()) {
      Result<HintMessage> message = DecodeHints(body);
      EXPECT_TRUE(message);
      if (message) messages.push_back(*message);
    }
    return messages;
  }
  double Counted(const char* name, const char* label, const char* value) {
    return world_.metrics.counter(name, "", {{label, value}}).value();
  }

  testing::FakeWorld world_;
  Configuration configuration_;
  std::shared_ptr<testing::FakeQueueBackend> backend_ =
      std::make_shared<testing::FakeQueueBackend>();
  testing::FakeFaults faults_{1};
  testing::FakeQueue queue_{world_.runtime, backend_, &faults_};
  EventWebhook webhook_{world_.runtime, configuration_, queue_, Secret()};
};

TEST_F(WebhookTest, PutsHintsIntoTheQueueBeforeItSaysSo) {
  EXPECT_EQ(Post(Event("acme", "logs/a.log")).status, 200);
  std::vector<HintMessage> queued = Queued();
  ASSERT_EQ(queued.size(), 1u);
  EXPECT_EQ(queued[0].store, "east");
  EXPECT_EQ(queued[0].bucket, "acme");
  EXPECT_EQ(queued[0].rule, "logs");
  EXPECT_EQ(queued[0].origin, HintOrigin::kWebhook);
  ASSERT_EQ(queued[0].hints.size(), 1u);
  EXPECT_EQ(queued[0].hints[0].key, "logs/a.log");
  EXPECT_EQ(queued[0].hints[0].time, *ParseRfc3339("2026-03-01T08:30:00Z"));
  EXPECT_EQ(queued[0].hints[0].size_bytes, 7u);
}

// A job without a bucket is of the only source that there is, or of none.
TEST_F(WebhookTest, TakesJobsOfSystemsThatMigrate) {
  const std::string hub = R"({"key":"logs/b","size":1})";
  EXPECT_EQ(Post(R"({"Src_bucket":"acme","Src_key":"logs/a","Size":1})").status, 200);
  WebhookReply reply = Post(hub);
  EXPECT_EQ(reply.status, 400);
  EXPECT_TRUE(reply.body.contains("NoBucket")) << reply.body;
  EXPECT_EQ(Post(hub, "west").status, 200);  // Its only bucket.
  configuration_.rules.resize(2);
  configuration_.rules[1].source.bucket = "later";
  configuration_.rules[1].enabled = false;
  EXPECT_EQ(Post(hub).status, 400) << "it may be of the rule that is disabled";
  configuration_.rules.resize(1);
  EXPECT_EQ(Post(hub).status, 200);
  std::vector<HintMessage> queued = Queued();
  ASSERT_EQ(queued.size(), 3u);
  EXPECT_EQ(queued[0].hints[0].key, "logs/a");
  EXPECT_EQ(queued[1].bucket, "shared");
  EXPECT_EQ(queued[2].bucket, "acme");
}

// A sender that is told 200 forgets the event: it must not be told so when the queue failed.
TEST_F(WebhookTest, SaysSendAgainWhenTheQueueFails) {
  faults_.fail_before_at = 1;
  WebhookReply reply = Post(Event("acme", "logs/a.log"));
  EXPECT_EQ(reply.status, 503);
  EXPECT_TRUE(reply.retry_after_seconds);
  EXPECT_EQ(Counted("longhaul_events_refused_total", "reason", "queue"), 1);
  EXPECT_EQ(Post(Event("acme", "logs/a.log")).status, 200);
  EXPECT_EQ(Queued().size(), 1u);
}

// A mistake in the sender's or our configuration must show: who, what, and what would be right.
TEST_F(WebhookTest, RefusesBucketsThatNoRuleReplicates) {
  for (const char* bucket : {"other", "paused", "listed-only"}) {
    WebhookReply reply = Post(Event(bucket, "logs/a.log"));
    EXPECT_EQ(reply.status, 404) << bucket;
    EXPECT_NE(reply.body.find("east:acme"), std::string::npos) << reply.body;
  }
  EXPECT_EQ(Counted("longhaul_events_refused_total", "reason", "unknown_bucket"), 3);
  EXPECT_EQ(Post(Event("acme", "logs/a.log"), "west").status, 404);
  EXPECT_EQ(Post(Event("acme", "logs/a.log"), "north").status, 404);
  EXPECT_EQ(Counted("longhaul_events_refused_total", "reason", "unknown_store"), 1);
  EXPECT_TRUE(Queued().empty());
}

// Events of keys outside a rule's prefix come all the time: no error, no work, but counted.
TEST_F(WebhookTest, KeysOfNoRuleAreCountedOnly) {
  EXPECT_EQ(Post(Event("acme", "other/a.log")).status, 200);
  EXPECT_EQ(Counted("longhaul_events_ignored_total", "reason", "no_rule"), 1);
  EXPECT_TRUE(Queued().empty());
}

// The same bucket name in two stores: without a name in the URL it may be either.
TEST_F(WebhookTest, AnAmbiguousBucketIsHintedForEveryStore) {
  EXPECT_EQ(Post(Event("shared", "k")).status, 200);
  std::vector<HintMessage> queued = Queued();
  ASSERT_EQ(queued.size(), 2u);
  EXPECT_EQ(queued[0].store, "west");
  EXPECT_EQ(queued[1].store, "east");
  EXPECT_EQ(Post(Event("shared", "k"), "west").status, 200);
  ASSERT_EQ(Queued().size(), 3u);
  EXPECT_EQ(Queued()[2].store, "west");
}

// The events of one rule must not wait behind those of another: each gets its own, in its lane.
TEST_F(WebhookTest, EachRuleHasItsEventsInItsLane) {
  AddRule("deep", {"east", "acme", "logs/deep/"});
  const std::string events =
      R"({"Records":[)" + Event("acme", "logs/a") + "," + Event("acme", "logs/deep/b") + "]}";
  EXPECT_EQ(Post(events).status, 200);
  std::vector<HintMessage> queued = Queued();
  ASSERT_EQ(queued.size(), 2u);
  EXPECT_EQ(queued[0].rule, "logs");
  EXPECT_EQ(queued[0].hints.size(), 2u);
  EXPECT_EQ(queued[1].rule, "deep");
  EXPECT_EQ(queued[1].hints.size(), 1u);
  EXPECT_EQ(backend_->rows.begin()->second.lane, "logs");
  EXPECT_EQ(backend_->rows.rbegin()->second.lane, "deep");
}

// One unknown bucket must not make the sender repeat, for ever, a message whose rest was taken.
TEST_F(WebhookTest, TakesTheKnownPartOfAMixedMessage) {
  std::string body = R"({"Records":[)" + Event("other", "k") + "," + Event("acme", "logs/a") + "," +
                     Event("acme", "logs/b") + "]}";
  EXPECT_EQ(Post(body).status, 200);
  ASSERT_EQ(Queued().size(), 1u);
  EXPECT_EQ(Queued()[0].hints.size(), 2u);
  EXPECT_EQ(Counted("longhaul_events_ignored_total", "reason", "unknown_bucket"), 1);
}

// The sender of an array is told how many of its items nobody understood.
TEST_F(WebhookTest, TellsWhatOfAnArrayIsNotUnderstood) {
  const std::string record = R"({"Records":[)" + Event("acme", "logs/a") + "]}";
  WebhookReply reply = Post("[" + record + R"(,{"bucket":"acme","key":"logs/b"},7])");
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.body.contains(R"("hints":1)")) << reply.body;
  EXPECT_TRUE(reply.body.contains(R"("malformed":2)")) << reply.body;
  EXPECT_EQ(Counted("longhaul_events_ignored_total", "reason", "malformed"), 2);
}

// A store whose clock is ahead, or an event without a time, must not delay the reading.
TEST_F(WebhookTest, NoHintIsFromTheFuture) {
  SystemTime now = world_.clock.Now();
  EXPECT_EQ(Post(Event("acme", "logs/a", "2036-03-01T08:30:00Z")).status, 200);
  EXPECT_EQ(Post(Event("acme", "logs/b", "yesterday")).status, 200);
  for (const HintMessage& message : Queued()) EXPECT_EQ(message.hints[0].time, now);
}

TEST_F(WebhookTest, AnswersTestsAndNonsense) {
  EXPECT_EQ(Post(R"({"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"acme"})").status, 200);
  EXPECT_EQ(Post("hello").status, 400);
  EXPECT_EQ(Post("{}").status, 400);
  EXPECT_EQ(Post(R"({"Records":[{"s3":{}}]})").status, 400);
  EXPECT_EQ(Post(R"({"Type":"SubscriptionConfirmation"})").status, 400);
  EXPECT_EQ(Post(std::string(kEventBodyBytesMax + 1, ' ')).status, 413);
  EXPECT_EQ(Counted("longhaul_events_refused_total", "reason", "NotJson"), 1);
  EXPECT_TRUE(Queued().empty());
}

// Without the token nobody may put work into the queue; liveness may be asked by anyone.
TEST_F(WebhookTest, AsksForTheToken) {
  EventWebhook guarded(world_.runtime, configuration_, queue_, Secret("s3cret"));
  EXPECT_EQ(guarded.CheckHead("POST", "")->status, 401);
  EXPECT_EQ(guarded.CheckHead("POST", "Bearer s3cre")->status, 401);
  EXPECT_EQ(guarded.CheckHead("POST", "Bearer s3cret2")->status, 401);
  EXPECT_EQ(guarded.CheckHead("POST", "Basic s3cret")->status, 401);
  EXPECT_EQ(guarded.CheckHead("POST", "s3cret")->status, 401);
  EXPECT_FALSE(guarded.CheckHead("POST", "Bearer s3cret"));
  EXPECT_FALSE(guarded.CheckHead("POST", "bearer  s3cret"));
  EXPECT_EQ(guarded.CheckHead("HEAD", "")->status, 200);
  EXPECT_EQ(guarded.CheckHead("GET", "Bearer s3cret")->status, 405);
  EXPECT_FALSE(webhook_.CheckHead("POST", ""));
}

}  // namespace
}  // namespace longhaul
