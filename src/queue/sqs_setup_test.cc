#include "queue/sqs_setup.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/sqs_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeSqs;
using Fault = testing::FakeSqs::Fault;

class SqsSetupTest : public ::testing::Test {
 protected:
  SqsSetupTest() : fixture_({.name = "SqsFake"}, 3) { fixture_.SetUp(); }

  template <class T>
  T Run(asio::awaitable<T> task) {
    return fixture_.world().Run(std::move(task));
  }
  FakeSqs& sqs() { return fixture_.fake(); }
  FakeSqs::Queue& QueueOf(const std::string& lane) { return sqs().queues.at(NameOf(lane)); }
  std::string NameOf(const std::string& lane) {
    return SqsQueueName(fixture_.options().prefix, "lane" + lane, "events");
  }
  void Fail(const std::string& operation, Fault fault) { sqs().faults[operation].push_back(fault); }

  testing::SqsFixture fixture_;
};

TEST_F(SqsSetupTest, AMissingQueueIsNamedWithTheCommandThatMakesIt) {
  fixture_.options().setup = "longhaul setup --config mine.yaml";
  sqs().queues.erase(NameOf("a"));
  auto opened =
      Run(SqsQueue::Open(fixture_.world().runtime(), fixture_.Client(), fixture_.options()));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(opened.error().code.empty());
  EXPECT_TRUE(opened.error().message.contains(NameOf("a"))) << opened.error().message;
  EXPECT_TRUE(opened.error().message.contains("longhaul setup --config mine.yaml"));
}

// Without it poison would go round for ever.
TEST_F(SqsSetupTest, AQueueWithoutDeadLettersIsRefused) {
  QueueOf("a").attributes.erase("RedrivePolicy");
  auto opened =
      Run(SqsQueue::Open(fixture_.world().runtime(), fixture_.Client(), fixture_.options()));
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().message.contains("longhaul setup")) << opened.error().message;
  auto made = Run(SetUpSqs(*fixture_.Client(), fixture_.options()));
  ASSERT_TRUE(made);
  EXPECT_EQ(*made, std::vector<std::string>{NameOf("a")});
  EXPECT_TRUE(
      Run(SqsQueue::Open(fixture_.world().runtime(), fixture_.Client(), fixture_.options())));
}

// Two clusters that receive from one queue take each other's events, and acknowledge them.
TEST_F(SqsSetupTest, AQueueOfAnotherPrefixIsLeftAlone) {
  SqsQueueOptions theirs{.prefix = "haul"};
  theirs.lanes.push_back(
      {.lane = "eu-photos", .queue = SqsQueueName("haul", "eu-photos", "events")});
  SqsQueueOptions ours{.prefix = "haul-eu"};
  ours.lanes.push_back({.lane = "photos", .queue = SqsQueueName("haul-eu", "photos", "events")});
  const std::string& name = ours.lanes[0].queue;
  ASSERT_EQ(name, theirs.lanes[0].queue);
  ASSERT_TRUE(Run(SetUpSqs(*fixture_.Client(), theirs)));
  const auto before = sqs().queues.at(name).attributes;
  auto made = Run(SetUpSqs(*fixture_.Client(), ours));
  auto opened = Run(SqsQueue::Open(fixture_.world().runtime(), fixture_.Client(), ours));
  EXPECT_EQ(sqs().queues.at(name).attributes, before);
  ASSERT_FALSE(made);
  ASSERT_FALSE(opened);
  for (const Error& error : {made.error(), opened.error()}) {
    EXPECT_EQ(error.kind, ErrorKind::kInvalidInput);
    for (const std::string& part : {name, std::string("to haul-dead-letters, not to haul-eu-dead"),
                                    std::string("choose another prefix")}) {
      EXPECT_TRUE(error.message.contains(part)) << part << " in " << error.message;
    }
    // The command would take it over.
    EXPECT_FALSE(error.message.contains("longhaul setup")) << error.message;
  }
  auto again = Run(SetUpSqs(*fixture_.Client(), theirs));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->empty());
}

