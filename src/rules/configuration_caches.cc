// The section `caches:` of a configuration.

#include <algorithm>

#include "base/time_zone.h"
#include "base/units.h"
#include "rules/configuration.h"
#include "rules/configuration_reader.h"
#include "rules/in_use.h"
#include "rules/schedule.h"
#include "storage/s3_bucket_name.h"

namespace longhaul {

namespace {

using namespace std::chrono_literals;

constexpr size_t kCachesMax = 1'000;

}  // namespace

Result<uint64_t> ParseCacheBudget(std::string_view text) {
  Result<uint64_t> bytes = ParseSize(text);
  if (!bytes || *bytes == 0 || *bytes >= kCacheBudgetBareMin) return bytes;
  const bool bare = text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!bare) return bytes;
  return InvalidInput("a cache of " + std::string(text) + " bytes holds next to nothing: write a " +
                      "unit, as " + std::string(text) + "GiB, or " + std::string(text) +
                      "B if that is meant");
}

Result<Address> ParseCachePlace(std::string_view text) {
  Result<Address> address = ParseAddress(text);
  // Rules take no directory bucket; a cache is what it is for.
  const size_t colon = text.find(':');
  if (address || colon == std::string_view::npos || colon == 0) return address;
  const std::string_view rest = text.substr(colon + 1);
  const size_t slash = rest.find('/');
  const std::string_view bucket = rest.substr(0, slash);
  if (!IsDirectoryBucket(bucket)) return address;
  return Address{
      .store = std::string(text.substr(0, colon)),
      .bucket = std::string(bucket),
      .prefix = std::string(slash == std::string_view::npos ? "" : rest.substr(slash + 1))};
}

void ConfigurationReader::ReadCaches(const YamlValue& value) {
  std::optional<std::vector<YamlValue>> items = value.Items();
  if (!items) return;
  if (items->size() > kCachesMax) {
    value.Fail("has " + std::to_string(items->size()) + " caches",
               "at most 1000 fit; split the file");
    return;
  }
  for (const YamlValue& item : *items) {
    CacheSettings cache;
    ReadCache(item, cache);
    const bool taken = std::ranges::any_of(
        caches_, [&](const CacheSettings& other) { return other.id == cache.id; });
    if (!cache.id.empty() && taken) {
      item.Fail("the id " + Quoted(cache.id) + " is taken by another cache",
                "give it one of its own");
    }
    caches_.push_back(std::move(cache));
  }
}

// Copies overwrite what has their keys, and are removed when their time has run out.
void ConfigurationReader::CheckInUse() {
  for (size_t i = 0; i < caches_.size(); ++i) {
    const Address& to = caches_[i].to;
    const std::optional<std::string> taken =
        FindInUse(configuration_, SpaceOf(*StoreOf(to), to), Use::kCache);
    if (!taken) continue;
    cache_places_[i]->Fail("overlaps " + *taken + ": what a cache keeps it removes again",
                           "give the cache a bucket or a prefix of its own");
  }
  for (size_t i = 0; i < migrations_.size(); ++i) {
    const Address& to = migrations_[i].target;
    const std::optional<std::string> taken =
        FindInUse(configuration_, SpaceOf(*StoreOf(to), to), Use::kMigration);
    if (taken) Warn(*migration_targets_[i], "overlaps " + *taken + ": it will not be started");
  }
}

void ConfigurationReader::ReadCache(const YamlValue& value, CacheSettings& cache) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;  // Then the whole file is refused.
  if (auto id = fields->Require("id", "id: NAME")) {
    cache.id = id->Text().value_or("");
    if (!cache.id.empty() && !IsPlainName(cache.id, 64)) {
      id->Fail(Quoted(id->node().raw) + " cannot be the id of a cache",
               "use up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
  }
  if (auto source = fields->Require("source", "source: STORE:bucket/prefix")) {
    ReadAddress(*source, cache.source);
  }
  auto to = fields->Require("to", "to: STORE:bucket");
  if (to) ReadAddress(*to, cache.to, ParseCachePlace);
  cache_places_.push_back(to);
  const StoreSettings* from = KnownStoreOf(cache.source);
  const StoreSettings* at = KnownStoreOf(cache.to);
  if (from != nullptr && at != nullptr && from->Place() == at->Place() &&
      cache.source.bucket == cache.to.bucket) {
    to->Fail("is the bucket of the source: a bucket cannot be its own cache",
             "give a bucket of its own");
  }
  if (fields->Require("ttl", "ttl: 24h")) {
    fields->Duration("ttl", cache.ttl, 60s, std::chrono::hours(366 * 24));
  }
  uint64_t budget = 0;
  if (fields->Size("budget", budget, 0, 1ULL << 60)) {
    cache.budget_bytes = budget;
    const std::optional<YamlValue> value = fields->Find("budget");
    if (Result<uint64_t> sound = ParseCacheBudget(value->node().text); !sound) {
      value->Fail(Quoted(value->node().raw) + " has no unit and is bytes",
                  "write a unit, as " + value->node().text + "GiB");
    }
  }
  if (fields->Text("schedule", cache.schedule)) {
    Result<Schedule> schedule = Schedule::Parse(cache.schedule);
    if (!schedule) {
      fields->Find("schedule")
          ->Fail(schedule.error().message, "write it as cron does: \"0 5 * * 1\"");
    }
  }
  if (fields->Text("time_zone", cache.time_zone)) {
    Result<TimeZone> zone = TimeZone::Load(cache.time_zone);
    if (!zone) fields->Find("time_zone")->Fail(zone.error().message, "write it as Europe/Berlin");
    if (cache.schedule.empty()) {
      fields->Find("time_zone")->Fail("is for a schedule", "add schedule, or remove it");
    }
  }
  std::string events;
  if (fields->Text("events", events)) {
    if (events == "invalidate") {
      cache.events = CacheEvents::kInvalidate;
    } else if (events == "refresh") {
      cache.events = CacheEvents::kRefresh;
    } else {
      fields->Find("events")->Fail(Quoted(events) + " is nothing that events do",
                                   "write invalidate or refresh, or leave it out");
    }
  }
  fields->Finish();
}

}  // namespace longhaul
