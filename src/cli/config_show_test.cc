#include "tests/support/commands.h"

namespace longhaul {
namespace {

class ConfigShowTest : public testing::CommandsTest {
 protected:
  ConfigShowTest() {
    console.environment["HOME"] = folder.file("home");
    std::filesystem::create_directories(folder.file("home/.aws"));
  }
  // The line of `path`, its words one blank apart; "" where there is none.
  std::string Line(const std::string& path) {
    std::istringstream lines(console.out);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string text;
      for (std::string word; words >> word;) text += (text.empty() ? "" : " ") + word;
      if (text.starts_with(path + " ")) return text.substr(path.size() + 1);
    }
    return "";
  }
};

constexpr const char* kYaml = R"(version: 1
site: "${SITE}"
stores:
  east:
    type: s3
    endpoint: http://127.0.0.1:9001
    access_key_id: "${EAST_ID}"
    secret_access_key: "${EAST_SECRET}"
  far: { type: s3, provider: r2, account: abc, profile: far }
  kept: { type: s3, credentials: "secretsmanager:far/keys", region: eu-west-1 }
  aws: { type: s3, role_arn: "arn:aws:iam::123456789012:role/x", external_id: HUSH4, accelerate: true }
state: postgresql://me:HUSH2@db.test/jobs
rules:
  - id: logs
    source: east:logs/
    seal_key: HUSH-HUSH-HUSH-HUSH
    deletes: true
    batch: { count: 7 }
    targets: [{ to: "far:copy/", staging: "far:staging/" }]
traces: { otlp: "http://c:4318", headers: { x-key: HUSH6 } }
alarms:
  webhook: "https://h.test/HUSH7"
  email: { to: a@b.c, from: d@e.f, server: s.test, username: u, password: HUSH8 }
)";

// "Why does it go there?" is answered by the line or the variable that says so.
TEST_F(ConfigShowTest, SaysWhereEachValueCameFrom) {
  WriteFile("c.yaml", kYaml);
  WriteFile("home/.aws/config",
            "[default]\nregion = ap-east-1\nmax_attempts = 4\nrole_arn = arn:aws:iam::1:role/r\n"
            "source_profile = keys\n[profile keys]\naws_access_key_id = K\n"
            "aws_secret_access_key = HUSH3\n[profile far]\ncredential_process = /bin/true\n");
  console.environment["SITE"] = "here";
  console.environment["EAST_ID"] = "AKIAEAST";
  console.environment["EAST_SECRET"] = "HUSH1";
  console.environment["AWS_USE_DUALSTACK_ENDPOINT"] = "true";
  console.environment["HTTPS_PROXY"] = "http://u:HUSH5@proxy.test:3128";
  console.environment["LONGHAUL_MEMORY"] = "300MiB";
  ASSERT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
  const std::string file = folder.file("c.yaml");
  EXPECT_EQ(Line("site"), "here " + file + ":2 from SITE");
  EXPECT_EQ(Line("memory"), "300MiB LONGHAUL_MEMORY");
  EXPECT_EQ(Line("state"), "(hidden) " + file + ":12");
  EXPECT_EQ(Line("queue"), "sqlite:" + folder.file("longhaul.db") + " default");
  EXPECT_EQ(Line("stores.east.access_key_id"), "AKIAEAST " + file + ":7 from EAST_ID");
  EXPECT_EQ(Line("stores.east.secret_access_key"), "(hidden) " + file + ":8 from EAST_SECRET");
  EXPECT_EQ(Line("stores.east.region"), "us-east-1 default");
  EXPECT_EQ(Line("stores.east.max_attempts"), "10 default");  // Its keys are its own.
  EXPECT_EQ(Line("stores.far.endpoint"), "https://abc.r2.cloudflarestorage.com provider");
  EXPECT_EQ(Line("stores.far.credentials"),
            "profile 'far' (credential_process) the store's profile");
  EXPECT_EQ(Line("stores.kept.credentials"), "secretsmanager:far/keys " + file + ":10");
  EXPECT_EQ(Line("stores.aws.endpoint"), "AWS default");
  EXPECT_EQ(Line("stores.aws.region"), "ap-east-1 profile 'default'");
  EXPECT_EQ(Line("stores.aws.max_attempts"), "4 profile 'default'");
  EXPECT_EQ(Line("stores.aws.use_dualstack_endpoint"), "true AWS_USE_DUALSTACK_ENDPOINT");
  EXPECT_EQ(Line("stores.aws.accelerate"), "true " + file + ":11");
  EXPECT_EQ(Line("stores.east.accelerate"), "false default");
  EXPECT_EQ(Line("traces.otlp"), "http://c:4318 " + file + ":20");
  EXPECT_EQ(Line("traces.headers.x-key"), "(hidden) " + file + ":20");
  EXPECT_EQ(Line("alarms.webhook"), "(hidden) " + file + ":22");
  EXPECT_EQ(Line("alarms.email.password"), "(hidden) " + file + ":23");
  EXPECT_EQ(Line("alarms.email.username"), "u " + file + ":23");
  EXPECT_EQ(Line("rules[0].intake.webhook"), "true default");
  EXPECT_EQ(Line("rules[0].intake.inventory"), "none default");
  EXPECT_EQ(Line("stores.aws.https_proxy"), "(hidden) HTTPS_PROXY");
  EXPECT_EQ(Line("stores.aws.no_proxy"), "none default");
  EXPECT_EQ(Line("stores.aws.credentials"),
            "profile 'default' (role_arn) the chain of the AWS SDKs");
  EXPECT_EQ(Line("rules[0].deletes"), "true " + file + ":17");
  EXPECT_EQ(Line("rules[0].batch.count"), "7 " + file + ":18");
  EXPECT_EQ(Line("rules[0].batch.bytes"), "256MiB default");
  EXPECT_EQ(Line("rules[0].targets[0].to"), "far:copy/ " + file + ":19");
  EXPECT_EQ(Line("rules[0].delete_guard.share"), "0.25 default");
  EXPECT_EQ(console.out.find("HUSH"), std::string::npos) << console.out;

  ASSERT_EQ(Run({"config", "show", "--memory", "1GiB", "--origin", "--json"}), 0);
  EXPECT_NE(
      console.out.find(R"("path":"memory","value":"1GiB","hidden":false,"origin":"--memory")"),
      std::string::npos)
      << console.out;
  EXPECT_EQ(console.out.find("HUSH"), std::string::npos) << console.out;
}

