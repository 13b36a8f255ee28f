// ThresholdWatch: tells when an object takes longer than its rule's threshold, and when it arrives
// after that.
//
// It looks every few seconds at what waits in this process: keys that the source role holds, and
// archives whose receipts have not come. A key that goes back to the Queue is looked at then, and
// when it comes again. Belongs to one shard.

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/runtime.h"
#include "replication/life/outcome.h"

namespace longhaul {

// A key that waits for a target (empty: for all of its rule).
struct LateKey {
  std::string key;
  std::string target;
  SystemTime heard{};
};

class ThresholdWatch {
 public:
  struct WatchedRule {
    std::chrono::milliseconds threshold{0};
    std::vector<std::string> targets;
  };
  // The keys of a rule that wait at the source and were heard of before a time; at most `max`.
  using AskLate =
      std::function<std::vector<LateKey>(const std::string& rule, SystemTime before, size_t max)>;

  // More keys are told of as a number alone.
  static constexpr size_t kKeysMax = 100'000;
  static constexpr size_t kLinesMax = 10;  // Of the log, each time.

  ThresholdWatch(Runtime& runtime, Observer& observer) : runtime_(runtime), observer_(observer) {}

  // By rule; others are not watched.
  void Watch(std::map<std::string, WatchedRule> rules, AskLate ask);

  // It could not be read, or not be put into staging.
  void OnReturned(const std::string& rule, const LateKey& key);
  void OnStaged(const std::string& rule, const std::string& archive,
                const std::vector<std::string>& targets, const std::vector<LateKey>& keys);
  void OnReceipt(const std::string& archive, const std::string& target, SystemTime written);
  // Nobody waits for it any more.
  void OnGone(const std::string& archive);
  // Looks for what is late now.
  void Look();

 private:
  struct Archive {
    std::string rule;
    std::vector<std::string> targets;
    std::vector<LateKey> keys;  // The one heard of first is first.
    size_t told = 0;            // So many of them are late and have been told of.
  };
  struct Missed {
    SystemTime heard{};
    bool staged = false;
    SteadyTime seen{};
  };
  using Name = std::tuple<std::string, std::string, std::string>;  // Rule, target, key.

  void Miss(const std::string& rule, const std::string& target, const LateKey& key, bool staged,
            SystemTime now);
  // For each target that it waits for.
  void MissAll(const std::string& rule, const WatchedRule& watched, const LateKey& key,
               SystemTime now);
  void Tell(ThresholdEvent::Kind kind, const Name& name, SystemTime heard, SystemTime now);
  void EndLines();

  Runtime& runtime_;
  Observer& observer_;
  std::map<std::string, WatchedRule> rules_;
  AskLate ask_;
  std::map<std::string, Archive> archives_;
  size_t keys_held_ = 0;  // In all archives.
  std::map<Name, Missed> missed_;
  size_t lines_ = 0;
};

}  // namespace longhaul
