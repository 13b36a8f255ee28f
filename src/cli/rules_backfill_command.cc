#include <memory>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/rule_life.h"
#include "cli/stores.h"
#include "replication/rule_orders.h"
#include "transfer/listing/listing_source.h"

namespace longhaul {

namespace {

class RulesBackfillCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "rules backfill",
            .summary = "have a rule's source and targets compared now",
            .description =
                "Asks the process that runs the rule as source to compare source and targets by "
                "listing, as it does at its start and at the rule's interval, and to carry what "
                "differs. It begins within a few seconds; `rules status` shows what waits. Targets "
                "that are paused are left out.\n\n"
                "With --prefix only keys below it are listed and compared. Deletes found there "
                "stop at the same guard, and where the source has nothing below the prefix "
                "nothing is deleted.\n\n"
                "With --listing the source is not listed: what it holds is taken from an object of "
                "its store, an S3 Inventory or a kept listing, which for many millions of keys "
                "costs a fraction of the requests. What the listing has and a target has not, or "
                "not alike, is read from the source as it is now, as after an event; what the "
                "listing lacks is not taken for deleted.",
            .examples = {{"A whole rule",
                          "longhaul rules backfill app-logs --config "
                          "longhaul.yaml"},
                         {"One day of it",
                          "longhaul rules backfill app-logs --prefix 2026/03/01/ --config "
                          "longhaul.yaml"},
                         {"By last night's inventory",
                          "longhaul rules backfill app-logs --listing "
                          "inventories/app-logs/all/2026-11-24T01-00Z/manifest.json --config "
                          "longhaul.yaml"}},
            .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    DeclareRule(flags, rule_);
    flags.Text({.name = "prefix",
                .help = "Of keys at the source. Default: that of the rule.",
                .value_name = "PREFIX"},
               prefix_);
    flags.Text({.name = "listing",
                .help = "What the source holds: the manifest.json of an S3 Inventory with sizes "
                        "and ETags, or a listing that was kept, as BUCKET/KEY in the store of the "
                        "source.",
                .value_name = "BUCKET/KEY",
                .of_environment = false},
               listing_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireRules(context);
    if (!configuration) co_return configuration.error();
    Result<const Rule*> found = RequireRule(**configuration, rule_);
    if (!found) co_return found.error();
    const Rule& rule = **found;
    std::optional<ListedBy> listing;
    if (!listing_.empty()) {
      Result<ListedBy> read = co_await ReadListing(context, **configuration, rule);
      if (!read) co_return read.error().In("--listing");
      listing = std::move(*read);
    }
    Result<Backends> backends = co_await OpenBackends(
        context.runtime(), **configuration, kEventsQueue, TellingClock(context.troubles()));
    if (!backends) co_return backends.error();
    Result<bool> waits = co_await BackfillRule(*backends->state, context.runtime().clock, rule,
                                               prefix_, std::move(listing));
    if (!waits) {
      co_return waits.error().code == kNotBelowRule ? waits.error().In("--prefix") : waits.error();
    }
    const bool paused = *waits;
    context.output().Print(
        Message("summary")
            .With("rule", rule.id)
            .With("prefix", prefix_)
            .With("listing", listing_)
            .With("paused", paused)
            .Says("rule " + rule.id +
                  (paused ? " is paused; it is compared when it goes on"
                          : " will be compared by the process that runs it, within seconds")));
    co_return ExitCode::kDone;
  }

 private:
  // Where it lies, once it could be read as far as its first object: what is wrong with it is told
  // here, and not only by the process that compares.
  Async<ListedBy> ReadListing(RunContext& context, const Configuration& configuration,
                              const Rule& rule) const {
    std::string_view text = listing_;
    if (const std::string own = rule.source.store + ":"; text.starts_with(own)) {
      text.remove_prefix(own.size());
    }
    const size_t slash = text.find('/');
    if (slash == 0 || slash == std::string_view::npos || slash + 1 == text.size() ||
        text.substr(0, slash).contains(':')) {
      co_return InvalidInput("'" + listing_ + "' is no BUCKET/KEY of the store " +
                             rule.source.store + ", where the source of rule " + rule.id + " is");
    }
    ListedBy listing{.bucket = std::string(text.substr(0, slash)),
                     .key = std::string(text.substr(slash + 1))};
    Result<std::unique_ptr<Store>> store = OpenConfiguredStore(
        context, configuration.stores.at(rule.source.store), std::chrono::minutes(5));
    if (!store) co_return store.error();
    Result<std::unique_ptr<Listing>> opened = co_await OpenListingFile(
        context.runtime(),
        {.store = store->get(), .bucket = listing.bucket, .key = listing.key, .name = listing_},
        ListingFileKind::kAny, **store, rule.source.bucket, rule.source.prefix, {.ordered = false},
        [](const Error&, const std::string&) {});
    if (!opened) co_return opened.error();
    Result<std::optional<ListedObject>> first = co_await (*opened)->Next();
    co_await (*opened)->Close();
    if (!first) co_return first.error();
    if (!*first) {
      co_return InvalidInput(listing_ + " has nothing below " + rule.source.bucket + "/" +
                             rule.source.prefix);
    }
    if ((*first)->etag.empty()) {
      co_return InvalidInput(listing_ + " does not tell ETags: an inventory needs the field ETag");
    }
    co_return listing;
  }

  std::string rule_;
  std::string prefix_;
  std::string listing_;
};

}  // namespace

std::unique_ptr<Command> MakeRulesBackfillCommand() {
  return std::make_unique<RulesBackfillCommand>();
}

}  // namespace longhaul
