// Commands as people type them, run in this process against folders.

#include "tests/support/commands.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_context.h"
#include "cli/savings.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::CommandsTest;
using testing::TestConsole;

TEST_F(CommandsTest, CopyThereAndBackAndCheck) {
  WriteFile("in/x.txt", "hello");
  WriteFile("in/sub/y.json", "{}");
  ASSERT_EQ(Run({"cp", "-r", folder.file("in"), "disk:a/p"}), 0) << console.error;
  ASSERT_EQ(Run({"check", folder.file("in"), "disk:a/p/"}), 0) << console.out;
  ASSERT_EQ(Run({"cp", "-r", "disk:a/p/", folder.file("out/")}), 0) << console.error;
  EXPECT_EQ(ReadFile("out/sub/y.json"), "{}");
  ASSERT_EQ(Run({"cp", "-r", "disk:a", "disk:b"}), 0) << console.error;
  ASSERT_EQ(Run({"check", "--download", "disk:a", "disk:b"}), 0) << console.out;
  WriteFile("out/x.txt", "hellO");
  WriteFile("out/more", "1");
  EXPECT_EQ(Run({"check", "disk:a/p", folder.file("out")}), 11);
  EXPECT_NE(console.out.find("x.txt: bytes"), std::string::npos) << console.out;
  EXPECT_NE(console.out.find("more: only at the target"), std::string::npos) << console.out;
}

// `cp FILE FOLDER/` and `cp FILE NAME` are two different things.
TEST_F(CommandsTest, CopyOneFile) {
  WriteFile("x.txt", "hello");
  ASSERT_EQ(Run({"cp", folder.file("x.txt"), "disk:a/in/"}), 0) << console.error;
  ASSERT_EQ(Run({"cp", folder.file("x.txt"), "disk:a/renamed"}), 0) << console.error;
  ASSERT_EQ(Run({"ls", "-r", "--json", "disk:a"}), 0);
  EXPECT_NE(console.out.find("\"key\":\"in/x.txt\""), std::string::npos) << console.out;
  EXPECT_NE(console.out.find("\"key\":\"renamed\""), std::string::npos) << console.out;
  EXPECT_TRUE(console.out.ends_with("{\"event\":\"summary\",\"objects\":2,\"bytes\":10}\n"));
  ASSERT_EQ(Run({"cat", "disk:a/renamed", "disk:a/in/x.txt"}), 0);
  EXPECT_EQ(console.out, "hellohello");
  ASSERT_EQ(Run({"cat", "--tail", "2", "disk:a/renamed"}), 0);
  EXPECT_EQ(console.out, "lo");
  EXPECT_EQ(Run({"cp", folder.path(), "disk:a/"}), 2);
}

TEST_F(CommandsTest, NoClobberLeavesWhatIsThere) {
  WriteFile("one", "1");
  WriteFile("two", "2");
  ASSERT_EQ(Run({"cp", folder.file("one"), "disk:a/k"}), 0);
  ASSERT_EQ(Run({"cp", "--no-clobber", folder.file("two"), "disk:a/k"}), 0);
  ASSERT_EQ(Run({"cat", "disk:a/k"}), 0);
  EXPECT_EQ(console.out, "1");
}

