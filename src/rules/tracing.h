// What a configuration says of traces:
//
//     traces: { otlp: "http://collector:4318", sample: 1%, headers: { x-api-key: "${KEY}" } }
//
// The section is checked with the rest of the file (rules/configuration.h) and read by whoever
// gives out traces alone.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/yaml.h"

namespace longhaul {

struct Tracing {
  // http:// or https://, without "/" at the end; "/v1/traces" follows. Empty: nothing is traced.
  std::string otlp;
  double sample = 0.01;  // Of what the source packs, 0 to 1; the target follows.
  std::vector<std::pair<std::string, Secret>> headers{};  // Sent with each request.
};

// That of a file which LoadConfiguration has found right. Errors as there.
Result<Tracing> LoadTracing(const std::string& file, const Environment& environment);

// `traces:` of the whole file.
Tracing ReadTracing(YamlFields& top);

}  // namespace longhaul
