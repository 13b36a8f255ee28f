#include "replication/capability_cache.h"

#include <boost/json.hpp>
#include <utility>

#include "replica/lease.h"
#include "storage/probe.h"

namespace longhaul {

namespace {

constexpr char kPartition[] = "capabilities";
constexpr char kProbes[] = "probes";  // Under way, or killed: where.
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

// Probes at a place that State knows of before anything is there: a probe that was killed is
// cleaned up by the next one. Nobody else probes: the lease is ours.
Async<Capabilities> ProbeOnce(ReplicationContext& context, Store& store, const std::string& key,
                              const std::string& bucket, const std::string& prefix) {
  Result<std::optional<StateRow>> left = co_await context.state.Get(kProbes, key);
  if (!left) co_return left.error().In("look for a probe that was killed");
  if (*left) {
    Result<void> removed = co_await RemoveProbe(store, bucket, (*left)->value);
    if (!removed) co_return removed.error().In("remove what a probe has left");
  }
  std::string base = NewProbeBase(prefix, context.runtime.random);
  StateWrite begun{.key = key, .value = base};
  Result<int64_t> written = co_await context.state.Write(kProbes, std::move(begun));
  if (!written) co_return written.error().In("record a probe");
  // It cleans up after itself unless it fails, and then the next one does.
  Result<Capabilities> probed = co_await ProbeStore(store, bucket, std::move(base));
  if (!probed) co_return probed;
  StateWrite ended{.key = key};
  written = co_await context.state.Write(kProbes, std::move(ended));
  if (!written) co_return written.error().In("record a probe");
  co_return probed;
}

}  // namespace

Async<Capabilities> ProbedCapabilities(ReplicationContext& context, Store& store,
                                       std::string bucket, std::string prefix) {
  Clock& clock = context.runtime.clock;
  const std::string key = store.description() + "/" + bucket + "/" + prefix;
  // Of this one alone: two rules of one process must not probe one place at once.
  const std::string owner = context.owner + "/" + std::to_string(++context.probers);
  Lease lease(context.state, clock, "probe/" + key, owner, kProbeLease);
  while (true) {
    Result<std::optional<Capabilities>> known = co_await Remembered(context.state, key);
    if (!known) co_return known.error();
    if (*known) co_return **known;
    Result<bool> acquired = co_await lease.TryAcquire();
    if (!acquired) co_return acquired.error();
    if (*acquired) {
      // Another one may have ended in between: a probe that is not needed and is killed would be
      // found again a day later.
      known = co_await Remembered(context.state, key);
      if (known && !*known) break;
      co_await lease.Release();
      if (!known) co_return known.error();
      co_return **known;
    }
    co_await clock.Sleep(std::chrono::milliseconds(250));  // Another one is at it.
  }
  Event done;
  TaskGroup keeper(context.runtime.executor);
  keeper.Spawn(KeepLease(clock, lease, done, kProbeLease));
  Result<Capabilities> probed = co_await ProbeOnce(context, store, key, bucket, prefix);
  if (probed) {
    StateWrite write{
        .key = key, .value = EncodeCapabilities(*probed), .expires = clock.Now() + kLifetime};
    Result<int64_t> written = co_await context.state.Write(kPartition, std::move(write));
    if (!written) probed = written.error().In("remember capabilities");
  }
  done.Set();
  Result<void> kept = co_await keeper.Join();
  static_cast<void>(kept);
  co_await lease.Release();
  co_return probed;
}

}  // namespace longhaul