TEST_F(SqsSetupTest, ARefusalHasTheCommandThatAllowsIt) {
  Fail("GetQueueUrl", Fault::kDenied);
  auto opened =
      Run(SqsQueue::Open(fixture_.world().runtime(), fixture_.Client(), fixture_.options()));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(
      opened.error().message.contains("aws iam put-role-policy --role-name mover "
                                      "--policy-name longhaul-queue"))
      << opened.error().message;
  // Those of another prefix that begins so are somebody else's.
  for (const std::string& queue : {NameOf(""), NameOf("a"), fixture_.options().dead_letters()}) {
    EXPECT_TRUE(opened.error().message.contains(":" + queue + "\"")) << opened.error().message;
  }
  EXPECT_FALSE(opened.error().message.contains("-*")) << opened.error().message;
}

// Whoever only counts must not be offered the right to take messages away.
TEST_F(SqsSetupTest, ARefusalAsksForWhatTheRoleNeedsAlone) {
  auto refused = [&](const std::string& queue, QueueUse use) {
    SqsQueueOptions options = fixture_.options();
    options.use = use;
    const Error denied{.kind = ErrorKind::kDenied,
                       .message = "User: arn:aws:sts::1:assumed-role/mover/i-1 is not authorized",
                       .code = "AccessDeniedException"};
    return WithRemedy(denied, queue, "us-east-1", options).message;
  };
  const std::string dead = fixture_.options().dead_letters();
  for (const std::string& queue : {NameOf("a"), dead}) {
    const std::string looks = refused(queue, QueueUse::kLooks);
    EXPECT_TRUE(looks.contains(R"(["sqs:GetQueueUrl","sqs:GetQueueAttributes"])")) << looks;
    EXPECT_TRUE(looks.contains(":" + dead + "\"") && looks.contains(":" + NameOf("") + "\""))
        << looks;
  }
  const std::string sends = refused(NameOf("a"), QueueUse::kSends);
  EXPECT_TRUE(sends.contains("\"sqs:SendMessage\"")) << sends;
  EXPECT_FALSE(sends.contains("sqs:ReceiveMessage") || sends.contains(dead)) << sends;
  const std::string shows = refused(dead, QueueUse::kSends);
  EXPECT_TRUE(shows.contains("sqs:ReceiveMessage") && shows.contains(":" + dead + "\"")) << shows;
  EXPECT_FALSE(shows.contains("sqs:SendMessage") || shows.contains(NameOf("a"))) << shows;
  // A command replaces the policy of its name.
  std::set<std::string> names;
  for (const std::string& message :
       {refused(dead, QueueUse::kLooks), sends, shows, refused(dead, QueueUse::kTakes)}) {
    const size_t at = message.find("--policy-name ");
    ASSERT_NE(at, message.npos) << message;
    names.insert(message.substr(at, message.find(' ', at + 14) - at));
  }
  EXPECT_EQ(names.size(), 4u);
  EXPECT_TRUE(refused(NameOf("a"), QueueUse::kTakes).contains("sqs:ReceiveMessage"));
}

// A policy mends neither keys that are wrong nor a policy that forbids it.
TEST_F(SqsSetupTest, WhatNoPolicyMendsHasNoCommand) {
  for (Fault fault : {Fault::kWrongKeys, Fault::kForbidden}) {
    Fail("GetQueueUrl", fault);
    auto opened =
        Run(SqsQueue::Open(fixture_.world().runtime(), fixture_.Client(), fixture_.options()));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::kDenied);
    EXPECT_FALSE(opened.error().message.contains("aws iam")) << opened.error().message;
  }
}

