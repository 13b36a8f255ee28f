// StreamLogger: log lines on a stream, for a person or for a machine.
//
//     09:30:01.250 info  archive applied  archive=01JNQ… objects=412
//     {"ts":"2026-03-01T09:30:01.250000Z","level":"info","event":"archive applied","objects":412}
//
// Text is escaped, so that no key of an object can move the cursor of a terminal or forge a line.

#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"

namespace longhaul {

enum class LogFormat { kText, kJson };

struct LogOptions {
  LogFormat format = LogFormat::kJson;
  LogLevel level_min = LogLevel::kInfo;
  bool color = false;  // Of text.
};

// Writes each line with one call, so that lines of several threads and processes do not mix.
// `out` is borrowed. `now` is called on the thread that logs. A stream that cannot be written to
// (a closed pipe, a full disk) loses lines; nothing fails because of it.
class StreamLogger : public Logger {
 public:
  StreamLogger(std::FILE* out, LogOptions options, std::function<SystemTime()> now);

 protected:
  void Log(LogLevel level, std::string_view event, Fields fields) override;

 private:
  Mutex mutex_;
  std::FILE* out_ LH_GUARDED_BY(mutex_);
  LogOptions options_;
  std::function<SystemTime()> now_;
};

// Text where `out` is a terminal, else JSON; colours unless NO_COLOR (https://no-color.org) is set
// or TERM is "dumb". `environment` gives the value of a variable, or "".
LogOptions LogOptionsFor(std::FILE* out,
                         const std::function<std::string(std::string_view)>& environment);
// "debug", "info", "warning" (or "warn"), "error".
Result<LogLevel> ParseLogLevel(std::string_view text);
std::string_view ToString(LogLevel level);

}  // namespace longhaul
