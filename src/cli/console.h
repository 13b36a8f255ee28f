// Console: what a command sees of its process: the three standard streams and the environment.
// The real one is ProcessConsole; tests use a console that keeps what was written.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace longhaul {

// Used by the main thread and, between awaits, by one pool thread at a time.
class Console {
 public:
  virtual ~Console() = default;

  // Standard output, written at once. False: it could not be, and the command should end.
  virtual bool Write(std::string_view text) = 0;
  // The errno of that; 0: all could. EPIPE, a reader that went away, is no failure of ours
  // (`longhaul ls | head`); whatever else is, a full disk for one.
  [[nodiscard]] virtual int write_error() const = 0;
  // Standard error; a failure there is not worth reporting.
  virtual void WriteError(std::string_view text) = 0;
  // A line of standard input without its end; nullopt at its end.
  virtual std::optional<std::string> ReadLine() = 0;

  [[nodiscard]] virtual bool output_is_terminal() const = 0;
  [[nodiscard]] virtual bool error_is_terminal() const = 0;
  [[nodiscard]] virtual bool input_is_terminal() const = 0;
  [[nodiscard]] virtual int width() const = 0;  // Columns of the terminal, 80 without one.
  [[nodiscard]] virtual std::optional<std::string> Environment(const std::string& name) const = 0;
};

// Colours on standard error: a terminal, and NO_COLOR is not set (https://no-color.org).
bool WantsColour(const Console& console);

class ProcessConsole : public Console {
 public:
  ProcessConsole();
  bool Write(std::string_view text) override;
  [[nodiscard]] int write_error() const override { return write_error_; }
  void WriteError(std::string_view text) override;
  std::optional<std::string> ReadLine() override;
  [[nodiscard]] bool output_is_terminal() const override;
  [[nodiscard]] bool error_is_terminal() const override;
  [[nodiscard]] bool input_is_terminal() const override;
  [[nodiscard]] int width() const override;
  [[nodiscard]] std::optional<std::string> Environment(const std::string& name) const override;

 private:
  int write_error_ = 0;
};

}  // namespace longhaul
