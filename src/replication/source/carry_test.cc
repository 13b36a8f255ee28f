#include "replication/source/carry.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "events/hint.h"
#include "replication/life/parked.h"
#include "replication/life/spool.h"
#include "tests/support/archive.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;

// Rule "r" with one of the transports that make no archives.
class DirectWorld : public ReplicationWorld {
 public:
  explicit DirectWorld(Transport transport, int targets = 1) : ReplicationWorld(targets) {
    Rule& rule = configuration.rules[0];
    rule.transport = transport;
    if (transport != Transport::kCopy) return;
    source().backend->buckets["copy"].created = world.clock.Now();
    rule.targets[0].to = {.store = "east", .bucket = "copy", .prefix = "c/"};
  }

  void PutTagged(const std::string& key, std::string text, const std::string& color) {
    MemoryStore direct(runtime, source().backend);
    PutRequest request{.bucket = "in", .key = key};
    request.headers.content_type = "text/" + color;
    request.metadata["color"] = color;
    request.tags["color"] = color;
    ASSERT_TRUE(world.Run(PutText(direct, std::move(request), std::move(text))));
  }
  // The replica of what PutTagged wrote.
  void ExpectTagged(const MemoryStoreBackend::Version* replica, const std::string& text,
                    const std::string& color) {
    ASSERT_NE(replica, nullptr);
    EXPECT_EQ(*replica->bytes, text);
    EXPECT_EQ(replica->info.headers.content_type, "text/" + color);
    EXPECT_EQ(replica->info.metadata.at("color"), color);
    EXPECT_TRUE(replica->info.metadata.contains(std::string(kMarkName)));
    EXPECT_EQ(replica->tags, (Tags{{"color", color}}));
  }
  [[nodiscard]] Keys Routes() const {
    Keys routes;
    for (const Outcome& outcome : observer.outcomes) routes.insert(outcome.route);
    return routes;
  }
};

// Everything that an archive would have brought, and no archive.
TEST(CarryTest, PlainObjectsArriveWithAllThatBelongsToThem) {
  DirectWorld world(Transport::kPlain, 2);
  world.target(1).decide = [](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    EXPECT_FALSE(operation == StoreOperation::kPut && bucket == "staging" &&
                 key.ends_with(".tar.zst"));
    return Fault();
  };
  world.PutTagged("small", "text", "red");
  world.PutTagged("empty", "", "blue");
  const std::string large(300'000, 'x');
  world.PutTagged("large", large, "green");
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  for (int i = 0; i < 2; ++i) {
    const MemoryStoreBackend& there = *world.target(i).backend;
    world.ExpectTagged(there.Find("out", "small"), "text", "red");
    world.ExpectTagged(there.Find("out", "empty"), "", "blue");
    world.ExpectTagged(there.Find("out", "large"), large, "green");
  }
  EXPECT_EQ(world.Routes(), Keys{"plain"});
  EXPECT_EQ(world.observer.Count(OutcomeState::kApplied), 6);

  // Nothing is written twice, and deletes go the same way.
  world.observer.outcomes.clear();
  world.RunFor(5s);
  world.source().backend->buckets["in"].objects.erase("small");
  result = world.RunOnce();
  EXPECT_FALSE(result.store_error);
  EXPECT_EQ(world.Replicas(0), (Keys{"empty", "large"}));
  EXPECT_EQ(world.Replicas(1), (Keys{"empty", "large"}));
  EXPECT_EQ(world.observer.outcomes.size(), 2U);
}

// The parts of a large object stay, and with them its ETag.
TEST(CarryTest, PartsStayWhereMemoryHoldsThem) {
  DirectWorld world(Transport::kPlain);
  MemoryStore direct(world.runtime, world.source().backend);
  auto upload = world.world.Run(direct.CreateMultipart({.bucket = "in", .key = "parts"}));
  ASSERT_TRUE(upload);
  std::vector<UploadedPart> parts;
  for (int number = 1; number <= 3; ++number) {
    const std::string text(number < 3 ? 120'000 : 5'000, static_cast<char>('a' + number));
    MemorySource body{std::string_view(text)};
    auto part = world.world.Run(direct.UploadPart(*upload, number, body));
    ASSERT_TRUE(part);
    parts.push_back(*part);
  }
  ASSERT_TRUE(world.world.Run(direct.CompleteMultipart({.upload = *upload, .parts = parts})));
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  const auto* replica = world.target().backend->Find("out", "parts");
  ASSERT_NE(replica, nullptr);
  const auto* original = world.source().backend->Find("in", "parts");
  EXPECT_EQ(*replica->bytes, *original->bytes);
  EXPECT_EQ(replica->info.etag, original->info.etag);
  EXPECT_TRUE(world.target().backend->buckets["out"].uploads.empty());
}

// A body that breaks off, or arrives damaged, must not become a replica.
TEST(CarryTest, WhatArrivesDamagedIsReadAgain) {
  DirectWorld world(Transport::kPlain);
  MemoryStore direct(world.runtime, world.source().backend);
  PutRequest request{.bucket = "in", .key = "large"};
  const std::string text(300'000, 'x');
  ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), text)));
  int reads = 0;
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    Fault fault;
    // The first byte is asked for, then the whole.
    if (operation != StoreOperation::kGet || key != "large") return fault;
    ++reads;
    if (reads == 2) fault.cut_body_after_bytes = 299'999;
    if (reads == 3) fault.corrupt_body_at_byte = 5;
    return fault;
  };
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_GE(reads, 5) << "two tries came to nothing";
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  const auto* replica = world.target().backend->Find("out", "large");
  ASSERT_NE(replica, nullptr);
  EXPECT_EQ(*replica->bytes, text);
  EXPECT_EQ(world.observer.Count(OutcomeState::kApplied), 1);
}

