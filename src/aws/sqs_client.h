// SqsClient: the operations of Amazon SQS that longhaul uses, in one region.
//
// Messages go and come in batches. SQS takes and refuses each message of a batch by itself: what it
// refused for a reason that may pass is tried again here, alone, by base/retry.h; what is left is
// named. Bodies are text (queue/sqs_body.h) and are checked by their MD5. Belongs to one shard.
//
// Errors as AwsJsonClient's; kNotFound: no such queue; kCorrupt: an answer that makes no sense.
// Source: Amazon SQS API Reference, AWS JSON protocol.

#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aws/aws_json_client.h"

namespace longhaul {

inline constexpr size_t kSqsBatchMax = 10;
// Of one request. One message alone may have up to 1 MiB (since August 2025), but each 64 KiB count
// as a request, and where the old limit still holds this is it.
inline constexpr size_t kSqsBatchBytesMax = 256 << 10;
inline constexpr std::chrono::seconds kSqsDelayMax{900};
inline constexpr std::chrono::seconds kSqsVisibilityMax{43'200};
inline constexpr std::chrono::seconds kSqsWaitMax{20};

using SqsAttributes = std::map<std::string, std::string>;

struct SqsNewMessage {
  std::string body;
  SqsAttributes attributes{};  // Of the message: text, not empty.
  std::chrono::seconds delay{};

  [[nodiscard]] size_t size_bytes() const;  // As SQS counts it.
};

struct SqsMessage {
  std::string id;
  std::string handle;  // Of this delivery.
  std::string body;
  SqsAttributes attributes;
  int receive_count = 0;
  SystemTime sent{};
};

struct SqsReceive {
  int count_max = static_cast<int>(kSqsBatchMax);
  std::chrono::seconds visibility{30};
  std::chrono::seconds wait{0};
};

// One of a batch was not done. kPrecondition: its handle no longer counts.
struct SqsFailure {
  size_t index = 0;
  Error error;
};

class SqsClient {
 public:
  // `http`: to share a client; null: its own, which `listeners` long polls leave free for others.
  static Result<std::unique_ptr<SqsClient>> Make(const Runtime& runtime, AwsJsonOptions options,
                                                 int listeners, HttpClient* http = nullptr);

  // The URL of a queue.
  Async<std::string> Find(std::string name);
  Async<std::string> Create(std::string name, SqsAttributes attributes);
  Async<SqsAttributes> Attributes(std::string url);
  Async<void> SetAttributes(std::string url, SqsAttributes attributes);

  // What is left out of the answer because it was damaged on its way comes again.
  Async<std::vector<SqsMessage>> Receive(std::string url, SqsReceive request);
  // Batches of at most kSqsBatchMax and kSqsBatchBytesMax are made here, in order. Failures by the
  // index in what was given. Not OK: nobody knows which of them were done.
  Async<std::vector<SqsFailure>> Send(std::string url, std::vector<SqsNewMessage> messages);
  Async<std::vector<SqsFailure>> Delete(std::string url, std::vector<std::string> handles);
  Async<std::vector<SqsFailure>> ChangeVisibility(std::string url, std::vector<std::string> handles,
                                                  std::chrono::seconds visibility);

  [[nodiscard]] const Runtime& runtime() const { return service_->runtime(); }
  [[nodiscard]] const std::string& region() const { return service_->options().region; }
  [[nodiscard]] const std::string& endpoint() const { return service_->options().endpoint; }
  [[nodiscard]] std::string description() const { return service_->description(); }

 private:
  SqsClient() = default;
  using WriteEntry = std::function<void(std::string& out, size_t index)>;
  Async<std::string> Call(std::string operation, std::string body);
  // Entries `first` to `last` of a batch operation; `handles`: they are named by handles.
  Async<std::vector<SqsFailure>> Batch(std::string operation, std::string url,
                                       std::vector<size_t> indexes, const WriteEntry& write,
                                       bool handles);
  // A batch operation on `count` handles, ten at a time.
  Async<std::vector<SqsFailure>> OfHandles(std::string operation, std::string url, size_t count,
                                           const WriteEntry& write);

  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<AwsJsonClient> service_;
};

// The answers, for whoever has their text (tests/fuzz). Errors: kCorrupt.
struct SqsReceived {
  std::vector<SqsMessage> messages;
  int damaged = 0;  // Left out: their bodies do not have their MD5.
};
Result<SqsReceived> ParseSqsMessages(std::string_view text);
struct SqsBatchAnswer {
  std::vector<std::string> done;  // By the ids of their entries.
  struct Failed {
    std::string id;
    std::string code;
    std::string message;
    bool sender_fault = false;
  };
  std::vector<Failed> failed;
};
Result<SqsBatchAnswer> ParseSqsBatch(std::string_view text);

// `text` without what SQS takes in no body and no attribute (XML 1.0, 2.2), each byte of it as '?'.
std::string SqsText(std::string_view text);
// Whether all of it can be a body as it is.
bool IsSqsText(std::string_view text);

}  // namespace longhaul
