#include "replication/compare/reconcile.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "backup/vault_versions.h"
#include "events/hint.h"
#include "replication/compare/under_way.h"
#include "replication/staging/seal.h"
#include "rules/priority.h"
#include "transfer/listing/listing.h"

namespace longhaul {

namespace {

constexpr int kLooksMax = 32;         // HEADs side by side.
constexpr size_t kSuspectsMax = 256;  // Keys that wait for one.
constexpr size_t kHeldLooksMax = 32;  // Of deletes that are held back.
// Archives of each staging that are looked into: some MiB of indexes at most, in a few seconds.
constexpr size_t kArchivesMax = 1000;

// A comparison runs beside the work of the rule, which needs most of the requests and memory.
constexpr int kListersMax = 16;
constexpr int64_t kWaitingBytesMax = 8 << 20;

// A mark has whole seconds, and a store may round the time in a listing up and that of a HEAD down.
constexpr std::chrono::seconds kStampsApartMin{2};

// Walks a listing in order.
class Cursor {
 public:
  Cursor(const Runtime& runtime, Store& store, std::string bucket, std::string prefix)
      : Cursor(store,
               OpenListing(runtime, store, std::move(bucket), std::move(prefix),
                           {.listers_max = kListersMax, .waiting_bytes_max = kWaitingBytesMax})) {}
  Cursor(Store& store, std::unique_ptr<Listing> listing)
      : store_(store), listing_(std::move(listing)) {}

  // The object the cursor stands on, nullptr at the end. kCorrupt: the listing is not in order.
  Async<const ListedObject*> Peek() {
    if (object_ && taken_) {
      // In its place, without a coroutine, where the next one is at hand.
      taken_ = !listing_->TakeReady(*object_);
      if (taken_) object_.reset();
    }
    if (!object_ && !ended_) {
      Result<std::optional<ListedObject>> next = co_await listing_->Next();
      if (!next) co_return next.error().In(store_.description());
      object_ = std::move(*next);
      taken_ = false;
      ended_ = !object_;
    }
    co_return object_ ? &*object_ : nullptr;
  }
  void Pop() {
    taken_ = true;
    ++count_;
  }
  // With what it held.
  asio::awaitable<void> Close() {
    co_await listing_->Close();
    listing_.reset();
  }
  [[nodiscard]] uint64_t count() const { return count_; }

 private:
  Store& store_;
  std::unique_ptr<Listing> listing_;
  std::optional<ListedObject> object_;
  bool taken_ = false;
  bool ended_ = false;
  uint64_t count_ = 0;
};

// Collects hints and sends them a message at a time.
class HintSender {
 public:
  HintSender(ReplicationContext& context, const Rule& rule, std::string target)
      : context_(context),
        message_{.store = rule.source.store,
                 .bucket = rule.source.bucket,
                 .rule = rule.id,
                 .target = std::move(target),
                 .origin = HintOrigin::kListing} {}

  Async<void> Add(Hint hint) {
    message_.hints.push_back(std::move(hint));
    if (message_.hints.size() < kHintsPerMessageMax) co_return Ok();
    co_return co_await Flush();
  }
  Async<void> Flush() {
    if (message_.hints.empty()) co_return Ok();
    Result<void> sent = co_await context_.queue.Send(EncodeHints(message_), {});
    if (!sent) co_return sent.error().In("send hints");
    message_.hints.clear();
    co_return Ok();
  }

