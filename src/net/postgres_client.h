// PostgresClient: a PostgreSQL database as one shard uses it: a few connections, opened when they
// are needed, on which statements run one after the other, each a transaction of its own.
//
// Nothing blocks the shard: libpq works on non-blocking sockets that the io_context waits for. All
// of longhaul's tables and functions lie in one schema, which is the only one that statements see.
// Connections that sit idle behind a pooler must be of their own session (PgBouncer: session mode).
//
// What fails for a reason that passes (connection lost, server restarted, a standby in its place,
// deadlock) is repeated for `patience`, if it surely had no effect or may be repeated; then it
// comes out as kRetryable. kDenied, kInvalidInput: as the server says; what is missing of the
// schema is kInvalidInput with the command that makes it, a right that is missing there kDenied
// with what grants it.
//
// Belongs to one shard. It must outlive what it runs.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "base/secret.h"
#include "net/postgres_connection.h"
#include "net/postgres_values.h"

namespace longhaul {

struct PostgresOptions {
  // As libpq takes it: a URL (postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&
  // sslrootcert=FILE), or "host=… dbname=…". What it leaves out comes from PGHOST and the like.
  // `schema=NAME` in a URL is ours: the schema with longhaul's tables, "longhaul" otherwise.
  Secret url;
  int connections_max = 4;  // Besides the one that waits for notices.
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds statement_timeout{60'000};
  std::chrono::milliseconds patience{10'000};
  // What lets a role do what this process does with the tables of a schema, as SQL in one line for
  // their owner (PostgresGrants, net/postgres_schema.h). Null: nobody says.
  std::function<std::string(const std::string& schema, std::string_view role)> grants{};
};

// Whether a statement may run again when no answer came, and it may have taken effect or not.
enum class PostgresRepeat { kNever, kSafe };

// Without a connection. kInvalidInput: it makes no sense to PostgreSQL's library, or names no
// schema that there could be. Does not repeat what it was given: a password may be in it.
Result<void> CheckPostgresUrl(const Secret& url);

class PostgresClient {
 public:
  // Opens no connection yet. kInvalidInput: the URL, or the schema's name, makes no sense.
  static Result<std::shared_ptr<PostgresClient>> Make(const Runtime& runtime,
                                                      PostgresOptions options);
  ~PostgresClient();

  // `sql` must live for ever (a literal).
  Async<PostgresRows> Run(const char* sql, const PostgresArguments& arguments,
                          PostgresRepeat repeat = PostgresRepeat::kNever);
  // Text of several statements in one transaction, for setting up: what is missing or refused comes
  // out as the server says it.
  Async<void> Execute(const std::string& sql);

  // So often notices have come, also those that may have been missed while there was no connection.
  // Begins to listen.
  asio::awaitable<uint64_t> Notices();
  // Waits until there are more than `seen`; at most `timeout`. Any number may wait.
  asio::awaitable<void> WaitForNotices(uint64_t seen, std::chrono::nanoseconds timeout);

  [[nodiscard]] const std::string& schema() const { return schema_; }
  // Of the last connection, or as the URL says; empty: neither.
  [[nodiscard]] const std::string& user() const { return user_; }
  // PostgresOptions::grants, else the right to look.
  [[nodiscard]] std::string GrantsTo(std::string_view role) const;
  // Without user and password: "db.example:5432/jobs".
  [[nodiscard]] std::string description() const;

 private:
  PostgresClient(const Runtime& runtime, PostgresOptions options, PostgresKeywords keywords,
                 std::string schema);
  Async<std::unique_ptr<PostgresConnection>> Connect();
  // A connection that nobody uses, or a new one.
  Async<std::unique_ptr<PostgresConnection>> Take();
  void GiveBack(std::unique_ptr<PostgresConnection> connection);
  template <class Attempt>
  auto Repeating(PostgresRepeat repeat, Attempt attempt) -> decltype(attempt(nullptr));
  [[nodiscard]] Error Explain(Error error) const;
  Async<void> Listen();

  Runtime runtime_;
  PostgresOptions options_;
  PostgresKeywords keywords_;
  std::string schema_;
  std::string user_;
  std::vector<std::unique_ptr<PostgresConnection>> idle_;
  int taken_ = 0;
  WaitList free_;

  std::unique_ptr<PostgresConnection> listener_;
  bool listening_ = false;  // Somebody waits on `listener_`, or connects it.
  uint64_t notices_ = 0;
  WaitList noticed_;
};

// In quotes, as SQL takes any name.
std::string PostgresName(std::string_view name);

// Whether it can be a schema's name without quotes: a letter or _, then letters, digits, _; at most
// 40 of them.
bool IsPostgresSchemaName(std::string_view name);

}  // namespace longhaul
