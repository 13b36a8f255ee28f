#include "migration/object_state.h"

#include <algorithm>
#include <memory>
#include <set>
#include <unordered_set>
#include <utility>
#include <vector>

#include "migration/finder.h"
#include "migration/giant.h"
#include "migration/look.h"
#include "migration/row_scan.h"
#include "migration/scope.h"
#include "migration/task.h"
#include "migration/worker.h"
#include "storage/is_gone.h"
#include "transfer/listing/listing.h"
#include "transfer/runs/row.h"
#include "transfer/tree/decide.h"

namespace longhaul::migration {

namespace {

// How far the finders of a run are.
class Coverage {
 public:
  static Async<Coverage> Read(State& state, Run run) {
    Coverage coverage;
    Result<void> read = co_await ForEachRow(state, RowsOf(run.id), "find/",
                                            [&](const StateRow& row) -> Result<bool> {
                                              Result<FindRow> find = DecodeFind(row);
                                              if (!find) return find.error();
                                              coverage.finds_.push_back(std::move(*find));
                                              return true;
                                            });
    if (!read) co_return read.error();
    Result<std::vector<std::string>> scope = co_await ScopeOf(state, run);
    if (!scope) co_return scope.error();
    coverage.scope_ = std::move(*scope);
    coverage.events_ = run.options.events;
    co_return coverage;
  }

  // kDone: a finder has gone past the name. Else kNotListed or kLeftOut, with the reason.
  [[nodiscard]] OneObject::State Of(std::string_view name, std::string* reason) const {
    const FindRow* open = nullptr;
    for (const FindRow& find : finds_) {
      if (!name.starts_with(find.prefix)) continue;
      if (find.done || (find.failure.empty() && !find.cursor.empty() && name <= find.cursor)) {
        return OneObject::State::kDone;
      }
      if (open == nullptr || !find.failure.empty()) open = &find;
    }
    if (open != nullptr) {
      *reason = open->failure.empty()
                    ? "no finder has come to it yet"
                    : "what is below '" + open->prefix + "' could not be listed: " + open->failure;
      return OneObject::State::kNotListed;
    }
    // What an earlier start has listed and done is not listed anew.
    const auto below = [name](const std::string& prefix) { return name.starts_with(prefix); };
    if (!events_ && std::ranges::any_of(scope_, below)) return OneObject::State::kDone;
    *reason = events_ ? "no finder lists it, and no event that is left names it"
                      : "it is below no prefix that the run was started with";
    return events_ ? OneObject::State::kNotListed : OneObject::State::kLeftOut;
  }

  [[nodiscard]] const std::vector<std::string>& scope() const { return scope_; }

