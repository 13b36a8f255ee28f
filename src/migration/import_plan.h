// MigrationPlan: what an import found, on its way to a configuration and command lines.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/import_document.h"

namespace longhaul {

struct MigrationStore {
  std::string name;
  std::string provider;  // Of storage/s3_provider.h; empty: AWS.
  std::string endpoint;  // Empty: the provider's.
  std::string region;
  std::string profile;
  // Set: its keys are those of NAME_ACCESS_KEY_ID and NAME_SECRET_ACCESS_KEY. No file of another
  // system's has its secrets copied into a configuration.
  std::string keys_from;
  std::string credentials{};  // Where its keys are kept: "secretsmanager:NAME".
  std::string role_arn{};     // Assumed with these keys.
  std::string external_id{};
  bool anonymous = false;
  bool requester_pays = false;
  bool path_style = false;
  std::vector<std::string> comments;
};

struct MigrationCommand {
  std::vector<std::string> words;  // After "longhaul": "sync", "a:x/", "b:y/".
  std::vector<std::string> comments;
};

// What ran again and again, or by many machines, for the section `migrations:`.
struct MigrationJob {
  std::string source;  // Places; what lies below is a folder.
  std::string target;
  std::vector<std::string> exclude{};  // Globs.
  bool size_only = false;
  std::string storage_class{};
  std::string kms_key{};
  std::string schedule{};  // Five fields of cron; empty: none.
  bool events = false;
  std::vector<std::string> comments{};
};

class MigrationPlan {
 public:
  // Adds it under its name, or under that name with a number, which is returned. One that is the
  // same but for the name is not added again.
  std::string AddStore(MigrationStore store);
  void AddCommand(MigrationCommand command) { commands_.push_back(std::move(command)); }
  void AddJob(MigrationJob job) { jobs_.push_back(std::move(job)); }
  void DropJobs() { jobs_.clear(); }

  [[nodiscard]] const std::vector<MigrationStore>& stores() const { return stores_; }
  [[nodiscard]] const std::vector<MigrationCommand>& commands() const { return commands_; }
  [[nodiscard]] const std::vector<MigrationJob>& jobs() const { return jobs_; }

  // The YAML; the commands stand in comments below it. `from`: what it was made of.
  [[nodiscard]] std::string Write(const std::string& from) const;

 private:
  std::vector<MigrationStore> stores_;
  std::vector<MigrationCommand> commands_;
  std::vector<MigrationJob> jobs_;
};

// The five fields of cron that mean what `text` does: an expression of EventBridge, "cron(…)" or
// its six fields. nullopt: there are none.
std::optional<std::string> ScheduleOfEventBridge(std::string_view text);

// "NAME:bucket/prefix".
std::string PlaceOfMigration(std::string_view store, std::string_view bucket,
                             std::string_view prefix);
// Says that `prefix`, of `where`, is a folder to `sync`, where it was the beginning of a key.
void RemarkFolder(ImportLog& log, const std::string& where, const std::string& prefix);
// A place as the folder that it is to `sync`: with a slash behind its prefix, where it has one.
std::string AsFolder(std::string place);
// `a` + "/" + `b` with one slash between them, none where one is empty. Slashes before are dropped.
std::string JoinPrefix(std::string_view a, std::string_view b);

}  // namespace longhaul
