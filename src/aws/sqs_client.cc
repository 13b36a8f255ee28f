#include "aws/sqs_client.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <utility>

#include "base/json.h"
#include "base/log.h"

namespace longhaul {

using std::chrono::seconds;

namespace {

constexpr int kRequestsMax = 64;

bool Has(std::string_view code, std::string_view what) { return code.find(what) != code.npos; }

// What AwsJsonClient takes for a request that makes no sense.
Error Named(Error error) {
  if (Has(error.code, "QueueDoesNotExist") || Has(error.code, "NonExistentQueue")) {
    error.kind = ErrorKind::kNotFound;
  } else if (Has(error.code, "AccessDenied")) {  // KmsAccessDenied.
    error.kind = ErrorKind::kDenied;
  }
  return error;
}

Error ErrorOf(const SqsBatchAnswer::Failed& failed, bool handles) {
  Error error{.message = failed.message.empty() ? failed.code : failed.message,
              .code = failed.code};
  if (Has(failed.code, "Throttl")) {
    error.kind = ErrorKind::kThrottled;
  } else if (!failed.sender_fault) {
    error.kind = ErrorKind::kRetryable;
  } else if (Has(failed.code, "AccessDenied")) {
    error.kind = ErrorKind::kDenied;
  } else {
    // Of an entry that is nothing but a handle only that can be wrong.
    error.kind = handles ? ErrorKind::kPrecondition : ErrorKind::kInvalidInput;
  }
  return error;
}

std::string Opening(const std::string& url) {
  std::string body = "{\"QueueUrl\":";
  AppendJsonString(body, url);
  return body;
}

void AppendAttributes(std::string& body, std::string_view name, const SqsAttributes& attributes) {
  body += ",\"" + std::string(name) + "\":{";
  bool first = true;
  for (const auto& [key, value] : attributes) {
    if (!std::exchange(first, false)) body += ',';
    AppendJsonString(body, key);
    body += ':';
    AppendJsonString(body, value);
  }
  body += '}';
}

}  // namespace

size_t SqsNewMessage::size_bytes() const {
  size_t size = body.size();
  for (const auto& [name, value] : attributes) size += name.size() + 6 + value.size();
  return size;
}

Result<std::unique_ptr<SqsClient>> SqsClient::Make(const Runtime& runtime, AwsJsonOptions options,
                                                   int listeners, HttpClient* http) {
  std::unique_ptr<SqsClient> client(new SqsClient);
  if (http == nullptr) {
    client->http_ = MakeHttpClient(runtime, {.requests_max = kRequestsMax + listeners,
                                             .ca_file = options.ca_file,
                                             .proxy = options.proxy});
    http = client->http_.get();
  }
  Result<std::unique_ptr<AwsJsonClient>> service =
      AwsJsonClient::Make(runtime, std::move(options), http);
  if (!service) return service.error();
  client->service_ = std::move(*service);
  return client;
}

Async<std::string> SqsClient::Call(std::string operation, std::string body) {
  // Each of them may be done twice: a message too many is one that is delivered twice.
  Result<std::string> answer =
      co_await service_->Call(std::move(operation), std::move(body), AwsRepeat::kSafe);
  if (!answer) co_return Named(answer.error());
  co_return answer;
}

Async<std::string> SqsClient::Find(std::string name) {
  std::string body = "{\"QueueName\":";
  AppendJsonString(body, name);
  Result<std::string> answer = co_await Call("GetQueueUrl", body + "}");
  if (!answer) co_return answer.error();
  Result<boost::json::value> value = ParseJson(*answer);
  if (!value) co_return Corrupt("the answer of SQS: " + value.error().message);
  Result<std::string_view> url = JsonView(*value).Text("QueueUrl");
  if (!url) co_return Corrupt("the answer of SQS: " + url.error().message);
  co_return std::string(*url);
}

Async<std::string> SqsClient::Create(std::string name, SqsAttributes attributes) {
  std::string body = "{\"QueueName\":";
  AppendJsonString(body, name);
  AppendAttributes(body, "Attributes", attributes);
  Result<std::string> answer = co_await Call("CreateQueue", body + "}");
  if (!answer) co_return answer.error();
  Result<boost::json::value> value = ParseJson(*answer);
  if (!value) co_return Corrupt("the answer of SQS: " + value.error().message);
  Result<std::string_view> url = JsonView(*value).Text("QueueUrl");
  if (!url) co_return Corrupt("the answer of SQS: " + url.error().message);
  co_return std::string(*url);
}

Async<SqsAttributes> SqsClient::Attributes(std::string url) {
  Result<std::string> answer =
      co_await Call("GetQueueAttributes", Opening(url) + ",\"AttributeNames\":[\"All\"]}");
  if (!answer) co_return answer.error();
  Result<boost::json::value> value = ParseJson(*answer);
  if (!value) co_return Corrupt("the answer of SQS: " + value.error().message);
  Result<std::optional<JsonView>> found = JsonView(*value).MemberIfThere("Attributes");
  if (!found) co_return Corrupt("the answer of SQS: " + found.error().message);
  SqsAttributes attributes;
  const boost::json::object* object = *found ? (*found)->value().if_object() : nullptr;
  if (object == nullptr) co_return attributes;
  for (const auto& [name, text] : *object) {
    if (text.is_string()) attributes.emplace(name, text.get_string().c_str());
  }
  co_return attributes;
}

Async<void> SqsClient::SetAttributes(std::string url, SqsAttributes attributes) {
  std::string body = Opening(url);
  AppendAttributes(body, "Attributes", attributes);
  Result<std::string> answer = co_await Call("SetQueueAttributes", body + "}");
  if (!answer) co_return answer.error();
  co_return Ok();
}

Async<std::vector<SqsMessage>> SqsClient::Receive(std::string url, SqsReceive request) {
  std::string body = Opening(url);
  body += ",\"MaxNumberOfMessages\":" +
          std::to_string(std::clamp(request.count_max, 1, static_cast<int>(kSqsBatchMax)));
  body += ",\"VisibilityTimeout\":" + std::to_string(request.visibility.count());
  body += ",\"WaitTimeSeconds\":" + std::to_string(request.wait.count());
  body += R"(,"AttributeNames":["ApproximateReceiveCount","SentTimestamp"])";
  body += R"(,"MessageAttributeNames":["All"]})";
  Result<std::string> answer = co_await Call("ReceiveMessage", std::move(body));
  if (!answer) co_return answer.error();
  Result<SqsReceived> received = ParseSqsMessages(*answer);
  if (!received) co_return received.error();
  if (received->damaged > 0) {
    runtime().log.Warning("messages were damaged on their way and will come again",
                          {{"messages", received->damaged}});
  }
  co_return std::move(received->messages);
}

Async<std::vector<SqsFailure>> SqsClient::Batch(std::string operation, std::string url,
                                                std::vector<size_t> indexes,
                                                const WriteEntry& write, bool handles) {
  RetryState retry = service_->NewRetry();
  std::vector<SqsFailure> failures;
  while (true) {
    std::string body = Opening(url) + ",\"Entries\":[";
    for (size_t i = 0; i < indexes.size(); ++i) {
      body += (i == 0 ? "{\"Id\":\"" : ",{\"Id\":\"") + std::to_string(i) + '"';
      write(body, indexes[i]);
      body += '}';
    }
    Result<std::string> answer = co_await Call(operation, body + "]}");
    if (!answer) co_return answer.error();
    Result<SqsBatchAnswer> parsed = ParseSqsBatch(*answer);
    if (!parsed) co_return parsed.error();
    // What is named neither here nor there is as good as not done.
    std::vector<std::optional<Error>> errors(
        indexes.size(), Retryable(operation + ": the answer leaves a message out"));
    auto place = [&](const std::string& id) -> std::optional<Error>* {
      size_t i = errors.size();
      auto [end, failed] = std::from_chars(id.data(), id.data() + id.size(), i);
      const bool good = failed == std::errc() && end == id.data() + id.size();
      return good && i < errors.size() ? &errors[i] : nullptr;
    };
    for (const std::string& id : parsed->done) {
      if (std::optional<Error>* error = place(id)) error->reset();
    }
    for (const SqsBatchAnswer::Failed& failed : parsed->failed) {
      if (std::optional<Error>* error = place(failed.id)) *error = ErrorOf(failed, handles);
    }
    std::vector<size_t> again;
    std::vector<SqsFailure> passing;
    for (size_t i = 0; i < indexes.size(); ++i) {
      if (!errors[i]) continue;
      const SqsFailure failure{.index = indexes[i], .error = errors[i]->In(operation)};
      if (errors[i]->Transient()) {
        again.push_back(indexes[i]);
        passing.push_back(failure);
      } else {
        failures.push_back(failure);
      }
    }
    if (again.empty()) break;
    const std::optional<std::chrono::nanoseconds> delay = retry.DelayAfter(passing.front().error);
    if (!delay) {
      failures.insert(failures.end(), passing.begin(), passing.end());
      break;
    }
    co_await runtime().clock.Sleep(*delay);
    indexes = std::move(again);
  }
  co_return failures;
}

Async<std::vector<SqsFailure>> SqsClient::Send(std::string url,
                                               std::vector<SqsNewMessage> messages) {
  const WriteEntry write = [&](std::string& out, size_t index) {
    const SqsNewMessage& message = messages[index];
    out += ",\"MessageBody\":";
    AppendJsonString(out, message.body);
    if (message.delay.count() > 0) {
      out += ",\"DelaySeconds\":" + std::to_string(std::min(message.delay, kSqsDelayMax).count());
    }
    if (message.attributes.empty()) return;
    out += ",\"MessageAttributes\":{";
    bool first = true;
    for (const auto& [name, value] : message.attributes) {
      if (!std::exchange(first, false)) out += ',';
      AppendJsonString(out, name);
      out += ":{\"DataType\":\"String\",\"StringValue\":";
      AppendJsonString(out, value);
      out += '}';
    }
    out += '}';
  };
  std::vector<SqsFailure> failures;
  for (size_t next = 0; next < messages.size();) {
    std::vector<size_t> indexes;
    size_t size = 0;
    for (; next < messages.size() && indexes.size() < kSqsBatchMax; ++next) {
      size += messages[next].size_bytes();
      if (!indexes.empty() && size > kSqsBatchBytesMax) break;
      indexes.push_back(next);
    }
    Result<std::vector<SqsFailure>> failed =
        co_await Batch("SendMessageBatch", url, std::move(indexes), write, false);
    if (!failed) co_return failed.error();
    failures.insert(failures.end(), failed->begin(), failed->end());
  }
  co_return failures;
}

Async<std::vector<SqsFailure>> SqsClient::OfHandles(std::string operation, std::string url,
                                                    size_t count, const WriteEntry& write) {
  std::vector<SqsFailure> failures;
  for (size_t next = 0; next < count;) {
    std::vector<size_t> indexes;
    for (; next < count && indexes.size() < kSqsBatchMax; ++next) indexes.push_back(next);
    Result<std::vector<SqsFailure>> failed =
        co_await Batch(operation, url, std::move(indexes), write, true);
    if (!failed) co_return failed.error();
    failures.insert(failures.end(), failed->begin(), failed->end());
  }
  co_return failures;
}

Async<std::vector<SqsFailure>> SqsClient::Delete(std::string url,
                                                 std::vector<std::string> handles) {
  const WriteEntry write = [&](std::string& out, size_t index) {
    out += ",\"ReceiptHandle\":";
    AppendJsonString(out, handles[index]);
  };
  co_return co_await OfHandles("DeleteMessageBatch", url, handles.size(), write);
}

Async<std::vector<SqsFailure>> SqsClient::ChangeVisibility(std::string url,
                                                           std::vector<std::string> handles,
                                                           seconds visibility) {
  const std::string text =
      std::to_string(std::clamp(visibility, seconds(0), kSqsVisibilityMax).count());
  const WriteEntry write = [&](std::string& out, size_t index) {
    out += ",\"ReceiptHandle\":";
    AppendJsonString(out, handles[index]);
    out += ",\"VisibilityTimeout\":" + text;
  };
  co_return co_await OfHandles("ChangeMessageVisibilityBatch", url, handles.size(), write);
}

}  // namespace longhaul
