// What the commands of a backup say of a vault that is not whole.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backup/prune_note.h"
#include "tests/support/commands.h"
#include "tests/support/test_vault.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TestVault;

// The vault disk:b/v/ of the bucket "in": "a" in two states, each in its own archive.
class BackupCareTest : public testing::CommandsTest {
 protected:
  BackupCareTest() {
    for (const char* text : {"one", "a second"}) {
      names.push_back(vault.Keep({TestVault::Object("a", text, vault.now())}));
      vault.Pass(1h);
    }
    for (const std::string& key : vault.server.backend->Keys("out")) {
      WriteFile("root/b/" + key, *vault.server.backend->Find("out", key)->bytes);
    }
  }
  [[nodiscard]] std::string Archive(int i) const {
    return "root/b/" + backup::VaultArchiveKey(vault.place, names[i]);
  }
  [[nodiscard]] std::string Catalog(int i) const {
    return "root/b/" + backup::VaultCatalogKey(vault.place, names[i]);
  }
  int Backup(const std::string& command, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"backup", command, "disk:b/v/"};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }

  TestVault vault;
  std::vector<backup::VaultName> names;
};

// Whoever mistypes a bucket would take it for one that was never anything in.
TEST_F(BackupCareTest, NothingIsNotFound) {
  EXPECT_EQ(Backup("ls"), 0);
  EXPECT_THAT(console.out, HasSubstr("8 B"));
  EXPECT_EQ(Backup("ls", {"--bucket", "in"}), 0);
  for (const char* command : {"ls", "verify"}) {
    EXPECT_EQ(Backup(command, {"--bucket", "inn"}), 3) << command;
    EXPECT_THAT(console.error, HasSubstr("there is no archive of 'inn'"));
  }
  EXPECT_EQ(Backup("restore", {"--bucket", "inn", "", folder.file("back/")}), 3);
  EXPECT_EQ(Backup("ls", {"--at", "1999-01-01"}), 3);
  EXPECT_THAT(console.error, HasSubstr("nothing at that time"));
  EXPECT_EQ(Backup("ls", {"b", "--at", "1999-01-01"}), 3);
  EXPECT_THAT(console.error, HasSubstr("nothing of 'b' at that time"));
}

// A bucket of millions must not be listed for one object.
TEST_F(BackupCareTest, ARestoreLooksAtWhatItMayWriteAlone) {
  WriteFile("back/other", "text");
  EXPECT_EQ(Backup("restore", {"--json", "a", folder.file("back/")}), 0) << console.error;
  EXPECT_EQ(ReadFile("back/a"), "a second");
  EXPECT_THAT(console.out, HasSubstr(R"("extra":0)"));
  EXPECT_EQ(Backup("restore", {"--json", "--exact", "a", folder.file("back/")}), 0);
  EXPECT_THAT(console.out, HasSubstr(R"("extra":0)"));
}

// What there was before would be given back, and nobody would know.
TEST_F(BackupCareTest, AYoungArchiveIsNotPassedOver) {
  std::filesystem::remove(folder.file(Catalog(1)));
  EXPECT_EQ(Backup("ls"), 0);
  EXPECT_THAT(console.out, HasSubstr("8 B"));
  EXPECT_EQ(Backup("restore", {"", folder.file("back/")}), 0) << console.error;
  EXPECT_EQ(ReadFile("back/a"), "a second");
  WriteFile(Archive(1), "no archive");
  EXPECT_EQ(Backup("restore", {"", folder.file("again/")}), 1);
  EXPECT_THAT(console.error, HasSubstr(names[1].ulid));
  EXPECT_THAT(console.error, HasSubstr("run the same again"));
  EXPECT_EQ(ReadFile("again/a"), "");
}

// A script must not take an answer for the state that it has asked for.
TEST_F(BackupCareTest, ATimeFromBeforeAPruneIsAWrongQuestion) {
  const std::string then = FormatRfc3339(vault.now() - 90min);
  EXPECT_EQ(Backup("ls", {"--at", then}), 0) << console.error;
  WriteFile("root/b/" + backup::PruneNoteKey(vault.place, "in"),
            R"({"pruned":[{"prefix":"","since":")" + FormatRfc3339(vault.now() - 1h) + R"("}]})");
  for (const char* command : {"ls", "drill"}) {
    EXPECT_EQ(Backup(command, {"--at", then}), 2) << command;
    EXPECT_THAT(console.error,
                HasSubstr("the earliest time to ask for is " + FormatRfc3339(vault.now() - 1h)));
  }
  EXPECT_EQ(Backup("restore", {"--at", then, "", folder.file("back/")}), 2);
  EXPECT_EQ(ReadFile("back/a"), "");
  EXPECT_EQ(Backup("restore", {"", folder.file("back/")}), 0) << console.error;
  EXPECT_EQ(ReadFile("back/a"), "a second");
  EXPECT_EQ(Backup("verify"), 0) << console.error;
}

// Who is told that something is damaged, and not what to do, can only lose more.
TEST_F(BackupCareTest, WhatIsFoundComesWithItsRemedy) {
  EXPECT_EQ(Backup("verify"), 0);
  EXPECT_THAT(console.error, Not(HasSubstr("What to do")));
  const std::string sound = ReadFile(Archive(1));
  std::string damaged = sound;
  damaged[sound.size() / 4] ^= 1;
  WriteFile(Archive(1), damaged);
  EXPECT_EQ(Backup("verify"), 11);
  EXPECT_THAT(console.error, HasSubstr("What to do about damaged archives"));
  EXPECT_THAT(console.error, Not(HasSubstr("catalogs without an archive")));
  // The archive alone is moved out: the rest of the remedy is said, and it works.
  std::filesystem::remove(folder.file(Archive(1)));
  EXPECT_EQ(Backup("ls"), 1);
  EXPECT_THAT(console.error, HasSubstr("move the catalog out of the vault"));
  EXPECT_EQ(Backup("verify"), 11);
  EXPECT_THAT(console.error, HasSubstr("What to do about catalogs without an archive"));
  std::filesystem::remove(folder.file(Catalog(1)));
  EXPECT_EQ(Backup("ls"), 0);
  EXPECT_THAT(console.out, HasSubstr("3 B"));
  EXPECT_EQ(Backup("verify"), 0);
}

}  // namespace
}  // namespace longhaul
