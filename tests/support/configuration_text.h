// Configurations as text, for tests of what is read from them.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rules/configuration.h"

namespace longhaul::testing {

inline std::optional<std::string> TestEnvironment(std::string_view name) {
  if (name == "EAST_KEY_ID") return "AKIDEAST";
  if (name == "EAST_SECRET") return "hunter2";
  if (name == "SEAL_KEY") return "correct horse battery staple";
  if (name == "LONGHAUL_TOKEN") return "t0ken";
  return std::nullopt;
}

inline Result<Configuration> Parse(std::string_view text) {
  return ParseConfiguration(text, "lh.yaml", "/etc/longhaul", TestEnvironment);
}

inline std::string ErrorOf(std::string_view text) {
  Result<Configuration> configuration = Parse(text);
  return configuration ? "(no error)" : configuration.error().message;
}

inline constexpr std::string_view kStores =
    "version: 1\n"
    "site: here\n"
    "stores:\n"
    "  east: { type: s3, endpoint: 'http://127.0.0.1:9001' }\n"
    "  west: { type: s3, endpoint: 'http://127.0.0.1:9002' }\n"
    "  aws: { type: s3 }\n"
    "  disk: { type: file, root: buckets }\n";

// One rule with `more` fields; what is not said there is plain.
inline std::string WithRule(std::string_view more, std::string_view target = "") {
  return std::string(kStores) + "rules:\n  - id: logs\n    source: east:a/x/\n" +
         std::string(more) +
         "    targets:\n      - { to: \"west:b/x/\", staging: \"west:staging/\"" +
         std::string(target) + " }\n";
}

}  // namespace longhaul::testing