// "Which queue is that?" is answered as "which bucket?" is.
TEST_F(ConfigShowTest, QueuesTablesAndRolesAreThereToo) {
  WriteFile("c.yaml", R"(version: 1
site: here
stores:
  east: { type: s3, role_arn: "arn:aws:iam::123456789012:role/x" }
  far: { type: s3, profile: far }
  own: { type: s3, access_key_id: K, secret_access_key: HUSH1, role_arn: "arn:aws:iam::1:role/x" }
queue: sqs:haul
state: "dynamodb:longhaul-state?region=eu-west-3&endpoint=http://127.0.0.1:8000"
rules:
  - id: logs
    source: east:logs/
    seal_key: HUSH-HUSH-HUSH-HUSH
    intake: { sqs: "q-events?profile=p1" }
    targets: [{ to: "far:copy/", staging: "far:staging/" }]
)");
  WriteFile("home/.aws/config",
            "[default]\nservices = loc\n[services loc]\nsts =\n  endpoint_url = http://sts.test\n"
            "[profile p1]\nregion = us-west-2\naws_access_key_id = K\n"
            "aws_secret_access_key = HUSH3\nuse_dualstack_endpoint = true\n"
            "[profile far]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = p1\n"
            "use_fips_endpoint = true\n");
  console.environment["AWS_REGION"] = "eu-west-1";
  console.environment["AWS_ENDPOINT_URL_SQS"] = "http://127.0.0.1:9324/";
  console.environment["AWS_MAX_ATTEMPTS"] = "3";
  console.environment["AWS_ACCESS_KEY_ID"] = "A";
  console.environment["AWS_SECRET_ACCESS_KEY"] = "HUSH2";
  console.environment["HTTPS_PROXY"] = "http://u:HUSH5@proxy.test:3128";
  ASSERT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
  const std::string file = folder.file("c.yaml");
  EXPECT_EQ(Line("queue"), "sqs:haul " + file + ":7");
  EXPECT_EQ(Line("queue.endpoint"), "http://127.0.0.1:9324 AWS_ENDPOINT_URL_SQS");
  EXPECT_EQ(Line("queue.region"), "eu-west-1 AWS_REGION");
  EXPECT_EQ(Line("queue.credentials"), "AWS_ACCESS_KEY_ID the chain of the AWS SDKs");
  EXPECT_EQ(Line("queue.max_attempts"), "3 AWS_MAX_ATTEMPTS");
  EXPECT_EQ(Line("queue.ca_bundle"), "that of the system default");
  EXPECT_EQ(Line("queue.https_proxy"), "(hidden) HTTPS_PROXY");
  EXPECT_EQ(Line("state.endpoint"), "http://127.0.0.1:8000 " + file + ":8");
  EXPECT_EQ(Line("state.region"), "eu-west-3 " + file + ":8");
  EXPECT_EQ(Line("state.use_fips_endpoint"), "false default");
  EXPECT_EQ(Line("rules[0].intake.sqs.endpoint"), "http://127.0.0.1:9324 AWS_ENDPOINT_URL_SQS");
  EXPECT_EQ(Line("rules[0].intake.sqs.region"), "us-west-2 profile 'p1'");
  EXPECT_EQ(Line("rules[0].intake.sqs.credentials"),
            "profile 'p1' (aws_access_key_id) " + file + ":13");
  EXPECT_EQ(Line("rules[0].intake.sqs.use_dualstack_endpoint"), "true profile 'p1'");
  EXPECT_EQ(Line("stores.east.sts.endpoint"),
            "http://sts.test services 'loc' of profile 'default'");
  EXPECT_EQ(Line("stores.far.sts.endpoint"), "https://sts-fips.eu-west-1.amazonaws.com default");
  EXPECT_EQ(Line("stores.own.sts.endpoint"), "https://sts.eu-west-1.amazonaws.com default");
  EXPECT_EQ(Line("queue.sts.endpoint"), "");
  EXPECT_EQ(console.out.find("HUSH"), std::string::npos) << console.out;

  for (const char* name : {"AWS_REGION", "AWS_MAX_ATTEMPTS", "AWS_ENDPOINT_URL_SQS"}) {
    console.environment.erase(name);
  }
  ASSERT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
  EXPECT_EQ(Line("queue.endpoint"), "AWS default");
  EXPECT_EQ(Line("queue.region"), "none default");
  EXPECT_EQ(Line("queue.max_attempts"), "8 default");
}

