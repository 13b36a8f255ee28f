#include "rules/topology_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/configuration.h"

namespace longhaul {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Drawn {
  explicit Drawn(const std::string& rules) {
    const std::string text =
        "version: 1\nsite: s\nstores:\n  east: { type: s3, endpoint: 'http://e:1' }\n"
        "  west: { type: s3, endpoint: 'http://w:1' }\nrules:\n" +
        rules;
    Result<Configuration> read = ParseConfiguration(
        text, "f.yaml", "/", [](std::string_view) { return std::nullopt; }, nullptr, &problems);
    EXPECT_TRUE(read) << read.error().message;
    if (read) configuration = std::move(*read);
  }
  std::string Text() const { return DrawTopologyText(configuration, problems); }
  std::string Dot() const { return DrawTopologyDot(configuration, problems); }

  std::vector<TopologyProblem> problems;
  Configuration configuration;
};

std::string LineOf(const std::string& id, const std::string& source, const std::string& to,
                   const std::string& more = "") {
  return "  - { id: " + id + ", source: 'east:" + source + "', " + more + "targets: [{ to: '" + to +
         "', staging: 'west:staging/' }] }\n";
}

TEST(TopologyGraphTest, DrawsRulesBySource) {
  Drawn drawn(LineOf("all", "a/", "west:b/") + LineOf("logs", "a/", "west:c/", "priority: 2, ") +
              LineOf("off", "x/", "west:y/", "status: disabled, ") +
              "  - { id: on, source: 'west:b/in/', targets: [{ to: 'east:z/', staging: "
              "'west:staging/' }] }\n");
  EXPECT_EQ(drawn.Text(),
            "  east:a/\n"
            "    -> west:b/  (all; by west:staging/; read by on)\n"
            "    -> west:c/  (logs, priority 2; by west:staging/)\n"
            "  east:x/\n"
            "    -> west:y/  (off, disabled; by west:staging/)\n"
            "  west:b/in/\n"
            "    -> east:z/  (on; by west:staging/)\n");
  const std::string dot = drawn.Dot();
  EXPECT_THAT(dot, HasSubstr("digraph longhaul {"));
  EXPECT_THAT(dot, HasSubstr("\"east:a/\" -> \"staging west:staging/\" [label=\"all\"];"));
  EXPECT_THAT(dot, HasSubstr("\"staging west:staging/\" -> \"west:b/\" [label=\"all\"];"));
  EXPECT_THAT(dot, HasSubstr("\"west:b/\" -> \"west:b/in/\" [style=dotted];"));
  EXPECT_THAT(dot, HasSubstr("[label=\"off, disabled\", style=dashed, color=gray];"));
  EXPECT_THAT(dot, Not(HasSubstr("red")));
}

// Archives that the store replicates lie in two stagings, and both must be seen.
TEST(TopologyGraphTest, DrawsTheStagingThatTheStoreReplicates) {
  Drawn drawn(LineOf("r", "a/", "west:b/", "transport: s3-replication, staging: 'east:out/', "));
  EXPECT_TRUE(drawn.problems.empty());
  EXPECT_EQ(drawn.Text(),
            "  east:a/\n"
            "    -> west:b/  (r; by east:out/, replicated to west:staging/)\n");
  const std::string dot = drawn.Dot();
  EXPECT_THAT(dot, HasSubstr("\"east:a/\" -> \"staging east:out/\" [label=\"r\"];"));
  EXPECT_THAT(dot, HasSubstr("\"staging east:out/\" -> \"staging west:staging/\""));
  EXPECT_THAT(dot, HasSubstr("\"staging west:staging/\" -> \"west:b/\""));
}

// What makes no archives lies in no staging on its way.
TEST(TopologyGraphTest, DrawsWhatGoesWithoutArchives) {
  Drawn drawn(LineOf("p", "a/", "west:b/", "transport: plain, ") +
              LineOf("c", "x/", "east:y/", "transport: copy, "));
  EXPECT_EQ(drawn.Text(),
            "  east:a/\n"
            "    -> west:b/  (p; streamed)\n"
            "  east:x/\n"
            "    -> east:y/  (c; copied by the store)\n");
  const std::string dot = drawn.Dot();
  EXPECT_THAT(dot, HasSubstr("\"east:a/\" -> \"west:b/\" [label=\"p, plain\"];"));
  EXPECT_THAT(dot, Not(HasSubstr("staging")));
}

// What is chosen object by object has two ways.
TEST(TopologyGraphTest, DrawsBothWaysOfWhatIsChosen) {
  Drawn drawn(LineOf("p", "a/", "west:b/", "transport: auto, "));
  EXPECT_EQ(drawn.Text(),
            "  east:a/\n"
            "    -> west:b/  (p; by west:staging/, what does not shrink streamed)\n");
  const std::string dot = drawn.Dot();
  EXPECT_THAT(dot, HasSubstr("\"staging west:staging/\" -> \"west:b/\""));
  EXPECT_THAT(dot, HasSubstr("\"east:a/\" -> \"west:b/\" [label=\"p, streamed\"];"));
}

// The way that is wrong must be seen in the drawing, all of it.
TEST(TopologyGraphTest, MarksTheWholeCircle) {
  Drawn drawn(LineOf("out", "a/", "west:b/") + LineOf("aside", "a/", "west:c/") +
              "  - { id: back, source: 'west:b/', targets: [{ to: 'east:a/', staging: "
              "'west:staging/' }] }\n");
  ASSERT_EQ(drawn.problems.size(), 1U);
  EXPECT_EQ(drawn.problems[0].path, (std::vector<TopologyStep>{{0, 0}, {2, 0}}));
  const std::string text = drawn.Text();
  EXPECT_THAT(text,
              HasSubstr("!   -> west:b/  (out; by west:staging/; read by back)  problem 1\n"));
  EXPECT_THAT(text, HasSubstr("    -> west:c/  (aside; by west:staging/)\n"));
  EXPECT_THAT(text, HasSubstr("!   -> east:a/"));
  EXPECT_THAT(text, HasSubstr("! problem 1: objects would go in a circle: out "));
  const std::string dot = drawn.Dot();
  EXPECT_THAT(dot, HasSubstr("[label=\"out (problem 1)\", color=red"));
  EXPECT_THAT(dot, HasSubstr("[label=\"back (problem 1)\", color=red"));
  EXPECT_THAT(dot, HasSubstr("[label=\"aside\"];"));
  EXPECT_THAT(dot, HasSubstr("label=\"1: objects would go in a circle"));
}

// An address is bytes that somebody wrote: it must not end the string it stands in.
TEST(TopologyGraphTest, QuotesAddresses) {
  Drawn drawn(
      "  - { id: r, source: \"east:a/\\\"\\\\\\n]/\", targets: [{ to: 'west:b/', staging: "
      "'west:staging/' }] }\n");
  EXPECT_THAT(drawn.Dot(), HasSubstr(R"("east:a/\"\\?]/" -> )"));
  EXPECT_THAT(drawn.Text(), HasSubstr("  east:a/\"\\?]/\n"));
}

}  // namespace
}  // namespace longhaul
