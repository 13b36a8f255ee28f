// ConfigurationReader: the YAML of a configuration (configuration.h) becomes plain values, field by
// field. Internal to configuration.cc; its functions stand by what they read: stores, rules,
// targets, and all that concerns the whole file.

#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/yaml.h"
#include "rules/alarms.h"
#include "rules/api_settings.h"
#include "rules/cache_settings.h"
#include "rules/migration.h"
#include "rules/price_list.h"
#include "rules/rule.h"
#include "rules/telemetry.h"
#include "rules/topology.h"
#include "rules/tracing.h"

namespace longhaul {

// Of ASCII, whatever the locale.
bool IsAlphanumeric(char c);

// `prices:` of the whole file.
PriceList ReadPriceList(YamlFields& top);

// Where the addresses of a rule stand in the file, for the topology's messages.
struct ConfigurationPlaces {
  std::optional<YamlValue> source;
  std::optional<YamlValue> local_staging;
  std::vector<std::optional<YamlValue>> targets;
  std::vector<std::optional<YamlValue>> staging;
};

class ConfigurationReader {
 public:
  using Places = ConfigurationPlaces;

  ConfigurationReader(const std::string& file, std::string directory, YamlErrors& errors,
                      std::vector<TopologyProblem>* problems)
      : directory_(std::move(directory)), errors_(errors), problems_(problems) {
    configuration_.file = file;
  }

  std::optional<Configuration> Read(const YamlNode& root);
  // After Read.
  std::vector<Migration> TakeMigrations() { return std::move(migrations_); }
  std::vector<CacheSettings> TakeCaches() { return std::move(caches_); }
  PriceList TakePrices() { return std::move(prices_); }
  ApiSettings TakeApi() { return std::move(api_); }
  Telemetry TakeTelemetry() { return std::move(telemetry_); }
  Tracing TakeTracing() { return std::move(tracing_); }
  std::optional<Alarms> TakeAlarms() { return std::move(alarms_); }

 private:
  void ReadStores(const YamlValue& value);
  void ReadStore(const YamlValue& value, StoreSettings& store);
  void ReadS3(const YamlValue& value, YamlFields& fields, StoreSettings& store);
  // Endpoint, region and addressing of a provider, after those that are given.
  void ReadProvider(const YamlValue& value, YamlFields& fields, StoreSettings& store);
  void ReadRole(const YamlValue& value, YamlFields& fields, StoreSettings& store);
  static void ReadAcceleration(YamlFields& fields, StoreSettings& store);
  void ReadDatabase(YamlFields& fields, std::string_view name, DatabasePlace& place);
  void ReadListener(YamlFields& fields);
  void ReadNotify(YamlFields& fields);
  void ReadRules(const YamlValue& value);
  void ReadRule(const YamlValue& value, Rule& rule, Places& places);
  void ReadCaches(const YamlValue& value);
  void ReadCache(const YamlValue& value, CacheSettings& cache);
  // After the rules: whether a cache or a migration meets what they have.
  void CheckInUse();
  void ReadMigrations(const YamlValue& value);
  void ReadMigration(const YamlValue& value, Migration& migration);
  void ReadMigrationOptions(YamlFields& fields, MigrationOptions& options);
  void ReadTriggers(YamlFields& fields, MigrationTriggers& triggers);
  [[nodiscard]] bool ComesAfterItself(const Migration& migration) const;
  // After the targets. With backups alone deletes are recorded unless the rule says otherwise.
  void CheckBackups(const YamlValue& value, Rule& rule, bool says_deletes);
  void CheckCopies(const Rule& rule, Places& places);
  void FindCopies(Rule& rule);
  void ReadTransport(YamlFields& fields, Rule& rule, Places& places);
  void ReadFilter(YamlFields& fields, Filter& filter);
  void ReadSettle(YamlFields& fields, Rule& rule);
  void ReadIntake(YamlFields& fields, Rule& rule);
  void ReadInventory(const YamlValue& value, bool is_folder, Intake& intake);
  void ReadCompression(YamlFields& fields, Rule& rule);
  void ReadTuner(const YamlValue& value, TunerBounds& bounds);
  void ReadBatch(YamlFields& fields, Batch& batch);
  void ReadDeleteGuard(YamlFields& fields, DeleteGuard& guard);
  void ReadTargets(const YamlValue& value, Rule& rule, Places& places);
  void ReadTarget(const YamlValue& value, const Rule& rule, Target& target, Places& places);
  bool ReadAddress(const YamlValue& value, Address& address,
                   Result<Address> (*parse)(std::string_view) = ParseAddress);
  void ReadEncryption(YamlFields& fields, Target& target);
  void ReadOwner(YamlFields& fields, Target& target);
  void ReadTakeOver(const YamlValue& value, Target& target);
  void ReadBackup(const YamlValue& value, Target& target);
  void ReadLock(const YamlValue& value, const Target& target, BackupOptions& backup);
  void ReadStorageClass(YamlFields& fields, Target& target);
  // A storage class of the store of `to`; empty: none.
  std::string ReadClass(const YamlValue& value, const Address& to);
  // As a message shows what somebody has written.
  static std::string Quoted(std::string_view text);
  void Warn(const YamlValue& value, const std::string& what);
  void WarnOfIdleRules();
  void WarnOfDisabledKeepers();

  std::string AbsolutePath(const std::string& path) const;
  const StoreSettings* StoreOf(const Address& address) const {
    auto found = configuration_.stores.find(address.store);
    return found == configuration_.stores.end() ? nullptr : &found->second;
  }
  // The same; nullptr too when nobody knows what kind of store it is.
  const StoreSettings* KnownStoreOf(const Address& address) const {
    return unclear_stores_.contains(address.store) ? nullptr : StoreOf(address);
  }

  Configuration configuration_;
  std::string directory_;
  YamlErrors& errors_;
  std::vector<TopologyProblem>* problems_;  // Where they go instead; may be null.
  std::vector<Places> places_;
  std::vector<Migration> migrations_;
  std::vector<CacheSettings> caches_;
  // Where their addresses stand in the file: `target` of the one, `to` of the other.
  std::vector<std::optional<YamlValue>> migration_targets_;
  std::vector<std::optional<YamlValue>> cache_places_;
  PriceList prices_;
  ApiSettings api_;
  Telemetry telemetry_;
  Tracing tracing_;
  std::optional<Alarms> alarms_;
  std::set<std::string> unclear_stores_;  // Described with mistakes.
};

}  // namespace longhaul
