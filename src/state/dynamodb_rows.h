// How rows of a State lie in a table of DynamoDB.
//
// An item has the partition key `p` and the sort key `k`, both bytes, and
//   value     bytes; or
//   number    a number, where Add has written it: it then counts without being read first
//   revision  62 bits of chance, so that none comes back, whatever is removed in between
//   expires   microseconds since 1970, by the service's clock
//   ttl       seconds: when DynamoDB may take the expired item out
//   version   a number: a row of a later longhaul, which is neither read nor written over
//
// A sort key has 1,024 bytes at most, a key of State twice as many. Keys up to 1,023 bytes lie at
// p = "p" + partition, k = key. Longer ones share an item, their *sign*, at k = their first 1,024
// bytes, which says that there are such; the rows themselves lie at
//   p = "l" + SHA-256 of the partition + those 1,024 bytes, k = the rest of the key, or, where
//   p = "e" + the same, k = one zero byte, there is no rest.
// So byte order stays: a scan that comes by a sign goes through what it stands for. Signs are never
// taken out; one that stands for nothing costs a scan two questions.
//
// A table is of version 1, unless the item at p = "v", k = "state" says otherwise by its `version`.
// Source: DynamoDB Developer Guide, "Quotas": keys, and 400 KB an item.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/dynamodb_client.h"
#include "state/state.h"

namespace longhaul {

// As in DynamoTable.
std::vector<std::string> DynamoStateKeys();
inline constexpr const char* kDynamoStateTtl = "ttl";
inline constexpr int64_t kDynamoStateVersion = 1;

inline constexpr size_t kDynamoSortKeyMaxBytes = 1024;

struct DynamoPlace {
  std::string partition;
  std::string sort;

  auto operator<=>(const DynamoPlace&) const = default;
  [[nodiscard]] DynamoItem Key() const;
  // For messages: "item p=…, k=…", percent-encoded.
  [[nodiscard]] std::string ToString() const;
};

// Where the table's version would be.
DynamoPlace PlaceOfDynamoVersion();
// 1 where there is no item. kCorrupt: it is no version.
Result<int64_t> ReadDynamoVersion(const std::optional<DynamoItem>& item);

bool IsLongDynamoKey(std::string_view key);
// Where rows with short keys, and signs, lie.
std::string DynamoPartition(std::string_view partition);
DynamoPlace PlaceOfDynamoRow(std::string_view partition, std::string_view key);
// The two partitions behind a sign.
std::string DynamoExactPartition(std::string_view partition, std::string_view prefix);
std::string DynamoLongPartition(std::string_view partition, std::string_view prefix);
DynamoItem DynamoSign(std::string_view partition, std::string_view key);
bool IsDynamoSign(const DynamoItem& item);
// kCorrupt: it has none.
Result<DynamoPlace> PlaceOfDynamoItem(const DynamoItem& item);

inline constexpr int64_t kDynamoExpiresMaxUs = int64_t{1} << 60;  // In 36,000 years or so.

// An item as it is, also an expired one.
struct DynamoRow {
  std::string value;  // Of a number: its text.
  bool is_number = false;
  int64_t revision = 0;
  std::optional<int64_t> expires_us;  // By the service's clock; 0 to kDynamoExpiresMaxUs.

  [[nodiscard]] bool Expired(int64_t now_us) const { return expires_us && *expires_us <= now_us; }
};

// kCorrupt: it is no row, or one of a later longhaul.
Result<DynamoRow> ReadDynamoRow(const DynamoItem& item);
DynamoItem WriteDynamoRow(const DynamoPlace& place, const DynamoRow& row);

}  // namespace longhaul
