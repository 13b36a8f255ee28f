#include "migration/board.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "migration/row_scan.h"
#include "transfer/runs/row.h"

namespace longhaul::migration {

namespace {

constexpr std::string_view kTodo = "todo/";
constexpr size_t kForgetAtOnce = 200;
constexpr std::chrono::minutes kClaimsStay{1};  // After they have run out.
const std::string kEvents = "events/";
constexpr std::pair<std::string_view, int64_t TaskCounts::*> kEventCounts[] = {
    {"copied", &TaskCounts::copied},
    {"bytes", &TaskCounts::bytes},
    {"equal", &TaskCounts::equal},
    {"failed", &TaskCounts::failed},
    {"gone", &TaskCounts::gone}};

std::string TodoKey(const std::string& id) { return std::string(kTodo) + id; }
std::string DoneKey(const std::string& id) { return "done/" + id; }
std::string ClaimKey(const std::string& id) { return "claim/" + id; }

void SetCounts(Row& row, const TaskCounts& counts) {
  row.Set("copied", counts.copied)
      .Set("bytes_copied", counts.bytes)
      .Set("equal", counts.equal)
      .Set("failed", counts.failed)
      .Set("gone", counts.gone);
}

TaskCounts CountsOf(const Row& row) {
  return {.copied = row.Number("copied"),
          .bytes = row.Number("bytes_copied"),
          .equal = row.Number("equal"),
          .failed = row.Number("failed"),
          .gone = row.Number("gone")};
}

}  // namespace

std::string TaskBoard::EncodeTodo(const Task& task) const {
  int tries = 0;
  for (const TaskObject& object : task.objects) tries = std::max(tries, object.tries);
  Row row;
  // A giant is counted by its own task; its ranges tell what is left of its bytes.
  const bool counted = task.kind == TaskKind::kObjects || task.kind == TaskKind::kGiant;
  row.Set("kind", std::string(ToString(task.kind)))
      .Set("objects", counted ? static_cast<int64_t>(task.objects.size()) : 0)
      .Set("bytes", task.kind == TaskKind::kFind ? 0 : task.bytes())
      .Set("tries", tries)
      .Set("reason", task.reason);
  SetCounts(row, task.counts);
  return row.Encode();
}

Result<TodoRow> DecodeTodo(std::string_view key, std::string_view text) {
  Result<Row> row = Row::Decode(text);
  if (!row) return row.error();
  TodoRow todo{.id = std::string(key.substr(std::min(key.size(), kTodo.size()))),
               .objects = row->Number("objects"),
               .bytes = row->Number("bytes"),
               .tries = static_cast<int>(row->Number("tries")),
               .counts = CountsOf(*row),
               .reason = row->Text("reason")};
  for (TaskKind kind : {TaskKind::kFind, TaskKind::kObjects, TaskKind::kGiant, TaskKind::kRange}) {
    if (row->Text("kind") == ToString(kind)) todo.kind = kind;
  }
  return todo;
}

Result<TaskCounts> DecodeDone(std::string_view text) {
  Result<Row> row = Row::Decode(text);
  if (!row) return row.error();
  return CountsOf(*row);
}

Async<void> TaskBoard::WriteRows(std::string partition, std::vector<StateWrite> writes) {
  if (writes.empty()) co_return Ok();
  Result<std::vector<Result<int64_t>>> written =
      co_await state_.WriteMany(std::move(partition), std::move(writes));
  if (!written) co_return written.error();
  for (const Result<int64_t>& row : *written) {
    if (!row) co_return row.error();
  }
  co_return Ok();
}

Async<void> TaskBoard::Add(Task task) {
  Task name{.run = task.run, .id = task.id, .kind = task.kind};
  bool done = false;
  Result<void> put = co_await Put(std::move(task), &done);
  if (!put) co_return put.error();
  if (done) co_return Ok();
  co_return co_await Send(name);
}

Async<void> TaskBoard::Put(Task task, bool* done) {
  const std::string run = task.run;
  const std::string id = task.id;
  const bool was_sent = task.kind == TaskKind::kRange;  // Perhaps, and done since.
  if (was_sent) {
    Result<bool> over = co_await IsDone(run, id);
    if (!over) co_return over.error();
    if (done != nullptr) *done = *over;
    if (*over) co_return Ok();
  }
  std::string body = EncodeTask(task);
  StateWrite write{.key = id, .value = std::move(body), .expected = Expected::Absent()};
  Result<int64_t> written = co_await state_.Write(BodiesOf(run), std::move(write));
  if (!written && written.error().kind != ErrorKind::kPrecondition) {
    co_return written.error().In("add a task");
  }
  if (!written) {
    // Somebody was here before: it is as he left it, or done.
    bool is_done = false;
    Result<std::optional<Task>> there = co_await Look(run, id, &is_done);
    if (!there) co_return there.error();
    if (done != nullptr) *done = is_done;
    if (is_done) co_return Ok();
    if (*there) task = std::move(**there);
  }
  if (was_sent) {
    // Whoever finished it between the two looks has taken no more than was there then.
    Result<bool> over = co_await IsDone(run, id);
    if (!over) co_return over.error();
    if (done != nullptr) *done = *over;
    if (*over) co_return co_await CleanUp(run, id);
  }
  co_return co_await WriteTodo(task);
}

Async<void> TaskBoard::WriteTodo(const Task& task) {
  StateWrite todo{
      .key = TodoKey(task.id), .value = EncodeTodo(task), .expected = Expected::Absent()};
  Result<int64_t> written = co_await state_.Write(RowsOf(task.run), std::move(todo));
  if (!written && written.error().kind != ErrorKind::kPrecondition) {
    co_return written.error().In("add a task");
  }
  co_return Ok();
}

Async<void> TaskBoard::AddFirst(Task task) {
  const Task name{.run = task.run, .id = task.id, .kind = task.kind};
  StateWrite body{.key = task.id, .value = EncodeTask(task), .expected = Expected::Absent()};
  Result<int64_t> written = co_await state_.Write(BodiesOf(task.run), std::move(body));
  if (!written) co_return written.error().In("add a task");
  // A task that is done has no body any more.
  Result<bool> done = co_await IsDone(task.run, task.id);
  if (!done) co_return done.error();
  if (*done) {
    Result<void> cleaned = co_await CleanUp(task.run, task.id);
    if (!cleaned) co_return cleaned.error();
    co_return PreconditionFailed("task " + task.id + " is done already");
  }
  Result<void> noted = co_await WriteTodo(task);
  if (!noted) co_return noted.error();
  co_return co_await Send(name);
}

Async<bool> TaskBoard::IsDone(std::string run, std::string id) {
  Result<std::optional<StateRow>> row = co_await state_.Get(RowsOf(run), DoneKey(id));
  if (!row) co_return row.error().In("look for a task");
  co_return row->has_value();
}

Async<void> TaskBoard::Send(const Task& task) {
  std::vector<NewMessage> messages;
  messages.push_back(MessageOf(task.run, task.id, task.kind));
  Result<void> sent = co_await queue_.Send(std::move(messages), {});
  if (!sent) co_return sent.error().In("send a task");
  co_return Ok();
}

Async<std::optional<Task>> TaskBoard::Look(std::string run, std::string id, bool* done) {
  Result<std::optional<StateRow>> body = co_await state_.Get(BodiesOf(run), id);
  if (!body) co_return body.error().In("look for a task");
  Result<std::optional<StateRow>> end = co_await state_.Get(RowsOf(run), DoneKey(id));
  if (!end) co_return end.error().In("look for a task");
  *done = end->has_value();
  if (!*body) {
    if (!*done) co_return std::nullopt;
    co_return std::optional<Task>(Task{.run = std::move(run), .id = std::move(id)});
  }
  Result<Task> task = DecodeTask(std::move(run), std::move(id), (*body)->value);
  if (!task) co_return task.error();
  task->revision = (*body)->revision;
  co_return std::optional<Task>(std::move(*task));
}

Async<std::optional<Task>> TaskBoard::Open(std::string run, std::string id) {
  bool done = false;
  Result<std::optional<Task>> task = co_await Look(run, id, &done);
  if (!task) co_return task.error();
  if (!done && *task) co_return task;
  // Of a task of events the body goes first, and no row says that it is done.
  if (!done) {
    Result<std::optional<StateRow>> todo = co_await state_.Get(RowsOf(run), TodoKey(id));
    if (!todo) co_return todo.error().In("look for a task");
    if (!*todo) co_return std::nullopt;
  }
  // Who finished it may have died before it was gone.
  Result<void> gone = co_await CleanUp(std::move(run), std::move(id));
  if (!gone) co_return gone.error();
  co_return std::nullopt;
}

Async<Claim> TaskBoard::TryClaim(std::string run, std::string id, std::chrono::milliseconds lease) {
  const SystemTime now = runtime_.clock.Now();
  Result<std::optional<StateRow>> row = co_await state_.Get(RowsOf(run), ClaimKey(id));
  if (!row) co_return row.error().In("claim a task");
  Claim claim{.mine = true};
  Expected expected = Expected::Absent();
  if (*row) {
    Result<Row> before = Row::Decode((*row)->value);
    if (!before) co_return before.error();
    claim.worker = before->Text("worker");
    claim.again = true;
    const SystemTime until = before->Time("until").value_or(now);
    if (until > now && claim.worker != worker_) {
      claim.mine = false;
      claim.busy = std::chrono::ceil<std::chrono::milliseconds>(until - now);
      co_return claim;
    }
    // Mine, or left: something failed, and nobody died.
    const bool died = claim.worker != worker_ && !before->Flag("left");
    claim.starts = static_cast<int>(before->Number("starts")) + (died ? 1 : 0);
    expected = Expected::Revision((*row)->revision);
  }
  Row mine;
  mine.Set("worker", worker_)
      .Set("until", SystemTime(now + lease))
      .Set("starts", claim.starts)
      .Set("since", now);
  StateWrite write{.key = ClaimKey(id), .value = mine.Encode(), .expected = expected};
  Result<int64_t> written = co_await state_.Write(RowsOf(run), std::move(write));
  if (!written && written.error().kind != ErrorKind::kPrecondition) {
    co_return written.error().In("claim a task");
  }
  if (written) {
    claim.revision = *written;
  } else {
    claim.mine = false;
    claim.busy = std::chrono::seconds(1);
  }
  co_return claim;
}

Async<void> TaskBoard::Renew(std::string run, std::string id, std::chrono::milliseconds lease,
                             Claim* claim) {
  const SystemTime now = runtime_.clock.Now();
  Row mine;
  mine.Set("worker", worker_)
      .Set("until", SystemTime(now + lease))
      .Set("starts", claim->starts)
      .Set("since", now);
  StateWrite write{
      .key = ClaimKey(id), .value = mine.Encode(), .expected = Expected::Revision(claim->revision)};
  Result<int64_t> written = co_await state_.Write(RowsOf(run), std::move(write));
  if (!written && written.error().kind == ErrorKind::kPrecondition) {
    // Written, perhaps, and the answer was lost: the next one has what is there now.
    Result<std::optional<StateRow>> row = co_await state_.Get(RowsOf(run), ClaimKey(id));
    if (!row) co_return row.error().In("keep a task");
    Result<Row> there = *row ? Row::Decode((*row)->value) : Result<Row>(written.error());
    if (there && there->Text("worker") == worker_) claim->revision = (*row)->revision;
  }
  if (!written) co_return written.error().In("keep a task");
  claim->revision = *written;
  co_return Ok();
}

Async<void> TaskBoard::Leave(std::string run, std::string id, Claim claim) {
  const SystemTime now = runtime_.clock.Now();
  Row left;
  left.Set("worker", worker_)
      .Set("until", now)
      .Set("starts", claim.starts)
      .Set("since", now)
      .Set("left", true);
  StateWrite write{
      .key = ClaimKey(id), .value = left.Encode(), .expected = Expected::Revision(claim.revision)};
  Result<int64_t> written = co_await state_.Write(RowsOf(run), std::move(write));
  if (!written) co_return written.error().In("leave a task");
  co_return Ok();
}

Async<bool> TaskBoard::IsMine(std::string run, std::string id) {
  Result<std::optional<StateRow>> row = co_await state_.Get(RowsOf(run), ClaimKey(id));
  if (!row) co_return row.error().In("look for a claim");
  if (!*row) co_return false;
  Result<Row> claim = Row::Decode((*row)->value);
  if (!claim) co_return claim.error();
  co_return claim->Text("worker") == worker_;
}

Async<void> TaskBoard::Unclaim(std::string run, std::string id) {
  StateWrite removal{.key = ClaimKey(id)};
  Result<int64_t> removed = co_await state_.Write(RowsOf(run), std::move(removal));
  if (!removed) co_return removed.error().In("leave a task");
  co_return Ok();
}

Async<void> TaskBoard::Finish(Task task, std::vector<ObjectRow> objects) {
  std::vector<StateWrite> writes;
  for (const ObjectRow& object : objects) {
    writes.push_back({.key = ObjectKey(object.object.name), .value = EncodeObject(object)});
  }
  // First, and by themselves: DynamoDB writes rows one by one, in any order, and nobody opens a
  // task again that is done.
  Result<void> written = co_await WriteRows(RowsOf(task.run), std::move(writes));
  if (!written) co_return written.error().In("finish a task");
  if (task.event) {
    Result<void> counted = co_await CountEvents(task);
    if (!counted) co_return counted.error().In("finish a task");
    co_return co_await CleanUp(std::move(task.run), std::move(task.id));
  }
  Row done;
  done.Set("kind", std::string(ToString(task.kind)));
  SetCounts(done, task.counts);
  StateWrite end{.key = DoneKey(task.id), .value = done.Encode()};
  Result<int64_t> ended = co_await state_.Write(RowsOf(task.run), std::move(end));
  if (!ended) co_return ended.error().In("finish a task");
  co_return co_await CleanUp(std::move(task.run), std::move(task.id));
}

Async<void> TaskBoard::CountEvents(const Task& task) {
  for (const auto& [name, member] : kEventCounts) {
    const int64_t count = task.counts.*member;
    if (count == 0) continue;
    Result<int64_t> added =
        co_await state_.Add(RowsOf(task.run), kEvents + std::string(name), count);
    if (!added) co_return added.error();
  }
  co_return Ok();
}

Result<void> AddEventCount(const StateRow& row, TaskCounts* counts, int64_t* named) {
  int64_t number = 0;
  const char* const end = row.value.data() + row.value.size();
  const auto [at, error] = std::from_chars(row.value.data(), end, number);
  if (error != std::errc() || at != end) return Corrupt(row.key + " is no number");
  if (row.key == kEventsNamed) *named += number;
  for (const auto& [name, member] : kEventCounts) {
    if (row.key == kEvents + std::string(name)) counts->*member += number;
  }
  return Ok();
}

Async<void> TaskBoard::CleanUp(std::string run, std::string id) {
  StateWrite body{.key = id};
  Result<int64_t> removed = co_await state_.Write(BodiesOf(run), std::move(body));
  if (!removed) co_return removed.error().In("finish a task");
  std::vector<StateWrite> removals;
  removals.push_back({.key = ClaimKey(id)});
  removals.push_back({.key = "giant/" + id});
  removals.push_back({.key = TodoKey(id)});
  Result<void> written = co_await WriteRows(RowsOf(run), std::move(removals));
  if (!written) co_return written.error().In("finish a task");
  co_return Ok();
}

Async<void> TaskBoard::SweepClaims(std::string run) {
  const SystemTime now = runtime_.clock.Now();
  Result<std::vector<StateRow>> claims = co_await RowsBelow(state_, RowsOf(run), ClaimKey(""));
  if (!claims) co_return claims.error().In("sweep claims");
  for (const StateRow& row : *claims) {
    Result<Row> claim = Row::Decode(row.value);
    if (!claim) co_return claim.error();
    if (claim->Time("until").value_or(now) + kClaimsStay > now) continue;
    Result<std::optional<StateRow>> body =
        co_await state_.Get(BodiesOf(run), row.key.substr(ClaimKey("").size()));
    if (!body) co_return body.error().In("sweep claims");
    if (*body) continue;
    StateWrite removal{.key = row.key, .expected = Expected::Revision(row.revision)};
    Result<int64_t> removed = co_await state_.Write(RowsOf(run), std::move(removal));
    if (!removed && removed.error().kind != ErrorKind::kPrecondition) {
      co_return removed.error().In("sweep claims");
    }
  }
  co_return Ok();
}

Async<void> TaskBoard::Forget(std::string run, std::vector<std::string> ids) {
  for (size_t begin = 0; begin < ids.size(); begin += kForgetAtOnce) {
    std::vector<StateWrite> bodies;
    std::vector<StateWrite> rows;
    for (size_t i = begin; i < std::min(ids.size(), begin + kForgetAtOnce); ++i) {
      bodies.push_back({.key = ids[i]});
      rows.push_back({.key = ClaimKey(ids[i])});
      rows.push_back({.key = DoneKey(ids[i])});
      rows.push_back({.key = TodoKey(ids[i])});
    }
    Result<void> written = co_await WriteRows(BodiesOf(run), std::move(bodies));
    if (!written) co_return written.error().In("forget tasks");
    written = co_await WriteRows(RowsOf(run), std::move(rows));
    if (!written) co_return written.error().In("forget tasks");
  }
  co_return Ok();
}

Async<void> TaskBoard::PutBack(Task task, std::vector<ObjectRow> objects) {
  std::vector<StateWrite> rows;
  for (const ObjectRow& object : objects) {
    rows.push_back({.key = ObjectKey(object.object.name), .value = EncodeObject(object)});
  }
  Result<void> written = co_await WriteRows(RowsOf(task.run), std::move(rows));
  if (!written) co_return written.error().In("put a task back");
  // Not where somebody else has got hold of it: a worker that stood still is late.
  StateWrite body{
      .key = task.id, .value = EncodeTask(task), .expected = Expected::Revision(task.revision)};
  Result<int64_t> put = co_await state_.Write(BodiesOf(task.run), std::move(body));
  if (!put) co_return put.error().In("put a task back");
  std::vector<StateWrite> writes;
  writes.push_back({.key = TodoKey(task.id), .value = EncodeTodo(task)});
  writes.push_back({.key = ClaimKey(task.id)});
  written = co_await WriteRows(RowsOf(task.run), std::move(writes));
  if (!written) co_return written.error().In("put a task back");
  co_return Ok();
}

}  // namespace longhaul::migration
