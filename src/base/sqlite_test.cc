#include "base/sqlite.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <fstream>
#include <latch>
#include <thread>

#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using std::chrono_literals::operator""ms;
using Database = std::shared_ptr<SqliteDatabase>;
using Work = std::function<Result<void>(SqliteConnection&)>;

class SqliteTest : public ::testing::Test {
 protected:
  Result<Database> TryOpen(SqliteOptions options) {
    return world_.Run(SqliteDatabase::Open(std::move(options)));
  }
  Database Open() {
    Result<Database> database = TryOpen({.path = file_});
    EXPECT_TRUE(database) << database.error().Describe();
    Result<void> made = world_.Run((*database)->EnsureSchema("t", {kTable}));
    EXPECT_TRUE(made) << made.error().Describe();
    return *database;
  }
  Result<void> Insert(Database database, int64_t value) {
    return world_.Run(InsertLater(database, value));
  }
  static Async<void> InsertLater(Database database, int64_t value) {
    Work work = [value](SqliteConnection& db) {
      return db.Prepare("INSERT INTO t VALUES (?, ?)")
          .Bind(value)
          .Bind(std::string(2000, 'x'))
          .Run();
    };
    co_return co_await database->Write<void>(std::move(work));
  }
  int64_t Count(Database database) {
    std::function<Result<int64_t>(SqliteConnection&)> work =
        [](SqliteConnection& db) -> Result<int64_t> {
      SqliteStatement count = db.Prepare("SELECT count(*) FROM t");
      Result<bool> row = count.Step();
      if (!row) return row.error();
      return count.Int(0);
    };
    Result<int64_t> count = world_.Run(database->Read<int64_t>(std::move(work)));
    EXPECT_TRUE(count) << count.error().Describe();
    return count ? *count : -1;
  }
  Result<void> Execute(Database database, std::string sql) {
    Work work = [sql](SqliteConnection& db) { return db.Execute(sql); };
    return world_.Run(database->Write<void>(std::move(work)));
  }

  static constexpr const char* kTable =
      "CREATE TABLE t (value INTEGER PRIMARY KEY, filling BLOB NOT NULL)";
  testing::TempDir dir_;
  std::string file_ = dir_.file("test.db");
  testing::RealWorld world_;
};

struct Group {
  // Holds the thread of the database until `latch` is down, so that the rest queues up behind it.
  static Async<void> Block(Database database, std::latch& latch, std::atomic<bool>& begun) {
    Work work = [&latch, &begun](SqliteConnection&) {
      begun = true;
      latch.wait();
      return Ok();
    };
    co_return co_await database->Write<void>(std::move(work));
  }
  static Async<void> CountDown(std::latch& latch) {
    latch.count_down();
    co_return Ok();
  }
  static asio::awaitable<void> Note(Async<void> task, std::vector<Result<void>>& results) {
    results.push_back(co_await std::move(task));
  }
  static Async<void> NoteOk(Async<void> task, std::vector<Result<void>>& results) {
    co_await Note(std::move(task), results);
    co_return Ok();
  }
  static Async<void> All(Runtime& runtime, Database database, std::vector<Async<void>>& tasks,
                         std::vector<Result<void>>& results) {
    std::latch latch(1);
    TaskGroup group(runtime.executor);
    std::atomic<bool> begun = false;
    group.Spawn(Block(database, latch, begun));
    while (!begun) co_await runtime.clock.Sleep(1ms);  // The thread has the blocking job alone.
    for (Async<void>& task : tasks) group.Spawn(NoteOk(std::move(task), results));
    group.Spawn(CountDown(latch));
    co_return co_await group.Join();
  }
};

// One fsync for each of many callers would make intake ten times slower.
TEST_F(SqliteTest, WritesThatWaitShareOneCommit) {
  Database database = Open();
  int64_t before = database->commits();
  std::vector<Async<void>> tasks;
  for (int i = 0; i < 100; ++i) tasks.push_back(InsertLater(database, i));
  std::vector<Result<void>> results;
  Result<void> ran = world_.Run(Group::All(world_.runtime, database, tasks, results));
  ASSERT_TRUE(ran) << ran.error().Describe();
  for (const Result<void>& result : results) EXPECT_TRUE(result);
  EXPECT_EQ(Count(database), 100);
  EXPECT_EQ(database->commits() - before, 2);
}

