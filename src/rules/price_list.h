// What a configuration says of prices (`prices:`): names and US dollars, exact.
//
// A price is named by what it is of, with "/" between the words ("transfer/us-east-1/eu-west-1"),
// and is kept in pico-dollars (10^-12) for one of its unit: what a GET costs is a whole number of
// them. cost/prices.h adds the table of public prices and answers questions.

#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/yaml.h"

namespace longhaul {

struct PriceItem {
  std::string_view name;   // The first word.
  std::string_view words;  // What follows it: "FROM/TO", "REGION/KIND/CLASS", "REGION".
  std::string_view unit;   // "GiB", "request".
};
// All that has a price, in the order in which it is shown.
std::span<const PriceItem> PriceItems();
// nullptr: there is no such item. `name`: of a price, or its first word.
const PriceItem* FindPriceItem(std::string_view name);

// Regions of AWS that the table of public prices knows.
std::span<const std::string_view> KnownRegions();

using PriceList = std::map<std::string, int64_t, std::less<>>;

// "0.0000004" to 400,000. kInvalidInput: no decimal number, below 0, over a million dollars, or
// more than 12 digits after the point.
Result<int64_t> ParsePicoDollars(std::string_view text);
// What is wrong with a name; "" when nothing is. `regions`: further ones that are known. A region
// may be "*": all of them.
std::string PriceNameProblem(std::string_view name, std::span<const std::string> regions);

// `prices:` of a configuration; empty where there is none. kInvalidInput: all mistakes of the file.
Result<PriceList> LoadPriceList(const std::string& file, const Environment& environment);

}  // namespace longhaul
