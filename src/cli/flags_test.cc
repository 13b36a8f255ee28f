#include "cli/flags.h"

#include <gtest/gtest.h>

#include <map>

#include "base/units.h"

namespace longhaul {
namespace {

struct Parsed {
  FlagSet flags;
  bool recursive = false;
  std::string endpoint = "none";
  std::vector<std::string> include;
  uint64_t memory = 7;
  std::chrono::milliseconds grace{1};
  std::string mode = "fast";
  std::string source;
  std::optional<std::string> target;
  std::map<std::string, std::string> environment;

  Parsed() {
    flags.Switch({.name = "recursive", .help = "", .letter = 'r'}, recursive);
    flags.Text({.name = "endpoint-url", .help = "", .value_name = "URL", .letter = 'e'}, endpoint);
    flags.List({.name = "include", .help = "", .value_name = "GLOB"}, include);
    flags.Bytes({.name = "memory", .help = "", .value_name = "SIZE"}, memory);
    flags.Duration({.name = "grace", .help = "", .value_name = "DURATION"}, grace);
    flags.Choice({.name = "mode", .help = "", .value_name = "MODE"}, {"fast", "slow"}, mode);
    flags.Argument("SOURCE", "", source);
    flags.Argument("TARGET", "", target);
  }
  Result<void> Parse(std::vector<std::string> arguments) {
    return flags.Parse(arguments, [this](const std::string& name) -> std::optional<std::string> {
      auto found = environment.find(name);
      if (found == environment.end()) return std::nullopt;
      return found->second;
    });
  }
  std::string Fails(std::vector<std::string> arguments) {
    Result<void> parsed = Parse(std::move(arguments));
    return parsed ? "" : parsed.error().message;
  }
};

// People write options in every one of these ways, and anywhere on the line.
TEST(FlagSet, TakesEverySpelling) {
  Parsed p;
  ASSERT_TRUE(p.Parse({"a", "-r", "--endpoint-url=http://x", "--include", "*.log", "--include=*.gz",
                       "--memory", "2MiB", "--grace=5s", "--", "-b"}));
  EXPECT_TRUE(p.recursive);
  EXPECT_EQ(p.endpoint, "http://x");
  EXPECT_EQ(p.include, (std::vector<std::string>{"*.log", "*.gz"}));
  EXPECT_EQ(p.memory, 2U << 20);
  EXPECT_EQ(p.grace, std::chrono::seconds(5));
  EXPECT_EQ(p.source, "a");
  EXPECT_EQ(p.target, "-b");
}

TEST(FlagSet, ShortOptionsMayBeJoined) {
  Parsed p;
  ASSERT_TRUE(p.Parse({"-rehttp://y", "a"}));
  EXPECT_TRUE(p.recursive);
  EXPECT_EQ(p.endpoint, "http://y");
}

// Else a container could not be configured by variables alone, or a variable would overrule the
// command line.
TEST(FlagSet, TheEnvironmentStandsInForWhatIsNotGiven) {
  Parsed p;
  p.environment = {{"LONGHAUL_ENDPOINT_URL", "http://env"},
                   {"LONGHAUL_MEMORY", "1MiB"},
                   {"LONGHAUL_RECURSIVE", "true"}};
  ASSERT_TRUE(p.Parse({"a", "--memory=3MiB"}));
  EXPECT_EQ(p.endpoint, "http://env");
  EXPECT_EQ(p.memory, 3U << 20);
  EXPECT_TRUE(p.recursive);
}

// A typo must not be taken for something else, and the way out is named.
// Whoever types them again where the environment says something else means the same.
TEST(FlagSet, GivenWordsMeanTheSameWithoutTheEnvironment) {
  Parsed parsed;
  parsed.environment = {{"LONGHAUL_MEMORY", "1KiB"}, {"LONGHAUL_INCLUDE", "*.z"}};
  ASSERT_TRUE(parsed.Parse({"-re", "http://x", "--mode", "slow", "--", "-q", "b"}));
  const std::vector<std::string> words = parsed.flags.given().Words();
  EXPECT_EQ(words,
            (std::vector<std::string>{"--recursive", "--endpoint-url=http://x", "--mode=slow",
                                      "--include=*.z", "--memory=1KiB", "--", "-q", "b"}));
  Parsed again;
  again.environment = {{"LONGHAUL_INCLUDE", "other"}};
  ASSERT_TRUE(again.Parse(words));
  EXPECT_TRUE(again.recursive);
  EXPECT_EQ(again.endpoint, "http://x");
  EXPECT_EQ(again.include, std::vector<std::string>{"*.z"});
  EXPECT_EQ(again.memory, 1024u);
  EXPECT_EQ(again.source, "-q");
  EXPECT_EQ(again.target, "b");
}

TEST(FlagSet, MistakesSayWhatToDo) {
  EXPECT_EQ(Parsed().Fails({"a", "--recursiv"}),
            "unknown option --recursiv; did you mean --recursive?");
  EXPECT_EQ(Parsed().Fails({"a", "--zzzzzz"}), "unknown option --zzzzzz");
  EXPECT_EQ(Parsed().Fails({}), "SOURCE is missing");
  EXPECT_EQ(Parsed().Fails({"a", "b", "c"}), "unexpected argument 'c'");
  EXPECT_EQ(Parsed().Fails({"a", "--memory"}), "--memory needs a value: --memory SIZE");
  EXPECT_EQ(Parsed().Fails({"a", "--mode=slwo"}), "--mode: 'slwo' is none of fast, slow");
  EXPECT_EQ(Parsed().Fails({"a", "--memory=1", "--memory=2"}), "--memory is given twice");
  EXPECT_EQ(Parsed().Fails({"a", "--grace=5"}), "--grace: " + ParseDuration("5").error().message);
}

// "$LIST" of a script where LIST is not set: without its option the command would do more than was
// meant. An empty variable of the environment is none.
TEST(FlagSet, AnEmptyValueIsAMistake) {
  const std::string how = " is empty: give it a value, or leave the option out";
  EXPECT_EQ(Parsed().Fails({"a", "--endpoint-url", ""}), "--endpoint-url" + how);
  EXPECT_EQ(Parsed().Fails({"a", "--endpoint-url="}), "--endpoint-url" + how);
  EXPECT_EQ(Parsed().Fails({"a", "-e", ""}), "-e" + how);
  EXPECT_EQ(Parsed().Fails({"a", "--include="}), "--include" + how);
  EXPECT_EQ(Parsed().Fails({"a", "--recursive="}), "--recursive" + how);
  Parsed p;
  p.environment = {{"LONGHAUL_ENDPOINT_URL", ""}, {"LONGHAUL_RECURSIVE", ""}};
  ASSERT_TRUE(p.Parse({"a"}));
  EXPECT_FALSE(p.recursive);
  ASSERT_TRUE(Parsed().Parse(p.flags.given().Words()));
}

TEST(FlagSet, ABadVariableIsNamed) {
  Parsed p;
  p.environment = {{"LONGHAUL_MEMORY", "lots"}};
  EXPECT_EQ(p.Fails({"a"}),
            "environment variable LONGHAUL_MEMORY: " + ParseSize("lots").error().message);
}

TEST(FlagSet, HelpWinsOverMistakesAfterIt) {
  Parsed p;
  ASSERT_TRUE(p.Parse({"--help", "--nonsense"}));
  EXPECT_TRUE(p.flags.help_wanted());
}

}  // namespace
}  // namespace longhaul
