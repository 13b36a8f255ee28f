#include "archive/manifest.h"

#include <gtest/gtest.h>

#include "tests/support/archive.h"

namespace longhaul {
namespace {

constexpr char kParent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

// Processes are upgraded one after the other: what one writes the others must read.
TEST(ManifestTest, OlderAndNewerVersionsUnderstandEachOther) {
  ArchiveManifest manifest = testing::TestManifest();
  const std::string before = archive::WriteManifest(manifest);
  EXPECT_EQ(before.find("traceparent"), std::string::npos) << "as older versions write it";
  EXPECT_EQ(*archive::ParseManifest(before), manifest);
  EXPECT_EQ(before.find("targets"), std::string::npos);
  EXPECT_TRUE(manifest.IsFor("any"));
  manifest.targets = {"west", "\"south\""};
  EXPECT_TRUE(manifest.IsFor("west"));
  EXPECT_FALSE(manifest.IsFor("north"));
  EXPECT_EQ(*archive::ParseManifest(archive::WriteManifest(manifest)), manifest);
  manifest.traceparent = kParent;
  const std::string traced = archive::WriteManifest(manifest);
  EXPECT_EQ(archive::ParseManifest(traced)->traceparent, kParent);
  EXPECT_EQ(*archive::ParseManifest(traced), manifest);
  // An older version passes over what it does not know, of whichever form, as this one does.
  std::string newer = traced;
  newer.insert(1, R"("tracestate":{"a":[1,{"b":null}]},"more":"x",)");
  EXPECT_EQ(*archive::ParseManifest(newer), manifest);
}

}  // namespace
}  // namespace longhaul
