#include "replication/context/content_kinds.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

using Answer = ContentKinds::Answer;

void Learn(ContentKinds& kinds, const std::string& key, bool shrinks, int times) {
  for (int i = 0; i < times; ++i) kinds.Learn("r", key, shrinks);
}

// One odd object must not decide for all that follow.
TEST(ContentKindsTest, SeveralSamplesThatAgreeAreBelieved) {
  ContentKinds kinds;
  for (int i = 0; i < ContentKinds::kSamplesMin; ++i) {
    EXPECT_EQ(kinds.Ask("r", "a.jpg"), Answer::kTakeSample);
    kinds.Learn("r", "a.jpg", false);
  }
  EXPECT_EQ(kinds.Ask("r", "b.JPG"), Answer::kDoesNotShrink);
  EXPECT_EQ(kinds.Ask("r", "b.txt"), Answer::kTakeSample);
  EXPECT_EQ(kinds.Ask("other", "b.jpg"), Answer::kTakeSample)
      << "another rule's .jpg may be others";
}

// What is mixed is asked for each time; averages would send the one half of it the wrong way.
TEST(ContentKindsTest, SamplesThatDisagreeAreNotBelieved) {
  ContentKinds kinds;
  Learn(kinds, "a.bin", false, 4);
  Learn(kinds, "a.bin", true, 1);
  EXPECT_EQ(kinds.Ask("r", "b.bin"), Answer::kTakeSample);
  // Until it has been of one sort for a while.
  Learn(kinds, "a.bin", true, ContentKinds::kSamplesKept - 1);
  EXPECT_EQ(kinds.Ask("r", "b.bin"), Answer::kShrinks);
}

// What an ending stands for may change.
TEST(ContentKindsTest, WhatIsBelievedIsSampledNowAndThen) {
  ContentKinds kinds;
  Learn(kinds, "a.log", true, ContentKinds::kSamplesMin);
  int samples = 0;
  for (uint32_t i = 0; i < 10 * ContentKinds::kAsksPerSample; ++i) {
    if (kinds.Ask("r", "b.log") != Answer::kTakeSample) continue;
    ++samples;
    kinds.Learn("r", "b.log", true);
  }
  EXPECT_EQ(samples, 10);
}

// Keys that end in anything must not take memory without end.
TEST(ContentKindsTest, KindsAreBounded) {
  ContentKinds kinds;
  for (size_t i = 0; i < 2 * ContentKinds::kKindsMax; ++i) {
    Learn(kinds, "a.x" + std::to_string(i), true, ContentKinds::kSamplesMin);
  }
  EXPECT_EQ(kinds.Ask("r", "a.x1"), Answer::kShrinks);
  EXPECT_EQ(kinds.Ask("r", "a.x" + std::to_string(2 * ContentKinds::kKindsMax - 1)),
            Answer::kTakeSample);
}

}  // namespace
}  // namespace longhaul
