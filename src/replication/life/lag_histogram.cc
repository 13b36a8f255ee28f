#include "replication/life/lag_histogram.h"

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <cmath>
#include <optional>

namespace longhaul {

namespace {

constexpr int kStepsPerOctave = 8;
constexpr int kFirstOctave = 4;  // Below 2^4 each millisecond has a bucket.
constexpr int kBucketMax = (1 << kFirstOctave) + (63 - kFirstOctave) * kStepsPerOctave;

int BucketOf(uint64_t value) {
  if (value < (1U << kFirstOctave)) return static_cast<int>(value);
  const int octave = std::bit_width(value) - 1;
  const auto step = static_cast<int>((value >> (octave - 3)) & (kStepsPerOctave - 1));
  return (1 << kFirstOctave) + (octave - kFirstOctave) * kStepsPerOctave + step;
}

// The largest value in a bucket.
uint64_t UpperBound(int bucket) {
  if (bucket < (1 << kFirstOctave)) return static_cast<uint64_t>(bucket);
  const int rest = bucket - (1 << kFirstOctave);
  const int octave = kFirstOctave + rest / kStepsPerOctave;
  const auto step = static_cast<uint64_t>(rest % kStepsPerOctave);
  return ((kStepsPerOctave + step + 1) << (octave - 3)) - 1;
}

std::optional<uint64_t> Unsigned(const boost::json::value& value) {
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<uint64_t>(value.get_int64());
  return std::nullopt;
}

}  // namespace

void LagHistogram::Add(std::chrono::milliseconds lag, uint64_t count) {
  if (count == 0) return;
  lag = std::max(lag, std::chrono::milliseconds(0));
  buckets_[BucketOf(static_cast<uint64_t>(lag.count()))] += count;
  count_ += count;
  max_ = std::max(max_, lag);
}

void LagHistogram::Merge(const LagHistogram& other) {
  for (const auto& [bucket, count] : other.buckets_) buckets_[bucket] += count;
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::chrono::milliseconds LagHistogram::Quantile(double q) const {
  const double rank = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  uint64_t seen = 0;
  for (const auto& [bucket, count] : buckets_) {
    seen += count;
    if (static_cast<double>(seen) >= rank) {
      return std::min(max_, std::chrono::milliseconds(UpperBound(bucket)));
    }
  }
  return max_;
}

boost::json::object LagHistogram::ToJson() const {
  boost::json::array counts;
  for (const auto& [bucket, count] : buckets_) {
    counts.push_back(boost::json::array{bucket, count});
  }
  return {{"max_ms", max_.count()}, {"counts", std::move(counts)}};
}

LagHistogram LagHistogram::FromJson(const boost::json::value& value) {
  LagHistogram histogram;
  const boost::json::object* object = value.if_object();
  if (object == nullptr) return histogram;
  if (const boost::json::value* max = object->if_contains("max_ms")) {
    if (std::optional<uint64_t> number = Unsigned(*max); number && *number < (1ULL << 62)) {
      histogram.max_ = std::chrono::milliseconds(static_cast<int64_t>(*number));
    }
  }
  const boost::json::value* counts = object->if_contains("counts");
  if (counts == nullptr || !counts->is_array()) return histogram;
  for (const boost::json::value& item : counts->get_array()) {
    const boost::json::array* pair = item.if_array();
    if (pair == nullptr || pair->size() != 2) continue;
    std::optional<uint64_t> bucket = Unsigned(pair->at(0));
    std::optional<uint64_t> count = Unsigned(pair->at(1));
    if (!bucket || !count || *bucket >= kBucketMax) continue;
    histogram.buckets_[static_cast<int>(*bucket)] += *count;
    histogram.count_ += *count;
  }
  return histogram;
}

}  // namespace longhaul
