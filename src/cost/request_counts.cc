#include "cost/request_counts.h"

namespace longhaul {

void RequestCounts::AddTo(Bill& bill, const std::string& region, std::string_view what) const {
  for (const auto& [key, count] : requests_) {
    const auto& [kind, storage_class] = key;
    bill.Add("requests at " + std::string(what),
             "request/" + region + "/" + std::string(ToString(kind)) + "/" +
                 (storage_class.empty() ? "STANDARD" : storage_class),
             Bill::Unit::kEach, count);
  }
}

}  // namespace longhaul
