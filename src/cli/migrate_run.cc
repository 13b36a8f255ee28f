#include "cli/migrate_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/units.h"
#include "cli/prefix_warning.h"
#include "cli/rule_life.h"
#include "cli/stores.h"
#include "migration/prefix_list.h"
#include "migration/request.h"
#include "rules/migration_bounds.h"

namespace longhaul {

namespace {

constexpr std::chrono::minutes kOperationTimeout{5};

Result<void> Check(std::string_view flag, uint64_t bytes, SizeBounds bounds) {
  if (bytes >= bounds.min && bytes <= bounds.max) return Ok();
  return InvalidInput(std::string(flag) + ": give " + FormatSizeExact(bounds.min) + " to " +
                      FormatSizeExact(bounds.max));
}

Result<void> Check(std::string_view flag, std::chrono::milliseconds time, DurationBounds bounds) {
  if (time >= bounds.min && time <= bounds.max) return Ok();
  return InvalidInput(std::string(flag) + ": give " + FormatDuration(bounds.min) + " to " +
                      FormatDuration(bounds.max));
}

// As a configuration has them.
Result<void> CheckBounds(const MigrationOptions& options, std::chrono::milliseconds window) {
  for (const Result<void>& checked :
       {Check("--modify-window", window, kModifyWindowBounds),
        Check("--task-timeout", options.timeout, kTaskTimeoutBounds),
        Check("--batch-bytes", options.batch_bytes, kBatchBytesBounds),
        Check("--giant-size", options.giant_bytes, kGiantBytesBounds),
        Check("--range-size", options.range_bytes, kRangeBytesBounds)}) {
    if (!checked) return checked;
  }
  if (options.part_bytes == 0) return Ok();  // As at the source.
  return Check("--part-size", options.part_bytes, kPartBytesBounds);
}

}  // namespace

Result<const Configuration*> RequireConfiguration(RunContext& context) {
  const Configuration* configuration = context.configuration();
  if (configuration != nullptr) return configuration;
  return InvalidInput(
      "no configuration: give --config or LONGHAUL_CONFIG; it names the stores, "
      "the queue and the state that all workers share");
}

Async<Backends> OpenMigrationBackends(RunContext& context, const Configuration& configuration) {
  co_return co_await OpenBackends(context.runtime(), configuration, kMigrationsQueue,
                                  TellingClock(context.troubles()));
}

void DeclareMigrationRun(FlagSet& flags, std::string& run) {
  flags.Argument("RUN", "The name of a run.", run).completes = Completes::kNothing;
}

Async<migration::Run> RequireMigrationRun(RunContext& context, State& state, std::string id) {
  migration::RunBook book(context.runtime(), state);
  Result<std::optional<migration::Run>> run = co_await book.Find(id);
  if (!run) co_return run.error();
  if (*run) co_return std::move(**run);
  Result<std::vector<migration::Run>> all = co_await book.All();
  if (!all) co_return all.error();
  std::string names;
  for (const migration::Run& one : *all) names += (names.empty() ? "" : ", ") + one.id;
  co_return NotFound("there is no run '" + Printable(id) + "'; there is " +
                     (names.empty() ? "none" : names));
}

void MigrateFlags::Declare(FlagSet& flags) {
  flags.Argument("RUN|SOURCE",
                 "The id of a migration of the configuration, or where to read: an address.", what);
  flags.Argument("TARGET", "Where to write: an address.", target);
  flags.Text({.name = "run",
              .help = "The name of the run from SOURCE to TARGET. Default: made from both, so the "
                      "same command is the same run.",
              .value_name = "NAME"},
             name);
  flags.Text({.name = "prefix-list",
              .help = "Only what is below these prefixes: a file with one on each line, as they "
                      "follow SOURCE. They are compared side by side.",
              .value_name = "FILE",
              .completes = Completes::kFiles},
             prefix_list);
  filter.Declare(flags);
  flags.Section("OPTIONS OF A RUN FROM SOURCE TO TARGET");
  flags.Switch({.name = "size-only", .help = "What has the same size is the same."},
               compare.size_only);
  flags.Switch({.name = "checksum",
                .help = "What has the same size and the same bytes is the same, whatever the "
                        "times: workers ask both sides for checksums, two requests for each "
                        "object of equal size. What cannot be told is copied.",
                .letter = 'c'},
               compare.checksum);
  flags.Switch(
      {.name = "update",
       .help = "Leave alone what is newer at the target, also when its size differs. Workers "
               "look again before they copy, two requests for each object.",
       .letter = 'u'},
      compare.update);
  flags.Duration({.name = "modify-window",
                  .help = "Times no further apart are the same. Default: 0s.",
                  .value_name = "DURATION"},
                 modify_window);
  flags.Text({.name = "storage-class",
              .help = "Storage class at the target. Default: that of the source.",
              .value_name = "CLASS"},
             storage_class);
  flags.Text({.name = "kms-key",
              .help = "KMS key to encrypt with at the target. Default: the bucket's encryption.",
              .value_name = "KEY"},
             kms_key);
  flags.Integer({.name = "tries",
                 .help = "How often an object is tried before it has failed. Default: 5.",
                 .value_name = "N"},
                1, kObjectTriesMax, tries);
  flags.Duration({.name = "task-timeout",
                  .help = "A task that takes longer is given up and tried again. Default: 1h.",
                  .value_name = "DURATION"},
                 task_timeout);
  flags.Integer({.name = "batch-count",
                 .help = "Objects in one task, at most. Default: 500.",
                 .value_name = "N"},
                1, kBatchCountMax, batch_count);
  flags.Bytes({.name = "batch-bytes",
               .help = "Bytes in one task of several objects, at most. Default: 256MiB.",
               .value_name = "SIZE"},
              batch_bytes);
  flags.Bytes({.name = "giant-size",
               .help = "From this size on, workers share an object. Default: 256MiB.",
               .value_name = "SIZE"},
              giant_bytes);
  flags.Bytes({.name = "range-size",
               .help = "What a worker carries of a giant at a time, in whole parts. Default: "
                       "256MiB.",
               .value_name = "SIZE"},
              range_bytes);
  flags.Bytes({.name = "part-size",
               .help = "Size of the parts of giants. Default: as at the source where that keeps "
                       "the ETag, else by the size of the object.",
               .value_name = "SIZE"},
              part_bytes);
}

Result<std::vector<Migration>> ListedMigrations(RunContext& context,
                                                const Configuration& configuration) {
  Console& console = context.console();
  return LoadMigrations(configuration.file, [&console](std::string_view name) {
    return console.Environment(std::string(name));
  });
}

Result<std::vector<Migration>> RequireWorkOf(RunContext& context,
                                             const Configuration& configuration,
                                             std::string_view flag, std::string& role) {
  Result<std::vector<Migration>> listed = ListedMigrations(context, configuration);
  if (!listed) return listed.error();
  const bool rules = !configuration.rules.empty();
  if (role.empty()) {
    if (!rules && listed->empty()) {
      return InvalidInput(configuration.file + " has neither rules nor migrations");
    }
    role = rules ? "source,target" : kMigrationsRole;
  }
  if (role == kMigrationsRole) {
    if (!listed->empty()) return listed;
    return InvalidInput(configuration.file + ": migrations: there is none");
  }
  if (rules) return std::vector<Migration>();
  return InvalidInput(configuration.file + ": rules: there is none; for its migrations: " +
                      std::string(flag) + " " + std::string(kMigrationsRole));
}

Result<Migration> MigrateFlags::Resolve(RunContext& context,
                                        const Configuration& configuration) const {
  Result<std::vector<Migration>> read = ListedMigrations(context, configuration);
  if (!read) return read.error();
  const std::vector<Migration>& listed = *read;
  Result<MigrationOptions> options = Options(context.runtime().clock.Now());
  if (!options) return options.error();
  if (!target) {
    if (name || *options != MigrationOptions()) {
      return InvalidInput(
          "a run that is there has its options already: leave them out, or give "
          "SOURCE and TARGET");
    }
    if (what.contains(':')) {
      return InvalidInput("TARGET is missing: where '" + Printable(what) + "' is to be copied to");
    }
    if (const Migration* found = FindMigration(listed, what)) return *found;
    std::string names;
    for (const Migration& one : listed) {
      names += (names.empty() ? "" : ", ") + one.id;
    }
    Error error =
        InvalidInput(configuration.file + " has no migration '" + Printable(what) + "'; there is " +
                     (names.empty() ? "none" : names) + ". Or give SOURCE and TARGET");
    error.code = kNoMigration;
    return error;
  }
  Result<Migration> between =
      migration::MigrationBetween(configuration, listed, what, *target, name);
  if (!between) {
    Error error = between.error();
    const bool of_name = error.code == "id";
    error.code.clear();
    return of_name ? error.In("--run") : error;
  }
  between->options = std::move(*options);
  return between;
}

Result<MigrationOptions> MigrateFlags::Options(SystemTime now) const {
  MigrationOptions options;
  options.filter = filter.Make(now);
  options.compare = compare;
  options.compare.window = modify_window;
  options.storage_class = storage_class;
  options.kms_key = kms_key;
  options.tries_max = static_cast<int>(tries);
  options.timeout = task_timeout;
  options.batch_count = static_cast<int>(batch_count);
  options.batch_bytes = batch_bytes;
  options.giant_bytes = giant_bytes;
  options.range_bytes = range_bytes;
  options.part_bytes = part_bytes;
  Result<void> checked = CheckBounds(options, modify_window);
  if (!checked) return checked.error();
  return options;
}

Result<std::vector<std::string>> MigrateFlags::Prefixes() const {
  if (!prefix_list) return std::vector<std::string>();
  std::ifstream file(*prefix_list, std::ios::binary);
  if (!file) return NotFound("--prefix-list: " + *prefix_list + " cannot be read");
  std::string text(migration::kPrefixListBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) return NotFound("--prefix-list: " + *prefix_list + " cannot be read");
  return migration::ParsePrefixList(text, "--prefix-list: " + *prefix_list);
}

Result<std::string> MigrationStores::PlaceOf(const Address& address) const {
  auto found = configuration_.stores.find(address.store);
  if (found == configuration_.stores.end()) {
    return InvalidInput("no store '" + address.store + "' in " + configuration_.file);
  }
  return PlaceOfNamed(context_, found->second);
}

Result<migration::Run> MigrationStores::RunOf(const Migration& migration) const {
  return migration::RunOf(
      configuration_, migration, context_.runtime().clock.Now(),
      [this](const StoreSettings& store) { return PlaceOfNamed(context_, store); });
}

Result<Store*> MigrationStores::OpenOne(const Address& address, const std::string& place) {
  Result<std::string> here = PlaceOf(address);
  if (!here) return here.error();
  if (*here != place) {
    return InvalidInput("store " + address.store + " is " + *here + " in " + configuration_.file +
                        ", and " + place + " to the run");
  }
  std::unique_ptr<Store>& store = stores_[address.store];
  if (!store) {
    // A copy leaves the bytes' verification to the target's server.
    Result<std::unique_ptr<Store>> made = OpenConfiguredStore(
        context_, configuration_.stores.at(address.store), kOperationTimeout, false);
    if (!made) return made.error();
    store = std::move(*made);
  }
  return store.get();
}

Result<migration::Ends> MigrationStores::Open(const migration::Run& run) {
  Result<Store*> source = OpenOne(run.source, run.source_place);
  if (!source) return source.error();
  Result<Store*> target = OpenOne(run.target, run.target_place);
  if (!target) return target.error();
  return migration::Ends{.source = *source, .target = *target};
}

Async<void> WarnOfPrefixes(Output& output, const Migration& migration, migration::Ends ends,
                           bool with_list) {
  const Address& source = migration.source;
  const Address& target = migration.target;
  // Names behind a prefix that is the beginning of a name begin with what is left of that.
  if (source.prefix.empty() || source.prefix.ends_with('/')) {
    WarnOfGluedNames(output, target.prefix, target.ToString());
    co_return Ok();
  }
  if (with_list) co_return Ok();
  co_return co_await WarnOfOtherNames(output, *ends.source, source.bucket, source.prefix,
                                      source.ToString());
}

std::string WorkerName(RunContext& context) {
  char host[65] = "";
  static_cast<void>(::gethostname(host, sizeof(host) - 1));
  Runtime& runtime = context.runtime();
  return std::string(host) + "." + std::to_string(::getpid()) + "." +
         NewUlid(runtime.clock.Now(), runtime.random).substr(16);
}

std::string SpeedText(double objects_per_second, double bytes_per_second) {
  return fmt::format("{:.1f} objects/s, {}/s", objects_per_second,
                     FormatBytes(static_cast<uint64_t>(bytes_per_second)));
}

Message StatusMessage(std::string_view event, const migration::RunStatus& status, SystemTime now) {
  const migration::Run& run = status.run;
  size_t finders = 0;
  for (const migration::WorkerRow& worker : status.workers) finders += worker.finds ? 1 : 0;
  const auto count = [](int64_t number) {
    return Counted(static_cast<uint64_t>(number), "object");
  };
  const auto bytes = [](int64_t number) { return FormatBytes(static_cast<uint64_t>(number)); };
  Message message(event);
  message.With("run", run.id)
      .With("state", status.state())
      .With("source", run.source.ToString())
      .With("target", run.target.ToString())
      .With("started", FormatRfc3339(run.started))
      .With("started_by", run.started_by)
      .With("starts", run.starts)
      .With("listing", !status.all_listed)
      .With("listed", status.listed)
      .With("listed_bytes", status.listed_bytes)
      .With("equal", status.there_before + status.done.equal)
      .With("named_by_events", status.named)
      .With("copied", status.done.copied)
      .With("copied_bytes", status.done.bytes)
      .With("running", status.running)
      .With("running_bytes", status.running_bytes)
      .With("pending", status.pending)
      .With("pending_bytes", status.pending_bytes)
      .With("tasks_running", status.tasks_running)
      .With("tasks_waiting", status.tasks_waiting)
      .With("failed", status.failed)
      .With("gone", status.gone)
      .With("workers", status.workers.size())
      .With("objects_per_second", status.objects_per_second)
      .With("bytes_per_second", status.bytes_per_second);
  if (run.finished) message.With("finished", FormatRfc3339(*run.finished));
  const std::optional<std::chrono::seconds> left = status.time_left();
  if (left) message.With("seconds_left", left->count());
  std::vector<std::pair<std::string, std::string>> rows = {
      {"from", run.source.ToString()},
      {"to", run.target.ToString()},
      {"started", FormatRfc3339(run.started) + " by " + run.started_by +
                      (run.finished ? ", finished " + AgoText(*run.finished, now) : "")}};
  int64_t failed_finds = 0;
  for (const migration::FindRow& find : status.finds) {
    if (find.failure.empty()) continue;
    ++failed_finds;
    rows.emplace_back("not listed",
                      (find.prefix.empty() ? "" : Printable(find.prefix) + ": ") + find.failure);
  }
  message.With("prefixes_failed", failed_finds);
  message.With("nothing_below", status.nothing_below);
  for (const std::string& prefix : status.nothing_below) {
    rows.emplace_back("nothing below", "'" + Printable(prefix) + "'");
  }
  const int64_t unnamed = status.empty_prefixes - std::ssize(status.nothing_below);
  if (unnamed > 0) {
    rows.emplace_back("nothing below",
                      Counted(static_cast<uint64_t>(unnamed), "more prefix", "more prefixes"));
  }
  rows.emplace_back("listed", count(status.listed) + ", " + bytes(status.listed_bytes) +
                                  (status.all_listed ? "" : ", listing goes on"));
  if (status.named > 0) rows.emplace_back("by events", count(status.named) + " named");
  if (status.there_before + status.done.equal > 0) {
    rows.emplace_back("there already", count(status.there_before + status.done.equal));
  }
  rows.emplace_back("copied", count(status.done.copied) + ", " + bytes(status.done.bytes));
  if (status.tasks_running > 0) {
    rows.emplace_back("running", count(status.running) + ", " + bytes(status.running_bytes) +
                                     " in " +
                                     Counted(static_cast<uint64_t>(status.tasks_running), "task"));
  }
  if (status.tasks_waiting > 0) {
    rows.emplace_back("waiting", count(status.pending) + ", " + bytes(status.pending_bytes) +
                                     " in " +
                                     Counted(static_cast<uint64_t>(status.tasks_waiting), "task"));
  }
  if (status.gone > 0) rows.emplace_back("gone", count(status.gone) + " from the source");
  if (status.failed > 0) {
    rows.emplace_back("failed", count(status.failed) + ": see --objects, then `longhaul migrate " +
                                    "retry " + run.id + "`");
  }
  if (status.bytes_per_second > 0 || status.objects_per_second > 0) {
    rows.emplace_back("speed", SpeedText(status.objects_per_second, status.bytes_per_second));
  }
  if (left) rows.emplace_back("left", FormatSeconds(static_cast<double>(left->count())));
  std::string text = "run " + run.id + ": " + std::string(status.state());
  if (!run.finished) {
    text += status.workers.empty() ? ", no worker"
                                   : ", " + Counted(status.workers.size(), "worker") + " (" +
                                         Counted(finders, "finder") + ")";
  }
  for (const auto& [title, value] : rows) {
    text += "\n  " + title + std::string(title.size() < 13 ? 14 - title.size() : 1, ' ') + value;
  }
  return message.Says(std::move(text));
}

}  // namespace longhaul