 private:
  ReplicationContext& context_;
  HintMessage message_;
};

// A key that a listing alone does not decide: the replica's metadata has to be looked at.
struct Suspect {
  Hint hint;
  std::string source_etag;      // Empty: the source has no such key.
  std::vector<size_t> targets;  // Those that must be looked at.
  std::vector<bool> differs;    // For each target of the rule.
  // The sites of other installations' replicas that were found instead of ours.
  std::vector<std::string> others{};
};

class Comparison {
 public:
  // `prefix`: of keys at the source; that of the rule where it is shorter.
  Comparison(ReplicationContext& context, const RuleContext& rule, std::vector<size_t> targets,
             std::string prefix, std::unique_ptr<Listing> listing,
             std::vector<SystemTime> known_until, CompareMemory& memory)
      : context_(context),
        rule_(rule),
        memory_(memory),
        all_(context, *rule.rule, ""),
        known_until_(std::move(known_until)),
        deletes_(rule.rule->deletes && listing == nullptr) {
    known_until_.resize(rule.targets.size(), SystemTime::min());
    alive_.resize(rule.targets.size());
    extra_counts_.resize(rule.targets.size());
    for (size_t i : targets) alive_[i] = true;
    const Rule& config = *rule.rule;
    if (!prefix.starts_with(config.source.prefix)) prefix = config.source.prefix;
    source_ = listing != nullptr ? std::make_unique<Cursor>(*rule.source, std::move(listing))
                                 : std::make_unique<Cursor>(context.runtime, *rule.source,
                                                            config.source.bucket, prefix);
    for (const auto& target : rule.targets) {
      targets_.push_back(
          target->config->backup
              ? OpenVault(*target, prefix)
              : std::make_unique<Cursor>(context.runtime, *target->store, target->config->to.bucket,
                                         *TargetKey(config, *target->config, prefix)));
      senders_.push_back(std::make_unique<HintSender>(context, config, target->config->name));
    }
  }

  // Sends the changes, and keeps what only targets have in extra_.
  Async<ReconcileResult> Run() {
    co_await LookIntoStaging();
    Result<void> walked = co_await Walk();
    co_await source_->Close();
    for (auto& target : targets_) co_await target->Close();
    if (walked) walked = co_await ResolveSuspects();
    if (walked) walked = co_await all_.Flush();
    for (auto& sender : senders_) {
      if (walked) walked = co_await sender->Flush();
    }
    if (!walked) co_return walked.error();
    result_.source_keys = source_->count();
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (alive_[i]) result_.target_keys = std::max(result_.target_keys, targets_[i]->count());
    }
    co_return result_;
  }

  // Sends what only targets have as it is found, to each target (by index) so many at most.
  Async<ReconcileResult> RunDeletes(std::vector<uint64_t> deletes_max) {
    deletes_max_ = std::move(deletes_max);
    co_return co_await Run();
  }

  // Targets that have been compared to their end.
  [[nodiscard]] std::vector<size_t> Compared() const {
    std::vector<size_t> compared;
    for (size_t i = 0; i < alive_.size(); ++i) {
      if (alive_[i]) compared.push_back(i);
    }
    return compared;
  }
  [[nodiscard]] uint64_t extra_count(size_t target) const { return extra_counts_[target]; }
  [[nodiscard]] uint64_t target_keys(size_t target) const { return targets_[target]->count(); }
  [[nodiscard]] const std::map<size_t, Error>& failed() const { return result_.failed; }

  // Keys that only targets have, as far as they were kept; true: there were more.
  std::deque<Suspect> extra_;
  bool extra_overflow_ = false;

  // What keeps `target` from being rid of what only it has.
  asio::awaitable<HeldDeletes> LookAtHeld(size_t target) {
    HeldDeletes held{.keys = extra_counts_[target]};
    const size_t step = extra_.size() / kHeldLooksMax + 1;
    for (size_t at = 0; at < extra_.size(); at += step) {
      Suspect suspect = extra_[at];
      if (std::ranges::find(suspect.targets, target) == suspect.targets.end()) continue;
      suspect.targets = {target};
      Result<void> looked = co_await Look(suspect);
      if (!looked || !alive_[target]) break;
      ++held.looked_at;
      if (suspect.differs[target]) ++held.replicas;
    }
    co_return held;
  }

  // For `targets` alone.
  Async<void> SendDeletes(std::deque<Suspect> suspects, const std::vector<size_t>& targets) {
    for (Suspect& suspect : suspects) {
      std::erase_if(suspect.targets,
                    [&](size_t i) { return std::ranges::find(targets, i) == targets.end(); });
      if (!suspect.targets.empty()) suspects_.push_back(std::move(suspect));
    }
    Result<void> resolved = co_await ResolveSuspects();
    if (resolved) resolved = co_await all_.Flush();
    for (auto& sender : senders_) {
      if (resolved) resolved = co_await sender->Flush();
    }
    co_return resolved;
  }
  [[nodiscard]] uint64_t delete_hints() const { return result_.delete_hints; }
  // Looked at, to be deleted, and left alone.
  void TellOfOthers() const {
    for (const auto& [site, keys] : of_others_) {
      context_.runtime.log.Warning(
          "not deleted: replicas of another installation; see Deletes in the guide",
          {{"rule", rule_.rule->id}, {"site", site}, {"keys", keys}});
    }
  }
  [[nodiscard]] uint64_t writes() const { return result_.writes; }

