#include "cli/s5cmd_lines.h"

#include <chrono>
#include <map>
#include <variant>

#include "base/clock.h"
#include "base/json.h"
#include "cli/output.h"

namespace longhaul {

namespace {

// The fields of one JSON object, in order.
class Fields {
 public:
  Fields& Text(std::string_view name, std::string_view value) {
    Begin(name);
    AppendJsonString(text_, value);
    return *this;
  }
  Fields& TextIfAny(std::string_view name, std::string_view value) {
    return value.empty() ? *this : Text(name, value);
  }
  // A number, true, or an object.
  Fields& Raw(std::string_view name, std::string_view value) {
    Begin(name);
    text_ += value;
    return *this;
  }
  [[nodiscard]] std::string Object() const { return text_ + "}"; }

 private:
  void Begin(std::string_view name) {
    if (text_.size() > 1) text_ += ',';
    AppendJsonString(text_, name);
    text_ += ':';
  }
  std::string text_ = "{";
};

std::string_view TextOf(const Message& message, std::string_view name) {
  const Message::Value* value = message.Find(name);
  const std::string* text = value != nullptr ? std::get_if<std::string>(value) : nullptr;
  return text != nullptr ? std::string_view(*text) : std::string_view();
}

std::string SizeOf(const Message& message) {
  const Message::Value* value = message.Find("size");
  const int64_t* size = value != nullptr ? std::get_if<int64_t>(value) : nullptr;
  return std::to_string(size != nullptr ? *size : 0);
}

}  // namespace

std::string S5cmdLine(const Message& message) {
  static const std::map<std::string_view, std::string_view> kOperations = {
      {"copied", "cp"},     {"would_copy", "cp"}, {"moved", "mv"},
      {"would_move", "mv"}, {"removed", "rm"},    {"would_remove", "rm"}};
  if (message.event() == "bucket") {
    return Fields()
        .Text("created_at", TextOf(message, "created"))
        .Text("name", TextOf(message, "bucket"))
        .Object();
  }
  auto operation = kOperations.find(message.event());
  if (operation == kOperations.end()) return "";
  Fields line;
  line.Text("operation", operation->second).Raw("success", "true");
  if (operation->second == "rm") {
    line.Text("source", TextOf(message, "target"));
  } else {
    line.Text("source", TextOf(message, "source"))
        .Text("destination", TextOf(message, "target"))
        .Raw("object", Fields().Text("type", "file").Raw("size", SizeOf(message)).Object());
  }
  return line.TextIfAny("version_id", TextOf(message, "version_id")).Object();
}

std::string S5cmdError(std::string_view operation, std::string_view what,
                       std::string_view message) {
  std::string job(operation);
  if (!what.empty()) job.append(" ").append(what);
  return Fields().Text("operation", operation).Text("job", job).Text("error", message).Object();
}

std::string S5cmdObject(std::string_view address, const ListedObject& object) {
  Fields line;
  line.Text("key", address)
      .TextIfAny("etag", object.etag)
      .Text("last_modified",
            FormatRfc3339(std::chrono::floor<std::chrono::seconds>(object.last_modified)))
      .Text("type", "file")
      .Raw("size", std::to_string(object.size_bytes))
      .TextIfAny("storage_class", object.storage_class)
      .TextIfAny("version_id", object.version_id);
  return line.Object();
}

std::string S5cmdFolder(std::string_view address) {
  return Fields().Text("key", address).Text("type", "directory").Object();
}

}  // namespace longhaul
