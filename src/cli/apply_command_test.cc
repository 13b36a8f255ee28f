// Plans as `sync --plan` writes them and `apply` does them.

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/sync_commands.h"

namespace longhaul {
namespace {

using testing::SyncCommandTest;

TEST_F(SyncCommandTest, PlanAndApply) {
  WriteFile("in/x", "1");
  WriteFile("in/y", "1");
  WriteFile("root/a/extra", "1");
  ASSERT_EQ(Run({"sync", "--delete", "--plan", folder.file("plan"), folder.file("in"), "disk:a"}),
            0)
      << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/x")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/extra")));
  ASSERT_EQ(Run({"apply", folder.file("plan")}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/extra")));
  // Once more, as after a kill: all of it is done.
  EXPECT_EQ(Run({"apply", folder.file("plan")}), 0) << console.error;
  // Somebody else's.
  WriteFile("root/a/x", "2");
  EXPECT_EQ(Run({"apply", folder.file("plan")}), 1);
  EXPECT_EQ(ReadFile("root/a/x"), "2");
  EXPECT_TRUE(Says("has changed since the plan")) << console.error;
  // A plan that was cut.
  std::filesystem::resize_file(folder.file("plan"),
                               std::filesystem::file_size(folder.file("plan")) - 10);
  EXPECT_EQ(Run({"apply", folder.file("plan")}), 2);
  EXPECT_EQ(Run({"apply", folder.file("none")}), 2);
}

// A plan that was made for one place must not be done at another that its addresses have come to
// mean: what is new there, it would take for new here.
TEST_F(SyncCommandTest, APlanIsOfItsPlaces) {
  const auto disk_at = [this](const std::string& root) {
    WriteFile("c.yaml", "version: 1\nstores:\n  disk: { type: file, root: " + root + " }\n");
  };
  WriteFile("in/x", "1");
  WriteFile("root/b/y", "2");
  std::filesystem::create_directories(folder.file("other/a"));
  std::filesystem::create_directories(folder.file("other/b"));
  std::filesystem::create_directories(folder.file("other/old"));
  std::filesystem::create_directories(folder.file("root/old"));
  const std::string plan = folder.file("plan");
  const auto refused = [&] {
    const bool told = Run({"apply", plan}) == 2 && Says("the plan was made when 'disk:") &&
                      Says("root/") && Says("and now it is at folder ");
    return told;
  };
  ASSERT_EQ(Run({"sync", "--plan", plan, folder.file("in"), "disk:a"}), 0) << console.error;
  disk_at("other");
  EXPECT_TRUE(refused()) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("other/a/x")));
  disk_at("root");
  EXPECT_EQ(Run({"apply", plan}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  // The source as well.
  ASSERT_EQ(Run({"sync", "--plan", plan, "disk:b", folder.file("out")}), 0) << console.error;
  disk_at("other");
  EXPECT_TRUE(refused()) << console.error;
  disk_at("root");
  EXPECT_EQ(Run({"apply", plan}), 0) << console.error;
  EXPECT_EQ(ReadFile("out/y"), "2");
  // And where things are set aside.
  WriteFile("in/x", "33");
  WriteFile("there/x", "2");
  std::filesystem::create_directories(folder.file("aside"));
  std::filesystem::create_directories(folder.file("beside"));
  std::filesystem::create_directory_symlink(folder.file("aside"), folder.file("link"));
  const std::string link = folder.file("link/");
  ASSERT_EQ(
      Run({"sync", "--plan", plan, "--backup-dir", link, folder.file("in"), folder.file("there")}),
      0)
      << console.error;
  std::filesystem::remove(folder.file("link"));
  std::filesystem::create_directory_symlink(folder.file("beside"), folder.file("link"));
  EXPECT_EQ(Run({"apply", plan}), 2);
  EXPECT_TRUE(Says("was at folder " + folder.file("aside/"))) << console.error;
  EXPECT_EQ(ReadFile("there/x"), "2");
}

TEST_F(SyncCommandTest, APlanSetsAsideWhatItReplacesAndRemoves) {
  WriteFile("in/x", "new and longer");
  WriteFile("there/x", "old");
  WriteFile("there/y", "only there");
  const std::string plan = folder.file("plan");
  ASSERT_EQ(Run({"sync", "--delete", "--plan", plan, "--backup-dir", folder.file("aside"),
                 folder.file("in"), folder.file("there")}),
            0)
      << console.error;
  EXPECT_EQ(Run({"apply", plan}), 0) << console.error;
  EXPECT_EQ(ReadFile("there/x"), "new and longer");
  EXPECT_EQ(ReadFile("aside/x"), "old");
  EXPECT_EQ(ReadFile("aside/y"), "only there");
  EXPECT_FALSE(std::filesystem::exists(folder.file("there/y")));
}

// A plan is what a guard has let pass.
TEST_F(SyncCommandTest, AGuardRefusesThePlan) {
  WriteFile("in/x", "1");
  WriteFile("root/a/extra", "1");
  ASSERT_EQ(Run({"sync", "--delete", "--max-delete", "0", "--plan", folder.file("plan"),
                 folder.file("in"), "disk:a"}),
            12);
  EXPECT_EQ(Run({"apply", folder.file("plan")}), 2);
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/extra")));
}

// What a plan removes though the source has it is what the filters leave out, and is told so.
TEST_F(SyncCommandTest, APlanRemovesWhatIsExcluded) {
  WriteFile("in/x", "1");
  WriteFile("in/y", "1");
  WriteFile("root/a/x", "1");
  WriteFile("root/a/z", "1");
  const std::string plan = folder.file("plan");
  ASSERT_EQ(Run({"sync", "--delete", "--delete-excluded", "--exclude", "x", "--plan", plan,
                 folder.file("in"), "disk:a"}),
            0)
      << console.error;
  WriteFile("in/z", "1");
  EXPECT_EQ(Run({"apply", plan}), 1) << console.error;
  EXPECT_TRUE(Says("the source has it by now")) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/x")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/y")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/z")));
}

}  // namespace
}  // namespace longhaul
