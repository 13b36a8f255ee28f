#include "state/sqlite_state.h"

#include <algorithm>
#include <numeric>

namespace longhaul {

using std::chrono::microseconds;

namespace {

constexpr std::chrono::seconds kSqliteSweepInterval{10};
// Keeps a sweep at some milliseconds, for which the write waits that it goes with. More rows than
// that can expire in an interval, as every delete leaves one: after a sweep that ended at the limit
// the next write sweeps as well. So rows leave faster than they come: a write brings one or a few.
constexpr int64_t kSqliteSweepRowsMax = 1000;

// BLOBs compare as bytes. The revision of all rows together is one number, so that no row ever
// shows a revision for a second time, also after it was removed.
constexpr const char* kSqliteSchema1 = R"(
  CREATE TABLE state_rows (
    partition  BLOB NOT NULL,
    key        BLOB NOT NULL,
    value      BLOB NOT NULL,
    revision   INTEGER NOT NULL,
    expires_us INTEGER,
    PRIMARY KEY (partition, key)
  ) WITHOUT ROWID;
  CREATE INDEX state_rows_by_expiry ON state_rows (expires_us) WHERE expires_us IS NOT NULL;
  CREATE TABLE state_revision (last INTEGER NOT NULL);
  INSERT INTO state_revision VALUES (0);
)";

int64_t Micros(SystemTime time) { return time.time_since_epoch().count(); }

StateRow RowOf(SqliteStatement& select, std::string key) {
  StateRow row{.key = std::move(key), .value = select.Bytes(0), .revision = select.Int(1)};
  if (!select.IsNull(2)) row.expires = SystemTime(microseconds(select.Int(2)));
  return row;
}

Result<std::optional<StateRow>> Find(SqliteConnection& db, const std::string& partition,
                                     const std::string& key, int64_t now_us) {
  SqliteStatement select = db.Prepare(
      "SELECT value, revision, expires_us FROM state_rows WHERE partition = ? AND key = ?"
      " AND (expires_us IS NULL OR expires_us > ?)");
  Result<bool> found = select.Bind(partition).Bind(key).Bind(now_us).Step();
  if (!found) return found.error();
  if (!*found) return std::optional<StateRow>();
  return std::optional<StateRow>(RowOf(select, key));
}

// Asks for the first row from a key on: keys before it have none, and are not asked for. Most of
// what is written for the first time has no row, and each question costs a walk down the tree.
Result<std::vector<std::optional<StateRow>>> FindMany(SqliteConnection& db,
                                                      const std::string& partition,
                                                      const std::vector<std::string>& keys,
                                                      int64_t now_us) {
  std::vector<std::optional<StateRow>> rows(keys.size());
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) -> const std::string& { return keys[i]; });
  bool gap = false;  // No row is between the last key that was asked for and `gap_to`.
  std::optional<std::string> gap_to;
  for (size_t i : order) {
    const std::string& key = keys[i];
    if (gap && (!gap_to || key < *gap_to)) continue;
    SqliteStatement select = db.Prepare(
        "SELECT value, revision, expires_us, key FROM state_rows WHERE partition = ? AND key >= ?"
        " AND (expires_us IS NULL OR expires_us > ?) ORDER BY key LIMIT 1");
    Result<bool> found = select.Bind(partition).Bind(key).Bind(now_us).Step();
    if (!found) return found.error();
    gap_to = *found ? std::optional(select.Bytes(3)) : std::nullopt;
    gap = gap_to != key;
    if (!gap) rows[i] = RowOf(select, key);
  }
  return rows;
}

Result<int64_t> NextRevision(SqliteConnection& db) {
  SqliteStatement next = db.Prepare("UPDATE state_revision SET last = last + 1 RETURNING last");
  Result<bool> row = next.Step();
  if (!row) return row.error();
  if (!*row) return Corrupt(db.path() + ": the table state_revision is empty");
  int64_t revision = next.Int(0);
  Result<void> ended = next.Run();
  if (!ended) return ended.error();
  return revision;
}

