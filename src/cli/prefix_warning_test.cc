// Prefixes that end within a name, as people meet them in `migrate` and `cache fill`.

#include "cli/prefix_warning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PrefixWarningTest : public testing::CommandsTest {
 protected:
  PrefixWarningTest() {
    std::ofstream(folder.file("c.yaml"))
        << "version: 1\nstores:\n  disk: { type: file, root: root }\n  fast: { type: file, root: "
           "fast }\nqueue: sqlite:q.db\nstate: sqlite:q.db\n";
    std::filesystem::create_directories(folder.file("fast/cache"));
    WriteFile("root/a/data/2024/x", "1");
    WriteFile("root/a/data/2024-old/x", "2");
    WriteFile("root/a/lone/x", "3");
  }
};

constexpr char kOther[] =
    "'disk:a/data/2024' is the beginning of 'data/2024-old/' too, which is taken as well: write "
    "'disk:a/data/2024/' for what lies in that folder alone";

// Who means a folder would carry another one too, and not know it.
TEST_F(PrefixWarningTest, MigrationsSayWhatElseAPrefixTakes) {
  ASSERT_EQ(Run({"migrate", "plan", "disk:a/data/2024", "disk:b/copy"}), 0) << console.error;
  EXPECT_THAT(console.error, HasSubstr(kOther));
  EXPECT_THAT(console.out, HasSubstr("listed  2 objects")) << "it is taken, as S3 has it";
  ASSERT_EQ(Run({"migrate", "start", "disk:a/data/2024", "disk:b/copy"}), 0) << console.error;
  EXPECT_THAT(console.error, HasSubstr(kOther));
  for (const char* source : {"disk:a/data/2024/", "disk:a/lone", "disk:a"}) {
    ASSERT_EQ(Run({"migrate", "plan", source, "disk:b/copy/"}), 0) << console.error;
    EXPECT_EQ(console.error, "") << source;
  }
  ASSERT_EQ(Run({"migrate", "plan", "disk:a/data/", "disk:b/copy"}), 0);
  EXPECT_THAT(console.error, HasSubstr("names stand right behind 'disk:b/copy', as "
                                       "'disk:b/copyNAME': write 'disk:b/copy/' for a folder"));
}

TEST_F(PrefixWarningTest, FillsSayWhatElseAPrefixTakes) {
  const auto fill = [this](const std::string& prefix, const std::string& to) {
    return Run({"cache", "fill", prefix, "--to", to, "--ttl", "1h"});
  };
  ASSERT_EQ(fill("disk:a/data/2024", "fast:cache"), 0) << console.error;
  EXPECT_THAT(console.error, HasSubstr(kOther));
  EXPECT_THAT(console.error, Not(HasSubstr("names stand")));
  ASSERT_EQ(fill("disk:a/lone/", "fast:cache/pre"), 0) << console.error;
  EXPECT_THAT(console.error, HasSubstr("names stand right behind 'fast:cache/pre'"));
  EXPECT_THAT(console.error, Not(HasSubstr("the beginning of")));
  // An object by its whole key is no folder.
  ASSERT_EQ(fill("disk:a/lone/x", "fast:cache"), 0) << console.error;
  EXPECT_EQ(console.error, "");
}

// A cache of ten bytes fails for each object, with a reason that nobody takes for a mistyped flag.
TEST_F(PrefixWarningTest, ABudgetWithoutAUnitIsRefused) {
  EXPECT_EQ(
      Run({"cache", "fill", "disk:a/lone/", "--to", "fast:cache", "--ttl", "1h", "--budget", "10"}),
      2);
  EXPECT_THAT(console.error, HasSubstr("write a unit, as 10GiB"));
}

// The command line is wrong, and not an object.
TEST_F(PrefixWarningTest, AMigrationWithoutTargetIsAMistake) {
  for (const char* command : {"plan", "start"}) {
    EXPECT_EQ(Run({"migrate", command, "disk:a/data/"}), 2) << console.error;
    EXPECT_THAT(console.error, HasSubstr("TARGET is missing: where 'disk:a/data/' is to be"));
    EXPECT_EQ(Run({"migrate", command, "nightly"}), 2) << console.error;
    EXPECT_THAT(console.error, HasSubstr("has no migration 'nightly'"));
  }
}

}  // namespace
}  // namespace longhaul
