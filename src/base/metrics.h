// Metrics: one registry of counters, gauges and histograms, rendered as Prometheus text.
//
// Names follow https://prometheus.io/docs/practices/naming/ ("longhaul_target_applied_total"),
// values are in base units (bytes, seconds). Look a series up once and keep the reference: it lives
// as long as the registry. Thread-safe; updating a series takes no lock.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul {

using MetricLabels = std::map<std::string, std::string>;

class Counter {
 public:
  void Add(double amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double amount) { value_.fetch_add(amount, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

class Histogram {
 public:
  explicit Histogram(std::vector<double> upper_bounds);
  void Observe(double value);
  // The upper bound of the bucket that holds quantile `q` of 0..1; 0 when nothing was observed.
  [[nodiscard]] double Quantile(double q) const;
  [[nodiscard]] uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  [[nodiscard]] double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  friend class Metrics;
  std::vector<double> upper_bounds_;
  std::vector<std::atomic<uint64_t>> buckets_;  // One more than bounds: the last is +Inf.
  std::atomic<uint64_t> count_ = 0;
  std::atomic<double> sum_ = 0;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // The series of this name and these labels, made when it is not there yet. `help` is kept from
  // the first call. One name has one type; mixing them is a bug (CHECK).
  Counter& counter(std::string_view name, std::string_view help, MetricLabels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, MetricLabels labels = {});
  // 1 ms to 1 h in steps of about 2.
  Histogram& histogram(std::string_view name, std::string_view help, MetricLabels labels = {});

  // Prometheus text exposition format 0.0.4, names and labels in order.
  [[nodiscard]] std::string RenderPrometheus() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul
