// Bill: quantities with the names of their prices, and what they come to, exact to a pico-dollar.
//
// A quantity whose price nobody knows adds nothing and is named; what hangs on it is then "at
// least". Quantities of one price are added up before they are multiplied, so that nothing is
// rounded on the way.

#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "cost/ledger.h"
#include "cost/pico.h"
#include "cost/prices.h"
#include "rules/rule.h"

namespace longhaul {

class Bill {
 public:
  enum class Unit {
    kEach,
    kByte,       // The price is for a GiB.
    kKibSecond,  // The price is for a GiB and month (of 730 hours).
    kMicrosecond,
  };
  // A month of an EiB takes more than 64 bits of KiB and seconds.
  __extension__ using Quantity = unsigned __int128;
  // `item`: what a person reads, as "requests at the source".
  void Add(std::string_view item, const std::string& price, Unit unit, Quantity quantity);

  struct Sum {
    std::map<std::string, Pico> items;
    Pico total = 0;
    std::set<std::string> unknown;  // Names of prices.
  };
  [[nodiscard]] Sum Reckon(const Prices& prices) const;

  Bill& operator+=(const Bill& other);

 private:
  struct Key {
    std::string item;
    std::string price;
    Unit unit;
    auto operator<=>(const Key&) const = default;
  };
  std::map<Key, Quantity> quantities_;
};

// What lines of the ledger come to, and what other ways would have come to.
struct Account {
  Bill paid;
  Bill native;  // S3's own replication: transfer, PUTs, time control where there is a threshold.
  Bill copy;    // A GET, a PUT and the bytes of each object.
  uint64_t objects = 0;  // That reached a target.
  uint64_t bytes = 0;

  // `rule`: that of the line, which says of a threshold and of the classes of targets; null where
  // the configuration does not have it.
  void Add(const LedgerLine& line, const Rule* rule);
  Account& operator+=(const Account& other);
};

// The mean size of objects above which longhaul is cheaper than native replication, as measured:
// requests are paid for by object, the rest by byte. nullopt: a byte costs at least as much as with
// native replication, so that no size does; or a price is unknown, or nothing was carried.
std::optional<uint64_t> BreakEvenBytes(const Account& account, const Prices& prices);

}  // namespace longhaul
