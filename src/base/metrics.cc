#include "base/metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "base/mutex.h"

namespace longhaul {

namespace {

enum class Type { kCounter, kGauge, kHistogram };

struct Family {
  Type type;
  std::string help;
  // By rendered labels: one order for the map and for the text. Series never move or go.
  std::map<std::string, std::unique_ptr<Counter>> counters;
  std::map<std::string, std::unique_ptr<Gauge>> gauges;
  std::map<std::string, std::unique_ptr<Histogram>> histograms;
};

// 1 ms to 1 h; the last step is shorter so that an hour has its own bound.
const std::vector<double>& DurationBounds() {
  static const std::vector<double> bounds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                             0.2,   0.5,   1,     2,    5,    10,   20,
                                             60,    120,   300,   600,  1200, 1800, 3600};
  return bounds;
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 64> text;
  // Whole numbers in full: bytes read better as 1073741824 than as 1.073741824e+09.
  const bool whole = std::trunc(value) == value && std::abs(value) < 1e15;
  auto end =
      whole ? std::to_chars(text.data(), text.data() + text.size(), static_cast<int64_t>(value))
            : std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end.ptr};
}

std::string Escape(std::string_view text, bool quotes) {
  std::string escaped;
  for (char c : text) {
    if (c == '\\') {
      escaped += "\\\\";
    } else if (c == '\n') {
      escaped += "\\n";
    } else if (c == '"' && quotes) {
      escaped += "\\\"";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// `a="x",b="y"`, without braces.
std::string Render(const MetricLabels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!text.empty()) text += ',';
    text += name + "=\"" + Escape(value, true) + "\"";
  }
  return text;
}

std::string Series(std::string_view name, std::string_view labels, std::string_view more = "") {
  std::string text(name);
  if (labels.empty() && more.empty()) return text + ' ';
  text += '{';
  text += labels;
  if (!labels.empty() && !more.empty()) text += ',';
  text += more;
  return text + "} ";
}

template <class T, class... Arguments>
T& FindOrMake(std::map<std::string, std::unique_ptr<T>>& series, const MetricLabels& labels,
              const Arguments&... arguments) {
  auto& slot = series[Render(labels)];
  if (!slot) slot = std::make_unique<T>(arguments...);
  return *slot;
}

}  // namespace

Histogram::Histogram(std::vector<double> upper_bounds)
    : upper_bounds_(std::move(upper_bounds)), buckets_(upper_bounds_.size() + 1) {
  LH_CHECK(std::is_sorted(upper_bounds_.begin(), upper_bounds_.end()));
}

void Histogram::Observe(double value) {
  // An upper bound belongs to its bucket ("le").
  auto bound = std::lower_bound(upper_bounds_.begin(), upper_bounds_.end(), value);
  buckets_[static_cast<size_t>(bound - upper_bounds_.begin())].fetch_add(1,
                                                                         std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

double Histogram::Quantile(double q) const {
  uint64_t total = 0;
  for (const auto& bucket : buckets_) total += bucket.load(std::memory_order_relaxed);
  if (total == 0) return 0;
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(total);
  uint64_t seen = 0;
  for (size_t i = 0; i < upper_bounds_.size(); ++i) {
    seen += buckets_[i].load(std::memory_order_relaxed);
    if (seen > 0 && static_cast<double>(seen) >= rank) return upper_bounds_[i];
  }
  return std::numeric_limits<double>::infinity();
}

struct Metrics::Impl {
  Mutex mutex;
  std::map<std::string, Family, std::less<>> families LH_GUARDED_BY(mutex);

  Family& FamilyOf(std::string_view name, std::string_view help, Type type) LH_REQUIRES(mutex) {
    auto found = families.find(name);
    if (found == families.end()) {
      found =
          families.emplace(std::string(name), Family{type, std::string(help), {}, {}, {}}).first;
    }
    LH_CHECK(found->second.type == type);
    return found->second;
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(std::string_view name, std::string_view help, MetricLabels labels) {
  MutexLock lock(impl_->mutex);
  return FindOrMake(impl_->FamilyOf(name, help, Type::kCounter).counters, labels);
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, MetricLabels labels) {
  MutexLock lock(impl_->mutex);
  return FindOrMake(impl_->FamilyOf(name, help, Type::kGauge).gauges, labels);
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, MetricLabels labels) {
  MutexLock lock(impl_->mutex);
  return FindOrMake(impl_->FamilyOf(name, help, Type::kHistogram).histograms, labels,
                    DurationBounds());
}

std::string Metrics::RenderPrometheus() const {
  std::string text;
  MutexLock lock(impl_->mutex);
  for (const auto& [name, family] : impl_->families) {
    constexpr std::array<const char*, 3> kTypes = {"counter", "gauge", "histogram"};
    text += "# HELP " + name + " " + Escape(family.help, false) + "\n";
    text += "# TYPE " + name + " " + kTypes[static_cast<size_t>(family.type)] + "\n";
    for (const auto& [labels, counter] : family.counters) {
      text += Series(name, labels) + Number(counter->value()) + "\n";
    }
    for (const auto& [labels, gauge] : family.gauges) {
      text += Series(name, labels) + Number(gauge->value()) + "\n";
    }
    for (const auto& [labels, histogram] : family.histograms) {
      // Counted here and not taken from count(): both lines must agree while others observe.
      uint64_t seen = 0;
      for (size_t i = 0; i < histogram->buckets_.size(); ++i) {
        seen += histogram->buckets_[i].load(std::memory_order_relaxed);
        const bool last = i == histogram->upper_bounds_.size();
        text += Series(name + "_bucket", labels,
                       "le=\"" + (last ? "+Inf" : Number(histogram->upper_bounds_[i])) + "\"") +
                std::to_string(seen) + "\n";
      }
      text += Series(name + "_sum", labels) + Number(histogram->sum()) + "\n";
      text += Series(name + "_count", labels) + std::to_string(seen) + "\n";
    }
  }
  return text;
}

}  // namespace longhaul
