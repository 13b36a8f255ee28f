// SqliteState: the embedded State, a table in a SQLite file that several processes may share.
//
// A write that returned OK survives a power loss. Expired rows read as absent at once and are taken
// out of the file in passing, some at a time, so they cost space only.

#pragma once

#include <memory>

#include "base/runtime.h"
#include "base/sqlite.h"
#include "state/state.h"

namespace longhaul {

class SqliteState : public State {
 public:
  // Makes the tables when they are missing. Errors: those of SqliteDatabase.
  static Async<std::unique_ptr<State>> Open(Runtime runtime,
                                            std::shared_ptr<SqliteDatabase> database);

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
  SqliteState(Runtime runtime, std::shared_ptr<SqliteDatabase> database)
      : runtime_(runtime), database_(std::move(database)) {}
  // True when it is time again to take expired rows out.
  bool SweepIsDue();

  Runtime runtime_;
  std::shared_ptr<SqliteDatabase> database_;  // shared with Queue and with other shards.
  SteadyTime last_sweep_{};
  bool more_to_sweep_ = false;  // The last sweep ended at its limit.
};

}  // namespace longhaul