 private:
  // A backup is compared by its catalogs, which name objects as the source does.
  std::unique_ptr<Cursor> OpenVault(const TargetContext& target, const std::string& prefix) {
    const Address& to = target.config->to;
    return std::make_unique<Cursor>(
        *target.store, backup::OpenVaultListing(
                           memory_.Next(),
                           {.store = target.store,
                            .vault = {.bucket = to.bucket, .prefix = to.prefix},
                            .source_bucket = rule_.rule->source.bucket,
                            .prefix = prefix,
                            .passes_unread = true,
                            .seal_keys = SealKeys(*rule_.rule)},
                           SystemTime::max(), catalog_troubles_,
                           [this, name = target.config->name](const std::string& what) {
                             context_.runtime.log.Warning(
                                 "in the vault of a backup",
                                 {{"rule", rule_.rule->id}, {"target", name}, {"what", what}});
                           }));
  }

  [[nodiscard]] std::optional<std::string> KeyAtSource(size_t target,
                                                       const std::string& key) const {
    const Target& config = *rule_.targets[target]->config;
    if (config.backup) return key;
    return SourceKey(*rule_.rule, config, key);
  }

  // What waits in staging is not sent again.
  asio::awaitable<void> LookIntoStaging() {
    under_way_.resize(targets_.size());
    const Transport transport = rule_.rule->transport;
    if (transport == Transport::kPlain || transport == Transport::kCopy) co_return;
    Runtime runtime = memory_.empty() ? context_.runtime : memory_.Before();
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (!alive_[i]) continue;
      Result<UnderWay> found =
          co_await UnderWay::Look(runtime, context_.state, rule_, *rule_.targets[i], kArchivesMax,
                                  static_cast<size_t>(context_.limits.hints_pending_max));
      if (found) {
        under_way_[i] = std::move(*found);
      } else {
        context_.runtime.log.Warning(
            "a comparison may send again what waits in staging",
            {{"rule", rule_.rule->id}, {"target", rule_.targets[i]->config->name}, found.error()});
      }
    }
  }

  // This target is not compared any further; the others are.
  void Fail(size_t target, Error error) {
    alive_[target] = false;
    result_.failed.emplace(target, std::move(error));
  }

