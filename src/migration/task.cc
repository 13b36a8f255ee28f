#include "migration/task.h"

#include <algorithm>

#include "archive/json_text.h"
#include "rules/configuration.h"
#include "transfer/runs/row.h"

namespace longhaul::migration {

namespace {

constexpr std::string_view kObjectPrefix = "object/";
constexpr size_t kNameBytesMax = 128;  // Of runs and tasks; both are shorter.

void AppendMember(std::string& out, std::string_view name, std::string_view text) {
  if (text.empty()) return;
  out += ",\"";
  out += name;
  out += "\":";
  archive::AppendJsonString(out, text);
}
void AppendMember(std::string& out, std::string_view name, int64_t number) {
  if (number == 0) return;
  out += ",\"";
  out += name;
  out += "\":";
  out += std::to_string(number);
}

void AppendObject(std::string& out, const TaskObject& object) {
  out += '[';
  archive::AppendJsonString(out, object.name);
  out += ',';
  out += std::to_string(object.size_bytes);
  out += ',';
  archive::AppendJsonString(out, object.etag);
  out += ',';
  out += std::to_string(object.tries);
  out += ',';
  out += std::to_string(static_cast<int>(object.look));
  out += ']';
}

Look LookOf(int64_t number) {
  return static_cast<Look>(std::clamp<int64_t>(number, 0, static_cast<int64_t>(Look::kEvent)));
}

void ReadObject(archive::JsonCursor& cursor, TaskObject& object) {
  cursor.Expect('[');
  cursor.String(&object.name);
  cursor.Expect(',');
  object.size_bytes = static_cast<uint64_t>(cursor.Integer());
  cursor.Expect(',');
  cursor.String(&object.etag);
  cursor.Expect(',');
  object.tries = static_cast<int>(cursor.Integer());
  cursor.Expect(',');
  object.look = LookOf(cursor.Integer());
  cursor.Expect(']');
}

}  // namespace

std::string_view ToString(TaskKind kind) {
  switch (kind) {
    case TaskKind::kFind:
      return "find";
    case TaskKind::kObjects:
      return "objects";
    case TaskKind::kGiant:
      return "giant";
    case TaskKind::kRange:
      return "range";
  }
  return "objects";
}

void TaskCounts::Add(const TaskCounts& other) {
  copied += other.copied;
  bytes += other.bytes;
  equal += other.equal;
  failed += other.failed;
  gone += other.gone;
}

uint64_t Task::bytes() const {
  uint64_t sum = 0;
  for (const TaskObject& object : objects) sum += object.size_bytes;
  return sum;
}

size_t EncodedBytes(const TaskObject& object) {
  // Control characters take six bytes, those that are not UTF-8 four.
  size_t name = 0;
  for (const char c : object.name) {
    const auto byte = static_cast<unsigned char>(c);
    name += byte < 0x20 ? 6 : byte < 0x80 ? (c == '"' || c == '\\' ? 2 : 1) : 4;
  }
  return name + 2 * object.etag.size() + 42;
}

std::string EncodeTask(const Task& task) {
  std::string out = "{\"kind\":\"";
  out += ToString(task.kind);
  out += '"';
  AppendMember(out, "until", task.until);
  AppendMember(out, "reason", task.reason);
  AppendMember(out, "giant", task.giant);
  AppendMember(out, "plan", task.plan);
  AppendMember(out, "range", static_cast<int64_t>(task.range));
  AppendMember(out, "own_parts", task.own_parts ? 1 : 0);
  AppendMember(out, "check", task.check ? 1 : 0);
  AppendMember(out, "event", task.event ? 1 : 0);
  AppendMember(out, "starts", task.starts);
  AppendMember(out, "copied", task.counts.copied);
  AppendMember(out, "bytes", task.counts.bytes);
  AppendMember(out, "equal", task.counts.equal);
  AppendMember(out, "failed", task.counts.failed);
  AppendMember(out, "gone", task.counts.gone);
  out += ",\"objects\":[";
  for (size_t i = 0; i < task.objects.size(); ++i) {
    if (i > 0) out += ',';
    AppendObject(out, task.objects[i]);
  }
  out += "]}";
  return out;
}

Result<Task> DecodeTask(std::string run, std::string id, std::string_view text) {
  Task task{.run = std::move(run), .id = std::move(id)};
  archive::JsonCursor cursor(text);
  bool first = true;
  std::string name;
  std::string kind;
  cursor.Expect('{');
  while (cursor.ok() && cursor.NextMember(first, name)) {
    if (name == "objects") {
      bool first_object = true;
      cursor.Expect('[');
      while (cursor.ok() && cursor.NextElement(first_object)) {
        ReadObject(cursor, task.objects.emplace_back());
      }
    } else if (name == "kind") {
      cursor.String(&kind);
    } else if (name == "until") {
      cursor.String(&task.until);
    } else if (name == "reason") {
      cursor.String(&task.reason);
    } else if (name == "giant") {
      cursor.String(&task.giant);
    } else if (name == "plan") {
      cursor.String(&task.plan);
    } else if (name == "own_parts") {
      task.own_parts = cursor.Integer() != 0;
    } else if (name == "range") {
      task.range = static_cast<uint32_t>(cursor.Integer());
    } else if (name == "check") {
      task.check = cursor.Integer() != 0;
    } else if (name == "starts") {
      task.starts = cursor.Integer();
    } else if (name == "event") {
      task.event = cursor.Integer() != 0;
    } else if (name == "copied") {
      task.counts.copied = cursor.Integer();
    } else if (name == "bytes") {
      task.counts.bytes = cursor.Integer();
    } else if (name == "equal") {
      task.counts.equal = cursor.Integer();
    } else if (name == "failed") {
      task.counts.failed = cursor.Integer();
    } else if (name == "gone") {
      task.counts.gone = cursor.Integer();
    } else {
      cursor.Skip();
    }
  }
  cursor.AtEnd();
  bool known = false;
  for (TaskKind one : {TaskKind::kFind, TaskKind::kObjects, TaskKind::kGiant, TaskKind::kRange}) {
    if (kind != ToString(one)) continue;
    task.kind = one;
    known = true;
  }
  if (!cursor.ok() || !known) {
    return Corrupt("State holds a task that cannot be read: " + std::string(text.substr(0, 200)));
  }
  return task;
}

NewMessage MessageOf(const std::string& run, const std::string& id, TaskKind kind) {
  Row row;
  row.Set("run", run).Set("task", id);
  return {.body = row.Encode(), .lane = kind == TaskKind::kFind ? FindLane(run) : WorkLane(run)};
}

Result<TaskName> ReadMessage(std::string_view body) {
  Result<Row> row = Row::Decode(body);
  if (!row) return InvalidInput("not a message of a migration");
  TaskName name{.run = row->Text("run"), .id = row->Text("task")};
  if (!IsPlainName(name.run, kNameBytesMax) || !IsPlainName(name.id, kNameBytesMax)) {
    return InvalidInput("not a message of a migration");
  }
  return name;
}

std::string FindLane(const std::string& run) { return run + "/find"; }
std::string WorkLane(const std::string& run) { return run + "/work"; }

std::string ObjectKey(std::string_view name) {
  return std::string(kObjectPrefix) + std::string(name);
}

std::string EncodeObject(const ObjectRow& row) {
  Row out;
  out.Set("state", row.state == ObjectRow::State::kGone ? "gone" : "failed")
      .Set("size", row.object.size_bytes)
      .Set("etag", row.object.etag)
      .Set("tries", row.object.tries)
      .Set("look", static_cast<int>(row.object.look))
      .Set("reason", row.reason)
      .Set("time", row.time);
  return out.Encode();
}

Result<ObjectRow> DecodeObject(std::string_view key, std::string_view text) {
  Result<Row> row = Row::Decode(text);
  if (!row) return row.error();
  if (!key.starts_with(kObjectPrefix)) return Corrupt("not the row of an object");
  ObjectRow object{
      .state = row->Text("state") == "gone" ? ObjectRow::State::kGone : ObjectRow::State::kFailed,
      .object = {.name = std::string(key.substr(kObjectPrefix.size())),
                 .size_bytes = static_cast<uint64_t>(row->Number("size")),
                 .etag = row->Text("etag"),
                 .tries = static_cast<int>(row->Number("tries")),
                 .look = LookOf(row->Number("look"))},
      .reason = row->Text("reason")};
  object.time = row->Time("time").value_or(SystemTime{});
  return object;
}

}  // namespace longhaul::migration
