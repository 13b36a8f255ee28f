// check as people type it, run in this process against folders.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class CheckCommandTest : public CommandsTest {
 protected:
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
  // Objects are looked at side by side.
  std::string Sorted(const std::string& file) {
    std::istringstream text(ReadFile(file));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    std::ranges::sort(lines);
    std::string sorted;
    for (const std::string& line : lines) sorted += line + "\n";
    return sorted;
  }
};

// A script with a mistyped name would be told that its copy is proven.
TEST_F(CheckCommandTest, NothingIsNoProof) {
  WriteFile("root/a/logs/x", "1");
  WriteFile("root/b/logs/x", "1");
  ASSERT_EQ(Run({"check", "disk:a/logs", "disk:b/logs"}), 0) << console.error;
  EXPECT_EQ(Run({"check", "disk:a/lgos/", "disk:b/lgos/"}), 3);
  EXPECT_TRUE(Says("there is nothing below 'disk:a/lgos/' nor 'disk:b/lgos/'")) << console.error;
  EXPECT_EQ(Run({"check", "disk:a/lgos", "disk:b/lgos"}), 3);
  EXPECT_EQ(Run({"check", "disk:a/*", "disk:b/none"}), 3);
  EXPECT_TRUE(Says("`longhaul check disk:a/ TARGET`")) << console.error;
  // What is only at the target is a difference, unless nobody asks for it.
  EXPECT_EQ(Run({"check", "disk:a/lgos", "disk:b/logs"}), 11);
  EXPECT_EQ(Run({"check", "--one-way", "disk:a/lgos", "disk:b/logs"}), 3);
  EXPECT_TRUE(Says("there is nothing below 'disk:a/lgos'\n")) << console.error;
  EXPECT_EQ(Run({"check", "disk:a/logs", "disk:b/lgos"}), 11);
  EXPECT_EQ(Run({"check", "disk:a/logs/x", "disk:b/logs/y"}), 11);
}

// Its key begins those of others, which were not asked for.
TEST_F(CheckCommandTest, OneObjectIsComparedWithoutItsNeighbours) {
  WriteFile("root/a/k", "1");
  WriteFile("root/a/k.old", "2");
  WriteFile("root/b/k", "1");
  WriteFile("root/b/k2", "2");
  EXPECT_EQ(Run({"check", "disk:a/k", "disk:b/k"}), 0) << console.out << console.error;
  EXPECT_EQ(Run({"check", folder.file("root/a/k"), folder.file("root/b/k")}), 0) << console.out;
  WriteFile("root/b/k", "3");
  EXPECT_EQ(Run({"check", "--download", "disk:a/k", "disk:b/k"}), 11) << console.out;
}

// `sync` of the same words means the folder.
TEST_F(CheckCommandTest, AnObjectBesideAFolderOfItsNameIsRefused) {
  WriteFile("root/a/k", "1");
  WriteFile("root/b/k/1", "1");
  EXPECT_EQ(Run({"check", "disk:a/k", "disk:b/k"}), 2) << console.out;
  EXPECT_TRUE(Says("write '/' behind both")) << console.error;
}

// The hash of nothing is equal to that of another mistake.
TEST_F(CheckCommandTest, NothingHasNoHash) {
  WriteFile("root/a/logs/x", "1");
  for (const std::string& place : {std::string("disk:a/lgos"), folder.file("none")}) {
    EXPECT_EQ(Run({"check", "--root", "--save", folder.file("tree"), place}), 3) << place;
    EXPECT_FALSE(Says("longhaul-tree")) << console.out;
    EXPECT_FALSE(std::filesystem::exists(folder.file("tree"))) << place;
  }
  EXPECT_EQ(Run({"check", "--root", "disk:a/l*"}), 3);
  EXPECT_TRUE(Says("`longhaul check --root --include 'l*' disk:a/`")) << console.error;
  EXPECT_EQ(Run({"check", "--root", "disk:a/logs", "--download"}), 0) << console.error;
  EXPECT_FALSE(Says("nothing")) << console.error;
}

