#include "net/postgres_schema.h"

#include <utility>

namespace longhaul {

namespace {

constexpr char kVersionOf[] = "SELECT version FROM schema_versions WHERE part = $1";

// From one version of a part to its last, in one transaction.
std::string Steps(const std::string& schema, const PostgresPart& part, int from) {
  const std::string name(part.name);
  std::string sql = "BEGIN;\n";
  // Any number that nobody else locks.
  sql += "SELECT pg_advisory_xact_lock(7022817190411);\n";
  sql += "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '" + schema +
         "') THEN CREATE SCHEMA " + schema + "; END IF; END $$;\n";
  sql += "SET LOCAL search_path = " + schema + ";\n";
  sql +=
      "CREATE TABLE IF NOT EXISTS schema_versions"
      " (part text PRIMARY KEY, version integer NOT NULL);\n";
  for (int step = from; step < part.version(); ++step) {
    sql += part.steps[static_cast<size_t>(step)];
  }
  sql += "INSERT INTO schema_versions VALUES ('" + name + "', " + std::to_string(part.version()) +
         ") ON CONFLICT (part) DO UPDATE SET version = excluded.version;\n";
  sql += "COMMIT;\n";
  return sql;
}

// 0: not there at all.
Async<int> VersionOf(PostgresClient& client, const PostgresPart& part) {
  Result<PostgresRows> rows =
      co_await client.Run(kVersionOf, PostgresArguments().Text(part.name), PostgresRepeat::kSafe);
  if (!rows) {
    if (rows.error().code == "42P01" || rows.error().code == "3F000") co_return 0;
    co_return rows.error();
  }
  co_return rows->size() == 0 ? 0 : static_cast<int>(rows->Int(0, 0));
}

Error Newer(const PostgresClient& client, const PostgresPart& part) {
  return InvalidInput("the " + std::string(part.name) + " in " + client.description() +
                      " is of a newer longhaul: use that one");
}

}  // namespace

std::string PostgresSetupSql(const std::string& schema, const std::vector<PostgresPart>& parts) {
  std::string sql;
  for (const PostgresPart& part : parts) sql += Steps(schema, part, 0);
  return sql;
}

Async<std::vector<std::string>> SetUpPostgres(PostgresClient& client,
                                              const std::vector<PostgresPart>& parts) {
  std::vector<std::string> changed;
  for (const PostgresPart& part : parts) {
    Result<int> version = co_await VersionOf(client, part);
    if (!version) co_return version.error();
    if (*version > part.version()) co_return Newer(client, part);
    if (*version == part.version()) continue;
    Result<void> made = co_await client.Execute(Steps(client.schema(), part, *version));
    if (!made) {
      // A failed transaction stays open on its connection until it is ended.
      Result<void> ended = co_await client.Execute("ROLLBACK");
      static_cast<void>(ended);
      Result<int> now = co_await VersionOf(client, part);
      if (now && *now == part.version()) continue;  // Somebody else was faster.
      co_return made.error().In("set up the " + std::string(part.name));
    }
    changed.emplace_back(part.name);
  }
  co_return changed;
}

Async<void> CheckPostgresPart(PostgresClient& client, const PostgresPart& part) {
  Result<int> version = co_await VersionOf(client, part);
  if (!version) co_return version.error();
  if (*version > part.version()) co_return Newer(client, part);
  if (*version < part.version()) {
    co_return InvalidInput("the tables of the " + std::string(part.name) + " in " +
                           client.description() + ", schema " + client.schema() +
                           (*version == 0 ? ", are missing" : ", are of an older version") +
                           ": run 'longhaul setup'");
  }
  co_return Ok();
}

}  // namespace longhaul
