// The tables of longhaul in a PostgreSQL database: made and brought up to date by `longhaul setup`,
// and only by it, since a role that works needs no right to make tables.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/postgres_client.h"

namespace longhaul {

// What a process needs of one table or sequence.
struct PostgresRight {
  std::string_view on;      // "queue_messages", "SEQUENCE state_revision".
  std::string_view rights;  // "SELECT, INSERT".
  // Granted as well, and done without where it is missing: what that leads to.
  std::string_view optional{};
  std::string_view without{};
};

// One part of the schema, "queue" or "state": step i leads from version i to i + 1.
struct PostgresPart {
  std::string_view name;
  std::vector<std::string_view> steps;
  std::vector<PostgresRight> rights{};

  [[nodiscard]] int version() const { return static_cast<int>(steps.size()); }
};

// Lets a role do what processes do with these parts, and nothing with what else may lie in the
// schema: SQL in one line, for their owner.
std::string PostgresGrants(const std::string& schema, std::string_view role,
                           const std::vector<PostgresPart>& parts);

// All of it as SQL from the beginning, for a person or a tool that carries it out, with the rights
// of `role` as a comment; empty: nobody knows it. `of_target`: the parts with the rights of a
// process with the target role alone; empty: those are the same.
std::string PostgresSetupSql(const std::string& schema, const std::vector<PostgresPart>& parts,
                             const std::string& role = "",
                             const std::vector<PostgresPart>& of_target = {});

// Makes what is missing; does nothing where nothing is. May be run by several at once. The names of
// the parts that were made or changed. kInvalidInput: a newer longhaul was here. kDenied: the role
// may not; says who can allow it, and by what.
Async<std::vector<std::string>> SetUpPostgres(PostgresClient& client,
                                              const std::vector<PostgresPart>& parts);

struct PostgresLack {
  std::string on;         // "queue_messages", "SEQUENCE state_revision", "FUNCTION queue_insert".
  std::string rights;     // "INSERT, UPDATE".
  std::string without{};  // PostgresRight::without, of what is optional; empty: it is needed.
};
// What of the rights that these parts need, which are there, the client's role lacks.
Async<std::vector<PostgresLack>> LackingPostgresRights(PostgresClient& client,
                                                       const std::vector<PostgresPart>& parts);

// OK: the part is there in its version. kInvalidInput: it is not; says what to run. kDenied: the
// role may not look; says who can allow it, and by what.
Async<void> CheckPostgresPart(PostgresClient& client, const PostgresPart& part);

}  // namespace longhaul
