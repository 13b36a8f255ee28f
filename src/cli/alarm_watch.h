// AlarmWatch: looks once a minute at what the configuration's alarms are of, and has an AlarmBook
// tell of it. Of several processes with one State one looks, by a lease.

#pragma once

#include <map>
#include <string>

#include "base/runtime.h"
#include "observe/alarm_book.h"
#include "queue/queue.h"
#include "rules/alarms.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

class AlarmWatch {
 public:
  // Borrows everything. `owner`: this process.
  AlarmWatch(const Runtime& runtime, const Configuration& configuration, Alarms alarms,
             Queue& queue, State& state, std::string owner, HttpClient* http = nullptr);

  // Until `stop`.
  Async<void> Run(Event& stop);
  // Once, now.
  Async<void> Look();

 private:
  using Sights = std::map<std::string, AlarmSight>;
  Async<void> LookAtRule(const Rule& rule, Sights& seen);
  // `since`: from when on; unknown: from when this process saw it first.
  void Away(const std::string& name, const std::string& text, std::optional<SystemTime> since,
            Sights& seen);

  const Runtime& runtime_;
  const Configuration& configuration_;
  Alarms alarms_;
  Queue& queue_;
  State& state_;
  std::string owner_;
  AlarmBook book_;
  std::map<std::string, SystemTime> first_seen_;  // Of what is away.
};

}  // namespace longhaul
