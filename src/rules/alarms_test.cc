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
