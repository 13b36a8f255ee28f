#include "replication/explain/explain.h"

#include <algorithm>
#include <utility>

#include "archive/content_label.h"
#include "backup/vault_versions.h"
#include "base/units.h"
#include "replication/compare/compare_memory.h"
#include "replication/explain/explain_next.h"
#include "replication/explain/explain_staging.h"
#include "replication/giants/giant.h"
#include "replication/life/spool.h"
#include "replication/source/choose_route.h"
#include "replication/staging/seal.h"
#include "rules/priority.h"
#include "storage/is_gone.h"

namespace longhaul {

namespace {

std::string PrefixText(std::string_view prefix) { return "\"" + std::string(prefix) + "\""; }

// The levels of the kinds that content under such a key has had, each once.
std::vector<KindLevel> LevelsFor(const std::vector<RuleNow>& processes, std::string_view key) {
  const std::string ending = KeyEnding(key);
  std::vector<KindLevel> levels;
  for (const RuleNow& process : processes) {
    for (const KindLevel& level : process.levels) {
      const bool all = level.kind == kEveryKind;
      // (Without an ending it is told by its bits alone, or by a format: that is not in the key.)
      const bool same = (!ending.empty() && level.kind.starts_with(ending + " ")) ||
                        (ending.empty() && level.kind.find(' ') == std::string::npos);
      const bool known = std::ranges::find(levels, level.kind, &KindLevel::kind) != levels.end();
      if ((all || same) && !known) levels.push_back(level);
    }
  }
  return levels;
}

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

// The object, or none where the store says so by name, as the source role has it: a missing bucket
// and a server in front of the store that knows nothing of it say 404, too.
Async<std::optional<ObjectInfo>> FindObject(Store& store, std::string bucket, std::string key) {
  Result<ObjectInfo> info = co_await store.Head({.bucket = bucket, .key = key});
  if (info) co_return std::optional<ObjectInfo>(std::move(*info));
  if (IsGone(info.error())) co_return std::nullopt;
  if (info.error().kind != ErrorKind::kNotFound || !info.error().code.empty()) {
    co_return info.error();
  }
  // A HEAD has no body to say it in.
  Result<ObjectStream> stream = co_await store.Get({.bucket = bucket, .key = key});
  if (stream) co_return std::optional<ObjectInfo>(std::move(stream->info));
  if (IsGone(stream.error())) co_return std::nullopt;
  co_return stream.error();
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
        if (target.backup || !here(target.to)) continue;
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
    Result<RuleSight> sight = co_await LookAtRule(rule);
    if (!sight) co_return sight.error();
    if (rule.tuner) told.levels = LevelsFor(sight->processes, key);
    for (const auto& target : known->targets) {
      if (only != nullptr && target->config != only) continue;
      if (!told.matches && only == nullptr) continue;
      Result<TargetExplanation> at = co_await ExplainTarget(*known, *target, told, *sight);
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
    Result<std::optional<ObjectInfo>> info =
        co_await FindObject(*known.source, rule.source.bucket, told.source_key);
    if (!info) told.source_error = info.error();
    if (!info || !*info) co_return Ok();
    told.source = std::move(**info);
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

  // What a backup gives back of the key, by its catalogs.
  Async<std::optional<ObjectInfo>> FindKept(const TargetContext& target, std::string source_bucket,
                                            std::string key) {
    const Address& to = target.config->to;
    // In one step: asked for bit by bit it would wait behind roles that wait for it.
    Result<CompareMemory> memory = co_await CompareMemory::Take(context_, nullptr, 1);
    if (!memory) co_return memory.error();
    backup::CatalogTroubles troubles;
    std::unique_ptr<Listing> listing =
        backup::OpenVaultListing(memory->Next(),
                                 {.store = target.store,
                                  .vault = {.bucket = to.bucket, .prefix = to.prefix},
                                  .source_bucket = std::move(source_bucket),
                                  .prefix = key,
                                  .seal_keys = SealKeys(*target.rule)},
                                 SystemTime::max(), troubles, {});
    Result<std::optional<ListedObject>> first = co_await listing->Next();
    co_await listing->Close();
    if (!first) co_return first.error();
    // The key itself comes before all that begin with it.
    if (!*first || (*first)->key != key) co_return std::nullopt;
    ObjectInfo info;
    info.size_bytes = (*first)->size_bytes;
    info.etag = (*first)->etag;
    info.last_modified = (*first)->last_modified;
    co_return std::optional(std::move(info));
  }

  Async<TargetExplanation> ExplainTarget(const RuleContext& known, const TargetContext& target,
                                         const RuleExplanation& rule, const RuleSight& sight) {
    const Target& config = *target.config;
    TargetExplanation told{.name = config.name};
    told.key = TargetKey(*known.rule, config, rule.source_key).value_or("");
    told.address = config.backup ? "the vault " + config.to.ToString()
                                 : config.to.store + ":" + config.to.bucket + "/" + told.key;
    told.pause = control_.PauseOf(known.rule->id, config.name);
    told.open = OpenOf(sight, config.name);
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
    Result<std::optional<GiantTransfer>> giant =
        co_await FindGiant(known, target, rule.source_key, told.key);
    if (!giant) co_return giant.error();
    told.giant = std::move(*giant);

    Result<std::optional<ObjectInfo>> replica =
        config.backup ? co_await FindKept(target, known.rule->source.bucket, rule.source_key)
                      : co_await FindObject(*target.store, config.to.bucket, told.key);
    if (!replica) told.error = replica.error();
    if (replica && *replica) {
      const ObjectInfo& there = **replica;
      told.mark = config.backup ? std::optional(Mark{.site = "",
                                                     .stamp = there.last_modified,
                                                     .source_etag = there.etag,
                                                     .sites_passed = {}})
                                : FindMark(there.metadata, config.to.bucket, told.key);
      told.foreign_mark = !told.mark && there.metadata.contains(std::string(kMarkName));
      const KeptMark* kept = told.floor ? told.floor->FindMarkOf(there) : nullptr;
      if (!told.mark && kept != nullptr) {
        told.mark = kept->mark;
        told.mark_in_state = true;
      }
      told.replica = std::move(**replica);
    }
    Result<void> looked = co_await LookIntoStaging(context_.runtime, context_.state, known, target,
                                                   rule.source_key, options_.archives_max, told);
    if (!looked) co_return looked.error();
    Judge(rule, sight, told);
    co_return told;
  }

  // What the processes that run a rule say of it, and what is asked of them.
  Async<RuleSight> LookAtRule(const Rule& rule) {
    Result<std::vector<RuleNow>> processes = co_await ReadNow(context_.state, rule.id);
    if (!processes) co_return processes.error();
    Result<QueueDepth> depth = co_await context_.queue.Depth();
    co_return RuleSight{.processes = std::move(*processes),
                        .backfill = control_.BackfillOf(rule.id),
                        .paused = control_.PauseOf(rule.id).has_value(),
                        .messages = depth ? depth->visible + depth->delayed + depth->in_flight : 0,
                        .now = context_.runtime.clock.Now()};
  }

  // Of an object that travels in segments, as the source planned it and as it arrives.
  Async<std::optional<GiantTransfer>> FindGiant(const RuleContext& known,
                                                const TargetContext& target,
                                                const std::string& source_key,
                                                const std::string& key) {
    Transfers transfers(context_.state, *known.rule, *target.config);
    Result<std::optional<Transfer>> planned = co_await transfers.Find(source_key);
    if (!planned) co_return planned.error();
    // The context's own is made when a target has been found fit, which nobody does here.
    SharedUploads uploads(context_.runtime, context_.state, *target.store, *context_.uploads,
                          target.config->to.bucket, GiantRows(),
                          StatePartition(*known.rule, *target.config));
    Result<std::optional<SharedUpload>> upload = co_await uploads.Find(key);
    if (!upload) co_return upload.error();
    if (!*planned && !*upload) co_return std::nullopt;
    co_return GiantTransfer{.plan = *planned ? (*planned)->plan : "", .upload = std::move(*upload)};
  }

  ReplicationContext& context_;
  const Configuration& configuration_;
  ExplainOptions options_;
  RuleControl control_;
};

}  // namespace

Async<Explanation> Explain(ReplicationContext& context, const Configuration& configuration,
                           std::vector<std::string> stores, std::string bucket, std::string key,
                           ExplainOptions options) {
  Explainer explainer(context, configuration, options);
  co_return co_await explainer.Run(stores, std::move(bucket), std::move(key));
}

}  // namespace longhaul
