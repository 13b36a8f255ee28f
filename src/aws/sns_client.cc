#include "aws/sns_client.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "aws/credentials_failure.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "net/client_url.h"

namespace longhaul {

namespace {

constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr size_t kSubjectBytesMax = 99;  // "Less than 100 characters".
constexpr size_t kTextBytesMax = 250 << 10;
constexpr size_t kSaidBytesMax = 300;
constexpr std::chrono::minutes kSnsSkewMin{4};  // A signature is good for five.

void Add(std::string& form, std::string_view name, std::string_view value) {
  form.append(form.empty() ? "" : "&").append(name).append("=");
  form += PercentEncode(value, Slash::kEncode);
}

// <NAME>text</NAME>, in one line without control characters.
std::string ElementOf(std::string_view xml, std::string_view name) {
  const std::string open = "<" + std::string(name) + ">";
  const size_t begin = xml.find(open);
  if (begin == xml.npos) return "";
  const size_t end = xml.find("</" + std::string(name) + ">", begin);
  if (end == xml.npos) return "";
  std::string text(xml.substr(begin + open.size(), end - begin - open.size()));
  text.resize(std::min(text.size(), kSaidBytesMax));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

std::string SubjectOf(std::string_view subject) {
  std::string text(subject.substr(0, kSubjectBytesMax));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  if (text.empty() || text.front() == ' ') text.insert(0, "-");
  text.resize(std::min(text.size(), kSubjectBytesMax));
  return text;
}

Error SnsError(int status, std::string_view body, const std::string& arn) {
  Error error;
  error.http_status = status;
  error.code = ElementOf(body, "Code");
  error.request_id = ElementOf(body, "RequestId");
  error.message = ElementOf(body, "Message");
  if (error.message.empty()) error.message = "HTTP status " + std::to_string(status);
  if (error.code == "Throttling" || error.code == "Throttled" || error.code == "KMSThrottling" ||
      status == 429) {
    error.kind = ErrorKind::kThrottled;
  } else if (error.code == "NotFound" || status == 404) {
    error.kind = ErrorKind::kNotFound;
    error.message += "; create the topic, or correct its ARN";
  } else if (status == 401 || status == 403) {
    error.kind = ErrorKind::kDenied;
    error.message += "; allow sns:Publish on " + arn;
  } else {
    error.kind = status >= 500 || status == 408 ? ErrorKind::kRetryable : ErrorKind::kInvalidInput;
  }
  return error;
}

}  // namespace

Result<SnsTopic> ParseSnsTopic(std::string_view arn) {
  std::vector<std::string_view> parts;
  std::string_view rest = arn;
  for (size_t colon; (colon = rest.find(':')) != rest.npos; rest.remove_prefix(colon + 1)) {
    parts.push_back(rest.substr(0, colon));
  }
  parts.push_back(rest);
  const bool plain = arn.size() <= 512 && std::ranges::all_of(arn, [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') ||
                              std::string_view(":-_.").find(c) != std::string_view::npos;
                     });
  if (!plain || parts.size() != 6 || parts[0] != "arn" || !parts[1].starts_with("aws") ||
      parts[2] != "sns" || !IsAwsRegion(parts[3]) || parts[4].size() != 12 || parts[5].empty()) {
    return InvalidInput("is no ARN of a topic");
  }
  if (parts[5].ends_with(".fifo")) return InvalidInput("is a FIFO topic, which takes no alarms");
  return SnsTopic{.arn = std::string(arn), .region = std::string(parts[3])};
}

Result<void> ReadSnsAnswer(int status, std::string_view body, const std::string& arn) {
  if (status != 200) return SnsError(status, body, arn);
  if (ElementOf(body, "MessageId").empty()) {
    return Retryable("the answer is not one of SNS: is the endpoint right?");
  }
  return Ok();
}

SnsClient::SnsClient(const Runtime& runtime, AwsJsonOptions options, SnsTopic topic)
    : runtime_(runtime),
      options_(std::move(options)),
      topic_(std::move(topic)),
      signer_(topic_.region, "sns") {}

Result<std::unique_ptr<SnsClient>> SnsClient::Make(const Runtime& runtime, AwsJsonOptions options,
                                                   SnsTopic topic, HttpClient* http) {
  if (options.endpoint.empty()) {
    Result<std::string> host = AwsServiceHost("sns", topic.region, options.wishes);
    if (!host) return host.error();
    options.endpoint = "https://" + *host;
  }
  std::unique_ptr<SnsClient> client(new SnsClient(runtime, std::move(options), std::move(topic)));
  client->url_ = client->options_.endpoint + "/";
  Result<ClientUrl> url = ParseClientUrl(client->url_);
  if (!url) return url.error().In("endpoint of SNS");
  if (http == nullptr) {
    client->own_http_ = MakeHttpClient(
        runtime, {.ca_file = client->options_.ca_file, .proxy = client->options_.proxy});
    http = client->own_http_.get();
  }
  client->http_ = http;
  return client;
}

Async<void> SnsClient::PublishOnce(const std::string& form) {
  Result<ClientUrl> url = ParseClientUrl(url_);
  if (!url) co_return url.error();
  bool renewed = false;
  bool corrected = false;
  while (true) {
    Result<std::shared_ptr<const Credentials>> credentials = co_await options_.credentials->Get();
    if (!credentials) co_return CredentialsFailure(credentials.error());
    HttpRequest request{.method = "POST", .url = url_};
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
    request.body = AsBytes(form);
    request.timeouts = options_.timeouts;
    signer_.Sign("POST", {.host = url->authority, .path = url->target, .query = ""},
                 request.headers, HexEncode(Sha256(form)), **credentials,
                 runtime_.clock.Now() + clock_offset_);
    Result<HttpResponse> response = co_await http_->Send(std::move(request));
    if (!response) co_return response.error();
    Result<std::string> text = co_await ReadAll(*response->body, kAnswerBytesMax);
    if (response->status == 200 && !text) co_return text.error();
    Result<void> published = ReadSnsAnswer(response->status, text ? *text : "", topic_.arn);
    if (published || response->status == 200) co_return published;
    if (response->status < 500 && !corrected && CorrectClock(response->headers)) {
      corrected = true;
      continue;
    }
    const Error& error = published.error();
    const bool stale = error.code == "ExpiredToken" || error.code == "InvalidClientTokenId";
    if (!stale || renewed || !options_.credentials->Invalidate()) co_return error;
    renewed = true;
  }
}

bool SnsClient::CorrectClock(const HttpHeaders& headers) {
  Result<SystemTime> date = ParseHttpDate(headers.Get("Date"));
  if (!date) return false;
  const auto offset = *date - runtime_.clock.Now();
  const auto change = offset - clock_offset_;  // Since the last one.
  if (change > -kSnsSkewMin && change < kSnsSkewMin) return false;
  clock_offset_ = offset;
  return true;
}

Async<void> SnsClient::Publish(SnsMessage message) {
  std::string form;
  Add(form, "Action", "Publish");
  Add(form, "Version", "2010-03-31");
  Add(form, "TopicArn", topic_.arn);
  Add(form, "Subject", SubjectOf(message.subject));
  Add(form, "Message", std::string_view(message.text).substr(0, kTextBytesMax));
  int number = 0;
  for (const auto& [name, value] : message.attributes) {
    const std::string entry = "MessageAttributes.entry." + std::to_string(++number);
    Add(form, entry + ".Name", name);
    Add(form, entry + ".Value.DataType", "String");
    Add(form, entry + ".Value.StringValue", value);
  }
  RetryState state(options_.retry, budget_, runtime_.clock, runtime_.random);
  while (true) {
    Result<void> said = co_await PublishOnce(form);
    if (said) {
      state.Succeeded();
      co_return Ok();
    }
    const std::optional<std::chrono::nanoseconds> delay = state.DelayAfter(said.error());
    if (!delay) co_return state.GaveUp(said.error()).In("SNS " + topic_.arn);
    co_await runtime_.clock.Sleep(*delay);
  }
}

}  // namespace longhaul
