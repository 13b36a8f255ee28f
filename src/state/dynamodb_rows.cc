#include "state/dynamodb_rows.h"

#include <charconv>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

// With its tag it fits a partition key of 2,048 bytes.
constexpr size_t kPartitionMaxBytes = 1024;
// Later than any of our clocks: DynamoDB takes out only what all agree on.
constexpr int64_t kTtlMarginSeconds = 3600;

const std::string* BytesOf(const DynamoItem& item, const std::string& name) {
  auto found = item.find(name);
  if (found == item.end() || found->second.kind != DynamoValue::Kind::kBytes) return nullptr;
  return &found->second.text;
}

std::optional<int64_t> NumberOf(const DynamoItem& item, const std::string& name) {
  auto found = item.find(name);
  if (found == item.end() || found->second.kind != DynamoValue::Kind::kNumber) return std::nullopt;
  const std::string& text = found->second.text;
  int64_t number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string BehindSign(char tag, std::string_view partition, std::string_view prefix) {
  return tag + Sha256(partition) + std::string(prefix.substr(0, kDynamoSortKeyMaxBytes));
}

}  // namespace

std::vector<std::string> DynamoStateKeys() { return {"p HASH B", "k RANGE B"}; }

DynamoItem DynamoPlace::Key() const {
  return {{"p", DynamoValue::Bytes(partition)}, {"k", DynamoValue::Bytes(sort)}};
}

std::string DynamoPlace::ToString() const {
  auto show = [](const std::string& bytes) {
    return PercentEncode(bytes.substr(0, 200), Slash::kKeep) + (bytes.size() > 200 ? "…" : "");
  };
  return "item p=" + show(partition) + ", k=" + show(sort);
}

DynamoPlace PlaceOfDynamoVersion() { return {.partition = "v", .sort = "state"}; }

Result<int64_t> ReadDynamoVersion(const std::optional<DynamoItem>& item) {
  if (!item) return 1;
  std::optional<int64_t> version = NumberOf(*item, "version");
  if (!version || *version < 1) return Corrupt("a version that is none");
  return *version;
}

bool IsLongDynamoKey(std::string_view key) { return key.size() >= kDynamoSortKeyMaxBytes; }

std::string DynamoPartition(std::string_view partition) {
  if (partition.size() > kPartitionMaxBytes) return "h" + Sha256(partition);
  return "p" + std::string(partition);
}

std::string DynamoExactPartition(std::string_view partition, std::string_view prefix) {
  return BehindSign('e', partition, prefix);
}

std::string DynamoLongPartition(std::string_view partition, std::string_view prefix) {
  return BehindSign('l', partition, prefix);
}

DynamoPlace PlaceOfDynamoRow(std::string_view partition, std::string_view key) {
  if (!IsLongDynamoKey(key)) {
    return {.partition = DynamoPartition(partition), .sort = std::string(key)};
  }
  if (key.size() == kDynamoSortKeyMaxBytes) {
    return {.partition = DynamoExactPartition(partition, key), .sort = std::string(1, '\0')};
  }
  return {.partition = DynamoLongPartition(partition, key),
          .sort = std::string(key.substr(kDynamoSortKeyMaxBytes))};
}

DynamoItem DynamoSign(std::string_view partition, std::string_view key) {
  DynamoItem sign = DynamoPlace{.partition = DynamoPartition(partition),
                                .sort = std::string(key.substr(0, kDynamoSortKeyMaxBytes))}
                        .Key();
  sign.emplace("long", DynamoValue::Flag());
  return sign;
}

bool IsDynamoSign(const DynamoItem& item) { return item.contains("long"); }

Result<DynamoPlace> PlaceOfDynamoItem(const DynamoItem& item) {
  const std::string* partition = BytesOf(item, "p");
  const std::string* sort = BytesOf(item, "k");
  if (partition == nullptr || sort == nullptr) return Corrupt("an item without its keys");
  return DynamoPlace{.partition = *partition, .sort = *sort};
}

Result<DynamoRow> ReadDynamoRow(const DynamoItem& item) {
  DynamoRow row;
  if (item.contains("version")) return Corrupt("it is of a newer longhaul: use that one");
  if (const std::string* value = BytesOf(item, "value")) {
    row.value = *value;
  } else if (std::optional<int64_t> number = NumberOf(item, "number")) {
    row.value = std::to_string(*number);
    row.is_number = true;
  } else {
    return Corrupt("it has no value");
  }
  std::optional<int64_t> revision = NumberOf(item, "revision");
  if (!revision || *revision <= 0) return Corrupt("it has no revision");
  row.revision = *revision;
  if (item.contains("expires")) {
    row.expires_us = NumberOf(item, "expires");
    if (!row.expires_us || *row.expires_us < 0 || *row.expires_us > kDynamoExpiresMaxUs) {
      return Corrupt("its expiry is no time");
    }
  }
  return row;
}

DynamoItem WriteDynamoRow(const DynamoPlace& place, const DynamoRow& row) {
  DynamoItem item = place.Key();
  if (row.is_number) {
    item.emplace("number", DynamoValue{.kind = DynamoValue::Kind::kNumber, .text = row.value});
  } else {
    item.emplace("value", DynamoValue::Bytes(row.value));
  }
  item.emplace("revision", DynamoValue::Number(row.revision));
  if (row.expires_us) {
    item.emplace("expires", DynamoValue::Number(*row.expires_us));
    item.emplace(kDynamoStateTtl,
                 DynamoValue::Number(*row.expires_us / 1'000'000 + kTtlMarginSeconds));
  }
  return item;
}

}  // namespace longhaul