// A bucket that is empty is there all the same, and filters may leave out all: no failure, but
// whoever reads has to see it.
TEST_F(CheckCommandTest, WhatIsEmptyIsTold) {
  EXPECT_EQ(Run({"check", "disk:a", "disk:b"}), 0);
  EXPECT_TRUE(Says("nothing was checked: there is nothing below 'disk:a' nor 'disk:b'"))
      << console.error;
  EXPECT_EQ(Run({"check", "--root", "disk:a"}), 0);
  EXPECT_TRUE(Says("nothing was checked: there is nothing below 'disk:a'")) << console.error;
  EXPECT_EQ(Run({"check", "disk:a", "disk:b/logs"}), 3);
  WriteFile("root/a/x", "1");
  WriteFile("root/b/x", "2");
  EXPECT_EQ(Run({"check", "--exclude", "*", "disk:a", "disk:b"}), 0);
  EXPECT_TRUE(Says("nothing was checked: the filters leave out all")) << console.error;
  EXPECT_EQ(Run({"check", "--root", "--exclude", "*", "disk:a"}), 0);
  EXPECT_TRUE(Says("nothing was checked: the filters leave out all")) << console.error;
  EXPECT_EQ(Run({"check", "--json", "--exclude", "*", "disk:a", "disk:b"}), 0);
  EXPECT_TRUE(console.out.contains("{\"event\":\"nothing_checked\"")) << console.out;
}

// rclone has these of `check` first of all, and scripts read them.
TEST_F(CheckCommandTest, ListsOfNames) {
  WriteFile("root/a/same", "1");
  WriteFile("root/a/differs", "1");
  WriteFile("root/a/longer", "22");
  WriteFile("root/a/here", "1");
  WriteFile("root/b/same", "1");
  WriteFile("root/b/differs", "2");
  WriteFile("root/b/longer", "1");
  WriteFile("root/b/there", "1");
  ASSERT_EQ(
      Run({"check", "--combined", folder.file("all"), "--differ", folder.file("differ"),
           "--missing-on-dst", folder.file("dst"), "--missing-on-src", folder.file("src"),
           "--match", folder.file("match"), "--error", folder.file("error"), "disk:a", "disk:b"}),
      11)
      << console.error;
  EXPECT_EQ(Sorted("all"), "* differs\n* longer\n+ here\n- there\n= same\n");
  EXPECT_EQ(Sorted("differ"), "differs\nlonger\n");
  EXPECT_EQ(ReadFile("dst") + ReadFile("src") + ReadFile("match"), "here\nthere\nsame\n");
  EXPECT_EQ(ReadFile("error"), "");
  ASSERT_EQ(Run({"check", "--one-way", "--combined", folder.file("all"), "disk:a", "disk:b"}), 11);
  EXPECT_EQ(Sorted("all"), "* differs\n* longer\n+ here\n= same\n");
  ASSERT_EQ(Run({"check", "--combined", "-", "disk:a/same", "disk:b/same"}), 0);
  EXPECT_TRUE(console.out.contains("= same\n")) << console.out;
  // What could not be looked at: the listing is older than what is there.
  WriteFile("old.jsonl",
            R"({"key":"there","size":1,"etag":"e","last_modified":"2026-01-01T00:00:00Z"})"
            "\n");
  EXPECT_EQ(Run({"check", "--one-way", "--source-listing", folder.file("old.jsonl"), "--combined",
                 folder.file("all"), "disk:a", "disk:b"}),
            1)
      << console.out << console.error;
  EXPECT_EQ(ReadFile("all"), "! there\n");
  // One side has nothing to be compared with.
  for (const char* list :
       {"--combined", "--differ", "--missing-on-dst", "--missing-on-src", "--match", "--error"}) {
    EXPECT_EQ(Run({"check", "--root", "--download", list, folder.file("none"), "disk:a"}), 2);
    EXPECT_FALSE(std::filesystem::exists(folder.file("none")));
  }
}

