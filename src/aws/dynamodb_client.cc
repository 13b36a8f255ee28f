#include "aws/dynamodb_client.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"

namespace longhaul {

namespace json = boost::json;

namespace {

json::object WriteItem(const DynamoItem& item) {
  json::object object;
  for (const auto& [name, value] : item) {
    switch (value.kind) {
      case DynamoValue::Kind::kBytes:
        object[name] = {{"B", Base64Encode(value.text)}};
        break;
      case DynamoValue::Kind::kNumber:
        object[name] = {{"N", value.text}};
        break;
      case DynamoValue::Kind::kFlag:
        object[name] = {{"BOOL", !value.text.empty()}};
        break;
    }
  }
  return object;
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// What the "#name" in `text` stand for.
void AddNames(json::object& names, std::string_view text) {
  for (size_t at = text.find('#'); at != text.npos; at = text.find('#', at + 1)) {
    size_t end = at + 1;
    while (end < text.size() && IsNameCharacter(text[end])) ++end;
    names[text.substr(at, end - at)] = text.substr(at + 1, end - at - 1);
  }
}

void AddExpressions(json::object& request,
                    std::initializer_list<std::pair<std::string_view, std::string_view>> all,
                    const DynamoItem& values) {
  json::object names;
  for (const auto& [what, text] : all) {
    if (text.empty()) continue;
    request[what] = text;
    AddNames(names, text);
  }
  if (!names.empty()) request["ExpressionAttributeNames"] = std::move(names);
  if (!values.empty()) request["ExpressionAttributeValues"] = WriteItem(values);
}

}  // namespace

bool IsDynamoTableName(std::string_view name) {
  return name.size() >= 3 && name.size() <= 255 && std::ranges::all_of(name, [](char c) {
           return IsNameCharacter(c) || c == '-' || c == '.';
         });
}

Async<std::string> DynamodbClient::Call(std::string operation, std::string body, AwsRepeat repeat) {
  Result<std::string> answer =
      co_await service_->Call(std::move(operation), std::move(body), repeat);
  if (answer) co_return answer;
  Error error = answer.error().In(description());
  if (error.kind == ErrorKind::kNotFound) {
    co_return InvalidInput(error.Describe() + ": run 'longhaul setup'");
  }
  co_return error;
}

Async<std::optional<DynamoItem>> DynamodbClient::Get(DynamoItem key) {
  json::object request{{"TableName", table_}, {"Key", WriteItem(key)}, {"ConsistentRead", true}};
  Result<std::string> answer = co_await Call("GetItem", WriteJson(request), AwsRepeat::kSafe);
  if (!answer) co_return answer.error();
  co_return ParseDynamoItem(*answer, "Item");
}

Async<std::vector<DynamoItem>> DynamodbClient::BatchGet(std::vector<DynamoItem> keys) {
  std::vector<DynamoItem> items;
  std::optional<RetryState> retry;
  while (true) {
    json::array list;
    for (const DynamoItem& key : keys) list.push_back(WriteItem(key));
    json::object of_table{{"Keys", std::move(list)}, {"ConsistentRead", true}};
    json::object request{{"RequestItems", {{table_, std::move(of_table)}}}};
    Result<std::string> answer =
        co_await Call("BatchGetItem", WriteJson(request), AwsRepeat::kSafe);
    if (!answer) co_return answer.error();
    Result<DynamoBatch> batch = ParseDynamoBatch(*answer, table_);
    if (!batch) co_return batch.error();
    const bool some = batch->unprocessed.size() < keys.size();
    std::ranges::move(batch->items, std::back_inserter(items));
    keys = std::move(batch->unprocessed);
    if (keys.empty()) co_return items;
    // Throttled, or more than fits into an answer.
    if (some) {
      retry.reset();
      continue;
    }
    service_->CountThrottled("BatchGetItem");
    if (!retry) retry.emplace(service_->NewRetry());
    const Error error{.kind = ErrorKind::kThrottled,
                      .message = description() + ": BatchGetItem: keys were not processed"};
    const std::optional<std::chrono::nanoseconds> delay = retry->DelayAfter(error);
    if (!delay) co_return retry->GaveUp(error);
    co_await service_->runtime().clock.Sleep(*delay);
  }
}

Async<DynamoPage> DynamodbClient::Query(DynamoQuery query) {
  json::object request{{"TableName", table_}, {"ConsistentRead", true}};
  if (query.looked_at_max > 0) request["Limit"] = query.looked_at_max;
  if (query.start) request["ExclusiveStartKey"] = WriteItem(*query.start);
  AddExpressions(request,
                 {{"KeyConditionExpression", query.keys}, {"FilterExpression", query.filter}},
                 query.values);
  Result<std::string> answer = co_await Call("Query", WriteJson(request), AwsRepeat::kSafe);
  if (!answer) co_return answer.error();
  co_return ParseDynamoPage(*answer);
}

Async<void> DynamodbClient::Put(DynamoItem item, DynamoExpression condition, AwsRepeat repeat) {
  json::object request{{"TableName", table_}, {"Item", WriteItem(item)}};
  AddExpressions(request, {{"ConditionExpression", condition.text}}, condition.values);
  Result<std::string> answer = co_await Call("PutItem", WriteJson(request), repeat);
  if (!answer) co_return answer.error();
  co_return Ok();
}

Async<void> DynamodbClient::Delete(DynamoItem key, DynamoExpression condition) {
  json::object request{{"TableName", table_}, {"Key", WriteItem(key)}};
  AddExpressions(request, {{"ConditionExpression", condition.text}}, condition.values);
  Result<std::string> answer = co_await Call("DeleteItem", WriteJson(request), AwsRepeat::kOnce);
  if (!answer) co_return answer.error();
  co_return Ok();
}

Async<DynamoItem> DynamodbClient::Update(DynamoItem key, std::string update,
                                         DynamoExpression condition) {
  json::object request{
      {"TableName", table_}, {"Key", WriteItem(key)}, {"ReturnValues", "UPDATED_NEW"}};
  AddExpressions(request, {{"UpdateExpression", update}, {"ConditionExpression", condition.text}},
                 condition.values);
  Result<std::string> answer = co_await Call("UpdateItem", WriteJson(request), AwsRepeat::kOnce);
  if (!answer) co_return answer.error();
  Result<std::optional<DynamoItem>> set = ParseDynamoItem(*answer, "Attributes");
  if (!set) co_return set.error();
  co_return set->value_or(DynamoItem());
}

Async<std::optional<DynamoTable>> DynamodbClient::Describe() {
  const json::object request{{"TableName", table_}};
  Result<std::string> answer =
      co_await service_->Call("DescribeTable", WriteJson(request), AwsRepeat::kSafe);
  if (!answer) {
    if (answer.error().kind == ErrorKind::kNotFound) co_return std::optional<DynamoTable>();
    co_return answer.error().In(description());
  }
  Result<json::value> parsed = ParseJson(*answer);
  if (!parsed) co_return Corrupt(parsed.error().In("DescribeTable").message);
  DynamoTable table;
  Result<JsonView> view = JsonView(*parsed).Member("Table");
  Result<std::string_view> status = view ? view->Text("TableStatus") : view.error();
  if (!status) co_return Corrupt(status.error().In("DescribeTable").message);
  table.status = *status;
  // Both lists are short; types are listed apart from the keys.
  auto items = [&view](std::string_view name) -> std::vector<JsonView> {
    Result<JsonView> list = view->Member(name);
    Result<std::vector<JsonView>> all = list ? list->Items() : list.error();
    return all ? *all : std::vector<JsonView>();
  };
  for (const JsonView& key : items("KeySchema")) {
    const std::string name(key.Text("AttributeName").value_or(""));
    std::string line = name + " " + std::string(key.Text("KeyType").value_or(""));
    for (const JsonView& attribute : items("AttributeDefinitions")) {
      if (attribute.Text("AttributeName").value_or("") != name) continue;
      line += " " + std::string(attribute.Text("AttributeType").value_or(""));
    }
    table.keys.push_back(std::move(line));
  }
  co_return table;
}

Async<void> DynamodbClient::Create(std::vector<std::string> keys,
                                   std::optional<DynamoCapacity> capacity) {
  json::array attributes;
  json::array schema;
  for (const std::string& key : keys) {
    const size_t first = key.find(' ');
    const size_t second = key.rfind(' ');
    const std::string name = key.substr(0, first);
    schema.push_back(
        {{"AttributeName", name}, {"KeyType", key.substr(first + 1, second - first - 1)}});
    attributes.push_back({{"AttributeName", name}, {"AttributeType", key.substr(second + 1)}});
  }
  json::object request{{"TableName", table_},
                       {"AttributeDefinitions", std::move(attributes)},
                       {"KeySchema", std::move(schema)},
                       {"BillingMode", capacity ? "PROVISIONED" : "PAY_PER_REQUEST"}};
  if (capacity) {
    request["ProvisionedThroughput"] = {{"ReadCapacityUnits", capacity->read_units},
                                        {"WriteCapacityUnits", capacity->write_units}};
  }
  Result<std::string> answer =
      co_await service_->Call("CreateTable", WriteJson(request), AwsRepeat::kSafe);
  // Somebody else's, or an earlier attempt's.
  if (!answer && answer.error().code == "ResourceInUseException") co_return Ok();
  if (!answer) co_return answer.error().In(description());
  co_return Ok();
}

Async<bool> DynamodbClient::TurnOnTtl(std::string attribute) {
  const json::object which{{"TableName", table_}};
  Result<std::string> answer =
      co_await Call("DescribeTimeToLive", WriteJson(which), AwsRepeat::kSafe);
  if (!answer) co_return answer.error();
  Result<json::value> parsed = ParseJson(*answer);
  if (!parsed) co_return Corrupt(parsed.error().In("DescribeTimeToLive").message);
  Result<JsonView> now = JsonView(*parsed).Member("TimeToLiveDescription");
  Result<std::string_view> status = now ? now->Text("TimeToLiveStatus") : now.error();
  if (!status) co_return Corrupt(status.error().In("DescribeTimeToLive").message);
  if (*status == "ENABLED" || *status == "ENABLING") {
    const std::string name(now->Text("AttributeName").value_or(""));
    if (!name.empty() && name != attribute) {
      co_return InvalidInput(description() + ": its TTL is by '" + name + "', not by '" +
                             attribute + "': it is no table of longhaul");
    }
    co_return false;
  }
  const json::object request{
      {"TableName", table_},
      {"TimeToLiveSpecification", {{"Enabled", true}, {"AttributeName", attribute}}}};
  Result<std::string> set = co_await Call("UpdateTimeToLive", WriteJson(request), AwsRepeat::kSafe);
  // Somebody else was faster.
  if (!set && set.error().message.contains("already enabled")) co_return false;
  if (!set) co_return set.error();
  co_return true;
}

}  // namespace longhaul