  Async<void> Walk() {
    const Rule& config = *rule_.rule;
    const size_t count = targets_.size();
    while (true) {
      Result<const ListedObject*> at_source = co_await source_->Peek();
      if (!at_source) co_return at_source.error();
      // The smallest key in sight, by its name at the source.
      std::optional<std::string> key;
      if (*at_source != nullptr) {
        key = (*at_source)->key;
        source_has_any_ = true;
      }
      std::vector<const ListedObject*> at_target(count);
      std::vector<std::optional<std::string>> target_key(count);
      bool any_alive = false;
      for (size_t i = 0; i < count; ++i) {
        if (!alive_[i]) continue;
        Result<const ListedObject*> found = co_await targets_[i]->Peek();
        if (!found) {
          Fail(i, found.error());
          continue;
        }
        any_alive = true;
        at_target[i] = *found;
        if (*found == nullptr) continue;
        target_key[i] = KeyAtSource(i, (*found)->key);
        if (target_key[i] && (!key || *target_key[i] < *key)) key = target_key[i];
      }
      if (!key || !any_alive) co_return Ok();

      const bool source_has = *at_source != nullptr && (*at_source)->key == *key;
      if (config.MatchesKey(config.source.bucket, *key)) {
        Suspect suspect{.hint = {.key = *key}, .differs = std::vector<bool>(count)};
        if (source_has) {
          suspect.hint.time = (*at_source)->last_modified;
          suspect.hint.size_bytes = (*at_source)->size_bytes;
          suspect.source_etag = (*at_source)->etag;
          if (suspect.source_etag.empty()) {
            co_return InvalidInput("the listing of the source does not tell the ETag of " + *key +
                                   ": an inventory needs the field ETag");
          }
        }
        bool differs = false;
        ObjectFacts facts = kFactsOfDelete;
        if (source_has) {
          facts = {.size_bytes = suspect.hint.size_bytes,
                   .last_modified = (*at_source)->last_modified};
        }
        for (size_t i = 0; i < count; ++i) {
          if (!alive_[i]) continue;
          if (CarrierAmong(rule_.targets[i]->rivals_above, *key, facts) != nullptr) continue;
          const bool target_has = target_key[i] == key;
          const bool equal =
              source_has == target_has &&
              (!source_has || (at_target[i]->etag == suspect.source_etag &&
                               at_target[i]->size_bytes == *suspect.hint.size_bytes));
          if (equal && !(source_has && IsRenewed(i, **at_source, *at_target[i]))) continue;
          if (source_has ? under_way_[i].Brings(**at_source) : under_way_[i].Removes(*key)) {
            ++result_.under_way;
          } else if (!target_has) {
            suspect.differs[i] = differs = true;
          } else {
            suspect.targets.push_back(i);
          }
        }
        const bool wanted = !source_has || config.filter.Matches(facts) != Filter::Match::kNo;
        if (wanted && (differs || !suspect.targets.empty())) {
          Result<void> noted = co_await Note(std::move(suspect), source_has);
          if (!noted) co_return noted.error();
        }
      }
      if (source_has) source_->Pop();
      for (size_t i = 0; i < count; ++i) {
        if (at_target[i] != nullptr && target_key[i] == key) targets_[i]->Pop();
      }
    }
  }

  // Whether the source was written after its replica, as far as the listings tell, and that has not
  // been looked at yet: with the same bytes the headers may be others.
  [[nodiscard]] bool IsRenewed(size_t target, const ListedObject& at_source,
                               const ListedObject& at_target) const {
    return at_source.last_modified > known_until_[target] &&
           at_source.last_modified >= at_target.last_modified + kStampsApartMin;
  }

  Async<void> Note(Suspect suspect, bool source_has) {
    if (!source_has) {
      if (!deletes_) co_return Ok();
      for (size_t i : suspect.targets) ++extra_counts_[i];
      if (!deletes_max_) {
        if (static_cast<int64_t>(extra_.size()) <= rule_.rule->delete_guard.keys) {
          extra_.push_back(std::move(suspect));
        } else {
          extra_overflow_ = true;
        }
        co_return Ok();
      }
      // The source may have lost what it had when they were allowed.
      std::erase_if(suspect.targets, [this](size_t i) {
        return !source_has_any_ || extra_counts_[i] > (*deletes_max_)[i];
      });
      if (suspect.targets.empty()) co_return Ok();
    } else if (deletes_max_) {
      co_return Ok();
    }
    suspects_.push_back(std::move(suspect));
    if (suspects_.size() < kSuspectsMax) co_return Ok();
    co_return co_await ResolveSuspects();
  }

  Async<void> ResolveSuspects() {
    TaskGroup looks(context_.runtime.executor);
    for (Suspect& suspect : suspects_) {
      if (suspect.targets.empty()) continue;
      co_await looks.WaitBelow(kLooksMax);
      looks.Spawn(Look(suspect));
    }
    Result<void> looked = co_await looks.Join();
    if (!looked) co_return looked;
    while (!suspects_.empty()) {
      Result<void> sent = co_await Send(suspects_.front());
      if (!sent) co_return sent;
      suspects_.pop_front();
    }
    co_return Ok();
  }

