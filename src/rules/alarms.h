// What a configuration says of alarms: what they are of, and who is told.
//
//     alarms: { webhook: "${ALARM_URL}", shape: slack, lag: 15m, store_away: 10m }
//
// The section is checked with the rest of the file (rules/configuration.h) and read by whoever
// watches alone.

#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "base/yaml.h"

namespace longhaul {

enum class AlarmShape { kGeneric, kSlack };

struct Alarms {
  Secret webhook;  // A URL, http or https.
  AlarmShape shape = AlarmShape::kGeneric;
  bool parked = true;        // Objects of a rule are parked.
  bool dead_letters = true;  // Messages were received too often.
  // A key waits for longer than this; none: not watched. 1 s to 30 days, as the next one.
  std::optional<std::chrono::milliseconds> lag{};
  // A source, staging or target has failed for as long as this.
  std::optional<std::chrono::milliseconds> store_away = std::chrono::minutes(10);
};

// Those of a file which LoadConfiguration has found right; nullopt: it has none. Errors as there.
Result<std::optional<Alarms>> LoadAlarms(const std::string& file, const Environment& environment);

// `alarms:` of the whole file.
std::optional<Alarms> ReadAlarms(YamlFields& top);

}  // namespace longhaul