// A dry run that writes is worse than none.
TEST_F(CommandsTest, DryRunsChangeNothing) {
  WriteFile("in/x", "1");
  ASSERT_EQ(Run({"cp", "-rn", folder.file("in"), "disk:a"}), 0);
  EXPECT_NE(console.out.find("would copy"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(folder.file("root/a")));
  ASSERT_EQ(Run({"cp", "-r", folder.file("in"), "disk:a"}), 0);
  ASSERT_EQ(Run({"rm", "-rn", "disk:a"}), 0);
  ASSERT_EQ(Run({"cat", "disk:a/x"}), 0);
}

// Someone who typed `rm -r` on a terminal by mistake gets a second chance.
TEST_F(CommandsTest, RemoveAsksOnATerminal) {
  WriteFile("in/x", "1");
  ASSERT_EQ(Run({"cp", "-r", folder.file("in"), "disk:a"}), 0);
  console.terminal = true;
  console.answer = "n";
  EXPECT_NE(Run({"rm", "-r", "disk:a"}), 0);
  EXPECT_EQ(Run({"stat", "disk:a/x"}), 0);
  EXPECT_EQ(Run({"rm", "-r", "--yes", "disk:a"}), 0);
  EXPECT_EQ(Run({"stat", "disk:a/x"}), 3);
}

// Scripts branch on these.
TEST_F(CommandsTest, ExitCodes) {
  EXPECT_EQ(Run({"ls", "disk:no-such-bucket"}), 3);
  EXPECT_EQ(Run({"stat", "disk:a/none"}), 3);
  EXPECT_EQ(Run({"cp", "disk:a/none", folder.file("none")}), 3);
  EXPECT_FALSE(std::filesystem::exists(folder.file("none")));
  EXPECT_EQ(Run({"cp", "-r", "disk:a/none/", folder.file("none/")}), 3);
  EXPECT_EQ(Run({"ls", "west:a"}), 2);
  EXPECT_NE(console.error.find("no store 'west'"), std::string::npos) << console.error;
  EXPECT_EQ(Run({"cp", "-r", "disk:a/x/", "disk:a/x/y/"}), 2);
  EXPECT_EQ(Run({"ls", "--recursiv", "disk:a"}), 2);
  EXPECT_EQ(Run({}), 2);
  WriteFile("bad.yaml", "version: 1\nstoers: {}\n");
  EXPECT_EQ(Run({"config", "check", folder.file("bad.yaml")}), 2);
  EXPECT_NE(console.error.find("bad.yaml:2"), std::string::npos) << console.error;
  EXPECT_EQ(Run({"config", "check", folder.file("c.yaml")}), 0) << console.error;
}

// An editor marks the places; it cannot read sentences.
TEST_F(CommandsTest, RolesAreNamed) {
  EXPECT_EQ(Run({"replicate", "--roles", "source,packer"}), 2);
  EXPECT_NE(console.error.find("--roles: 'packer' is none: source, target or both"),
            std::string::npos)
      << console.error;
}

TEST_F(CommandsTest, MistakesOfAConfigurationAreEvents) {
  WriteFile("bad.yaml", "version: 1\nstoers: {}\nmemory: much\n");
  EXPECT_EQ(Run({"config", "check", "--json", folder.file("bad.yaml")}), 2);
  EXPECT_EQ(console.error, "");
  std::istringstream lines(console.out);
  std::vector<std::string> events;
  for (std::string line; std::getline(lines, line);) events.push_back(line);
  ASSERT_EQ(events.size(), 4U) << console.out;  // `stores` is missing too.
  EXPECT_TRUE(events[1].starts_with("{\"event\":\"mistake\",\"file\":\"" + folder.file("bad.yaml") +
                                    "\",\"line\":2,\"column\":1,"))
      << events[1];
  EXPECT_NE(events[1].find("\"message\":\"unknown field 'stoers'\""), std::string::npos)
      << events[1];
  EXPECT_NE(events[1].find("\"remedy\":\"did you mean 'stores'?\""), std::string::npos);
  EXPECT_TRUE(events[3].starts_with("{\"event\":\"summary\"")) << events[3];
  EXPECT_NE(events[3].find("\"mistakes\":3"), std::string::npos) << events[3];
}

// `longhaul ls | head` must end quietly.
TEST_F(CommandsTest, AClosedPipeIsNoFailure) {
  WriteFile("in/x", "1");
  ASSERT_EQ(Run({"cp", "-r", folder.file("in"), "disk:a"}), 0);
  console.closed = true;
  EXPECT_EQ(Run({"ls", "-r", "disk:a"}), 0);
  EXPECT_EQ(Run({"cat", "disk:a/x"}), 0);
}

// `cat X >Y && rm X` must not go on when the disk of Y is full.
TEST_F(CommandsTest, WhatCannotBeWrittenIsAFailure) {
  WriteFile("in/x", "1");
  ASSERT_EQ(Run({"cp", "-r", folder.file("in"), "disk:a"}), 0);
  console.closed = true;
  console.closed_by = ENOSPC;
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"ls", "-r", "disk:a"}, {"cat", "disk:a/x"}, {"version"}}) {
    console.error.clear();
    EXPECT_EQ(Run(words), 1) << words[0];
    EXPECT_TRUE(console.error.contains("cannot write standard output: No space left on device"))
        << console.error;
  }
}

