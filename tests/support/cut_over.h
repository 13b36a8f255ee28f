// CutOver: the place of an earlier compressor, whose archives replication takes over.

#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "events/hint.h"
#include "replica/mark.h"
#include "tests/support/compressor_archive.h"
#include "tests/support/replication_world.h"

namespace longhaul::testing {

inline constexpr ReplicatorOptions kTargetAlone{
    .source = false, .target = true, .timeout = std::chrono::seconds(60)};

// The world of replication with the bucket "inbound" beside the target, in which archives lie.
struct CutOver : ReplicationWorld {
  explicit CutOver(int targets = 1) : ReplicationWorld(targets) {
    target().backend->buckets["inbound"].created = world.clock.Now();
    rule().targets[0].take_over = {.from = {.store = "west0", .bucket = "inbound", .prefix = ""}};
    now = std::chrono::floor<std::chrono::seconds>(world.clock.Now());
  }
  Rule& rule() { return configuration.rules[0]; }

  std::string Leave(const CompressorArchive& archive, std::string folder = "in/") {
    return LeaveBytes(archive.Bytes(), std::move(folder));
  }
  std::string LeaveBytes(std::string bytes, std::string folder = "in/") {
    const std::string name = HexEncode(Md5("archive " + std::to_string(++archives)));
    PutDirectly("inbound", folder + name + ".tar.zst", std::move(bytes));
    return name;
  }
  void PutDirectly(const std::string& bucket, const std::string& key, std::string text,
                   Tags tags = {}) {
    MemoryStore direct(runtime, target().backend);
    PutRequest request{.bucket = bucket, .key = key, .tags = std::move(tags)};
    ASSERT_TRUE(world.Run(PutText(direct, std::move(request), std::move(text))));
  }
  [[nodiscard]] size_t Left() { return target().backend->Keys("inbound").size(); }
  [[nodiscard]] const MemoryStoreBackend::Version& Replica(const std::string& key) {
    return target().backend->buckets.at("out").objects.at(key).back();
  }
  [[nodiscard]] std::string Text(const std::string& key) { return *Replica(key).bytes; }
  [[nodiscard]] std::optional<Mark> MarkOf(const std::string& key) {
    return FindMark(Replica(key).info.metadata, "out", key);
  }
  [[nodiscard]] std::string ParkedReason() {
    for (const Outcome& outcome : observer.outcomes) {
      if (outcome.state == OutcomeState::kParked) return outcome.reason;
    }
    return "";
  }
  // All of it comes to nothing: it stays, with a reason, and nothing is written.
  void ExpectRefused(std::string_view words) {
    OnceResult result = RunOnce(kTargetAlone);
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    EXPECT_EQ(result.parked_archives, 1);
    EXPECT_EQ(Left(), 1u);
    EXPECT_EQ(Replicas(), std::set<std::string>()) << words;
    EXPECT_NE(ParkedReason().find(words), std::string::npos) << ParkedReason();
  }

  SystemTime now;
  int archives = 0;
};

}  // namespace longhaul::testing
