#include "replication/capability_cache.h"

#include <boost/json.hpp>
#include <utility>

#include "replica/lease.h"
#include "storage/probe.h"

namespace longhaul {

namespace {

constexpr char kPartition[] = "capabilities";
constexpr char kProbes[] = "probes";  // Under way, or killed: whose, and where.
constexpr std::chrono::hours kLifetime{24};
// A probe takes a few dozen requests. Who dies in one leaves what the next one removes.
constexpr std::chrono::seconds kProbeLease{20};

// Calls `visit(name, field)` for each ability.
template <class Capabilities, class Visit>
void VisitFlags(Capabilities& can, Visit visit) {
  visit("sorted_listing", can.sorted_listing);
  visit("versions", can.versions);
  visit("tags", can.tags);
  visit("checksums", can.checksums);
  visit("trailing_checksums", can.trailing_checksums);
  visit("storage_classes", can.storage_classes);
  visit("lists_uploads", can.lists_uploads);
  visit("heads_parts", can.heads_parts);
  visit("create_if_absent", can.create_if_absent);
  visit("replace_if_match", can.replace_if_match);
  visit("complete_if_absent", can.complete_if_absent);
  visit("complete_if_match", can.complete_if_match);
  visit("delete_if_match", can.delete_if_match);
  visit("key_dot_segments", can.key_dot_segments);
  visit("key_double_slash", can.key_double_slash);
  visit("key_file_beside_folder", can.key_file_beside_folder);
  visit("key_trailing_slash", can.key_trailing_slash);
}

}  // namespace

std::string EncodeCapabilities(const Capabilities& capabilities) {
  boost::json::object object{{"copy_size_bytes_max", capabilities.copy_size_bytes_max},
                             {"put_size_bytes_max", capabilities.put_size_bytes_max},
                             {"part_size_bytes_min", capabilities.part_size_bytes_min}};
  VisitFlags(capabilities, [&](const char* name, bool value) { object[name] = value; });
  return boost::json::serialize(object);
}

std::optional<Capabilities> DecodeCapabilities(std::string_view text) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  Capabilities capabilities;
  bool complete = true;
  VisitFlags(capabilities, [&](const char* name, bool& field) {
    const boost::json::value* found = value.as_object().if_contains(name);
    complete = complete && found != nullptr && found->is_bool();
    if (complete) field = found->as_bool();
  });
  auto number = [&](const char* name, uint64_t& field) {
    const boost::json::value* found = value.as_object().if_contains(name);
    complete = complete && found != nullptr && found->is_number();
    if (complete) field = found->to_number<uint64_t>(error);
  };
  number("copy_size_bytes_max", capabilities.copy_size_bytes_max);
  number("put_size_bytes_max", capabilities.put_size_bytes_max);
  number("part_size_bytes_min", capabilities.part_size_bytes_min);
  if (!complete || error) return std::nullopt;
  return capabilities;
}

namespace {

Async<std::optional<Capabilities>> Remembered(State& state, std::string key) {
  Result<std::optional<StateRow>> row = co_await state.Get(kPartition, std::move(key));
  if (!row) co_return row.error().In("read capabilities");
  if (!*row) co_return std::nullopt;
  co_return DecodeCapabilities((*row)->value);
}

// A probe that has begun and not ended, and that nobody is at any more.
struct LeftProbe {
  std::string row;
  std::string base;
};

// Each probe has a row of its own: whoever lost his lease may go on for a while.
Async<std::vector<LeftProbe>> LeftProbes(ReplicationContext& context, std::string key) {
  const std::string prefix = std::move(key) + "\n";
  std::vector<LeftProbe> left;
  std::string after = prefix;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await context.state.Scan(kProbes, after, 100);
    if (!rows) co_return rows.error().In("look for a probe that was killed");
    for (StateRow& row : *rows) {
      if (!row.key.starts_with(prefix)) co_return left;
      after = row.key;
      // "<owner> <begun> <base>"
      const size_t first = row.value.find(' ');
      const size_t second = row.value.find(' ', first + 1);
      if (first == std::string::npos || second == std::string::npos) continue;
      if (context.probes.contains(row.key)) continue;
      std::string owner = row.value.substr(0, first);
      if (owner != context.owner) {
        Result<SystemTime> begun = ParseRfc3339(row.value.substr(first + 1, second - first - 1));
        Result<bool> lives =
            co_await context.uploads->Lives(std::move(owner), begun ? *begun : SystemTime{});
        if (!lives) co_return lives.error();
        if (*lives) continue;
      }
      left.push_back({.row = std::move(row.key), .base = row.value.substr(second + 1)});
    }
    if (rows->empty()) co_return left;
  }
}