// Which rule decided is what people ask when a file is missing, whatever they asked before.
TEST_F(CheckCommandTest, VerboseNamesTheRule) {
  for (const char* name : {"a.log", "a.tmp"}) {
    WriteFile(std::string("root/a/") + name, "1");
    WriteFile(std::string("root/b/") + name, "1");
  }
  const std::string rule = "skipped a.tmp: excluded by --exclude '*.tmp'";
  ASSERT_EQ(Run({"check", "--exclude", "*.tmp", "disk:a", "disk:b"}), 0);
  EXPECT_FALSE(Says("a.tmp") || Says("a.log")) << console.out << console.error;
  ASSERT_EQ(Run({"check", "-v", "--exclude", "*.tmp", "disk:a", "disk:b"}), 0);
  EXPECT_TRUE(console.out.contains("a.log: equal")) << console.out;
  EXPECT_FALSE(Says("a.tmp")) << console.error;
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"check", "-vv", "--exclude", "*.tmp", "disk:a", "disk:b"},
        {"check", "-vv", "--root", "--download", "--exclude", "*.tmp", "disk:a"},
        {"ls", "-vv", "--exclude", "*.tmp", "disk:a"},
        {"du", "-vv", "--exclude", "*.tmp", "disk:a"}}) {
    ASSERT_EQ(Run(words), 0) << console.error;
    EXPECT_TRUE(console.error.contains(rule)) << words.front() << ": " << console.error;
  }
  for (const char* command : {"ls", "du"}) {
    ASSERT_EQ(Run({command, "-v", "--exclude", "*.tmp", "disk:a"}), 0);
    EXPECT_TRUE(console.error.contains("the filters leave out 1 object")) << console.error;
    EXPECT_FALSE(Says("a.tmp")) << console.error;
    ASSERT_EQ(Run({command, "--exclude", "*.tmp", "disk:a"}), 0);
    EXPECT_EQ(console.error, "");
  }
}