// Every command has a help text of all sections, and examples that parse.
TEST_F(CommandsTest, HelpIsComplete) {
  for (CommandFactory make : AllCommands()) {
    CommandHelp help = make()->help();
    std::vector<std::string> words;
    std::istringstream name{std::string(help.name)};
    for (std::string word; name >> word;) words.push_back(word);
    words.emplace_back("--help");
    ASSERT_EQ(Run(words), 0) << help.name;
    for (const char* section : {"SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS"}) {
      EXPECT_NE(console.out.find(section), std::string::npos) << help.name << " " << section;
    }
    EXPECT_FALSE(help.examples.empty()) << help.name;
    for (const CommandExample& example : help.examples) {
      EXPECT_NE(example.command.find("longhaul " + std::string(help.name)), std::string::npos)
          << example.command;
    }
    std::unique_ptr<Command> command = make();
    FlagSet flags;
    DeclareForHelp(*command, flags);
    std::map<std::string_view, int> names;
    for (const FlagSet::Flag& flag : flags.flags()) {
      EXPECT_EQ(++names[flag.info.name], 1) << help.name << " --" << flag.info.name;
      // What is not shown is there to be refused with its reason.
      const bool shown = console.out.contains("--" + std::string(flag.info.name));
      EXPECT_EQ(flag.info.help.empty(), !shown) << help.name << " --" << flag.info.name;
    }
  }
}

// LONGHAUL_WAIT=true, set for one command, must not be a time that another one cannot read.
TEST_F(CommandsTest, AVariableMeansOneThing) {
  struct Reader {
    std::string form;
    std::string command;
  };
  std::map<std::string, Reader> readers;
  for (CommandFactory make : AllCommands()) {
    const std::unique_ptr<Command> command = make();
    FlagSet flags;
    DeclareForHelp(*command, flags);
    for (const FlagSet::Flag& flag : flags.flags()) {
      if (!flag.info.of_environment) continue;
      std::string form(flag.info.value_name);
      for (std::string_view choice : flag.choices) form.append(" ").append(choice);
      const std::string name = FlagSet::EnvironmentName(flag.info.name);
      const Reader& first =
          readers.try_emplace(name, form, std::string(command->help().name)).first->second;
      EXPECT_EQ(form, first.form) << name << " of " << command->help().name << " and of "
                                  << first.command;
    }
  }
}

TEST_F(CommandsTest, UnknownCommandsGetAHint) {
  EXPECT_EQ(Run({"chekc"}), 2);
  EXPECT_NE(console.error.find("did you mean 'longhaul check'"), std::string::npos)
      << console.error;
  EXPECT_EQ(Run({"config", "chek"}), 2);
  EXPECT_NE(console.error.find("did you mean 'longhaul config check'"), std::string::npos)
      << console.error;
}

