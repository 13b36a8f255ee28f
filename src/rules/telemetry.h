// What a configuration says of figures that are given out besides GET /metrics:
//
//     metrics: emf                                   on standard output, once a minute
//     metrics: { format: emf, namespace: my-stack }
//
// The section is checked with the rest of the file (rules/configuration.h) and read by whoever
// gives out figures alone.

#pragma once

#include <string>

#include "base/result.h"
#include "base/yaml.h"

namespace longhaul {

struct Telemetry {
  bool emf = false;                     // CloudWatch's Embedded Metric Format (observe/emf.h).
  std::string name_space = "longhaul";  // Of CloudWatch.

  bool operator==(const Telemetry&) const = default;
};

// That of a file which LoadConfiguration has found right. Errors as there.
Result<Telemetry> LoadTelemetry(const std::string& file, const Environment& environment);

// `metrics:` of the whole file.
Telemetry ReadTelemetry(YamlFields& top);

}  // namespace longhaul
