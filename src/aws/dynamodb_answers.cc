// What DynamoDB answers, read with suspicion.

#include <boost/json.hpp>

#include "aws/dynamodb_client.h"
#include "base/bytes.h"
#include "base/json.h"

namespace longhaul {

namespace {

constexpr JsonLimits kAnswerLimits{.size_bytes_max = size_t{40} << 20, .depth_max = 32};

Error Wrong(const Error& error) { return Corrupt("the answer of DynamoDB: " + error.message); }

Result<boost::json::value> Parse(std::string_view text) {
  Result<boost::json::value> parsed = ParseJson(text, kAnswerLimits);
  if (!parsed) return Wrong(parsed.error());
  return parsed;
}

Result<DynamoValue> ReadValue(const JsonView& view) {
  for (const char* type : {"B", "N"}) {
    Result<std::optional<JsonView>> member = view.MemberIfThere(type);
    if (!member) return Wrong(member.error());
    if (!*member) continue;
    Result<std::string_view> text = (*member)->Text();
    if (!text) return Wrong(text.error());
    if (*type == 'N') {
      return DynamoValue{.kind = DynamoValue::Kind::kNumber, .text = std::string(*text)};
    }
    Result<std::string> bytes = Base64Decode(*text);
    if (!bytes) return Wrong(bytes.error().In(view.path()));
    return DynamoValue::Bytes(std::move(*bytes));
  }
  Result<JsonView> flag = view.Member("BOOL");
  if (!flag) return Wrong(flag.error());
  Result<bool> set = flag->Boolean();
  if (!set) return Wrong(set.error());
  return DynamoValue{.kind = DynamoValue::Kind::kFlag, .text = *set ? "true" : ""};
}

Result<DynamoItem> ReadItem(const JsonView& view) {
  const boost::json::object* object = view.value().if_object();
  if (object == nullptr) return Corrupt("the answer of DynamoDB: " + view.path() + " is no item");
  DynamoItem item;
  for (const auto& [name, value] : *object) {
    Result<DynamoValue> read = ReadValue(JsonView(value, view.path() + "." + std::string(name)));
    if (!read) return read.error();
    item.emplace(name, std::move(*read));
  }
  return item;
}

Result<std::vector<DynamoItem>> ReadItems(const JsonView& view, std::string_view name) {
  std::vector<DynamoItem> items;
  Result<JsonView> list = view.Member(name);
  if (!list) return Wrong(list.error());
  Result<std::vector<JsonView>> views = list->Items();
  if (!views) return Wrong(views.error());
  for (const JsonView& one : *views) {
    Result<DynamoItem> item = ReadItem(one);
    if (!item) return item.error();
    items.push_back(std::move(*item));
  }
  return items;
}

// An empty object is as good as none.
Result<std::optional<DynamoItem>> ReadItemIfThere(const JsonView& view, std::string_view name) {
  Result<std::optional<JsonView>> member = view.MemberIfThere(name);
  if (!member) return Wrong(member.error());
  if (!*member) return std::optional<DynamoItem>();
  Result<DynamoItem> item = ReadItem(**member);
  if (!item) return item.error();
  if (item->empty()) return std::optional<DynamoItem>();
  return std::optional(std::move(*item));
}

}  // namespace

Result<std::optional<DynamoItem>> ParseDynamoItem(std::string_view text, std::string_view member) {
  Result<boost::json::value> parsed = Parse(text);
  if (!parsed) return parsed.error();
  return ReadItemIfThere(JsonView(*parsed), member);
}

Result<DynamoPage> ParseDynamoPage(std::string_view text) {
  Result<boost::json::value> parsed = Parse(text);
  if (!parsed) return parsed.error();
  const JsonView view(*parsed);
  DynamoPage page;
  Result<std::vector<DynamoItem>> items = ReadItems(view, "Items");
  if (!items) return items.error();
  page.items = std::move(*items);
  Result<std::optional<DynamoItem>> next = ReadItemIfThere(view, "LastEvaluatedKey");
  if (!next) return next.error();
  page.next = std::move(*next);
  return page;
}

Result<DynamoBatch> ParseDynamoBatch(std::string_view text, std::string_view table) {
  Result<boost::json::value> parsed = Parse(text);
  if (!parsed) return parsed.error();
  const JsonView view(*parsed);
  DynamoBatch batch;
  // Without it nothing was looked for.
  Result<JsonView> answers = view.Member("Responses");
  if (!answers) return Wrong(answers.error());
  Result<std::optional<JsonView>> found = answers->MemberIfThere(table);
  if (!found) return Wrong(found.error());
  if (*found) {
    Result<std::vector<DynamoItem>> items = ReadItems(*answers, table);
    if (!items) return items.error();
    batch.items = std::move(*items);
  }
  Result<std::optional<JsonView>> rest = view.MemberIfThere("UnprocessedKeys");
  if (!rest) return Wrong(rest.error());
  if (!*rest) return batch;
  Result<std::optional<JsonView>> of_table = (*rest)->MemberIfThere(table);
  if (!of_table) return Wrong(of_table.error());
  if (!*of_table) return batch;
  Result<std::vector<DynamoItem>> keys = ReadItems(**of_table, "Keys");
  if (!keys) return keys.error();
  batch.unprocessed = std::move(*keys);
  return batch;
}

}  // namespace longhaul
