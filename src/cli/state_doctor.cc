#include "cli/state_doctor.h"

#include <chrono>
#include <optional>
#include <utility>

namespace longhaul {

namespace {

using Check = DoctorCheck;

constexpr char kPartition[] = "doctor";
constexpr std::chrono::minutes kRowLifetime{10};

}  // namespace

Async<void> TryState(State& state, Clock& clock, std::string place, std::string row, bool dynamodb,
                     std::vector<Check>& checks) {
  auto judge = [&](const char* what, const char* action, const Result<void>& result) {
    const std::string name = dynamodb ? action : "";
    Check check{.place = place, .what = what, .action = name};
    if (!result) {
      check.state = Check::State::kFailed;
      check.action = ActionOf(result.error(), name);
      check.found = result.error().Describe();
      check.remedy = RemedyOf(result.error(), name, "the table");
    }
    checks.push_back(std::move(check));
    return result.has_value();
  };
  auto plain = [](const auto& result) {
    return result ? Result<void>() : Result<void>(result.error());
  };
  const SystemTime expires = clock.Now() + kRowLifetime;
  Result<int64_t> written =
      co_await state.Write(kPartition, {.key = row, .value = "1", .expires = expires});
  judge("write rows", "dynamodb:PutItem", plain(written));
  Result<std::optional<StateRow>> read = co_await state.Get(kPartition, row);
  judge("read rows", "dynamodb:GetItem", plain(read));
  Result<std::vector<std::optional<StateRow>>> many =
      co_await state.GetMany(kPartition, {row, row + "-2"});
  judge("read many rows", "dynamodb:BatchGetItem", plain(many));
  Result<int64_t> added = co_await state.Add(kPartition, row, 1);
  judge("add to rows", "dynamodb:UpdateItem", plain(added));
  Result<std::vector<StateRow>> scanned = co_await state.Scan(kPartition, "", 1);
  judge("scan rows", "dynamodb:Query", plain(scanned));
  // What could not be removed expires.
  Result<int64_t> removed = co_await state.Write(kPartition, {.key = row});
  judge("remove rows", "dynamodb:DeleteItem", plain(removed));
  co_return Ok();
}

}  // namespace longhaul