  // Finds out by the marks of the replicas which targets differ.
  Async<void> Look(Suspect& suspect) {
    for (size_t i : suspect.targets) {
      if (!alive_[i]) continue;
      const TargetContext& target = *rule_.targets[i];
      if (target.config->backup) {
        suspect.differs[i] = true;
        continue;
      }
      const std::string& bucket = target.config->to.bucket;
      std::optional<std::string> key = TargetKey(*rule_.rule, *target.config, suspect.hint.key);
      Result<ObjectInfo> info = co_await target.store->Head({.bucket = bucket, .key = *key});
      if (!info) {
        if (info.error().kind == ErrorKind::kNotFound) {
          suspect.differs[i] = !suspect.source_etag.empty();
          continue;
        }
        Fail(i, info.error().In("look at " + *key));
        continue;
      }
      std::optional<Mark> mark = FindMark(info->metadata, bucket, *key);
      if (!mark && target.floors) {
        Result<std::optional<Floor>> floor = co_await target.floors->Get(*key);
        if (!floor) co_return floor.error();
        const KeptMark* kept = *floor ? (*floor)->FindMarkOf(*info) : nullptr;
        if (kept != nullptr) {
          mark = kept->mark;
          // Perhaps ours, in a state that nobody knows: it is read, or deleted, anew.
          if (kept->target_etag.empty()) mark->source_etag.clear();
        }
      }
      if (suspect.source_etag.empty()) {
        // (Where another process applies, that one knows.)
        Result<bool> ours = mark.has_value();
        if (mark && target.applier) ours = co_await target.applier->IsOurs(*mark);
        if (!ours) co_return ours.error();
        suspect.differs[i] = *ours;
        if (mark && !*ours) suspect.others.push_back(mark->site);
      } else if (!mark) {
        suspect.differs[i] = info->etag != suspect.source_etag;
      } else {
        suspect.differs[i] = mark->source_etag != suspect.source_etag ||
                             (suspect.hint.time > known_until_[i] &&
                              suspect.hint.time >= mark->stamp + kStampsApartMin);
      }
    }
    co_return Ok();
  }

  Async<void> Send(Suspect& suspect) {
    for (const std::string& site : suspect.others) ++of_others_[site];
    const size_t differing =
        static_cast<size_t>(std::count(suspect.differs.begin(), suspect.differs.end(), true));
    if (differing == 0) co_return Ok();
    result_.writes += differing;
    result_.write_bytes += differing * suspect.hint.size_bytes.value_or(0);
    if (suspect.source_etag.empty()) {
      ++result_.delete_hints;
    } else {
      ++result_.hints;
    }
    if (differing == suspect.differs.size()) co_return co_await all_.Add(std::move(suspect.hint));
    for (size_t i = 0; i < suspect.differs.size(); ++i) {
      if (!suspect.differs[i]) continue;
      Result<void> added = co_await senders_[i]->Add(suspect.hint);
      if (!added) co_return added;
    }
    co_return Ok();
  }

  ReplicationContext& context_;
  const RuleContext& rule_;
  CompareMemory& memory_;
  HintSender all_;
  std::vector<SystemTime> known_until_;  // By target.
  bool deletes_;                         // What only a target has may be deleted there.
  std::vector<std::unique_ptr<HintSender>> senders_;
  backup::CatalogTroubles catalog_troubles_;
  std::unique_ptr<Cursor> source_;
  std::vector<std::unique_ptr<Cursor>> targets_;
  std::vector<UnderWay> under_way_;  // By target.
  std::vector<bool> alive_;          // By target: takes part, and has not failed.
  std::vector<uint64_t> extra_counts_;
  std::deque<Suspect> suspects_;
  std::map<std::string, uint64_t> of_others_;  // By site.
  ReconcileResult result_;
  bool source_has_any_ = false;
  std::optional<std::vector<uint64_t>> deletes_max_;  // By target; nullopt: none is sent yet.
};

bool IsTooMany(const DeleteGuard& guard, uint64_t extra, uint64_t there) {
  return guard.enabled && static_cast<int64_t>(extra) > guard.keys &&
         static_cast<double>(extra) > guard.share * static_cast<double>(there);
}

void TellHeld(ReplicationContext& context, const RuleContext& rule, size_t target,
              const HeldDeletes& held, uint64_t target_keys, bool source_is_empty) {
  context.runtime.log.Failure(
      "deletes held back",
      {{"rule", rule.rule->id},
       {"target", rule.targets[target]->config->name},
       {"keys", held.keys},
       {"target_keys", target_keys},
       {"looked_at", held.looked_at},
       {"of_those_replicas", held.replicas},
       {"why", source_is_empty
                   ? "the source is empty"
                   : "more than the delete guard allows; see delete_guard in the guide"}});
}

}  // namespace

