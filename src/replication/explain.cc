#include "replication/explain.h"

#include <algorithm>
#include <set>
#include <utility>

#include "archive/archive_file.h"
#include "archive/reader.h"
#include "base/units.h"
#include "replication/choose_route.h"
#include "replication/local_staging.h"
#include "replication/seal.h"
#include "replication/spool.h"
#include "replication/staging.h"
#include "rules/priority.h"

namespace longhaul {

namespace {

std::string PrefixText(std::string_view prefix) { return "\"" + std::string(prefix) + "\""; }

// Why a rule does not carry a key, whatever lies under it; empty: it may.
std::string KeyMismatch(const Rule& rule, std::string_view key) {
  if (!rule.enabled) return "the rule is disabled";
  if (!key.starts_with(rule.source.prefix)) {
    return "its prefix is " + PrefixText(rule.source.prefix);
  }
  if (!key.ends_with(rule.filter.suffix)) return "its suffix is " + PrefixText(rule.filter.suffix);
  if (!rule.MatchesKey(rule.source.bucket, key)) return "its filter leaves the key out";
  return "";
}

// What is known of the object at the source.
ObjectFacts FactsOf(const RuleExplanation& rule) {
  if (!rule.source) return rule.source_error ? ObjectFacts{} : kFactsOfDelete;
  return {.size_bytes = rule.source->size_bytes,
          .last_modified = rule.source->last_modified,
          .kms_encrypted = rule.source->kms_encrypted,
          .tags = rule.tags ? &*rule.tags : nullptr};
}

// Why it leaves the object out; empty: it does not, or tags that are not known decide.
std::string FilterMismatch(const Filter& filter, const ObjectFacts& facts) {
  if (filter.Matches(facts) != Filter::Match::kNo) return "";
  if (filter.Matches({.size_bytes = facts.size_bytes}) == Filter::Match::kNo) {
    return "its filter leaves out objects of " + FormatSizeExact(*facts.size_bytes);
  }
  if (filter.Matches({.last_modified = facts.last_modified}) == Filter::Match::kNo) {
    return "its filter leaves out what was written before " + FormatRfc3339(*filter.modified_since);
  }
  if (filter.Matches({.kms_encrypted = facts.kms_encrypted}) == Filter::Match::kNo) {
    return "its filter leaves out objects under a key of KMS";
  }
  return "its filter asks for other tags";
}

class Explainer {
 public:
  Explainer(ReplicationContext& context, const Configuration& configuration, ExplainOptions options)
      : context_(context),
        configuration_(configuration),
        options_(options),
        control_(context.state, context.runtime.clock) {}

  Async<Explanation> Run(const std::vector<std::string>& stores, std::string bucket,
                         std::string key) {
    Result<bool> read = co_await control_.Refresh();
    if (!read) co_return read.error();
    auto here = [&](const Address& address) {
      return address.bucket == bucket && std::ranges::find(stores, address.store) != stores.end();
    };
    Explanation explanation;
    for (const Rule& rule : configuration_.rules) {
      if (here(rule.source)) {
        Result<RuleExplanation> told = co_await ExplainRule(rule, key, nullptr);
        if (!told) co_return told.error();
        explanation.from.push_back(std::move(*told));
      }
      for (const Target& target : rule.targets) {
        if (!here(target.to)) continue;
        std::optional<std::string> source_key = SourceKey(rule, target, key);
        if (!source_key) continue;
        Result<RuleExplanation> told = co_await ExplainRule(rule, *source_key, &target);
        if (!told) co_return told.error();
        explanation.to.push_back(std::move(*told));
      }
    }
    Conclude(explanation);
    co_return explanation;
  }

 private:
  const RuleContext* ContextOf(const Rule& rule) const {
    for (const auto& known : context_.rules) {
      if (known->rule == &rule) return known.get();
    }
    return nullptr;  // Disabled.
  }

