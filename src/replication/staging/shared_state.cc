#include "replication/staging/shared_state.h"

#include <utility>

#include "base/random.h"

namespace longhaul {

namespace {

constexpr char kPartition[] = "state-ids";

}  // namespace

Async<std::string> StateIdOf(Runtime& runtime, State& state, TargetContext& target) {
  if (!target.state_id.empty()) co_return target.state_id;
  const std::string bucket = ReplicaPartition(*target.config);
  // Whoever loses the race to write it reads the winner's.
  for (int attempt = 0; attempt < 2; ++attempt) {
    Result<std::optional<StateRow>> row = co_await state.Get(kPartition, bucket);
    if (!row) co_return row.error().In("State");
    if (*row) {
      target.state_id = (*row)->value;
      co_return target.state_id;
    }
    StateWrite write{.key = bucket,
                     .value = NewUlid(runtime.clock.Now(), runtime.random),
                     .expected = Expected::Absent()};
    Result<int64_t> written = co_await state.Write(kPartition, std::move(write));
    if (!written && written.error().kind != ErrorKind::kPrecondition) {
      co_return written.error().In("State");
    }
  }
  co_return Retryable("the id of State for " + bucket + " cannot be read");
}

Async<void> NameStates(Runtime& runtime, State& state, const RuleContext& rule,
                       ArchiveManifest& manifest) {
  if (rule.rule->transport != Transport::kAuto) co_return Ok();
  for (const auto& target : rule.targets) {
    Result<std::string> id = co_await StateIdOf(runtime, state, *target);
    if (!id) co_return id.error();
    manifest.states[target->config->name] = *id;
  }
  co_return Ok();
}

Async<void> CheckState(Runtime& runtime, State& state, TargetContext& target,
                       const ArchiveManifest& manifest) {
  if (manifest.states.empty()) co_return Ok();
  Result<std::string> here = co_await StateIdOf(runtime, state, target);
  if (!here) co_return here.error();
  const auto named = manifest.states.find(target.config->name);
  if (named != manifest.states.end() && named->second == *here) co_return Ok();
  co_return InvalidInput(
      "its rule has transport: auto, which needs one state for the source and the target role, and "
      "this is another one: run both roles with one configuration, or write transport: direct; "
      "then remove this archive, and the next comparison carries what it holds");
}

}  // namespace longhaul
