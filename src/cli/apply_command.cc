#include <memory>
#include <utility>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/stores.h"
#include "cli/transfer_ends.h"
#include "cli/transfer_flags.h"
#include "cli/transfer_limits.h"
#include "cli/transfer_run.h"
#include "transfer/tree/apply_plan.h"

namespace longhaul {

namespace {

// What a plan says of an object at one place says nothing of one at another.
Result<void> CheckPlace(const std::string& address, const std::string& was, const std::string& is) {
  if (was.empty() || was == is) return Ok();
  return InvalidInput(
      "the plan was made when '" + address + "' was at " + was + ", and now it is at " + is +
      ": have it mean that place again (endpoint, configuration, folder, links), or "
      "make a new plan");
}

class ApplyCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "apply",
        .summary = "do what a plan of sync says, and nothing else",
        .description =
            "Carries out a plan that `sync --plan FILE` has written: its copies, then its removals "
            "when all copies have worked. The whole file is read first; one that was cut is "
            "refused. An object that is not what it was when the plan was made, at either end, is "
            "left alone and named, and the exit code is 1. So it is of a plan that lacks what "
            "failed while it was made.\n\n"
            "A plan that broke off is applied again: what it did the first time is recognised by "
            "comparing both ends and skipped, and large objects go on where they broke off.\n\n"
            "How to reach the stores is in the plan, all but the keys: those come from the "
            "environment, the profiles or the configuration, as for sync.",
        .examples =
            {{"After `longhaul sync --delete --plan plan.jsonl ./photos s3://b/photos`, and a "
              "look at plan.jsonl, do just that",
              "longhaul apply plan.jsonl"},
             {"Slowly, and with a report",
              "longhaul apply --bwlimit 10M --report done.jsonl plan.jsonl"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("FILE", "The plan.", file_).completes = Completes::kFiles;
    verbose_.Declare(flags);
    limits_.Declare(flags, /*may_end=*/false);  // A plan is a whole.
    reports_.Declare(flags);
    flags.Section("RESUME");
    run_flags_.state.Declare(flags);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<PlanEnds> plan = co_await ReadPlanEnds(context.runtime(), file_);
    if (!plan) co_return plan.error();
    const PlanHead* head = &plan->head;
    StoreFlags store_flags;
    CopyFlags copies;
    FlagSet planned;
    store_flags.Declare(planned, true);
    copies.Declare(planned);
    Result<void> parsed =
        planned.Parse(head->arguments, [](const std::string&) { return std::nullopt; });
    if (!parsed) co_return parsed.error().In(file_);

    StoreOpener opener(context, store_flags, true);
    LimitedStores limited(context, limits_);
    Result<OpenedAddress> source = opener.Open(head->source, StoreEnd::kSource);
    if (!source) co_return source.error();
    Result<OpenedAddress> target = opener.Open(head->target, StoreEnd::kTarget);
    if (!target) co_return target.error();
    Result<void> prepared = PrepareEnds(*source, *target);
    if (!prepared) co_return prepared.error();
    Result<void> same = CheckPlace(head->source, head->source_place, LastingPlace(*source));
    if (same) same = CheckPlace(head->target, head->target_place, LastingPlace(*target));
    if (!same) co_return same.error().In(file_);
    // The plan was made without a look that writes anything.
    Result<TruePlaces> places = co_await FindTruePlaces(context.runtime(), *source, *target, true);
    if (!places) co_return places.error();
    const OpenedAddress true_source = places->Of(*source);
    const OpenedAddress true_target = places->Of(*target);
    if (places->found() && LiesIn(true_source, true_target)) {
      co_return InvalidInput("'" + head->source + "' lies in '" + head->target +
                             "': what the plan replaces or removes may be what it copies");
    }
    same = CheckNotIntoItself(true_source, true_target);
    if (!same) co_return same.error();
    ApplyOptions options{.carry = {.copy = copies.Options()},
                         .in_flight = static_cast<int>(copies.in_flight)};
    if (!head->backup.empty()) {
      Result<BackupEnd> backup =
          OpenBackup(opener, limited, head->backup, *source, *target, *places);
      if (!backup) co_return backup.error();
      same = CheckPlace(head->backup, head->backup_place, backup->place);
      if (!same) co_return same.error().In(file_);
      options.carry.backup.emplace(backup->tree);
    }
    limited.Wrap(*source);
    limited.Wrap(*target);

    TransferRun run(context, {.verbose = verbose_.level});
    Result<void> opened = run.Open(reports_);
    if (!opened) co_return opened.error();
    Result<void> remembered = co_await run.Remember(run_flags_, {.command = "apply",
                                                                 .source = head->source,
                                                                 .target = head->target,
                                                                 .below = target->address.key});
    if (!remembered) co_return remembered.error();
    run.Begin();
    run.SetEnds(*source, *target);
    options.carry.copy.uploads = run.uploads();
    options.carry.copy.stop = &context.stop();
    options.carry.copy.on_bytes = [&run](uint64_t bytes) {
      run.progress.totals.bytes_done += bytes;
    };
    Result<void> done = co_await ApplyPlan(
        context.runtime(), file_,
        {.store = *source->store, .bucket = source->address.bucket, .prefix = source->address.key},
        {.store = *target->store, .bucket = target->address.bucket, .prefix = target->address.key},
        std::move(options), run.observers, run.totals);
    if (plan->end.failed > 0) TellPlanLacks(context.output(), plan->end);
    Result<ExitCode> code = co_await run.Conclude(done);
    if (code && *code == ExitCode::kDone && plan->end.failed > 0) co_return ExitCode::kSomeFailed;
    co_return code;
  }

 private:
  void TellPlanLacks(Output& output, const PlanEnd& end) const {
    output.Problem(Message("plan_lacks")
                       .With("plan", file_)
                       .With("failed", end.failed)
                       .Says("the plan in " + Printable(file_) + " has nothing of " +
                             Counted(end.failed, "object") + " that failed when it was made" +
                             (end.removals_withheld ? ", and removes nothing for that" : "") +
                             ": make another one"));
  }

  std::string file_;
  VerboseFlag verbose_;
  LimitFlags limits_;
  ReportFlags reports_;
  RunFlags run_flags_;  // Only where uploads are remembered.
};

}  // namespace

std::unique_ptr<Command> MakeApplyCommand() { return std::make_unique<ApplyCommand>(); }

}  // namespace longhaul
