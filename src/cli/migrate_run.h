// What the `migrate` commands have in common: which run is meant, its options, its stores, Queue
// and State.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/backends.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cli/transfer_flags.h"
#include "migration/compare.h"
#include "migration/request.h"
#include "migration/run.h"
#include "migration/status.h"
#include "migration/worker.h"
#include "rules/migration.h"
#include "rules/rule.h"

namespace longhaul {

// kInvalidInput: there is none.
Result<const Configuration*> RequireConfiguration(RunContext& context);
Async<Backends> OpenMigrationBackends(RunContext& context, const Configuration& configuration);

// The RUN argument.
void DeclareMigrationRun(FlagSet& flags, std::string& run);
// kNotFound: there is no such run; the message names those that there are.
Async<migration::Run> RequireMigrationRun(RunContext& context, State& state, std::string id);

// The section `migrations:` of the configuration.
Result<std::vector<Migration>> ListedMigrations(RunContext& context,
                                                const Configuration& configuration);

inline constexpr std::string_view kNoMigration = "NoMigration";

// The role of a process that works on migrations: `doctor` and `iam-policy` take it beside those of
// rules.
inline constexpr std::string_view kMigrationsRole = "migrations";
// An empty `role` becomes what the configuration has: both roles of rules, else kMigrationsRole.
// Then these are its migrations, else none. kInvalidInput: there is nothing for that role; `flag`
// names it.
Result<std::vector<Migration>> RequireWorkOf(RunContext& context,
                                             const Configuration& configuration,
                                             std::string_view flag, std::string& role);

// RUN, or SOURCE and TARGET with their options.
struct MigrateFlags {
  std::string what;
  std::optional<std::string> target;
  std::optional<std::string> name;
  std::optional<std::string> prefix_list;
  FilterFlags filter;
  CompareRules compare = MigrationOptions{}.compare;
  std::string storage_class;
  std::string kms_key;
  std::chrono::milliseconds modify_window{0};
  int64_t tries = MigrationOptions{}.tries_max;
  std::chrono::milliseconds task_timeout = MigrationOptions{}.timeout;
  int64_t batch_count = MigrationOptions{}.batch_count;
  uint64_t batch_bytes = MigrationOptions{}.batch_bytes;
  uint64_t giant_bytes = MigrationOptions{}.giant_bytes;
  uint64_t range_bytes = MigrationOptions{}.range_bytes;
  uint64_t part_bytes = MigrationOptions{}.part_bytes;

  void Declare(FlagSet& flags);
  // What they and the configuration say. kInvalidInput otherwise; with the code kNoMigration: RUN
  // is none of the configuration's.
  [[nodiscard]] Result<Migration> Resolve(RunContext& context,
                                          const Configuration& configuration) const;
  // The lines of --prefix-list; empty: there is none. kInvalidInput, kNotFound: the file.
  [[nodiscard]] Result<std::vector<std::string>> Prefixes() const;

 private:
  [[nodiscard]] Result<MigrationOptions> Options(SystemTime now) const;
};

// The stores of a configuration, each opened when a run needs it.
class MigrationStores {
 public:
  MigrationStores(RunContext& context, const Configuration& configuration)
      : context_(context), configuration_(configuration) {}

  // kInvalidInput: no such store here, or it is another place than the run's.
  Result<migration::Ends> Open(const migration::Run& run);
  // A run as it would be started here.
  Result<migration::Run> RunOf(const Migration& migration) const;
  // What a store's name means here.
  Result<std::string> PlaceOf(const Address& address) const;

 private:
  Result<Store*> OpenOne(const Address& address, const std::string& place);

  RunContext& context_;
  const Configuration& configuration_;
  std::map<std::string, std::unique_ptr<Store>> stores_;
};

// Says what the prefixes of a run that is about to begin take, or make, that is not as it looks
// (prefix_warning.h). With `--prefix-list` that says which names are meant.
Async<void> WarnOfPrefixes(Output& output, const Migration& migration, migration::Ends ends,
                           bool with_list);

// The name of this process among the workers.
std::string WorkerName(RunContext& context);

// "3.2 objects/s, 12 MiB/s".
std::string SpeedText(double objects_per_second, double bytes_per_second);
// How far a run is, as lines of text and as fields.
Message StatusMessage(std::string_view event, const migration::RunStatus& status, SystemTime now);

}  // namespace longhaul
