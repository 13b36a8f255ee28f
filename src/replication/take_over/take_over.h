// TakeOverRole applies what the cross-region compressor of AWS Samples left in its inbound bucket
// when longhaul took its place: targets with `take_over` (rules/rule.h).
//
//   <prefix><source bucket>/[<source prefix>/]<32 hex digits>.tar.zst
//
// The configuration here decides which archives are a rule's, and where their objects go; what an
// archive says of its destinations only decides when it is done with. It goes when all of them that
// are in this region are targets here and have every object, or something that is not older. With
// anything parked it stays. Nothing else is ever written or removed in that bucket.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replication/context/context.h"
#include "replication/take_over/apply_compressor.h"

namespace longhaul {

// What one pass over all such buckets found.
struct TakeOverPass {
  int removed = 0;  // Archives that were applied, and are gone.
  int waiting = 0;  // A failure that may pass, or another process at work.
  int failed = 0;   // Of these: tried in this pass.
  int parked = 0;
  std::optional<Error> store_error;  // The first failure that concerns a store as a whole.
};

class TakeOverRole {
 public:
  // `job_bytes`: the memory of one archive being applied.
  TakeOverRole(ReplicationContext& context, int64_t job_bytes);

  // Lists and applies once; ends early, between two archives, when `stop` is set.
  asio::awaitable<TakeOverPass> RunPass(const Event& stop);
  // The same time and again, until `stop` is set. Archives hold less of an object than its source
  // does (no headers, no metadata): where this process compares a rule's source with its target,
  // its archives wait for that, so that they only bring what the source has no more.
  asio::awaitable<void> Run(Event& stop);

 private:
  struct Pair {
    RuleContext* rule = nullptr;
    TargetContext* target = nullptr;
  };
  // The targets for which archives of one source come to one place.
  struct Group {
    Address source;
    std::vector<Pair> pairs;
  };
  struct Place {
    Store* store = nullptr;
    std::string bucket;
    std::string prefix;
    std::map<std::string, Group> groups;  // By folder, with "/" at its end.
  };
  // What is remembered about an archive between passes; forgetting it costs work, never data.
  struct Work {
    int attempts = 0;
    SteadyTime next_try{};
    bool parked = false;
    bool held = false;  // Done, but for targets that are paused.
    std::map<const TargetContext*, std::set<size_t>> settled;  // Entries.
    std::map<const TargetContext*, int64_t> retried;           // RuleControl::RetryRevision.
    std::optional<Error> store_error;
  };
  enum class Handled { kRemoved, kWaiting, kHeld, kParked };

  asio::awaitable<TakeOverPass> PassOverAll(const Event& stop, bool after_comparison);
  asio::awaitable<void> PassOver(Place& place, TakeOverPass& pass, const Event& stop,
                                 bool after_comparison);
  // Those of the group that can be written to now.
  std::vector<Pair> ReadyPairs(const Group& group, bool after_comparison, int& waiting) const;
  Async<Handled> Handle(Place& place, const Group& group, std::vector<Pair> ready,
                        const ListedObject& listed, std::string name, Work& work);
  Async<Handled> HandleLeased(Place& place, const Group& group, std::vector<Pair> ready,
                              const ListedObject& listed, std::string name, Work& work);
  // True: with something parked.
  Async<bool> ApplyTo(Runtime& runtime, const Group& group, Pair pair,
                      const CompressorArchivePlace& archive, const CompressorContents& contents,
                      const std::string& name, Work& work);
  Async<void> AskSource(Pair pair, const CompressorContents& contents,
                        const std::map<size_t, std::string>& reread, const std::string& name);
  asio::awaitable<void> ParkWhole(const std::vector<Pair>& pairs, const std::string& name,
                                  const std::string& reason);
  asio::awaitable<void> Unpark(Pair pair, const CompressorContents& contents,
                               const std::set<size_t>& settled, const std::string& name);
  Async<void> Remove(const Place& place, const ListedObject& listed);

  ReplicationContext& context_;
  int64_t job_bytes_;
  std::vector<Place> places_;
  std::map<std::string, Work> work_;       // By place and key.
  std::set<std::string> nobodys_folders_;  // That have been told of.
};

}  // namespace longhaul
