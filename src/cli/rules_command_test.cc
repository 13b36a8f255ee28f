#include <gmock/gmock.h>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using testing::CommandsTest;
using ::testing::HasSubstr;
using ::testing::Not;

class RulesCommandTest : public CommandsTest {
 protected:
  RulesCommandTest() {
    WriteFile("repl.json",
              R"({"ReplicationConfiguration": {"Role": "arn:aws:iam::111122223333:role/r",
                  "Rules": [{"ID": "logs", "Status": "Enabled", "Priority": 1,
                  "Filter": {"Prefix": "logs/"}, "DeleteMarkerReplication": {"Status": "Disabled"},
                  "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}}]}})");
  }
};

// The whole way: a configuration on standard output, what a person must know on standard error, and
// `config check` takes it; and back again.
TEST_F(RulesCommandTest, ImportsChecksAndExports) {
  ASSERT_EQ(Run({"rules", "import", folder.file("repl.json"), "--source", "eu-west-1:acme-in",
                 "--target", "acme-copy=us-east-2", "--staging", "us-east-2:acme-staging/"}),
            0)
      << console.error;
  WriteFile("new.yaml", console.out);
  EXPECT_THAT(console.error, HasSubstr("repl.json: Role: not carried over: "));
  EXPECT_THAT(console.out, Not(HasSubstr("FILL IN the bucket")));
  EXPECT_EQ(Run({"config", "check", folder.file("new.yaml")}), 0) << console.error;
  EXPECT_THAT(console.out, HasSubstr("eu-west-1:acme-in/logs/\n  to us-east-2:acme-copy/logs/"));
  EXPECT_THAT(console.out, HasSubstr("10,000 objects, priority 1\n"));
  const auto with_role = [&](const std::string& role) {
    return Run({"rules", "export", "logs", "--config", folder.file("new.yaml"), "--role", role});
  };
  const std::string arn = "arn:aws:iam::111122223333:role/service/replication";
  EXPECT_EQ(with_role(arn), 0) << console.error;
  EXPECT_THAT(console.out, HasSubstr("\"Role\": \"" + arn + "\""));
  EXPECT_THAT(console.out, HasSubstr("\"Bucket\": \"arn:aws:s3:::acme-copy\""));
  EXPECT_EQ(Run({"rules", "export", "nobody", "--config", folder.file("new.yaml")}), 2);
  EXPECT_THAT(console.error, HasSubstr("has no rule 'nobody'"));
  EXPECT_EQ(with_role("arn:minio:replication::6e1a:copy"), 0) << console.error;
  // S3 would refuse it, long after.
  for (const char* role :
       {"foo", "arn:aws:iam::111122223333:user/me", "arn:aws:iam::1:role/x",
        "arn:aws:iam::111122223333:role/", "arn:aws:s3:::bucket", "arn:a:b:c:d"}) {
    EXPECT_EQ(with_role(role), 2) << role;
    EXPECT_THAT(console.error, HasSubstr("--role: '" + std::string(role) + "' is not the ARN"));
  }
}

// A remark that is true of a thousand rules is one line.
TEST_F(RulesCommandTest, SaysThingsOnce) {
  WriteFile("two.json",
            R"({"Rules": [
      {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "a/"},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"ID": "b", "Status": "Enabled", "Filter": {"Prefix": "b/"},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}}]})");
  ASSERT_EQ(Run({"rules", "import", folder.file("two.json")}), 0) << console.error;
  EXPECT_THAT(console.error, HasSubstr("two.json: Rules[0].ExistingObjectReplication, "
                                       "Rules[1].ExistingObjectReplication: differs: as with S3"));
  EXPECT_THAT(console.error, HasSubstr("two.json: fill in: S3 keeps a replication configuration"));
}