// Whoever keeps hashes would else look for one that nobody has said why it is not there.
TEST_F(CheckCommandTest, AFolderHasAHashWhereItIsRead) {
  WriteFile("in/x", "1");
  WriteFile("in/empty", "");
  WriteFile("in/sub/y", "22");
  ASSERT_EQ(Run({"cp", "-r", folder.file("in"), "disk:a"}), 0);
  ASSERT_EQ(Run({"check", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(Says("no hash")) << console.out;
  EXPECT_TRUE(Says("files of a local folder have no checksums: --download")) << console.out;
  ASSERT_EQ(Run({"check", "--json", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(Says("\"no_hash\":\"files of a local folder")) << console.out;
  for (const std::string mode : {"--no-metadata", "--checkers=4"}) {
    ASSERT_EQ(Run({"check", "--root", "--download", mode, folder.file("in")}), 0) << console.error;
    const std::string here = console.out.substr(0, console.out.find('\n'));
    ASSERT_EQ(Run({"check", "--root", "--download", mode, "disk:a"}), 0) << console.error;
    const std::string there = console.out.substr(0, console.out.find('\n'));
    ASSERT_TRUE(here.starts_with("longhaul-tree-1:")) << here;
    ASSERT_EQ(Run({"check", "--download", "--depth", "1", mode, folder.file("in"), "disk:a"}), 0)
        << console.error;
    EXPECT_TRUE(Says("hash of the source  " + here)) << console.out << here;
    EXPECT_TRUE(Says("hash of the target  " + there)) << console.out << there;
    EXPECT_TRUE(Says("source  sub/")) << console.out;
    EXPECT_FALSE(Says("no hash")) << console.out;
    EXPECT_EQ(Says("hashes differ"), here != there) << console.out;
    if (mode == "--no-metadata") {
      EXPECT_EQ(here, there);
    }
  }
  // What is at one side alone is in that side's hash.
  WriteFile("in/z", "333");
  ASSERT_EQ(Run({"check", "--root", "--download", "--no-metadata", folder.file("in")}), 0);
  const std::string more = console.out.substr(0, console.out.find('\n'));
  ASSERT_EQ(Run({"check", "--download", "--no-metadata", folder.file("in"), "disk:a"}), 11);
  EXPECT_TRUE(Says("hash of the source  " + more)) << console.out << more;
}

// A name that is nowhere was to be compared, and is not equal.
TEST_F(CheckCommandTest, ANameThatBothLackIsTold) {
  WriteFile("root/a/x", "1");
  WriteFile("root/b/x", "1");
  WriteFile("root/a/here", "1");
  WriteFile("root/b/there", "1");
  const std::string names = folder.file("names");
  WriteFile("names", "# to compare\nnone\nx\n\nnot either\n");
  for (const char* flag : {"--files-from", "--files-from-raw"}) {
    EXPECT_EQ(Run({"check", flag, names, "--report", folder.file("report"), "disk:a", "disk:b"}),
              11);
    EXPECT_TRUE(console.error.contains("at neither side: " + names + " line 2: ")) << console.error;
    EXPECT_TRUE(console.error.contains("at neither side: " + names + " line 5: not either"));
    EXPECT_TRUE(ReadFile("report").contains("\"event\":\"nowhere\",\"line\":5")) << console.out;
    EXPECT_EQ(Run({"check", "--json", flag, names, "disk:a", "disk:b"}), 11);
    const std::string counts = std::string("\"equal\":1,\"different\":") +
                               (std::string(flag) == "--files-from" ? "2" : "3");
    EXPECT_TRUE(Says(counts)) << console.out;
  }
  WriteFile("names", "here\nthere\nx\n");
  EXPECT_EQ(Run({"check", "--files-from", names, "disk:a", "disk:b"}), 11);
  EXPECT_TRUE(Says("here: missing") && Says("there: only at the target")) << console.out;
  EXPECT_FALSE(Says("neither")) << console.error;
  WriteFile("names", "none\n");
  EXPECT_EQ(Run({"check", "--files-from", names, "disk:a", "disk:b"}), 11);
  EXPECT_EQ(Run({"check", "--root", "--download", "--files-from", names, "disk:a"}), 1);
  EXPECT_TRUE(Says("names line 1: none")) << console.error;
  WriteFile("names", "none\nx\n");
  EXPECT_EQ(
      Run({"check", "--files-from", names, "--combined", folder.file("all"), "disk:a", "disk:b"}),
      11);
  EXPECT_EQ(Sorted("all"), "! none\n= x\n");
}

// Whoever removes what is "only at the target" would remove the only good copy.
TEST_F(CheckCommandTest, ANameThatCannotBeLookedAtEndsIt) {
  WriteFile("in/x", "1");
  WriteFile("out/x", "1");
  WriteFile("names", "x\n../y\n");
  const std::string names = folder.file("names");
  EXPECT_NE(Run({"check", "--files-from", names, folder.file("in"), folder.file("out")}), 0);
  EXPECT_TRUE(Says("line 2: ../y")) << console.error;
  EXPECT_FALSE(Says("equal")) << console.out << console.error;  // There is no summary.
}

// What filters leave out nobody asks for.
TEST_F(CheckCommandTest, ANameThatIsLeftOutIsNotMissed) {
  WriteFile("root/a/p/x", "1");
  WriteFile("root/b/q/x", "1");
  WriteFile("names", "x\nx.tmp\n");
  const std::string names = folder.file("names");
  EXPECT_EQ(Run({"check", "--files-from", names, "disk:a/p/", "disk:b/q/"}), 11);
  EXPECT_EQ(Run({"check", "--files-from", names, "--exclude", "*.tmp", "disk:a/p/", "disk:b/q/"}),
            0)
      << console.error;
  EXPECT_EQ(Run({"check", "--root", "--download", "--files-from", names, "--exclude", "x.tmp",
                 "disk:a/p/"}),
            0)
      << console.error;
}

// It would be equal to that of whoever lacks the same.
TEST_F(CheckCommandTest, LessThanTheListHasNoHash) {
  WriteFile("root/a/x", "1");
  WriteFile("names", "x\nnone\n");
  EXPECT_EQ(Run({"check", "--root", "--download", "--save", folder.file("tree"), "--files-from",
                 folder.file("names"), "disk:a"}),
            1);
  EXPECT_TRUE(Says("no hash: 1 object failed")) << console.out;
  EXPECT_FALSE(Says("longhaul-tree")) << console.out;
  EXPECT_FALSE(ReadFile("tree").contains("\"root\"")) << ReadFile("tree");
}

// What the other side has besides is no sign that this one is there.
TEST_F(CheckCommandTest, OneMistypedSideIsTold) {
  WriteFile("root/a/data/x.p", "1");
  WriteFile("root/b/data/_SUCCESS", "1");
  EXPECT_EQ(Run({"check", "--include", "*.p", "disk:a/dtaa/", "disk:b/data/"}), 3);
  EXPECT_TRUE(Says("there is nothing below 'disk:a/dtaa/'\n")) << console.error;
  EXPECT_EQ(Run({"check", "--include", "*.q", "disk:a/data/", "disk:b/dtaa/"}), 3);
  EXPECT_TRUE(Says("there is nothing below 'disk:b/dtaa/'\n")) << console.error;
  EXPECT_EQ(Run({"check", "--include", "*.q", "disk:a/data/", "disk:b/data/"}), 0);
}

}  // namespace
}  // namespace longhaul
