#include "base/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

namespace longhaul {
namespace {

// What Prometheus cannot parse drops the whole scrape, not one line.
TEST(MetricsTest, RendersTheTextFormat) {
  Metrics metrics;
  metrics.counter("longhaul_b_total", "Objects\nof a \\ rule.", {{"rule", "a\"b\\c\nd"}}).Add(3);
  metrics.counter("longhaul_b_total", "ignored", {{"rule", "a"}, {"op", "put"}}).Add(0.5);
  metrics.gauge("longhaul_a_bytes", "Held.").Set(1073741824);
  EXPECT_EQ(metrics.RenderPrometheus(),
            "# HELP longhaul_a_bytes Held.\n"
            "# TYPE longhaul_a_bytes gauge\n"
            "longhaul_a_bytes 1073741824\n"
            "# HELP longhaul_b_total Objects\\nof a \\\\ rule.\n"
            "# TYPE longhaul_b_total counter\n"
            "longhaul_b_total{op=\"put\",rule=\"a\"} 0.5\n"
            "longhaul_b_total{rule=\"a\\\"b\\\\c\\nd\"} 3\n");
}

// Buckets are cumulative in the text, and the last one is the count.
TEST(MetricsTest, RendersHistograms) {
  Metrics metrics;
  Histogram& lag = metrics.histogram("longhaul_lag_seconds", "Lag.", {{"rule", "a"}});
  for (double seconds : {0.001, 0.0011, 2.0, 7200.0}) lag.Observe(seconds);
  const std::string text = metrics.RenderPrometheus();
  EXPECT_NE(text.find("longhaul_lag_seconds_bucket{rule=\"a\",le=\"0.001\"} 1\n"), text.npos);
  EXPECT_NE(text.find("longhaul_lag_seconds_bucket{rule=\"a\",le=\"0.002\"} 2\n"), text.npos);
  EXPECT_NE(text.find("longhaul_lag_seconds_bucket{rule=\"a\",le=\"2\"} 3\n"), text.npos);
  EXPECT_NE(text.find("longhaul_lag_seconds_bucket{rule=\"a\",le=\"+Inf\"} 4\n"), text.npos);
  EXPECT_NE(text.find("longhaul_lag_seconds_sum{rule=\"a\"} 7202.0021\n"), text.npos);
  EXPECT_NE(text.find("longhaul_lag_seconds_count{rule=\"a\"} 4\n"), text.npos);
}

// The lag that people see comes from here.
TEST(MetricsTest, Quantiles) {
  Histogram histogram({1, 2, 5});
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  for (int i = 0; i < 50; ++i) histogram.Observe(0.5);
  for (int i = 0; i < 49; ++i) histogram.Observe(1.5);
  histogram.Observe(9);
  EXPECT_EQ(histogram.Quantile(0), 1);
  EXPECT_EQ(histogram.Quantile(0.5), 1);
  EXPECT_EQ(histogram.Quantile(0.51), 2);
  EXPECT_EQ(histogram.Quantile(0.99), 2);
  EXPECT_TRUE(std::isinf(histogram.Quantile(1)));
  EXPECT_EQ(histogram.count(), 100U);
}

// Shards count into one registry at once; a lost update is a lost object in someone's dashboard.
TEST(MetricsTest, CountsFromManyThreads) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&metrics] {
      for (int n = 0; n < 1000; ++n) {
        metrics.counter("longhaul_total", "All.").Add();
        metrics.histogram("longhaul_seconds", "All.").Observe(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.counter("longhaul_total", "All.").value(), 4000);
  EXPECT_EQ(metrics.histogram("longhaul_seconds", "All.").count(), 4000U);
  EXPECT_EQ(metrics.histogram("longhaul_seconds", "All.").sum(), 4000);
}

// Two types under one name would make the text invalid; it is a bug in our own code.
TEST(MetricsDeathTest, OneNameHasOneType) {
  Metrics metrics;
  metrics.counter("longhaul_total", "All.");
  EXPECT_DEATH(metrics.gauge("longhaul_total", "All."), "bug");
}

}  // namespace
}  // namespace longhaul
