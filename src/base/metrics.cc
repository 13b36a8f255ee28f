#include "base/metrics.h"

namespace longhaul {
struct Metrics::Impl {};
Metrics::Metrics() = default;
Metrics::~Metrics() = default;
}  // namespace longhaul
