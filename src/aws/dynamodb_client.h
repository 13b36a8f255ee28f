// DynamodbClient: the operations of Amazon DynamoDB that longhaul uses, on one table.
//
// Items are maps of names to bytes, numbers and flags. Reads are strongly consistent, and all that
// was asked for comes back or an error does. Errors as AwsJsonClient's, with a missing table as
// kInvalidInput; kCorrupt: an answer that makes no sense. Belongs to one shard.
// Source: Amazon DynamoDB API Reference.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/aws_json_client.h"

namespace longhaul {

struct DynamoValue {
  enum class Kind { kBytes, kNumber, kFlag };
  Kind kind = Kind::kBytes;
  std::string text;  // kBytes: as they are; kNumber: decimal; kFlag: "" for false.

  static DynamoValue Bytes(std::string bytes) { return {.text = std::move(bytes)}; }
  static DynamoValue Number(int64_t number) {
    return {.kind = Kind::kNumber, .text = std::to_string(number)};
  }
  static DynamoValue Flag() { return {.kind = Kind::kFlag, .text = "true"}; }
  bool operator==(const DynamoValue&) const = default;
};

using DynamoItem = std::map<std::string, DynamoValue>;

// An expression of DynamoDB. In it "#name" stands for the attribute `name`, which may so be a word
// that DynamoDB keeps for itself, and ":name" for one of `values`; all of them have to be used.
struct DynamoExpression {
  std::string text;  // Empty: none.
  DynamoItem values;
};

struct DynamoQuery {
  std::string keys;    // The condition on the keys.
  std::string filter;  // What of it comes back.
  DynamoItem values;   // Of both.
  int looked_at_max = 0;
  std::optional<DynamoItem> start;  // Where the page before ended.
};

struct DynamoPage {
  std::vector<DynamoItem> items;
  std::optional<DynamoItem> next;  // nullopt: this was the last page.
};

struct DynamoTable {
  std::string status;             // "ACTIVE", "CREATING", …
  std::vector<std::string> keys;  // "p HASH B", "k RANGE B".

  // Reads and writes work.
  [[nodiscard]] bool usable() const { return status == "ACTIVE" || status == "UPDATING"; }
};

// Of a provisioned table, in units of a second.
struct DynamoCapacity {
  int64_t read_units = 1;
  int64_t write_units = 1;
};

class DynamodbClient {
 public:
  static constexpr size_t kBatchMax = 100;  // BatchGetItem.

  DynamodbClient(std::unique_ptr<AwsJsonClient> service, std::string table)
      : service_(std::move(service)), table_(std::move(table)) {}

  Async<std::optional<DynamoItem>> Get(DynamoItem key);
  // In any order, without those that are not there. `keys`: 1 to kBatchMax, each another one.
  Async<std::vector<DynamoItem>> BatchGet(std::vector<DynamoItem> keys);
  Async<DynamoPage> Query(DynamoQuery query);

  // kPrecondition: the condition does not hold, nothing was done.
  Async<void> Put(DynamoItem item, DynamoExpression condition, AwsRepeat repeat);
  Async<void> Delete(DynamoItem key, DynamoExpression condition);
  // What it has set; makes the item where there is none. `condition.values` are those of both.
  Async<DynamoItem> Update(DynamoItem key, std::string update, DynamoExpression condition);

  // nullopt: there is none.
  Async<std::optional<DynamoTable>> Describe();
  // `keys` as in DynamoTable; without `capacity`: on demand. OK: it is being made, by us or
  // somebody else.
  Async<void> Create(std::vector<std::string> keys, std::optional<DynamoCapacity> capacity);
  // Whether it was off.
  Async<bool> TurnOnTtl(std::string attribute);

  [[nodiscard]] AwsJsonClient& service() { return *service_; }
  [[nodiscard]] const std::string& table() const { return table_; }
  [[nodiscard]] std::string description() const {
    return service_->description() + ", table " + table_;
  }

 private:
  Async<std::string> Call(std::string operation, std::string body, AwsRepeat repeat);

  std::unique_ptr<AwsJsonClient> service_;
  std::string table_;
};

// The answers, for whoever has their text (tests/fuzz). Errors: kCorrupt.
Result<std::optional<DynamoItem>> ParseDynamoItem(std::string_view text, std::string_view member);
Result<DynamoPage> ParseDynamoPage(std::string_view text);
struct DynamoBatch {
  std::vector<DynamoItem> items;
  std::vector<DynamoItem> unprocessed;  // Keys.
};
Result<DynamoBatch> ParseDynamoBatch(std::string_view text, std::string_view table);

// Whether DynamoDB takes it for a table's name.
bool IsDynamoTableName(std::string_view name);

}  // namespace longhaul
