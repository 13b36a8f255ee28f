#include "base/stream_logger.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr char kHex[] = "0123456789abcdef";

std::string Number(double value) {
  std::array<char, 64> text;
  auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end.ptr};
}

// As it is when it is plain, else in quotes with escapes.
void AppendTextValue(std::string& out, std::string_view text) {
  bool plain = !text.empty();
  for (size_t i = 0; i < text.size() && plain;) {
    const size_t length = Utf8Length(text, i);
    const auto c = static_cast<uint8_t>(text[i]);
    // C1 controls (U+0080 to U+009F) steer some terminals too.
    const bool control =
        c < 0x20 || c == 0x7f || (c == 0xc2 && static_cast<uint8_t>(text[i + 1]) < 0xa0);
    plain = length > 0 && !control && c != ' ' && c != '"' && c != '\\' && c != '=';
    i += length;
  }
  if (plain) {
    out += text;
    return;
  }
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const size_t length = Utf8Length(text, i);
    const auto c = static_cast<uint8_t>(text[i]);
    const bool c1 = c == 0xc2 && length == 2 && static_cast<uint8_t>(text[i + 1]) < 0xa0;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c == '\n') {
      out += "\\n";
    } else if (length == 0 || c < 0x20 || c == 0x7f || c1) {
      for (size_t j = 0; j < std::max<size_t>(length, 1); ++j) {
        out += "\\x";
        out += kHex[static_cast<uint8_t>(text[i + j]) >> 4];
        out += kHex[static_cast<uint8_t>(text[i + j]) & 15];
      }
    } else {
      out += text.substr(i, length);
    }
    i += std::max<size_t>(length, 1);
  }
  out += '"';
}

struct AppendTextField {
  std::string& out;
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(int64_t value) const { out += std::to_string(value); }
  void operator()(double value) const { out += Number(value); }
  void operator()(const std::string& value) const { AppendTextValue(out, value); }
};

struct AppendJsonField {
  std::string& out;
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(int64_t value) const { out += std::to_string(value); }
  void operator()(double value) const { out += std::isfinite(value) ? Number(value) : "null"; }
  void operator()(const std::string& value) const { AppendJsonString(out, value); }
};

// With all six digits: logs are sorted as text, and a line must not be shorter for being on time.
std::string Timestamp(SystemTime time) {
  std::string text = FormatRfc3339(time);
  text.pop_back();  // "Z"
  if (text.find('.') == std::string::npos) text += '.';
  text.resize(std::string_view("2026-03-01T09:30:00.000000").size(), '0');
  return text + 'Z';
}

std::string JsonLine(SystemTime time, LogLevel level, std::string_view event,
                     Logger::Fields fields) {
  std::string line = "{\"ts\":\"" + Timestamp(time) + "\",\"level\":\"";
  line += ToString(level);
  line += "\",\"event\":";
  AppendJsonString(line, event);
  for (const LogField& field : fields) {
    line += ',';
    AppendJsonString(line, field.name);
    line += ':';
    std::visit(AppendJsonField{line}, field.value);
  }
  return line + "}\n";
}

std::string TextLine(SystemTime time, LogLevel level, std::string_view event, Logger::Fields fields,
                     bool color) {
  constexpr std::array<std::string_view, 4> kNames = {"debug", "info ", "warn ", "error"};
  constexpr std::array<std::string_view, 4> kColors = {"\x1b[2m", "\x1b[32m", "\x1b[33m",
                                                       "\x1b[31m"};
  const auto index = static_cast<size_t>(level);
  std::string line = Timestamp(time).substr(11, 12) + " ";
  if (color) line += kColors[index];
  line += kNames[index];
  if (color) line += "\x1b[0m";
  line += ' ';
  line += event;
  std::string_view separator = "  ";
  for (const LogField& field : fields) {
    line += separator;
    separator = " ";
    if (color) line += "\x1b[2m";
    line += field.name;
    line += '=';
    if (color) line += "\x1b[0m";
    std::visit(AppendTextField{line}, field.value);
  }
  return line + "\n";
}

}  // namespace

StreamLogger::StreamLogger(std::FILE* out, LogOptions options, std::function<SystemTime()> now)
    : out_(out), options_(options), now_(std::move(now)) {}

void StreamLogger::Log(LogLevel level, std::string_view event, Fields fields) {
  if (level < options_.level_min) return;
  const std::string line = options_.format == LogFormat::kJson
                               ? JsonLine(now_(), level, event, fields)
                               : TextLine(now_(), level, event, fields, options_.color);
  MutexLock lock(mutex_);  // stdio has a lock of its own, which the thread sanitizer does not see.
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

LogOptions LogOptionsFor(std::FILE* out,
                         const std::function<std::string(std::string_view)>& environment) {
  LogOptions options;
  if (isatty(fileno(out)) != 1) return options;
  options.format = LogFormat::kText;
  options.color = environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  return options;
}

Result<LogLevel> ParseLogLevel(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning" || text == "warn") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  return InvalidInput("'" + std::string(text.substr(0, 32)) +
                      "' is no log level; use debug, info, warning or error");
}

std::string_view ToString(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "unknown";
}

}  // namespace longhaul
