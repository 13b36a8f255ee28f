// Commands about rules that run, as people type them, on folders.

#include <filesystem>
#include <thread>

#include "base/sqlite.h"
#include "events/hint.h"
#include "migration/run.h"
#include "queue/sqlite_queue.h"
#include "replication/life/parked.h"
#include "replication/life/rule_meter.h"
#include "state/sqlite_state.h"
#include "tests/support/commands.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class RulesCommandsTest : public CommandsTest {
 protected:
  RulesCommandsTest() {
    std::filesystem::create_directories(folder.file("root/staging"));
    WriteFile("c.yaml",
              "version: 1\nsite: here\nstores:\n  disk: { type: file, root: root }\n"
              "rules:\n  - id: logs\n    source: disk:a/\n    settle: 1s\n    deletes: true\n"
              "    targets: [{ to: 'disk:b/copy/', staging: 'disk:staging/', name: west }]\n");
  }
  [[nodiscard]] bool Says(std::string_view words) const {
    return console.out.find(words) != std::string::npos;
  }
  int Once() { return Run({"replicate", "--once", "--quiet"}); }
};

// A cache removes what it holds, and replicas would be taken for copies of its own.
TEST_F(RulesCommandsTest, NoCacheLiesWhereARuleWrites) {
  WriteFile("root/a/k", "ours");
  const std::string to = "overlaps the target disk:b/copy/ of rule logs";
  // Should it serve: at an address that cannot be.
  EXPECT_EQ(Run({"cache", "serve", "disk:a", "--to", "disk:b", "--ttl", "1h", "--take-bucket",
                 "--listen", "127.0.0.1:none"}),
            2);
  EXPECT_NE(console.error.find(to), std::string::npos) << console.error;
  EXPECT_EQ(Run({"cache", "fill", "disk:a", "--to", "disk:b", "--ttl", "1h", "--take-bucket"}), 2);
  EXPECT_NE(console.error.find(to), std::string::npos) << console.error;
}

// Whoever comes in the morning asks what did not get through, mends it and tries again.
TEST_F(RulesCommandsTest, ParkedKeysAreListedAndTriedAgain) {
  WriteFile("root/a/k", "ours");
  WriteFile("root/b/copy/k", "theirs");
  EXPECT_EQ(Once(), 1) << console.error;
  EXPECT_EQ(Run({"rules", "parked"}), 0) << console.error;
  EXPECT_TRUE(Says("logs, west: k: conflict: ")) << console.out;
  EXPECT_TRUE(Says("1 key parked")) << console.out;
  EXPECT_EQ(Run({"rules", "parked", "logs", "--json"}), 0);
  EXPECT_TRUE(Says("{\"event\":\"parked\",\"rule\":\"logs\",\"target\":\"west\",\"key\":\"k\""))
      << console.out;
  EXPECT_TRUE(console.out.ends_with("{\"event\":\"summary\",\"keys\":1,\"archives\":0}\n"));

  EXPECT_EQ(Run({"rules", "retry", "logs", "other"}), 1);
  EXPECT_NE(console.error.find("other: is not parked"), std::string::npos) << console.error;
  EXPECT_EQ(Run({"rules", "retry", "logs"}), 2);
  std::filesystem::remove(folder.file("root/b/copy/k"));
  EXPECT_EQ(Run({"rules", "retry", "logs", "k", "--target", "disk:b/copy/"}), 0) << console.error;
  EXPECT_TRUE(Says("1 key will be tried again")) << console.out;
  EXPECT_EQ(Run({"rules", "parked"}), 0);
  EXPECT_TRUE(Says("retry asked for")) << console.out;
  EXPECT_EQ(Once(), 0) << console.error;
  EXPECT_EQ(ReadFile("root/b/copy/k"), "ours");
  EXPECT_EQ(Run({"rules", "parked"}), 0);
  EXPECT_EQ(console.out, "nothing is parked\n");
}

