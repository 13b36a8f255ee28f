// CloudWatch's Embedded Metric Format: figures as lines of JSON on standard output, of which
// CloudWatch makes metrics wherever it gets the logs. Nobody has to be asked, and nothing is paid
// but the metrics.
//
// Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace longhaul {

struct EmfMetric {
  std::string name;
  std::string unit;  // "Bytes", "Count", "Seconds", "Percent", "None", …
  double value = 0;  // One that is no number, or infinite, is left out.
};

using EmfDimensions = std::vector<std::pair<std::string, std::string>>;

// A line without its end; empty where no metric is left. `dimensions`: one set, names and values;
// empty values are left out, as CloudWatch refuses them, and so is what is over 100 metrics.
std::string EmfLine(SystemTime time, const std::string& name_space, const EmfDimensions& dimensions,
                    const std::vector<EmfMetric>& metrics);

}  // namespace longhaul
