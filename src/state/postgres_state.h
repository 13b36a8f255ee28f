// PostgresState: a State in a PostgreSQL database, for many processes on many machines.
//
// Each call is one statement; a write that returned OK survives a crash of the server, as its
// synchronous_commit says. The writes of one WriteMany are one transaction, in the order of their
// keys, so that two of them never wait for each other.
//
// Expiry is a time of the database's clock: where ours is off, times are moved by the difference,
// so that a lease ends at the same moment for everybody. Expired rows read as absent at once and
// are taken out in passing.

#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/runtime.h"
#include "net/postgres_client.h"
#include "net/postgres_schema.h"
#include "state/state.h"

namespace longhaul {

// For `longhaul setup`.
const PostgresPart& PostgresStatePart();

class PostgresState : public State {
 public:
  // `on_clock_off`: told what the database's clock is ahead of ours, where it is seconds; null:
  // that is logged. kInvalidInput: the tables are missing or of another version; others as
  // PostgresClient.
  static Async<std::unique_ptr<State>> Open(
      Runtime runtime, std::shared_ptr<PostgresClient> client,
      std::function<void(std::chrono::seconds ahead)> on_clock_off = nullptr);

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
  PostgresState(Runtime runtime, std::shared_ptr<PostgresClient> client,
                std::function<void(std::chrono::seconds ahead)> on_clock_off)
      : runtime_(runtime), client_(std::move(client)), on_clock_off_(std::move(on_clock_off)) {}
  // Asks the database for its time.
  Async<void> CompareClocks();
  [[nodiscard]] std::optional<SystemTime> OurTime(const PostgresRows& rows, int row,
                                                  int column) const;
  asio::awaitable<void> SweepIfDue();

  Runtime runtime_;
  std::shared_ptr<PostgresClient> client_;  // shared with Queue.
  std::function<void(std::chrono::seconds ahead)> on_clock_off_;
  std::chrono::microseconds ahead_{0};  // What the database's clock is ahead of ours.
  SteadyTime compared_{};
  SteadyTime last_sweep_{};
  bool more_to_sweep_ = false;
};

}  // namespace longhaul
