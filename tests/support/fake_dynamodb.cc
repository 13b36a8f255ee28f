#include "tests/support/fake_dynamodb.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul::testing {

namespace json = boost::json;

namespace {

std::string Text(const json::value& value) { return std::string(value.as_string()); }

int64_t Number(const json::value& value) { return std::stoll(Text(value.at("N"))); }

std::pair<int, std::string> Refuse(const std::string& type) {
  return {400, R"({"__type":"com.amazonaws.dynamodb.v20120810#)" + type + R"(","message":"no"})"};
}

}  // namespace

std::pair<std::string, std::string> FakeDynamodb::KeyOf(const Object& item) {
  return {Text(item.at("p").at("B")), Text(item.at("k").at("B"))};
}

// By the words of the conditions that DynamodbState writes.
bool FakeDynamodb::Holds(const Object& request) {
  const json::value* text = request.if_contains("ConditionExpression");
  if (text == nullptr) return true;
  const std::string condition = Text(*text);
  const json::value* given = request.if_contains("ExpressionAttributeValues");
  const Object values = given == nullptr ? Object() : given->as_object();
  auto found = items.find(KeyOf(request.at(request.contains("Item") ? "Item" : "Key").as_object()));
  const Object* item = found == items.end() ? nullptr : &found->second;
  const bool expired = item != nullptr && item->contains("expires") && values.contains(":now") &&
                       Number(item->at("expires")) <= Number(values.at(":now"));
  for (const char* name : {":expected", ":seen"}) {
    if (!values.contains(name)) continue;
    return item != nullptr && !expired && Number(item->at("revision")) == Number(values.at(name));
  }
  if (item == nullptr) return true;
  if (condition.contains("attribute_not_exists(#version)") && item->contains("version")) {
    return false;
  }
  if (condition.contains("#number")) return item->contains("number") && !expired;
  return condition.contains("#p") ? expired : true;
}

std::pair<int, std::string> FakeDynamodb::Carry(const std::string& operation, const Object& request,
                                                Fault fault) {
  if (operation == "DescribeTable") {
    return {200, R"({"Table":{"TableStatus":"ACTIVE","KeySchema":[
      {"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"k","KeyType":"RANGE"}],
      "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"B"},
      {"AttributeName":"k","AttributeType":"B"}]}})"};
  }
  if (operation == "Query") {
    const std::string answer = json::serialize(query_answers.front());
    if (query_answers.size() > 1) query_answers.pop_front();
    return {200, answer};
  }
  if (operation == "GetItem") {
    auto found = items.find(KeyOf(request.at("Key").as_object()));
    if (found == items.end()) return {200, "{}"};
    return {200, json::serialize(Object{{"Item", found->second}})};
  }
  if (operation == "BatchGetItem") {
    const json::array& keys = request.at("RequestItems").at("table").at("Keys").as_array();
    json::array answers;
    json::array unprocessed;
    for (const json::value& key : keys) {
      const bool all = fault != Fault::kUnprocessed;
      if (!all && (keys.size() == 1 || &key != &keys.front())) {
        unprocessed.push_back(key);
        continue;
      }
      auto found = items.find(KeyOf(key.as_object()));
      if (found != items.end()) answers.push_back(found->second);
    }
    Object rest;
    if (!unprocessed.empty()) rest["table"] = {{"Keys", unprocessed}};
    return {200, json::serialize(
                     Object{{"Responses", {{"table", answers}}}, {"UnprocessedKeys", rest}})};
  }
  if (!Holds(request)) return Refuse("ConditionalCheckFailedException");
  if (operation == "PutItem") {
    const Object& item = request.at("Item").as_object();
    items[KeyOf(item)] = item;
    return {200, "{}"};
  }
  const Object& key = request.at("Key").as_object();
  if (operation == "DeleteItem") {
    items.erase(KeyOf(key));
    return {200, "{}"};
  }
  if (operation != "UpdateItem") return Refuse("UnknownOperationException");
  const Object& values = request.at("ExpressionAttributeValues").as_object();
  Object& item = items.try_emplace(KeyOf(key), key).first->second;
  const int64_t before = item.contains("number") ? Number(item.at("number")) : 0;
  item["number"] = {{"N", std::to_string(before + Number(values.at(":amount")))}};
  item["revision"] = values.at(":revision");
  return {200, json::serialize(Object{{"Attributes", Object{{"number", item.at("number")},
                                                            {"revision", item.at("revision")}}}})};
}

Async<HttpResponse> FakeDynamodb::Send(HttpRequest request) {
  const std::string target(request.headers.Get("X-Amz-Target"));
  const std::string operation = target.substr(target.find('.') + 1);
  const Object parsed = json::parse(AsText(*request.body)).as_object();
  operations.push_back(operation);
  requests.push_back(parsed);
  Fault fault = Fault::kNone;
  const bool opening =
      operation == "DescribeTable" ||
      (operation == "GetItem" && KeyOf(parsed.at("Key").as_object()).first == Base64Encode("v"));
  if (!opening && !faults.empty()) {
    fault = faults.front();
    faults.pop_front();
  }
  std::pair<int, std::string> answer{200, "{}"};
  if (opening && !refusal.empty()) {
    answer = {400, refusal};
  } else if (fault == Fault::kThrottled) {
    answer = Refuse("ProvisionedThroughputExceededException");
  } else if (fault != Fault::kLostBefore) {
    answer = Carry(operation, parsed, fault);
  }
  if (fault != Fault::kNone && after_fault) after_fault();
  if (fault == Fault::kLostBefore || fault == Fault::kLostAfter) co_return Retryable("reset");
  if (fault == Fault::kFailedAfter) {
    answer = {500, R"({"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"})"};
  }
  HttpResponse response;
  response.status = answer.first;
  response.headers = headers;
  const uint32_t crc = Crc32(AsBytes(answer.second));
  response.headers.Add("x-amz-crc32", std::to_string(fault == Fault::kDamaged ? crc ^ 1 : crc));
  response.body = std::make_unique<AnswerBody>(answer.second, false);
  co_return response;
}

}  // namespace longhaul::testing
