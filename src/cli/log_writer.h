// LogWriter: log lines on standard error; text for a terminal, JSON otherwise.

#pragma once

#include <mutex>
#include <string_view>

#include "base/log.h"
#include "cli/console.h"

namespace longhaul {

class LogWriter : public Logger {
 public:
  // `level`: debug, info, warning, error. `format`: text, json, or auto.
  LogWriter(Console& console, std::string_view level, std::string_view format);

 protected:
  void Log(LogLevel level, std::string_view event, Fields fields) override;

 private:
  Console& console_;
  LogLevel least_ = LogLevel::kInfo;
  bool json_ = false;
  bool colour_ = false;
  std::mutex mutex_;  // One line at a time.
};

}  // namespace longhaul
