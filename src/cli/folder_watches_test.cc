#include "cli/folder_watches.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/fake_queue.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class FolderWatchesTest : public ::testing::Test {
 protected:
  FolderWatchesTest() {
    configuration_.stores["disk"] = {
        .name = "disk", .type = StoreType::kFile, .root = dir_.file("")};
    Rule rule;
    rule.id = "r";
    rule.source = {"disk", "b", ""};
    rule.intake.watch = true;
    configuration_.rules.push_back(rule);
  }
  std::function<void(const std::string&)> Count() {
    return [this](const std::string& rule) { listings_ += rule == "r" ? 1 : 0; };
  }
  static Async<void> Stop(FolderWatches& watches) {
    co_await watches.Stop();
    co_return Ok();
  }
  // Of a folder that is not there.
  int ListingsIn(std::chrono::nanoseconds time) {
    listings_ = 0;
    testing::FakeWorld world;
    testing::FakeQueue queue(world.runtime, std::make_shared<testing::FakeQueueBackend>());
    FolderWatches watches(world.runtime, queue);
    struct Runner {
      static Async<void> Run(FolderWatches& watches, Clock& clock, std::chrono::nanoseconds time) {
        co_await clock.Sleep(time);
        co_await watches.Stop();
        co_return Ok();
      }
    };
    watches.Start(configuration_, Count());
    EXPECT_TRUE(world.Run(Runner::Run(watches, world.clock, time)));
    return listings_;
  }

  testing::TempDir dir_;
  Configuration configuration_;
  int listings_ = 0;
};

// Nobody else would find what changes there; and a large folder is not listed each minute.
TEST_F(FolderWatchesTest, WhatCannotBeWatchedIsListedLessAndLessOften) {
  EXPECT_EQ(ListingsIn(30s), 1);
  EXPECT_EQ(ListingsIn(10min), 4);  // At 0, 1, 3 and 7 minutes.
  const int day = ListingsIn(24h);
  EXPECT_GE(day, 24);
  EXPECT_LE(day, 30);
  configuration_.rules[0].intake.listing = 1h;
  EXPECT_EQ(ListingsIn(24h), 0) << "its own listings do";
}

// A watch that ends has seen what it has not hinted.
TEST_F(FolderWatchesTest, AWatchThatEndsIsFollowedByAListing) {
  configuration_.rules[0].intake.listing = 1h;
  const std::string folder = dir_.file("b");
  std::filesystem::create_directory(folder);
  testing::RealWorld world;
  testing::FakeQueue queue(world.runtime, std::make_shared<testing::FakeQueueBackend>());
  FolderWatches watches(world.runtime, queue);
  watches.Start(configuration_, Count());
  auto wait_until = [&](int listings) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (listings_ < listings && std::chrono::steady_clock::now() < deadline) {
      world.io.restart();
      world.io.run_one_for(5ms);
    }
    EXPECT_EQ(listings_, listings);
  };
  wait_until(1);  // It begins.
  std::filesystem::rename(folder, dir_.file("away"));
  wait_until(2);
  EXPECT_TRUE(world.Run(Stop(watches)));
}

}  // namespace
}  // namespace longhaul
