#include <algorithm>
#include <fstream>
#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "migration/plan.h"

namespace longhaul {

namespace {

class MigratePlanCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "migrate plan",
            .summary = "list what a migration run would carry, and carry nothing",
            .description =
                "Compares SOURCE and TARGET as `longhaul migrate start` would and counts the "
                "objects, bytes, giants and tasks that would come of it. Nothing is written "
                "anywhere but, with --output, the list of what is missing: one line of JSON for "
                "each object.",
            .examples = {{"What is missing?",
                          "longhaul migrate plan east:logs/ west:logs/ --config longhaul.yaml"},
                         {"Name each object",
                          "longhaul migrate plan nightly --output missing.jsonl --config "
                          "longhaul.yaml"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable,
                           ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Text({.name = "output",
                .help = "Write a line of JSON for each object to be carried to this file.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               output_);
    run_.Declare(flags);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    Result<Migration> wanted = run_.Resolve(context, **configuration);
    if (!wanted) {
      Error unknown = wanted.error();
      unknown.code.clear();  // The command line is wrong, and no object.
      co_return unknown;
    }
    Result<std::vector<std::string>> prefixes = run_.Prefixes();
    if (!prefixes) co_return prefixes.error();
    MigrationStores stores(context, **configuration);
    Result<migration::Run> run = stores.RunOf(*wanted);
    if (!run) co_return run.error();
    Result<migration::Ends> ends = stores.Open(*run);
    if (!ends) co_return ends.error();
    Result<void> warned =
        co_await WarnOfPrefixes(context.output(), *wanted, *ends, !prefixes->empty());
    if (!warned) co_return warned.error();
    Writer writer;
    if (output_) {
      writer.file.open(*output_, std::ios::trunc);
      if (!writer.file) co_return InvalidInput("--output: " + *output_ + " cannot be written");
    }
    migration::PlanTotals totals;
    const bool whole = prefixes->empty();
    const std::string source = run->source.ToString();
    const bool may_be_empty = (whole && run->source.prefix.empty()) || run->options.events;
    Result<void> planned =
        co_await migration::PlanRun(context.runtime(), std::move(*run), *ends, std::move(*prefixes),
                                    context.stop(), writer, totals);
    if (!planned) co_return planned.error();
    if (output_) {
      writer.file.flush();
      if (!writer.file) co_return InvalidInput("--output: " + *output_ + " cannot be written");
    }
    for (const std::string& prefix : totals.nothing_below) {
      context.output().Problem(Message("nothing_below")
                                   .With("prefix", prefix)
                                   .Says("there is nothing below '" + Printable(prefix) + "'"));
    }
    if (totals.seen == 0 && !may_be_empty) {
      co_return NotFound(whole ? "there is nothing below '" + source + "'"
                               : "there is nothing below any prefix of the list");
    }
    const auto count = [](int64_t number) {
      return Counted(static_cast<uint64_t>(number), "object");
    };
    const auto bytes = [](int64_t number) { return FormatBytes(static_cast<uint64_t>(number)); };
    std::string text = "listed  " + count(totals.listed) + ", " + bytes(totals.listed_bytes) +
                       "\nthere   " + count(totals.equal) + "\nto do   " + count(totals.objects) +
                       ", " + bytes(totals.bytes);
    if (totals.giants > 0) {
      text += "\ngiants  " + count(totals.giants) + " of these, " + bytes(totals.giant_bytes) +
              ", carried by all workers";
    }
    text += "\ntasks   " + FormatCount(static_cast<uint64_t>(totals.tasks));
    context.output().Print(Message("summary")
                               .With("run", wanted->id)
                               .With("listed", totals.listed)
                               .With("listed_bytes", totals.listed_bytes)
                               .With("equal", totals.equal)
                               .With("objects", totals.objects)
                               .With("bytes", totals.bytes)
                               .With("giants", totals.giants)
                               .With("giant_bytes", totals.giant_bytes)
                               .With("tasks", totals.tasks)
                               .Says(std::move(text)));
    co_return ExitCode::kDone;
  }

 private:
  class Writer : public migration::PlanObserver {
   public:
    void OnMissing(const migration::TaskObject& object, bool giant) override {
      if (!file.is_open()) return;
      file << Message()
                  .With("name", object.name)
                  .With("size", object.size_bytes)
                  .With("etag", object.etag)
                  .With("giant", giant)
                  .Json()
           << '\n';
    }
    std::ofstream file;
  };

  MigrateFlags run_;
  std::optional<std::string> output_;
};

}  // namespace

std::unique_ptr<Command> MakeMigratePlanCommand() { return std::make_unique<MigratePlanCommand>(); }

}  // namespace longhaul
