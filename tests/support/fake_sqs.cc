#include "tests/support/fake_sqs.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul::testing {

namespace json = boost::json;
using std::chrono::seconds;

namespace {

std::string Text(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}
int64_t Number(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found != nullptr && found->is_int64() ? found->get_int64() : 0;
}

std::string Refuse(std::string_view type, std::string_view message) {
  return json::serialize(
      json::object{{"__type", "com.amazonaws.sqs#" + std::string(type)}, {"message", message}});
}

constexpr std::string_view kUrl = "https://sqs.us-east-1.amazonaws.com/111122223333/";
constexpr std::string_view kArn = "arn:aws:sqs:us-east-1:111122223333:";

}  // namespace

std::shared_ptr<SqsClient> FakeSqs::Client(const std::string& endpoint) {
  Result<std::unique_ptr<SqsClient>> client =
      SqsClient::Make(runtime_,
                      {.service = "sqs",
                       .target = "AmazonSQS",
                       .endpoint = endpoint,
                       .region = "us-east-1",
                       .credentials = MakeStaticCredentials({.access_key_id = "AKID",
                                                             .secret_access_key = Secret("secret"),
                                                             .session_token = {},
                                                             .expires = {}})},
                      0, this);
  LH_CHECK(client);
  return std::move(*client);
}

int FakeSqs::count(const std::string& operation) const {
  return static_cast<int>(std::ranges::count(operations, operation));
}

void FakeSqs::Put(const std::string& queue, std::string body) {
  Message message{.id = "m" + std::to_string(next_++), .body = std::move(body)};
  message.sent_ms = runtime_.clock.Now().time_since_epoch() / std::chrono::milliseconds(1);
  message.visible_at = runtime_.clock.SteadyNow();
  queues.at(queue).messages.push_back(std::move(message));
  changed_.NotifyAll();
}

Async<HttpResponse> FakeSqs::Answer(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.body = std::make_unique<AnswerBody>(std::move(body), false);
  co_return response;
}

FakeSqs::Message* FakeSqs::ByHandle(Queue& queue, const std::string& handle) {
  for (Message& message : queue.messages) {
    if (message.handle == handle) return &message;
  }
  return nullptr;
}

// Empty: done. Else the code of a failure.
std::string FakeSqs::CarryEntry(const std::string& operation, const Object& entry, Queue& queue) {
  const SteadyTime now = runtime_.clock.SteadyNow();
  if (operation == "SendMessageBatch") {
    const std::string body = Text(entry, "MessageBody");
    if (body.empty() || !IsSqsText(body)) return "InvalidMessageContents";
    Message message{.id = "m" + std::to_string(next_++), .body = body};
    if (const json::value* attributes = entry.if_contains("MessageAttributes")) {
      message.attributes = attributes->as_object();
    }
    message.sent_ms = runtime_.clock.Now().time_since_epoch() / std::chrono::milliseconds(1);
    message.visible_at = now + seconds(Number(entry, "DelaySeconds"));
    queue.messages.push_back(std::move(message));
    return "";
  }
  Message* message = ByHandle(queue, Text(entry, "ReceiptHandle"));
  if (operation == "DeleteMessageBatch") {
    if (message == nullptr) return "";  // As SQS does it: an old handle is no error.
    std::erase_if(queue.messages, [&](const Message& one) { return &one == message; });
    return "";
  }
  if (message == nullptr || !message->in_flight || message->visible_at <= now) {
    return "MessageNotInflight";
  }
  message->visible_at = now + seconds(Number(entry, "VisibilityTimeout"));
  return "";
}

FakeSqs::Object FakeSqs::Take(const Object& request, Queue& queue) {
  const SteadyTime now = runtime_.clock.SteadyNow();
  json::array messages;
  std::string dead;
  int64_t receives_max = 0;
  if (auto policy = queue.attributes.find("RedrivePolicy"); policy != queue.attributes.end()) {
    const json::object object = json::parse(policy->second).as_object();
    dead = Text(object, "deadLetterTargetArn").substr(kArn.size());
    receives_max = Number(object, "maxReceiveCount");
  }
  for (size_t i = 0; i < queue.messages.size();) {
    Message& message = queue.messages[i];
    if (std::cmp_greater_equal(messages.size(), Number(request, "MaxNumberOfMessages"))) break;
    if (message.visible_at > now) {
      ++i;
      continue;
    }
    if (!dead.empty() && message.receive_count >= receives_max) {
      message.in_flight = false;
      queues.at(dead).messages.push_back(std::move(message));
      queue.messages.erase(queue.messages.begin() + static_cast<ptrdiff_t>(i));
      continue;
    }
    ++message.receive_count;
    message.in_flight = true;
    message.visible_at = now + seconds(Number(request, "VisibilityTimeout"));
    message.handle = "h" + std::to_string(next_++);
    json::object item{
        {"MessageId", message.id},
        {"ReceiptHandle", message.handle},
        {"Body", message.body},
        {"MD5OfBody", HexEncode(Md5(message.body))},
        {"Attributes",
         json::object{{"ApproximateReceiveCount", std::to_string(message.receive_count)},
                      {"SentTimestamp", std::to_string(message.sent_ms)}}}};
    if (!message.attributes.empty()) item["MessageAttributes"] = message.attributes;
    messages.push_back(std::move(item));
    ++i;
  }
  return messages.empty() ? json::object() : json::object{{"Messages", std::move(messages)}};
}

