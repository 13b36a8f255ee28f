#include "rules/tracing.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

std::optional<std::string> Nothing(std::string_view) { return std::nullopt; }

Result<Tracing> Load(const std::string& section) {
  testing::TempDir folder;
  const std::string file = folder.file("c.yaml");
  std::ofstream(file) << "version: 1\nstores:\n  disk: { type: file, root: root }\n" << section;
  return LoadTracing(file, Nothing);
}

// Who asked for nothing must not send spans anywhere.
TEST(TracingTest, IsOffUnlessACollectorIsNamed) {
  EXPECT_EQ(Load("")->otlp, "");
  Result<Tracing> plain = Load("traces: { otlp: 'http://127.0.0.1:4318/' }\n");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->otlp, "http://127.0.0.1:4318");
  EXPECT_EQ(plain->sample, 0.01);
  Result<Tracing> full = Load(
      "traces: { otlp: 'https://c.example/otlp', sample: 12.5%, headers: { x-api-key: abc } }\n");
  ASSERT_TRUE(full) << full.error().message;
  EXPECT_EQ(full->otlp, "https://c.example/otlp");
  EXPECT_EQ(full->sample, 0.125);
  ASSERT_EQ(full->headers.size(), 1u);
  EXPECT_EQ(full->headers[0].first, "x-api-key");
  EXPECT_EQ(full->headers[0].second.Reveal(), "abc");
  EXPECT_EQ(Load("traces: { otlp: 'http://c', sample: 0.25 }\n")->sample, 0.25);
}

// A mistake that is taken would look like traces that never come, or put a key into a log.
TEST(TracingTest, RefusesWhatMakesNoSense) {
  for (const char* wrong :
       {"traces: true\n", "traces: { sample: 1% }\n", "traces: { otlp: 'collector:4318' }\n",
        "traces: { otlp: 'http://' }\n", "traces: { otlp: 'http://key@c' }\n",
        "traces: { otlp: 'http://c/v1/traces' }\n", "traces: { otlp: 'http://c?a=b' }\n",
        "traces: { otlp: 'http://c', sample: 101% }\n",
        "traces: { otlp: 'http://c', sample: -1 }\n", "traces: { otlp: 'http://c', sample: nan }\n",
        "traces: { otlp: 'http://c', sample: some }\n",
        "traces: { otlp: 'http://c', protocol: grpc }\n",
        "traces: { otlp: 'http://c', headers: { Host: x } }\n",
        "traces: { otlp: 'http://c', headers: { 'a b': x } }\n",
        "traces: { otlp: 'http://c', headers: { a: \"x\\ny\" } }\n"}) {
    Result<Tracing> loaded = Load(wrong);
    ASSERT_FALSE(loaded) << wrong;
    EXPECT_NE(loaded.error().message.find("traces"), std::string::npos) << loaded.error().message;
  }
}

}  // namespace
}  // namespace longhaul
