// Prices: what a byte, a request or a second costs, in pico-dollars (10^-12 US dollars).
//
// A configuration's `prices:` comes before the table of AWS's public prices (price_table.cc). What
// neither knows is unknown, never 0: nullopt, and whoever needs it says so by its name.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "cost/pico.h"
#include "rules/price_list.h"

namespace longhaul {

enum class PriceOrigin { kTable, kConfiguration };

class Prices {
 public:
  explicit Prices(PriceList configured = {});

  // By name, as in `prices:`. A configured name with "*" for a word counts where no other does.
  [[nodiscard]] std::optional<int64_t> Find(std::string_view name) const;

  // For a GiB. Within one region of AWS: 0. `to` may be "internet".
  [[nodiscard]] std::optional<int64_t> TransferGib(std::string_view from,
                                                   std::string_view to) const;
  [[nodiscard]] std::optional<int64_t> VcpuSecond(std::string_view region) const;

  // Every price that is known, by name.
  [[nodiscard]] std::map<std::string, std::pair<int64_t, PriceOrigin>> All() const;

 private:
  PriceList table_;
  PriceList configured_;
};

// The day for which the table says what AWS asked.
std::chrono::sys_days PriceTableDate();
// The same of one price: some were entered anew since.
std::chrono::sys_days PriceDate(std::string_view name);
// Half a year and more: what is made of them may be off.
bool PriceTableIsOld(SystemTime now);
PriceList BuiltInPrices();

}  // namespace longhaul
