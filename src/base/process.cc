#include "base/process.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

namespace longhaul {

namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The 22nd field of /proc/PID/stat. The second one, the name, may hold anything. (proc(5))
std::optional<int64_t> StartOf(int64_t pid) {
  const std::string line = FirstLine("/proc/" + std::to_string(pid) + "/stat");
  size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(end_of_name + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) {
    if (!(fields >> field)) return std::nullopt;
  }
  int64_t start = 0;
  auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), start);
  if (error != std::errc()) return std::nullopt;
  return start;
}

const std::string& ThisHost() {
  static const std::string kHost = [] {
    std::array<char, 256> name{};
    static_cast<void>(::gethostname(name.data(), name.size() - 1));
    std::array<char, 128> space{};
    ssize_t size = ::readlink("/proc/self/ns/pid", space.data(), space.size() - 1);
    std::string host = std::string(name.data()) + "/" +
                       FirstLine("/proc/sys/kernel/random/boot_id") + "/" +
                       std::string(space.data(), size > 0 ? static_cast<size_t>(size) : 0);
    for (char& c : host) {
      if (c == ' ') c = '_';
    }
    return host;
  }();
  return kHost;
}

}  // namespace

ProcessName ThisProcess() {
  const int64_t pid = ::getpid();
  return {.host = ThisHost(), .pid = pid, .started = StartOf(pid).value_or(0)};
}

ProcessLife LifeOf(const ProcessName& process) {
  if (process.host != ThisHost()) return ProcessLife::kUnknown;
  std::optional<int64_t> start = StartOf(process.pid);
  return start && *start == process.started ? ProcessLife::kLives : ProcessLife::kGone;
}

std::string ProcessText(const ProcessName& process) {
  return process.host + " " + std::to_string(process.pid) + " " + std::to_string(process.started);
}

ProcessName ParseProcess(std::string_view text) {
  std::istringstream fields{std::string(text)};
  ProcessName process;
  std::string rest;
  if (!(fields >> process.host >> process.pid >> process.started) || fields >> rest) return {};
  return process;
}

}  // namespace longhaul