// CI checks rules without secrets, and what a secret is must not matter then; the same file with
// them is checked.
TEST_F(RulesCommandTest, VariablesNeedNotBeSet) {
  WriteFile("ci.yaml",
            "version: 1\nsite: s\nqueue: \"${DB_URL}\"\nstate: \"${DB_URL}\"\n"
            "notify: \"${NOTIFY_URL}\"\nmemory: \"${MEMORY}\"\n"
            "stores:\n  disk: { type: file, root: root }\n"
            "  east: { type: s3, endpoint: \"${ENDPOINT}\", region: eu-west-1 }\n"
            "alarms: { webhook: \"${ALARM_URL}\" }\n"
            "rules:\n- { id: r, source: 'disk:a/in/', seal_key: \"${NEW_KEY}\",\n"
            "    seal_keys_accepted: [\"${OLD_KEY}\", \"${OLDER_KEY}\"],\n"
            "    targets: [{ to: 'east:copy/', staging: 'east:staging/' }] }\n");
  EXPECT_EQ(Run({"rules", "check", folder.file("ci.yaml")}), 0) << console.error;
  EXPECT_THAT(console.out, HasSubstr("disk:a/in/"));
  EXPECT_EQ(Run({"completion", "rules", "--config", folder.file("ci.yaml")}), 0);
  EXPECT_EQ(console.out, "r\n");
  EXPECT_EQ(Run({"config", "check", folder.file("ci.yaml")}), 2);
  EXPECT_THAT(console.error, HasSubstr("ALARM_URL is not set"));
  console.environment["ALARM_URL"] = "no-url";
  EXPECT_EQ(Run({"rules", "check", folder.file("ci.yaml")}), 2);
  EXPECT_THAT(console.error, HasSubstr("alarms.webhook"));
}

// A mistake must not leave half a configuration behind a `>`.
TEST_F(RulesCommandTest, WritesNothingOnMistakes) {
  WriteFile("bad.json", R"({"Rules": [{"Status": "On", "Destination": {"Bucket": "b"}}]})");
  EXPECT_EQ(Run({"rules", "import", folder.file("bad.json")}), 2);
  EXPECT_EQ(console.out, "");
  EXPECT_THAT(console.error, HasSubstr("bad.json: Rules[0].Status: 'On' is neither"));
  EXPECT_THAT(console.error,
              HasSubstr("bad.json: Rules[0].Destination.Bucket: 'b' is not the ARN"));
  EXPECT_EQ(Run({"rules", "import", folder.file("none.json")}), 2);
  EXPECT_THAT(console.error, HasSubstr("none.json cannot be read: No such file"));
  const std::string file = folder.file("repl.json");
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{{"--source", "nobucket"},
                                             {"--source", "s:b/prefix"},
                                             {"--target", "=x"},
                                             {"--target", "x", "--target", "y"},
                                             {"--staging", "x"},
                                             {"--staging", "x:a", "--staging", "x:b"},
                                             {"--site", "a b"}}) {
    std::vector<std::string> arguments = {"rules", "import", file};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    EXPECT_EQ(Run(arguments), 2) << flags.back();
    EXPECT_EQ(console.out, "");
    EXPECT_THAT(console.error, HasSubstr(flags[0]));
  }
}

TEST_F(RulesCommandTest, DrawsTheTopology) {
  WriteFile("good.yaml",
            "version: 1\nsite: s\nstores:\n  disk: { type: file, root: root }\n"
            "  aws: { type: s3, access_key_id: \"${NOT_SET}\", secret_access_key: "
            "\"${NOR_THIS}\" }\n"
            "rules: [{ id: r, source: 'disk:a/', targets: [{ to: 'disk:b/', staging: "
            "'disk:c/' }] }]\n");
  EXPECT_EQ(Run({"rules", "check", folder.file("good.yaml")}), 0) << console.error;
  EXPECT_EQ(console.out, "  disk:a/\n    -> disk:b/  (r; by disk:c/)\n");
  EXPECT_EQ(Run({"rules", "check", "--graph", "dot", "--config", folder.file("good.yaml")}), 0);
  EXPECT_THAT(console.out, HasSubstr("digraph"));
  WriteFile("circle.yaml",
            "version: 1\nsite: s\nstores:\n  disk: { type: file, root: root }\n"
            "rules:\n"
            "  - { id: r, source: 'disk:a/', targets: [{ to: 'disk:b/', staging: 'disk:c/' }] }\n"
            "  - { id: q, source: 'disk:b/', targets: [{ to: 'disk:a/', staging: 'disk:c/' }] }\n");
  EXPECT_EQ(Run({"rules", "check", folder.file("circle.yaml")}), 2);
  EXPECT_THAT(console.out, HasSubstr("!   -> disk:b/  (r; by disk:c/; read by q)  problem 1\n"));
  EXPECT_EQ(Run({"rules", "check", folder.file("repl.json")}), 2);
  EXPECT_THAT(console.error, HasSubstr("unknown field"));
  console.environment.erase("LONGHAUL_CONFIG");
  EXPECT_EQ(Run({"rules", "check"}), 2);
  EXPECT_THAT(console.error, HasSubstr("no configuration"));
}

}  // namespace
}  // namespace longhaul