Result<int64_t> WriteRow(SqliteConnection& db, const std::string& partition,
                         const StateWrite& write, int64_t now_us) {
  Result<void> checked = CheckStateWrite(write);
  if (!checked) return checked.error();
  if (write.expected.kind != Expected::Kind::kAnything) {
    SqliteStatement select = db.Prepare(
        "SELECT revision FROM state_rows WHERE partition = ? AND key = ?"
        " AND (expires_us IS NULL OR expires_us > ?)");
    Result<bool> found = select.Bind(partition).Bind(write.key).Bind(now_us).Step();
    if (!found) return found.error();
    if (write.expected.kind == Expected::Kind::kAbsent) {
      if (*found) return PreconditionFailed("state row is there");
    } else if (!*found || select.Int(0) != write.expected.revision) {
      return PreconditionFailed("state row has another revision");
    }
  }
  if (!write.value) {
    Result<void> removed = db.Prepare("DELETE FROM state_rows WHERE partition = ? AND key = ?")
                               .Bind(partition)
                               .Bind(write.key)
                               .Run();
    if (!removed) return removed.error();
    return 0;
  }
  Result<int64_t> revision = NextRevision(db);
  if (!revision) return revision;
  std::optional<int64_t> expires;
  if (write.expires) expires = Micros(*write.expires);
  Result<void> written = db.Prepare("INSERT OR REPLACE INTO state_rows VALUES (?, ?, ?, ?, ?)")
                             .Bind(partition)
                             .Bind(write.key)
                             .Bind(*write.value)
                             .Bind(*revision)
                             .Bind(expires)
                             .Run();
  if (!written) return written.error();
  return revision;
}

// Whether there may be more to take out.
Result<bool> Sweep(SqliteConnection& db, int64_t now_us) {
  Result<void> swept =
      db.Prepare(
            "DELETE FROM state_rows WHERE (partition, key) IN"
            " (SELECT partition, key FROM state_rows WHERE expires_us <= ? LIMIT ?)")
          .Bind(now_us)
          .Bind(kSqliteSweepRowsMax)
          .Run();
  if (!swept) return swept.error();
  return db.changed_rows() == kSqliteSweepRowsMax;
}

// Whether the error is about this one write, so that the others of a WriteMany go on.
bool IsSqliteVerdict(const Error& error) {
  return error.kind == ErrorKind::kPrecondition || error.kind == ErrorKind::kInvalidInput;
}

}  // namespace

Async<std::unique_ptr<State>> SqliteState::Open(Runtime runtime,
                                                std::shared_ptr<SqliteDatabase> database) {
  Result<void> made = co_await database->EnsureSchema("state", {kSqliteSchema1});
  if (!made) co_return made.error().In("open the state");
  co_return std::unique_ptr<State>(new SqliteState(runtime, std::move(database)));
}

bool SqliteState::SweepIsDue() {
  SteadyTime now = runtime_.clock.SteadyNow();
  if (!more_to_sweep_ && now - last_sweep_ < kSqliteSweepInterval) return false;
  more_to_sweep_ = false;  // Until this sweep has ended: writes side by side do not all sweep.
  last_sweep_ = now;
  return true;
}

Async<std::optional<StateRow>> SqliteState::Get(std::string partition, std::string key) {
  int64_t now = Micros(runtime_.clock.Now());
  std::function<Result<std::optional<StateRow>>(SqliteConnection&)> work =
      [partition = std::move(partition), key = std::move(key), now](SqliteConnection& db) {
        return Find(db, partition, key, now);
      };
  Result<std::optional<StateRow>> row =
      co_await database_->Read<std::optional<StateRow>>(std::move(work));
  if (!row) co_return row.error().In("state: get");
  co_return row;
}

Async<std::vector<std::optional<StateRow>>> SqliteState::GetMany(std::string partition,
                                                                 std::vector<std::string> keys) {
  using Rows = std::vector<std::optional<StateRow>>;
  int64_t now = Micros(runtime_.clock.Now());
  std::function<Result<Rows>(SqliteConnection&)> work =
      [partition = std::move(partition), keys = std::move(keys), now](SqliteConnection& db) {
        return FindMany(db, partition, keys, now);
      };
  Result<Rows> rows = co_await database_->Read<Rows>(std::move(work));
  if (!rows) co_return rows.error().In("state: get");
  co_return rows;
}

