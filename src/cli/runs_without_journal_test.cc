// Where runs are kept, and what is said where none is.

#include <gtest/gtest.h>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

class RunsWithoutJournalTest : public testing::CommandsTest {
 protected:
  RunsWithoutJournalTest() {
    console.environment["LONGHAUL_STATE"] = folder.file("state.db");
    WriteFile("in/x", "1");
    WriteFile("two/y", "2");
    WriteFile("names", "x\n");
  }
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
};

// Whoever has to stop such a run must know that before.
TEST_F(RunsWithoutJournalTest, ItIsSaid) {
  const std::string in = folder.file("in");
  const std::string out = folder.file("out/");
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"sync", in, out, "--save-listing", folder.file("kept")},
        {"sync", in, out, "--files-from", "/dev/null"},
        {"sync", in, out, "--save-target-listing", folder.file("there")},
        {"cp", "-r", in, out, "--save-listing", folder.file("again")},
        {"cp", "-r", in, folder.file("two"), out}}) {
    EXPECT_EQ(Run(words), 0) << console.error;
    EXPECT_TRUE(Says("this run cannot be resumed: no journal is kept with "))
        << ::testing::PrintToString(words);
  }
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"sync", in, out},
        {"sync", in, out, "--files-from", folder.file("names")},
        {"cp", "-r", in, out, "--listing", folder.file("kept")},
        {"sync", in, out, "-n", "--files-from", folder.file("names")},
        {"cp", in + "/x", out}}) {
    EXPECT_EQ(Run(words), 0) << console.error;
    EXPECT_FALSE(Says("cannot be resumed")) << ::testing::PrintToString(words);
  }
}

// A file called "postgresql:" would hold what nobody looks for there.
TEST_F(RunsWithoutJournalTest, StateIsAFile) {
  for (const std::string state : {"postgresql://u:secret@h/d", "postgres:host=h", "s3://b/k"}) {
    EXPECT_EQ(Run({"runs", "ls", "--state", state}), 2) << state;
    EXPECT_TRUE(Says("--state: a file is meant")) << console.error;
    EXPECT_FALSE(Says("secret")) << console.error;
  }
  EXPECT_EQ(Run({"runs", "ls", "--state", "sqlite:" + folder.file("a:b.db")}), 0) << console.error;
  EXPECT_EQ(Run({"runs", "ls", "--state", folder.file("a:b.db")}), 0) << console.error;
}

// The last address would be all that is left of what was listed, and of what was removed.
TEST_F(RunsWithoutJournalTest, AListingIsOfOneAddress) {
  const std::string kept = folder.file("kept");
  const std::string out = folder.file("out/");
  EXPECT_EQ(Run({"cp", "-r", folder.file("in"), folder.file("two"), out, "--save-listing", kept}),
            2);
  EXPECT_EQ(Run({"rm", "-r", folder.file("in"), folder.file("two"), "--save-listing", kept}), 2);
  EXPECT_TRUE(Says("of one address")) << console.error;
  EXPECT_EQ(Run({"rm", folder.file("in/x"), "--save-listing", kept}), 2);
  EXPECT_EQ(Run({"rm", "-r", "--versions", "disk:a/", "--save-listing", kept}), 2);
  EXPECT_EQ(ReadFile("in/x"), "1");
  EXPECT_FALSE(std::filesystem::exists(kept));
}

TEST_F(RunsWithoutJournalTest, AReportThatIsNotThereIsNoRun) {
  EXPECT_EQ(Run({"sync", "--retry-failed", "nofile.jsonl", folder.file("in"), folder.file("out")}),
            2);
  EXPECT_TRUE(Says("cannot read the report 'nofile.jsonl'")) << console.error;
  EXPECT_EQ(Run({"sync", "--retry-failed", "01XX", folder.file("in"), folder.file("out")}), 3);
}

}  // namespace
}  // namespace longhaul
