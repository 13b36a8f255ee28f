#include "state/sqlite_state.h"

#include <gtest/gtest.h>

#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

Async<int64_t> CountRowsThatExpire(SqliteDatabase& database) {
  std::function<Result<int64_t>(SqliteConnection&)> work =
      [](SqliteConnection& db) -> Result<int64_t> {
    SqliteStatement select =
        db.Prepare("SELECT count(*) FROM state_rows WHERE expires_us IS NOT NULL");
    Result<bool> found = select.Step();
    if (!found) return found.error();
    return select.Int(0);
  };
  co_return co_await database.Read<int64_t>(std::move(work));
}

// Every delete leaves a row that expires: where more expire than a sweep every 10 seconds takes
// out, the file would grow for ever; were all taken out at once, a write would wait for them.
TEST(SqliteStateTest, ExpiredRowsLeaveTheFileHoweverManyThereAre) {
  testing::TempDir dir;
  testing::FakeWorld world;
  Result<std::shared_ptr<SqliteDatabase>> database =
      world.Run(SqliteDatabase::Open({.path = dir.file("test.db"), .threaded = false}));
  ASSERT_TRUE(database);
  Result<std::unique_ptr<State>> state = world.Run(SqliteState::Open(world.runtime, *database));
  ASSERT_TRUE(state);
  const SystemTime expires = world.clock.Now() + 1min;
  for (int first = 0; first < 20'000; first += 1000) {
    std::vector<StateWrite> writes;
    for (int i = first; i < first + 1000; ++i) {
      writes.push_back({.key = std::to_string(i), .value = "v", .expires = expires});
    }
    ASSERT_TRUE(world.Run((*state)->WriteMany("p", std::move(writes))));
  }
  int64_t rows = *world.Run(CountRowsThatExpire(**database));
  ASSERT_EQ(rows, 20'000);
  world.clock.Advance(1min);
  for (int second = 0; second < 60; ++second) {
    world.clock.Advance(1s);
    ASSERT_TRUE(world.Run((*state)->Write("p", {.key = "k", .value = "v"})));
    const int64_t left = *world.Run(CountRowsThatExpire(**database));
    EXPECT_LE(rows - left, 1000);
    rows = left;
  }
  EXPECT_EQ(rows, 0);
}

}  // namespace
}  // namespace longhaul
