// Archives of every released version stay readable: tests/golden holds them.
//
// LONGHAUL_WRITE_GOLDEN=1 writes those that are missing (and never replaces one).

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/archive.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::ArchiveItem;
using testing::FakeWorld;

const SealKey kSealKey{.id = "golden", .secret = "a key for the golden files"};

struct Golden {
  std::string name;
  std::vector<ArchiveItem> items;
  ArchiveOptions options;
  ArchiveKind kind = ArchiveKind::kBundle;
};

std::vector<Golden> Goldens() {
  std::vector<Golden> goldens;
  goldens.push_back({.name = "v1-small.tar.zst",
                     .items = {testing::Put("hello.txt", "Hello, archive!\n")},
                     .options = {}});
  goldens.push_back({.name = "v1-bundle.tar.zst",
                     .items = testing::Everything(),
                     .options = {.frame_size_bytes = 128 << 10}});
  goldens.push_back({.name = "v1-sealed.tar.zst",
                     .items = {testing::Put("a", "sealed"), testing::Put("b", "sealed too")},
                     .options = {.seal = kSealKey}});
  // Over 64 MiB, so that the keys stand in the index and the object spans frames.
  goldens.push_back({.name = "v1-single.tar.zst",
                     .items = {testing::Put("large/zeros.bin", std::string(65 << 20, '\0'))},
                     .options = {},
                     .kind = ArchiveKind::kSingle});
  return goldens;
}

std::filesystem::path PathOf(const Golden& golden) {
  return std::filesystem::path("tests/golden") / golden.name;  // Tests run in the source tree.
}

std::string Load(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return std::move(bytes).str();
}

// Otherwise an update of longhaul would strand the archives that are under way, and old backups.
TEST(Golden, ArchivesOfEveryVersionAreRead) {
  for (const Golden& golden : Goldens()) {
    SCOPED_TRACE(golden.name);
    FakeWorld world(1, 512 << 20);
    ArchiveManifest manifest = testing::TestManifest();
    manifest.kind = golden.kind;
    const auto path = PathOf(golden);
    if (std::getenv("LONGHAUL_WRITE_GOLDEN") != nullptr && !std::filesystem::exists(path)) {
      testing::MemorySink sink;
      ASSERT_TRUE(world.Run(
          testing::WriteArchive(world.runtime, golden.items, golden.options, sink, manifest)));
      std::ofstream(path, std::ios::binary) << sink.bytes;
    }
    ReaderOptions options;
    if (golden.options.seal) options.seal_keys.push_back(kSealKey);
    const auto opened = world.Run(testing::ReadWholeArchive(world.runtime, Load(path), options));
    ASSERT_TRUE(opened) << opened.error().Describe();
    EXPECT_EQ(opened->manifest, manifest);
    ASSERT_EQ(opened->entries.size(), golden.items.size());
    for (size_t i = 0; i < golden.items.size(); ++i) {
      EXPECT_EQ(opened->entries[i], golden.items[i].entry) << i;
      EXPECT_TRUE(opened->contents[i] == golden.items[i].content) << i;
    }
  }
}

}  // namespace
}  // namespace longhaul
