#include "cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/json.h"
#include "cli/progress.h"
#include "cli/s5cmd_lines.h"

namespace longhaul {

std::string Message::Json() const {
  std::string out = "{";
  auto begin = [&out](std::string_view name) {
    if (out.size() > 1) out.push_back(',');
    AppendJsonString(out, name);
    out.push_back(':');
  };
  if (!event_.empty()) {
    begin("event");
    AppendJsonString(out, event_);
  }
  for (const auto& [name, value] : fields_) {
    begin(name);
    if (const bool* flag = std::get_if<bool>(&value)) {
      out += *flag ? "true" : "false";
    } else if (const int64_t* integer = std::get_if<int64_t>(&value)) {
      out += std::to_string(*integer);
    } else if (const Pico* wide = std::get_if<Pico>(&value)) {
      out += PicoText(*wide);
    } else if (const double* number = std::get_if<double>(&value)) {
      out += std::isfinite(*number) ? fmt::format("{:.6g}", *number) : "null";
    } else if (const std::string* text = std::get_if<std::string>(&value)) {
      AppendJsonString(out, *text);
      if (!IsUtf8(*text)) {
        begin(name + "_base64");
        AppendJsonString(out, Base64Encode(*text));
      }
    } else {
      out.push_back('[');
      bool first = true;
      for (const std::string& item : std::get<std::vector<std::string>>(value)) {
        if (!first) out.push_back(',');
        first = false;
        AppendJsonString(out, item);
      }
      out.push_back(']');
    }
  }
  out.push_back('}');
  return out;
}

const Message::Value* Message::Find(std::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (field == name) return &value;
  }
  return nullptr;
}

void Output::WriteJson(const Message& message) {
  if (!s5cmd()) return WriteLine(message.Json());
  const std::string line = S5cmdLine(message);
  if (!line.empty()) WriteLine(line);
}

void Output::WriteLine(std::string_view line) {
  if (!open_) return;
  if (progress_ != nullptr) progress_->Hide();
  if (!console_.Write(std::string(line) + "\n")) open_ = false;
}

void Output::WriteErrorLine(std::string_view line) {
  if (progress_ != nullptr) progress_->Hide();
  console_.WriteError(std::string(line) + "\n");
}

void Output::Print(const Message& message) {
  if (json_) {
    WriteJson(message);
  } else if (!message.text().empty()) {
    WriteLine(message.text());
  }
}

void Output::Note(const Message& message) {
  if (json_ || !quiet_) Print(message);
}

void Output::Problem(const Message& message) {
  if (s5cmd()) {
    if (!message.text().empty()) WriteErrorLine(S5cmdError(s5cmd_, "", message.text()));
  } else if (json_) {
    WriteLine(message.Json());
  } else if (!message.text().empty()) {
    WriteErrorLine("longhaul: " + message.text());
  }
}

void Output::Problem(std::string_view what, const Error& error) {
  if (s5cmd()) return WriteErrorLine(S5cmdError(s5cmd_, what, error.Describe()));
  std::string context = what.empty() ? std::string() : std::string(what) + ": ";
  Message message("error");
  message.With("kind", ToString(error.kind)).With("message", context + error.message);
  if (!error.code.empty()) message.With("code", error.code);
  if (error.http_status != 0) message.With("http_status", error.http_status);
  if (!error.request_id.empty()) message.With("request_id", error.request_id);
  // What a server says must not steer the terminal; lines of our own stay lines.
  std::string text;
  const std::string whole = context + error.Describe();
  for (size_t at = 0; at <= whole.size();) {
    const size_t end = std::min(whole.find('\n', at), whole.size());
    if (at > 0) text += '\n';
    text += Printable(std::string_view(whole).substr(at, end - at));
    at = end + 1;
  }
  message.Says(std::move(text));
  Problem(message);
}

void Output::Raw(std::string_view bytes) {
  if (!open_) return;
  if (progress_ != nullptr) progress_->Hide();
  if (!console_.Write(bytes)) open_ = false;
}

std::string FormatBytes(uint64_t bytes) {
  static constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string FormatCount(uint64_t count) {
  std::string digits = std::to_string(count);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string Counted(uint64_t count, std::string_view one, std::string_view many) {
  std::string text = FormatCount(count) + " ";
  if (count == 1) return text.append(one);
  return many.empty() ? text.append(one) + "s" : text.append(many);
}

std::string FormatSeconds(double seconds) {
  if (!std::isfinite(seconds) || seconds > 1e9) return "-";
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
}

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    auto c = static_cast<unsigned char>(text[i]);
    size_t length = c < 0x20 || c == 0x7F ? 0 : Utf8Length(text, i);
    if (length == 2 && c == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0) length = 0;
    if (length == 0) {
      out += fmt::format("\\x{:02x}", c);
      ++i;
    } else {
      out += text.substr(i, length);
      i += length;
    }
  }
  return out;
}

}  // namespace longhaul
