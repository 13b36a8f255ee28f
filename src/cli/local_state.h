// The State of commands that work without a configuration: what --state names, else that of the
// configuration, else a file of the user, $XDG_STATE_HOME/longhaul/state.db
// (~/.local/state/longhaul/state.db). It remembers runs and uploads that did not end.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/aws_request_hook.h"
#include "cli/flags.h"
#include "cli/run_context.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

struct StateFlag {
  std::optional<std::string> path;
  void Declare(FlagSet& flags);
};

// nullopt: nothing says where the user's files are.
std::optional<DatabasePlace> LocalStatePlace(RunContext& context, const StateFlag& flag);

// Opens the file (and makes the folders above it) when it is first needed: a command that copies
// small objects alone never does.
class LocalState : public State {
 public:
  LocalState(Runtime runtime, DatabasePlace place, AwsRequestHook on_request = nullptr)
      : runtime_(runtime), place_(std::move(place)), on_request_(std::move(on_request)) {}

  Async<std::optional<StateRow>> Get(std::string partition, std::string key) override;
  Async<std::vector<std::optional<StateRow>>> GetMany(std::string partition,
                                                      std::vector<std::string> keys) override;
  Async<int64_t> Write(std::string partition, StateWrite write) override;
  Async<std::vector<Result<int64_t>>> WriteMany(std::string partition,
                                                std::vector<StateWrite> writes) override;
  Async<int64_t> Add(std::string partition, std::string key, int64_t amount) override;
  Async<std::vector<StateRow>> Scan(std::string partition, std::string after,
                                    int count_max) override;

 private:
  Async<State*> Opened();
  Async<void> OpenNow();

  Runtime runtime_;
  DatabasePlace place_;
  AwsRequestHook on_request_;
  bool opening_ = false;
  WaitList opened_;
  std::optional<Error> failure_;
  std::unique_ptr<State> state_;
};

}  // namespace longhaul
