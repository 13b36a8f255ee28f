// Logger: structured lines on standard error; text for a terminal, JSON otherwise.
//
// A line is an event name in a few stable words and fields: what happened, to which object, why.
// Secrets never reach it: they are of the type Secret (base/secret.h), which no field accepts.

#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace longhaul {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  template <std::integral T>
  LogField(std::string_view name, T value) : name(name), value(static_cast<int64_t>(value)) {}
  LogField(std::string_view name, bool value) : name(name), value(value) {}
  LogField(std::string_view name, double value) : name(name), value(value) {}
  LogField(std::string_view name, std::string_view value) : name(name), value(std::string(value)) {}
  LogField(std::string_view name, const std::string& value) : name(name), value(value) {}
  LogField(std::string_view name, const char* value) : name(name), value(std::string(value)) {}
  LogField(const Error& error) : name("error"), value(error.Describe()) {}

  std::string_view name;
  std::variant<bool, int64_t, double, std::string> value;
};

// Implementations are thread-safe.
class Logger {
 public:
  virtual ~Logger() = default;
  using Fields = std::initializer_list<LogField>;

  void Debug(std::string_view event, Fields fields = {}) { Log(LogLevel::kDebug, event, fields); }
  void Info(std::string_view event, Fields fields = {}) { Log(LogLevel::kInfo, event, fields); }
  void Warning(std::string_view event, Fields fields = {}) {
    Log(LogLevel::kWarning, event, fields);
  }
  void Failure(std::string_view event, Fields fields = {}) { Log(LogLevel::kError, event, fields); }

 protected:
  virtual void Log(LogLevel level, std::string_view event, Fields fields) = 0;
};

}  // namespace longhaul
