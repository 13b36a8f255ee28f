// Pico: sums of money in pico-dollars (10^-12 US dollars), wide enough for every bill.
//
// 64 bits end at nine million dollars: an EiB to another region costs more. What one thing costs is
// below a million and stays an int64_t (rules/price_list.h).

#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

namespace longhaul {

__extension__ using Pico = __int128;

// "-12500000000000".
std::string PicoText(Pico pico);
// The same read again; 0 where it is no number, or one of more than 36 digits.
Pico ParsePicoText(std::string_view text);
// Exact below 2^63 (9.2 million dollars); beyond that the nearest double.
boost::json::value JsonOfPico(Pico pico);

// "$0.02", "$0.0000004": all digits that count, none more; two at least. Not below 0.
std::string FormatPico(Pico pico);

}  // namespace longhaul
