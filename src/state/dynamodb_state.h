// DynamodbState: a State in a table of Amazon DynamoDB, for many processes on many machines.
//
// Each write is one conditional request under a revision that was drawn for it. Where its answer is
// lost, the row is read: if it has that revision, the write has happened; a write on top of a
// revision is then repeated where that is still there, as it can happen only once; all else is left
// to the caller (kRetryable), because a request may be carried out long after its connection broke.
// What Add has written is a number to DynamoDB, which adds by itself: a hundred writers wait for
// each other no longer than their requests take, where reading and writing back would make all but
// one of them begin again.
//
// Expiry is a time of the service's clock, as its answers tell it: a lease ends at the same moment
// for everybody. Expired rows read as absent at once; DynamoDB takes them out later (TTL).

#pragma once

#include <memory>
#include <set>

#include "aws/dynamodb_client.h"
#include "base/runtime.h"
#include "state/dynamodb_rows.h"
#include "state/state.h"

namespace longhaul {

class DynamodbState : public State {
 public:
  // Errors as CheckDynamodbState (state/dynamodb_table.h).
  static Async<std::unique_ptr<State>> Open(Runtime runtime,
                                            std::shared_ptr<DynamodbClient> client);

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
  DynamodbState(Runtime runtime, std::shared_ptr<DynamodbClient> client)
      : runtime_(runtime), client_(std::move(client)) {}

  // By the service's clock.
  [[nodiscard]] int64_t NowUs() const;
  [[nodiscard]] std::optional<int64_t> TheirTime(std::optional<SystemTime> time) const;
  // What was not done by the service's clock that was known at `ahead`, and may be by another.
  [[nodiscard]] bool ClockHasMoved(const Error& error, std::chrono::seconds ahead) const;
  [[nodiscard]] StateRow RowOf(std::string key, const DynamoRow& row) const;
  int64_t NewRevision();
  [[nodiscard]] Error Refused(const DynamoPlace& place, const Error& why) const;

  Async<std::optional<DynamoRow>> Read(DynamoPlace place);
  Async<void> EnsureSign(const std::string& partition, const std::string& key);
  Async<int64_t> WriteRow(const std::string& partition, const StateWrite& write);
  // A write whose condition did not hold.
  Async<int64_t> WhyRefused(const DynamoPlace& place, const StateWrite& write);
  Async<void> WriteInOrder(const std::string& partition, const std::vector<StateWrite>& writes,
                           std::vector<size_t> order, std::vector<Result<int64_t>>& results);
  Async<void> FindBatch(std::vector<DynamoItem> keys, std::map<DynamoPlace, DynamoRow>& found);
  // The row as it was read, with `amount` added, as a number; nullopt: somebody was faster.
  Async<std::optional<int64_t>> AddToRow(const DynamoPlace& place, const DynamoRow& row,
                                         int64_t amount);
  // After an Add that may have happened: the sum, if the row has that revision.
  Async<int64_t> SumAfter(const DynamoPlace& place, int64_t revision, Error error);
  // Appends rows of one partition of DynamoDB from after `sort` on, with `prefix` before their
  // keys.
  Async<void> ScanPlace(std::string partition, DynamoPlace after, std::string prefix,
                        size_t count_max, std::vector<StateRow>& rows);
  Async<void> ScanBehindSign(std::string partition, std::string prefix, std::string after,
                             size_t count_max, std::vector<StateRow>& rows);

  Runtime runtime_;
  std::shared_ptr<DynamodbClient> client_;               // shared with whoever set up the table.
  std::set<std::pair<std::string, std::string>> signs_;  // Known to be there. Bounded.
};

}  // namespace longhaul
