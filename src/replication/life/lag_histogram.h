// LagHistogram: how long things took, so that the counts of many processes can be added up.
//
// Buckets grow with the value: a quantile is at most an eighth too large, the maximum is exact.

#pragma once

#include <boost/json/fwd.hpp>
#include <chrono>
#include <cstdint>
#include <map>

namespace longhaul {

class LagHistogram {
 public:
  // Below 0 counts as 0.
  void Add(std::chrono::milliseconds lag, uint64_t count = 1);
  void Merge(const LagHistogram& other);

  // The value below or at which a share `q` (0 to 1) lies; 0 when nothing was added.
  [[nodiscard]] std::chrono::milliseconds Quantile(double q) const;
  [[nodiscard]] std::chrono::milliseconds max() const { return max_; }
  [[nodiscard]] uint64_t count() const { return count_; }

  [[nodiscard]] boost::json::object ToJson() const;
  // What is not of that form is left out.
  static LagHistogram FromJson(const boost::json::value& value);

 private:
  std::map<int, uint64_t> buckets_;
  uint64_t count_ = 0;
  std::chrono::milliseconds max_{0};
};

}  // namespace longhaul
