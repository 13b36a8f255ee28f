// Any bytes as what a service of the JSON protocol answers, and as rows of a State in DynamoDB: no
// crash, and what is accepted can be counted with and written again as it was.

#include <cstdint>
#include <string_view>

#include "aws/aws_json_client.h"
#include "aws/dynamodb_client.h"
#include "aws/pricing_client.h"
#include "base/check.h"
#include "state/dynamodb_rows.h"

namespace {

using namespace longhaul;

void CheckItem(const DynamoItem& item) {
  Result<DynamoPlace> place = PlaceOfDynamoItem(item);
  if (!place) LH_CHECK(place.error().kind == ErrorKind::kCorrupt);
  Result<int64_t> version = ReadDynamoVersion(item);
  LH_CHECK(version ? *version >= 1 : version.error().kind == ErrorKind::kCorrupt);
  Result<DynamoRow> row = ReadDynamoRow(item);
  if (!row) {
    LH_CHECK(row.error().kind == ErrorKind::kCorrupt);
    return;
  }
  LH_CHECK(row->revision > 0);
  if (!place) return;
  LH_CHECK(place->ToString().size() < 1300);
  Result<DynamoRow> again = ReadDynamoRow(WriteDynamoRow(*place, *row));
  LH_CHECK(again.has_value() && again->value == row->value && again->revision == row->revision &&
           again->expires_us == row->expires_us && again->is_number == row->is_number);
}

void CheckItems(const std::vector<DynamoItem>& items) {
  for (const DynamoItem& item : items) CheckItem(item);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const int status : {400, 503}) {
    const Error error = AwsJsonError(status, {}, text);
    LH_CHECK(!error.message.empty());
    LH_CHECK(error.retry_after.count() == 0);
  }
  for (const char* member : {"Item", "Attributes"}) {
    Result<std::optional<DynamoItem>> item = ParseDynamoItem(text, member);
    if (item && *item) CheckItem(**item);
  }
  Result<DynamoPage> page = ParseDynamoPage(text);
  if (page) CheckItems(page->items);
  Result<DynamoBatch> batch = ParseDynamoBatch(text, "t");
  if (batch) {
    CheckItems(batch->items);
    CheckItems(batch->unprocessed);
  }
  Result<PricePage> prices = ParsePricePage(text, "GB");
  if (!prices) LH_CHECK(prices.error().kind == ErrorKind::kCorrupt);
  return 0;
}
