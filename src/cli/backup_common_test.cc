#include "cli/backup_common.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// What is advised has to do something: no catalog is written anew without its archive.
TEST(VaultTroublesTest, SaysWhatToDo) {
  testing::TestConsole console;
  Output output(console, false, false);
  VaultTroubles troubles(output);
  troubles.counted.archives = 2;
  troubles.Finish();
  EXPECT_THAT(console.error, IsEmpty()) << "young archives were read themselves";
  EXPECT_FALSE(troubles.may_miss());
  troubles.counted.orphans = 1;
  troubles.Finish();
  EXPECT_TRUE(troubles.may_miss());
  EXPECT_THAT(console.error, HasSubstr("1 catalog has its archive no more"));
  EXPECT_THAT(console.error, HasSubstr("move the catalog out of the vault"));
  EXPECT_THAT(console.error, Not(HasSubstr("--rebuild")));
  console.error.clear();
  troubles.counted = {.lines = 1};
  troubles.Finish();
  EXPECT_THAT(console.error, HasSubstr("backup catalog --rebuild"));
  EXPECT_THAT(console.error, Not(HasSubstr("move the catalog")));
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
    EXPECT_THAT(console.out, Not(HasSubstr("|PREFIX")));
  }
  EXPECT_EQ(Run({"backup", "restore", "disk:a/"}), 2);
  EXPECT_THAT(console.error, HasSubstr("give ADDRESS, PREFIX and TARGET"));
}

}  // namespace
}  // namespace longhaul
