// ContentKinds: whether objects of a kind shrink, learnt from samples of some of them.
//
// A kind is what the objects of a rule have in common whose keys end alike: ".jpg". A kind whose
// latest samples agree is believed, and sampled again now and then; one whose samples disagree
// (anything in a ".bin", or without an ending) has each object sampled.
//
// Belongs to one shard; nothing here waits.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace longhaul {

class ContentKinds {
 public:
  enum class Answer { kShrinks, kDoesNotShrink, kTakeSample };

  // Samples that must agree, those looked back upon, and how often a kind that is believed is
  // sampled all the same: what an ending stands for changes seldom, and an object in 32 that is
  // asked for twice costs 3 % more requests of the cheapest sort.
  static constexpr int kSamplesMin = 3;
  static constexpr int kSamplesKept = 8;
  static constexpr uint32_t kAsksPerSample = 32;
  // Kinds beyond it have each object sampled: keys may end in anything.
  static constexpr size_t kKindsMax = 4096;

  // Of an object of this rule. kTakeSample: nobody knows; say what it was by Learn.
  Answer Ask(std::string_view rule_id, std::string_view key);
  void Learn(std::string_view rule_id, std::string_view key, bool shrinks);

 private:
  struct Kind {
    uint32_t samples = 0;  // The latest in the lowest bit; 1: it shrinks.
    int count = 0;         // Up to kSamplesKept.
    uint32_t asks = 0;     // Since the latest.
  };

  static std::string NameOf(std::string_view rule_id, std::string_view key);

  std::unordered_map<std::string, Kind> kinds_;
};

}  // namespace longhaul