  // `only`: that target alone.
  Async<RuleExplanation> ExplainRule(const Rule& rule, std::string key, const Target* only) {
    RuleExplanation told{.rule = &rule, .source_key = key};
    told.why_not = KeyMismatch(rule, key);
    const RuleContext* known = ContextOf(rule);
    if (known == nullptr) co_return told;
    if (told.why_not.empty() || only != nullptr) {
      Result<void> read = co_await ReadSource(*known, told);
      if (!read) co_return read.error();
    }
    told.matches = told.why_not.empty();
    if (told.matches && told.source &&
        ContentDecides(context_.limits, rule, told.source->size_bytes)) {
      Result<double> share = co_await SampleOf(context_, *known, key, told.source->size_bytes);
      if (share) told.shrinks_to = *share;
    }
    for (const auto& target : known->targets) {
      if (only != nullptr && target->config != only) continue;
      if (!told.matches && only == nullptr) continue;
      Result<TargetExplanation> at = co_await ExplainTarget(*known, *target, told);
      if (!at) co_return at.error();
      told.targets.push_back(std::move(*at));
    }
    co_return told;
  }

  // Looks at the object as the source role would, and at what of it the rule's filter says.
  Async<void> ReadSource(const RuleContext& known, RuleExplanation& told) {
    const Rule& rule = *known.rule;
    Result<std::optional<ParkedKey>> parked =
        co_await FindParked(context_.state, rule.id, "", told.source_key);
    if (!parked) co_return parked.error();
    told.parked = std::move(*parked);
    Result<ObjectInfo> info =
        co_await known.source->Head({.bucket = rule.source.bucket, .key = told.source_key});
    if (!info) {
      // A HEAD has no body to say NoSuchKey in.
      if (info.error().kind != ErrorKind::kNotFound) told.source_error = info.error();
      if (info.error().code == "NoSuchBucket") told.source_error = info.error();
      co_return Ok();
    }
    told.source = std::move(*info);
    if (!told.why_not.empty()) co_return Ok();
    if (told.source->tag_count == 0) told.tags.emplace();
    std::optional<Mark> mark = FindMark(told.source->metadata, rule.source.bucket, told.source_key);
    if (mark && std::ranges::find(mark->sites_passed, context_.site) != mark->sites_passed.end()) {
      told.why_not = "it came from here (site " + context_.site + "): a loop ends";
    } else {
      told.why_not = FilterMismatch(rule.filter, FactsOf(told));
    }
    if (!told.why_not.empty() || told.source->tag_count == 0) co_return Ok();
    Result<Tags> tags = co_await known.source->GetTags(rule.source.bucket, told.source_key, "");
    if (!tags) {
      told.source_error = tags.error().In("read tags");
      co_return Ok();
    }
    told.tags = std::move(*tags);
    if (rule.filter.Matches(FactsOf(told)) == Filter::Match::kNo) {
      told.why_not = "its filter asks for other tags";
    }
    co_return Ok();
  }

  Async<TargetExplanation> ExplainTarget(const RuleContext& known, const TargetContext& target,
                                         const RuleExplanation& rule) {
    const Target& config = *target.config;
    TargetExplanation told{.name = config.name};
    told.key = TargetKey(*known.rule, config, rule.source_key).value_or("");
    told.address = config.to.store + ":" + config.to.bucket + "/" + told.key;
    told.pause = control_.PauseOf(known.rule->id, config.name);
    told.carrier = CarrierAmong(target.rivals_above, rule.source_key, FactsOf(rule));

    Result<std::optional<ParkedKey>> parked =
        co_await FindParked(context_.state, known.rule->id, config.name, rule.source_key);
    if (!parked) co_return parked.error();
    told.parked = std::move(*parked);
    Result<std::optional<Floor>> floor = co_await target.floors->Get(told.key);
    if (!floor) co_return floor.error();
    told.floor = std::move(*floor);
    Result<bool> spooled =
        co_await IsSpooled(context_.state, known.rule->id, config.name, rule.source_key);
    if (!spooled) co_return spooled.error();
    told.spooled = *spooled;

    Result<ObjectInfo> replica =
        co_await target.store->Head({.bucket = config.to.bucket, .key = told.key});
    if (replica) {
      told.mark = FindMark(replica->metadata, config.to.bucket, told.key);
      told.foreign_mark = !told.mark && replica->metadata.contains(std::string(kMarkName));
      const KeptMark* kept = told.floor ? told.floor->FindMarkOf(*replica) : nullptr;
      if (!told.mark && kept != nullptr) {
        told.mark = kept->mark;
        told.mark_in_state = true;
      }
      told.replica = std::move(*replica);
    } else if (replica.error().kind != ErrorKind::kNotFound ||
               replica.error().code == "NoSuchBucket") {
      told.error = replica.error();
    }
    co_await LookIntoStaging(known, target, rule.source_key, told);
    co_await Judge(*known.rule, rule, told);
    co_return told;
  }

