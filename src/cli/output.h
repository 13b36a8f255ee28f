// Output: what a command tells its caller, for a person or, with --json, for a program.
//
// A Message is one thing that happened: an event name, fields, and the sentence for a person. With
// --json each is one line on standard output, {"event":"copied","key":…}; the last one of a run is
// a summary ({"event":"summary",…}). As text, results go to standard output, problems to standard
// error, so that pipes carry only what was asked for.

#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cli/console.h"
#include "cost/pico.h"

namespace longhaul {

class Message {
 public:
  using Value = std::variant<bool, int64_t, Pico, double, std::string, std::vector<std::string>>;

  // Without an `event`: a line of a file in which all lines are of one kind.
  explicit Message(std::string_view event = "") : event_(event) {}

  // What a person reads; one line without its end, or several. Empty: nothing is printed as text.
  Message& Says(std::string text) & {
    text_ = std::move(text);
    return *this;
  }
  Message&& Says(std::string text) && {
    text_ = std::move(text);
    return std::move(*this);
  }
  template <class T>
  Message& With(std::string_view name, T value) & {
    Add(name, std::move(value));
    return *this;
  }
  template <class T>
  Message&& With(std::string_view name, T value) && {
    Add(name, std::move(value));
    return std::move(*this);
  }

  // One line. A text that is not UTF-8 (keys are bytes) has U+FFFD where it is not, and beside it
  // stands NAME_base64 with the bytes.
  [[nodiscard]] std::string Json() const;
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& event() const { return event_; }
  // Null: there is no such field.
  [[nodiscard]] const Value* Find(std::string_view name) const;

 private:
  void Add(std::string_view name, bool value) { fields_.emplace_back(name, value); }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  void Add(std::string_view name, T value) {
    fields_.emplace_back(name, static_cast<int64_t>(value));
  }
  // All digits, in JSON too.
  void Add(std::string_view name, Pico value) { fields_.emplace_back(name, value); }
  void Add(std::string_view name, double value) { fields_.emplace_back(name, value); }
  void Add(std::string_view name, std::string value) {
    fields_.emplace_back(name, std::move(value));
  }
  void Add(std::string_view name, std::string_view value) {
    fields_.emplace_back(name, std::string(value));
  }
  void Add(std::string_view name, const char* value) {
    fields_.emplace_back(name, std::string(value));
  }
  void Add(std::string_view name, std::vector<std::string> value) {
    fields_.emplace_back(name, std::move(value));
  }

  std::string event_;
  std::string text_;
  std::vector<std::pair<std::string, Value>> fields_;
};

class Progress;

// Belongs to the main thread.
class Output {
 public:
  Output(Console& console, bool json, bool quiet) : console_(console), json_(json), quiet_(quiet) {}

  // A result: what the command was asked for. Printed also with --quiet.
  void Print(const Message& message);
  // What the command is doing; not printed as text with --quiet.
  void Note(const Message& message);
  // Something went wrong for one object or for the run; on standard error as text.
  void Problem(const Message& message);
  // The same from an Error: {"event":"error","kind":…,"message":…}.
  void Problem(std::string_view what, const Error& error);
  // Raw bytes on standard output (`cat`, help).
  void Raw(std::string_view bytes);

  // From now on the lines of s5cmd (s5cmd_lines.h) in place of ours. `operation`: the command.
  void TellAsS5cmd(std::string_view operation) { s5cmd_ = operation; }
  [[nodiscard]] bool s5cmd() const { return !s5cmd_.empty(); }

  // False once standard output is closed: end quietly.
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] bool json() const { return json_; }
  [[nodiscard]] bool quiet() const { return quiet_; }
  [[nodiscard]] Console& console() const { return console_; }

  // While a progress line stands on the terminal, every message first takes it away.
  void set_progress(Progress* progress) { progress_ = progress; }

 private:
  void WriteJson(const Message& message);
  void WriteLine(std::string_view line);
  void WriteErrorLine(std::string_view line);

  Console& console_;
  bool json_;
  bool quiet_;
  bool open_ = true;
  std::string s5cmd_;
  Progress* progress_ = nullptr;
};

// "12.3 MiB", "512 B". Exact below 1 KiB, one digit after the point above.
std::string FormatBytes(uint64_t bytes);
// "1,234,567".
std::string FormatCount(uint64_t count);
// "1 object", "1,234 objects"; `many` where an s does not do.
std::string Counted(uint64_t count, std::string_view one, std::string_view many = "");
// "1h 02m", "3m 05s", "12.3 s".
std::string FormatSeconds(double seconds);
// Text with control characters as \xNN, for keys on a terminal.
std::string Printable(std::string_view text);

}  // namespace longhaul
