// AlarmWatch: looks once a minute at what the configuration's alarms are of, and has an AlarmBook
// tell of it. Of several processes with one configuration one looks at its rules, by a lease, for
// as long as it lives: what it has seen so far it alone knows. Another one begins anew, and ends no
// alarm of which it cannot know yet. Of all configurations with one State each looks at its own
// rules, and one, by another lease, at what they have in common: queue, events, spending, capacity.
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
#include <set>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cost/prices.h"
#include "observe/alarm_book.h"
#include "queue/queue.h"
#include "replica/lease.h"
#include "replication/life/rule_control.h"
#include "replication/life/rule_meter.h"
#include "rules/alarms.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

// Who is told, by webhook, mail and SNS. Of the environment the webhook heeds HTTPS_PROXY,
// NO_PROXY and AWS_CA_BUNDLE, mail the latter, and SNS all that AWS's settings are. kInvalidInput:
// SNS cannot be asked, with what is missing.
Result<std::vector<std::unique_ptr<AlarmChannel>>> MakeAlarmChannels(
    const Runtime& runtime, const Alarms& alarms, const EnvironmentReader& environment);

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
  // Once, now, at all of it; nobody else may look meanwhile. Tells nothing more after `stop`. What
  // cannot be looked at keeps nothing else from being told, ends no alarm, and is the error at the
  // end.
  Async<void> Look(const Event& stop);
  // Whether this process is at its limit, by what it has used since the last call; every 10 s.
  void Measure();
  // Writes down what Measure has found since the last call.
  Async<void> NoteCapacity();

 private:
  using Sights = std::map<std::string, AlarmSight>;
  // What one process looks at alone.
  struct Part {
    bool ours = false;                               // As of the last time.
    bool fresh = false;                              // It has been taken just now.
    std::map<std::string, SystemTime> first_seen{};  // Of what is away.
    // Of what is away, that of which no process with the target role told when it was last seen.
    std::set<std::string> of_sources{};
  };
  // Whether it is this process that looks at it. Who takes over knows nothing.
  Async<bool> Hold(Lease& lease, Part& part);
  Async<void> LookBy(Lease& rules, Lease& common, const Event& stop);
  Async<void> Look(const Event& stop, bool rules, bool common);
  Async<void> LookAtCommon(Sights& seen, std::vector<std::string>& unknown);
  // What could be seen of all rules. Errors: of State; the names of what was not looked at are in
  // `unknown` then.
  Async<void> LookAtRules(Sights& seen, std::vector<std::string>& unknown);
  Async<void> LookAtRule(const Rule& rule, Sights& seen, std::vector<std::string>& unknown);
  // What is away by what processes tell, and of what nobody tells any more. `has_targets`: see
  // HasTargets.
  void LookAtStores(const Rule& rule, const std::vector<RuleNow>& running, bool has_targets,
                    Sights& seen, std::vector<std::string>& unknown);
  // Whether processes with the target role run the rule with this State, or have done so lately;
  // kept in State, as each process looks for a while only.
  Async<bool> HasTargets(const Rule& rule, const std::vector<RuleNow>& running);
  // Adds what of lag, and of stores that are away, the processes that run the rule do not tell.
  Async<void> LookAtLag(const Rule& rule, std::vector<RuleNow> running, Sights& seen,
                        std::vector<std::string>& unknown);
  Async<void> LookAtDrills(const Rule& rule, Sights& seen);
  Async<void> LookAtQueue(Sights& seen);
  Async<void> LookAtEvents(Sights& seen);
  Async<void> LookAtSpending(Sights& seen);
  Async<void> LookAtCapacity(int64_t backlog, Sights& seen);
  // `since`: from when on; unknown: from when this process saw it first.
  void Away(Part& part, const std::string& name, const std::string& text,
            std::optional<SystemTime> since, Sights& seen);

  const Runtime& runtime_;
  const Configuration& configuration_;
  Alarms alarms_;
  Queue& queue_;
  State& state_;
  const Prices& prices_;
  std::string owner_;
  std::function<double()> cpu_seconds_;
  AlarmBook book_;
  RuleControl control_;

  Part rules_;
  Part common_;
  // By rule: what HasTargets has found, and when.
  std::map<std::string, std::pair<bool, SteadyTime>> has_targets_;
  // What it knows from earlier looks at what is common.
  struct Past {
    // The ledger is long: what it said is good for a while.
    std::optional<SystemTime> spending_looked;
    Sights spending_seen;
    // Since when somebody has been at his limit, and how much waited then.
    std::optional<SystemTime> at_limit_since;
    int64_t backlog_then = 0;
  };
  Past past_;

  double cpu_before_ = 0;
  std::optional<SteadyTime> measured_;
  int measures_ = 0;  // Since the last NoteCapacity; of these without memory, without processor.
  int without_memory_ = 0;
  int without_cpu_ = 0;
};

}  // namespace longhaul
