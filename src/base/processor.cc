#include "base/processor.h"

#include <ctime>
#include <fstream>
#include <iterator>

namespace longhaul {

namespace {

constexpr size_t kNameMax = 48;

// What follows "NAME : " on the first line that begins so.
std::string_view FieldIn(std::string_view text, std::string_view name) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const size_t colon = line.find(':');
    if (line.starts_with(name) && colon != std::string_view::npos) return line.substr(colon + 1);
    at = end + 1;
  }
  return {};
}

void Append(std::string& name, std::string_view words) {
  for (const char c : words) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (upper || plain) {
      name += upper ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
}

}  // namespace

std::chrono::nanoseconds ThreadCpuTime() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::string ProcessorNameIn(std::string_view cpuinfo) {
  std::string name;
  Append(name, FieldIn(cpuinfo, "model name"));
  if (name.empty()) {
    // ARM has numbers alone.
    for (const char* field : {"CPU implementer", "CPU part"}) {
      const std::string_view number = FieldIn(cpuinfo, field);
      if (number.empty()) continue;
      Append(name, name.empty() ? "arm" : "-");
      Append(name, number);
    }
  }
  name.resize(std::min(name.size(), kNameMax));
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "unknown" : name;
}

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  std::string text(std::istreambuf_iterator<char>(file), {});
  return ProcessorNameIn(text);
}

}  // namespace longhaul