  asio::awaitable<void> LookIntoStaging(const RuleContext& known, const TargetContext& target,
                                        const std::string& source_key, TargetExplanation& told) {
    Result<std::vector<StagedArchive>> listed =
        co_await ListStaging(*target.staging_store, target.staging_bucket, target.staging_prefix);
    if (!listed) {
      if (!told.error) told.error = listed.error();
      co_return;
    }
    std::set<std::string> waiting;
    std::set<std::string> replicated;  // Of these: still to come from the local staging.
    if (known.local) {
      Result<LocalArchives> local =
          co_await ReadLocalStaging(context_.state, known, /*stale=*/nullptr);
      if (!local && !told.error) told.error = local.error();
      for (const auto& [ulid, archive] : local ? *local : LocalArchives()) {
        if (!archive.settled.contains(told.name)) replicated.insert(ulid);
      }
    }
    for (const StagedArchive& staged : *listed) {
      replicated.erase(staged.ulid);
      if (staged.archive && !staged.HasReceipt(told.name)) waiting.insert(staged.ulid);
    }
    waiting.insert(replicated.begin(), replicated.end());
    co_await LookIntoNewest(known, target, {waiting.rbegin(), waiting.rend()}, replicated,
                            source_key, told);
  }

  // The newest readings are those that count.
  asio::awaitable<void> LookIntoNewest(const RuleContext& known, const TargetContext& target,
                                       std::vector<std::string> waiting,
                                       const std::set<std::string>& replicated,
                                       const std::string& source_key, TargetExplanation& told) {
    if (waiting.size() > options_.archives_max) {
      told.archives_not_read = waiting.size() - options_.archives_max;
      waiting.resize(options_.archives_max);
    }
    for (const std::string& ulid : waiting) {
      const bool local = replicated.contains(ulid);
      Result<void> read = co_await LookIntoArchive(
          known, local ? *known.local->store : *target.staging_store,
          local ? known.local->bucket : target.staging_bucket,
          ArchiveKey(local ? known.local->prefix : target.staging_prefix, ulid), ulid, source_key,
          told);
      if (!read && read.error().kind != ErrorKind::kNotFound) ++told.archives_not_read;
    }
  }

  Async<void> LookIntoArchive(const RuleContext& known, Store& store, std::string bucket,
                              std::string key, std::string ulid, const std::string& source_key,
                              TargetExplanation& told) {
    Result<std::unique_ptr<StoreArchiveFile>> file =
        co_await StoreArchiveFile::Open(context_.runtime, store, bucket, key, "");
    if (!file) co_return file.error();
    ReaderOptions options;
    options.seal_keys = SealKeys(*known.rule);
    Result<std::unique_ptr<ArchiveReader>> reader =
        co_await ArchiveReader::Open(context_.runtime, **file, std::move(options));
    if (!reader) co_return reader.error();
    for (const ArchiveEntry& entry : (*reader)->entries()) {
      if (entry.key != source_key) continue;
      told.pending.push_back({.archive = ulid, .op = entry.op, .stamp = entry.stamp});
    }
    co_return Ok();
  }

  // Whether the target is as the source is.
  static bool InStep(const Rule& rule, const RuleExplanation& source,
                     const TargetExplanation& told) {
    if (!source.source) return !told.replica || !rule.deletes || !told.mark;
    if (!told.replica) return false;
    const ObjectInfo& there = *source.source;
    if (told.mark) {
      // The same bytes with other metadata were written later than they were read.
      return told.mark->source_etag == there.etag &&
             std::chrono::floor<std::chrono::seconds>(there.last_modified) <= told.mark->stamp;
    }
    return told.replica->etag == there.etag && told.replica->size_bytes == there.size_bytes;
  }

