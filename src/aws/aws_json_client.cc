#include "aws/aws_json_client.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <utility>

#include "aws/credentials_failure.h"
#include "aws/credentials_service.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/json.h"
#include "base/log.h"

namespace longhaul {

using std::chrono::seconds;

namespace {

constexpr size_t kErrorBytesMax = 64 << 10;
// A Date has whole seconds and comes some time after it was made.
constexpr seconds kClockTolerance{2};
constexpr seconds kClockWarning{5};
// The Date of an answer that was longer under way says too little.
constexpr std::chrono::milliseconds kRoundTripMax{1'000};

// Those of AWS are longer; what somebody has made up for a server of a test may be any word.
constexpr size_t kSecretBytesMin = 16;

std::vector<Secret> SecretsOf(const Credentials& credentials) {
  std::vector<Secret> secrets;
  for (const Secret& one : {credentials.secret_access_key, credentials.session_token}) {
    if (one.Reveal().size() >= kSecretBytesMin) secrets.push_back(one);
  }
  return secrets;
}

template <size_t N>
bool OneOf(std::string_view code, const std::string_view (&codes)[N]) {
  return std::ranges::find(codes, code) != std::end(codes);
}

ErrorKind KindOf(std::string_view code, int status) {
  // OverLimit: SQS has handed out as many messages as may be out at a time, which passes. The names
  // with KMS in them: its key was asked for too often; 400, with the second where a service
  // still says what its older protocol said. (SQS API Reference, ReceiveMessage.)
  constexpr std::string_view kThrottled[] = {"ProvisionedThroughputExceededException",
                                             "ThrottlingException",
                                             "ThrottledException",
                                             "Throttling",
                                             "RequestLimitExceeded",
                                             "RequestThrottled",
                                             "RequestThrottledException",
                                             "KmsThrottled",
                                             "KMS.ThrottlingException",
                                             "OverLimit",
                                             "TooManyRequestsException",
                                             "LimitExceededException",
                                             "ReplicatedWriteConflictException",
                                             "TransactionConflictException"};
  constexpr std::string_view kDenied[] = {"AccessDeniedException",
                                          "AccessDenied",
                                          "UnrecognizedClientException",
                                          "InvalidSignatureException",
                                          "IncompleteSignature",
                                          "IncompleteSignatureException",
                                          "MissingAuthenticationToken",
                                          "MissingAuthenticationTokenException",
                                          "ExpiredTokenException",
                                          "ExpiredToken",
                                          "InvalidClientTokenId",
                                          "InvalidAccessKeyId",
                                          "SignatureDoesNotMatch",
                                          "OptInRequired",
                                          "NotAuthorized"};
  constexpr std::string_view kRetryable[] = {"InternalServerError", "InternalFailure",
                                             "ServiceUnavailable", "RequestTimeout",
                                             "RequestTimeoutException"};
  if (OneOf(code, kThrottled)) return ErrorKind::kThrottled;
  if (OneOf(code, kDenied)) return ErrorKind::kDenied;
  if (OneOf(code, kRetryable)) return ErrorKind::kRetryable;
  if (code == "ConditionalCheckFailedException") return ErrorKind::kPrecondition;
  if (code == "ResourceNotFoundException") return ErrorKind::kNotFound;
  if (status == 429) return ErrorKind::kThrottled;
  if (status == 401 || status == 403) return ErrorKind::kDenied;
  return status >= 500 || status == 408 ? ErrorKind::kRetryable : ErrorKind::kInvalidInput;
}

// Run out, or taken away: whoever rotates keys removes the old ones.
bool IsCredentialsStale(const Error& error) {
  constexpr std::string_view kCodes[] = {"ExpiredTokenException", "ExpiredToken",
                                         "UnrecognizedClientException", "InvalidClientTokenId",
                                         "InvalidAccessKeyId"};
  return OneOf(error.code, kCodes);
}

Result<void> CheckCrc(const HttpHeaders& headers, std::string_view body) {
  const std::string* wanted = headers.Find("x-amz-crc32");
  if (wanted == nullptr || *wanted == std::to_string(Crc32(AsBytes(body)))) return Ok();
  return Retryable("the answer was damaged on its way (x-amz-crc32)");
}

}  // namespace

Error AwsJsonError(int status, const HttpHeaders& headers, std::string_view body) {
  Error error;
  error.http_status = status;
  error.request_id = headers.Get("x-amzn-RequestId");
  std::string_view type = headers.Get("x-amzn-ErrorType");
  Result<boost::json::value> parsed = ParseJson(body, {.size_bytes_max = kErrorBytesMax});
  if (parsed && parsed->is_object()) {
    const boost::json::object& object = parsed->as_object();
    auto text = [&object](std::string_view name) -> std::string_view {
      const boost::json::value* value = object.if_contains(name);
      return value != nullptr && value->is_string() ? std::string_view(value->as_string())
                                                    : std::string_view();
    };
    if (!text("__type").empty()) type = text("__type");
    error.message = text(text("message").empty() ? "Message" : "message");
  }
  // "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", or with ":http://…" behind it.
  type = type.substr(type.rfind('#') == type.npos ? 0 : type.rfind('#') + 1);
  error.code = type.substr(0, type.find(':'));
  if (error.message.empty()) error.message = "HTTP status " + std::to_string(status);
  error.kind = KindOf(error.code, status);
  const std::string_view retry_after = headers.Get("Retry-After");
  int wait = 0;
  auto [end, failed] =
      std::from_chars(retry_after.data(), retry_after.data() + retry_after.size(), wait);
  if (failed == std::errc() && wait > 0) error.retry_after = seconds(std::min(wait, 3600));
  return error;
}

Result<std::unique_ptr<AwsJsonClient>> AwsJsonClient::Make(const Runtime& runtime,
                                                           AwsJsonOptions options,
                                                           HttpClient* http) {
  Result<std::string> host = AwsServiceHost(options.service, options.region, options.wishes);
  if (!host) return host.error();
  if (options.endpoint.empty()) options.endpoint = "https://" + *host;
  const Error bad = InvalidInput("not an endpoint: '" + options.endpoint +
                                 "'; expected http://HOST[:PORT] or https://HOST[:PORT]");
  const std::string endpoint = options.endpoint;
  std::string_view rest = endpoint;
  const bool tls = rest.starts_with("https://");
  if (!tls && !rest.starts_with("http://")) return bad;
  rest.remove_prefix(tls ? 8 : 7);
  if (rest.find_first_of("?#@ \r\n\t\"<>\\") != rest.npos) return bad;
  const size_t slash = std::min(rest.find('/'), rest.size());
  std::unique_ptr<AwsJsonClient> client(new AwsJsonClient(runtime, std::move(options)));
  client->host_ = rest.substr(0, slash);
  client->path_ = rest.substr(slash);
  if (client->path_.empty()) client->path_ = "/";
  client->url_ = (tls ? "https://" : "http://") + client->host_ + client->path_;
  // HttpClient leaves the scheme's own port out of the Host header, so the signature must too.
  const std::string_view own_port = tls ? ":443" : ":80";
  if (client->host_.ends_with(own_port)) {
    client->host_.resize(client->host_.size() - own_port.size());
  }
  if (client->host_.empty() || client->host_.front() == ':') return bad;
  if (http == nullptr) {
    client->own_http_ = MakeHttpClient(
        runtime, {.ca_file = client->options_.ca_file, .proxy = client->options_.proxy});
    http = client->own_http_.get();
  }
  client->http_ = http;
  return client;
}

AwsJsonClient::AwsJsonClient(const Runtime& runtime, AwsJsonOptions options)
    : runtime_(runtime), options_(std::move(options)), signer_(options_.region, options_.service) {}

std::string AwsJsonClient::description() const { return options_.service + " " + host_; }

RetryState AwsJsonClient::NewRetry() {
  return RetryState(options_.retry, budget_, runtime_.clock, runtime_.random);
}

void AwsJsonClient::CompareClocks(const HttpHeaders& headers, SystemTime before, SystemTime after) {
  Result<SystemTime> date = ParseHttpDate(headers.Get("Date"));
  if (!date || after - before > kRoundTripMax) return;
  const SystemTime middle = before + (after - before) / 2;
  const seconds measured =
      std::chrono::round<seconds>(*date + std::chrono::milliseconds(500) - middle);
  if (std::chrono::abs(measured - ahead_) < kClockTolerance) return;
  if (std::chrono::abs(measured) >= kClockWarning && std::chrono::abs(ahead_) < kClockWarning) {
    if (options_.on_clock_off) {
      options_.on_clock_off(measured);
    } else {
      runtime_.log.Warning("this machine's clock is not that of the service",
                           {{"service", options_.service}, {"seconds_ahead", -measured.count()}});
    }
  }
  ahead_ = std::chrono::abs(measured) < kClockTolerance ? seconds(0) : measured;
}

Async<std::string> AwsJsonClient::CallOnce(const std::string& operation, std::string_view body,
                                           AwsRepeat repeat) {
  bool corrected = false;
  while (true) {
    HttpRequest request;
    request.method = "POST";
    request.url = url_;
    request.once = repeat == AwsRepeat::kOnce;
    request.body = AsBytes(body);
    request.timeouts = options_.timeouts;
    request.headers = {{"Content-Type", "application/x-amz-json-" + options_.json_version},
                       {"X-Amz-Target", options_.target + "." + operation}};
    Result<std::shared_ptr<const Credentials>> credentials = co_await options_.credentials->Get();
    if (!credentials) {
      Error error = CredentialsFailure(credentials.error());
      if (error.kind == ErrorKind::kRetryable) error.code = kNotSentCode;
      co_return error;
    }
    const SystemTime before = runtime_.clock.Now();
    const seconds was_ahead = ahead_;
    signer_.Sign("POST", {.host = host_, .path = path_, .query = ""}, request.headers,
                 HexEncode(Sha256(body)), **credentials, before + was_ahead);
    int times = 0;
    request.times_sent = &times;
    Result<HttpResponse> response = co_await http_->Send(std::move(request));
    if (times == 0 && (response || response.error().code != kNotSentCode)) times = 1;
    auto tell = [&](std::string_view answer) {
      if (options_.on_request && times > 0) options_.on_request(operation, body, answer, times);
    };
    if (!response) {
      tell("");
      co_return response.error();
    }
    const bool ok = response->status >= 200 && response->status < 300;
    if (response->status < 500) {
      CompareClocks(response->headers, before, runtime_.clock.Now());
    }
    Result<std::string> text =
        co_await ReadAll(*response->body, ok ? options_.answer_bytes_max : kErrorBytesMax);
    tell(text ? std::string_view(*text) : "");
    if (ok) {
      if (!text && text.error().Transient()) co_return text.error();
      // It has been done, whatever was to be said about it.
      if (!text) co_return Corrupt(text.error().message);
      Result<void> whole = CheckCrc(response->headers, *text);
      if (!whole) co_return whole.error();
      co_return text;
    }
    Error error = AwsJsonError(response->status, response->headers, text ? *text : "");
    if (text && !CheckCrc(response->headers, *text)) {
      error = CheckCrc(response->headers, *text).error();
    }
    // Of a signature that does not match a service says what it had signed, with the token in it.
    error.message = WithoutSecrets(std::move(error.message), SecretsOf(**credentials));
    const bool stale_credentials =
        IsCredentialsStale(error) && !corrected && options_.credentials->Invalidate();
    const bool stale_clock = error.kind == ErrorKind::kDenied && !corrected && ahead_ != was_ahead;
    if (!stale_credentials && !stale_clock) co_return error;
    if (repeat == AwsRepeat::kOnce && ahead_ != was_ahead) co_return error;  // Call says so.
    corrected = true;
  }
}

void AwsJsonClient::CountThrottled(const std::string& operation) {
  runtime_.metrics
      .counter("longhaul_aws_throttled_total", "Those of them that were throttled",
               {{"service", options_.service}, {"operation", operation}})
      .Add();
}

Async<std::string> AwsJsonClient::Call(std::string operation, std::string body, AwsRepeat repeat) {
  RetryState retry = NewRetry();
  const seconds ahead = ahead_;
  while (true) {
    Result<std::string> answer = co_await CallOnce(operation, body, repeat);
    runtime_.metrics
        .counter("longhaul_aws_requests_total", "Requests to services of AWS other than S3",
                 {{"service", options_.service}, {"operation", operation}})
        .Add();
    if (!answer && answer.error().kind == ErrorKind::kThrottled) CountThrottled(operation);
    if (answer) {
      retry.Succeeded();
      co_return answer;
    }
    Error error = answer.error().In(operation);
    if (repeat == AwsRepeat::kOnce && MayHaveHappened(error)) co_return error;
    // What `body` tells of times is by the clock that was believed when it was built.
    const bool again = error.Transient() || error.kind == ErrorKind::kDenied;
    if (repeat == AwsRepeat::kOnce && ahead_ != ahead && again) {
      error.kind = ErrorKind::kRetryable;
      error.code = kNotSentCode;
      co_return error;
    }
    const std::optional<std::chrono::nanoseconds> delay = retry.DelayAfter(error);
    if (!delay) co_return retry.GaveUp(error);
    co_await runtime_.clock.Sleep(*delay);
  }
}

}  // namespace longhaul
