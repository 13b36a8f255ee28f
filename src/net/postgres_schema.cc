#include "net/postgres_schema.h"

#include <algorithm>
#include <utility>

namespace longhaul {

namespace {

constexpr char kVersionOf[] = "SELECT version FROM schema_versions WHERE part = $1";

// A schema that a role may not use is left out of its search path, as if it were not there.
// (PostgreSQL, "The Schema Search Path".)
constexpr char kRights[] =
    "SELECT n.oid IS NOT NULL, coalesce(has_schema_privilege(n.oid, 'USAGE'), false),"
    " coalesce(has_schema_privilege(n.oid, 'CREATE'), false),"
    " has_database_privilege(d.oid, 'CREATE'), c.oid IS NOT NULL, current_user::text,"
    " d.datname::text, pg_get_userbyid(d.datdba)::text,"
    " coalesce(pg_get_userbyid(coalesce(c.relowner, n.nspowner))::text, '')"
    " FROM pg_database d LEFT JOIN pg_namespace n ON n.nspname = $1"
    " LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'schema_versions'"
    " WHERE d.datname = current_database()";

struct Rights {
  bool schema = false;  // It is there.
  bool uses = false;
  bool creates_tables = false;
  bool creates_schemas = false;
  bool tables = false;  // They are there.
  std::string role;
  std::string database;
  std::string database_owner;
  std::string owner;  // Of the tables, else of the schema.
};

Async<Rights> RightsOf(PostgresClient& client) {
  Result<PostgresRows> rows = co_await client.Run(
      kRights, PostgresArguments().Text(client.schema()), PostgresRepeat::kSafe);
  if (!rows) co_return rows.error();
  if (rows->size() == 0) co_return Rights();
  co_return Rights{.schema = rows->Int(0, 0) != 0,
                   .uses = rows->Int(0, 1) != 0,
                   .creates_tables = rows->Int(0, 2) != 0,
                   .creates_schemas = rows->Int(0, 3) != 0,
                   .tables = rows->Int(0, 4) != 0,
                   .role = rows->Bytes(0, 5),
                   .database = rows->Bytes(0, 6),
                   .database_owner = rows->Bytes(0, 7),
                   .owner = rows->Bytes(0, 8)};
}

Error Refused(const PostgresClient& client, const Rights& rights, const std::string& what,
              const std::string& who, const std::string& sql) {
  return {.kind = ErrorKind::kDenied,
          .message = client.description() + ": the role " + PostgresName(rights.role) + " " + what +
                     "; " + who + " can allow it: " + sql};
}

Error MayNotUse(const PostgresClient& client, const Rights& rights) {
  return Refused(client, rights, "may not use the schema " + client.schema(),
                 "its owner " + PostgresName(rights.owner), client.GrantsTo(rights.role));
}

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
    if (rows.error().code != "42P01" && rows.error().code != "3F000") co_return rows.error();
    Result<Rights> rights = co_await RightsOf(client);
    if (!rights) co_return rights.error();
    if (rights->tables && !rights->uses) co_return MayNotUse(client, *rights);
    co_return 0;
  }
  co_return rows->size() == 0 ? 0 : static_cast<int>(rows->Int(0, 0));
}

// What making the tables needs.
Async<void> MayMakeTables(PostgresClient& client) {
  Result<Rights> rights = co_await RightsOf(client);
  if (!rights) co_return rights.error();
  const std::string& schema = client.schema();
  const std::string to = " TO " + PostgresName(rights->role) + ";";
  if (!rights->schema && !rights->creates_schemas) {
    co_return Refused(client, *rights, "may not make the schema " + schema,
                      "the database's owner " + PostgresName(rights->database_owner),
                      "GRANT CREATE ON DATABASE " + PostgresName(rights->database) + to);
  }
  if (rights->schema && !rights->tables && !(rights->uses && rights->creates_tables)) {
    co_return Refused(client, *rights, "may not make tables in the schema " + schema,
                      "its owner " + PostgresName(rights->owner),
                      "GRANT USAGE, CREATE ON SCHEMA " + schema + to);
  }
  co_return Ok();
}

// What was made by one role another may not change, whatever it is granted.
asio::awaitable<Error> TellOwner(PostgresClient& client, Error error) {
  if (error.code != kPostgresRefused) co_return error;
  Result<Rights> rights = co_await RightsOf(client);
  if (rights && rights->tables && rights->owner != rights->role) {
    error.message += "; the tables belong to " + PostgresName(rights->owner) +
                     ": run 'longhaul setup' with a URL of that role";
  }
  co_return error;
}

constexpr std::string_view kSequence = "SEQUENCE ";

std::vector<std::string> FunctionsOf(const PostgresPart& part) {
  std::vector<std::string> functions;
  for (const std::string_view step : part.steps) {
    constexpr std::string_view kFunction = "CREATE FUNCTION ";
    for (size_t at = step.find(kFunction); at != step.npos; at = step.find(kFunction, at)) {
      at += kFunction.size();
      functions.emplace_back(step.substr(at, step.find('(', at) - at));
    }
  }
  return functions;
}