TEST(Address, Forms) {
  auto parse = [](std::string_view text) { return ParseCommandAddress(text); };
  EXPECT_EQ(parse("s3://b/a//b/../c")->key, "a//b/../c");
  EXPECT_EQ(parse("s3://b")->bucket, "b");
  EXPECT_EQ(parse("s3://")->bucket, "");
  EXPECT_EQ(parse("east:b//k")->key, "/k");
  EXPECT_EQ(parse("east:b")->store, "east");
  EXPECT_EQ(parse("east:")->bucket, "");
  const std::string point = "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports";
  EXPECT_EQ(parse("s3://" + point + "/a/b")->bucket, point);
  EXPECT_EQ(parse("s3://" + point + "/a/b")->key, "a/b");
  EXPECT_EQ(parse("east:" + point)->bucket, point);
  EXPECT_EQ(parse("./east:b")->kind, CommandAddress::Kind::kLocal);
  EXPECT_EQ(parse("./east:b")->key, "east:b");
  EXPECT_EQ(parse("/srv/x/file")->bucket, "/srv/x/");
  EXPECT_EQ(parse("/srv/x/file")->key, "file");
  EXPECT_EQ(parse("/tmp")->key, "");  // A folder that exists.
  EXPECT_EQ(parse("file:///srv/x/file")->bucket, "/srv/x/");
  EXPECT_EQ(parse("dir/new/")->bucket, "dir/new/");
  for (const char* bad : {"", "no-such-word", "s3:///key", "http://host/b", "east:/key"}) {
    EXPECT_FALSE(parse(bad)) << bad;
  }
}

// Which of two stores has no such key? And a name that is said twice hides the rest.
TEST(Address, StandsInErrorsOnce) {
  CommandAddress address = *ParseCommandAddress("west:logs/a/b");
  EXPECT_EQ(At(address, NotFound("get logs/a/b: no such key")).message,
            "get west:logs/a/b: no such key");
  EXPECT_EQ(At(address, NotFound("credentials: none")).message, "west:logs/a/b: credentials: none");
}

TEST(ExitCode, OfErrors) {
  EXPECT_EQ(ExitCodeOf(NotFound("x")), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(Retryable("x")), ExitCode::kUnreachable);
  EXPECT_EQ(ExitCodeOf({.kind = ErrorKind::kThrottled}), ExitCode::kUnreachable);
  EXPECT_EQ(ExitCodeOf({.kind = ErrorKind::kDenied}), ExitCode::kDenied);
  EXPECT_EQ(ExitCodeOf(InvalidInput("a flag")), ExitCode::kUsage);
  // Codes of our own: the one who typed it made the mistake, no server has answered.
  for (const char* code : {"AddressInUse", "NotBelowRule"}) {
    EXPECT_EQ(ExitCodeOf({.kind = ErrorKind::kInvalidInput, .code = code}), ExitCode::kUsage);
  }
  EXPECT_EQ(ExitCodeOf({.kind = ErrorKind::kInvalidInput, .code = "KeyNotStorable"}),
            ExitCode::kSomeFailed);
  EXPECT_EQ(ExitCodeOf(Corrupt("x")), ExitCode::kSomeFailed);
}

// Keys are bytes; a line that is no JSON breaks whoever reads it.
TEST(Message, IsAlwaysJson) {
  Message message("copied");
  message.With("key", std::string("a\"\\\n\x01\xff")).With("size", 7).With("ok", true);
  EXPECT_EQ(message.Json(),
            "{\"event\":\"copied\",\"key\":\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\","
            "\"key_base64\":\"YSJcCgH/\",\"size\":7,"
            "\"ok\":true}");
}

// A key must not be able to move the cursor of a terminal.
TEST(Output, PrintableHasNoControlCharacters) {
  EXPECT_EQ(Printable("a\x1b[2Jb\n\xff\xc3\xa4"), "a\\x1b[2Jb\\x0a\\xff\xc3\xa4");
  EXPECT_EQ(Printable("\xc2\x9b"), "\\xc2\\x9b");  // CSI as one character.
}

TEST(Output, Formats) {
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatSeconds(3725), "1h 02m");
  EXPECT_EQ(FormatMoney(1234.567), "$1,234.57");
  EXPECT_EQ(FormatMoney(0.0000123), "$0.000012");
  EXPECT_EQ(FormatMoney(1e-8), "less than $0.000001");
  const Pico much = Pico{96'636'764'160} * 1'000'000'000;
  EXPECT_EQ(FormatSum(much), "$96,636,764.16");
  EXPECT_EQ(FormatSum(-much), "-$96,636,764.16");
  EXPECT_EQ(Message("cost").With("sum", much).With("net", -much).Json(),
            R"({"event":"cost","sum":96636764160000000000,"net":-96636764160000000000})");
}