// Within one store nothing needs to pass through this machine.
TEST(CarryTest, AStoreCopiesWithinItself) {
  DirectWorld world(Transport::kCopy);
  world.PutTagged("small", "text", "red");
  world.PutTagged("empty", "", "blue");
  const std::string large(300'000, 'x');
  world.PutTagged("large", large, "green");
  world.source().backend->bytes_written = 0;
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  const MemoryStoreBackend& there = *world.source().backend;
  world.ExpectTagged(there.Find("copy", "c/small"), "text", "red");
  world.ExpectTagged(there.Find("copy", "c/empty"), "", "blue");
  world.ExpectTagged(there.Find("copy", "c/large"), large, "green");
  EXPECT_EQ(there.count(StoreOperation::kCopy), 3);
  EXPECT_EQ(there.count(StoreOperation::kPut), 3) << "those of this test";
  EXPECT_EQ(world.Routes(), Keys{"copy"});

  world.observer.outcomes.clear();
  world.RunFor(5s);
  world.source().backend->buckets["in"].objects.erase("large");
  EXPECT_FALSE(world.RunOnce().store_error);
  EXPECT_EQ(there.Find("copy", "c/large"), nullptr);
  EXPECT_EQ(world.observer.outcomes.size(), 1U);
}

// What was read and what is copied must be one state of the object.
TEST(CarryTest, AnObjectThatChangesBeforeTheCopyIsReadAnew) {
  DirectWorld world(Transport::kCopy);
  world.PutTagged("a", "old text", "red");
  bool changed = false;
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    if (operation == StoreOperation::kCopy && !std::exchange(changed, true)) {
      auto& version = world.source().backend->buckets["in"].objects["a"].back();
      version.bytes = std::make_shared<const std::string>("new text");
      version.info.etag = "0123456789abcdef0123456789abcdef";
      version.info.metadata["color"] = "blue";
      version.info.headers.content_type = "text/blue";
      version.tags["color"] = "blue";
    }
    return Fault();
  };
  const SystemTime begun = world.world.clock.Now();
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_LT(world.world.clock.Now() - begun, 1min) << "No request is under way that might land.";
  world.ExpectTagged(world.source().backend->Find("copy", "c/a"), "new text", "blue");
  EXPECT_GE(world.source().backend->count(StoreOperation::kCopy), 2);
}

