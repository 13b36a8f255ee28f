#include <map>
#include <memory>

#include "cli/away_store.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/explain_print.h"
#include "cli/rule_life.h"
#include "cli/stores.h"
#include "replication/explain/explain.h"
#include "replication/find_object.h"
#include "replication/make_context.h"

namespace longhaul {

namespace {

// Whoever asks does not want to wait for long; what does not answer is part of the answer.
constexpr std::chrono::seconds kTimeout{20};

class ExplainCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "explain",
            .summary = "say what becomes of an object, and why",
            .description =
                "Takes an object at a source or at a target and looks at everything that decides "
                "about it: which rules match, or why they do not; what the source holds now; what "
                "is at each target, and what its mark says; what State remembers (a floor or "
                "tombstone with its marks and what may still land, the transfer of an object in "
                "segments, whether it is parked, a pause, a target that is left alone); which "
                "archives in staging hold a reading of it; and which receipts the target has left "
                "of them. The last line is its replication status, as S3 says it: PENDING, "
                "COMPLETED, FAILED, REPLICA or none, and what happens next, with its time where "
                "that is known (`next_try` with --json).\n\n"
                "Nothing is changed. Events that wait in the queue cannot be seen.",
            .examples = {{"Why is it not there yet?",
                          "longhaul explain east:app-logs/2026/a.log --config longhaul.yaml"},
                         {"Where does this one come from?",
                          "longhaul explain west:copy/2026/a.log --config longhaul.yaml"},
                         {"When is it tried again? The last line has status, next and next_try",
                          "longhaul explain s3://app-logs/2026/a.log --json --config "
                          "longhaul.yaml"}},
            .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    flags.Argument("ADDRESS", "An object at a source or a target; it need not be there.", address_);
    flags.Integer({.name = "archives",
                   .help = "Look into so many archives and receipts of each staging, the newest. "
                           "Default: 50.",
                   .value_name = "COUNT"},
                  0, 100'000, archives_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireRules(context);
    if (!configuration) co_return configuration.error();
    Result<CommandAddress> address = ParseCommandAddress(address_);
    if (!address) co_return address.error();
    if (address->kind == CommandAddress::Kind::kLocal) {
      co_return InvalidInput("'" + address->text +
                             "' is no object of a rule; write NAME:bucket/key or s3://bucket/key");
    }
    Result<std::vector<std::string>> names = StoresOf(
        **configuration, address->kind == CommandAddress::Kind::kNamed ? address->store : "",
        address->bucket);
    if (!names) co_return names.error();
    if (address->key.empty()) co_return InvalidInput("'" + address_ + "' names no object");

    std::map<std::string, std::unique_ptr<Store>> stores;
    std::map<std::string, Store*> store_pointers;
    for (const auto& [name, settings] : (*configuration)->stores) {
      Result<std::unique_ptr<Store>> store = OpenConfiguredStore(context, settings, kTimeout);
      // One that is away, as a disk that is not mounted, is part of the answer.
      if (!store) store = std::make_unique<AwayStore>(store.error().In("store " + name), name);
      store_pointers[name] = store->get();
      stores[name] = std::move(*store);
    }
    Result<Backends> backends = co_await OpenBackends(
        context.runtime(), **configuration, kEventsQueue, TellingClock(context.troubles()));
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
    PrintExplanation(context, address->text, *told);
    co_return ExitCode::kDone;
  }

 private:
  std::string address_;
  int64_t archives_ = 50;
};

}  // namespace

std::unique_ptr<Command> MakeExplainCommand() { return std::make_unique<ExplainCommand>(); }

}  // namespace longhaul
