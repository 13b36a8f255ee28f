#include "migration/finder.h"

#include <algorithm>
#include <utility>

#include "migration/plan.h"
#include "migration/request.h"
#include "transfer/runs/row.h"

namespace longhaul::migration {

namespace {

constexpr int kRowsPerScan = 500;

}  // namespace

std::string FindKey(const std::string& id) { return "find/" + id; }

std::string EncodeFind(const FindRow& row) {
  Row out;
  out.Set("prefix", row.prefix)
      .Set("check", row.check)
      .Set("starts", row.starts)
      .Set("cursor", row.cursor)
      .Set("next", row.next)
      .Set("listed", row.listed)
      .Set("listed_bytes", row.listed_bytes)
      .Set("equal", row.equal)
      .Set("found", row.found)
      .Set("found_bytes", row.found_bytes)
      .Set("begun", row.begun)
      .Set("done", row.done)
      .Set("nothing", row.nothing)
      .Set("failure", row.failure);
  return out.Encode();
}

Result<FindRow> DecodeFind(const StateRow& state) {
  Result<Row> row = Row::Decode(state.value);
  if (!row) return row.error();
  return FindRow{.id = state.key.substr(std::min(state.key.size(), FindKey("").size())),
                 .prefix = row->Text("prefix"),
                 .check = row->Flag("check"),
                 .starts = row->Number("starts"),
                 .cursor = row->Text("cursor"),
                 .next = row->Number("next"),
                 .listed = row->Number("listed"),
                 .listed_bytes = row->Number("listed_bytes"),
                 .equal = row->Number("equal"),
                 .found = row->Number("found"),
                 .found_bytes = row->Number("found_bytes"),
                 .begun = row->Flag("begun"),
                 .done = row->Flag("done"),
                 .nothing = row->Flag("nothing"),
                 .failure = row->Text("failure"),
                 .revision = state.revision};
}

std::string NumberedId(const std::string& prefix, int64_t number) {
  const std::string digits = std::to_string(number);
  return prefix + "-" + std::string(8 - std::min<size_t>(8, digits.size()), '0') + digits;
}

struct Finder::Pass {
  const Run& run;
  FindRow& row;
  Ends ends;
  Event& stop;
  MissingReader& missing;
  FindRow before;  // As it was when the listing began.
  std::vector<TaskObject> gathered;
  TaskShape shape{};
  bool listing_failed = false;

