// Which prices can be asked of AWS, and how: the questions of regions.

#pragma once

#include <string>
#include <vector>

#include "aws/pricing_client.h"

namespace longhaul {

struct AskedPrice {
  std::vector<std::string> names;  // As in `prices:`; all cost the same.
  PriceQuestion question;
};

// Requests and storage of S3 Standard in each region, and transfer from each to each other one.
std::vector<AskedPrice> PricesToAsk(const std::vector<std::string>& regions);

}  // namespace longhaul
