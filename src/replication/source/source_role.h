// SourceRole turns hints into archives in staging.
//
// Hints come from the Queue in messages. A key is read no earlier than its hint's time plus the
// rule's settle time; the readings of a rule are packed together. A message is acknowledged when
// every (rule, target) that its keys belong to has them durable in staging; what could not be
// carried goes back to the Queue as a new message before that.
//
// Rules share the process fairly. Each has three lanes in the Queue (events/hint.h), which take
// turns, and a part of the keys that may wait here is kept free for each lane: one that is full is
// left alone. The places for packing go by bytes (fair_slots.h). A message that has come again and
// again travels alone (suspects.h).

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "events/hint.h"
#include "replication/context/context.h"
#include "replication/source/fair_slots.h"
#include "replication/source/open_messages.h"
#include "replication/source/pack.h"
#include "replication/source/pending_keys.h"
#include "replication/source/suspects.h"
#include "replication/source/target_health.h"

namespace longhaul {

class SourceRole {
 public:
  // `job_bytes`: the memory of one batch being packed; `jobs_max` batches at a time.
  SourceRole(ReplicationContext& context, PackMemory memory, int jobs_max);
  ~SourceRole();

  // Works until `stop` is set and what was under way is finished or handed back.
  asio::awaitable<void> Run(Event& stop);

  // Called after an archive has become durable in staging.
  void OnStaged(std::function<void()> callback) { on_staged_ = std::move(callback); }
  // From now on what is for a target that is left alone (target_breaker.h) goes to the spool, and
  // `on_closed` is called when it can come back. Else it goes back to the Queue: whoever waits
  // until the Queue is empty must not overlook it.
  void UseSpool(std::function<void()> on_closed) { on_closed_ = std::move(on_closed); }

  // Nothing pending here and nothing being packed. The Queue may hold more.
  [[nodiscard]] bool idle() const {
    return keys_pending_ == 0 && jobs_running_ == 0 && messages_.empty();
  }
  // What of a rule waits here.
  [[nodiscard]] RuleMeter::SourceSight SightOf(const std::string& rule_id) const;
  [[nodiscard]] std::vector<LateKey> LateKeys(const std::string& rule_id, SystemTime before,
                                              size_t max) const;
  // A failure that concerns the Queue or a whole store, until the same thing has succeeded.
  [[nodiscard]] std::optional<Error> store_error() const;
  // Keys carried so far, and batches that failed: whoever waits for progress looks here.
  [[nodiscard]] uint64_t keys_done() const { return keys_done_; }
  [[nodiscard]] uint64_t failures() const { return failures_; }

 private:
  struct RuleQueue;
  using Items = std::vector<PendingKeys::Item>;

  asio::awaitable<void> ReceiveLoop(Event& stop);
  void NoteWaiting(const std::vector<std::string>& waiting);
  asio::awaitable<void> PackLoop(RuleQueue& queue, Event& stop);
  asio::awaitable<void> TakeMessage(QueueMessage message);
  // Its keys come back in several new messages.
  asio::awaitable<void> TakeApart(const QueueMessage& message, const HintMessage& hints);
  // Its keys wait from now on to be read; with those of the same `company`, where it is not 0.
  asio::awaitable<void> TakeKeys(HintMessage hints, SystemTime sent,
                                 std::shared_ptr<OpenMessage> open, uint64_t company);
  // Suspects whose turn it is. False: some wait or are under way, and nothing more is to be
  // received.
  asio::awaitable<bool> TakeSuspects();
  // Counts them, and tells of each store once, where no rule here reads what they are of.
  void NoteUnmatched(const HintMessage& hints);
  void NoteTargetGone(const Rule& rule, const std::string& target);
  [[nodiscard]] bool Knows(const std::string& rule_id) const;
  asio::awaitable<void> KeepForOthers(const QueueMessage& message, HintMessage& hints);
  void NoteKept(const HintMessage& hints);
  Async<void> RunJob(RuleQueue& queue, Items keys);
  static int64_t CostOf(const Items& keys);
  // All of them by archive, or all of them carried by this process.
  asio::awaitable<void> Carry(RuleQueue& queue, Items keys, bool direct);
  // `away`: targets of these keys whose staging has not been found.
  asio::awaitable<void> TakeResults(RuleQueue& queue, Items keys, std::vector<size_t> targets,
                                    std::vector<std::string> away, PackResult result);
  // Nothing can be done for these keys now.
  asio::awaitable<void> GiveBack(RuleQueue& queue, Items keys, std::chrono::milliseconds delay);
  void NoteReturned(const RuleQueue& queue, const std::string& key, const PendingKey& pending,
                    const std::string& target);
  void NoteStaged(const RuleQueue& queue, const Items& keys, const std::vector<size_t>& targets,
                  const PackResult& result);
  // The rule is paused: they wait in State.
  asio::awaitable<void> Spool(RuleQueue& queue, Items keys);
  // Keeps hints of `keys` for targets that are paused. Not OK: they are not kept.
  Async<void> SpoolFor(RuleQueue& queue, const Items& keys, std::vector<std::string> targets);
  // Not OK: it is recorded nowhere, or not everywhere, and must come again.
  Async<void> Park(RuleQueue& queue, const std::string& key, const PackedKey& packed,
                   const PendingKey& pending);
  Async<void> ParkAt(ParkedPlace& place, const std::string& target, RuleQueue& queue,
                     const std::string& key, const PackedKey& packed, const Error& error,
                     const std::string& plan);
  asio::awaitable<void> Unpark(ParkedPlace& place, const std::string& key, SystemTime begun);
  // At the source. `open`: targets that the key was read for and does not lie in staging for.
  asio::awaitable<void> UnparkFor(RuleQueue& queue, const std::string& key,
                                  const PendingKey& pending, SystemTime begun,
                                  const std::vector<std::string>& open);
  asio::awaitable<void> EndTransfers(RuleQueue& queue, const std::string& key,
                                     const std::string& plan);
  void Requeue(RuleQueue& queue, std::string key, PendingKey pending);

  ReplicationContext& context_;
  PackMemory memory_;
  std::vector<std::unique_ptr<RuleQueue>> queues_;
  OpenMessages messages_;
  Suspects suspects_;
  int64_t keys_pending_ = 0;
  int jobs_running_ = 0;
  uint64_t keys_done_ = 0;
  uint64_t failures_ = 0;
  FairSlots slots_;
  Counter& unmatched_;
  Counter& kept_for_others_;
  std::set<std::string> unmatched_told_;  // Stores, targets of rules, and rules of others.
  WaitList changed_;
  std::optional<Error> queue_error_;
  std::function<void()> on_staged_;
  std::function<void()> on_closed_;
  std::set<std::string> foreign_lanes_;  // Of segments of rules that others have.
};

}  // namespace longhaul
