// The section `migrations:` of a configuration.

#include <algorithm>

#include "base/time_zone.h"
#include "rules/configuration.h"
#include "rules/configuration_reader.h"
#include "rules/in_use.h"
#include "rules/migration_bounds.h"
#include "rules/schedule.h"

namespace longhaul {

namespace {

using namespace std::chrono_literals;

constexpr size_t kMigrationsMax = 1'000;
constexpr size_t kPatternsMax = 1'000;

void ReadSize(YamlFields& fields, std::string_view name, SizeBounds bounds, uint64_t& bytes) {
  fields.Size(name, bytes, bounds.min, bounds.max);
}

void ReadPatterns(YamlFields& fields, std::string_view name, const std::string& kind,
                  ObjectFilter& filter) {
  std::optional<YamlValue> value = fields.Find(name);
  std::optional<std::vector<YamlValue>> items = value ? value->Items() : std::nullopt;
  if (!items) return;
  if (items->size() > kPatternsMax) value->Fail("has too many patterns", "give at most 1,000");
  for (const YamlValue& item : *items) {
    std::optional<std::string> text = item.Text();
    if (!text) continue;
    Result<void> added =
        kind.empty() ? filter.AddRule(*text, "rule '" + *text + "'") : filter.AddText(kind + *text);
    if (!added) item.Fail(added.error().message, "write '+ PATTERN' or '- PATTERN'");
  }
}

void ReadMigrationFilter(YamlFields& fields, MigrationOptions& options) {
  ObjectFilter& filter = options.filter;
  // Of all of these the first that matches decides.
  ReadPatterns(fields, "rules", "", filter);
  ReadPatterns(fields, "exclude", "exclude ", filter);
  ReadPatterns(fields, "include", "include ", filter);
  for (const auto& [name, bound] :
       {std::pair("min_size", &filter.size_bytes_min), {"max_size", &filter.size_bytes_max}}) {
    uint64_t bytes = 0;
    if (fields.Size(name, bytes, 0, 1ULL << 50)) *bound = bytes;
  }
  for (const auto& [name, bound] :
       {std::pair("min_age", &options.age_min), {"max_age", &options.age_max}}) {
    std::chrono::milliseconds age{};
    if (fields.Duration(name, age, 0ms, std::chrono::days(36'500))) *bound = age;
  }
}

}  // namespace

const Migration* FindMigration(const std::vector<Migration>& migrations, std::string_view id) {
  const auto found = std::ranges::find(migrations, id, &Migration::id);
  return found == migrations.end() ? nullptr : &*found;
}

void MigrationOptions::CountAges(SystemTime now) {
  if (age_min) filter.modified_before = now - *age_min;
  if (age_max) filter.modified_after = now - *age_max;
}

void ConfigurationReader::ReadMigrations(const YamlValue& value) {
  std::optional<std::vector<YamlValue>> items = value.Items();
  if (!items) return;
  if (items->size() > kMigrationsMax) {
    value.Fail("has " + std::to_string(items->size()) + " migrations",
               "at most 1000 fit; split the file");
    return;
  }
  for (const YamlValue& item : *items) {
    Migration migration;
    ReadMigration(item, migration);
    if (!migration.id.empty() && FindMigration(migrations_, migration.id) != nullptr) {
      item.Fail("the id " + Quoted(migration.id) + " is taken by another migration",
                "give it one of its own");
    }
    migrations_.push_back(std::move(migration));
  }
  for (size_t i = 0; i < items->size(); ++i) {
    const std::string& after = migrations_[i].triggers.after;
    if (after.empty()) continue;
    if (FindMigration(migrations_, after) == nullptr) {
      (*items)[i].Fail("comes after " + Quoted(after) + ", which is no migration of this file",
                       "name another one, or remove after");
    } else if (FindMigration(migrations_, after)->options.events) {
      (*items)[i].Fail("comes after " + Quoted(after) + ", which takes events and so never ends",
                       "give it a schedule, or events of its own");
    } else if (ComesAfterItself(migrations_[i])) {
      (*items)[i].Fail("comes after itself, by way of " + Quoted(after),
                       "begin the chain with a schedule or by hand");
    }
  }
}

bool ConfigurationReader::ComesAfterItself(const Migration& migration) const {
  const Migration* before = &migration;
  for (size_t steps = 0; steps <= migrations_.size(); ++steps) {
    before = FindMigration(migrations_, before->triggers.after);
    if (before == nullptr) return false;
    if (before->id == migration.id) return true;
  }
  return true;
}

void ConfigurationReader::ReadMigration(const YamlValue& value, Migration& migration) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  if (auto id = fields->Require("id", "id: NAME")) {
    migration.id = id->Text().value_or("");
    if (!migration.id.empty() && !IsPlainName(migration.id, 64)) {
      id->Fail(Quoted(id->node().raw) + " cannot be the id of a migration",
               "use up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
  }
  auto source = fields->Require("source", "source: STORE:bucket/prefix");
  if (source) ReadAddress(*source, migration.source);
  auto target = fields->Require("target", "target: STORE:bucket/prefix");
  if (target) ReadAddress(*target, migration.target);
  migration_targets_.push_back(target);
  const StoreSettings* from = KnownStoreOf(migration.source);
  const StoreSettings* to = KnownStoreOf(migration.target);
  if (source && target && from != nullptr && to != nullptr) {
    const KeySpace outer = SpaceOf(*from, migration.source);
    const KeySpace inner = SpaceOf(*to, migration.target);
    if (Meet(outer, inner) && inner.path.starts_with(outer.path)) {
      target->Fail("lies in the source: its copies would be copied", "write to another prefix");
    } else if (Meet(outer, inner)) {
      target->Fail("holds the source: copies would replace what is not copied yet",
                   "write to another prefix");
    }
  }
  if (auto filter = fields->Find("filter")) {
    if (std::optional<YamlFields> inner = filter->Fields()) {
      ReadMigrationFilter(*inner, migration.options);
      inner->Finish();
    }
  }
  ReadMigrationOptions(*fields, migration.options);
  ReadTriggers(*fields, migration.triggers);
  if (fields->Boolean("events", migration.options.events) && migration.options.events) {
    if (migration.options.age_min) {
      fields->Find("events")->Fail("name what is new, and min_age leaves that out",
                                   "remove one of them");
    }
    // What a worker that died has copied late is newer than what the source has become since: it
    // cannot be told from what somebody else has written there.
    if (migration.options.compare.update) {
      fields->Find("events")->Fail(
          "have older copies replaced, and update leaves alone what is newer at the target",
          "remove one of them");
    }
  }
  fields->Finish();
}

void ConfigurationReader::ReadMigrationOptions(YamlFields& fields, MigrationOptions& options) {
  std::optional<YamlValue> value = fields.Find("options");
  std::optional<YamlFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  inner->Boolean("size_only", options.compare.size_only);
  inner->Boolean("checksum", options.compare.checksum);
  inner->Boolean("update", options.compare.update);
  std::chrono::milliseconds window{0};
  inner->Duration("modify_window", window, kModifyWindowBounds.min, kModifyWindowBounds.max);
  options.compare.window = window;
  inner->Text("storage_class", options.storage_class);
  inner->Text("kms_key", options.kms_key);
  inner->Integer("tries", options.tries_max, 1, kObjectTriesMax);
  inner->Duration("task_timeout", options.timeout, kTaskTimeoutBounds.min, kTaskTimeoutBounds.max);
  inner->Integer("batch_count", options.batch_count, 1, kBatchCountMax);
  ReadSize(*inner, "batch_bytes", kBatchBytesBounds, options.batch_bytes);
  ReadSize(*inner, "giant_size", kGiantBytesBounds, options.giant_bytes);
  ReadSize(*inner, "range_size", kRangeBytesBounds, options.range_bytes);
  ReadSize(*inner, "part_size", kPartBytesBounds, options.part_bytes);
  inner->Finish();
}

void ConfigurationReader::ReadTriggers(YamlFields& fields, MigrationTriggers& triggers) {
  if (fields.Text("schedule", triggers.schedule)) {
    Result<Schedule> schedule = Schedule::Parse(triggers.schedule);
    if (!schedule) {
      fields.Find("schedule")
          ->Fail(schedule.error().message, "write it as cron does: \"30 3 * * mon-fri\"");
    }
  }
  if (fields.Text("time_zone", triggers.time_zone)) {
    Result<TimeZone> zone = TimeZone::Load(triggers.time_zone);
    if (!zone) fields.Find("time_zone")->Fail(zone.error().message, "write it as Europe/Berlin");
    if (triggers.schedule.empty()) {
      fields.Find("time_zone")->Fail("is for a schedule", "add schedule, or remove it");
    }
  }
  fields.Text("after", triggers.after);
}

}  // namespace longhaul