// One caller's failure must not undo what others, in the same commit, were told is durable.
TEST_F(SqliteTest, AFailureInAGroupUndoesOnlyItsOwn) {
  Database database = Open();
  std::vector<Async<void>> tasks;
  Work half = [](SqliteConnection& db) -> Result<void> {
    Result<void> inserted = db.Execute("INSERT INTO t VALUES (50, x'00')");
    if (!inserted) return inserted;
    return PreconditionFailed("thought better of it");
  };
  tasks.push_back(InsertLater(database, 1));
  tasks.push_back(database->Write<void>(half));
  tasks.push_back(InsertLater(database, 1));  // Violates the primary key.
  tasks.push_back(InsertLater(database, 2));
  std::vector<Result<void>> results;
  Result<void> ran = world_.Run(Group::All(world_.runtime, database, tasks, results));
  ASSERT_TRUE(ran);
  ASSERT_EQ(results.size(), 4u);
  EXPECT_TRUE(results[0]);
  EXPECT_EQ(results[1].error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(results[2].error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(results[3]);
  EXPECT_EQ(Count(database), 2);
}

// A full disk must be told as what it is, keep what is there, and be over when there is room again.
TEST_F(SqliteTest, ADiskThatIsFullIsSaidAndSurvived) {
  Database database = Open();
  ASSERT_TRUE(Execute(database, "PRAGMA max_page_count=40"));
  int64_t stored = 0;
  Result<void> inserted = Ok();
  while (inserted && stored < 1000) {
    inserted = Insert(database, stored);
    if (inserted) ++stored;
  }
  ASSERT_FALSE(inserted);
  EXPECT_GT(stored, 5);
  EXPECT_EQ(inserted.error().kind, ErrorKind::kRetryable);
  EXPECT_NE(inserted.error().message.find("disk full"), std::string::npos);
  EXPECT_NE(inserted.error().message.find(file_), std::string::npos);
  EXPECT_EQ(Count(database), stored);

  // In a group the ones that fit must go through although one does not.
  std::vector<Async<void>> tasks;
  Work small = [](SqliteConnection& db) { return db.Execute("DELETE FROM t WHERE value < 4"); };
  tasks.push_back(database->Write<void>(small));
  Work large = [](SqliteConnection& db) {
    return db.Prepare("INSERT INTO t VALUES (?, ?)")
        .Bind(int64_t{5000})
        .Bind(std::string(1 << 20, 'x'))
        .Run();
  };
  tasks.push_back(database->Write<void>(large));
  tasks.push_back(InsertLater(database, 5001));
  std::vector<Result<void>> results;
  ASSERT_TRUE(world_.Run(Group::All(world_.runtime, database, tasks, results)));
  int succeeded = 0;
  for (const Result<void>& result : results) succeeded += result ? 1 : 0;
  EXPECT_EQ(succeeded, 2);

  ASSERT_TRUE(Execute(database, "PRAGMA max_page_count=100000"));
  EXPECT_TRUE(Insert(database, 6000));
  EXPECT_EQ(Count(database), stored - 4 + 2);
}

// What is no database of ours must be named and left as it is.
TEST_F(SqliteTest, RefusesFilesThatAreNotItsOwn) {
  {
    std::ofstream out(file_);
    for (int i = 0; i < 200; ++i) out << "These are the notes of somebody.\n";
  }
  Result<Database> opened = TryOpen({.path = file_});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(opened.error().message.find(file_), std::string::npos);

  std::string foreign = dir_.file("foreign.db");
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(foreign.c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "CREATE TABLE users (name)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  opened = TryOpen({.path = foreign});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(opened.error().message.find("another program"), std::string::npos);
}

// A wrong path must be told with the path, not as "unable to open database file" alone.
TEST_F(SqliteTest, APathThatCannotBeOpenedIsNamed) {
  for (const std::string& path : {dir_.file("no/such/folder.db"), dir_.path(), std::string()}) {
    Result<Database> opened = TryOpen({.path = path});
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidInput) << opened.error().Describe();
    EXPECT_NE(opened.error().message.find(path), std::string::npos);
  }
}

// An older program must not write into tables that it does not understand.
TEST_F(SqliteTest, SchemaGrowsStepByStepAndRefusesTheFuture) {
  {
    Database database = Open();
    ASSERT_TRUE(Insert(database, 1));
    EXPECT_TRUE(world_.Run(database->EnsureSchema("other", {"CREATE TABLE o (x)"})));
  }
  Database database = Open();
  std::vector<std::string> longer{kTable, "ALTER TABLE t ADD COLUMN colour INTEGER DEFAULT 7"};
  ASSERT_TRUE(world_.Run(database->EnsureSchema("t", longer)));
  ASSERT_TRUE(world_.Run(database->EnsureSchema("t", longer)));  // Once only.
  EXPECT_TRUE(Execute(database, "UPDATE t SET colour = 8"));
  Result<void> older = world_.Run(database->EnsureSchema("t", {kTable}));
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(older.error().message.find("newer longhaul"), std::string::npos);
}

// Bytes must come back as they were, also none and NUL, and nothing must become NULL.
TEST_F(SqliteTest, KeepsBytesAsTheyAre) {
  Database database = Open();
  std::string bytes("a\0b\xff", 4);
  std::function<Result<std::string>(SqliteConnection&)> work =
      [bytes](SqliteConnection& db) -> Result<std::string> {
    SqliteStatement select = db.Prepare("SELECT ?, ?, ?, typeof(?)");
    select.Bind(bytes)
        .Bind(std::string_view())
        .Bind(std::optional<int64_t>())
        .Bind(std::string_view());
    Result<bool> row = select.Step();
    if (!row) return row.error();
    EXPECT_EQ(select.Bytes(1), "");
    EXPECT_FALSE(select.IsNull(1));
    EXPECT_TRUE(select.IsNull(2));
    EXPECT_EQ(select.Bytes(3), "blob");
    return select.Bytes(0);
  };
  EXPECT_EQ(*world_.Run(database->Read<std::string>(std::move(work))), bytes);
}

// Another process that holds the lock for too long is a reason to try again, not to wait for ever.
TEST_F(SqliteTest, ALockThatIsHeldTooLongIsRetryable) {
  Database database = Open();
  Result<Database> impatient = TryOpen({.path = file_, .busy_timeout = 50ms});
  ASSERT_TRUE(impatient);
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(file_.c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  Result<void> inserted = Insert(*impatient, 1);
  ASSERT_FALSE(inserted);
  EXPECT_EQ(inserted.error().kind, ErrorKind::kRetryable);
  EXPECT_NE(inserted.error().message.find("locked"), std::string::npos);
  ASSERT_EQ(sqlite3_exec(raw, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_TRUE(Insert(*impatient, 1));
  sqlite3_close(raw);
}

// A process that ends while work waits must neither hang nor resume coroutines of dead objects.
TEST_F(SqliteTest, MayBeDestroyedWithWorkPending) {
  Database database = Open();
  auto resumed = std::make_shared<int>(0);
  int started = 0;
  struct Pending {
    static asio::awaitable<void> Run(SqliteDatabase* database, int* started,
                                     std::shared_ptr<int> resumed) {
      ++*started;
      Work work = [](SqliteConnection&) {
        std::this_thread::sleep_for(20ms);
        return Ok();
      };
      (void)co_await database->Write<void>(std::move(work));
      ++*resumed;
    }
  };
  for (int i = 0; i < 50; ++i) world_.Start(Pending::Run(database.get(), &started, resumed));
  world_.io.restart();
  while (started < 50) world_.io.poll_one();
  int before = *resumed;
  database.reset();
  world_.io.restart();
  world_.io.poll();
  EXPECT_EQ(*resumed, before);
  EXPECT_EQ(resumed.use_count(), 1);  // Every coroutine is gone.
}

}  // namespace
}  // namespace longhaul