  asio::awaitable<void> Judge(const Rule& rule, const RuleExplanation& source,
                              TargetExplanation& told) {
    if (source.source_error || told.error) {
      told.status = ReplicationStatus::kPending;
      told.next = std::string(source.source_error ? "the source" : "the target or its staging") +
                  " cannot be looked at: it is tried again for ever";
      co_return;
    }
    if (!source.why_not.empty()) {
      told.next = told.replica ? "nothing: the rule does not carry it, and leaves what is there"
                               : "nothing: the rule does not carry it";
      co_return;
    }
    if (told.carrier != nullptr) {
      told.next = "nothing: rule " + told.carrier->id + ", of higher priority, carries it";
      co_return;
    }
    if (InStep(rule, source, told)) {
      const bool there = told.replica.has_value() && source.source.has_value();
      told.status =
          there || rule.deletes ? ReplicationStatus::kCompleted : ReplicationStatus::kNone;
      told.next = source.source   ? "nothing until it changes"
                  : !told.replica ? "nothing: it is at neither end"
                  : rule.deletes  ? "nothing: what is there is no replica"
                                  : "nothing: the rule does not replicate "
                                    "deletes, the replica stays";
      co_return;
    }
    const std::optional<ParkedKey>& parked = source.parked ? source.parked : told.parked;
    if (parked) {
      told.status = ReplicationStatus::kFailed;
      told.next = "parked: " + parked->reason + "; mend that, then `longhaul rules retry " +
                  rule.id + " KEY`";
      if (parked->retried) told.next = "parked, and a retry has been asked for: " + parked->reason;
      co_return;
    }
    told.status = ReplicationStatus::kPending;
    if (told.pause) {
      told.next = "it waits until the " +
                  std::string(control_.PauseOf(rule.id) ? "rule" : "target") + " is resumed";
      if (told.pause->until) told.next += ", at " + FormatRfc3339(*told.pause->until);
    } else if (!told.pending.empty()) {
      told.next = "the target role applies archive " + told.pending.front().archive;
    } else if (told.spooled) {
      told.next =
          "the source role reads it: an event was kept while the rule was paused or the "
          "target's store failed";
    } else {
      Result<QueueDepth> depth = co_await context_.queue.Depth();
      const int64_t waiting = depth ? depth->visible + depth->delayed + depth->in_flight : 0;
      told.next = waiting > 0 ? "an event may be among the " + std::to_string(waiting) +
                                    " messages in the queue; else "
                              : "no event is in the queue: ";
      told.next += rule.intake.listing
                       ? "the next comparison finds it, within " +
                             FormatDuration(std::chrono::milliseconds(*rule.intake.listing))
                       : std::string("a comparison finds it");
      told.next += ", or at once after `longhaul rules backfill " + rule.id + "`";
    }
  }

  static void Conclude(Explanation& explanation) {
    auto worse = [](ReplicationStatus a, ReplicationStatus b) {
      auto rank = [](ReplicationStatus status) {
        switch (status) {
          case ReplicationStatus::kFailed:
            return 3;
          case ReplicationStatus::kPending:
            return 2;
          case ReplicationStatus::kCompleted:
            return 1;
          default:
            return 0;
        }
      };
      return rank(a) > rank(b);
    };
    for (const RuleExplanation& rule : explanation.from) {
      for (const TargetExplanation& target : rule.targets) {
        if (!worse(target.status, explanation.status)) continue;
        explanation.status = target.status;
        explanation.next = target.next;
      }
    }
    if (explanation.status != ReplicationStatus::kNone) return;
    for (const RuleExplanation& rule : explanation.to) {
      for (const TargetExplanation& target : rule.targets) {
        if (!target.replica || !target.mark) continue;
        explanation.status = ReplicationStatus::kReplica;
        explanation.next = target.next;
      }
    }
    for (const std::vector<RuleExplanation>* rules : {&explanation.from, &explanation.to}) {
      for (const RuleExplanation& rule : *rules) {
        if (explanation.next.empty() && !rule.targets.empty()) {
          explanation.next = rule.targets.front().next;
        }
      }
    }
    if (explanation.next.empty()) explanation.next = "nothing: no rule carries it";
  }

  ReplicationContext& context_;
  const Configuration& configuration_;
  ExplainOptions options_;
  RuleControl control_;
};

}  // namespace

std::string_view ToString(ReplicationStatus status) {
  switch (status) {
    case ReplicationStatus::kNone:
      return "none";
    case ReplicationStatus::kPending:
      return "PENDING";
    case ReplicationStatus::kCompleted:
      return "COMPLETED";
    case ReplicationStatus::kFailed:
      return "FAILED";
    case ReplicationStatus::kReplica:
      return "REPLICA";
  }
  return "none";
}

Async<Explanation> Explain(ReplicationContext& context, const Configuration& configuration,
                           std::vector<std::string> stores, std::string bucket, std::string key,
                           ExplainOptions options) {
  Explainer explainer(context, configuration, options);
  co_return co_await explainer.Run(stores, std::move(bucket), std::move(key));
}

}  // namespace longhaul
