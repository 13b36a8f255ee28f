#include "net/postgres_servers.h"

#include <algorithm>
#include <string_view>

namespace longhaul {

namespace {

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> items(1);
  for (const char c : text) {
    if (c == ',') {
      items.emplace_back();
    } else {
      items.back() += c;
    }
  }
  return items;
}

std::string_view ValueOf(const PostgresKeywords& keywords, std::string_view name) {
  std::string_view value;
  for (const auto& [keyword, text] : keywords) {
    if (keyword == name) value = text;
  }
  return value;
}

void SetList(PostgresKeywords& keywords, std::string_view name,
             std::span<const PostgresServer> servers, std::string PostgresServer::* part) {
  std::string list;
  for (const PostgresServer& server : servers) {
    if (&server != &servers.front()) list += ',';
    list += server.*part;
  }
  std::erase_if(keywords, [name](const auto& pair) { return pair.first == name; });
  keywords.emplace_back(name, std::move(list));
}

}  // namespace

std::vector<PostgresServer> PostgresServersOf(const PostgresKeywords& keywords) {
  const std::string_view hosts = ValueOf(keywords, "host");
  if (hosts.empty() || !ValueOf(keywords, "hostaddr").empty()) return {};
  std::vector<PostgresServer> servers;
  for (std::string& host : SplitList(hosts)) servers.push_back({.host = std::move(host)});
  const std::vector<std::string> ports = SplitList(ValueOf(keywords, "port"));
  if (ports.size() != 1 && ports.size() != servers.size()) return {};  // libpq says so.
  for (size_t i = 0; i < servers.size(); ++i) {
    servers[i].port = ports.size() == 1 ? ports.front() : ports[i];
  }
  return servers;
}

void SetPostgresServers(PostgresKeywords& keywords, std::span<const PostgresServer> servers) {
  SetList(keywords, "host", servers, &PostgresServer::host);
  SetList(keywords, "hostaddr", servers, &PostgresServer::address);
  // Without any it is that of PGPORT.
  if (std::ranges::any_of(servers, [](const auto& server) { return !server.port.empty(); })) {
    SetList(keywords, "port", servers, &PostgresServer::port);
  }
}

}  // namespace longhaul
