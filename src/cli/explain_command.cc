#include <fmt/format.h>

#include <map>
#include <memory>
#include <set>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/rule_life.h"
#include "cli/stores.h"
#include "replication/choose_route.h"
#include "replication/explain.h"
#include "replication/make_context.h"

namespace longhaul {

namespace {

// Whoever asks does not want to wait for long; what does not answer is part of the answer.
constexpr std::chrono::seconds kTimeout{20};

// The names under which a configuration knows the store of an address.
Result<std::vector<std::string>> StoresOf(const Configuration& configuration,
                                          const CommandAddress& address) {
  std::set<std::string> places;
  if (address.kind == CommandAddress::Kind::kNamed) {
    const auto found = configuration.stores.find(address.store);
    if (found == configuration.stores.end()) {
      return InvalidInput(configuration.file + " has no store '" + address.store + "'");
    }
    places.insert(found->second.Place());
  } else if (address.kind == CommandAddress::Kind::kS3) {
    auto look = [&](const Address& known) {
      const auto found = configuration.stores.find(known.store);
      if (known.bucket == address.bucket && found != configuration.stores.end()) {
        places.insert(found->second.Place());
      }
    };
    for (const Rule& rule : configuration.rules) {
      look(rule.source);
      for (const Target& target : rule.targets) look(target.to);
    }
    if (places.size() > 1) {
      return InvalidInput("several stores have a bucket " + address.bucket +
                          "; say which one: NAME:bucket/key");
    }
  } else {
    return InvalidInput("'" + address.text +
                        "' is no object of a rule; write NAME:bucket/key or s3://bucket/key");
  }
  std::vector<std::string> names;
  for (const auto& [name, store] : configuration.stores) {
    if (places.contains(store.Place())) names.push_back(name);
  }
  return names;
}

class ExplainCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "explain",
            .summary = "say what becomes of an object, and why",
            .description =
                "Takes an object at a source or at a target and looks at everything that decides "
                "about it: which rules match, or why they do not; what the source holds now; what "
                "is at each target, and what its mark says; what State remembers (a floor or "
                "tombstone, whether it is parked, a pause); and which archives in staging hold a "
                "reading of it. The last line is its replication status, as S3 says it: PENDING, "
                "COMPLETED, FAILED, REPLICA or none, and what happens next.\n\n"
                "Nothing is changed. Events that wait in the queue cannot be seen.",
            .examples = {{"Why is it not there yet?",
                          "longhaul explain east:app-logs/2026/a.log --config longhaul.yaml"},
                         {"Where does this one come from?",
                          "longhaul explain west:copy/2026/a.log --config longhaul.yaml"},
                         {"For a script: the last line has the status",
                          "longhaul explain s3://app-logs/2026/a.log --json --config "
                          "longhaul.yaml"}},
            .exit_codes = {}};
  }
  void Declare(FlagSet& flags) override {
    flags.Argument("ADDRESS", "An object at a source or a target; it need not be there.", address_);
    flags.Integer({.name = "archives",
                   .help = "Look into so many archives of each staging, the newest. Default: 50.",
                   .value_name = "COUNT"},
                  0, 100'000, archives_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireRules(context);
    if (!configuration) co_return configuration.error();
    Result<CommandAddress> address = ParseCommandAddress(address_);
    if (!address) co_return address.error();
    Result<std::vector<std::string>> names = StoresOf(**configuration, *address);
    if (!names) co_return names.error();
    if (address->key.empty()) co_return InvalidInput("'" + address_ + "' names no object");

    std::map<std::string, std::unique_ptr<Store>> stores;
    std::map<std::string, Store*> store_pointers;
    for (const auto& [name, settings] : (*configuration)->stores) {
      Result<std::unique_ptr<Store>> store = OpenConfiguredStore(context, settings, kTimeout);
      if (!store) co_return store.error().In("store " + name);
      store_pointers[name] = store->get();
      stores[name] = std::move(*store);
    }
    Result<Backends> backends = co_await OpenBackends(context.runtime(), **configuration);
    if (!backends) co_return backends.error();
    Observer nobody;
    Result<std::unique_ptr<ReplicationContext>> replication =
        MakeReplicationContext(context.runtime(), **configuration, store_pointers, *backends->queue,
                               *backends->state, nobody, ReplicationLimits{});
    if (!replication) co_return replication.error();
    Result<Explanation> told =
        co_await Explain(**replication, **configuration, *names, address->bucket, address->key,
                         {.archives_max = static_cast<size_t>(archives_)});
    if (!told) co_return told.error();
    Print(context, *address, *told);
    co_return ExitCode::kDone;
  }

 private:
  using Rows = std::vector<std::pair<std::string, std::string>>;

  static void Print(RunContext& context, const CommandAddress& address,
                    const Explanation& explanation) {
    Output& output = context.output();
    for (const RuleExplanation& rule : explanation.from) PrintRule(context, rule, false);
    for (const RuleExplanation& rule : explanation.to) PrintRule(context, rule, true);
    std::string text = std::string(ToString(explanation.status)) + ": " + explanation.next;
    if (explanation.from.empty() && explanation.to.empty()) {
      text = "none: no rule reads from or writes to " + Printable(address.text);
    }
    output.Print(Message("summary")
                     .With("address", address.text)
                     .With("status", ToString(explanation.status))
                     .With("next", explanation.next)
                     .Says(Printable(text)));
  }

  static void PrintRule(RunContext& context, const RuleExplanation& told, bool backwards) {
    const SystemTime now = context.runtime().clock.Now();
    Message message("rule");
    message.With("rule", told.rule->id)
        .With("matches", told.matches)
        .With("source",
              told.rule->source.store + ":" + told.rule->source.bucket + "/" + told.source_key);
    std::string text = "rule " + told.rule->id + (told.matches ? " matches" : " does not match");
    if (backwards) text += " its source";
    if (!told.why_not.empty()) {
      message.With("why_not", told.why_not);
      text += ": " + told.why_not;
    }
    Rows rows;
    if (told.source) {
      message.With("source_etag", told.source->etag)
          .With("source_size", told.source->size_bytes)
          .With("source_modified", FormatRfc3339(told.source->last_modified));
      rows.emplace_back("source", DescribeObject(*told.source, now));
    } else if (told.source_error) {
      message.With("source_error", told.source_error->Describe());
      rows.emplace_back("source", told.source_error->Describe());
    } else if (told.why_not.empty() || backwards) {
      rows.emplace_back("source", "no object");
    }
    if (told.shrinks_to) {
      const bool by_archive = *told.shrinks_to <= kShrinksTo;
      message.With("sample_shrinks_to", *told.shrinks_to).With("by_archive", by_archive);
      rows.emplace_back(
          "way", by_archive ? fmt::format("goes by archive: a sample of it shrinks to {:.0f} %",
                                          100 * *told.shrinks_to)
                            : "goes without an archive: a sample of it does not shrink");
    }
    if (told.parked) AddParked(message, rows, *told.parked, now);
    Add(context, std::move(message), text, rows, "  ");
    for (const TargetExplanation& target : told.targets) PrintTarget(context, *told.rule, target);
  }

  static void PrintTarget(RunContext& context, const Rule& rule, const TargetExplanation& told) {
    const SystemTime now = context.runtime().clock.Now();
    Message message("target");
    message.With("rule", rule.id)
        .With("target", told.name)
        .With("address", told.address)
        .With("status", ToString(told.status));
    Rows rows;
    if (told.error) {
      message.With("error", told.error->Describe());
      rows.emplace_back("error", told.error->Describe());
    }
    if (told.replica) {
      message.With("etag", told.replica->etag).With("size", told.replica->size_bytes);
      rows.emplace_back("there", DescribeObject(*told.replica, now));
      rows.emplace_back("mark", DescribeMark(message, told));
    } else if (!told.error) {
      rows.emplace_back("there", "no object");
    }
    if (told.floor) {
      const char* kind = told.floor->deleted ? "tombstone" : "floor";
      message.With(kind, FormatRfc3339(told.floor->stamp));
      rows.emplace_back("state", std::string(kind) + " of " + FormatRfc3339(told.floor->stamp));
    }
    std::vector<std::string> archives;
    for (const PendingReading& reading : told.pending) {
      archives.push_back(reading.archive);
      rows.emplace_back("staging", "archive " + reading.archive + " holds its " +
                                       (reading.op == EntryOp::kDelete ? "absence" : "state") +
                                       " of " + FormatRfc3339(reading.stamp));
    }
    message.With("archives", archives).With("archives_not_read", told.archives_not_read);
    if (told.archives_not_read > 0) {
      rows.emplace_back("staging", Counted(told.archives_not_read, "archive") + " not looked into");
    }
    if (told.parked) AddParked(message, rows, *told.parked, now);
    if (told.pause) {
      const std::string until =
          told.pause->until ? FormatRfc3339(*told.pause->until) : std::string("it is resumed");
      message.With("paused_until", told.pause->until ? until : std::string());
      rows.emplace_back("paused", "since " + FormatRfc3339(told.pause->since) + " until " + until);
    }
    message.With("carrier", told.carrier != nullptr ? told.carrier->id : std::string());
    message.With("spooled", told.spooled).With("next", told.next);
    rows.emplace_back("next", told.next);
    Add(context, std::move(message),
        "  target " + told.name + " (" + Printable(told.address) +
            "): " + std::string(ToString(told.status)),
        rows, "    ");
  }

  static std::string DescribeObject(const ObjectInfo& info, SystemTime now) {
    return FormatBytes(info.size_bytes) + ", ETag " + info.etag + ", changed " +
           FormatRfc3339(info.last_modified) + " (" + AgoText(info.last_modified, now) + ")";
  }
  static std::string DescribeMark(Message& message, const TargetExplanation& told) {
    if (!told.mark) {
      message.With("mark", told.foreign_mark ? "foreign" : "none");
      return told.foreign_mark ? "that of another bucket or key: a copy of a replica, no replica"
                               : "none: not a replica";
    }
    message.With("mark", told.mark_in_state ? "in state" : "fits")
        .With("mark_site", told.mark->site)
        .With("mark_stamp", FormatRfc3339(told.mark->stamp))
        .With("mark_source_etag", told.mark->source_etag);
    return std::string(told.mark_in_state ? "in State: " : "fits: ") + "by site " +
           told.mark->site + ", the source as of " + FormatRfc3339(told.mark->stamp) + ", ETag " +
           told.mark->source_etag;
  }
  static void AddParked(Message& message, Rows& rows, const ParkedKey& parked, SystemTime now) {
    message.With("parked", parked.reason).With("parked_when", FormatRfc3339(parked.when));
    rows.emplace_back("parked", AgoText(parked.when, now) + ": " + parked.reason);
  }
  // `text`, and below it the rows, each with `margin` before it.
  static void Add(RunContext& context, Message message, std::string text, const Rows& rows,
                  const std::string& margin) {
    for (const auto& [name, value] : rows) {
      text += "\n" + margin + name + std::string(name.size() < 9 ? 9 - name.size() : 1, ' ') +
              Printable(value);
    }
    context.output().Print(message.Says(text));
  }

  std::string address_;
  int64_t archives_ = 50;
};

}  // namespace

std::unique_ptr<Command> MakeExplainCommand() { return std::make_unique<ExplainCommand>(); }

}  // namespace longhaul
