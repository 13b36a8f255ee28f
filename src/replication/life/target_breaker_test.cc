#include "replication/life/target_breaker.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/retry.h"
#include "replication/life/rule_meter.h"
#include "replication/life/spool.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;

TEST(TargetBreakerTest, OpensAfterFailuresInARow) {
  TargetBreaker breaker;
  const SystemTime now(1h);
  EXPECT_FALSE(breaker.Failed(Retryable("cut"), now));
  EXPECT_FALSE(breaker.Failed(Retryable("cut"), now));
  EXPECT_FALSE(breaker.Succeeded()) << "it was not open";
  EXPECT_FALSE(breaker.Failed(Retryable("cut"), now));
  EXPECT_FALSE(breaker.Failed(Retryable("cut"), now));
  EXPECT_FALSE(breaker.Failed(InvalidInput("this object"), now)) << "not the store's fault";
  EXPECT_TRUE(breaker.Failed(Retryable("cut"), now + 1s));
  EXPECT_TRUE(breaker.open());
  EXPECT_EQ(breaker.since(), now + 1s);
  EXPECT_FALSE(breaker.Failed(Retryable("cut"), now + 2s)) << "it is told once";
  EXPECT_TRUE(breaker.Succeeded()) << "what was under way has arrived";
  EXPECT_FALSE(breaker.open());
}

// Three times a whole deadline would be long.
TEST(TargetBreakerTest, OneThatAnswersNothingIsEnough) {
  TargetBreaker breaker;
  Error error = Retryable("no answer");
  error.code = kTimeoutCode;
  EXPECT_TRUE(breaker.Failed(error, SystemTime(1h)));
}

// A store that takes a small object and refuses archives must not be tried at full speed.
TEST(TargetBreakerTest, AfterAProbeItIsOnTrial) {
  TargetBreaker breaker;
  for (int i = 0; i < 3; ++i) (void)breaker.Failed(Retryable("cut"), SystemTime(1h));
  std::chrono::seconds before = breaker.ProbeDelay();
  for (int i = 0; i < 10; ++i) {
    breaker.ProbeSucceeded();
    EXPECT_FALSE(breaker.open());
    EXPECT_TRUE(breaker.Failed(Retryable("cut"), SystemTime(1h)));
    EXPECT_GE(breaker.ProbeDelay(), before);
    before = breaker.ProbeDelay();
  }
  EXPECT_EQ(before, TargetBreaker::kProbeLast);
  breaker.ProbeSucceeded();
  EXPECT_FALSE(breaker.Succeeded());
  EXPECT_EQ(breaker.ProbeDelay(), TargetBreaker::kProbeFirst);
  EXPECT_FALSE(breaker.Failed(Retryable("cut"), SystemTime(1h))) << "all is as in the beginning";
}

// An upload that was aborted under us, by a lifecycle of the bucket or by a person, is begun again,
// also where it is no archive's: the object is not to blame.
TEST(TargetBreakerTest, AnAbortedUploadMayPass) {
  const Error aborted = NotFound("aborted", "NoSuchUpload");
  EXPECT_TRUE(MayPass(aborted));
  EXPECT_FALSE(FailsAsStore(aborted));
  EXPECT_FALSE(MayPass(NotFound("gone", "NoSuchKey")));

  ReplicationWorld world;
  world.configuration.rules[0].transport = Transport::kPlain;
  world.target().backend->options.capabilities.put_size_bytes_max = 100'000;
  world.Put("large", std::string(300'000, 'x'));
  int left = 1;
  world.target().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kUploadPart && left-- > 0) fault.error = aborted;
    return fault;
  };
  const OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error);
  EXPECT_LE(left, 0) << "it never went in parts";
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_EQ(world.Replicas(), Keys{"large"});
}

class SickTargetTest : public ::testing::Test {
 protected:
  // The first target answers nothing for a minute, and then with an error.
  void Sicken() {
    world_.target(0).decide = [this](StoreOperation operation, std::string_view,
                                     std::string_view key) {
      if (operation == StoreOperation::kPut && key.starts_with("probe/")) ++probes_;
      if (operation == StoreOperation::kCreateMultipart || operation == StoreOperation::kPut) {
        tries_ += key.starts_with("probe/") ? 0 : 1;
      }
      Fault fault = TroubledStore::Failing(ErrorKind::kRetryable);
      fault.delay = 60s;
      return fault;
    };
  }
  void Change(const std::string& key) {
    world_.Put(key, "text");
    HintMessage message{.store = "east", .bucket = "in", .rule = "r"};
    message.hints.push_back({.key = key, .time = world_.world.clock.Now()});
    ASSERT_TRUE(world_.world.Run(world_.queue.Send(EncodeHints(message), {})));
  }
  [[nodiscard]] int Told(std::string_view words) const {
    return static_cast<int>(std::ranges::count_if(world_.log.lines, [&](const std::string& line) {
      return line.find(words) != std::string::npos;
    }));
  }

