// What options of a migration may be: the same in a configuration and on the command line.

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

class MigrateBoundsTest : public testing::CommandsTest {
 protected:
  void Configure(const std::string& options) {
    WriteFile("c.yaml",
              "version: 1\nsite: here\nstores:\n  disk: { type: file, root: root }\nmigrations:\n"
              "  - id: nightly\n    source: disk:a/in/\n    target: disk:b/out/\n" +
                  options);
  }
};

// A run whose parts no store takes, or whose tasks never end in time, fails object by object.
TEST_F(MigrateBoundsTest, OptionsOfTheCommandHaveTheBoundsOfAConfiguration) {
  WriteFile("root/a/in/x", "1");
  struct Bounds {
    std::string option;
    std::vector<std::string> inside;
    std::vector<std::string> outside;
  };
  const std::vector<Bounds> all = {{"modify-window", {"0s", "24h"}, {"25h"}},
                                   {"tries", {"1", "100"}, {"0", "101"}},
                                   {"task-timeout", {"10s", "7d"}, {"9s", "8d"}},
                                   {"batch-count", {"1", "1000"}, {"0", "1001"}},
                                   {"batch-bytes", {"1MiB", "64GiB"}, {"0", "1023KiB", "65GiB"}},
                                   {"giant-size", {"5MiB", "5TiB"}, {"4MiB", "6TiB"}},
                                   {"range-size", {"5MiB", "1TiB"}, {"4MiB", "2TiB"}},
                                   {"part-size", {"5MiB", "5GiB"}, {"4MiB", "6GiB", "100GiB"}}};
  for (const Bounds& one : all) {
    std::string field = one.option;
    std::ranges::replace(field, '-', '_');
    for (const bool fits : {true, false}) {
      for (const std::string& value : fits ? one.inside : one.outside) {
        Configure("    options: { " + field + ": " + value + " }\n");
        EXPECT_EQ(Run({"config", "check"}), fits ? 0 : 2) << field << value << console.error;
        Configure("");
        EXPECT_EQ(Run({"migrate", "plan", "disk:a/in/", "disk:b/out/", "--" + one.option, value}),
                  fits ? 0 : 2)
            << one.option << value << console.error;
        if (!fits) {
          EXPECT_TRUE(console.error.contains("--" + one.option)) << console.error;
        }
      }
    }
  }
  EXPECT_EQ(Run({"migrate", "start", "disk:a/in/", "disk:b/out/", "--part-size", "100GiB"}), 2);
  EXPECT_TRUE(console.error.contains("--part-size: give 5MiB to 5GiB")) << console.error;
}

}  // namespace
}  // namespace longhaul
