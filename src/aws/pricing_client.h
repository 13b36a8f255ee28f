// PricingClient: what the AWS Price List Query API says that things cost.
//
// The service answers in us-east-1 alone. Errors as AwsJsonClient's; kCorrupt: an answer that makes
// no sense. Belongs to one shard. Source: AWS Billing, "AWS Price List Query API", GetProducts.

#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/aws_json_client.h"

namespace longhaul {

struct PriceQuestion {
  std::string service;                                       // "AmazonS3"
  std::vector<std::pair<std::string, std::string>> filters;  // Attributes and their values.
  std::string unit;                                          // "GB-Mo"; empty: any.
};

// A page of an answer.
struct PricePage {
  // Dollars on demand, in the first tier, of all products in it. As the service writes them.
  std::set<std::string> dollars;
  std::string next;  // Empty: this was the last page.
};
// `unit`: as in the question. kCorrupt: no such answer.
Result<PricePage> ParsePricePage(std::string_view text, std::string_view unit);

class PricingClient {
 public:
  explicit PricingClient(std::unique_ptr<AwsJsonClient> service) : service_(std::move(service)) {}

  // All different prices that products of the question have: one, where it is clear.
  Async<std::set<std::string>> Ask(PriceQuestion question);

 private:
  std::unique_ptr<AwsJsonClient> service_;
};

}  // namespace longhaul