Async<void> WriteRow(State& state, const char* partition, StateWrite write) {
  Result<int64_t> written = co_await state.Write(partition, std::move(write));
  if (!written) co_return written.error().In("record a probe");
  co_return Ok();
}

// A probe's place is in State before anything is there, so that what it leaves when it is killed is
// found. It cleans up after itself unless it fails; then the next one does.
Async<Capabilities> ProbeIn(ReplicationContext& context, Store& store, std::string row,
                            const std::string& bucket, std::string base,
                            std::vector<std::string>& without) {
  Clock& clock = context.runtime.clock;
  std::string value = context.owner + " " + FormatRfc3339(clock.Now()) + " " + base;
  Result<void> written =
      co_await WriteRow(context.state, kProbes, {.key = row, .value = std::move(value)});
  if (!written) co_return written.error();
  Result<Capabilities> probed = co_await ProbeStore(store, bucket, std::move(base), &without);
  if (!probed) co_return probed;
  written = co_await WriteRow(context.state, kProbes, {.key = std::move(row)});
  if (!written) co_return written.error();
  co_return probed;
}

// Nobody else probes: the lease is ours.
Async<Capabilities> ProbeLeased(ReplicationContext& context, Store& store, const std::string& key,
                                const std::string& bucket, const std::string& prefix, bool anew) {
  Result<std::vector<LeftProbe>> left = co_await LeftProbes(context, key);
  if (!left) co_return left.error();
  for (LeftProbe& probe : *left) {
    Result<void> removed = co_await RemoveProbe(store, bucket, std::move(probe.base));
    if (!removed) co_return removed.error().In("remove what a probe has left");
    removed = co_await WriteRow(context.state, kProbes, {.key = std::move(probe.row)});
    if (!removed) co_return removed.error();
  }
  // Whoever had the lease before us may have found out.
  Result<std::optional<Capabilities>> known = co_await Remembered(context.state, key);
  if (!known) co_return known.error();
  if (*known && !anew) co_return **known;

  Clock& clock = context.runtime.clock;
  const std::string row = key + "\n" + NewUlid(clock.Now(), context.runtime.random);
  context.probes.insert(row);
  std::vector<std::string> without;
  Result<Capabilities> probed = co_await ProbeIn(
      context, store, row, bucket, NewProbeBase(prefix, context.runtime.random), without);
  context.probes.erase(row);
  if (!probed) co_return probed;
  for (const std::string& what : without) {
    context.runtime.log.Warning(
        "a target does without what it may not do",
        {{"store", store.description()}, {"bucket", bucket}, {"without", what}});
  }
  Result<void> written = co_await WriteRow(
      context.state, kPartition,
      {.key = key, .value = EncodeCapabilities(*probed), .expires = clock.Now() + kLifetime});
  if (!written) co_return written.error();
  co_return probed;
}

Async<Capabilities> Probed(ReplicationContext& context, Store& store, std::string bucket,
                           std::string prefix, bool anew) {
  Clock& clock = context.runtime.clock;
  const std::string key = store.description() + "/" + bucket + "/" + prefix;
  // An owner for each call: two rules of one process may want the same store.
  Lease lease(context.state, clock, "probe/" + key,
              context.owner + "/" + NewUlid(clock.Now(), context.runtime.random), kProbeLease);
  while (true) {
    Result<std::optional<Capabilities>> known = co_await Remembered(context.state, key);
    if (!known) co_return known.error();
    Result<std::vector<LeftProbe>> left = co_await LeftProbes(context, key);
    if (!left) co_return left.error();
    if (*known && left->empty() && !anew) co_return **known;
    Result<bool> acquired = co_await lease.TryAcquire();
    if (!acquired) co_return acquired.error();
    if (*acquired) break;
    if (*known && !anew) co_return **known;                // Another process cleans up.
    co_await clock.Sleep(std::chrono::milliseconds(250));  // Another process is at it.
  }
  Event done;
  TaskGroup keeper(context.runtime.executor);
  keeper.Spawn(KeepLease(clock, lease, done, kProbeLease / 3));
  Result<Capabilities> probed = co_await ProbeLeased(context, store, key, bucket, prefix, anew);
  done.Set();
  Result<void> kept = co_await keeper.Join();
  static_cast<void>(kept);
  co_await lease.Release();
  co_return probed;
}

}  // namespace

Async<Capabilities> ProbedCapabilities(ReplicationContext& context, Store& store,
                                       std::string bucket, std::string prefix) {
  co_return co_await Probed(context, store, std::move(bucket), std::move(prefix), false);
}

Async<Capabilities> ProbeAnew(ReplicationContext& context, Store& store, std::string bucket,
                              std::string prefix) {
  co_return co_await Probed(context, store, std::move(bucket), std::move(prefix), true);
}

}  // namespace longhaul