TEST_F(ConfigShowTest, WithoutAConfigurationTheEnvironmentIsShown) {
  console.environment.erase("LONGHAUL_CONFIG");
  console.environment["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:9001/";
  console.environment["AWS_ACCESS_KEY_ID"] = "A";
  console.environment["AWS_SECRET_ACCESS_KEY"] = "HUSH";
  console.environment["AWS_REGION"] = "eu-west-1";
  ASSERT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
  EXPECT_EQ(Line("s3:// endpoint"), "http://127.0.0.1:9001 AWS_ENDPOINT_URL_S3");
  EXPECT_EQ(Line("s3:// addressing"), "path default");
  EXPECT_EQ(Line("s3:// region"), "eu-west-1 AWS_REGION");
  EXPECT_EQ(Line("s3:// credentials"), "AWS_ACCESS_KEY_ID the chain of the AWS SDKs");
  EXPECT_EQ(console.out.find("HUSH"), std::string::npos);
  ASSERT_EQ(Run({"config", "show"}), 0);
  EXPECT_EQ(Line("s3:// region"), "eu-west-1");
  console.environment["AWS_MAX_ATTEMPTS"] = "none";
  EXPECT_EQ(Run({"config", "show"}), 2);
  EXPECT_NE(console.error.find("AWS_MAX_ATTEMPTS"), std::string::npos) << console.error;
}

// Each place of the chain, without asking any.
TEST_F(ConfigShowTest, EachSourceOfCredentialsIsNamed) {
  console.environment.erase("LONGHAUL_CONFIG");
  const auto shown = [this](const std::map<std::string, std::string>& more,
                            const std::string& config) {
    const std::map<std::string, std::string> before = console.environment;
    console.environment.insert(more.begin(), more.end());
    WriteFile("home/.aws/config", config);
    EXPECT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
    console.environment = before;
    const std::string said = Line("s3:// credentials");
    return said.substr(0, said.find(" the chain"));
  };
  EXPECT_EQ(shown({}, ""), "the role of the EC2 instance, where there is one");
  EXPECT_EQ(Line("s3:// sts.endpoint"), "");
  EXPECT_EQ(shown({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"}}, ""),
            "AWS_CONTAINER_CREDENTIALS_…_URI");
  EXPECT_EQ(shown({{"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"},
                   {"AWS_ROLE_ARN", "arn:aws-cn:iam::1:role/pod"}},
                  ""),
            "AWS_WEB_IDENTITY_TOKEN_FILE");
  EXPECT_EQ(Line("s3:// sts.endpoint"), "https://sts.cn-north-1.amazonaws.com.cn default");
  EXPECT_EQ(shown({},
                  "[default]\nsso_start_url = https://c.test\nsso_region = eu-west-1\n"
                  "sso_account_id = 1\nsso_role_name = R\n"),
            "profile 'default' (sso_start_url)");
  EXPECT_EQ(shown({}, "[default]\ncredential_process = /bin/false\n"),
            "profile 'default' (credential_process)");
  EXPECT_EQ(shown({},
                  "[default]\nrole_arn = arn:aws:iam::1:role/r\nregion = eu-west-2\n"
                  "credential_source = Ec2InstanceMetadata\n"),
            "profile 'default' (role_arn)");
  EXPECT_EQ(Line("s3:// sts.endpoint"), "https://sts.eu-west-2.amazonaws.com default");
}

// Which login counts, and which file says so, must not be found out by a 403.
TEST_F(ConfigShowTest, TheLoginOfAPersonIsNamedWithItsFile) {
  console.environment.erase("LONGHAUL_CONFIG");
  const std::string config = folder.file("home/.aws/config");
  WriteFile("home/.aws/config",
            "[sso-session corp]\nsso_start_url = https://corp.test/start\nsso_region = eu-west-1\n"
            "[default]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Mover\n"
            "[profile old]\nsso_start_url = https://old.test/start\nsso_region = us-west-2\n"
            "sso_account_id = 2\nsso_role_name = R\n"
            "[profile far]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = old\n"
            "[profile keys]\nsso_session = corp\naws_access_key_id = K\n"
            "aws_secret_access_key = HUSH\n");
  WriteFile("home/.aws/credentials", "[old]\nsso_region = us-east-2\n");
  // The SHA-1 of "corp", as the AWS CLI names it.
  const std::string token = "home/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
  WriteFile(token, R"({"accessToken":"HUSH"})");
  ASSERT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
  EXPECT_EQ(Line("s3:// sso.session"), "corp profile 'default' in " + config);
  EXPECT_EQ(Line("s3:// sso.start_url"), "https://corp.test/start sso-session 'corp' in " + config);
  EXPECT_EQ(Line("s3:// sso.region"), "eu-west-1 sso-session 'corp' in " + config);
  EXPECT_EQ(Line("s3:// sso.account_id"), "111122223333 profile 'default' in " + config);
  EXPECT_EQ(Line("s3:// sso.role_name"), "Mover profile 'default' in " + config);
  EXPECT_EQ(Line("s3:// sso.token"), "(hidden) " + folder.file(token));

  // The older form, by way of a role; the credentials file wins.
  console.environment["AWS_PROFILE"] = "far";
  ASSERT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
  EXPECT_EQ(Line("s3:// sso.session"), "");
  EXPECT_EQ(Line("s3:// sso.start_url"), "https://old.test/start profile 'old' in " + config);
  EXPECT_EQ(Line("s3:// sso.region"),
            "us-east-2 profile 'old' in " + folder.file("home/.aws/credentials"));
  // Keys come first, in a profile and before it.
  console.environment["AWS_PROFILE"] = "keys";
  ASSERT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
  EXPECT_FALSE(console.out.contains("sso.")) << console.out;
  console.environment.erase("AWS_PROFILE");
  console.environment["AWS_ACCESS_KEY_ID"] = "A";
  console.environment["AWS_SECRET_ACCESS_KEY"] = "HUSH";
  ASSERT_EQ(Run({"config", "show", "--origin"}), 0) << console.error;
  EXPECT_FALSE(console.out.contains("sso.")) << console.out;
  EXPECT_FALSE(console.out.contains("HUSH")) << console.out;
}

// Two answers to one question, or one that names nothing, must not be found out by a 403.
TEST_F(ConfigShowTest, KeptCredentialsAreChecked) {
  for (const char* fields : {"credentials: \"vault:x\"", "credentials: \"ssm:x\", profile: y",
                             "credentials: \"ssm:x\", access_key_id: a, secret_access_key: b",
                             "credentials: \"ssm:x\", anonymous: true"}) {
    WriteFile("c.yaml", "version: 1\nstores:\n  x: { type: s3, " + std::string(fields) + " }\n");
    EXPECT_EQ(Run({"config", "check"}), 2) << fields;
  }
  WriteFile("c.yaml", "version: 1\nstores:\n  x: { type: s3, credentials: \"ssm:/a/b\" }\n");
  EXPECT_EQ(Run({"config", "check"}), 0) << console.error;
  EXPECT_NE(console.out.find("keys of ssm:/a/b"), std::string::npos) << console.out;
}

}  // namespace
}  // namespace longhaul