// One request copies 5 GiB at most; what is larger is copied in parts, the source's where they can
// stay.
TEST(CarryTest, WhatIsTooLargeForOneCopyIsCopiedInParts) {
  DirectWorld world(Transport::kCopy);
  world.source().backend->options.capabilities.copy_size_bytes_max = 130'000;
  world.configuration.rules[0].targets[0].sse = "aws:kms:dsse";
  world.configuration.rules[0].targets[0].kms_key = "key";
  world.configuration.rules[0].targets[0].acl = "private";
  world.Put("small", "text");
  world.PutTagged("large", std::string(300'000, 'x'), "red");
  MemoryStore direct(world.runtime, world.source().backend);
  auto upload = world.world.Run(direct.CreateMultipart({.bucket = "in", .key = "parts"}));
  ASSERT_TRUE(upload);
  std::vector<UploadedPart> parts;
  for (int number = 1; number <= 3; ++number) {
    const std::string text(number < 3 ? 130'000 : 5'000, static_cast<char>('a' + number));
    MemorySource body{std::string_view(text)};
    auto part = world.world.Run(direct.UploadPart(*upload, number, body));
    ASSERT_TRUE(part);
    parts.push_back(*part);
  }
  ASSERT_TRUE(world.world.Run(direct.CompleteMultipart({.upload = *upload, .parts = parts})));
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  const MemoryStoreBackend& there = *world.source().backend;
  EXPECT_EQ(there.count(StoreOperation::kCopy), 1);
  world.ExpectTagged(there.Find("copy", "c/large"), std::string(300'000, 'x'), "red");
  EXPECT_EQ(*there.Find("copy", "c/parts")->bytes, *there.Find("in", "parts")->bytes);
  EXPECT_EQ(there.Find("copy", "c/parts")->info.etag, there.Find("in", "parts")->info.etag);
  for (const char* key : {"c/small", "c/large"}) {
    EXPECT_EQ(there.Find("copy", key)->sse, "aws:kms:dsse");
    EXPECT_EQ(there.Find("copy", key)->kms_key, "key");
    EXPECT_EQ(there.Find("copy", key)->acl, "private");
  }
  EXPECT_EQ(world.Routes(), Keys{"copy"});
  EXPECT_TRUE(world.source().backend->buckets["copy"].uploads.empty());
}

// A server may not heed the condition of a part: what was copied while the object changed may be of
// two objects, and is thrown away.
TEST(CarryTest, PartsOfAnObjectThatChangedAreNotPutTogether) {
  DirectWorld world(Transport::kCopy);
  world.source().backend->options.capabilities.copy_size_bytes_max = 130'000;
  world.Put("large", std::string(300'000, 'x'));
  int parts = 0;
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    // The last part has been read by then.
    if (operation == StoreOperation::kUploadPart && ++parts == 3) {
      auto& version = world.source().backend->buckets["in"].objects["large"].back();
      version.bytes = std::make_shared<const std::string>(std::string(300'000, 'y'));
      version.info.etag = HexEncode(Md5(*version.bytes));
      version.info.checksums.clear();
    }
    return Fault();
  };
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(*world.source().backend->Find("copy", "c/large")->bytes, std::string(300'000, 'y'));
  EXPECT_EQ(world.source().backend->count(StoreOperation::kCompleteMultipart), 1);
  EXPECT_TRUE(world.source().backend->buckets["copy"].uploads.empty());
}

// A store that copies objects and no parts is written to all the same.
TEST(CarryTest, PartsThatAreNotCopiedAreStreamed) {
  DirectWorld world(Transport::kCopy);
  world.source().backend->options.capabilities.copy_size_bytes_max = 130'000;
  world.Put("small", "text");
  const std::string large(300'000, 'x');
  world.Put("large", large);
  bool refused = false;
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    const bool now = operation == StoreOperation::kUploadPart && !std::exchange(refused, true);
    return now ? TroubledStore::Failing(ErrorKind::kInvalidInput) : Fault();
  };
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(*world.source().backend->Find("copy", "c/large")->bytes, large);
  EXPECT_EQ(world.Routes(), (Keys{"copy", "plain"}));
  EXPECT_TRUE(world.source().backend->buckets["copy"].uploads.empty());
}

// A process of the source alone does all of it.
TEST(CarryTest, TheSourceAloneCarries) {
  DirectWorld world(Transport::kPlain);
  world.Put("a", "text");
  OnceResult result = world.RunOnce({.source = true, .target = false});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Replicas(), Keys{"a"});
}

// A target that is away, or denies everything, keeps its objects waiting and nobody else's; nothing
// is parked.
TEST(CarryTest, ATargetThatDeniesEverythingIsWaitedFor) {
  DirectWorld world(Transport::kPlain, 2);
  for (int i = 0; i < 3; ++i) world.Put("k" + std::to_string(i), "text");
  world.target(1).decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    const bool denied = operation == StoreOperation::kPut && bucket == "out";
    return denied ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  world.Start();
  world.RunFor(10min);
  EXPECT_EQ(world.Replicas(0), (Keys{"k0", "k1", "k2"}));
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_FALSE(world.observer.unready.empty());
  world.target(1).Heal();
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(1), (Keys{"k0", "k1", "k2"}));
  EXPECT_TRUE(world.observer.unready.empty());
  world.Stop();
}

// One that fails is left alone, as it is where archives go there: what is for it is kept in State,
// and others are not kept waiting by its deadlines.
TEST(CarryTest, ASickTargetIsLeftAlone) {
  DirectWorld world(Transport::kPlain, 2);
  int tries = 0;
  world.Start();
  world.RunFor(5s);
  world.target(0).decide = [&tries](StoreOperation operation, std::string_view bucket,
                                    std::string_view) {
    if (bucket != "out") return Fault();
    tries += operation == StoreOperation::kPut ? 1 : 0;
    return TroubledStore::Failing(ErrorKind::kRetryable);
  };
  Keys all;
  for (int i = 0; i < 300; i += 10) {
    HintMessage message{.store = "east", .bucket = "in"};
    for (int k = i; k < i + 10; ++k) {
      const std::string key = "k" + std::to_string(k);
      world.Put(key, "text " + key);
      all.insert(key);
      message.hints.push_back({.key = key, .time = world.world.clock.Now()});
    }
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
    world.RunFor(5s);
  }
  world.RunFor(10s);
  EXPECT_EQ(world.Replicas(1), all);
  EXPECT_LT(tries, 150) << "300 objects, each of which would be tried again and again";
  EXPECT_TRUE(world.observer.unready.contains("store of target t0 of rule r"));
  Result<std::vector<RuleNow>> seen = world.world.Run(ReadNow(world.state, "r"));
  ASSERT_TRUE(seen && seen->size() == 1);
  EXPECT_TRUE(seen->front().targets["t0"].open);
  EXPECT_LT(world.queue_backend->rows.size(), 20u);
  world.target(0).Heal();
  world.RunFor(4min);
  EXPECT_EQ(world.Replicas(0), all);
  EXPECT_TRUE(world.observer.unready.empty());
  Result<bool> empty = world.world.Run(SpoolIsEmpty(world.state, world.configuration.rules[0]));
  EXPECT_TRUE(empty && *empty);
  world.Stop();
}

// Of one key nothing may be called settled for two minutes, and one object is denied for ever:
// their store is well, and others are not kept waiting for it.
TEST(CarryTest, ABusyKeyLeavesNoTargetAlone) {
  DirectWorld world(Transport::kPlain);
  world.Put("gone", "text");
  world.Start();
  world.RunFor(20s);
  world.target().decide = [](StoreOperation operation, std::string_view, std::string_view key) {
    Fault fault;
    if (operation == StoreOperation::kRemove && key == "gone") {
      fault = TroubledStore::Failing(ErrorKind::kRetryable);  // And may yet be carried out.
    } else if (operation == StoreOperation::kPut && key == "denied") {
      fault = TroubledStore::Failing(ErrorKind::kDenied);
    }
    return fault;
  };
  auto hear_of = [&](const std::string& key) {
    HintMessage message{
        .store = "east", .bucket = "in", .hints = {{.key = key, .time = world.world.clock.Now()}}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  };
  MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "gone"})));
  hear_of("gone");
  world.RunFor(4s);
  world.Put("gone", "back");
  hear_of("gone");
  world.Put("denied", "text");
  hear_of("denied");
  for (int i = 0; i < 20; ++i) {
    world.RunFor(5s);
    Result<std::vector<RuleNow>> seen = world.world.Run(ReadNow(world.state, "r"));
    ASSERT_TRUE(seen && seen->size() == 1);
    ASSERT_FALSE(seen->front().targets["t0"].open) << i << seen->front().targets["t0"].open->reason;
  }
  world.RunFor(3min);
  EXPECT_EQ(world.Replicas(), Keys{"gone"});
  world.Stop();
}

// The source's own failures say nothing of a target.
TEST(CarryTest, AFailingSourceLeavesNoTargetAlone) {
  DirectWorld world(Transport::kPlain);
  world.limits.bundle_object_bytes_max = 1'000;  // So that bodies are streamed.
  world.Start();
  world.RunFor(5s);
  world.Put("large", std::string(5'000, 'x'));
  world.source().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    Fault cut;
    if (operation == StoreOperation::kGet) cut.cut_body_after_bytes = 100;
    return cut;
  };
  HintMessage message{.store = "east",
                      .bucket = "in",
                      .hints = {{.key = "large", .time = world.world.clock.Now()}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(2min);
  Result<std::vector<RuleNow>> seen = world.world.Run(ReadNow(world.state, "r"));
  ASSERT_TRUE(seen && seen->size() == 1);
  EXPECT_FALSE(seen->front().targets["t0"].open);
  EXPECT_FALSE(world.observer.unready.empty());
  world.source().Heal();
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(), Keys{"large"});
  world.Stop();
}

// Nothing is written to a paused target; what changes meanwhile is carried when it goes on.
TEST(CarryTest, APausedTargetIsNotWrittenTo) {
  DirectWorld world(Transport::kPlain, 2);
  world.configuration.rules[0].intake.listing.reset();
  ASSERT_TRUE(
      world.world.Run(WritePause(world.state, "r", "t1", Pause{.since = world.world.clock.Now()})));
  world.Start();
  world.RunFor(10s);
  world.Put("a", "text");
  HintMessage message{.store = "east", .bucket = "in"};
  message.hints.push_back({.key = "a", .time = world.world.clock.Now()});
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(3min);
  EXPECT_EQ(world.Replicas(0), Keys{"a"});
  EXPECT_EQ(world.Replicas(1), Keys{});
  EXPECT_TRUE(world.queue_backend->rows.empty());
  ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", "t1")));
  world.RunFor(20s);
  EXPECT_EQ(world.Replicas(1), Keys{"a"});
  for (const auto& [place, row] : world.state_backend->rows) {
    EXPECT_FALSE(place.first.starts_with("spool/"));
  }
  world.Stop();
}

// What stands at the target and is not ours is kept and told of, as with archives.
TEST(CarryTest, AForeignObjectIsKept) {
  DirectWorld world(Transport::kPlain);
  MemoryStore direct(world.runtime, world.target().backend);
  ASSERT_TRUE(world.world.Run(PutText(direct, PutRequest{.bucket = "out", .key = "a"}, "foreign")));
  world.Put("a", "text");
  world.Put("b", "text");
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.observer.Count(OutcomeState::kConflict), 1);
  EXPECT_EQ(*world.target().backend->Find("out", "a")->bytes, "foreign");
  EXPECT_EQ(*world.target().backend->Find("out", "b")->bytes, "text");
  auto parked = world.world.Run(FindParked(world.state, "r", "t0", "a"));
  ASSERT_TRUE(parked && *parked);
  EXPECT_NE((*parked)->reason.find("conflict"), std::string::npos);
}

// One object that the target refuses is parked, and only that one.
TEST(CarryTest, AnObjectThatIsRefusedIsParked) {
  DirectWorld world(Transport::kPlain);
  world.target().decide = [](StoreOperation operation, std::string_view, std::string_view key) {
    const bool denied = operation == StoreOperation::kPut && key == "refused";
    return denied ? TroubledStore::Failing(ErrorKind::kInvalidInput) : Fault();
  };
  world.Put("a", "text");
  world.Put("refused", "text");
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 1);
}

// One that the target denies is parked when it has been tried for a while, although nothing else of
// the rule is under way any more: a run would wait for it in vain, and blame the store.
TEST(CarryTest, AnObjectThatIsDeniedIsParked) {
  DirectWorld world(Transport::kPlain);
  world.target().decide = [](StoreOperation operation, std::string_view, std::string_view key) {
    const bool denied = operation == StoreOperation::kPut && key == "denied";
    return denied ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  for (int i = 0; i < 20; ++i) world.Put("k" + std::to_string(i), "text");
  world.Put("denied", "text");
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Replicas().size(), 20u);
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 1);
}

// Of two targets the second refuses to copy, while others are on their way: they go by the other
// way, and none of them is parked for want of memory that was not asked for.
TEST(CarryTest, ARefusedCopyBesideOthersParksNone) {
  DirectWorld world(Transport::kAuto);
  world.limits.carried_object_bytes_min = 1'000;
  Rule& rule = world.configuration.rules[0];
  world.source().backend->buckets["one"].created = world.world.clock.Now();
  world.source().backend->buckets["two"].created = world.world.clock.Now();
  rule.targets[0].to = {.store = "east", .bucket = "one", .prefix = ""};
  rule.targets[0].store_can_copy = true;
  Target second = rule.targets[0];
  second.name = "second";
  second.to.bucket = "two";
  rule.targets.push_back(second);
  testing::MemoryStore direct(world.runtime, world.source().backend);
  Keys keys;
  for (int i = 0; i < 30; ++i) {
    // ETags of uploads in parts, which a stream would want to keep.
    const std::string key = "k" + std::to_string(i);
    keys.insert(key);
    const std::string part = testing::Noise(20'000, 1 + i);
    auto upload = world.world.Run(direct.CreateMultipart({.bucket = "in", .key = key}));
    ASSERT_TRUE(upload);
    std::vector<UploadedPart> parts;
    for (int number = 1; number <= 2; ++number) {
      MemorySource body(AsBytes(part));
      auto sent = world.world.Run(direct.UploadPart(*upload, number, body));
      ASSERT_TRUE(sent);
      parts.push_back(*sent);
    }
    ASSERT_TRUE(world.world.Run(direct.CompleteMultipart({.upload = *upload, .parts = parts})));
  }
  world.source().decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    const bool refused = operation == StoreOperation::kCopy && bucket == "two";
    return refused ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  for (const char* bucket : {"one", "two"}) {
    const std::vector<std::string> there = world.source().backend->Keys(bucket);
    EXPECT_EQ(Keys(there.begin(), there.end()), keys) << bucket;
  }
}

// What one target refuses for good is not the end of it for another: one that fails for a moment,
// or one that is left alone while its spool takes nothing.
TEST(CarryTest, ARefusalHidesNoFailureElsewhere) {
  for (const bool alone : {false, true}) {
    DirectWorld world(Transport::kPlain, 3);
    world.configuration.rules[0].intake.listing.reset();
    world.Start();
    world.RunFor(5s);  // All are found and compared: nothing but hints tells of what comes now.
    world.target(0).decide = [](StoreOperation operation, std::string_view, std::string_view key) {
      const bool refused = operation == StoreOperation::kPut && key == "k";
      return refused ? TroubledStore::Failing(ErrorKind::kInvalidInput) : Fault();
    };
    int left = 3;  // The applier itself tries twice.
    world.target(1).decide = [&left, alone](StoreOperation operation, std::string_view,
                                            std::string_view key) {
      if (alone) return TroubledStore::Failing(ErrorKind::kRetryable);
      const bool fails = operation == StoreOperation::kPut && key == "k" && left-- > 0;
      return fails ? TroubledStore::Failing(ErrorKind::kRetryable) : Fault();
    };
    auto tell = [&](const std::string& key) {
      world.Put(key, "text");
      HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = key}}};
      ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
    };
    Keys sent{"k"};
    const TargetBreaker& breaker = world.context->rules[0]->targets[1]->breaker;
    for (int i = 0; alone && i < 10 && !breaker.open(); ++i) {
      sent.insert("a" + std::to_string(i));
      tell("a" + std::to_string(i));
      world.RunFor(5s);
    }
    ASSERT_EQ(breaker.open(), alone);
    if (alone) world.state_backend->read_only = "spool/r";
    tell("k");
    world.RunFor(1min);
    EXPECT_EQ(world.Replicas(2), sent);
    if (alone) EXPECT_EQ(world.Replicas(1), Keys{});
    if (alone) world.target(1).Heal();
    world.state_backend->read_only.clear();
    world.RunFor(3min);
    EXPECT_EQ(world.Replicas(1), sent) << (alone ? "left alone" : "at hand");
    // Where it is parked the others cannot end it.
    Result<std::optional<ParkedKey>> parked =
        world.world.Run(FindParked(world.state, "r", "t0", "k"));
    ASSERT_TRUE(parked && *parked) << (alone ? "left alone" : "at hand");
    parked = world.world.Run(FindParked(world.state, "r", "", "k"));
    EXPECT_TRUE(parked && !*parked);
    world.Stop();
  }
}

// To keep a hint for a paused target is not to read its key.
TEST(CarryTest, APausedTargetEndsNothingThatIsParkedAtTheSource) {
  DirectWorld world(Transport::kPlain);
  world.configuration.rules[0].intake.listing.reset();
  world.source().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    return operation == StoreOperation::kGet ? TroubledStore::Failing(ErrorKind::kInvalidInput)
                                             : Fault();
  };
  world.Put("a", "text");
  world.Start();
  world.RunFor(30s);
  auto parked = [&world] {
    Result<std::optional<ParkedKey>> row = world.world.Run(FindParked(world.state, "r", "", "a"));
    return row && *row;
  };
  ASSERT_TRUE(parked());
  ASSERT_TRUE(
      world.world.Run(WritePause(world.state, "r", "t0", Pause{.since = world.world.clock.Now()})));
  world.RunFor(10s);
  world.source().Heal();
  HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "a"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(1min);
  ASSERT_TRUE(world.queue_backend->rows.empty()) << "it is kept for the target";
  EXPECT_TRUE(parked());
  ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", "t0")));
  world.RunFor(1min);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_FALSE(parked());
  world.Stop();
}

