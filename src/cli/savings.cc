#include "cli/savings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/output.h"

namespace longhaul {

std::string Savings::Ratio() const {
  if (sent_bytes == 0) return "";
  return fmt::format("{:.2f} to 1",
                     static_cast<double>(plain_bytes) / static_cast<double>(sent_bytes));
}

std::string Savings::Describe() const {
  const int64_t saved = bytes();
  if (saved == 0) return "nothing";
  if (saved < 0)
    return "nothing: " + FormatBytes(static_cast<uint64_t>(-saved)) + " more were sent";
  return FormatBytes(static_cast<uint64_t>(saved)) + ", " + FormatMoney(money());
}

std::string FormatMoney(double dollars) {
  if (dollars == 0) return "$0.00";
  if (dollars < 1e-6) return "less than $0.000001";
  if (dollars < 0.01) {
    int digits = std::min(9, 1 - static_cast<int>(std::floor(std::log10(dollars))));
    return fmt::format("${:.{}f}", dollars, digits);
  }
  auto cents = static_cast<uint64_t>(std::llround(dollars * 100));
  return fmt::format("${}.{:02}", FormatCount(cents / 100), cents % 100);
}

std::string FormatSum(Pico pico_dollars) {
  const double dollars = std::abs(static_cast<double>(pico_dollars)) / 1e12;
  const std::string text =
      dollars >= 0.01 && dollars < 10 ? fmt::format("${:.4f}", dollars) : FormatMoney(dollars);
  return (pico_dollars < 0 ? "-" : "") + text;
}

}  // namespace longhaul
