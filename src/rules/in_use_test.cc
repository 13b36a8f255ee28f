#include "rules/in_use.h"

#include <gtest/gtest.h>

#include "rules/configuration.h"

namespace longhaul {
namespace {

// Two stores may be of one disk: by a folder, and by the root of all.
TEST(InUse, TheRootOfAllHoldsAllFolders) {
  StoreSettings disk{.name = "disk", .type = StoreType::kFile, .root = "/srv/objects"};
  StoreSettings all{.name = "all", .type = StoreType::kFile, .root = "/"};
  const KeySpace source = SpaceOf(disk, {.store = "disk", .bucket = "logs", .prefix = ""});
  EXPECT_EQ(source.path, "/srv/objects/logs/");
  const Address same{.store = "all", .bucket = "srv", .prefix = "objects/logs/copy/"};
  EXPECT_EQ(SpaceOf(all, same).path, "/srv/objects/logs/copy/");
  EXPECT_TRUE(Meet(source, SpaceOf(all, same)));
  EXPECT_FALSE(Meet(source, SpaceOf(all, {.store = "all", .bucket = "srv", .prefix = "other/"})));
}

}  // namespace
}  // namespace longhaul
