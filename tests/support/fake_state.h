// FakeState: a State in memory, with faults, for tests and the simulation.
//
// The rows live in a FakeStateBackend, which survives the "processes" that use it; a FakeState is
// the light client of one of them. Destroying the client destroys the coroutines that wait in it
// (a crash); what had taken effect stays. Time comes from its Runtime, so it runs under a virtual
// clock. Without faults it passes tests/conformance/state_suite.h.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "state/state.h"
#include "tests/support/fake_faults.h"

namespace longhaul::testing {

struct FakeStateBackend {
  // By partition and key, in byte order (std::string compares as unsigned char).
  std::map<std::pair<std::string, std::string>, StateRow> rows;
  int64_t last_revision = 0;  // Of all rows together, so none is ever seen twice.
  std::string read_only;      // Writes to this partition fail, kRetryable. Empty: none.
  std::string unreadable;     // The row of this key is one that no backend can make sense of.
};

class FakeState : public State {
 public:
  // `faults` is borrowed; null: nothing goes wrong.
  FakeState(Runtime runtime, std::shared_ptr<FakeStateBackend> backend,
            FakeFaults* faults = nullptr);

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
  template <class T>
  Async<T> Perform(std::string name, std::function<Result<T>()> effect);
  // The row if it is there and has not expired, else null.
  StateRow* Find(const std::string& partition, const std::string& key);
  Result<int64_t> WriteNow(const std::string& partition, const StateWrite& write);

  Runtime runtime_;
  std::shared_ptr<FakeStateBackend> backend_;  // shared by all clients: it is the "server".
  FakeFaults* faults_;
  WaitList sleepers_;  // Never notified: here, and not in a frame, so that a crash ends the wait.
};

}  // namespace longhaul::testing
