#include "cli/postgres_doctor.h"

#include <utility>

namespace longhaul {

using Check = DoctorCheck;

Async<void> TryPostgresRights(PostgresClient& client, const std::vector<PostgresPart>& parts,
                              std::string place, std::vector<Check>& checks) {
  Check check{.place = std::move(place), .what = "rights of its role"};
  Result<std::vector<PostgresLack>> lacks = co_await LackingPostgresRights(client, parts);
  if (!lacks) {
    check.state = Check::State::kFailed;
    check.found = lacks.error().Describe();
    check.remedy = RemedyOf(lacks.error(), "", "the database");
    checks.push_back(std::move(check));
    co_return Ok();
  }
  if (lacks->empty()) {
    checks.push_back(std::move(check));
    co_return Ok();
  }
  check.remedy = "have the owner of the tables run: " + client.GrantsTo(client.user());
  for (const PostgresLack& lack : *lacks) {
    check.state = lack.without.empty() ? Check::State::kFailed : Check::State::kWarning;
    check.found = "the role " + PostgresName(client.user()) + " has no " + lack.rights + " on " +
                  lack.on + (lack.without.empty() ? "" : ": " + lack.without);
    checks.push_back(check);
  }
  co_return Ok();
}

}  // namespace longhaul