// A target of another State refuses each archive: all of them are told, not the first thousand.
TEST_F(RulesCommandsTest, AllRefusedArchivesAreListed) {
  EXPECT_EQ(Once(), 0) << console.error;
  {
    testing::RealWorld world;
    auto database = world.Run(SqliteDatabase::Open({.path = folder.file("longhaul.db")}));
    ASSERT_TRUE(database) << database.error().Describe();
    auto state = world.Run(SqliteState::Open(world.runtime, *database));
    ASSERT_TRUE(state);
    for (int i = 0; i < 1'001; ++i) {
      ASSERT_TRUE(world.Run(WriteParked(**state, "logs",
                                        {.target = "west",
                                         .archive = "A" + std::to_string(10'000 + i),
                                         .op = "archive",
                                         .reason = "another State"})));
    }
  }
  EXPECT_EQ(Run({"rules", "parked"}), 0) << console.error;
  EXPECT_TRUE(Says("archive A11000: another State")) << console.out.substr(0, 300);
  EXPECT_TRUE(Says("0 keys parked, 1,001 archives")) << console.out.substr(0, 300);
}

// Of a URL that is none nobody hears when the first event is lost.
TEST_F(RulesCommandsTest, AnEndpointTakesNoWebhookThatIsNoUrl) {
  for (const char* url : {"127.0.0.1:8787/v1/events", "ftp://host/", "http://a b/"}) {
    // Should it serve: at an address that cannot be.
    EXPECT_EQ(Run({"serve", "s3", "--root", folder.file("served"), "--event-webhook", url,
                   "--listen", "127.0.0.1:none"}),
              2)
        << url;
    EXPECT_NE(console.error.find("--event-webhook is "), std::string::npos) << console.error;
  }
  EXPECT_FALSE(std::filesystem::exists(folder.file("served")));
}

// What came back from the queue too often is neither lost nor out of sight: somebody can look at it
// and send it again.
TEST_F(RulesCommandsTest, DeadLettersAreListedAndSentAgain) {
  EXPECT_EQ(Once(), 0) << console.error;
  EXPECT_EQ(Run({"rules", "dead-letters"}), 0) << console.error;
  EXPECT_EQ(console.out, "there are no dead letters\n");
  {
    testing::RealWorld world;
    auto database = world.Run(SqliteDatabase::Open({.path = folder.file("longhaul.db")}));
    ASSERT_TRUE(database) << database.error().Describe();
    auto queue = world.Run(SqliteQueue::Open(world.runtime, *database, {.receives_max = 1}));
    ASSERT_TRUE(queue);
    HintMessage hints{.store = "disk",
                      .bucket = "a",
                      .rule = "logs",
                      .target = "",
                      .hints = {{.key = "k", .time = world.clock.Now()}}};
    std::vector<NewMessage> messages = EncodeHints(hints);
    messages.push_back({.body = "no hints\n", .lane = messages.front().lane});
    ASSERT_TRUE(world.Run((*queue)->Send(std::move(messages), {})));
    for (int receive = 0; receive < 3; ++receive) {
      ASSERT_TRUE(world.Run(
          (*queue)->Receive({.count_max = 10, .visibility = std::chrono::milliseconds(1)})));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  EXPECT_EQ(Run({"rules", "status"}), 0) << console.error;
  EXPECT_TRUE(Says("2 dead letters (longhaul rules dead-letters)")) << console.out;
  EXPECT_EQ(Run({"rules", "dead-letters"}), 0) << console.error;
  EXPECT_TRUE(Says("received 1 time: rule logs: 1 key of disk:a, from events: k\n")) << console.out;
  EXPECT_TRUE(
      Says("nobody understands it: not a message of hints: 'no hints\\x0a'\n2 dead letters; "))
      << console.out;
  EXPECT_EQ(Run({"rules", "dead-letters", "--json", "--limit", "1"}), 0) << console.error;
  EXPECT_TRUE(Says("\"rule\":\"logs\",\"target\":\"\",\"source\":\"disk:a\"")) << console.out;
  EXPECT_TRUE(Says("{\"event\":\"summary\",\"dead_letters\":2,\"listed\":1}\n")) << console.out;
  EXPECT_EQ(Run({"rules", "dead-letters", "--limit", "0"}), 2);

  EXPECT_EQ(Run({"rules", "dead-letters", "--redrive"}), 0) << console.error;
  EXPECT_EQ(console.out, "2 messages will be received again\n");
  EXPECT_EQ(Run({"rules", "dead-letters", "--redrive"}), 0);
  EXPECT_EQ(console.out, "there are no dead letters\n");
}

// Whoever could not read a message has said why; by now this program may understand it.
TEST_F(RulesCommandsTest, DeadLettersSayWhyTheyWereSetAside) {
  EXPECT_EQ(Once(), 0) << console.error;
  {
    testing::RealWorld world;
    auto database = world.Run(SqliteDatabase::Open({.path = folder.file("longhaul.db")}));
    ASSERT_TRUE(database) << database.error().Describe();
    auto queue = world.Run(SqliteQueue::Open(world.runtime, *database, {}));
    ASSERT_TRUE(queue);
    std::vector<NewMessage> messages = EncodeHints(
        {.store = "disk", .bucket = "a", .rule = "logs", .target = "", .hints = {{.key = "k"}}});
    messages.push_back({.body = "no hints", .lane = messages.front().lane});
    ASSERT_TRUE(world.Run((*queue)->Send(std::move(messages), {})));
    auto received = world.Run((*queue)->Receive(
        {.count_max = 10, .visibility = std::chrono::minutes(1), .wait = {}, .without = {}}));
    ASSERT_TRUE(received && received->messages.size() == 2);
    for (QueueMessage& message : received->messages) {
      ASSERT_TRUE(world.Run((*queue)->Bury(message, "of another kind, says longhaul 0.2.9")));
    }
  }
  EXPECT_EQ(Run({"rules", "dead-letters"}), 0) << console.error;
  EXPECT_TRUE(
      Says("received 1 time: rule logs: 1 key of disk:a, from events: k; who received it "
           "could not read it: of another kind, says longhaul 0.2.9\n"))
      << console.out;
  EXPECT_TRUE(Says("nobody understands it: of another kind, says longhaul 0.2.9\n")) << console.out;
  EXPECT_EQ(Run({"rules", "dead-letters", "--redrive"}), 0) << console.error;
  EXPECT_EQ(console.out, "2 messages will be received again\n");
  EXPECT_EQ(Once(), 0) << console.error;
  EXPECT_EQ(Run({"rules", "dead-letters"}), 0) << console.error;
  EXPECT_TRUE(Says("nobody understands it: not a message of hints: 'no hints', says longhaul "))
      << console.out;
  EXPECT_TRUE(Says("\n1 dead letter; ")) << console.out;
}

// A pause outlives whoever asked for it, and a run of --once must not call that "up to date".
TEST_F(RulesCommandsTest, APausedRuleIsLeftAloneUntilItIsResumed) {
  WriteFile("root/a/k", "text");
  EXPECT_EQ(Run({"rules", "pause", "logs", "--until", "2001-01-01T00:00:00Z"}), 2);
  EXPECT_NE(console.error.find("has passed"), std::string::npos) << console.error;
  // No length at all is not for ever.
  for (const char* length : {"0s", "0", "0h0m"}) {
    EXPECT_EQ(Run({"rules", "pause", "logs", "--for", length}), 2) << length;
    EXPECT_NE(console.error.find("longer than 0s"), std::string::npos) << console.error;
  }
  EXPECT_EQ(Run({"rules", "resume", "logs"}), 0) << console.error;
  EXPECT_TRUE(Says("rule logs was not paused")) << console.out;
  EXPECT_EQ(Run({"rules", "pause", "logs", "--for", "1h", "--until", "2130-01-01T00:00:00Z"}), 2);
  EXPECT_EQ(Run({"rules", "pause", "logs", "--for", "1h"}), 0) << console.error;
  EXPECT_TRUE(Says("rule logs is paused until ")) << console.out;
  EXPECT_EQ(Once(), 1);
  EXPECT_NE(console.error.find("rule logs until"), std::string::npos) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/b/copy/k")));
  EXPECT_EQ(Run({"rules", "pause", "logs", "--target", "west"}), 0) << console.error;
  EXPECT_EQ(Run({"rules", "resume", "logs"}), 0) << console.error;
  EXPECT_TRUE(Says("target west of rule logs is paused still")) << console.out;
  EXPECT_EQ(Once(), 1);
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/b/copy/k")));
  EXPECT_EQ(Run({"rules", "resume", "logs", "--target", "west", "--json"}), 0) << console.error;
  EXPECT_EQ(console.out,
            "{\"event\":\"resumed\",\"rule\":\"logs\",\"target\":\"west\",\"was_paused\":true,"
            "\"paused_still\":[]}\n");
  EXPECT_EQ(Once(), 0) << console.error;
  EXPECT_EQ(ReadFile("root/b/copy/k"), "text");
}

// What rules have is theirs: a cache removes what it has copied, and a migration replaces by an
// older state what replication has just brought.
TEST_F(RulesCommandsTest, NothingElseWritesWhereRulesDo) {
  WriteFile("c.yaml",
            "version: 1\nsite: here\nstores:\n  disk: { type: file, root: root }\n"
            "  same: { type: file, root: root }\nrules:\n"
            "  - id: logs\n    source: disk:a/\n    deletes: true\n"
            "    targets:\n"
            "      - { to: 'disk:b/copy/', staging: 'disk:staging/', name: west }\n"
            "  - id: kept\n    source: disk:a/\n"
            "    targets: [{ to: 'disk:v/', staging: 'disk:staging/', backup: {} }]\n");
  for (const char* bucket : {"c/in", "v", "staging"}) {
    std::filesystem::create_directories(folder.file("root/" + std::string(bucket)));
  }
  WriteFile("root/c/in/k", "text");
  for (const char* store : {"disk", "same"}) {
    for (const std::string place : {"b", "b/copy/", "b/copy/x/", "v", "v/x/", "staging/y/"}) {
      const std::string to = store + (":" + place);
      EXPECT_EQ(Run({"cache", "fill", "disk:c/in/", "--to", to, "--ttl", "1h", "--take-bucket"}), 2)
          << to;
      EXPECT_NE(console.error.find("overlaps the "), std::string::npos) << console.error;
      for (const char* command : {"plan", "start"}) {
        EXPECT_EQ(Run({"migrate", command, "disk:c/in/", to}), 2) << command << " " << to;
        EXPECT_NE(console.error.find("overlaps the "), std::string::npos) << console.error;
      }
    }
    const std::string source = store + std::string(":a/x/");
    EXPECT_EQ(Run({"cache", "fill", "disk:c/in/", "--to", source, "--ttl", "1h"}), 2);
    EXPECT_NE(console.error.find("overlaps the source disk:a/"), std::string::npos)
        << console.error;
    EXPECT_EQ(Run({"migrate", "plan", "disk:c/in/", source}), 0) << console.error;
  }
  EXPECT_EQ(Run({"backup", "restore", "--rule", "kept", "", folder.file("root/staging")}), 2);
  EXPECT_NE(console.error.find("overlaps the staging"), std::string::npos) << console.error;
  EXPECT_EQ(Run({"cache", "fill", "disk:c/in/", "--to", "disk:b/else/", "--ttl", "1h"}), 0)
      << console.error;
}

// By another name, and where the environment alone says where a store is.
TEST_F(RulesCommandsTest, WhatRulesHaveIsKnownByItsPlace) {
  WriteFile("c.yaml",
            "version: 1\nsite: here\nstores:\n  disk: { type: file, root: root }\n"
            "  s: { type: s3, region: r, access_key_id: k, secret_access_key: s }\nrules:\n"
            "  - id: logs\n    source: disk:a/\n"
            "    targets: [{ to: 's:replicas/copy/', staging: 's:staging/' }]\n");
  console.environment["AWS_ACCESS_KEY_ID"] = "k";
  console.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  console.environment["AWS_ENDPOINT_URL"] = "http://localhost:1/";
  const std::vector<std::string> fill = {"cache", "fill", "disk:b/",   "--to", "s3://replicas",
                                         "--ttl", "1h",   "--timeout", "100ms"};
  EXPECT_EQ(Run(fill), 2);
  EXPECT_NE(console.error.find("overlaps the target s:replicas/copy/"), std::string::npos)
      << console.error;
  std::vector<std::string> elsewhere = fill;
  elsewhere.insert(elsewhere.end(), {"--endpoint-url", "http://127.0.0.1:2"});
  EXPECT_NE(Run(elsewhere), 2) << console.error;
  EXPECT_EQ(console.error.find("overlaps"), std::string::npos) << console.error;
}

// Of some prefixes: those are compared, and no others; one that matches nothing is a mistake that
// somebody has to see. A start for others does not make the first ones forgotten.
TEST_F(RulesCommandsTest, AMigrationOfPrefixesIsVerifiedByThem) {
  WriteFile("c.yaml", "version: 1\nstores:\n  disk: { type: file, root: root }\n");
  for (const char* name : {"logs/1", "logs/2", "other/1", "third/1"}) {
    WriteFile("root/a/in/" + std::string(name), name);
  }
  WriteFile("list", "logs/\n/logs2/\n");
  WriteFile("others", "other/\n");
  const std::vector<std::string> run = {"disk:a/in/", "disk:b/out/", "--run", "r", "--prefix-list"};
  const auto with = [&run](std::vector<std::string> words, const std::string& file) {
    words.insert(words.end(), run.begin(), run.end());
    words.push_back(file);
    return words;
  };
  EXPECT_EQ(Run(with({"migrate", "plan"}, folder.file("list"))), 0) << console.error;
  EXPECT_NE(console.error.find("there is nothing below '/logs2/'"), std::string::npos)
      << console.error;
  EXPECT_EQ(Run(with({"migrate", "start", "--wait"}, folder.file("list"))), 0) << console.error;
  EXPECT_NE(console.error.find("there is nothing below '/logs2/'"), std::string::npos)
      << console.error;
  EXPECT_EQ(ReadFile("root/b/out/logs/1"), "logs/1");
  EXPECT_EQ(Run({"migrate", "status", "r"}), 0);
  EXPECT_TRUE(Says("'/logs2/'")) << console.out;
  EXPECT_EQ(Run({"migrate", "verify", "r"}), 0) << console.out << console.error;
  EXPECT_TRUE(Says("compared below 2 prefixes")) << console.out;

  EXPECT_EQ(Run(with({"migrate", "start", "--wait"}, folder.file("others"))), 0) << console.error;
  EXPECT_EQ(Run({"migrate", "verify", "r"}), 0) << console.out << console.error;
  std::filesystem::remove(folder.file("root/b/out/logs/1"));
  EXPECT_EQ(Run({"migrate", "verify", "r"}), 11);
  EXPECT_TRUE(Says("logs/1: missing at the target")) << console.out;
  EXPECT_FALSE(Says("third/1")) << console.out;
  std::filesystem::remove(folder.file("root/b/out/other/1"));
  EXPECT_EQ(Run({"migrate", "verify", "r", "--json"}), 11);
  EXPECT_TRUE(Says("\"different\":2")) << console.out;

  // Once started for all of it, it is of all of it.
  EXPECT_EQ(Run({"migrate", "start", "r", "--wait"}), 0) << console.error;
  EXPECT_EQ(Run({"migrate", "verify", "r"}), 0) << console.out << console.error;
  EXPECT_FALSE(Says("compared below")) << console.out;
  WriteFile("list", "lost/\n");
  EXPECT_EQ(Run(with({"migrate", "plan"}, folder.file("list"))), 3) << console.error;
}

// A name that is written wrongly is not a migration that has finished.
TEST_F(RulesCommandsTest, AMigrationOfNothingIsAMistake) {
  WriteFile("c.yaml", "version: 1\nstores:\n  disk: { type: file, root: root }\n");
  WriteFile("root/a/logs/1", "x");
  for (const char* command : {"plan", "start"}) {
    EXPECT_EQ(Run({"migrate", command, "disk:a/logz/", "disk:b/out/"}), 3) << command;
    EXPECT_NE(console.error.find("there is nothing below 'disk:a/logz/'"), std::string::npos)
        << console.error;
  }
  EXPECT_EQ(Run({"migrate", "status"}), 0);
  EXPECT_TRUE(Says("there is no run")) << console.out;
  std::filesystem::create_directories(folder.file("root/e"));
  EXPECT_EQ(Run({"migrate", "start", "disk:e", "disk:b/out/"}), 0) << "a bucket may be empty";
}

// A store of which only the environment says where it is: elsewhere, it is not the run's any more.
TEST_F(RulesCommandsTest, AMigrationIsThatOfItsPlaces) {
  WriteFile("c.yaml",
            "version: 1\nstores:\n  disk: { type: file, root: root }\n"
            "  s: { type: s3, region: r, access_key_id: k, secret_access_key: s }\n");
  console.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1";
  {
    testing::RealWorld world;
    auto database = world.Run(SqliteDatabase::Open({.path = folder.file("longhaul.db")}));
    ASSERT_TRUE(database) << database.error().Describe();
    auto state = world.Run(SqliteState::Open(world.runtime, *database));
    ASSERT_TRUE(state);
    migration::RunBook book(world.runtime, **state);
    ASSERT_TRUE(world.Run(book.Save({.id = "r",
                                     .source = {"s", "big", ""},
                                     .target = {"disk", "b", ""},
                                     .source_place = "s3 127.0.0.1:2",
                                     .target_place = "file " + folder.file("root")})));
  }
  EXPECT_EQ(Run({"migrate", "verify", "r"}), 2);
  EXPECT_NE(console.error.find("store s is s3 127.0.0.1:1 in "), std::string::npos)
      << console.error;
  EXPECT_NE(console.error.find("and s3 127.0.0.1:2 to the run"), std::string::npos)
      << console.error;
}

// Two names of one store: the copies would be copied, again and again.
TEST_F(RulesCommandsTest, AMigrationIntoItsSourceByAnotherNameIsRefused) {
  WriteFile("c.yaml",
            "version: 1\nstores:\n  disk: { type: file, root: root }\n"
            "  same: { type: file, root: root }\n");
  WriteFile("root/a/logs/1", "x");
  EXPECT_EQ(Run({"migrate", "plan", "disk:a/logs/", "same:a/logs/copy/"}), 2);
  EXPECT_NE(console.error.find("would copy its copies"), std::string::npos) << console.error;
}

// One question, from either end, and a script finds the answer in the last line.
TEST_F(RulesCommandsTest, ExplainsAnObject) {
  WriteFile("root/a/k", "text");
  EXPECT_EQ(Run({"explain", "disk:a/k"}), 0) << console.error;
  EXPECT_TRUE(Says("rule logs matches\n  source   4 B, ETag ")) << console.out;
  EXPECT_TRUE(Says("target west (disk:b/copy/k): PENDING\n    there    no object\n"))
      << console.out;
  EXPECT_EQ(Once(), 0) << console.error;
  EXPECT_EQ(Run({"explain", "disk:b/copy/k"}), 0) << console.error;
  EXPECT_TRUE(Says("mark     fits: by site here")) << console.out;
  EXPECT_TRUE(console.out.ends_with("\nREPLICA: nothing until it changes\n")) << console.out;
  EXPECT_EQ(Run({"explain", "--json", "disk:a/k"}), 0);
  EXPECT_TRUE(
      console.out.ends_with("{\"event\":\"summary\",\"address\":\"disk:a/k\",\"status\":"
                            "\"COMPLETED\",\"next\":\"nothing until it changes\"}\n"))
      << console.out;
  EXPECT_EQ(Run({"explain", "disk:c/k"}), 0);
  EXPECT_EQ(console.out, "none: no rule reads from or writes to disk:c/k\n");
  EXPECT_EQ(Run({"explain", "disk:a/"}), 2);
  EXPECT_EQ(Run({"explain", "./a"}), 2);
}

// A disk that is not mounted must not keep the rest from being told.
TEST_F(RulesCommandsTest, ExplainsWhileAStoreIsAway) {
  std::filesystem::create_directories(folder.file("other"));
  WriteFile("c.yaml",
            "version: 1\nsite: here\nstores:\n  disk: { type: file, root: root }\n"
            "  other: { type: file, root: other }\nrules:\n  - id: logs\n    source: other:a/\n"
            "    targets: [{ to: 'disk:b/copy/', staging: 'disk:staging/', name: west }]\n");
  std::filesystem::remove(folder.file("other"));
  EXPECT_EQ(Run({"explain", "other:a/k"}), 0) << console.error;
  EXPECT_TRUE(Says("  source   store other: no such folder: ")) << console.out;
  EXPECT_TRUE(Says("    there    no object\n")) << console.out;
  EXPECT_TRUE(console.out.ends_with(
      "\nPENDING: the source cannot be looked at: it is tried again for ever\n"))
      << console.out;
  EXPECT_EQ(Run({"explain", "disk:b/copy/k"}), 0) << console.error;
  EXPECT_TRUE(Says("rule logs matches its source\n")) << console.out;
}

// After a run by night somebody wants to know by day how it went.
TEST_F(RulesCommandsTest, StatusTellsOfEachRuleAndTarget) {
  EXPECT_EQ(Run({"rules", "status"}), 0) << console.error;
  EXPECT_TRUE(Says("rule logs: active, no process runs it\n")) << console.out;
  WriteFile("root/a/k", std::string(10'000, 'x'));
  EXPECT_EQ(Once(), 0) << console.error;
  EXPECT_EQ(Run({"rules", "pause", "logs", "--target", "west"}), 0);
  EXPECT_EQ(Run({"rules", "status", "logs"}), 0) << console.error;
  EXPECT_TRUE(Says("\n  sent     ")) << console.out;
  EXPECT_TRUE(Says("\n  target west (disk:b/copy/): paused\n    lag      p50 ")) << console.out;
  EXPECT_TRUE(Says("\n    applied  1 object, 9.8 KiB\n")) << console.out;
  EXPECT_TRUE(console.out.ends_with("queue: 0 messages of hints\n")) << console.out;
  EXPECT_EQ(Run({"rules", "status", "--json"}), 0);
  EXPECT_TRUE(Says("\"applied\":1,\"applied_bytes\":10000")) << console.out;
}

// Who runs with `| tail -1 | jq .parked` must not read figures instead.
TEST_F(RulesCommandsTest, TheSummaryOfARunIsItsLastLine) {
  WriteFile("c.yaml", ReadFile("c.yaml") + "metrics: emf\n");
  WriteFile("root/a/k", "text");
  EXPECT_EQ(Run({"replicate", "--once", "--json"}), 0) << console.error;
  EXPECT_TRUE(Says("\"_aws\"")) << console.out;
  const std::string out = console.out;
  const size_t last = out.rfind('\n', out.size() - 2);
  ASSERT_NE(last, std::string::npos) << out;
  EXPECT_TRUE(std::string_view(out).substr(last + 1).starts_with("{\"event\":\"summary\"")) << out;
}

// What a store answers is somebody else's, and a terminal does what it is told.
TEST_F(RulesCommandsTest, WhatAServerSaysDoesNotSteerTheTerminal) {
  EXPECT_EQ(Once(), 0) << console.error;
  {
    testing::RealWorld world;
    auto database = world.Run(SqliteDatabase::Open({.path = folder.file("longhaul.db")}));
    ASSERT_TRUE(database) << database.error().Describe();
    auto state = world.Run(SqliteState::Open(world.runtime, *database));
    ASSERT_TRUE(state);
    RuleNow now{.process = "p1"};
    now.source = true;
    now.troubles["source"] = "403 \x1b[2J all is well";
    now.targets["west"].open = OpenTarget{.since = world.clock.Now(), .reason = "\x1b]0;gone\x07"};
    ASSERT_TRUE(world.Run((*state)->Write(
        "status", {.key = "logs/p1", .value = EncodeNow(now), .expires = std::nullopt})));
  }
  EXPECT_EQ(Run({"rules", "status"}), 0) << console.error;
  EXPECT_TRUE(Says("source: 403 \\x1b[2J all is well")) << console.out;
  EXPECT_TRUE(Says("\\x1b]0;gone\\x07")) << console.out;
  EXPECT_FALSE(Says("\x1b")) << console.out;
}

// A request that nobody hears must not be taken for one that is being fulfilled.
TEST_F(RulesCommandsTest, BackfillSaysWhatIsWrongWithAListing) {
  WriteFile("root/a/k", "text");
  WriteFile("root/lists/day.jsonl", "{\"key\":\"k\",\"size\":4,\"etag\":\"\"}\n");
  WriteFile("root/lists/none.jsonl", "\n");
  auto fails = [&](const std::string& listing, int code, const std::string& words) {
    EXPECT_EQ(Run({"rules", "backfill", "logs", "--listing", listing}), code);
    EXPECT_NE(console.error.find(words), std::string::npos) << listing << ": " << console.error;
  };
  fails("day.jsonl", 2, "'day.jsonl' is no BUCKET/KEY of the store disk");
  fails("other:lists/day.jsonl", 2, "is no BUCKET/KEY of the store disk");
  fails("lists/nothing.jsonl", 3, "nothing.jsonl");
  fails("disk:lists/none.jsonl", 2, "neither a kept listing");
  fails("disk:lists/day.jsonl", 5, "no process runs rule logs");
}

TEST_F(RulesCommandsTest, BackfillSaysThatNobodyRuns) {
  EXPECT_EQ(Run({"rules", "backfill", "logs"}), 5);
  EXPECT_NE(console.error.find("no process runs rule logs as source"), std::string::npos)
      << console.error;
}

TEST_F(RulesCommandsTest, UnknownRulesAndTargetsAreNamed) {
  EXPECT_EQ(Run({"rules", "parked", "lgos"}), 2);
  EXPECT_NE(console.error.find("did you mean 'logs'?"), std::string::npos) << console.error;
  EXPECT_EQ(Run({"rules", "retry", "logs", "--all", "--target", "east"}), 2);
  EXPECT_NE(console.error.find("there is west (disk:b/copy/)"), std::string::npos) << console.error;
}

}  // namespace
}  // namespace longhaul
