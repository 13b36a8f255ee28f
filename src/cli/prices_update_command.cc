#include <fmt/format.h>

#include <memory>

#include "aws/aws_service.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cost/price_update.h"
#include "cost/prices.h"

namespace longhaul {

namespace {

// Of the few regions that have the service.
constexpr char kRegion[] = "us-east-1";
constexpr char kEndpoint[] = "https://api.pricing.us-east-1.amazonaws.com";

class PricesUpdateCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "prices update",
        .summary = "ask AWS what requests, storage and transfer cost now",
        .description =
            "Asks AWS's price list for the regions that are given (requests and storage of S3 "
            "Standard in each, transfer from each to each other) and prints `prices:` for a "
            "configuration, where they come before the table that longhaul brings along. First "
            "tier, on demand, without tax or discounts. Needs credentials with "
            "pricing:GetProducts, and costs nothing.\n\n"
            "Prices that AWS gives in several ways, or not at all, are named and left out (exit "
            "code 1); they stay what they were. Processor time, other classes, replication time "
            "control, SQS, DynamoDB and endpoints are not asked for.",
        .examples = {{"Two regions, to be put into the configuration",
                      "longhaul prices update us-east-1 eu-west-1 > prices.yaml"},
                     {"For a script", "longhaul prices update us-east-1 eu-west-1 --json"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kDenied, ExitCode::kUnreachable}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("REGION", "Regions of AWS.", 1, regions_).completes = Completes::kNothing;
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    for (const std::string& region : regions_) {
      const std::string problem = PriceNameProblem("rtc_gib/" + region, {});
      if (!problem.empty() || region == "*")
        co_return InvalidInput(problem.empty() ? "name the regions one by one" : problem);
    }
    Result<AwsJsonOptions> options = FindAwsService(
        context.runtime(), {.name = "prices", .region = kRegion}, "pricing", "AWSPriceListService",
        [&](const std::string& name) { return context.console().Environment(name); });
    if (!options) co_return options.error();
    if (options->endpoint.empty()) options->endpoint = kEndpoint;
    options->json_version = "1.1";
    Result<std::unique_ptr<AwsJsonClient>> service =
        AwsJsonClient::Make(context.runtime(), std::move(*options));
    if (!service) co_return service.error();
    PricingClient client(std::move(*service));

    Output& output = context.output();
    const Prices table;
    const std::string today = FormatRfc3339(context.runtime().clock.Now()).substr(0, 10);
    if (!output.json()) output.Raw("# As AWS's price list said on " + today + ".\nprices:\n");
    uint64_t found = 0;
    uint64_t missing = 0;
    for (const AskedPrice& asked : PricesToAsk(regions_)) {
      Result<std::set<std::string>> dollars = co_await client.Ask(asked.question);
      if (!dollars) co_return dollars.error().In("prices of " + asked.names.front());
      for (const std::string& name : asked.names) {
        ++(Tell(output, table, name, *dollars) ? found : missing);
      }
    }
    if (output.json()) {
      output.Print(
          Message("summary").With("date", today).With("found", found).With("missing", missing));
    }
    co_return missing > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  // False: there is not one price.
  static bool Tell(Output& output, const Prices& table, const std::string& name,
                   const std::set<std::string>& dollars) {
    Result<int64_t> pico = dollars.size() == 1 ? ParsePicoDollars(*dollars.begin())
                                               : Result<int64_t>(InvalidInput(""));
    if (!pico) {
      output.Problem(Message("unclear")
                         .With("name", name)
                         .With("prices", dollars.size())
                         .Says(name + ": " +
                               (dollars.empty()       ? std::string("AWS gives no price")
                                : dollars.size() == 1 ? std::string("AWS's price is no number")
                                                      : "AWS gives several prices") +
                               "; left out"));
      return false;
    }
    const std::string price = FormatPico(*pico).substr(1);
    const std::optional<int64_t> before = table.Find(name);
    Message message("price");
    message.With("name", name).With("dollars", price);
    if (before) message.With("table_dollars", FormatPico(*before).substr(1));
    const std::string comment =
        before && *before != *pico ? "  # " + FormatPico(*before).substr(1) + " in the table" : "";
    output.Print(message.Says("  " + name + ": " + price + comment));
    return true;
  }

  std::vector<std::string> regions_;
};

}  // namespace

std::unique_ptr<Command> MakePricesUpdateCommand() {
  return std::make_unique<PricesUpdateCommand>();
}

}  // namespace longhaul
