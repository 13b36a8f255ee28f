#include "cost/pico.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdint>
#include <limits>

namespace longhaul {

namespace {

constexpr Pico kPerDollar = 1'000'000'000'000;
constexpr size_t kDigitsMax = 36;

}  // namespace

std::string PicoText(Pico pico) { return fmt::format("{}", pico); }

Pico ParsePicoText(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.size() > kDigitsMax) return 0;
  Pico pico = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return 0;
    pico = pico * 10 + (digit - '0');
  }
  return negative ? -pico : pico;
}

boost::json::value JsonOfPico(Pico pico) {
  using Limits = std::numeric_limits<int64_t>;
  if (pico >= Limits::min() && pico <= Limits::max()) return static_cast<int64_t>(pico);
  return static_cast<double>(pico);
}

std::string FormatPico(Pico pico) {
  std::string digits = fmt::format("{:012}", pico % kPerDollar);
  while (digits.size() > 2 && digits.back() == '0') digits.pop_back();
  return "$" + PicoText(pico / kPerDollar) + "." + digits;
}

}  // namespace longhaul
