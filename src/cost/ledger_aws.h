// Requests to SQS and DynamoDB, as the ledger counts them: in the units that they are billed by.
//
// DynamoDB's units are made of the sizes of requests and answers, not asked for: rather too many
// than too few for writes, and for reads what came back.

#pragma once

#include <string>
#include <string_view>

#include "cost/ledger.h"

namespace longhaul {

// `service`: "sqs" or "dynamodb"; others cost nothing here. `answer`: empty where there was none.
void CountAwsRequest(Ledger& ledger, std::string_view service, const std::string& region,
                     std::string_view operation, std::string_view body, std::string_view answer,
                     int times);

}  // namespace longhaul
