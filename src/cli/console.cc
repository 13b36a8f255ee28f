#include "cli/console.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace longhaul {

namespace {

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    text.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace

bool WantsColour(const Console& console) {
  std::optional<std::string> no_color = console.Environment("NO_COLOR");
  std::optional<std::string> term = console.Environment("TERM");
  return console.error_is_terminal() && (!no_color || no_color->empty()) && term != "dumb";
}

// A closed pipe is an error code of write, not a signal that kills uploads half way.
ProcessConsole::ProcessConsole() { std::signal(SIGPIPE, SIG_IGN); }

bool ProcessConsole::Write(std::string_view text) {
  if (WriteAll(STDOUT_FILENO, text)) return true;
  if (write_error_ == 0) write_error_ = errno;
  return false;
}
void ProcessConsole::WriteError(std::string_view text) { WriteAll(STDERR_FILENO, text); }

std::optional<std::string> ProcessConsole::ReadLine() {
  std::string line;
  char c = 0;
  while (line.size() < 4096) {
    // Poll is not begun anew after a signal, as read is: Ctrl-C at a question is an answer.
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (::poll(&input, 1, -1) < 0) return std::nullopt;
    ssize_t count = ::read(STDIN_FILENO, &c, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      if (line.empty()) return std::nullopt;
      return line;
    }
    if (c == '\n') return line;
    line.push_back(c);
  }
  return line;
}

bool ProcessConsole::output_is_terminal() const { return ::isatty(STDOUT_FILENO) == 1; }
bool ProcessConsole::error_is_terminal() const { return ::isatty(STDERR_FILENO) == 1; }
bool ProcessConsole::input_is_terminal() const { return ::isatty(STDIN_FILENO) == 1; }

int ProcessConsole::width() const {
  winsize size{};
  for (int fd : {STDERR_FILENO, STDOUT_FILENO}) {
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
  }
  return 80;
}

std::optional<std::string> ProcessConsole::Environment(const std::string& name) const {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

}  // namespace longhaul