Async<HttpResponse> FakeSqs::Receive(const Object& request, Queue& queue) {
  const SteadyTime until = runtime_.clock.SteadyNow() + seconds(Number(request, "WaitTimeSeconds"));
  while (true) {
    Object answer = Take(request, queue);
    const SteadyTime now = runtime_.clock.SteadyNow();
    if (!answer.empty() || now >= until) co_return co_await Answer(200, json::serialize(answer));
    SteadyTime next = until;
    for (const Message& message : queue.messages) {
      if (message.visible_at > now) next = std::min(next, message.visible_at);
    }
    co_await changed_.WaitFor(runtime_.clock, next - now);
  }
}

Async<HttpResponse> FakeSqs::Send(HttpRequest http) {
  const std::string operation =
      std::string(http.headers.Get("X-Amz-Target")).substr(std::string_view("AmazonSQS.").size());
  operations.push_back(operation);
  Fault fault = Fault::kNone;
  if (std::deque<Fault>& next = faults[operation]; !next.empty()) {
    fault = next.front();
    next.pop_front();
  }
  if (fault == Fault::kLostBefore) co_return Retryable("the connection broke");
  if (fault == Fault::kDenied) {
    co_return co_await Answer(
        403, Refuse("AccessDeniedException",
                    "User: arn:aws:sts::111122223333:assumed-role/mover/i-1 is not authorized to "
                    "perform: sqs:" +
                        operation));
  }
  if (fault == Fault::kForbidden) {
    co_return co_await Answer(
        403, Refuse("AccessDeniedException",
                    "User: arn:aws:sts::111122223333:assumed-role/mover/i-1 is not authorized to "
                    "perform: sqs:" +
                        operation + " with an explicit deny in a service control policy"));
  }
  if (fault == Fault::kKmsDenied) {
    co_return co_await Answer(
        400, Refuse("KmsAccessDenied",
                    "User: arn:aws:sts::111122223333:assumed-role/mover/i-1 is not authorized to "
                    "perform: kms:Decrypt"));
  }
  if (fault == Fault::kWrongKeys) {
    co_return co_await Answer(403, Refuse("SignatureDoesNotMatch", "The signature is another."));
  }
  const json::object request =
      json::parse(
          std::string_view(reinterpret_cast<const char*>(http.body->data()), http.body->size()))
          .as_object();
  std::string name = Text(request, "QueueName");
  if (name.empty()) name = Text(request, "QueueUrl").substr(kUrl.size());
  if (operation == "CreateQueue") {
    for (const auto& [key, value] : request.at("Attributes").as_object()) {
      queues[name].attributes[key] = value.as_string().c_str();
    }
  }
  auto found = queues.find(name);
  if (found == queues.end()) {
    co_return co_await Answer(400,
                              Refuse("QueueDoesNotExist", "The specified queue does not exist."));
  }
  Queue& queue = found->second;
  if (operation == "CreateQueue" || operation == "GetQueueUrl") {
    co_return co_await Answer(
        200, json::serialize(json::object{{"QueueUrl", std::string(kUrl) + name}}));
  }
  if (operation == "ReceiveMessage") co_return co_await Receive(request, queue);
  json::object answer;
  if (operation == "GetQueueAttributes") {
    json::object attributes{{"QueueArn", std::string(kArn) + name}};
    for (const auto& [key, value] : queue.attributes) attributes[key] = value;
    int visible = 0;
    int delayed = 0;
    int in_flight = 0;
    for (const Message& message : queue.messages) {
      const bool hidden = message.visible_at > runtime_.clock.SteadyNow();
      ++(!hidden ? visible : message.in_flight ? in_flight : delayed);
    }
    attributes["ApproximateNumberOfMessages"] = std::to_string(visible);
    attributes["ApproximateNumberOfMessagesDelayed"] = std::to_string(delayed);
    attributes["ApproximateNumberOfMessagesNotVisible"] = std::to_string(in_flight);
    answer["Attributes"] = std::move(attributes);
  } else if (operation == "SetQueueAttributes") {
    for (const auto& [key, value] : request.at("Attributes").as_object()) {
      queue.attributes[key] = value.as_string().c_str();
    }
  } else {
    json::array done;
    json::array failed;
    const json::array& all = request.at("Entries").as_array();
    entries.push_back(all.size());
    size_t bytes = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const json::object& entry = all[i].as_object();
      bytes += Text(entry, "MessageBody").size();
      const bool half = i % 2 == 1;
      if (half && fault == Fault::kHalfLeftOut) continue;
      std::string code;
      bool sender = true;
      if (half && fault == Fault::kHalfDone) {
        code = "InternalError";
        sender = false;
      } else if (half && fault == Fault::kHalfRefused) {
        code = "InvalidParameterValue";
      } else if (fault == Fault::kHandleIsGone) {
        code = "ReceiptHandleIsInvalid";
      } else {
        code = CarryEntry(operation, entry, queue);
      }
      if (code.empty()) {
        done.push_back(json::object{{"Id", entry.at("Id")}});
      } else {
        failed.push_back(json::object{
            {"Id", entry.at("Id")}, {"Code", code}, {"SenderFault", sender}, {"Message", code}});
      }
    }
    largest_batch_bytes = std::max(largest_batch_bytes, bytes);
    answer = {{"Successful", std::move(done)}, {"Failed", std::move(failed)}};
    changed_.NotifyAll();
  }
  if (fault == Fault::kLostAfter) co_return Retryable("the answer was lost");
  co_return co_await Answer(200, json::serialize(answer));
}

}  // namespace longhaul::testing
