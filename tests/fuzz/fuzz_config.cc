// Any bytes as a configuration: YAML, limits, expansion, checks and topology.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rules/configuration.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto environment = [](std::string_view name) -> std::optional<std::string> {
    if (name == "A") return "value";
    return std::nullopt;
  };
  auto read = longhaul::ParseConfiguration({reinterpret_cast<const char*>(data), size}, "f.yaml",
                                           "/nowhere", environment);
  // Either a configuration or a reason.
  if (!read && read.error().message.empty()) __builtin_trap();
  return 0;
}
