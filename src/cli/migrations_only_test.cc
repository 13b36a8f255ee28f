// A configuration that has migrations and no rule: what it needs is printed and tried, and what
// nobody could carry is listed.

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/sqlite.h"
#include "migration/task.h"
#include "queue/sqlite_queue.h"
#include "tests/support/commands.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class MigrationsOnlyTest : public CommandsTest {
 protected:
  MigrationsOnlyTest() {
    Configure("stores:\n  disk: { type: file, root: root }\n", "disk:a/in/", "disk:b/out/");
  }
  void Configure(const std::string& stores, const std::string& source, const std::string& target,
                 const std::string& options = "") {
    WriteFile("c.yaml", "version: 1\nsite: here\n" + stores + "migrations:\n  - id: nightly\n" +
                            "    source: " + source + "\n    target: " + target + "\n" + options);
  }
  [[nodiscard]] bool Says(const std::string& words) const {
    return console.out.contains(words) || console.error.contains(words);
  }
};

TEST_F(MigrationsOnlyTest, DeadLettersAreListedAndSentAgain) {
  EXPECT_EQ(Run({"rules", "dead-letters"}), 0) << console.error;
  EXPECT_EQ(console.out, "there are no dead letters\n");
  {
    testing::RealWorld world;
    auto database = world.Run(SqliteDatabase::Open({.path = folder.file("longhaul.db")}));
    ASSERT_TRUE(database) << database.error().Describe();
    auto queue = world.Run(
        SqliteQueue::Open(world.runtime, *database, {.name = "migrations", .receives_max = 1}));
    ASSERT_TRUE(queue);
    std::vector<NewMessage> messages{
        migration::MessageOf("nightly", "01J", migration::TaskKind::kObjects)};
    messages.push_back({.body = "no task", .lane = messages.front().lane});
    ASSERT_TRUE(world.Run((*queue)->Send(std::move(messages), {})));
    for (int receive = 0; receive < 3; ++receive) {
      ASSERT_TRUE(world.Run(
          (*queue)->Receive({.count_max = 10, .visibility = std::chrono::milliseconds(1)})));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  EXPECT_EQ(Run({"rules", "dead-letters"}), 0) << console.error;
  EXPECT_TRUE(Says("a task of run nightly: never carried to its end\n")) << console.out;
  EXPECT_TRUE(Says("nobody understands it: ")) << console.out;
  EXPECT_TRUE(Says("2 dead letters; ")) << console.out;
  EXPECT_EQ(Run({"rules", "dead-letters", "--json", "--limit", "1"}), 0) << console.error;
  EXPECT_TRUE(Says("\"dead_letters\":2,\"listed\":1}")) << console.out;
  EXPECT_EQ(Run({"rules", "dead-letters", "--redrive"}), 0) << console.error;
  EXPECT_EQ(console.out, "2 messages will be received again\n");
}

TEST_F(MigrationsOnlyTest, ThePolicyReadsTheSourceAndWritesTheTarget) {
  Configure(
      "stores:\n  east: { type: s3, region: us-east-1 }\n  west: { type: s3, region: eu-west-1 }\n"
      "queue: sqs:haul?region=us-east-1\nstate: dynamodb:rows?region=us-east-1\n",
      "east:data/in/", "west:copy/out/");
  EXPECT_EQ(Run({"iam-policy"}), 0) << console.error;
  for (const char* part :
       {"\"s3:GetObjectVersionTagging\"", "arn:aws:s3:::data/in/*", "arn:aws:s3:::copy/out/*",
        "\"s3:AbortMultipartUpload\"", "haul-migrations-find", "haul-migrations-work",
        "haul-dead-letters", "\"sqs:ReceiveMessage\"", "table/rows", "\"kms:GenerateDataKey\""}) {
    EXPECT_TRUE(Says(part)) << part << console.out;
  }
  EXPECT_FALSE(Says("s3:DeleteObject")) << console.out;
  EXPECT_FALSE(Says("sns:Publish")) << console.out;
  const std::string whole = console.out;
  EXPECT_EQ(Run({"iam-policy", "--role", "migrations"}), 0);
  EXPECT_EQ(console.out, whole);
  // What is meant for rules says what to do instead.
  EXPECT_EQ(Run({"iam-policy", "--role", "source"}), 2);
  EXPECT_TRUE(Says("rules: there is none; for its migrations: --role migrations")) << console.error;
}

TEST_F(MigrationsOnlyTest, TheDoctorTriesBothEnds) {
  EXPECT_EQ(Run({"doctor"}), 0) << console.error << console.out;
  EXPECT_TRUE(Says("source disk:a/in/")) << console.out;
  EXPECT_TRUE(Says("target disk:b/out/")) << console.out;
  EXPECT_TRUE(Says("write objects")) << console.out;
  EXPECT_TRUE(Says("queue")) << console.out;
  std::filesystem::remove_all(folder.file("root/b"));
  EXPECT_EQ(Run({"doctor", "--roles", "migrations"}), 1);
  EXPECT_TRUE(Says("failed   target disk:b/out/")) << console.out;
  EXPECT_EQ(Run({"doctor", "--roles", "target"}), 2);
  EXPECT_TRUE(Says("rules: there is none; for its migrations: --roles migrations"))
      << console.error;
  WriteFile("c.yaml", "version: 1\nsite: here\nstores:\n  disk: { type: file, root: root }\n");
  EXPECT_EQ(Run({"doctor"}), 2);
  EXPECT_TRUE(Says("has neither rules nor migrations")) << console.error;
  EXPECT_EQ(Run({"doctor", "--roles", "migrations"}), 2);
  EXPECT_TRUE(Says("migrations: there is none")) << console.error;
}

// Of a mistyped prefix a script would be told that all of it is there.
TEST_F(MigrationsOnlyTest, NothingToVerifyIsNoProof) {
  WriteFile("root/a/in/x", "1");
  ASSERT_EQ(Run({"migrate", "start", "nightly", "--wait"}), 0) << console.error;
  EXPECT_EQ(Run({"migrate", "verify", "nightly"}), 0) << console.error;
  std::filesystem::remove(folder.file("root/a/in/x"));
  EXPECT_EQ(Run({"migrate", "verify", "nightly"}), 3) << console.out << console.error;
  EXPECT_TRUE(Says("nothing was checked: there is nothing below 'disk:a/in/'")) << console.error;
  WriteFile("root/a/in/y", "1");
  EXPECT_EQ(Run({"migrate", "verify", "nightly"}), 11) << console.error;
}

// Who removes at the source what is done is told so of nothing else.
TEST_F(MigrationsOnlyTest, TheStatusOfSingleObjects) {
  for (const char* name : {"x", "y", "z"}) WriteFile(std::string("root/a/in/") + name, "1");
  ASSERT_EQ(Run({"migrate", "start", "nightly", "--wait"}), 0) << console.error;
  ASSERT_EQ(Run({"migrate", "status", "nightly", "--object", "x"}), 0) << console.error;
  EXPECT_TRUE(console.out.starts_with("x\n")) << console.out;
  EXPECT_TRUE(Says("done")) << console.out;
  EXPECT_FALSE(Says("unknown")) << console.out;
  std::filesystem::remove(folder.file("root/b/out/y"));
  ASSERT_EQ(Run({"migrate", "status", "--json", "nightly", "--object", "y"}), 0) << console.error;
  EXPECT_TRUE(Says("\"name\":\"y\",\"state\":\"unknown\"")) << console.out;
  ASSERT_EQ(Run({"migrate", "status", "nightly", "--state", "done"}), 0) << console.error;
  EXPECT_EQ(console.out, "done  x (1 B)\ndone  z (1 B)\n2 objects\n");
  ASSERT_EQ(Run({"migrate", "status", "nightly", "--state", "done", "--limit", "1"}), 0);
  EXPECT_EQ(console.out, "done  x (1 B)\n1 object; there are more: see --limit\n");
  ASSERT_EQ(Run({"migrate", "status", "nightly", "--state", "failed"}), 0) << console.error;
  EXPECT_EQ(console.out, "0 objects\n");
  // Nothing is accepted and ignored.
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--object", "x"},
                                                {"--state", "done"},
                                                {"nightly", "--object", "x", "--state", "done"},
                                                {"nightly", "--object", "x", "--watch"},
                                                {"nightly", "--state", "pending", "--watch"},
                                                {"nightly", "--limit", "3"}}) {
    std::vector<std::string> words = {"migrate", "status"};
    words.insert(words.end(), wrong.begin(), wrong.end());
    EXPECT_EQ(Run(words), 2) << wrong.back();
  }
}

}  // namespace
}  // namespace longhaul