// Those of `rights` ("SELECT, INSERT") that the role lacks.
Async<std::string> LackingOf(PostgresClient& client, std::string_view on, std::string_view rights) {
  const bool sequence = on.starts_with(kSequence);
  std::string lacking;
  while (!rights.empty()) {
    const std::string_view right = rights.substr(0, rights.find(','));
    rights.remove_prefix(std::min(right.size() + 2, rights.size()));
    Result<PostgresRows> rows = co_await client.Run(
        sequence ? "SELECT has_sequence_privilege($1, $2)" : "SELECT has_table_privilege($1, $2)",
        PostgresArguments().Text(sequence ? on.substr(kSequence.size()) : on).Text(right),
        PostgresRepeat::kSafe);
    if (!rows) co_return rows.error();
    if (rows->Int(0, 0) == 0) lacking += (lacking.empty() ? "" : ", ") + std::string(right);
  }
  co_return lacking;
}

Error Newer(const PostgresClient& client, const PostgresPart& part) {
  return InvalidInput("the " + std::string(part.name) + " in " + client.description() +
                      " is of a newer longhaul: use that one");
}

}  // namespace

std::string PostgresGrants(const std::string& schema, std::string_view role,
                           const std::vector<PostgresPart>& parts) {
  const std::string to = " TO " + PostgresName(role) + "; ";
  std::string sql = "GRANT USAGE ON SCHEMA " + schema + to;
  if (!parts.empty()) sql += "GRANT SELECT ON " + schema + ".schema_versions" + to;
  std::string functions;
  for (const PostgresPart& part : parts) {
    for (const PostgresRight& right : part.rights) {
      const bool sequence = right.on.starts_with(kSequence);
      sql += "GRANT " + std::string(right.rights) + (right.optional.empty() ? "" : ", ") +
             std::string(right.optional) + " ON " + (sequence ? "SEQUENCE " : "") + schema + "." +
             std::string(right.on.substr(sequence ? kSequence.size() : 0)) + to;
    }
    for (const std::string& function : FunctionsOf(part)) {
      functions += (functions.empty() ? "" : ", ") + schema + "." + function;
    }
  }
  // Everybody's, unless the database takes it from all.
  if (!functions.empty()) sql += "GRANT EXECUTE ON FUNCTION " + functions + to;
  sql.pop_back();
  return sql;
}

std::string PostgresSetupSql(const std::string& schema, const std::vector<PostgresPart>& parts,
                             const std::string& role, const std::vector<PostgresPart>& of_target) {
  std::string sql;
  for (const PostgresPart& part : parts) sql += Steps(schema, part, 0);
  // A line that ends within the name would end the comment.
  const bool named = !role.empty() && std::ranges::none_of(role, [](char c) {
    return static_cast<unsigned char>(c) < 0x20;
  });
  const std::string who = named ? role : "ROLE";
  sql += "-- Where the processes' role is another than the one that this is carried out by:\n-- " +
         PostgresGrants(schema, who, parts) + "\n";
  if (!of_target.empty()) {
    sql += "-- The same for a role of processes with the target role alone:\n-- " +
           PostgresGrants(schema, who, of_target) + "\n";
  }
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
    Result<void> may = co_await MayMakeTables(client);
    if (!may) co_return may.error();
    Result<void> made = co_await client.Execute(Steps(client.schema(), part, *version));
    if (!made) {
      // A failed transaction stays open on its connection until it is ended.
      Result<void> ended = co_await client.Execute("ROLLBACK");
      static_cast<void>(ended);
      Result<int> now = co_await VersionOf(client, part);
      if (now && *now == part.version()) continue;  // Somebody else was faster.
      const Error told = co_await TellOwner(client, made.error());
      co_return told.In("set up the " + std::string(part.name));
    }
    changed.emplace_back(part.name);
  }
  co_return changed;
}

Async<std::vector<PostgresLack>> LackingPostgresRights(PostgresClient& client,
                                                       const std::vector<PostgresPart>& parts) {
  std::vector<PostgresLack> lacks;
  Result<PostgresRows> closed = co_await client.Run(
      "SELECT DISTINCT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
      " WHERE n.nspname = $1 AND NOT has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1",
      PostgresArguments().Text(client.schema()), PostgresRepeat::kSafe);
  if (!closed) co_return closed.error();
  for (const PostgresPart& part : parts) {
    for (const PostgresRight& right : part.rights) {
      Result<std::string> needed = co_await LackingOf(client, right.on, right.rights);
      if (!needed) co_return needed.error();
      if (!needed->empty()) lacks.push_back({.on = std::string(right.on), .rights = *needed});
      Result<std::string> optional = co_await LackingOf(client, right.on, right.optional);
      if (!optional) co_return optional.error();
      if (optional->empty()) continue;
      lacks.push_back({.on = std::string(right.on),
                       .rights = *optional,
                       .without = std::string(right.without)});
    }
    const std::vector<std::string> functions = FunctionsOf(part);
    for (int row = 0; row < closed->size(); ++row) {
      const std::string name = closed->Bytes(row, 0);
      if (std::ranges::find(functions, name) == functions.end()) continue;
      lacks.push_back({.on = "FUNCTION " + name, .rights = "EXECUTE"});
    }
  }
  co_return lacks;
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