  // Notes what has been listed: up to the last one gathered, or to where the listing is.
  void Count() {
    const MissingCounts& counts = missing.counts();
    row.listed = before.listed + counts.listed;
    row.listed_bytes = before.listed_bytes + counts.listed_bytes;
    row.equal = before.equal + counts.equal;
  }
};

Async<FindRow> Finder::Read(const std::string& run_id, const std::string& find) {
  Result<std::optional<StateRow>> state = co_await state_.Get(RowsOf(run_id), FindKey(find));
  if (!state) co_return state.error().In("look for a find");
  if (!*state) co_return NotFound("there is no find " + find, std::string(kNoSuchFind));
  co_return DecodeFind(**state);
}

Async<void> Finder::Save(const std::string& run_id, FindRow& row) {
  StateWrite write{.key = FindKey(row.id),
                   .value = EncodeFind(row),
                   .expected = Expected::Revision(row.revision)};
  Result<int64_t> written = co_await state_.Write(RowsOf(run_id), std::move(write));
  if (!written) co_return written.error().In("note how far a find is");
  row.revision = *written;
  co_return Ok();
}

Async<void> Finder::MakeAnew(const Run& run, std::string find, std::string prefix) {
  const FindRow row{
      .id = std::move(find), .prefix = std::move(prefix), .check = true, .starts = -1};
  StateWrite write{
      .key = FindKey(row.id), .value = EncodeFind(row), .expected = Expected::Absent()};
  Result<int64_t> written = co_await state_.Write(RowsOf(run.id), std::move(write));
  if (!written && written.error().kind != ErrorKind::kPrecondition) {
    co_return written.error().In("make a find anew");
  }
  co_return Ok();
}

Async<void> Finder::GiveUp(const Run& run, std::string find, std::string reason) {
  Result<FindRow> row = co_await Read(run.id, find);
  if (!row) co_return row.error();
  row->failure = std::move(reason);
  co_return co_await Save(run.id, *row);
}

Async<void> Finder::ForgetObjects(const Run& run, const std::string& prefix) {
  const std::string begin = ObjectKey(prefix);
  // Of an object that has the prefix for a name.
  Result<std::optional<StateRow>> own = co_await state_.Get(RowsOf(run.id), begin);
  if (!own) co_return own.error().In("forget what failed");
  std::vector<StateRow> rows;
  if (*own) rows.push_back(std::move(**own));
  std::string after = begin;
  for (bool more = true; more;) {
    Result<std::vector<StateRow>> page = co_await state_.Scan(RowsOf(run.id), after, kRowsPerScan);
    if (!page) co_return page.error().In("forget what failed");
    if (!page->empty()) after = page->back().key;
    more = std::ssize(*page) == kRowsPerScan && after.starts_with(begin);
    for (StateRow& row : *page) {
      if (row.key.starts_with(begin)) rows.push_back(std::move(row));
    }
    Result<void> forgotten = co_await ForgetRows(run, std::exchange(rows, {}));
    if (!forgotten) co_return forgotten.error().In("forget what failed");
  }
  co_return Ok();
}

Async<void> Finder::ForgetRows(const Run& run, std::vector<StateRow> rows) {
  std::vector<StateWrite> removals;
  std::vector<TaskObject> named;
  TaskShape shape;
  for (const StateRow& row : rows) {
    removals.push_back({.key = row.key, .expected = Expected::Revision(row.revision)});
    Result<ObjectRow> said = DecodeObject(row.key, row.value);
    if (!said || said->state != ObjectRow::State::kFailed) continue;
    if (said->object.look != Look::kEvent) continue;
    TaskObject object{.name = std::move(said->object.name), .look = Look::kEvent};
    if (!shape.HasRoomFor(object, run.options)) {
      Result<void> added = co_await AddNamed(run, std::exchange(named, {}));
      if (!added) co_return added.error();
      shape = {};
    }
    shape.Add(object);
    named.push_back(std::move(object));
  }
  // Before their rows go.
  Result<void> added = co_await AddNamed(run, std::move(named));
  if (!added) co_return added.error();
  if (removals.empty()) co_return Ok();
  Result<std::vector<Result<int64_t>>> removed =
      co_await state_.WriteMany(RowsOf(run.id), std::move(removals));
  if (!removed) co_return removed.error();
  for (const Result<int64_t>& row : *removed) {
    // One that was written meanwhile is of a try that this find knows nothing of.
    if (!row && row.error().kind != ErrorKind::kPrecondition) co_return row.error();
  }
  co_return Ok();
}

Async<void> Finder::AddNamed(const Run& run, std::vector<TaskObject> objects) {
  if (objects.empty()) co_return Ok();
  Task task{.run = run.id,
            .id = NewUlid(runtime_.clock.Now(), runtime_.random),
            .objects = std::move(objects),
            .check = true,
            .event = true};
  co_return co_await board_.Add(std::move(task));
}

Async<void> Finder::Resume(const Run& run, FindRow& row) {
  while (true) {
    const std::string id = NumberedId(row.id, row.next);
    bool done = false;
    Result<std::optional<Task>> task = co_await board_.Look(run.id, id, &done);
    if (!task) co_return task.error();
    if (!*task) co_return Ok();
    // A done one without a body does not say up to where it went; what it copied is equal by now,
    // so going on from before it makes nothing twice.
    if (!done) {
      row.cursor = std::max(row.cursor, (*task)->until);
      row.found += static_cast<int64_t>((*task)->objects.size());
      row.found_bytes += static_cast<int64_t>((*task)->bytes());
      Result<void> sent = co_await board_.Add(std::move(**task));
      if (!sent) co_return sent.error();
    }
    ++row.next;
    Result<void> saved = co_await Save(run.id, row);
    if (!saved) co_return saved.error();
  }
}

Async<void> Finder::Work(Run run, Ends ends, std::string find, Event& stop, bool* listing_failed) {
  Result<FindRow> row = co_await Read(run.id, find);
  if (!row) co_return row.error();
  if (row->done) co_return Ok();
  if (!row->begun) {
    Result<void> apart = co_await CheckNotOneBucket(runtime_, run, ends);
    if (!apart) {
      *listing_failed = true;
      co_return apart;
    }
    Result<void> forgotten = co_await ForgetObjects(run, row->prefix);
    if (!forgotten) co_return forgotten.error();
    row->begun = true;
    row->failure.clear();
    Result<void> saved = co_await Save(run.id, *row);
    if (!saved) co_return saved.error();
    // A start that has seen that it had not begun asks for none of its own, and has said before
    // by what is to be compared.
    Result<std::optional<Run>> now = co_await RunBook(runtime_, state_).Find(run.id);
    if (!now) co_return now.error();
    if (!*now || !HasPlacesOf(**now, run)) {
      co_return PreconditionFailed("run " + run.id + " is another one by now");
    }
    run = std::move(**now);
  }
  Result<void> resumed = co_await Resume(run, *row);
  if (!resumed) co_return resumed.error();

  MissingReader missing(runtime_, run, ends, row->prefix, row->cursor);
  Pass pass{
      .run = run, .row = *row, .ends = ends, .stop = stop, .missing = missing, .before = *row};
  Result<void> merged = co_await Merge(pass);
  co_await missing.Close();
  *listing_failed = pass.listing_failed;
  co_return merged;
}

Async<void> Finder::Merge(Pass& pass) {
  const MigrationOptions& options = pass.run.options;
  FindRow& row = pass.row;
  while (true) {
    if (pass.stop.is_set()) co_return Cancelled("stopped on request");
    Result<std::optional<Missing>> missing = co_await pass.missing.Next();
    if (!missing) {
      pass.listing_failed = true;
      co_return missing.error();
    }
    if (*missing && (*missing)->none) {
      if (!pass.gathered.empty()) continue;  // Noted with these.
      pass.Count();
      row.cursor = pass.missing.last_name();
      Result<void> saved = co_await Save(pass.run.id, row);
      if (!saved) co_return saved.error();
      continue;
    }
    const bool full =
        pass.shape.objects > 0 &&
        (!*missing || (*missing)->giant || !pass.shape.HasRoomFor((*missing)->object, options));
    if (full) {
      Result<void> flushed = co_await Flush(pass, TaskKind::kObjects);
      if (!flushed) co_return flushed.error();
    }
    if (!*missing) break;
    const bool giant = (*missing)->giant;
    pass.shape.Add((*missing)->object);
    pass.gathered.push_back(std::move((*missing)->object));
    pass.Count();
    if (giant) {
      Result<void> flushed = co_await Flush(pass, TaskKind::kGiant);
      if (!flushed) co_return flushed.error();
    }
  }
  pass.Count();
  row.done = true;
  row.nothing = row.cursor.empty() && pass.missing.counts().seen == 0;
  co_return co_await Save(pass.run.id, row);
}

Async<void> Finder::Flush(Pass& pass, TaskKind kind) {
  Result<void> room = co_await WaitForRoom(pass.stop);
  if (!room) co_return room.error();
  FindRow& row = pass.row;
  row.found += static_cast<int64_t>(pass.gathered.size());
  row.found_bytes += static_cast<int64_t>(pass.shape.bytes);
  Task task{.run = pass.run.id,
            .id = NumberedId(row.id, row.next),
            .kind = kind,
            .objects = std::move(pass.gathered),
            .check = row.check,
            .starts = row.starts};
  task.until = task.objects.back().name;
  const std::string until = task.until;
  pass.gathered.clear();
  pass.shape = {};
  // Of another finder, which was slower or faster, there may be one that ends elsewhere: whoever
  // comes next goes on from where that one ends.
  Result<void> added = co_await board_.AddFirst(std::move(task));
  if (!added) co_return added.error();
  row.cursor = until;
  ++row.next;
  co_return co_await Save(pass.run.id, row);
}

Async<void> Finder::WaitForRoom(Event& stop) {
  while (!stop.is_set()) {
    Result<QueueDepth> depth = co_await queue_.Depth();
    if (!depth) co_return depth.error().In("look at the queue");
    const int64_t waiting = depth->visible + depth->delayed;
    if (waiting < limits_.tasks_waiting_max) co_return Ok();
    // What waits to be compared has to wait for those who compare: they never would have room.
    Result<int64_t> finds = co_await FindsWaiting();
    if (!finds) co_return finds.error().In("count what is to be compared");
    if (waiting - *finds < limits_.tasks_waiting_max) co_return Ok();
    co_await stop.WaitFor(runtime_.clock, limits_.wait);
  }
  co_return Cancelled("stopped on request");
}

Async<int64_t> Finder::FindsWaiting() {
  const SteadyTime now = runtime_.clock.SteadyNow();
  if (finds_counted_ && now < *finds_counted_ + limits_.count_finds_every) co_return finds_waiting_;
  Result<std::vector<Run>> runs = co_await RunBook(runtime_, state_).All();
  if (!runs) co_return runs.error();
  int64_t count = 0;
  for (const Run& run : *runs) {
    if (run.finished || run.stopped) continue;
    // Tasks that are in the Queue have a row each; those of finds say so.
    std::string after = "todo/";
    while (true) {
      Result<std::vector<StateRow>> page =
          co_await state_.Scan(RowsOf(run.id), after, kRowsPerScan);
      if (!page) co_return page.error();
      for (const StateRow& row : *page) {
        if (!row.key.starts_with("todo/")) break;
        Result<TodoRow> todo = DecodeTodo(row.key, row.value);
        if (todo && todo->kind == TaskKind::kFind) ++count;
      }
      if (std::ssize(*page) < kRowsPerScan || !page->back().key.starts_with("todo/")) break;
      after = page->back().key + '\0';
    }
  }
  finds_waiting_ = count;
  finds_counted_ = now;
  co_return count;
}

}  // namespace longhaul::migration