 private:
  std::vector<FindRow> finds_;
  std::vector<std::string> scope_;
  bool events_ = false;
};

struct ClaimRow {
  std::string task;
  std::string worker;
};

// Those that have not run out.
Async<std::vector<ClaimRow>> ClaimsOn(State& state, Clock& clock, std::string run_id,
                                      std::string task) {
  std::vector<ClaimRow> claims;
  const SystemTime now = clock.Now();
  const std::string whole = "claim/" + task;
  const auto take = [&](const StateRow& row) -> Result<bool> {
    Result<Row> claim = Row::Decode(row.value);
    if (!claim) return claim.error();
    if (claim->Time("until").value_or(now) > now) {
      claims.push_back({.task = row.key.substr(6), .worker = claim->Text("worker")});
    }
    return true;
  };
  Result<std::optional<StateRow>> own = co_await state.Get(RowsOf(run_id), whole);
  if (!own) co_return own.error();
  if (*own) {
    Result<bool> taken = take(**own);
    if (!taken) co_return taken.error();
  }
  Result<void> read = co_await ForEachRow(state, RowsOf(run_id), whole + "-", take);  // Its ranges.
  if (!read) co_return read.error();
  co_return claims;
}

// The task that holds the object, if one does.
Async<bool> FindTask(State& state, std::string run_id, OneObject& object) {
  bool found = false;
  Result<void> read =
      co_await ForEachRow(state, BodiesOf(run_id), "", [&](const StateRow& row) -> Result<bool> {
        Result<Task> task = DecodeTask(run_id, row.key, row.value);
        if (!task) return task.error();
        if (task->kind == TaskKind::kFind) return true;
        const auto one = std::ranges::find(task->objects, object.name, &TaskObject::name);
        if (one == task->objects.end()) return true;
        if (task->kind == TaskKind::kRange) {
          ++object.ranges_left;
          return true;
        }
        found = true;
        object.size_bytes = one->size_bytes;
        object.tries = one->tries;
        object.reason = one->tries > 0 ? task->reason : "";
        object.task = task->id;
        return true;
      });
  if (!read) co_return read.error();
  if (!found) object.ranges_left = 0;
  co_return found;
}

Async<void> AddSpeed(State& state, Clock& clock, std::string run_id, OneObject& object) {
  Result<std::vector<ClaimRow>> claims = co_await ClaimsOn(state, clock, run_id, object.task);
  if (!claims) co_return claims.error();
  object.state = claims->empty() ? OneObject::State::kPending : OneObject::State::kRunning;
  std::set<std::string> workers;
  for (ClaimRow& claim : *claims) {
    object.worker = claim.worker;
    workers.insert(std::move(claim.worker));
  }
  for (const std::string& name : workers) {
    const std::string key = "worker/" + name;
    Result<std::optional<StateRow>> row = co_await state.Get(RowsOf(run_id), key);
    if (!row) co_return row.error();
    if (!*row) continue;
    Result<WorkerRow> worker = DecodeWorker(key, (*row)->value);
    if (!worker) co_return worker.error();
    object.objects_per_second += worker->objects_per_second;
    object.bytes_per_second += worker->bytes_per_second;
  }
  Result<std::optional<StateRow>> row = co_await state.Get(RowsOf(run_id), GiantKey(object.task));
  if (!row) co_return row.error();
  if (*row) {
    Result<GiantRow> giant = DecodeGiant(**row);
    if (!giant) co_return giant.error();
    object.ranges = giant->ranges();
  }
  co_return Ok();
}

// Whether the target has it now.
Async<void> AskBoth(Runtime& runtime, const Run& run, Ends ends, OneObject& object) {
  Result<Looked> looked = co_await LookAtBoth(runtime, run, ends, TaskObject{.name = object.name});
  object.state = OneObject::State::kUnknown;
  if (!looked && IsGone(looked.error())) {
    object.reason = "it is not at the source now, and no row says what became of it";
    co_return Ok();
  }
  if (!looked) {
    object.reason =
        "it was listed, and nothing is left to do; whether the target has it could not "
        "be asked: " +
        looked.error().Describe();
    co_return Ok();
  }
  object.size_bytes = looked->size_bytes;
  const ListedObject now{.key = object.name,
                         .size_bytes = looked->size_bytes,
                         .etag = looked->etag,
                         .last_modified = looked->last_modified};
  if (!run.options.filter.Matches(object.name, now)) {
    object.state = OneObject::State::kLeftOut;
    object.reason = "the filter of the run leaves it out";
    co_return Ok();
  }
  if (looked->kind == Looked::Kind::kSame) {
    object.state = OneObject::State::kDone;
    co_return Ok();
  }
  object.reason =
      "it was listed, and nothing is left to do, but the target has it not as it is at the source "
      "now: `migrate start` carries it, `migrate verify` compares all";
  co_return Ok();
}

}  // namespace

std::string_view ToString(OneObject::State state) {
  switch (state) {
    case OneObject::State::kDone:
      return "done";
    case OneObject::State::kPending:
      return "pending";
    case OneObject::State::kRunning:
      return "running";
    case OneObject::State::kFailed:
      return "failed";
    case OneObject::State::kGone:
      return "gone";
    case OneObject::State::kNotListed:
      return "not_listed";
    case OneObject::State::kLeftOut:
      return "left_out";
    case OneObject::State::kUnknown:
      return "unknown";
  }
  return "unknown";
}

// In this order: a finder notes where it is after its tasks, and a task goes after its rows are
// written.
Async<OneObject> ReadObject(Runtime& runtime, State& state, Run run, std::optional<Ends> ends,
                            std::string why, std::string name) {
  OneObject object{.name = std::move(name)};
  Result<Coverage> coverage = co_await Coverage::Read(state, run);
  if (!coverage) co_return coverage.error();
  Result<bool> held = co_await FindTask(state, run.id, object);
  if (!held) co_return held.error();
  if (*held) {
    Result<void> added = co_await AddSpeed(state, runtime.clock, run.id, object);
    if (!added) co_return added.error();
    co_return object;
  }
  const std::string key = ObjectKey(object.name);
  Result<std::optional<StateRow>> row = co_await state.Get(RowsOf(run.id), key);
  if (!row) co_return row.error();
  if (*row) {
    Result<ObjectRow> said = DecodeObject(key, (*row)->value);
    if (!said) co_return said.error();
    object.state = said->state == ObjectRow::State::kGone ? OneObject::State::kGone
                                                          : OneObject::State::kFailed;
    object.size_bytes = said->object.size_bytes;
    object.tries = said->object.tries;
    object.reason = std::move(said->reason);
    co_return object;
  }
  object.state = coverage->Of(object.name, &object.reason);
  if (object.state != OneObject::State::kDone) co_return object;
  if (!ends) {
    object.state = OneObject::State::kUnknown;
    object.reason =
        "it was listed, and nothing is left to do; whether the target has it could not "
        "be asked: " +
        why;
    co_return object;
  }
  Result<void> asked = co_await AskBoth(runtime, run, *ends, object);
  if (!asked) co_return asked.error();
  co_return object;
}

Async<void> ReadDone(Runtime& runtime, State& state, Run run, Ends ends,
                     std::function<bool(const std::string& name, uint64_t size_bytes)> tell) {
  Result<Coverage> coverage = co_await Coverage::Read(state, run);
  if (!coverage) co_return coverage.error();
  std::unordered_set<std::string> open;
  Result<void> read =
      co_await ReadObjects(state, runtime.clock, run.id, [&open](const ObjectStatus& object) {
        open.insert(object.object.name);
        return open.size() <= kOpenObjectsMax;
      });
  if (!read) co_return read.error();
  if (open.size() > kOpenObjectsMax) {
    co_return InvalidInput("too many objects are not done yet to name those that are: ask for one");
  }
  std::unique_ptr<Listing> source =
      OpenScope(runtime, *ends.source, run.source.bucket, run.source.prefix, coverage->scope());
  std::unique_ptr<Listing> target =
      OpenScope(runtime, *ends.target, run.target.bucket, run.target.prefix, coverage->scope());
  std::optional<ListedObject> beside;
  bool ended = false;  // The target's.
  Result<void> done = Ok();
  while (done) {
    Result<std::optional<ListedObject>> next = co_await source->Next();
    if (!next) done = next.error().In("source");
    if (!next || !*next) break;
    const ListedObject& object = **next;
    const std::string name = object.key.substr(run.source.prefix.size());
    while (!ended && (!beside || beside->key.substr(run.target.prefix.size()) < name)) {
      Result<std::optional<ListedObject>> there = co_await target->Next();
      if (!there) {
        done = there.error().In("target");
        break;
      }
      beside = std::move(*there);
      ended = !beside;
    }
    if (!done) break;
    if (!beside || beside->key.substr(run.target.prefix.size()) != name) continue;
    std::string ignored;
    if (open.contains(name) || !run.options.filter.Matches(name, object) ||
        coverage->Of(name, &ignored) != OneObject::State::kDone) {
      continue;
    }
    Decision decision = Decide(object, &*beside, run.options.compare);
    if (decision.verdict == SyncVerdict::kLook) {
      OneObject one{.name = name};
      done = co_await AskBoth(runtime, run, ends, one);
      if (!done || one.state != OneObject::State::kDone) continue;
    } else if (decision.verdict != SyncVerdict::kSkip) {
      continue;
    }
    if (!tell(name, object.size_bytes)) break;
  }
  co_await source->Close();
  co_await target->Close();
  co_return done;
}

}  // namespace longhaul::migration
