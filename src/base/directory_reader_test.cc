#include "base/directory_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string>

#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using testing::TempDir;

std::map<std::string, unsigned char> TypesIn(DirectoryReader& reader) {
  std::map<std::string, unsigned char> types;
  while (const dirent* entry = reader.Next()) types[entry->d_name] = reader.TypeOf(*entry);
  return types;
}

TEST(DirectoryReaderTest, TellsEachNameAndItsType) {
  TempDir folder;
  folder.Write("a", "1");
  folder.Write("below/b", "2");
  ASSERT_EQ(::symlink("a", folder.file("link").c_str()), 0);
  const std::map<std::string, unsigned char> all = {
      {"a", DT_REG}, {"below", DT_DIR}, {"link", DT_LNK}};

  DirectoryReader by_path(folder.path());
  EXPECT_EQ(TypesIn(by_path), all);
  EXPECT_EQ(by_path.error(), 0);

  const int fd = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int time = 0; time < 2; ++time) {  // The caller's is not moved.
    DirectoryReader by_fd(fd);
    EXPECT_EQ(TypesIn(by_fd), all);
    EXPECT_EQ(by_fd.error(), 0);
  }
  ::close(fd);
}

// File systems that do not put the type beside the name.
TEST(DirectoryReaderTest, AsksForATypeThatIsNotTold) {
  TempDir folder;
  folder.Write("below/b", "2");
  DirectoryReader reader(folder.path());
  dirent entry = *reader.Next();
  entry.d_type = DT_UNKNOWN;
  EXPECT_EQ(reader.TypeOf(entry), DT_DIR);
  ASSERT_EQ(::unlink(folder.file("below/b").c_str()), 0);
  ASSERT_EQ(::rmdir(folder.file("below").c_str()), 0);
  EXPECT_EQ(reader.TypeOf(entry), DT_UNKNOWN);
  EXPECT_EQ(errno, ENOENT);
}

TEST(DirectoryReaderTest, WhatCannotBeOpenedIsAnError) {
  TempDir folder;
  folder.Write("a", "1");
  DirectoryReader missing(folder.file("none"));
  EXPECT_EQ(missing.Next(), nullptr);
  EXPECT_EQ(missing.error(), ENOENT);
  DirectoryReader file(folder.file("a"));
  EXPECT_EQ(file.Next(), nullptr);
  EXPECT_EQ(file.error(), ENOTDIR);
  DirectoryReader closed(-1);
  EXPECT_EQ(closed.Next(), nullptr);
  EXPECT_EQ(closed.error(), EBADF);
}

// A folder that fails half way must not read as one that holds less.
TEST(DirectoryReaderTest, AnErrorIsNotTheEnd) {
  TempDir folder;
  folder.Write("a", "1");
  DirectoryReader reader(folder.path());
  // What lies under it is a file now, as if the disk had failed.
  const int file = ::open(folder.file("a").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::dup2(file, reader.fd()), reader.fd());
  ::close(file);
  EXPECT_EQ(reader.Next(), nullptr);
  EXPECT_EQ(reader.error(), ENOTDIR);
}

}  // namespace
}  // namespace longhaul