  ReplicationWorld world_{2};
  int probes_ = 0;
  int tries_ = 0;
};

// Nothing of the other target waits, nothing is tried at the sick one but a probe at a time, and
// when it is well again all that it missed arrives, though nobody compares.
TEST_F(SickTargetTest, IsLeftAloneAndCatchesUp) {
  world_.configuration.rules[0].intake.listing.reset();
  world_.Start();
  world_.RunFor(5s);
  Sicken();
  Keys all;
  int i = 0;
  auto change_for = [&](std::chrono::seconds time) {
    for (const int end = i + static_cast<int>(time.count()); i < end; ++i) {
      all.insert("k" + std::to_string(i));
      Change("k" + std::to_string(i));
      world_.RunFor(1s);
    }
  };
  change_for(600s);
  EXPECT_EQ(Told("a target is left alone"), 1);
  const int tries = tries_;
  const int probes = probes_;
  for (int round = 0; round < 30; ++round) {
    change_for(10s);
    world_.RunFor(5s);
    EXPECT_EQ(world_.Replicas(1), all) << "the other target is not kept waiting";
  }
  EXPECT_EQ(tries_, tries) << "it is left alone";
  EXPECT_GT(probes_, probes);
  EXPECT_LE(probes_, probes + 6) << "one at a time, and each takes a minute";
  EXPECT_LT(world_.queue_backend->rows.size(), 20u) << "what is for it does not fill the Queue";
  EXPECT_TRUE(world_.observer.unready.contains("staging of target t0 of rule r"));
  Result<std::vector<RuleNow>> seen = world_.world.Run(ReadNow(world_.state, "r"));
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->size(), 1u);
  ASSERT_TRUE(seen->front().targets["t0"].open);
  EXPECT_NE(seen->front().targets["t0"].open->reason.find("trouble"), std::string::npos);
  EXPECT_FALSE(seen->front().targets["t1"].open);

  world_.target(0).Heal();
  world_.RunFor(4min);
  EXPECT_EQ(world_.Replicas(0), all);
  EXPECT_EQ(Told("a target is not left alone any more"), 1);
  EXPECT_TRUE(world_.observer.unready.empty());
  EXPECT_TRUE(world_.queue_backend->rows.empty());
  Result<bool> empty = world_.world.Run(SpoolIsEmpty(world_.state, world_.configuration.rules[0]));
  EXPECT_TRUE(empty && *empty);
  seen = world_.world.Run(ReadNow(world_.state, "r"));
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->front().targets["t0"].open);
  world_.Stop();
}

// What is kept in State must not be overlooked by a run that ends when all is done.
TEST_F(SickTargetTest, OnceWaitsForItOrSaysSo) {
  for (const bool heals : {true, false}) {
    world_.stop.Reset();
    const std::string key = heals ? "heals" : "stays";
    world_.Put(key, "text");
    int probed = 0;
    world_.target(0).decide = [&](StoreOperation operation, std::string_view bucket,
                                  std::string_view place) {
      const bool write = operation == StoreOperation::kPut ||
                         operation == StoreOperation::kCreateMultipart ||
                         operation == StoreOperation::kUploadPart;
      if (bucket != "staging" || !write) return Fault();
      if (place.starts_with("probe/alive")) ++probed;
      if (heals && probed >= 3) return Fault();  // Well again.
      const bool is_ours = place.starts_with("r/") || place.starts_with("probe/alive");
      return is_ours ? TroubledStore::Failing(ErrorKind::kRetryable) : Fault();
    };
    const OnceResult result = world_.RunOnce({.timeout = 120s});
    EXPECT_EQ(result.store_error.has_value(), !heals);
    EXPECT_TRUE(world_.Replicas(1).contains(key));
    EXPECT_EQ(world_.Replicas(0).contains(key), heals);
    EXPECT_EQ(Told("a target is left alone"), heals ? 1 : 2);
  }
}

}  // namespace
}  // namespace longhaul
