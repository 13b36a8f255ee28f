// Pieces of the API's answers that several of its paths share.

#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>

#include "base/clock.h"
#include "replication/life/parked.h"
#include "replication/rule_report.h"
#include "server/audit_log.h"
#include "server/failure_ring.h"

namespace longhaul {

// null where there is none, or it is the epoch.
boost::json::value JsonTime(const std::optional<SystemTime>& time);
boost::json::value JsonTime(SystemTime time);
// null where it is empty.
boost::json::value JsonText(const std::string& text);
// "next" of a page.
boost::json::value JsonCursor(const std::optional<std::string>& cursor);

boost::json::object JsonOf(const RuleReport& report, SystemTime now);
boost::json::object JsonOf(const Member& member, const std::string& process);
boost::json::object JsonOf(const std::string& rule, const ParkedKey& parked);
boost::json::object JsonOf(const SeenFailure& failure);
boost::json::object JsonOf(const AuditEntry& entry);

}  // namespace longhaul
