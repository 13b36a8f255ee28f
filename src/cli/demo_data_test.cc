#include "cli/demo_data.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace longhaul {
namespace {

// A demonstration whose data is all alike, or never overwritten, shows less than it claims.
TEST(DemoData, HasSeveralKindsAndOverwrites) {
  SeededRandom random(1);
  DemoData data(random);
  std::map<std::string, std::set<std::string>> bodies_of;
  std::set<std::string> kinds;
  for (int i = 0; i < 200; ++i) {
    DemoObject object = data.Next();
    kinds.insert(object.kind);
    bodies_of[object.key].insert(object.body);
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"csv", "events", "log", "random"}));
  size_t overwritten = 0;
  for (const auto& [key, bodies] : bodies_of) overwritten += bodies.size() > 1 ? 1 : 0;
  EXPECT_GE(overwritten, 5U);
}

}  // namespace
}  // namespace longhaul
