// SnsClient: says a message to a topic of Amazon SNS, by the Query API and SigV4.
//
// The region is that of the topic's ARN. Belongs to one shard. Errors: kDenied, with what right is
// missing; kNotFound: no such topic; kThrottled; kRetryable: network, 5xx, or an answer that makes
// no sense; kInvalidInput for all else that SNS refuses.
// Source: Amazon SNS API Reference, Publish.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "aws/aws_json_client.h"

namespace longhaul {

// arn:PARTITION:sns:REGION:ACCOUNT:NAME, of a standard topic.
struct SnsTopic {
  std::string arn;
  std::string region;
};
// kInvalidInput: no such ARN, or that of a FIFO topic, whose messages need a group.
Result<SnsTopic> ParseSnsTopic(std::string_view arn);

// What an answer to Publish says. OK: the topic has it. kRetryable: no answer of SNS, or it fails;
// kThrottled, kNotFound, kDenied, kInvalidInput as it says. What it says stands in the error in
// printable ASCII and bounded.
Result<void> ReadSnsAnswer(int status, std::string_view body, const std::string& arn);

struct SnsMessage {
  std::string subject;                            // Cut, and made ASCII, as SNS wants it.
  std::string text;                               // At most 256 KiB; what is longer is cut.
  std::map<std::string, std::string> attributes;  // For filters of subscriptions.
};

class SnsClient {
 public:
  // `options`: as FindAwsService (aws/aws_service.h) gives them for "sns". kInvalidInput: no
  // endpoint. `http`: to share a client; null: its own.
  static Result<std::unique_ptr<SnsClient>> Make(const Runtime& runtime, AwsJsonOptions options,
                                                 SnsTopic topic, HttpClient* http = nullptr);
  // OK: SNS has taken it. It may have been said twice: a lost answer is no answer.
  Async<void> Publish(SnsMessage message);

 private:
  SnsClient(const Runtime& runtime, AwsJsonOptions options, SnsTopic topic);
  Async<void> PublishOnce(const std::string& form);
  // True: our clock is wrong, and a signature by the server's may be taken.
  bool CorrectClock(const HttpHeaders& headers);

  Runtime runtime_;
  AwsJsonOptions options_;
  SnsTopic topic_;
  std::string url_;
  Signer signer_;
  SystemTime::duration clock_offset_{0};
  RetryBudget budget_;
  std::unique_ptr<HttpClient> own_http_;
  HttpClient* http_ = nullptr;
};

}  // namespace longhaul