// A source whose clock is a day ahead: what came of that stamp would stand above all that is
// written there for a day.
TEST(CarryTest, WhatIsReadInTheFutureWaits) {
  DirectWorld world(Transport::kPlain);
  world.configuration.rules[0].intake.listing.reset();
  world.Put("k", "text");
  world.Put("gone", "text");
  world.Start();
  world.RunFor(30s);
  ASSERT_EQ(world.Replicas(), (Keys{"gone", "k"}));
  world.Put("k", "newer");
  MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "gone"})));
  world.source().backend->options.clock_offset = 24h;
  HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "gone"}, {.key = "k"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(1min);
  EXPECT_EQ(world.Replicas(), (Keys{"gone", "k"}));
  EXPECT_EQ(*world.target().backend->Find("out", "k")->bytes, "text");
  for (const char* key : {"gone", "k"}) {
    Result<std::optional<ParkedKey>> parked =
        world.world.Run(FindParked(world.state, "r", "t0", key));
    EXPECT_TRUE(parked && *parked) << key;
  }
  world.source().backend->options.clock_offset = 0s;
  world.RunFor(15min);
  EXPECT_EQ(world.Replicas(), Keys{"k"});
  EXPECT_EQ(*world.target().backend->Find("out", "k")->bytes, "newer");
  world.Stop();
}