// Archives of a few tiny objects are larger than these: that is no gain.
TEST(Savings, AreNoneWhereMoreWasSent) {
  Savings loss{.plain_bytes = 5, .sent_bytes = 517, .price_per_gib = 0.02};
  EXPECT_EQ(loss.bytes(), -512);
  EXPECT_LT(loss.money(), 0);
  EXPECT_EQ(loss.Describe(), "nothing: 512 B more were sent");
  Savings gain{.plain_bytes = 2ULL << 30, .sent_bytes = 1ULL << 30, .price_per_gib = 0.02};
  EXPECT_EQ(gain.Describe(), "1.0 GiB, $0.02");
  EXPECT_EQ(gain.Ratio(), "2.00 to 1");
}

TEST(MemoryBytes, AreAQuarterOfTheTightestLimit) {
  EXPECT_EQ(MemoryBytesFrom(16ULL << 30, {}), 4ULL << 30);
  EXPECT_EQ(MemoryBytesFrom(16ULL << 30, {"max\n", "2147483648\n"}), 512ULL << 20);
  EXPECT_EQ(MemoryBytesFrom(16ULL << 30, {"9223372036854771712\n"}), 4ULL << 30);
  EXPECT_EQ(MemoryBytesFrom(100 << 20, {}), 64ULL << 20);
}

TEST(Progress, LineSaysRateAndTimeLeft) {
  testing::FakeWorld world;
  TestConsole console;
  Output output(console, false, false);
  Progress progress(output, world.clock, "copied", 0.02);
  progress.totals = {.objects_total = 100,
                     .bytes_total = 1000 << 20,
                     .total_is_final = true,
                     .objects_done = 25,
                     .bytes_done = 250 << 20,
                     .objects_failed = 1,
                     .plain_bytes = 250 << 20,
                     .sent_bytes = 50 << 20};
  world.clock.Advance(std::chrono::seconds(5));
  EXPECT_EQ(progress.Line(),
            "copied 25/100 objects, 250.0 MiB/1000.0 MiB (25%), 50.0 MiB/s, 5/s, 15.0 s left, "
            "5.00x, saved 200.0 MiB ($0.0039), 1 failed");
  // What matters least goes first where the terminal is narrow; failures never do.
  EXPECT_EQ(progress.Line(90),
            "copied 25/100 objects, 250.0 MiB/1000.0 MiB (25%), 50.0 MiB/s, 15.0 s left, 1 failed");
  EXPECT_EQ(progress.Line(20), "copied 25/100 objects, 1 failed");
  // Not a terminal: a plain line every 10 s, nothing in between.
  progress.Tick();
  EXPECT_EQ(console.error, "");
  world.clock.Advance(std::chrono::seconds(6));
  progress.Tick();
  EXPECT_TRUE(console.error.ends_with("1 failed\n"));
}

// Without a sample all of it would be taken to shrink to nothing, and longhaul to cost nothing.
TEST_F(CommandsTest, AnEstimateOfWhatNobodyCouldReadIsNone) {
  WriteFile("root/a/k", std::string(10'000, 'x'));
  const std::vector<std::string> estimate{"estimate",  "disk:a", "--from",
                                          "us-east-1", "--to",   "eu-west-1"};
  EXPECT_EQ(Run(estimate), 0) << console.error;
  std::vector<std::string> cheap = estimate;
  cheap.insert(cheap.end(), {"--max-cost", "0.000005"});  // One listing.
  EXPECT_EQ(Run(cheap), 2) << console.out;
  EXPECT_NE(console.error.find("nothing is left to read a sample"), std::string::npos)
      << console.error;
  EXPECT_EQ(console.out.find("cheapest"), std::string::npos) << console.out;
}

}  // namespace
}  // namespace longhaul
