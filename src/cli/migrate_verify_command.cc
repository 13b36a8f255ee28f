#include <memory>

#include "cli/check_report.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "migration/scope.h"
#include "transfer/tree/compare_trees.h"

namespace longhaul {

namespace {

class MigrateVerifyCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "migrate verify",
            .summary = "compare both sides of a migration run, object by object",
            .description =
                "Compares all that the run carries with what lies at its target and names every "
                "difference, as `longhaul check` does: missing objects, size, bytes, headers, user "
                "metadata and tags. What is only at the target is no difference, because a run "
                "deletes nothing. It reads listings and heads, and with --download also bytes "
                "that neither ETags nor checksums can tell apart. Of a run that was started with "
                "--prefix-list it compares what lies below its prefixes, those of all its starts; "
                "below others it has nothing to say.\n\n"
                "It ends with a hash over all that the run carries, of each side, and with "
                "--depth of each prefix: over names, sizes, checksums, headers, metadata and "
                "tags. Equal hashes are equal trees. That of the source is the hash of `longhaul "
                "check --root` where the run has no filter and no prefixes; that of the target "
                "leaves out what "
                "only the target has.",
            .examples = {{"Is everything there?",
                          "longhaul migrate verify nightly --config longhaul.yaml"},
                         {"Sizes and ETags only, fast",
                          "longhaul migrate verify nightly --no-metadata --config longhaul.yaml"},
                         {"The hash of each day, and what differs in a file",
                          "longhaul migrate verify nightly --depth 1 --report differences.jsonl "
                          "--config longhaul.yaml"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kDifferences, ExitCode::kInterrupted,
                           ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    DeclareMigrationRun(flags, run_);
    flags.Switch({.name = "download",
                  .help = "Read both sides where neither ETag nor checksum can be compared."},
                 download_);
    flags.Switch({.name = "no-metadata",
                  .help = "Compare no headers, user metadata and tags; saves two requests for each "
                          "object."},
                 no_metadata_);
    flags.Integer({.name = "checkers",
                   .help = "Objects that are looked at together. Default: 64.",
                   .value_name = "N"},
                  1, 4096, in_flight_);
    flags.Text({.name = "report",
                .help = "Write each difference to this file, too, as lines of JSON.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               report_path_);
    flags.Integer({.name = "depth",
                   .help = "Levels of prefixes whose hashes are printed, too. Default: 0.",
                   .value_name = "N"},
                  0, 512, depth_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    DifferenceReport report;
    Result<void> opened = report.Open(report_path_);
    if (!opened) co_return opened.error();
    Result<Backends> backends = co_await OpenMigrationBackends(context, **configuration);
    if (!backends) co_return backends.error();
    Result<migration::Run> run = co_await RequireMigrationRun(context, *backends->state, run_);
    if (!run) co_return run.error();
    MigrationStores stores(context, **configuration);
    Result<migration::Ends> ends = stores.Open(*run);
    if (!ends) co_return ends.error();
    // What is only at the target is nobody's business: a run deletes nothing.
    CompareOptions options{.download = download_,
                           .metadata = !no_metadata_,
                           .one_way = true,
                           .roots_of_source = true,
                           .filter = run->options.filter,
                           .in_flight = static_cast<int>(in_flight_),
                           .stop = &context.stop(),
                           .roots = true};
    Result<std::vector<std::string>> scope = co_await migration::ScopeOf(*backends->state, *run);
    if (!scope) co_return scope.error();
    const auto typed = [](const Address& place) {
      return CommandAddress{.kind = CommandAddress::Kind::kNamed,
                            .text = place.ToString(),
                            .store = place.store,
                            .bucket = place.bucket,
                            .key = place.prefix};
    };
    const CommandAddress source = typed(run->source);
    Message summary("summary");
    summary.With("run", run->id);
    if (!scope->front().empty()) {
      const std::string count = Counted(scope->size(), "prefix", "prefixes");
      context.output().Note(
          Message("scope")
              .With("prefixes", scope->size())
              .Says("compared below " + count + ", those that the run was " + "started with"));
      Runtime& runtime = context.runtime();
      options.source_listing = migration::OpenScope(runtime, *ends->source, run->source.bucket,
                                                    run->source.prefix, *scope);
      options.target_listing = migration::OpenScope(runtime, *ends->target, run->target.bucket,
                                                    run->target.prefix, *scope);
    }
    co_return co_await CompareAndReport(
        context,
        {.store = *ends->source, .bucket = run->source.bucket, .prefix = run->source.prefix},
        {.store = *ends->target, .bucket = run->target.bucket, .prefix = run->target.prefix},
        std::move(options), {.depth = depth_, .source = &source}, report, std::move(summary));
  }

 private:
  std::string run_;
  bool download_ = false;
  bool no_metadata_ = false;
  int64_t in_flight_ = 64;
  int64_t depth_ = 0;
  std::string report_path_;
};

}  // namespace

std::unique_ptr<Command> MakeMigrateVerifyCommand() {
  return std::make_unique<MigrateVerifyCommand>();
}

}  // namespace longhaul
