// Anyone's tar and zstd must unpack what longhaul writes: that is what people fall back on.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "archive/member_path.h"
#include "tests/support/archive.h"
#include "tests/support/run.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

namespace fs = std::filesystem;
using testing::ArchiveItem;
using testing::RealWorld;

std::string Load(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return std::move(bytes).str();
}

bool Has(const std::string& tool) {
  return std::system(("command -v " + tool + " >/dev/null 2>&1").c_str()) == 0;
}

class Tools : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "longhaul-tools-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Unpacks with each tool and compares every file with what the entry says.
  void ExpectUnpacks(const std::vector<ArchiveItem>& items, ArchiveOptions options) {
    testing::MemorySink sink;
    ASSERT_TRUE(world_.Run(testing::WriteArchive(world_.runtime, items, options, sink)));
    std::ofstream(folder_ / "a.tar.zst", std::ios::binary) << sink.bytes;
    archive::MemberPaths paths;
    std::vector<std::string> members;
    for (size_t i = 0; i < items.size(); ++i) {
      const bool put = items[i].entry.op == EntryOp::kPut;
      members.push_back(put ? paths.PathFor(items[i].entry.key, i) : "");
    }
    const std::string commands[] = {"tar --zstd -xf ../a.tar.zst", "bsdtar -xf ../a.tar.zst",
                                    "zstd -qdc ../a.tar.zst | tar -xf -"};
    for (const std::string& command : commands) {
      SCOPED_TRACE(command);
      if (!Has(command.substr(0, command.find(' '))) || !Has("zstd")) {
        ADD_FAILURE() << "install zstd and libarchive-tools: this test needs them";
        continue;
      }
      const fs::path out = folder_ / "out";
      fs::create_directory(out);
      ASSERT_EQ(std::system(("cd " + out.string() + " && " + command + " 2>../errors").c_str()), 0)
          << Load(folder_ / "errors");
      EXPECT_EQ(Load(folder_ / "errors"), "");
      for (size_t i = 0; i < items.size(); ++i) {
        if (members[i].empty()) continue;
        ASSERT_TRUE(fs::is_regular_file(out / members[i])) << members[i];
        EXPECT_TRUE(Load(out / members[i]) == items[i].content) << members[i];
      }
      EXPECT_TRUE(fs::is_regular_file(out / "longhaul/manifest.json"));
      EXPECT_TRUE(fs::is_regular_file(out / "longhaul/index.json"));
      fs::remove_all(out);
    }
  }

  RealWorld world_{512 << 20};
  fs::path folder_;
};

TEST_F(Tools, UnpackEveryKindOfKey) {
  ExpectUnpacks(testing::Everything(), {.frame_size_bytes = 128 << 10});
}

// Real files: the folder that LONGHAUL_CORPUS names, ../shared/corpus where it is there.
TEST_F(Tools, UnpackTheCorpus) {
  const char* named = std::getenv("LONGHAUL_CORPUS");
  const fs::path corpus = named != nullptr ? named : "../shared/corpus";
  if (!fs::is_directory(corpus)) GTEST_SKIP() << "no corpus at " << corpus;
  const uintmax_t size_max = testing::kSanitized ? 64 << 10 : 8 << 20;
  std::vector<ArchiveItem> items;
  for (const auto& entry : fs::recursive_directory_iterator(corpus)) {
    if (!entry.is_regular_file() || entry.file_size() > size_max) continue;
    items.push_back(testing::Put(fs::relative(entry.path(), corpus).string(), Load(entry.path())));
  }
  std::ranges::sort(items, {}, [](const ArchiveItem& item) { return item.entry.key; });
  ExpectUnpacks(items, {.level = 1});
}

}  // namespace
}  // namespace longhaul
