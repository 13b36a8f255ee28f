// SqliteDatabase: one SQLite file, worked on by one thread of its own, for Queue and State.
//
// Work is a function that the database runs on its thread inside a transaction; the coroutine that
// asked waits and comes home with the result. Writes that come while a transaction runs are
// committed together in the next one: one fsync for many callers (measured, 600-byte messages:
// 1,400 a second with one each, 13,000 to 18,000 with 10 to 100 together).
//
// The file is in WAL mode; several processes may open it at once (on one machine and a local file
// system: https://www.sqlite.org/wal.html). With Durability::kFull a commit that returned OK
// survives a power loss; with kLazy it survives kill -9 of every process, and a power loss as soon
// as a later full commit has returned.
//
// Thread-safe: all shards of a process may share one. It must be destroyed before the io_contexts
// of its callers, and after the shards have stopped if there are several. Destroying it waits for
// the transaction that runs and destroys the coroutines that wait for others.
//
// Errors: kRetryable: the disk is full, I/O failed, or another process holds the lock for longer
// than busy_timeout; the file is as it was (after a failed COMMIT: as it was or changed).
// kCorrupt: the file is damaged or no database. kDenied: not permitted, read-only. kInvalidInput:
// the path makes no sense, or a newer or another program wrote the file. All name the path.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/async.h"

struct sqlite3;
struct sqlite3_stmt;

namespace longhaul {

class SqliteConnection;

// A prepared statement in use. Its values are bound in the order of its question marks. An error of
// preparing or binding comes out of Step. Destroying it makes it ready for its next use.
class SqliteStatement {
 public:
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&&) = delete;
  ~SqliteStatement();

  SqliteStatement& Bind(int64_t value);
  SqliteStatement& Bind(std::string_view bytes);  // As a BLOB, copied.
  SqliteStatement& Bind(std::optional<int64_t> value);

  // Goes to the next row; false when there is none.
  Result<bool> Step();
  // Steps to the end and drops the rows.
  Result<void> Run();
  // Makes it ready to be bound and run again.
  void Reset();

  // Columns of the current row, from 0.
  [[nodiscard]] int64_t Int(int column) const;
  [[nodiscard]] std::string Bytes(int column) const;
  [[nodiscard]] bool IsNull(int column) const;

 private:
  friend class SqliteConnection;
  SqliteStatement(SqliteConnection* connection, sqlite3_stmt* statement, bool* in_use, int code)
      : connection_(connection), statement_(statement), in_use_(in_use), code_(code) {}

  SqliteConnection* connection_;
  sqlite3_stmt* statement_;  // Null: it could not be prepared, or was moved from.
  bool* in_use_;
  int code_;  // The first failure.
  int bound_ = 0;
};

// The open file, as work sees it on the thread of the database.
class SqliteConnection {
 public:
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // `sql` must live for ever (a literal): prepared statements are kept under its address. One
  // statement must not be in use twice at a time.
  SqliteStatement Prepare(const char* sql);
  // Runs SQL without parameters or rows, not kept.
  Result<void> Execute(const std::string& sql);
  // Rows that the last INSERT, UPDATE or DELETE touched.
  [[nodiscard]] int64_t changed_rows() const;
  // A number that changes when anyone, here or in another process, has changed the file.
  Result<int64_t> ChangeCount();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  friend class SqliteStatement;
  friend class SqliteDatabase;
  struct Kept {
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };

  explicit SqliteConnection(std::string path) : path_(std::move(path)) {}
  Result<void> Open(std::chrono::milliseconds busy_timeout, const std::function<bool()>& giving_up);
  static int OnBusy(void* self, int attempts);
  Error Failure(int code) const;

  std::string path_;
  sqlite3* database_ = nullptr;
  std::unordered_map<const char*, Kept> statements_;
  std::chrono::milliseconds busy_timeout_{0};
  std::function<bool()> giving_up_;
  std::chrono::steady_clock::time_point busy_since_;
  // A failure that may have ended the transaction (full, I/O, busy) since this was last cleared.
  mutable bool transaction_failed_ = false;
};

struct SqliteOptions {
  std::string path;
  // How long a transaction waits for another process that holds the lock.
  std::chrono::milliseconds busy_timeout{10'000};
  // False: work runs in place, on the thread that asks: for tests under a virtual clock.
  bool threaded = true;
};

enum class SqliteDurability { kFull, kLazy };

class SqliteDatabase {
 public:
  // Opens the file, or makes it when it is missing.
  static Async<std::shared_ptr<SqliteDatabase>> Open(SqliteOptions options);
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  // Brings the tables of one `part` ("queue", "state") to the version that is the number of
  // `steps`; step i is the SQL that leads from version i to i + 1. The versions stand in a table of
  // the file, so parts can share it. kInvalidInput: a newer longhaul wrote the file.
  Async<void> EnsureSchema(std::string part, std::vector<std::string> steps);

  // Runs `work` in a transaction of its own effect: if it fails, nothing of it is kept; if it
  // returns OK, this returns OK when the commit is durable. It may be run more than once, so it
  // must not use up what it captured; what it captured must live without its caller. It must not
  // throw, and must not begin or end transactions.
  template <class T>
  Async<T> Write(std::function<Result<T>(SqliteConnection&)> work,
                 SqliteDurability durability = SqliteDurability::kFull) {
    co_return co_await Call<T>(std::move(work),
                               durability == SqliteDurability::kFull ? Kind::kFull : Kind::kLazy);
  }

  // The same for work that only reads; it does not wait for the writes asked for before it, but
  // sees each that has returned OK.
  template <class T>
  Async<T> Read(std::function<Result<T>(SqliteConnection&)> work) {
    co_return co_await Call<T>(std::move(work), Kind::kRead);
  }

  [[nodiscard]] const std::string& path() const;
  // So many transactions with writes have been committed here.
  [[nodiscard]] int64_t commits() const;

 private:
  enum class Kind { kBare, kRead, kLazy, kFull };  // kBare: without a transaction.
  using Work = std::function<Result<void>(SqliteConnection&)>;
  struct Impl;

  explicit SqliteDatabase(SqliteOptions options);
  Async<void> Submit(Kind kind, Work work);

  template <class T>
  Async<T> Call(std::function<Result<T>(SqliteConnection&)> work, Kind kind) {
    // shared with the job: the coroutine can be destroyed while the thread works for it.
    auto result = std::make_shared<std::optional<Result<T>>>();
    Work job = [work = std::move(work), result](SqliteConnection& connection) -> Result<void> {
      result->emplace(work(connection));
      if (!**result) return (*result)->error();
      return Ok();
    };
    Result<void> ran = co_await Submit(kind, std::move(job));
    if (!ran) co_return ran.error();
    co_return std::move(**result);
  }

  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul
