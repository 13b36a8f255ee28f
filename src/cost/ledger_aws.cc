#include "cost/ledger_aws.h"

#include <algorithm>

namespace longhaul {

namespace {

// Amazon SQS pricing: each 64 KiB of a payload are a request.
constexpr size_t kQueueRequestBytes = 64 << 10;
// Amazon DynamoDB pricing, on demand: a strongly consistent read of 4 KB, a write of 1 KB.
constexpr size_t kReadBytes = 4 << 10;
constexpr size_t kWriteBytes = 1 << 10;

uint64_t Units(size_t bytes, size_t unit_bytes) {
  return std::max<uint64_t>(1, (bytes + unit_bytes - 1) / unit_bytes);
}

uint64_t CountOf(std::string_view text, std::string_view what) {
  uint64_t count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) {
    ++count;
  }
  return count;
}

}  // namespace

void CountAwsRequest(Ledger& ledger, std::string_view service, const std::string& region,
                     std::string_view operation, std::string_view body, std::string_view answer,
                     int times) {
  std::string_view what;
  uint64_t units = 0;
  if (service == "sqs") {
    what = "queue_request";
    units = Units(std::max(body.size(), answer.size()), kQueueRequestBytes);
  } else if (service != "dynamodb") {
    return;
  } else if (operation == "GetItem" || operation == "Query") {
    what = "state_read";
    units = Units(answer.size(), kReadBytes);
  } else if (operation == "BatchGetItem") {
    // Each item is rounded up by itself; each key names its partition once.
    what = "state_read";
    units = CountOf(body, "\"p\":") + Units(answer.size(), kReadBytes);
  } else if (operation == "PutItem" || operation == "UpdateItem" || operation == "DeleteItem") {
    what = "state_write";
    units = Units(body.size(), kWriteBytes);
  } else {
    return;  // Of tables, not of items: free.
  }
  const int place = ledger.PlaceOf({.rule = "",
                                    .target = "",
                                    .part = service == "sqs" ? "queue" : "state",
                                    .region = region,
                                    .peers = ""});
  ledger.Add(place, what, units * static_cast<uint64_t>(times));
}

}  // namespace longhaul