// Whoever carries out the command and is refused as before has been sent in a circle.
TEST_F(SqsSetupTest, ARefusedSetupHasTheRightsOfASetup) {
  sqs().queues.clear();
  Fail("CreateQueue", Fault::kDenied);
  auto made = Run(SetUpSqs(*fixture_.Client(), fixture_.options()));
  ASSERT_FALSE(made);
  const std::string& message = made.error().message;
  for (const std::string& part :
       {std::string("\"sqs:CreateQueue\""), std::string("\"sqs:SetQueueAttributes\""),
        "--policy-name longhaul-setup-" + fixture_.options().prefix + " ", ":" + NameOf("a") + "\"",
        ":" + fixture_.options().dead_letters() + "\""}) {
    EXPECT_TRUE(message.contains(part)) << part << " in " << message;
  }
  EXPECT_FALSE(message.contains("-*")) << message;
}

// The dead letters of somebody else's queue have any name, and a policy is replaced by another of
// its name: one command must not undo the other.
TEST_F(SqsSetupTest, ARefusalOfForeignDeadLettersIsOfTheirQueue) {
  sqs().queues["app-events"].attributes["RedrivePolicy"] =
      R"({"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:shared-dlq","maxReceiveCount":"5"})";
  sqs().queues["shared-dlq"];
  const SqsQueueOptions options{
      .prefix = "app-events", .lanes = {{.lane = "", .queue = "app-events"}}, .own = false};
  auto open = [&] {
    auto opened = Run(SqsQueue::Open(fixture_.world().runtime(), fixture_.Client(), options));
    return opened ? Error{} : opened.error();
  };
  Fail("GetQueueUrl", Fault::kDenied);
  const std::string events = open().message;
  EXPECT_TRUE(events.contains(":app-events\"")) << events;
  EXPECT_TRUE(events.contains("\"sqs:ReceiveMessage\"")) << events;
  EXPECT_TRUE(events.contains("--policy-name longhaul-queue-app-events ")) << events;
  Fail("GetQueueUrl", Fault::kNone);
  Fail("GetQueueUrl", Fault::kDenied);
  const std::string dead = open().message;
  EXPECT_TRUE(dead.contains(":shared-dlq\"")) << dead;
  EXPECT_FALSE(dead.contains("app-events")) << dead;
  EXPECT_TRUE(dead.contains("\"sqs:SendMessage\"")) << dead;
  EXPECT_FALSE(dead.contains("\"sqs:ReceiveMessage\"")) << dead;
  EXPECT_TRUE(dead.contains("--policy-name longhaul-queue-shared-dlq ")) << dead;
}

// No right of SQS opens the key of a queue.
TEST_F(SqsSetupTest, ARefusalOfTheKeyNamesTheKey) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  Fail("SendMessageBatch", Fault::kKmsDenied);
  Result<void> sent = Run(queue->Send({{.body = "0"}}, 0ms));
  ASSERT_FALSE(sent);
  EXPECT_TRUE(sent.error().message.contains("\"kms:GenerateDataKey\",\"kms:Decrypt\""))
      << sent.error().message;
  EXPECT_FALSE(sent.error().message.contains("sqs:SendMessage")) << sent.error().message;
}

TEST(SqsNameTest, NamesAreThoseOfTheRuleOrHaveAHash) {
  EXPECT_EQ(SqsQueueName("haul", "app-logs", "events"), "haul-app-logs-events");
  const std::string dotted = SqsQueueName("haul", "app.logs", "events");
  EXPECT_TRUE(dotted.starts_with("haul-app_logs-")) << dotted;
  EXPECT_NE(dotted, SqsQueueName("haul", "app+logs", "events"));
  const std::string prefix(40, 'p');
  const std::string one = SqsQueueName(prefix, std::string(63, 'r') + "1", "segments");
  const std::string two = SqsQueueName(prefix, std::string(63, 'r') + "2", "segments");
  EXPECT_LE(one.size(), kSqsNameBytesMax);
  EXPECT_NE(one, two);
  EXPECT_FALSE(IsSqsPrefix(""));
  EXPECT_FALSE(IsSqsPrefix("a.b"));
  EXPECT_FALSE(IsSqsPrefix(std::string(41, 'a')));
}

}  // namespace
}  // namespace longhaul
