#include "aws/process_credentials.h"

#include <unistd.h>

#include <csignal>
#include <fstream>

#include "tests/support/credentials_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class ProcessCredentialsTest : public testing::CredentialsFixture {
 protected:
  // What a profile with this command gives.
  std::string Run(const std::string& command) {
    Write("config", "[default]\ncredential_process = " + command + "\n");
    return Told();
  }
  // A script, because the files' values end at " #" and " ;".
  std::string RunScript(const std::string& script) {
    return Run("/bin/sh " + Write("script", script));
  }
};

TEST_F(ProcessCredentialsTest, ReadsWhatTheCommandPrints) {
  const std::string file = Write("out.json", R"({"Version": 1, "AccessKeyId": "ASIA3",
      "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2099-01-01T00:00:00+00:00"})");
  EXPECT_EQ(Run("cat '" + file + "'"), "ASIA3");
  EXPECT_TRUE((*Get())->expires);
  Write("out.json", R"({"Version": 1, "AccessKeyId": "AKIA3", "SecretAccessKey": "s"})");
  EXPECT_EQ(Run("cat " + file), "AKIA3");
  EXPECT_FALSE((*Get())->expires);
  EXPECT_TRUE((*Get())->session_token.empty());
}

TEST_F(ProcessCredentialsTest, InvalidateRunsItAgain) {
  const std::string count = home_.file("count");
  Write("config",
        "[default]\ncredential_process = /bin/sh " +
            Write("script", "echo >> " + count +
                                "; echo '{\"Version\": 1, \"AccessKeyId\": \"A'$(wc -l < " + count +
                                ")'\", \"SecretAccessKey\": \"s\", "
                                "\"Expiration\": \"2020-01-01T00:00:00Z\"}'") +
            "\n");
  auto chain = Chain();
  EXPECT_EQ((*world_.Run(chain->Get()))->access_key_id, "A1");
  EXPECT_EQ((*world_.Run(chain->Get()))->access_key_id, "A1");
  EXPECT_TRUE(chain->Invalidate());
}

// Its standard error says why; its standard output may be half a secret.
TEST_F(ProcessCredentialsTest, FailuresSayWhatItSaidAndNotWhatItPrinted) {
  const std::string told = RunScript("echo HUSH\nprintf 'log in\\033[1m\\nfirst' >&2\nexit 3\n");
  EXPECT_NE(told.find("profile 'default'"), std::string::npos) << told;
  EXPECT_NE(told.find("credential_process: exit 3: log in [1m first"), std::string::npos) << told;
  EXPECT_EQ(told.find("HUSH"), std::string::npos);
  EXPECT_NE(Run("/nowhere/at-all").find("exit 127"), std::string::npos);
  EXPECT_NE(Run("kill -9 $$").find("signal 9"), std::string::npos);
  struct Case {
    const char* output;
    const char* message;
  };
  for (const Case& one :
       {Case{"", "credential_process: "}, Case{"{\"Version\": 2}", "not \"Version\": 1"},
        Case{"{\"Version\": 1, \"AccessKeyId\": \"HUSH\"}", "no secret access key"},
        Case{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", "
             "\"Expiration\": \"HUSH\"}",
             "Expiration is no time"},
        Case{"HUSH", "credential_process: "}}) {
    Write("out.json", one.output);
    const std::string wrong = Run("cat " + home_.file(".aws/out.json"));
    EXPECT_NE(wrong.find(one.message), std::string::npos) << wrong;
    EXPECT_EQ(wrong.find("HUSH"), std::string::npos) << wrong;
  }
  EXPECT_NE(RunScript("while :; do echo xxxxxxxxxxxxxxxx; done").find("more than 64 KiB"),
            std::string::npos);
}

// A helper that waits for somebody to type would hold up every request for ever.
TEST_F(ProcessCredentialsTest, IsKilledWithItsChildrenWhenTheTimeIsOver) {
  const std::string pid_file = home_.file("pid");
  auto source = MakeProcessCredentials("sleep 600 & echo $! > " + pid_file + "; wait", 300ms);
  Result<Credentials> got = world_.Run(source->Fetch());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ErrorKind::kRetryable);
  EXPECT_NE(got.error().message.find("out of time"), std::string::npos);
  pid_t pid = 0;
  std::ifstream(pid_file) >> pid;
  if (pid == 0) return;  // Not even that was done in time.
  // Killed; whoever inherited it may not have waited for it yet.
  std::string state;
  for (int i = 0; i < 500; ++i) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string word;
    state.clear();
    stat >> word >> word >> state;
    if (state.empty() || state == "Z") break;
    ::usleep(10'000);
  }
  EXPECT_TRUE(state.empty() || state == "Z") << state;
}

TEST_F(ProcessCredentialsTest, DoesNotWaitForWhatItLeavesBehind) {
  auto source = MakeProcessCredentials(
      "sleep 600 & echo $! > " + home_.file("pid") +
      "; echo '{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\"}'");
  Result<Credentials> got = world_.Run(source->Fetch());
  ASSERT_TRUE(got) << got.error().Describe();
  EXPECT_EQ(got->access_key_id, "A");
  pid_t pid = 0;
  std::ifstream(home_.file("pid")) >> pid;
  if (pid > 0) ::kill(pid, SIGKILL);
}

}  // namespace
}  // namespace longhaul
