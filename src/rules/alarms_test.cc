#include "rules/alarms.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

Result<std::optional<Alarms>> Load(const std::string& section) {
  testing::TempDir folder;
  const std::string file = folder.file("c.yaml");
  std::ofstream(file) << "version: 1\nstores:\n  disk: { type: file, root: root }\n" << section;
  return LoadAlarms(file, [](std::string_view) { return std::nullopt; });
}

TEST(AlarmsTest, NobodyIsToldUnlessTheConfigurationSaysSo) {
  Result<std::optional<Alarms>> none = Load("");
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  Result<std::optional<Alarms>> some = Load("alarms: { webhook: 'https://h/x' }\n");
  ASSERT_TRUE(some && *some);
  EXPECT_TRUE((*some)->parked && (*some)->dead_letters);
  EXPECT_FALSE((*some)->lag);
  EXPECT_EQ((*some)->store_away, 10min);
  Result<std::optional<Alarms>> all = Load(
      "alarms: { webhook: 'https://h/x', shape: slack, parked: false, lag: 15m, "
      "store_away: off }\n");
  ASSERT_TRUE(all && *all);
  EXPECT_EQ((*all)->shape, AlarmShape::kSlack);
  EXPECT_FALSE((*all)->parked);
  EXPECT_EQ((*all)->lag, 15min);
  EXPECT_FALSE((*all)->store_away);
}

TEST(AlarmsTest, MailTopicAndMoneyAreReadAsTheyAreMeant) {
  Result<std::optional<Alarms>> loaded = Load(
      "alarms:\n"
      "  email: { to: [ops@example.com, b@example.com], from: l@example.com,\n"
      "           server: 'smtp.example.com:2525', username: u, password: p }\n"
      "  sns: 'arn:aws:sns:eu-west-1:111122223333:alarms'\n"
      "  spending: { usd: 12.5, per: month }\n"
      "  at_capacity: 15m\n  drill_failed: false\n  drill_age: 35d\n");
  ASSERT_TRUE(loaded && *loaded) << loaded.error().Describe();
  const Alarms& alarms = **loaded;
  ASSERT_TRUE(alarms.mail && alarms.topic && alarms.spending);
  EXPECT_EQ(alarms.mail->server.host, "smtp.example.com");
  EXPECT_EQ(alarms.mail->server.port, 2525);
  EXPECT_EQ(alarms.mail->server.security, SmtpSecurity::kStartTls);
  EXPECT_EQ(alarms.mail->server.password.Reveal(), "p");
  EXPECT_EQ(alarms.mail->to, (std::vector<std::string>{"ops@example.com", "b@example.com"}));
  EXPECT_EQ(alarms.topic->region, "eu-west-1");
  EXPECT_EQ(alarms.spending->pico_dollars, 12'500'000'000'000);
  EXPECT_TRUE(alarms.spending->monthly);
  EXPECT_EQ(alarms.at_capacity, 15min);
  EXPECT_FALSE(alarms.drill_failed);
  EXPECT_EQ(alarms.drill_age, std::chrono::days(35));
  loaded = Load("alarms: { email: { to: a@b, from: c@d, server: '[::1]', tls: tls } }\n");
  ASSERT_TRUE(loaded && *loaded && (*loaded)->mail) << loaded.error().Describe();
  EXPECT_EQ((*loaded)->mail->server.host, "[::1]");
  EXPECT_EQ((*loaded)->mail->server.port, 465);
}

// An address that is two, or a server that is none, would be found out by the first alarm.
TEST(AlarmsTest, RefusesMailThatCannotBeSent) {
  const std::string good = "to: a@b, from: c@d, server: 'h:25'";
  for (const std::string& wrong :
       {std::string("to: a@b, from: c@d"), std::string("to: a, from: c@d, server: h"),
        std::string("to: [], from: c@d, server: h"),
        std::string("to: 'a@b>, RCPT TO:<c@d', from: c@d, server: h"),
        std::string("to: a@b, from: 'Ops <c@d>', server: h"),
        std::string("to: a@b, from: c@d, server: 'h:0'"),
        std::string("to: a@b, from: c@d, server: 'h:x'"),
        std::string("to: a@b, from: c@d, server: 'smtp://h'"), good + ", username: u",
        good + ", tls: none, username: u, password: p", good + ", tls: maybe"}) {
    EXPECT_FALSE(Load("alarms: { email: { " + wrong + " } }\n")) << wrong;
  }
  EXPECT_TRUE(Load("alarms: { email: { " + good + " } }\n"));
  EXPECT_FALSE(Load("alarms: { sns: 'arn:aws:sns:eu-west-1:111122223333:a.fifo' }\n"));
  EXPECT_FALSE(Load("alarms: { webhook: 'https://h', spending: { usd: 0, per: day } }\n"));
  EXPECT_FALSE(Load("alarms: { webhook: 'https://h', spending: { usd: 5 } }\n"));
  EXPECT_FALSE(Load("alarms: { webhook: 'https://h', spending: { usd: 5, per: week } }\n"));
}

// A secret that is mounted as a file often ends in a line end: the first alarm would find it out,
// and tell nobody.
TEST(AlarmsTest, RefusesAWebhookThatCannotBeCalledAndDoesNotShowIt) {
  for (const char* wrong : {"https://h.test/HUSH\\n", "https://u:HUSH@h.test/x", "https:///HUSH",
                            "https://h.test:HUSH/x"}) {
    Result<std::optional<Alarms>> loaded =
        Load(std::string("alarms: { webhook: \"") + wrong + "\" }\n");
    ASSERT_FALSE(loaded) << wrong;
    EXPECT_NE(loaded.error().message.find("alarms.webhook: is no URL"), std::string::npos)
        << loaded.error().message;
    EXPECT_EQ(loaded.error().message.find("HUSH"), std::string::npos) << loaded.error().message;
  }
}

// An alarm that is misspelt is one that never comes.
TEST(AlarmsTest, RefusesWhatItDoesNotKnow) {
  for (const char* wrong : {"alarms: { lag: 15m }\n", "alarms: { webhook: 'ftp://h' }\n",
                            "alarms: { webhook: 'https://h', shape: teams }\n",
                            "alarms: { webhook: 'https://h', lagg: 15m }\n",
                            "alarms: { webhook: 'https://h', lag: soon }\n"}) {
    Result<std::optional<Alarms>> loaded = Load(wrong);
    ASSERT_FALSE(loaded) << wrong;
    EXPECT_NE(loaded.error().message.find("alarms"), std::string::npos);
  }
}

}  // namespace
}  // namespace longhaul
