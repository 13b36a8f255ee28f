// What replication asks of its State: in DynamoDB each row is an item that costs money, written or
// read, there or not.

#include <gtest/gtest.h>

#include "replication/make_context.h"
#include "state/state.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using testing::ReplicationWorld;

// Counts rows: each is one request to DynamoDB, or one item of a batch.
class CountingState : public State {
 public:
  explicit CountingState(State& below) : below_(below) {}

  Async<std::optional<StateRow>> Get(std::string partition, std::string key) override {
    ++read;
    return below_.Get(std::move(partition), std::move(key));
  }
  Async<std::vector<std::optional<StateRow>>> GetMany(std::string partition,
                                                      std::vector<std::string> keys) override {
    read += static_cast<int>(keys.size());
    return below_.GetMany(std::move(partition), std::move(keys));
  }
  Async<int64_t> Write(std::string partition, StateWrite write) override {
    Note(partition, write);
    return below_.Write(std::move(partition), std::move(write));
  }
  Async<std::vector<Result<int64_t>>> WriteMany(std::string partition,
                                                std::vector<StateWrite> writes) override {
    for (const StateWrite& write : writes) Note(partition, write);
    return below_.WriteMany(std::move(partition), std::move(writes));
  }
  Async<int64_t> Add(std::string partition, std::string key, int64_t amount) override {
    ++written[partition];
    return below_.Add(std::move(partition), std::move(key), amount);
  }
  Async<std::vector<StateRow>> Scan(std::string partition, std::string after,
                                    int count_max) override {
    return below_.Scan(std::move(partition), std::move(after), count_max);
  }

  [[nodiscard]] int writes() const {
    int all = 0;
    for (const auto& [partition, count] : written) all += count;
    return all;
  }
  [[nodiscard]] std::string Where() const {
    std::string text;
    for (const auto& [partition, count] : written) {
      text += partition + ": " + std::to_string(count) + "\n";
    }
    return text + std::to_string(bytes) + " bytes, " + std::to_string(read) + " rows read";
  }

  std::map<std::string, int> written;
  size_t bytes = 0;
  int read = 0;

 private:
  void Note(const std::string& partition, const StateWrite& write) {
    ++written[partition];
    bytes += write.key.size() + write.value.value_or("").size();
  }
  State& below_;
};

// A write for each object would cost more than the object: what is known of many goes into one row.
TEST(StateCostTest, SmallObjectsWithoutDeletesWriteOneRowForAHundred) {
  constexpr int kObjects = 5'000;
  ReplicationWorld world;
  CountingState counting(world.state);
  world.configuration.rules[0].deletes = false;
  for (int i = 0; i < kObjects; ++i) {
    world.Put("logs/2026/11/24/" + std::to_string(100'000 + i) + ".json", "text of an object");
  }
  std::map<std::string, Store*> stores;
  for (const auto& [name, troubled] : world.stores) stores[name] = troubled->store.get();
  auto made = MakeReplicationContext(world.runtime, world.configuration, stores, world.queue,
                                     counting, world.observer, world.limits);
  ASSERT_TRUE(made);
  auto replicator = Replicator::Make(**made, {});
  ASSERT_TRUE(replicator) << replicator.error().Describe();
  ASSERT_FALSE(world.world.Run((*replicator)->RunOnce(world.stop)).store_error);
  ASSERT_EQ(world.Replicas().size(), static_cast<size_t>(kObjects));
  EXPECT_LE(counting.writes(), kObjects / 100) << counting.Where();
  EXPECT_LE(counting.read, 2 * kObjects + 100) << counting.Where();
  // A unit is a KiB.
  EXPECT_LE(counting.bytes / 1024, size_t{kObjects} / 5) << counting.Where();
}

}  // namespace
}  // namespace longhaul
