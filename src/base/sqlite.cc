#include "base/sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "base/check.h"

namespace longhaul {

namespace {

// "lhul": tells our files from those of other programs (https://www.sqlite.org/pragma.html).
constexpr int kApplicationId = 0x6c68756c;
// A bound on how long one commit can keep those waiting who came first.
constexpr size_t kGroupJobsMax = 1000;
constexpr std::chrono::milliseconds kBusySleepMax{20};

}  // namespace

// --- SqliteStatement

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      in_use_(other.in_use_),
      code_(other.code_),
      bound_(other.bound_) {}

SqliteStatement::~SqliteStatement() {
  if (statement_ == nullptr) return;
  Reset();
  *in_use_ = false;
}

void SqliteStatement::Reset() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bound_ = 0;
}

SqliteStatement& SqliteStatement::Bind(int64_t value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, ++bound_, value);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(std::optional<int64_t> value) {
  if (value) return Bind(*value);
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_null(statement_, ++bound_);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(std::string_view bytes) {
  if (code_ != SQLITE_OK) return *this;
  // A null pointer would bind NULL, not the empty BLOB.
  code_ = sqlite3_bind_blob64(statement_, ++bound_, bytes.empty() ? "" : bytes.data(), bytes.size(),
                              SQLITE_TRANSIENT);
  return *this;
}

Result<bool> SqliteStatement::Step() {
  if (code_ == SQLITE_OK) {
    int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    code_ = code;
  }
  return connection_->Failure(code_);
}

Result<void> SqliteStatement::Run() {
  while (true) {
    Result<bool> row = Step();
    if (!row) return row.error();
    if (!*row) return Ok();
  }
}

int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string SqliteStatement::Bytes(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

bool SqliteStatement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

// --- SqliteConnection

SqliteConnection::~SqliteConnection() {
  for (auto& [sql, kept] : statements_) sqlite3_finalize(kept.statement);
  sqlite3_close(database_);
}

Error SqliteConnection::Failure(int code) const {
  int os_error = database_ == nullptr ? 0 : sqlite3_system_errno(database_);
  const char* detail = database_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database_);
  auto error = [&](ErrorKind kind, std::string text) {
    return Error{.kind = kind, .message = path_ + ": " + std::move(text)};
  };
  std::string reason = os_error == 0 ? "" : std::string(" (") + std::strerror(os_error) + ")";
  switch (code & 0xff) {
    case SQLITE_FULL:
      transaction_failed_ = true;
      return error(ErrorKind::kRetryable, "disk full: nothing more can be written" + reason);
    case SQLITE_IOERR:
      transaction_failed_ = true;
      if (os_error == ENOSPC || os_error == EDQUOT) {
        return error(ErrorKind::kRetryable, "disk full: nothing more can be written" + reason);
      }
      return error(ErrorKind::kRetryable, std::string("I/O failed: ") + detail + reason);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      transaction_failed_ = true;
      return error(ErrorKind::kRetryable, "another process keeps the database locked");
    case SQLITE_NOMEM:
      transaction_failed_ = true;
      return error(ErrorKind::kRetryable, "out of memory");
    case SQLITE_CORRUPT:
      transaction_failed_ = true;
      return error(ErrorKind::kCorrupt, std::string("the database is damaged: ") + detail);
    case SQLITE_NOTADB:
      transaction_failed_ = true;
      return error(ErrorKind::kCorrupt, "this file is not a SQLite database");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return error(ErrorKind::kDenied, std::string("cannot be written: ") + detail + reason);
    case SQLITE_CANTOPEN:
      transaction_failed_ = true;
      if (os_error == EACCES || os_error == EPERM || os_error == EROFS) {
        return error(ErrorKind::kDenied, "cannot be opened" + reason);
      }
      if (os_error == EMFILE || os_error == ENFILE || os_error == ENOSPC) {
        return error(ErrorKind::kRetryable, "cannot be opened" + reason);
      }
      return error(ErrorKind::kInvalidInput,
                   "cannot be opened" + reason + "; does its folder exist?");
    default:
      return error(ErrorKind::kInvalidInput, std::string("SQLite: ") + detail);
  }
}

int SqliteConnection::OnBusy(void* self, int attempts) {
  auto* connection = static_cast<SqliteConnection*>(self);
  auto now = std::chrono::steady_clock::now();
  if (attempts == 0) connection->busy_since_ = now;
  if (now - connection->busy_since_ >= connection->busy_timeout_) return 0;
  if (connection->giving_up_ && connection->giving_up_()) return 0;
  std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(
      std::chrono::microseconds(250 << std::min(attempts, 10)), kBusySleepMax));
  return 1;
}

