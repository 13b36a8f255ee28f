#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "cli/backends.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/pricing.h"
#include "cli/progress.h"
#include "cli/run_context.h"
#include "cli/savings.h"
#include "cost/accounts.h"

namespace longhaul {

namespace {

constexpr size_t kBarWidth = 40;

std::string Money(Pico pico) { return FormatSum(pico); }

// "at least" where a price is not known.
std::string Money(const Bill::Sum& sum) {
  return (sum.unknown.empty() ? "" : "at least ") + Money(sum.total);
}

std::string Bar(Pico pico, Pico most) {
  if (most <= 0 || pico <= 0) return "";
  const double share = static_cast<double>(pico) / static_cast<double>(most);
  return std::string(std::max<size_t>(1, static_cast<size_t>(share * kBarWidth)), '#');
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

class SavingsCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "savings",
        .summary = "show what replication cost, and what other ways would have cost",
        .description =
            "Every process of `replicate` counts what it uses that somebody is billed for: "
            "requests by kind and class (retries and failures too), bytes to staging, archives "
            "in staging and how long, processor time, requests to SQS and DynamoDB. This adds the "
            "counts up and multiplies them by the prices that `longhaul prices` shows, and sets "
            "beside it what S3's own replication of the same objects would have cost (transfer, "
            "a PUT each, replication time control where a rule has a threshold) and what a plain "
            "copy would have (a GET and a PUT each, transfer).\n\n"
            "The source role is taken to run in the region of its source, the target role in that "
            "of its target. Machines are not in it, but the processor time that was used; nor are "
            "NAT gateways, endpoints and KMS. A price that is not known is named; what hangs on it "
            "is then at least as much, and no net is given. Counts are by the hour; those of "
            "the last half minute may be missing.",
        .examples = {{"The last seven days, by rule", "longhaul savings --config longhaul.yaml"},
                     {"Each day of a month, for a spreadsheet",
                      "longhaul savings --since 30d --by day --csv --config longhaul.yaml"},
                     {"For a script", "longhaul savings --json --config longhaul.yaml"}},
        .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }

  void Declare(FlagSet& flags) override {
    flags.Duration({.name = "since",
                    .help = "How far to look back, to the full hour. Default: 7d.",
                    .value_name = "DURATION"},
                   since_);
    flags.Choice({.name = "by", .help = "What a line is for. Default: rule.", .value_name = "WHAT"},
                 {"rule", "target", "day"}, by_);
    flags.Switch({.name = "csv", .help = "Print comma-separated values, in dollars."}, csv_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    const Configuration* configuration = context.configuration();
    if (configuration == nullptr) {
      co_return InvalidInput("savings needs a configuration: --config FILE");
    }
    if (csv_ && context.flags().json) co_return InvalidInput("--csv and --json: give one of them");
    const Result<Prices> prices = ReadPrices(context);
    if (!prices) co_return prices.error();
    Result<std::unique_ptr<State>> state = co_await OpenState(
        context.runtime(), configuration->state, TellingClock(context.troubles()));
    if (!state) co_return state.error().In("state");
    const SystemTime since = context.runtime().clock.Now() - since_;
    const AccountsBy by = by_ == "day"      ? AccountsBy::kDay
                          : by_ == "target" ? AccountsBy::kTarget
                                            : AccountsBy::kRule;
    Result<Accounts> accounts = co_await ReadAccounts(**state, *configuration, since, by, "");
    if (!accounts) co_return accounts.error();

    const std::map<std::string, Account>& groups = accounts->groups;
    const Account& all = accounts->all;
    Output& output = context.output();
    if (csv_) {
      PrintCsv(output, groups, *prices);
    } else {
      PrintGroups(output, groups, *prices);
      PrintSummary(output, all, *prices, since);
    }
    if (accounts->damaged_rows > 0) {
      output.Problem(Message("damaged")
                         .With("rows", accounts->damaged_rows)
                         .Says(Counted(accounts->damaged_rows, "row") +
                               " of the ledger made no sense and were left out"));
    }
    co_return ExitCode::kDone;
  }

 private:
  static void PrintCsv(Output& output, const std::map<std::string, Account>& groups,
                       const Prices& prices) {
    output.Raw("what,paid,native_replication,plain_copy,net,objects,bytes,unknown_prices\n");
    for (const auto& [name, account] : groups) {
      const Bill::Sum paid = account.paid.Reckon(prices);
      const Bill::Sum native = account.native.Reckon(prices);
      const Bill::Sum copy = account.copy.Reckon(prices);
      // What is not whole is left empty: a spreadsheet would add it up.
      const auto money = [](const Bill::Sum& sum) {
        return sum.unknown.empty() ? FormatPico(sum.total).substr(1) : "";
      };
      const bool whole = paid.unknown.empty() && native.unknown.empty();
      const Pico net = native.total - paid.total;
      const std::string net_text =
          whole ? (net < 0 ? "-" : "") + FormatPico(net < 0 ? -net : net).substr(1) : "";
      output.Raw(fmt::format("{},{},{},{},{},{},{},{}\n", name, money(paid), money(native),
                             money(copy), net_text, account.objects, account.bytes,
                             Joined(UnknownPrices(paid, native, copy))));
    }
  }

  static void PrintGroups(Output& output, const std::map<std::string, Account>& groups,
                          const Prices& prices) {
    Pico most = 0;
    size_t width = 0;
    for (const auto& [name, account] : groups) {
      most =
          std::max({most, account.paid.Reckon(prices).total, account.native.Reckon(prices).total});
      width = std::max(width, name.size());
    }
    for (const auto& [name, account] : groups) {
      const Bill::Sum paid = account.paid.Reckon(prices);
      const Bill::Sum native = account.native.Reckon(prices);
      const Bill::Sum copy = account.copy.Reckon(prices);
      Message message("savings");
      message.With("what", name);
      AddFields(message, account, paid, native, copy);
      output.Print(
          message.Says(fmt::format("{:<{}}  paid   {:<{}}  {}\n{:<{}}  native {:<{}}  {}", name,
                                   width, Bar(paid.total, most), kBarWidth, Money(paid), "", width,
                                   Bar(native.total, most), kBarWidth, Money(native))));
    }
  }

  static void AddFields(Message& message, const Account& account, const Bill::Sum& paid,
                        const Bill::Sum& native, const Bill::Sum& copy) {
    message.With("objects", account.objects)
        .With("bytes", account.bytes)
        .With("paid_pico_dollars", paid.total)
        .With("native_pico_dollars", native.total)
        .With("copy_pico_dollars", copy.total);
    if (paid.unknown.empty() && native.unknown.empty()) {
      message.With("net_pico_dollars", native.total - paid.total);
    }
    for (const auto& [item, pico] : paid.items) {
      std::string name = "paid_" + item;
      std::ranges::replace(name, ' ', '_');
      message.With(name, pico);
    }
    const std::vector<std::string> unknown = UnknownPrices(paid, native, copy);
    message.With("whole", unknown.empty()).With("unknown_prices", unknown);
  }

  static void PrintSummary(Output& output, const Account& all, const Prices& prices,
                           SystemTime since) {
    const Bill::Sum paid = all.paid.Reckon(prices);
    const Bill::Sum native = all.native.Reckon(prices);
    const Bill::Sum copy = all.copy.Reckon(prices);
    const std::string begin = LedgerHour(since) + ":00Z";
    std::vector<std::pair<std::string, std::string>> rows{{"since", begin}};
    rows.emplace_back("carried", Counted(all.objects, "object") + ", " + FormatBytes(all.bytes));
    rows.emplace_back("paid", Money(paid));
    for (const auto& [item, pico] : paid.items) rows.emplace_back("  " + item, Money(pico));
    rows.emplace_back("native replication", Money(native));
    for (const auto& [item, pico] : native.items) rows.emplace_back("  " + item, Money(pico));
    rows.emplace_back("plain copy", Money(copy));
    const bool whole = paid.unknown.empty() && native.unknown.empty();
    rows.emplace_back(
        "net", whole ? Money(native.total - paid.total) + " less than native " + "replication"
                     : "not known");
    if (all.objects == 0 && paid.total == 0 && whole) {
      rows.back().second = "nothing has been carried";
    } else if (whole && native.total < paid.total) {
      rows.back().second = Money(paid.total - native.total) + " more than native replication";
    }
    const std::optional<uint64_t> even = BreakEvenBytes(all, prices);
    if (even) {
      rows.emplace_back("break-even", "objects of " + FormatBytes(*even) + " on average");
    } else if (whole && all.objects > 0) {
      rows.emplace_back("break-even", "none: a byte costs no less than with native replication");
    }
    const std::vector<std::string> unknown = UnknownPrices(paid, native, copy);
    if (!unknown.empty()) rows.emplace_back("unknown prices", Joined(unknown));
    // "transfer//eu-west-1", "request//put/STANDARD", "vcpu_second/".
    if (std::ranges::any_of(unknown, [](const std::string& name) {
          return name.contains("//") || name.ends_with('/');
        })) {
      rows.emplace_back("to be mended",
                        "a store had no region when this was counted: say region: under stores: (a "
                        "folder has none)");
    }
    const std::string day = FormatRfc3339(PriceTableDate()).substr(0, 10);
    rows.emplace_back(
        "prices", "table of " + day + ", entered by hand and not compared; see `longhaul prices`");
    Message message("summary");
    message.With("since", begin);
    AddFields(message, all, paid, native, copy);
    if (even) message.With("break_even_bytes", *even);
    message.With("table", day).With("compared", false);
    output.Print(message.Says(RenderTable(rows)));
  }

  std::chrono::milliseconds since_ = std::chrono::hours(7 * 24);
  std::string by_ = "rule";
  bool csv_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeSavingsCommand() { return std::make_unique<SavingsCommand>(); }

}  // namespace longhaul
