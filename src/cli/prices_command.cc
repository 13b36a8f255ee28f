#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cost/prices.h"

namespace longhaul {

namespace {

class PricesCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "prices",
            .summary = "show what longhaul takes things to cost",
            .description =
                "Prints every price that is known, in US dollars for one of its unit, with where "
                "it comes from: `prices:` of the configuration, else the table of AWS's public "
                "prices that longhaul brings along, which says its day. That table was entered by "
                "hand and has not been compared with AWS's own price list. A price that is not "
                "listed is unknown; it is never taken for 0.\n\n"
                "The names are those to write under `prices:`, where '*' stands for any region, "
                "kind or class. Names given here are asked for one by one, and the beginning of "
                "names shows all that begin so: exit code 1 when one of them is not known.",
            .examples = {{"All prices", "longhaul prices"},
                         {"What a configuration makes of one",
                          "longhaul prices --config longhaul.yaml transfer/us-east-1/eu-west-1"},
                         {"What a region asks for transfer, to wherever",
                          "longhaul prices transfer/us-east-1"},
                         {"For a script", "longhaul prices --json"}},
            .exit_codes = {ExitCode::kSomeFailed}};
  }

  void Declare(FlagSet& flags) override {
    flags
        .Arguments("NAME", "Prices to show, as transfer/us-east-1/eu-west-1. Default: all.", 0,
                   names_)
        .completes = Completes::kNothing;
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    PriceList configured;
    if (context.configuration() != nullptr) {
      Result<PriceList> read = LoadPriceList(
          context.configuration()->file,
          [&](std::string_view name) { return context.console().Environment(std::string(name)); });
      if (!read) co_return read.error();
      configured = std::move(*read);
    }
    const Prices prices(configured);
    Output& output = context.output();
    const std::string day = FormatRfc3339(PriceTableDate()).substr(0, 10);
    uint64_t unknown = 0;
    if (names_.empty()) {
      for (const auto& [name, price] : prices.All()) {
        if (!output.open()) break;
        Show(output, name, price.first, price.second == PriceOrigin::kConfiguration);
      }
    }
    const auto all = names_.empty() ? decltype(prices.All()){} : prices.All();
    const std::vector<std::string> regions = RegionsOfStores(context);
    for (const std::string& name : names_) {
      const std::optional<int64_t> price = prices.Find(name);
      if (!price) {
        bool shown = false;
        const std::string begins = name + "/";
        for (auto found = all.lower_bound(begins);
             found != all.end() && found->first.starts_with(begins); ++found) {
          shown = true;
          Show(output, found->first, found->second.first,
               found->second.second == PriceOrigin::kConfiguration);
        }
        if (shown) continue;
        ++unknown;
        const std::string problem = PriceNameProblem(name, regions);
        output.Problem(Message("unknown")
                           .With("name", name)
                           .Says(problem.empty()
                                     ? Printable(name) +
                                           ": not known; say it under prices: of the configuration"
                                     : Printable(problem)));
        continue;
      }
      // What covers it by "*" alone stands under its own name there.
      const auto found = all.find(name);
      Show(output, name, *price,
           found == all.end() || found->second.second == PriceOrigin::kConfiguration);
    }
    const bool old = PriceTableIsOld(context.runtime().clock.Now());
    if (!output.json()) {
      output.Note(Message("table").Says(
          "the table is of " + day + (old ? ", more than half a year ago," : "") +
          " was entered by hand and has not been compared with AWS's price list: compare what "
          "matters, or ask by `longhaul prices update`, and say it under prices:"));
    }
    output.Print(Message("summary")
                     .With("table", day)
                     .With("old", old)
                     .With("compared", false)
                     .With("unknown", unknown));
    co_return unknown > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  static std::vector<std::string> RegionsOfStores(RunContext& context) {
    std::vector<std::string> regions;
    if (context.configuration() == nullptr) return regions;
    for (const auto& [name, store] : context.configuration()->stores) {
      regions.push_back(store.region);
    }
    return regions;
  }

  static void Show(Output& output, const std::string& name, int64_t pico, bool own) {
    const PriceItem* item = FindPriceItem(name);
    const std::string unit(item == nullptr ? "" : item->unit);
    const std::string origin =
        own ? "configuration" : "table of " + FormatRfc3339(PriceDate(name)).substr(0, 10);
    output.Print(Message("price")
                     .With("name", name)
                     .With("dollars", FormatPico(pico).substr(1))
                     .With("unit", unit)
                     .With("origin", origin)
                     .Says(fmt::format("{:<44}  {:>14}  for {} {}  ({})", name, FormatPico(pico),
                                       unit.starts_with("hour") ? "an" : "a", unit, origin)));
  }

  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Command> MakePricesCommand() { return std::make_unique<PricesCommand>(); }

}  // namespace longhaul