Async<int64_t> SqliteState::Write(std::string partition, StateWrite write) {
  std::vector<StateWrite> writes;
  writes.push_back(std::move(write));
  Result<std::vector<Result<int64_t>>> results =
      co_await WriteMany(std::move(partition), std::move(writes));
  if (!results) co_return results.error();
  co_return std::move(results->front());
}

Async<std::vector<Result<int64_t>>> SqliteState::WriteMany(std::string partition,
                                                           std::vector<StateWrite> writes) {
  struct Done {
    std::vector<Result<int64_t>> results;
    bool more_to_sweep = false;
  };
  if (writes.empty()) co_return std::vector<Result<int64_t>>();
  int64_t now = Micros(runtime_.clock.Now());
  std::function<Result<Done>(SqliteConnection&)> work =
      [partition = std::move(partition), writes = std::move(writes), now,
       sweep = SweepIsDue()](SqliteConnection& db) -> Result<Done> {
    Done done;
    done.results.reserve(writes.size());
    for (const StateWrite& write : writes) {
      Result<int64_t> written = WriteRow(db, partition, write, now);
      if (!written && !IsSqliteVerdict(written.error())) return written.error();
      done.results.push_back(std::move(written));
    }
    if (sweep) {
      Result<bool> more = Sweep(db, now);
      if (!more) return more.error();
      done.more_to_sweep = *more;
    }
    return done;
  };
  Result<Done> done = co_await database_->Write<Done>(std::move(work));
  if (!done) co_return done.error().In("state: write");
  if (done->more_to_sweep) more_to_sweep_ = true;
  co_return std::move(done->results);
}

Async<int64_t> SqliteState::Add(std::string partition, std::string key, int64_t amount) {
  int64_t now = Micros(runtime_.clock.Now());
  std::function<Result<int64_t>(SqliteConnection&)> work =
      [partition = std::move(partition), key = std::move(key), amount,
       now](SqliteConnection& db) -> Result<int64_t> {
    Result<std::optional<StateRow>> row = Find(db, partition, key, now);
    if (!row) return row.error();
    Result<int64_t> sum = AddToStateNumber(*row ? (*row)->value : "0", amount);
    if (!sum) return sum;
    StateWrite write{.key = key, .value = std::to_string(*sum)};
    if (*row) write.expires = (*row)->expires;
    Result<int64_t> written = WriteRow(db, partition, write, now);
    if (!written) return written;
    return sum;
  };
  Result<int64_t> sum = co_await database_->Write<int64_t>(std::move(work));
  if (!sum) co_return sum.error().In("state: add");
  co_return sum;
}

Async<std::vector<StateRow>> SqliteState::Scan(std::string partition, std::string after,
                                               int count_max) {
  using Rows = std::vector<StateRow>;
  int64_t now = Micros(runtime_.clock.Now());
  std::function<Result<Rows>(SqliteConnection&)> work =
      [partition = std::move(partition), after = std::move(after), count_max,
       now](SqliteConnection& db) -> Result<Rows> {
    SqliteStatement select = db.Prepare(
        "SELECT key, value, revision, expires_us FROM state_rows WHERE partition = ? AND key > ?"
        " AND (expires_us IS NULL OR expires_us > ?) ORDER BY key LIMIT ?");
    select.Bind(partition).Bind(after).Bind(now).Bind(int64_t{count_max});
    Rows rows;
    while (true) {
      Result<bool> found = select.Step();
      if (!found) return found.error();
      if (!*found) return rows;
      StateRow row{.key = select.Bytes(0), .value = select.Bytes(1), .revision = select.Int(2)};
      if (!select.IsNull(3)) row.expires = SystemTime(microseconds(select.Int(3)));
      rows.push_back(std::move(row));
    }
  };
  Result<Rows> rows = co_await database_->Read<Rows>(std::move(work));
  if (!rows) co_return rows.error().In("state: scan");
  co_return rows;
}

}  // namespace longhaul
