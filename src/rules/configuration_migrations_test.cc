#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "rules/configuration.h"
#include "rules/migration.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class MigrationsSection : public ::testing::Test {
 protected:
  ~MigrationsSection() override { std::filesystem::remove(file_); }

  Result<std::vector<Migration>> Load(const std::string& migrations) {
    std::ofstream(file_) << "version: 1\nsite: here\nstores:\n  a: { type: file, root: /srv/a }\n"
                            "  b: { type: file, root: /srv/b }\nmigrations:\n"
                         << migrations;
    return LoadMigrations(file_, [](std::string_view) { return std::nullopt; });
  }
  std::string Refusal(const std::string& migrations) {
    Result<std::vector<Migration>> read = Load(migrations);
    EXPECT_FALSE(read) << migrations;
    return read ? "" : read.error().message;
  }

  const std::string file_ =
      ::testing::TempDir() + "migrations-" + std::to_string(::getpid()) + ".yaml";
};

TEST_F(MigrationsSection, FilterAndComparison) {
  Result<std::vector<Migration>> read = Load(R"(
  - id: nightly
    source: a:from/
    target: b:to/
    filter:
      rules: ["- /tmp/**", "+ *.keep"]
      exclude: ["*.bak"]
      include: ["*.log"]
      min_size: 1KiB
      max_size: 1GiB
      max_age: 7d
    options: { checksum: true, modify_window: 2s, tries: 7 }
)");
  ASSERT_TRUE(read) << read.error().message;
  const MigrationOptions& options = (*read)[0].options;
  EXPECT_EQ(options.filter.Texts(),
            (std::vector<std::string>{"- /tmp/**", "+ *.keep", "exclude *.bak", "include *.log"}));
  EXPECT_EQ(options.filter.size_bytes_min, 1024U);
  EXPECT_EQ(options.filter.size_bytes_max, 1U << 30);
  EXPECT_EQ(options.age_max, std::chrono::days(7));
  EXPECT_FALSE(options.age_min);
  EXPECT_TRUE(options.compare.checksum);
  EXPECT_TRUE(options.compare.etags);
  EXPECT_EQ(options.compare.window, 2s);
  EXPECT_EQ(options.tries_max, 7);
}

TEST_F(MigrationsSection, WhatIsNoFilterIsRefused) {
  const std::string one = "  - { id: x, source: 'a:from/', target: 'b:to/', ";
  EXPECT_THAT(Refusal(one + "filter: { rules: ['include *.log'] } }\n"), HasSubstr("is no rule"));
  EXPECT_THAT(Refusal(one + "filter: { rules: ['+ [a'] } }\n"), HasSubstr("'['"));
  EXPECT_THAT(Refusal(one + "filter: { min_size: -1 } }\n"), HasSubstr("min_size"));
  EXPECT_THAT(Refusal(one + "filter: { younger: 1h } }\n"), HasSubstr("younger"));
}

TEST_F(MigrationsSection, NeitherSideLiesInTheOther) {
  EXPECT_TRUE(Load("  - { id: x, source: 'a:b/x/', target: 'a:b/y/' }\n"));
  EXPECT_THAT(Refusal("  - { id: x, source: 'a:b/x/', target: 'a:b/x/y/' }\n"),
              HasSubstr("lies in the source"));
  EXPECT_THAT(Refusal("  - { id: x, source: 'a:b/x/y/', target: 'a:b/x/' }\n"),
              HasSubstr("holds the source"));
}

TEST_F(MigrationsSection, Events) {
  const std::string live = "  - { id: live, source: 'a:from/', target: 'b:to/', events: true }\n";
  Result<std::vector<Migration>> read = Load(live);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE((*read)[0].options.events);
  // What would never come to pass, or without end.
  EXPECT_THAT(Refusal("  - { id: live, source: 'a:from/', target: 'b:to/', events: true, filter: { "
                      "min_age: 1h } }\n"),
              HasSubstr("min_age"));
  // A late copy would pass for what somebody has written there, and stay.
  EXPECT_THAT(Refusal("  - { id: live, source: 'a:from/', target: 'b:to/', events: true, options: "
                      "{ update: true } }\n"),
              HasSubstr("update leaves alone"));
  EXPECT_THAT(Refusal(live + "  - { id: next, source: 'a:x/', target: 'b:y/', after: live }\n"),
              HasSubstr("never ends"));
}

}  // namespace
}  // namespace longhaul