SqliteStatement SqliteConnection::Prepare(const char* sql) {
  Kept& kept = statements_[sql];
  LH_CHECK(!kept.in_use);
  int code = SQLITE_OK;
  if (kept.statement == nullptr) {
    code =
        sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &kept.statement, nullptr);
  }
  if (code == SQLITE_OK) kept.in_use = true;
  return SqliteStatement(this, kept.statement, &kept.in_use, code);
}

Result<void> SqliteConnection::Execute(const std::string& sql) {
  int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Failure(code);
  return Ok();
}

int64_t SqliteConnection::changed_rows() const { return sqlite3_changes64(database_); }

Result<int64_t> SqliteConnection::ChangeCount() {
  SqliteStatement statement = Prepare("PRAGMA data_version");
  Result<bool> row = statement.Step();
  if (!row) return row.error();
  // data_version counts what other connections commit, total_changes what this one does.
  return (statement.Int(0) << 32) + (sqlite3_total_changes64(database_) & 0xffffffff);
}

Result<void> SqliteConnection::Open(std::chrono::milliseconds busy_timeout,
                                    const std::function<bool()>& giving_up) {
  busy_timeout_ = busy_timeout;
  giving_up_ = giving_up;
  if (path_.empty()) return InvalidInput("the path of a SQLite database is empty");
  int code = sqlite3_open_v2(
      path_.c_str(), &database_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  if (code != SQLITE_OK) return Failure(code);
  sqlite3_busy_handler(database_, OnBusy, this);

  // Changing to WAL answers BUSY without asking the handler when another process does the same.
  auto start = std::chrono::steady_clock::now();
  while (true) {
    Result<void> changed = Execute("PRAGMA journal_mode=WAL");
    if (changed) break;
    bool busy = (sqlite3_errcode(database_) & 0xff) == SQLITE_BUSY;
    if (!busy || std::chrono::steady_clock::now() - start > busy_timeout) return changed;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::string mode;
  {
    SqliteStatement statement = Prepare("PRAGMA journal_mode");
    Result<bool> row = statement.Step();
    if (!row) return row.error();
    mode = statement.Bytes(0);
  }
  if (mode != "wal") {
    return InvalidInput(path_ + ": this file system does not allow SQLite's WAL mode (got '" +
                        mode + "'); use a local disk");
  }
  Result<void> set = Execute("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");
  if (!set) return set;

  // Ours, empty, or someone else's?
  Result<void> begun = Execute("BEGIN IMMEDIATE");
  if (!begun) return begun;
  int64_t application_id = 0;
  int64_t tables = 0;
  {
    SqliteStatement statement = Prepare(
        "SELECT (SELECT * FROM pragma_application_id), (SELECT count(*) FROM sqlite_master)");
    Result<bool> row = statement.Step();
    if (!row) {
      (void)Execute("ROLLBACK");
      return row.error();
    }
    application_id = statement.Int(0);
    tables = statement.Int(1);
  }
  if (application_id != kApplicationId) {
    if (application_id != 0 || tables != 0) {
      (void)Execute("ROLLBACK");
      return InvalidInput(path_ +
                          ": this database belongs to another program; choose another path");
    }
    Result<void> made =
        Execute("PRAGMA application_id=" + std::to_string(kApplicationId) +
                "; PRAGMA user_version=1;"
                "CREATE TABLE schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL)");
    if (!made) {
      (void)Execute("ROLLBACK");
      return made;
    }
  }
  Result<void> committed = Execute("COMMIT");
  if (!committed) (void)Execute("ROLLBACK");
  return committed;
}

// --- SqliteDatabase

struct SqliteDatabase::Impl {
  struct Job {
    Kind kind;
    Work work;
    std::move_only_function<void(Result<void>)> done;  // Sends the result home.
  };

  explicit Impl(SqliteOptions options)
      : options(std::move(options)), connection(this->options.path) {}

  void ThreadLoop();
  void RunGroup(std::vector<Job>& jobs);
  Result<void> RunSingle(Kind kind, const Work& work);
  Result<void> Begin(bool full);
  Result<void> RunInSavepoint(const Work& work);
  [[nodiscard]] bool is_closing() const { return closing->load(); }

  const SqliteOptions options;
  // Of the thread alone (with threaded = false: of the caller's).
  SqliteConnection connection;
  bool synchronous_full = true;

  std::atomic<int64_t> commits = 0;
  // shared with the busy handler.
  std::shared_ptr<std::atomic<bool>> closing = std::make_shared<std::atomic<bool>>(false);
  // shared with posted results: set when the database is gone, so that they are dropped.
  std::shared_ptr<std::atomic<bool>> gone = std::make_shared<std::atomic<bool>>(false);

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> pending;  // Guarded by mutex.

  std::thread thread;
};

SqliteDatabase::SqliteDatabase(SqliteOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {
  if (impl_->options.threaded) impl_->thread = std::thread([this] { impl_->ThreadLoop(); });
}

SqliteDatabase::~SqliteDatabase() {
  impl_->closing->store(true);
  {
    std::lock_guard lock(impl_->mutex);
    impl_->wake.notify_one();
  }
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->gone->store(true);
  // Dropping a job destroys the coroutine that waits for it.
  std::deque<Impl::Job> dropped = std::move(impl_->pending);
  dropped.clear();
}

const std::string& SqliteDatabase::path() const { return impl_->options.path; }
int64_t SqliteDatabase::commits() const { return impl_->commits; }

void SqliteDatabase::Impl::ThreadLoop() {
  std::vector<Job> reads;
  std::vector<Job> writes;
  while (true) {
    {
      std::unique_lock lock(mutex);
      wake.wait(lock, [this] { return is_closing() || !pending.empty(); });
      if (is_closing()) return;
      while (!pending.empty() && reads.size() + writes.size() < kGroupJobsMax) {
        Job& job = pending.front();
        (job.kind <= Kind::kRead ? reads : writes).push_back(std::move(job));
        pending.pop_front();
      }
    }
    // Reads first: they need not wait for a disk.
    for (Job& job : reads) job.done(RunSingle(job.kind, job.work));
    reads.clear();
    if (!writes.empty()) RunGroup(writes);
    writes.clear();
  }
}

Result<void> SqliteDatabase::Impl::Begin(bool full) {
  if (full != synchronous_full) {
    Result<void> set =
        connection.Execute(full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    if (!set) return set;
    synchronous_full = full;
  }
  return connection.Prepare("BEGIN IMMEDIATE").Run();
}

Result<void> SqliteDatabase::Impl::RunInSavepoint(const Work& work) {
  Result<void> saved = connection.Prepare("SAVEPOINT job").Run();
  if (!saved) return saved;
  Result<void> result = work(connection);
  if (connection.transaction_failed_) return result;
  if (!result) {
    Result<void> undone = connection.Prepare("ROLLBACK TO job").Run();
    if (!undone) return undone;
  }
  Result<void> released = connection.Prepare("RELEASE job").Run();
  if (!released) return released;
  return result;
}

// One piece of work in a transaction of its own.
Result<void> SqliteDatabase::Impl::RunSingle(Kind kind, const Work& work) {
  if (kind == Kind::kBare) return work(connection);
  connection.transaction_failed_ = false;
  Result<void> result =
      kind == Kind::kRead ? connection.Prepare("BEGIN").Run() : Begin(kind == Kind::kFull);
  if (!result) return result;
  result = work(connection);
  if (result) {
    result = connection.Prepare("COMMIT").Run();
    if (result && kind != Kind::kRead) ++commits;
  }
  // Some failures end the transaction by themselves.
  if (!result && sqlite3_get_autocommit(connection.database_) == 0) {
    (void)connection.Prepare("ROLLBACK").Run();
  }
  return result;
}

// All in one transaction; where that fails for a reason of the disk, one by one.
void SqliteDatabase::Impl::RunGroup(std::vector<Job>& jobs) {
  if (jobs.size() == 1) {
    jobs[0].done(RunSingle(jobs[0].kind, jobs[0].work));
    return;
  }
  connection.transaction_failed_ = false;
  bool full =
      std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.kind == Kind::kFull; });
  Result<void> begun = Begin(full);
  if (!begun) {
    for (Job& job : jobs) job.done(begun);
    return;
  }
  std::vector<Result<void>> results;
  for (Job& job : jobs) {
    results.push_back(RunInSavepoint(job.work));
    if (connection.transaction_failed_) break;
  }
  if (connection.transaction_failed_) {
    if (sqlite3_get_autocommit(connection.database_) == 0) {
      (void)connection.Prepare("ROLLBACK").Run();
    }
    for (Job& job : jobs) job.done(RunSingle(job.kind, job.work));
    return;
  }
  Result<void> committed = connection.Prepare("COMMIT").Run();
  if (committed) {
    ++commits;
  } else if (sqlite3_get_autocommit(connection.database_) == 0) {
    (void)connection.Prepare("ROLLBACK").Run();
  }
  for (size_t i = 0; i < jobs.size(); ++i) jobs[i].done(committed ? results[i] : committed);
}

Async<void> SqliteDatabase::Submit(Kind kind, Work work) {
  if (!impl_->options.threaded) co_return impl_->RunSingle(kind, work);
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<void>)>(
      [this, kind, &work](auto handler) {
        auto home = asio::get_associated_executor(handler);
        auto keep_home_running = asio::make_work_guard(home);
        auto done = [home, gone = impl_->gone, keep = std::move(keep_home_running),
                     handler = std::move(handler)](Result<void> result) mutable {
          asio::post(home,
                     [gone, handler = std::move(handler), result = std::move(result)]() mutable {
                       if (gone->load())
                         return;  // Drops the coroutine, as the destructor does with others.
                       std::move(handler)(std::move(result));
                     });
        };
        Impl::Job job{.kind = kind, .work = std::move(work), .done = std::move(done)};
        std::lock_guard lock(impl_->mutex);
        impl_->pending.push_back(std::move(job));
        impl_->wake.notify_one();
      },
      asio::use_awaitable);
}

Async<std::shared_ptr<SqliteDatabase>> SqliteDatabase::Open(SqliteOptions options) {
  std::shared_ptr<SqliteDatabase> database(new SqliteDatabase(std::move(options)));
  std::chrono::milliseconds busy_timeout = database->impl_->options.busy_timeout;
  // shared with the thread: the caller can go away while it opens.
  auto closing = database->impl_->closing;
  Work open = [busy_timeout, closing](SqliteConnection& connection) {
    return connection.Open(busy_timeout, [closing] { return closing->load(); });
  };
  Result<void> opened = co_await database->Submit(Kind::kBare, std::move(open));
  if (!opened) co_return opened.error();
  co_return database;
}

Async<void> SqliteDatabase::EnsureSchema(std::string part, std::vector<std::string> steps) {
  std::function<Result<void>(SqliteConnection&)> work =
      [part, steps](SqliteConnection& connection) -> Result<void> {
    size_t version = 0;
    {
      SqliteStatement statement =
          connection.Prepare("SELECT version FROM schema_versions WHERE part = CAST(? AS TEXT)");
      Result<bool> row = statement.Bind(part).Step();
      if (!row) return row.error();
      if (*row) version = static_cast<size_t>(statement.Int(0));
    }
    if (version == steps.size()) return Ok();
    if (version > steps.size()) {
      return InvalidInput(connection.path() + ": a newer longhaul wrote this database (" + part +
                          " version " + std::to_string(version) + ", known here: " +
                          std::to_string(steps.size()) + "); use that one, or another path");
    }
    for (size_t i = version; i < steps.size(); ++i) {
      Result<void> made = connection.Execute(steps[i]);
      if (!made) return made;
    }
    return connection.Prepare("INSERT OR REPLACE INTO schema_versions VALUES (CAST(? AS TEXT), ?)")
        .Bind(part)
        .Bind(static_cast<int64_t>(steps.size()))
        .Run();
  };
  co_return co_await Write<void>(std::move(work));
}

}  // namespace longhaul
