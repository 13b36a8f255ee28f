// A world in which small objects are giants.

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/replication_world.h"

namespace longhaul::testing {

class GiantTest : public ::testing::Test {
 protected:
  void Make(int targets = 1) {
    world = std::make_unique<ReplicationWorld>(targets);
    world->limits.single_object_bytes_max = 300'000;
    world->limits.segment_bytes_min = 200'000;
    world->limits.giant_part_bytes_min = 50'000;
  }

  static std::string Noise(size_t size, uint64_t seed) {
    SeededRandom random(seed);
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random.Below(256));
    return noise;
  }

  // In parts of `part`, with headers, metadata and tags.
  void PutParts(const std::string& key, const std::string& text, size_t part,
                const std::string& writer = "camera") {
    MemoryStore direct(world->runtime, world->source().backend);
    PutRequest request{.bucket = "in", .key = key};
    request.headers.content_type = "video/mp4";
    request.metadata["writer"] = writer;
    request.tags["tier"] = "hot";
    auto upload = world->world.Run(direct.CreateMultipart(request));
    ASSERT_TRUE(upload);
    CompleteRequest complete{.upload = *upload, .parts = {}, .condition = {}, .checksum = {}};
    for (size_t at = 0; at < text.size(); at += part) {
      MemorySource body(std::string_view(text).substr(at, part));
      auto uploaded =
          world->world.Run(direct.UploadPart(*upload, static_cast<int>(at / part) + 1, body));
      ASSERT_TRUE(uploaded);
      complete.parts.push_back(*uploaded);
    }
    ASSERT_TRUE(world->world.Run(direct.CompleteMultipart(complete)));
  }

  void ExpectReplica(const std::string& key, const std::string& text, int target = 0) {
    const auto* found = world->target(target).backend->Find("out", key);
    ASSERT_NE(found, nullptr);
    EXPECT_TRUE(*found->bytes == text);
    const auto* source = world->source().backend->Find("in", key);
    EXPECT_EQ(found->info.headers, source->info.headers);
    EXPECT_EQ(found->tags, source->tags);
    UserMetadata metadata = found->info.metadata;
    EXPECT_EQ(metadata.erase(std::string(kMarkName)), 1u);
    EXPECT_EQ(metadata, source->info.metadata);
  }

  // Neither uploads nor rows: what is left is paid for, or stands in the way of the next one.
  void ExpectNothingLeft(int target = 0) {
    for (const auto& [name, bucket] : world->target(target).backend->buckets) {
      EXPECT_TRUE(bucket.uploads.empty()) << name;
    }
    EXPECT_TRUE(world->Staged(target).empty());
    for (const auto& [place, row] : world->state_backend->rows) {
      EXPECT_FALSE(place.first.starts_with("giant")) << place.first << " " << place.second;
      EXPECT_FALSE(place.first.starts_with("transfer")) << place.first << " " << place.second;
      EXPECT_FALSE(place.second.starts_with("kept/")) << place.second;
    }
  }

  [[nodiscard]] int Planned() const {
    int count = 0;
    for (const std::string& line : world->log.lines) {
      count += line == "a giant travels in segments" ? 1 : 0;
    }
    return count;
  }

  std::unique_ptr<ReplicationWorld> world;
};

}  // namespace longhaul::testing
