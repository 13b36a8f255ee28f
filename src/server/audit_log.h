// AuditLog: who changed what by the API, and when, as rows of State, the last 10,000 of them.
//
//   partition "audit", key "next"     how many there have been
//   partition "audit", key "e" NNNN   an entry, in a ring
//
// An entry is durable before what it tells of is done; what came of it is written behind it.

#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "state/state.h"

namespace longhaul {

struct AuditEntry {
  int64_t number = 0;
  SystemTime time{};
  std::string who;
  std::string role;
  std::string peer;
  std::string action;
  std::string subject;
  std::string detail;         // What was asked (AuditDetail).
  std::optional<int> status;  // None: it is not known what came of it.
};

// What a body asks for: its members as JSON, without blanks. A text, list or object that is longer
// than a key may be is cut, and says so; no member is left out of a body that the API takes.
std::string AuditDetail(const boost::json::object& body);

struct AuditPage {
  std::vector<AuditEntry> entries;  // The newest first.
  int64_t before = 0;               // For the next page, which may be empty; 0: there is none.
};

class AuditLog {
 public:
  static constexpr int64_t kEntriesMax = 10'000;
  static constexpr size_t kDetailBytesMax = 8'000;

  AuditLog(Runtime runtime, State& state) : runtime_(runtime), state_(state) {}

  // Numbers it, sets its time and writes it. Errors are those of State.
  Async<AuditEntry> Begin(AuditEntry entry);
  // What came of it. Also a line of the log.
  Async<void> End(AuditEntry entry);
  // Those before `before` (0: all). Rows that are missing, as where a process ended before it had
  // written one, or that cannot be read are left out: a page may have less than `count_max`.
  Async<AuditPage> Read(int64_t before, int count_max);

 private:
  Async<void> Write(const AuditEntry& entry);

  Runtime runtime_;
  State& state_;
};

}  // namespace longhaul
