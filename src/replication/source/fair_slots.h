// FairSlots: the places in which batches are packed, shared by the rules of a process.
//
// A place that is free goes to the rule that waits and has been served least, counted in bytes: so
// rules that all have a backlog get the same share of the work, whatever their batches look like,
// and one that comes with little need not wait for the backlog of another. What a rule did not use
// while it had nothing to do is not made up for later.
//
// Where there are several rules and places, one rule never holds all of them, and those whose last
// batch met a store that failed hold one together: a store that answers nothing for the whole
// deadline keeps nobody else waiting. With a single place a rule waits for at most one batch of
// each other rule.
//
// Belongs to one shard.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/async.h"

namespace longhaul {

class FairSlots {
 public:
  FairSlots(int slots, size_t rules);

  // Waits for a place. One caller for each rule at a time.
  asio::awaitable<void> Acquire(size_t rule);
  void Release(size_t rule);
  // What the work of a rule takes; more or less, when that turns out later.
  void Charge(size_t rule, int64_t bytes) { rules_[rule].served_bytes += bytes; }
  // Whether all places are taken, more than one of them by this rule: when one is free again, that
  // is soon enough to look for another batch of it.
  [[nodiscard]] bool Crowds(size_t rule) const { return free_ == 0 && rules_[rule].held > 1; }
  // Whether its last batch met a store that failed.
  void SetSick(size_t rule, bool sick);

 private:
  struct User {
    int64_t served_bytes = 0;
    int held = 0;
    bool waits = false;
    bool sick = false;
    uint64_t ticket = 0;
    WaitList waiter;
  };

  [[nodiscard]] bool MayHoldOneMore(const User& rule) const;
  [[nodiscard]] std::optional<size_t> Next() const;
  void Grant();

  int free_;
  int each_max_;
  int sick_max_;
  int64_t served_last_ = 0;  // What the rule that was served last had been served before.
  uint64_t next_ticket_ = 0;
  std::vector<User> rules_;
};

}  // namespace longhaul
