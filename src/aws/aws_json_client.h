// AwsJsonClient: one AWS service of the JSON protocol, in one region: POST, X-Amz-Target, SigV4.
//
// Answers are bounded and, where the service gives x-amz-crc32, checked. Throttled and failed calls
// are repeated by base/retry.h, and counted. Belongs to one shard.
//
// Errors, by `__type`: kThrottled (nothing was done), kPrecondition (a condition does not hold),
// kDenied, kNotFound (no such table, queue, …), kRetryable (5xx, network, an answer that is cut or
// damaged: it may have been done), kInvalidInput for all else that the service refuses.
// Sources: Smithy, "AWS JSON 1.0 protocol"; DynamoDB Developer Guide, "Error handling".

#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "aws/aws_endpoint.h"
#include "aws/credentials.h"
#include "aws/signer.h"
#include "base/retry.h"
#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul {

struct AwsJsonOptions {
  std::string service;   // Of the signature and the host name: "dynamodb".
  std::string target;    // What X-Amz-Target begins with: "DynamoDB_20120810".
  std::string endpoint;  // http://HOST[:PORT] or https://HOST[:PORT]; empty: AWS, by region.
  std::string region;
  std::shared_ptr<CredentialsProvider> credentials;
  AwsWishes wishes;     // For where AWS is.
  std::string ca_file;  // Certificates to trust for https://; empty: those of the system.
  HttpProxySettings proxy;
  std::string json_version = "1.0";  // Of the protocol: "1.1" for older services.
  RetryPolicy retry;
  HttpTimeouts timeouts;  // Of one attempt.
  // Told what the service's clock is ahead of ours, where it is seconds; null: that is logged.
  std::function<void(std::chrono::seconds ahead)> on_clock_off;
  size_t answer_bytes_max = size_t{32} << 20;
  // Told of each request that has gone out so many times, with its answer (empty: there was none).
  std::function<void(std::string_view operation, std::string_view body, std::string_view answer,
                     int times)>
      on_request;
};

enum class AwsRepeat {
  kSafe,  // Doing it twice is as good as once.
  // An attempt after which it may have been done, now or later, is the last. So is one by which the
  // service's clock has turned out to be another than `ahead` said, as the body may tell times by
  // it: kRetryable, kNotSentCode, and who builds it anew may send it again.
  kOnce,
};

class AwsJsonClient {
 public:
  // `http`: to share a client; null: its own. kInvalidInput: no region, or no endpoint.
  static Result<std::unique_ptr<AwsJsonClient>> Make(const Runtime& runtime, AwsJsonOptions options,
                                                     HttpClient* http = nullptr);

  // The body of the answer. By MayHaveHappened(error) one tells whether it may have been done.
  Async<std::string> Call(std::string operation, std::string body, AwsRepeat repeat);

  // What the service's clock is ahead of ours, by the Date of its answers; 0 where they are as good
  // as equal.
  [[nodiscard]] std::chrono::seconds ahead() const { return ahead_; }
  [[nodiscard]] const Runtime& runtime() const { return runtime_; }
  [[nodiscard]] const AwsJsonOptions& options() const { return options_; }
  [[nodiscard]] std::string description() const;
  // For callers with loops of their own.
  [[nodiscard]] RetryState NewRetry();
  // The same where an answer itself says that something was not done.
  void CountThrottled(const std::string& operation);

 private:
  AwsJsonClient(const Runtime& runtime, AwsJsonOptions options);
  // Once, or twice where credentials or our clock turned out stale.
  Async<std::string> CallOnce(const std::string& operation, std::string_view body,
                              AwsRepeat repeat);
  void CompareClocks(const HttpHeaders& headers, SystemTime before, SystemTime after);

  Runtime runtime_;
  AwsJsonOptions options_;
  std::string url_;
  std::string host_;
  std::string path_;
  Signer signer_;
  RetryBudget budget_;
  std::unique_ptr<HttpClient> own_http_;
  HttpClient* http_ = nullptr;
  std::chrono::seconds ahead_{0};
};

// What an answer that is no 2xx means.
Error AwsJsonError(int status, const HttpHeaders& headers, std::string_view body);

}  // namespace longhaul
