// What of a queue in PostgreSQL the role may do, as the database says it: no message is touched.

#pragma once

#include <string>
#include <vector>

#include "cli/store_doctor.h"
#include "net/postgres_schema.h"

namespace longhaul {

// `parts`: with the rights that the process needs. A line for each table that lacks some, else one.
Async<void> TryPostgresRights(PostgresClient& client, const std::vector<PostgresPart>& parts,
                              std::string place, std::vector<DoctorCheck>& checks);

}  // namespace longhaul
