// What the roles of one process share: the seams, the stores, the rules with their targets. What
// needs less is handed less: limits.h, rule_context.h, or a seam alone.

#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cost/tuner.h"
#include "queue/queue.h"
#include "replication/context/content_kinds.h"
#include "replication/context/limits.h"
#include "replication/context/rule_context.h"
#include "replication/life/outcome.h"
#include "replication/life/rule_control.h"
#include "replication/life/rule_meter.h"
#include "state/state.h"
#include "storage/store.h"
#include "transfer/uploads/uploads.h"

namespace longhaul {

class Tracer;

// Borrows everything; whoever builds it keeps the parts until the roles have stopped.
struct ReplicationContext {
  Runtime& runtime;
  Queue& queue;
  State& state;
  Observer& observer;
  std::string site;
  std::string owner;  // A ULID: this process.
  ReplicationLimits limits;
  std::map<std::string, Store*> stores;  // By their names in the configuration.
  std::vector<std::unique_ptr<RuleContext>> rules;
  // What the requests of the stores take beside their objects, where there are more than usual: not
  // there for batches and archives.
  int64_t request_bytes = 0;
  std::unique_ptr<UploadLedger> uploads;
  std::unique_ptr<RuleControl> control;
  std::unique_ptr<RuleMeter> meter;  // `observer` is this one; it tells the one outside.
  // Of objects and archives, read and written: whoever waits for progress looks here.
  uint64_t bytes_moved = 0;
  ContentKinds kinds{};            // As far as this process has learnt.
  std::unique_ptr<Tuner> tuner{};  // Null: each rule has the level that it says.
  std::set<std::string> probes;    // Of stores, that this process has under way: rows in State.
  Tracer* tracer = nullptr;        // Null: nothing is traced.
};

}  // namespace longhaul
