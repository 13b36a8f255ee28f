// AlarmWatch: looks once a minute at what the configuration's alarms are of, and has an AlarmBook
// tell of it. Of several processes with one State one looks, by a lease.
//
// Whether a process is at its limit only it can tell: each writes it down while it is so, and the
// one that looks reads what all have written.
//
//   partition "capacity", key <owner>   what has run out there; expires soon after

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cost/prices.h"
#include "observe/alarm_book.h"
#include "queue/queue.h"
#include "rules/alarms.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

// Who is told, by webhook, mail and SNS. `ca_file`: of the mail server's certificate. `http`: of
// the webhook; null: its own. kInvalidInput: SNS cannot be asked, with what is missing.
Result<std::vector<std::unique_ptr<AlarmChannel>>> MakeAlarmChannels(
    const Runtime& runtime, const Alarms& alarms, const std::string& ca_file,
    const EnvironmentReader& environment, HttpClient* http = nullptr);

class AlarmWatch {
 public:
  // Borrowed, but for the last three.
  struct Parts {
    const Runtime& runtime;
    const Configuration& configuration;
    Queue& queue;
    State& state;
    const Prices& prices;
    std::string owner;                    // This process.
    std::function<double()> cpu_seconds;  // That it has used so far.
    std::vector<std::unique_ptr<AlarmChannel>> channels;
  };
  AlarmWatch(Parts parts, Alarms alarms);

  // Until `stop`.
  Async<void> Run(Event& stop);
  // Once, now.
  Async<void> Look();
  // Whether this process is at its limit, by what it has used since the last call; every 10 s.
  void Measure();
  // Writes down what Measure has found since the last call.
  Async<void> NoteCapacity();

 private:
  using Sights = std::map<std::string, AlarmSight>;
  Async<void> LookAtRule(const Rule& rule, Sights& seen);
  Async<void> LookAtDrills(const Rule& rule, Sights& seen);
  Async<void> LookAtSpending(Sights& seen);
  Async<void> LookAtCapacity(int64_t backlog, Sights& seen);
  // `since`: from when on; unknown: from when this process saw it first.
  void Away(const std::string& name, const std::string& text, std::optional<SystemTime> since,
            Sights& seen);

  const Runtime& runtime_;
  const Configuration& configuration_;
  Alarms alarms_;
  Queue& queue_;
  State& state_;
  const Prices& prices_;
  std::string owner_;
  std::function<double()> cpu_seconds_;
  AlarmBook book_;
  std::map<std::string, SystemTime> first_seen_;  // Of what is away.

  // The ledger is long: what it said is good for a while.
  std::optional<SystemTime> spending_looked_;
  Sights spending_seen_;

  double cpu_before_ = 0;
  std::optional<SteadyTime> measured_;
  int measures_ = 0;  // Since the last NoteCapacity; of these without memory, without processor.
  int without_memory_ = 0;
  int without_cpu_ = 0;
  // Since when somebody has been at his limit, and how much waited then.
  std::optional<SystemTime> at_limit_since_;
  int64_t backlog_then_ = 0;
};

}  // namespace longhaul
