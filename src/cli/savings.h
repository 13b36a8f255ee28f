// Savings: what archives spared, against sending the objects themselves to each target.

#pragma once

#include <cstdint>
#include <string>

#include "cost/pico.h"

namespace longhaul {

struct Savings {
  uint64_t plain_bytes = 0;  // What copies of the objects would have sent: bodies alone.
  uint64_t sent_bytes = 0;   // What the archives took, with framing and metadata.
  double price_per_gib = 0;  // US dollars for a GiB between the regions.

  // Below 0 where the archives were larger than what they hold: a few tiny objects, or bytes that
  // do not shrink.
  [[nodiscard]] int64_t bytes() const {
    return static_cast<int64_t>(plain_bytes) - static_cast<int64_t>(sent_bytes);
  }
  [[nodiscard]] double money() const {
    return static_cast<double>(bytes()) / (1 << 30) * price_per_gib;
  }
  // "2.31 to 1"; empty where nothing was sent.
  [[nodiscard]] std::string Ratio() const;
  // "1.2 MiB, $0.000023", or "nothing: 312 B more were sent".
  [[nodiscard]] std::string Describe() const;
};

// "$0.02", "$1,234.56", "$0.000012": two digits, or two significant ones below a cent. Not below 0.
std::string FormatMoney(double dollars);
// The same of pico-dollars, with four digits below $10, where sums are compared; and below 0.
std::string FormatSum(Pico pico_dollars);

}  // namespace longhaul
