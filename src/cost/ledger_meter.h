// LedgerMeter: finds for each request of a store which rule it serves, by bucket and key, and
// counts it in the ledger. LedgerPlaces: the places of a configuration.
//
// A key that several rules share (sources that overlap, say) counts for none of them alone.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cost/ledger.h"
#include "rules/rule.h"
#include "storage/request_meter.h"

namespace longhaul {

// By the names of stores. One without is "".
using StoreRegions = std::map<std::string, std::string>;

// The place of a rule's source, target or staging. `target`: null for the source and the local
// staging.
LedgerPlace PlaceOfSource(const Rule& rule, const StoreRegions& regions);
LedgerPlace PlaceOfLocalStaging(const Rule& rule, const StoreRegions& regions);
LedgerPlace PlaceOfStaging(const Rule& rule, const Target& target, const StoreRegions& regions);
LedgerPlace PlaceOfTarget(const Rule& rule, const Target& target, const StoreRegions& regions);

class LedgerMeter : public RequestMeter {
 public:
  // Of the store `name`. `ledger`: shared, as streams may keep the meter.
  LedgerMeter(std::shared_ptr<Ledger> ledger, const Configuration& configuration,
              const std::string& name, const StoreRegions& regions);

  int PlaceOf(std::string_view bucket, std::string_view key, RequestKind kind) override;
  void OnRequests(int place, RequestKind kind, std::string_view storage_class, int count) override;
  void OnSent(int place, uint64_t bytes) override { ledger_->Add(place, "sent", bytes); }
  void OnReceived(int place, uint64_t bytes) override { ledger_->Add(place, "received", bytes); }

 private:
  struct Entry {
    std::string prefix;
    LedgerPlace place;
    int number = 0;
  };
  void Learn(const Address& address, std::string prefix, LedgerPlace place);

  std::shared_ptr<Ledger> ledger_;
  std::string name_;
  std::map<std::string, std::vector<Entry>, std::less<>>
      entries_;  // By bucket, longest prefix first.
  int other_;
};

}  // namespace longhaul