Async<ReconcileResult> Reconcile(ReplicationContext& context, const RuleContext& rule,
                                 std::vector<size_t> targets, std::string prefix,
                                 std::unique_ptr<Listing> listing,
                                 std::vector<SystemTime> known_until, CompareMemory memory) {
  const bool asked_of_source = listing == nullptr;
  Comparison comparison(context, rule, std::move(targets), prefix, std::move(listing),
                        std::move(known_until), memory);
  Result<ReconcileResult> result = co_await comparison.Run();
  if (!result) co_return result.error().In("rule " + rule.rule->id);
  context.observer.OnFound(result->writes, result->write_bytes);
  if (result->under_way > 0) {
    context.runtime.log.Info("not sent again: it waits in staging",
                             {{"rule", rule.rule->id}, {"keys", result->under_way}});
  }

  const DeleteGuard& guard = rule.rule->delete_guard;
  const std::vector<size_t> compared = comparison.Compared();
  std::vector<size_t> deleting;
  for (size_t i : compared) {
    const uint64_t extra = comparison.extra_count(i);
    const uint64_t there = comparison.target_keys(i);
    const bool too_many = IsTooMany(guard, extra, there);
    const bool held = extra > 0 && (too_many || result->source_keys == 0);
    if (prefix.empty() && asked_of_source) {
      context.meter->OnDeletesHeld(rule.rule->id, rule.targets[i]->config->name, held ? extra : 0);
    }
    if (extra > 0 && !held) deleting.push_back(i);
    if (!held) continue;
    result->guarded = true;
    const HeldDeletes told = co_await comparison.LookAtHeld(i);
    result->held.emplace(i, told);
    TellHeld(context, rule, i, told, there, result->source_keys == 0);
  }
  if (deleting.empty()) co_return result;
  if (!comparison.extra_overflow_) {
    Result<void> sent = co_await comparison.SendDeletes(std::move(comparison.extra_), deleting);
    if (!sent) co_return sent.error();
    comparison.TellOfOthers();
    result->delete_hints = comparison.delete_hints();
    context.observer.OnFound(comparison.writes() - result->writes, 0);
    result->writes = comparison.writes();
    result->failed = comparison.failed();
    co_return result;
  }
  // Too many to be kept in memory, and allowed: a second pass sends them as it finds them, no more
  // of them than were counted. What the source has lost since is for the next comparison to judge.
  std::vector<uint64_t> deletes_max(rule.targets.size(), std::numeric_limits<uint64_t>::max());
  for (size_t i : deleting) {
    if (guard.enabled) deletes_max[i] = comparison.extra_count(i);
  }
  memory.Rewind();
  Comparison deletes(context, rule, deleting, prefix, nullptr, {}, memory);
  Result<ReconcileResult> second = co_await deletes.RunDeletes(deletes_max);
  if (!second) co_return second.error().In("rule " + rule.rule->id);
  deletes.TellOfOthers();
  for (size_t i : deletes.Compared()) {
    const uint64_t extra = deletes.extra_count(i);
    const uint64_t there = deletes.target_keys(i);
    const bool none = second->source_keys == 0;
    const uint64_t kept = none ? extra : extra - std::min(extra, deletes_max[i]);
    // A few more have been deleted at the source meanwhile.
    if (kept == 0 || (!none && !IsTooMany(guard, extra, there))) continue;
    const HeldDeletes held{.keys = kept};
    if (prefix.empty()) {
      context.meter->OnDeletesHeld(rule.rule->id, rule.targets[i]->config->name, kept);
    }
    result->guarded = true;
    result->held.emplace(i, held);
    TellHeld(context, rule, i, held, there, none);
  }
  result->delete_hints = second->delete_hints;
  context.observer.OnFound(second->writes, 0);
  result->writes += second->writes;
  result->failed.insert(second->failed.begin(), second->failed.end());
  co_return result;
}

}  // namespace longhaul
