#include "replication/staging/left_staging.h"

#include <algorithm>
#include <set>
#include <utility>

#include "replication/staging/staging.h"

namespace longhaul {

namespace {

constexpr char kPartition[] = "stagings";
constexpr int kLeftPageRows = 1000;

// "<rule>/<target>/<store:bucket/prefix>": the first two have no "/" in them.
std::string KeyOf(const Rule& rule, const Target& target) {
  return rule.id + "/" + target.name + "/" + target.staging.ToString();
}

std::set<std::string> KeysOf(const std::vector<const Rule*>& rules) {
  std::set<std::string> keys;
  for (const Rule* rule : rules) {
    for (const Target& target : rule->targets) {
      if (!target.staging.bucket.empty()) keys.insert(KeyOf(*rule, target));
    }
  }
  return keys;
}

// Whoever applies for another target of the rule looks at all that lies there.
std::string PlaceKey(const std::string& rule, const std::string& place) {
  return rule + "/" + place;
}

// nullopt: nobody wrote that.
std::optional<LeftStaging> PlaceOf(const std::string& key) {
  const size_t rule = key.find('/');
  const size_t target = rule == std::string::npos ? rule : key.find('/', rule + 1);
  if (target == std::string::npos) return std::nullopt;
  return LeftStaging{.rule = key.substr(0, rule),
                     .target = key.substr(rule + 1, target - rule - 1),
                     .place = key.substr(target + 1)};
}

Async<std::vector<StateRow>> Noted(State& state) {
  std::vector<StateRow> noted;
  while (true) {
    Result<std::vector<StateRow>> rows =
        co_await state.Scan(kPartition, noted.empty() ? "" : noted.back().key, kLeftPageRows);
    if (!rows) co_return rows.error().In("State");
    std::move(rows->begin(), rows->end(), std::back_inserter(noted));
    if (rows->size() < kLeftPageRows) co_return noted;
  }
}

asio::awaitable<void> CountArchives(LeftStaging& left,
                                    const std::map<std::string, Store*>& stores) {
  const Result<Address> place = ParseAddress(left.place);
  const auto store = place ? stores.find(place->store) : stores.end();
  if (store == stores.end()) {
    left.not_looked = "its store is not in the configuration";
    co_return;
  }
  Result<std::vector<StagedArchive>> staged =
      co_await ListStaging(*store->second, place->bucket, place->prefix + left.rule + "/");
  if (!staged) {
    if (staged.error().kind != ErrorKind::kNotFound) left.not_looked = staged.error().Describe();
    co_return;
  }
  left.archives = static_cast<uint64_t>(std::ranges::count_if(
      *staged, [&](const auto& one) { return one.archive && !one.HasReceipt(left.target); }));
}

}  // namespace

Async<void> NoteStagings(State& state, const std::vector<const Rule*>& rules) {
  Result<std::vector<StateRow>> noted = co_await Noted(state);
  if (!noted) co_return noted.error();
  std::set<std::string> missing = KeysOf(rules);
  for (const StateRow& row : *noted) missing.erase(row.key);
  std::vector<StateWrite> writes;
  for (const std::string& key : missing) {
    writes.push_back({.key = key, .value = "1", .expected = Expected::Absent()});
  }
  if (writes.empty()) co_return Ok();
  Result<std::vector<Result<int64_t>>> written =
      co_await state.WriteMany(kPartition, std::move(writes));
  if (!written) co_return written.error().In("State");
  for (const Result<int64_t>& row : *written) {
    // Another process has noted it.
    if (!row && row.error().kind != ErrorKind::kPrecondition) co_return row.error().In("State");
  }
  co_return Ok();
}

Async<std::vector<LeftStaging>> FindLeftStagings(State& state,
                                                 const std::vector<const Rule*>& rules,
                                                 const std::map<std::string, Store*>& stores,
                                                 bool forget) {
  Result<std::vector<StateRow>> noted = co_await Noted(state);
  if (!noted) co_return noted.error();
  std::set<std::string> used;
  for (const Rule* rule : rules) {
    for (const Target& target : rule->targets) {
      used.insert(PlaceKey(rule->id, target.staging.ToString()));
    }
  }
  std::vector<LeftStaging> found;
  for (const StateRow& row : *noted) {
    std::optional<LeftStaging> left = PlaceOf(row.key);
    if (!left || used.contains(PlaceKey(left->rule, left->place))) continue;
    const Result<Address> place = ParseAddress(left->place);
    const bool gone = !place || !stores.contains(place->store);
    co_await CountArchives(*left, stores);
    const bool told = left->archives > 0 || !left->not_looked.empty();
    if (told) found.push_back(std::move(*left));
    // Where nobody can look any more it is told once.
    if (!forget || (told && !gone)) continue;
    // Whoever uses it again notes it again.
    Result<int64_t> forgotten = co_await state.Write(
        kPartition, {.key = row.key, .expected = Expected::Revision(row.revision)});
    static_cast<void>(forgotten);
  }
  co_return found;
}

std::string Describe(const LeftStaging& left) {
  const std::string whose = "of rule " + left.rule + " for its target " + left.target;
  const std::string where = left.place + left.rule + "/";
  if (!left.not_looked.empty()) {
    return "archives " + whose + " may wait in " + where +
           ", which no enabled rule here uses: " + left.not_looked;
  }
  return std::to_string(left.archives) + (left.archives == 1 ? " archive " : " archives ") + whose +
         (left.archives == 1 ? " waits in " : " wait in ") + where +
         ", and no enabled rule here looks there: write or enable the rule with that staging until "
         "it is empty, or remove what is not wanted";
}

}  // namespace longhaul
