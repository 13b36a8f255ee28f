// The servers that a URL of PostgreSQL names, as libpq tries them: one after the other until one
// takes writes.
//
// Internal to PostgresConnection. Source: PostgreSQL documentation, "Specifying Multiple Hosts" and
// "Parameter Key Words".

#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace longhaul {

// Keywords of libpq and their values.
using PostgresKeywords = std::vector<std::pair<std::string, std::string>>;

struct PostgresServer {
  std::string host{};     // As it is named: its certificate and its password go by it.
  std::string port{};     // Empty: the usual one.
  std::string address{};  // Empty: libpq finds it, as a socket of this machine.

  bool operator==(const PostgresServer&) const = default;
};

// Those of `keywords`, in order and without addresses. Empty: libpq is told by them, or finds by
// itself, where to connect.
std::vector<PostgresServer> PostgresServersOf(const PostgresKeywords& keywords);
// Has `keywords` name these instead.
void SetPostgresServers(PostgresKeywords& keywords, std::span<const PostgresServer> servers);

}  // namespace longhaul
