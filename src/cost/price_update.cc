#include "cost/price_update.h"

namespace longhaul {

std::vector<AskedPrice> PricesToAsk(const std::vector<std::string>& regions) {
  std::vector<AskedPrice> asked;
  for (const std::string& region : regions) {
    const std::string requests = "request/" + region + "/";
    asked.push_back({.names = {requests + "put/STANDARD", requests + "list/STANDARD"},
                     .question = {.service = "AmazonS3",
                                  .filters = {{"regionCode", region}, {"group", "S3-API-Tier1"}},
                                  .unit = "Requests"}});
    asked.push_back({.names = {requests + "get/STANDARD"},
                     .question = {.service = "AmazonS3",
                                  .filters = {{"regionCode", region}, {"group", "S3-API-Tier2"}},
                                  .unit = "Requests"}});
    asked.push_back({.names = {"storage/" + region + "/STANDARD"},
                     .question = {.service = "AmazonS3",
                                  .filters = {{"regionCode", region}, {"volumeType", "Standard"}},
                                  .unit = "GB-Mo"}});
    for (const std::string& to : regions) {
      if (to == region) continue;
      asked.push_back({.names = {"transfer/" + region + "/" + to},
                       .question = {.service = "AWSDataTransfer",
                                    .filters = {{"fromRegionCode", region},
                                                {"toRegionCode", to},
                                                {"transferType", "InterRegion Outbound"}},
                                    .unit = "GB"}});
    }
  }
  return asked;
}

}  // namespace longhaul
