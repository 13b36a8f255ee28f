#include "rules/telemetry.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

Result<Telemetry> Load(const std::string& section) {
  testing::TempDir folder;
  const std::string file = folder.file("c.yaml");
  std::ofstream(file) << "version: 1\nstores:\n  disk: { type: file, root: root }\n" << section;
  return LoadTelemetry(file, [](std::string_view) { return std::nullopt; });
}

// Who asked for nothing must not find figures among the output of a script.
TEST(TelemetryTest, IsOffUnlessTheConfigurationSaysEmf) {
  EXPECT_EQ(*Load(""), Telemetry{});
  EXPECT_FALSE(Telemetry{}.emf);
  EXPECT_EQ(*Load("metrics: emf\n"), Telemetry{.emf = true});
  EXPECT_EQ(*Load("metrics: { format: emf, namespace: my-stack }\n"),
            (Telemetry{.emf = true, .name_space = "my-stack"}));
}

// A word that is taken and means nothing would look like figures that never come.
TEST(TelemetryTest, RefusesWhatItDoesNotKnow) {
  for (const char* wrong :
       {"metrics: statsd\n", "metrics: { namespace: a }\n", "metrics: [emf]\n",
        "metrics: { format: emf, namespace: AWS/S3 }\n", "metrics: { format: emf, colour: red }\n",
        "metrics: { format: emf, namespace: 'a b' }\n"}) {
    Result<Telemetry> loaded = Load(wrong);
    ASSERT_FALSE(loaded) << wrong;
    EXPECT_NE(loaded.error().message.find("metrics"), std::string::npos) << loaded.error().message;
  }
}

}  // namespace
}  // namespace longhaul
