#include "cli/log_writer.h"

#include <fmt/format.h>

#include <chrono>

#include "base/clock.h"
#include "cli/output.h"

namespace longhaul {

namespace {

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
constexpr std::string_view kColours[] = {"\x1b[2m", "", "\x1b[33m", "\x1b[31m"};

std::string Stamp() {
  return FormatRfc3339(
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()));
}

}  // namespace

LogWriter::LogWriter(Console& console, std::string_view level, std::string_view format)
    : console_(console) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == level) least_ = static_cast<LogLevel>(i);
  }
  json_ = format == "json" || (format == "auto" && !console.error_is_terminal());
  colour_ = !json_ && WantsColour(console);
}

void LogWriter::Log(LogLevel level, std::string_view event, Fields fields) {
  if (level < least_) return;
  auto index = static_cast<size_t>(level);
  std::string line;
  if (json_) {
    Message message(event);
    message.With("ts", Stamp()).With("level", kNames[index]);
    for (const LogField& field : fields) {
      std::visit([&](const auto& value) { message.With(field.name, value); }, field.value);
    }
    line = message.Json();
  } else {
    line = Stamp() + " " + std::string(kColours[colour_ ? index : 1]) + std::string(kNames[index]) +
           (colour_ && index != 1 ? "\x1b[0m" : "") + " " + std::string(event);
    for (const LogField& field : fields) {
      line += " " + std::string(field.name) + "=";
      if (const bool* flag = std::get_if<bool>(&field.value)) {
        line += *flag ? "true" : "false";
      } else if (const int64_t* integer = std::get_if<int64_t>(&field.value)) {
        line += std::to_string(*integer);
      } else if (const double* number = std::get_if<double>(&field.value)) {
        line += fmt::format("{:.6g}", *number);
      } else {
        std::string text = Printable(std::get<std::string>(field.value));
        bool quote = text.empty() || text.find_first_of(" \"=") != std::string::npos;
        line += quote ? "\"" + text + "\"" : text;
      }
    }
  }
  line.push_back('\n');
  std::lock_guard lock(mutex_);
  console_.WriteError(line);
}

}  // namespace longhaul
