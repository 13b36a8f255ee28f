// A Console that keeps what was written; no terminal, unless told.

#pragma once

#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "cli/console.h"

namespace longhaul::testing {

class TestConsole : public Console {
 public:
  bool Write(std::string_view text) override {
    out += text;
    return !closed;
  }
  [[nodiscard]] int write_error() const override { return closed ? closed_by : 0; }
  void WriteError(std::string_view text) override { error += text; }
  std::optional<std::string> ReadLine() override { return answer; }
  [[nodiscard]] bool output_is_terminal() const override { return terminal; }
  [[nodiscard]] bool error_is_terminal() const override { return terminal; }
  [[nodiscard]] bool input_is_terminal() const override { return terminal; }
  [[nodiscard]] int width() const override { return columns; }
  [[nodiscard]] std::optional<std::string> Environment(const std::string& name) const override {
    auto found = environment.find(name);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  }

  std::string out;
  std::string error;
  std::optional<std::string> answer;
  bool terminal = false;
  bool closed = false;
  int closed_by = EPIPE;
  int columns = 80;
  std::map<std::string, std::string> environment;
};

}  // namespace longhaul::testing