// An object that one target finds damaged time after time, and another refuses, is parked at both.
TEST(CarryTest, DamageAtOneTargetIsNotHiddenByARefusalAtAnother) {
  DirectWorld world(Transport::kPlain, 2);
  world.configuration.rules[0].intake.listing.reset();
  world.Put("a", "text");
  world.Put("k", "text");
  for (int i = 0; i < 2; ++i) {
    world.target(i).decide = [i](StoreOperation operation, std::string_view, std::string_view key) {
      const bool hit = operation == StoreOperation::kPut && key == "k";
      const ErrorKind kind = i == 0 ? ErrorKind::kCorrupt : ErrorKind::kInvalidInput;
      return hit ? TroubledStore::Failing(kind) : Fault();
    };
  }
  world.Start();
  HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "a"}, {.key = "k"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(5min);
  for (const char* target : {"t0", "t1"}) {
    Result<std::optional<ParkedKey>> parked =
        world.world.Run(FindParked(world.state, "r", target, "k"));
    EXPECT_TRUE(parked && *parked) << target;
  }
  world.Stop();
}

// Were it parked at the first of them alone, nobody would carry it to the second any more.
TEST(CarryTest, DamageAtOneTargetHidesNoFailureElsewhere) {
  DirectWorld world(Transport::kPlain, 2);
  world.configuration.rules[0].intake.listing.reset();
  world.Put("k", "text");
  for (int i = 0; i < 2; ++i) {
    world.target(i).decide = [i](StoreOperation operation, std::string_view, std::string_view key) {
      const bool hit = operation == StoreOperation::kPut && key == "k";
      const ErrorKind kind = i == 0 ? ErrorKind::kCorrupt : ErrorKind::kRetryable;
      return hit ? TroubledStore::Failing(kind) : Fault();
    };
  }
  world.Start();
  world.RunFor(10min);
  world.target(1).Heal();
  world.RunFor(5min);
  EXPECT_EQ(world.Replicas(1), Keys{"k"});
  world.Stop();
}

}  // namespace
}  // namespace longhaul
