#include "cli/backup_common.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What has just been kept is not listed yet, and a list without it must not look complete.
TEST(VaultTroublesTest, SaysHowManyArchivesAreTooYoung) {
  testing::TestConsole console;
  Output output(console, false, false);
  VaultTroubles troubles(output);
  troubles.Finish();
  EXPECT_THAT(console.error, IsEmpty());
  troubles.counted.archives = 2;
  troubles.Finish();
  EXPECT_THAT(console.error, HasSubstr("2 archives of the last 10 minutes have no catalog yet"));
  EXPECT_THAT(console.out, IsEmpty());
  EXPECT_FALSE(troubles.may_miss()) << "that passes by itself: no failure";
}

class BackupHelpTest : public testing::CommandsTest {};

// "[ADDRESS|PREFIX|TARGET...]" says neither how many there are nor which may be left out.
TEST_F(BackupHelpTest, TheSynopsisSaysWhatStandsWhere) {
  const std::pair<const char*, const char*> kSynopses[] = {
      {"restore", "{ADDRESS | --rule ID} PREFIX TARGET\n"},
      {"ls", "{ADDRESS | --rule ID} [PREFIX]\n"},
      {"versions", "{ADDRESS | --rule ID} KEY\n"},
      {"verify", "{ADDRESS | --rule ID}\n"}};
  for (const auto& [command, synopsis] : kSynopses) {
    ASSERT_EQ(Run({"backup", command, "--help"}), 0);
    const std::string line = "longhaul backup " + std::string(command) + " [OPTION]... " + synopsis;
    EXPECT_THAT(console.out, HasSubstr(line));
    EXPECT_THAT(console.out, ::testing::Not(HasSubstr("|PREFIX")));
  }
  EXPECT_EQ(Run({"backup", "restore", "disk:a/"}), 2);
  EXPECT_THAT(console.error, HasSubstr("give ADDRESS, PREFIX and TARGET"));
}

}  // namespace
}  // namespace longhaul
