#include "tests/support/fake_state.h"

namespace longhaul::testing {

FakeState::FakeState(Runtime runtime, std::shared_ptr<FakeStateBackend> backend, FakeFaults* faults)
    : runtime_(runtime), backend_(std::move(backend)), faults_(faults) {}

template <class T>
Async<T> FakeState::Perform(std::string name, std::function<Result<T>()> effect) {
  FakeFaults::Verdict verdict;
  if (faults_ != nullptr) verdict = faults_->Next();
  if (verdict.delay_before.count() > 0) {
    co_await sleepers_.WaitFor(runtime_.clock, verdict.delay_before);
  }
  if (verdict.fails_before) co_return Retryable("fake state: " + name + " failed before it began");
  Result<T> result = effect();
  if (verdict.delay_after.count() > 0) {
    co_await sleepers_.WaitFor(runtime_.clock, verdict.delay_after);
  }
  if (verdict.fails_after) co_return Retryable("fake state: the answer to " + name + " was lost");
  co_return result;
}

StateRow* FakeState::Find(const std::string& partition, const std::string& key) {
  auto found = backend_->rows.find({partition, key});
  if (found == backend_->rows.end()) return nullptr;
  StateRow& row = found->second;
  if (row.expires && *row.expires <= runtime_.clock.Now()) return nullptr;
  return &row;
}

Result<int64_t> FakeState::WriteNow(const std::string& partition, const StateWrite& write) {
  Result<void> checked = CheckStateWrite(write);
  if (!checked) return checked.error();
  if (partition == backend_->read_only) return Retryable("fake state: " + partition + " is full");
  StateRow* row = Find(partition, write.key);
  if (write.expected.kind == Expected::Kind::kAbsent && row != nullptr) {
    return PreconditionFailed("state row is there");
  }
  if (write.expected.kind == Expected::Kind::kRevision &&
      (row == nullptr || row->revision != write.expected.revision)) {
    return PreconditionFailed("state row has another revision");
  }
  std::pair<std::string, std::string> where{partition, write.key};
  if (!write.value) {
    backend_->rows.erase(where);
    return 0;
  }
  int64_t revision = ++backend_->last_revision;
  backend_->rows[where] = StateRow{
      .key = write.key, .value = *write.value, .revision = revision, .expires = write.expires};
  return revision;
}

Async<std::optional<StateRow>> FakeState::Get(std::string partition, std::string key) {
  std::function<Result<std::optional<StateRow>>()> effect =
      [&]() -> Result<std::optional<StateRow>> {
    if (!key.empty() && key == backend_->unreadable) return Corrupt("fake state: " + key);
    StateRow* row = Find(partition, key);
    return row == nullptr ? std::optional<StateRow>() : *row;
  };
  co_return co_await Perform("Get", std::move(effect));
}

Async<std::vector<std::optional<StateRow>>> FakeState::GetMany(std::string partition,
                                                               std::vector<std::string> keys) {
  std::function<Result<std::vector<std::optional<StateRow>>>()> effect =
      [&]() -> Result<std::vector<std::optional<StateRow>>> {
    std::vector<std::optional<StateRow>> rows;
    for (const std::string& key : keys) {
      if (!key.empty() && key == backend_->unreadable) return Corrupt("fake state: " + key);
      StateRow* row = Find(partition, key);
      rows.push_back(row == nullptr ? std::optional<StateRow>() : *row);
    }
    return rows;
  };
  co_return co_await Perform("GetMany", std::move(effect));
}

Async<int64_t> FakeState::Write(std::string partition, StateWrite write) {
  std::function<Result<int64_t>()> effect = [&] { return WriteNow(partition, write); };
  co_return co_await Perform("Write", std::move(effect));
}

Async<std::vector<Result<int64_t>>> FakeState::WriteMany(std::string partition,
                                                         std::vector<StateWrite> writes) {
  std::function<Result<std::vector<Result<int64_t>>>()> effect =
      [&]() -> Result<std::vector<Result<int64_t>>> {
    std::vector<Result<int64_t>> results;
    const bool half = faults_ != nullptr && faults_->Roll(faults_->halves);
    for (const StateWrite& write : writes) {
      const bool throttled = half && results.size() % 2 == 1;
      results.push_back(throttled ? Result<int64_t>(Error{.kind = ErrorKind::kThrottled,
                                                          .message = "fake state: too many"})
                                  : WriteNow(partition, write));
    }
    return results;
  };
  co_return co_await Perform("WriteMany", std::move(effect));
}

Async<int64_t> FakeState::Add(std::string partition, std::string key, int64_t amount) {
  std::function<Result<int64_t>()> effect = [&]() -> Result<int64_t> {
    StateRow* row = Find(partition, key);
    Result<int64_t> sum = AddToStateNumber(row == nullptr ? "0" : row->value, amount);
    if (!sum) return sum;
    StateWrite write{.key = key, .value = std::to_string(*sum)};
    if (row != nullptr) write.expires = row->expires;
    Result<int64_t> written = WriteNow(partition, write);
    if (!written) return written;
    return sum;
  };
  co_return co_await Perform("Add", std::move(effect));
}

Async<std::vector<StateRow>> FakeState::Scan(std::string partition, std::string after,
                                             int count_max) {
  std::function<Result<std::vector<StateRow>>()> effect = [&]() -> Result<std::vector<StateRow>> {
    std::vector<StateRow> rows;
    for (auto at = backend_->rows.upper_bound({partition, after}); at != backend_->rows.end();
         ++at) {
      if (at->first.first != partition || std::cmp_greater_equal(rows.size(), count_max)) break;
      if (at->first.second == backend_->unreadable) return Corrupt("fake state: unreadable");
      if (Find(partition, at->first.second) != nullptr) rows.push_back(at->second);
    }
    return rows;
  };
  co_return co_await Perform("Scan", std::move(effect));
}

}  // namespace longhaul::testing
