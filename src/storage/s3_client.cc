#include "storage/s3_client.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/s3_error.h"
#include "storage/s3_metering.h"

namespace longhaul {
namespace {

// Hashing this much takes a quarter of a millisecond; more goes to the pool.
constexpr size_t kHashInlineBytes = 64 << 10;
// S3 takes signatures of a clock that is up to 15 minutes off, STS and others of five.
constexpr std::chrono::seconds kClockOff{60};

bool IsLoopback(std::string_view host) {
  host = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
  bool is_ipv4 = host.find_first_not_of("0123456789.") == host.npos;
  return host == "localhost" || host == "[::1]" || (is_ipv4 && host.starts_with("127.")) ||
         host.ends_with(".localhost");
}

// Names that can be a label of a host name, also under a certificate for one level.
bool IsHostLabel(std::string_view bucket) {
  return bucket.size() >= 3 && bucket.size() <= 63 &&
         bucket.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == bucket.npos &&
         bucket.front() != '-' && bucket.back() != '-';
}

bool IsBucketName(std::string_view bucket) {
  return !bucket.empty() && bucket.size() <= 255 && bucket != "." && bucket != ".." &&
         bucket.find_first_of(std::string_view("/?#\r\n\0", 6)) == bucket.npos;
}

// Whether <Error> can be the root of an answer. While it works, a server sends blanks before it.
bool MayBeError(std::string_view xml) {
  constexpr size_t kPrologBytesMax = 1024;
  xml.remove_prefix(std::min(xml.find_first_not_of(" \t\r\n"), xml.size()));
  return xml.substr(0, kPrologBytesMax).find("<Error") != xml.npos;
}

size_t LengthHint(const HttpHeaders& headers) {
  std::string_view text = headers.Get("Content-Length");
  size_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return length;
}

}  // namespace

Result<S3Client::Address> S3Client::ParseEndpoint(const S3StoreOptions& options) {
  Address address;
  if (options.endpoint.empty()) {
    Result<std::string> host =
        AwsServiceHost("s3", options.region.empty() ? "us-east-1" : options.region, options.wishes);
    if (!host) return host.error();
    address.scheme = "https";
    address.host = std::move(*host);
    address.is_aws = true;
    return address;
  }
  Error bad = InvalidInput("not an endpoint: '" + options.endpoint +
                           "'; expected http://HOST[:PORT] or https://HOST[:PORT]");
  std::string_view rest = options.endpoint;
  if (rest.starts_with("https://")) {
    address.scheme = "https";
  } else if (rest.starts_with("http://")) {
    address.scheme = "http";
  } else {
    return bad;
  }
  rest.remove_prefix(address.scheme.size() + 3);
  if (rest.find_first_of("?#@ \r\n\t\"<>\\") != rest.npos) return bad;
  size_t slash = std::min(rest.find('/'), rest.size());
  address.host = rest.substr(0, slash);
  address.base_path = rest.substr(slash);
  while (address.base_path.ends_with('/')) address.base_path.pop_back();
  if (address.host.empty() || address.host.front() == ':') return bad;
  // HttpClient leaves the scheme's own port out of the Host header, so the signature must too.
  std::string_view own_port = address.scheme == "https" ? ":443" : ":80";
  if (address.host.ends_with(own_port)) address.host.resize(address.host.size() - own_port.size());
  std::string_view host = address.host;
  address.is_aws = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
  return address;
}

Result<std::unique_ptr<S3Client>> S3Client::Make(const Runtime& runtime, S3StoreOptions options,
                                                 HttpClient* http) {
  Result<Address> address = ParseEndpoint(options);
  if (!address) return address.error();
  if (options.connections_max < 1 || options.attempts_max < 1) {
    return InvalidInput("connections_max and attempts_max must be at least 1");
  }
  std::unique_ptr<S3Client> client(new S3Client(runtime, std::move(options), std::move(*address)));
  if (http == nullptr) {
    client->own_http_ = MakeHttpClient(runtime, {.requests_max = client->options_.connections_max,
                                                 .ca_file = client->options_.ca_file,
                                                 .verify_certificate = true,
                                                 .proxy = client->options_.proxy});
    http = client->own_http_.get();
  }
  client->http_ = http;
  return client;
}

S3Client::S3Client(const Runtime& runtime, S3StoreOptions options, Address address)
    : runtime_(runtime),
      options_(std::move(options)),
      address_(std::move(address)),
      signer_(options_.region.empty() ? "us-east-1" : options_.region, "s3") {
  switch (options_.payload_signing) {
    case S3PayloadSigning::kAlways:
      signs_payloads = true;
      break;
    case S3PayloadSigning::kNever:
      break;
    case S3PayloadSigning::kAuto:
      signs_payloads = address_.scheme == "http" && !IsLoopback(address_.host);
      break;
  }
  if (!options_.checksums || !options_.quirks.can.checksums ||
      (options_.probed && !options_.probed->checksums)) {
    checksum_support = ChecksumSupport::kNo;
  } else if (address_.is_aws) {
    checksum_support = ChecksumSupport::kYes;
  }
}

S3Client::ChecksumSupport S3Client::ChecksumSupportOf(ChecksumAlgorithm algorithm) const {
  if (checksum_support != ChecksumSupport::kYes || address_.is_aws) return checksum_support;
  auto known = algorithms_.find(algorithm);
  if (known == algorithms_.end()) return ChecksumSupport::kUnknown;
  return known->second ? ChecksumSupport::kYes : ChecksumSupport::kNo;
}

void S3Client::LearnChecksums(ChecksumAlgorithm algorithm, bool known) {
  algorithms_[algorithm] = known;
  if (known) {
    checksum_support = ChecksumSupport::kYes;
  } else if (checksum_support == ChecksumSupport::kUnknown) {
    checksum_support = ChecksumSupport::kNo;
  }
}

std::string S3Client::description() const {
  return "s3 " + address_.scheme + "://" + address_.host;
}

RetryPolicy S3Client::retry_policy() const {
  RetryPolicy policy;
  policy.attempts_max = options_.attempts_max;
  policy.deadline = options_.operation_timeout;
  return policy;
}

bool S3Client::UsesVirtualHost(std::string_view bucket) const {
  switch (options_.addressing) {
    case S3Addressing::kPath:
      return false;
    case S3Addressing::kVirtualHost:
      return true;
    case S3Addressing::kAuto:
      return address_.is_aws && IsHostLabel(bucket);
  }
  return false;
}

S3Client::Target S3Client::TargetOf(std::string_view bucket, std::string_view key) const {
  Target target{.host = address_.host, .path = address_.base_path};
  if (!bucket.empty()) {
    if (UsesVirtualHost(bucket)) {
      target.host = std::string(bucket) + "." + address_.host;
    } else {
      target.path += '/';
      target.path += PercentEncode(bucket, Slash::kEncode);
    }
  }
  if (!key.empty() || target.path.size() == address_.base_path.size()) {
    target.path += '/';
    target.path += PercentEncode(key, Slash::kKeep);
  }
  return target;
}

std::string S3Client::UrlOf(std::string_view bucket, std::string_view key) const {
  Target target = TargetOf(bucket, key);
  return address_.scheme + "://" + target.host + target.path;
}

SystemTime S3Client::TimeOf(const HttpHeaders& headers) const {
  if (const std::string* date = headers.Find("Date")) {
    Result<SystemTime> time = ParseHttpDate(*date);
    if (time) return *time;
  }
  return runtime_.clock.Now();
}

void S3Client::CompareClocks(const HttpHeaders& headers) {
  if (!options_.on_clock_off || clock_is_off_) return;
  Result<SystemTime> date = ParseHttpDate(headers.Get("Date"));
  if (!date) return;
  // An answer that was long under way is no proof of less than this.
  const auto ahead = std::chrono::round<std::chrono::seconds>(*date - runtime_.clock.Now());
  if (std::chrono::abs(ahead) < kClockOff) return;
  clock_is_off_ = true;
  options_.on_clock_off(ahead);
}

Async<std::string> S3Client::PayloadHash(const S3Request& request) {
  if (!request.payload_sha256.empty()) co_return request.payload_sha256;
  if (request.source != nullptr) co_return std::string(kUnsignedPayload);
  if (!request.body || request.body->empty()) co_return std::string(kEmptyPayloadSha256);
  if (!signs_payloads) co_return std::string(kUnsignedPayload);
  std::span<const std::byte> body = *request.body;
  if (body.size() <= kHashInlineBytes) co_return HexEncode(Sha256(AsText(body)));
  std::string digest =
      co_await runtime_.pool.Run([body] { return Digest(HashKind::kSha256, body); });
  co_return HexEncode(digest);
}

std::shared_ptr<RequestLimit> S3Client::LimitOf(const std::string& bucket) {
  std::shared_ptr<RequestLimit>& limit = limits_[bucket];
  if (!limit) limit = std::make_shared<RequestLimit>(options_.connections_max);
  return limit;
}

void S3Client::NoteAnswer(RequestLimit::Turn& turn, const std::string& bucket, bool throttled) {
  const MetricLabels labels{{"endpoint", address_.host}, {"bucket", bucket}};
  if (throttled) {
    runtime_.metrics
        .counter("longhaul_requests_throttled_total", "Requests that a store answered by SlowDown",
                 labels)
        .Add(1);
  }
  if (!turn.Answered(throttled)) return;
  runtime_.metrics
      .gauge("longhaul_requests_limit",
             "Requests that may be under way at a bucket, since it "
             "asked for rest",
             labels)
      .Set(limits_[bucket]->limit());
}

Async<HttpResponse> S3Client::SendOnce(const S3Request& request) {
  if (!request.bucket.empty() && !IsBucketName(request.bucket)) {
    co_return InvalidInput("not a bucket name: '" + request.bucket + "'");
  }
  Target target = TargetOf(request.bucket, request.key);
  std::string query;
  for (const auto& [name, value] : request.query) {
    if (!query.empty()) query += '&';
    query += PercentEncode(name, Slash::kEncode);
    query += '=';
    query += PercentEncode(value, Slash::kEncode);
  }
  std::string url;
  url.reserve(address_.scheme.size() + target.host.size() + target.path.size() + query.size() + 4);
  url.append(address_.scheme).append("://").append(target.host).append(target.path);
  if (!query.empty()) url.append("?").append(query);
  Result<std::string> payload = co_await PayloadHash(request);
  if (!payload) co_return payload.error();

  S3Metering metering(options_.meter, request);
  bool clock_corrected = false;
  bool credentials_renewed = false;
  while (true) {
    HttpRequest http;
    http.method = request.method;
    http.url = url;
    http.headers.reserve(request.headers.entries().size() + 5);  // With those of the signature.
    for (const auto& [name, value] : request.headers.entries()) http.headers.Add(name, value);
    if (options_.requester_pays) http.headers.Add("x-amz-request-payer", "requester");
    http.body = request.body;
    http.once = !request.repeatable || request.trace != nullptr;  // The trace counts them.
    if (request.source != nullptr) {
      http.source = request.source;
      http.source_size_bytes = request.source_size_bytes;
    }
    http.timeouts.connect = options_.connect_timeout;
    http.timeouts.stall = request.slow_answer
                              ? std::max(options_.stall_timeout, options_.operation_timeout)
                              : options_.stall_timeout;
    if (options_.credentials) {
      Result<std::shared_ptr<const Credentials>> credentials = co_await options_.credentials->Get();
      if (!credentials) co_return credentials.error().In("credentials");
      signer_.Sign(request.method, {.host = target.host, .path = target.path, .query = query},
                   http.headers, *payload, **credentials, runtime_.clock.Now() + clock_offset_);
    } else if (*payload == kUnsignedPayloadTrailer) {
      http.headers.Add("x-amz-content-sha256", *payload);
    }
    std::unique_ptr<RequestLimit::Turn> turn =
        co_await RequestLimit::Acquire(LimitOf(request.bucket));
    if (request.source != nullptr) turn->StopCounting();
    if (request.trace != nullptr) ++request.trace->sent;
    metering.Send(http);
    Result<HttpResponse> response = co_await http_->Send(std::move(http));
    metering.Sent(response);
    if (!response) co_return response.error();
    CompareClocks(response->headers);
    if (request.trace != nullptr) request.trace->answered_at = TimeOf(response->headers);
    if (response->status >= 200 && response->status < 300) {
      NoteAnswer(*turn, request.bucket, false);
      co_return response;
    }

    Result<std::string> body = co_await ReadAll(*response->body, kS3ErrorBytesMax);
    Error error = S3Error(response->status, response->headers, body ? *body : std::string());
    NoteAnswer(*turn, request.bucket, error.kind == ErrorKind::kThrottled);
    turn.reset();
    if (request.source != nullptr) co_return error;  // Its bytes are gone.
    if (IsClockSkew(error) && !clock_corrected && response->headers.Find("Date")) {
      clock_corrected = true;
      clock_offset_ = TimeOf(response->headers) - runtime_.clock.Now();
      continue;
    }
    if (IsCredentialsExpired(error) && !credentials_renewed && options_.credentials &&
        options_.credentials->Invalidate()) {
      credentials_renewed = true;
      continue;
    }
    co_return error;
  }
}

Async<HttpResponse> S3Client::Open(const S3Request& request) {
  RetryState state(retry_policy(), retry_budget_, runtime_.clock, runtime_.random);
  while (true) {
    Result<HttpResponse> response = co_await SendOnce(request);
    if (response) {
      Succeeded(state);
      co_return response;
    }
    if (!co_await WaitToRetry(state, request, response.error())) {
      co_return state.GaveUp(response.error());
    }
  }
}

asio::awaitable<bool> S3Client::WaitToRetry(RetryState& state, const S3Request& request,
                                            Error error) {
  if (options_.stop != nullptr && options_.stop->is_set()) co_return false;
  const std::optional<std::chrono::nanoseconds> delay = state.DelayAfter(error);
  if (!delay) co_return false;
  if (options_.on_trouble) {
    in_trouble_ = true;
    std::string what = request.method;
    if (!request.bucket.empty()) what += " " + request.bucket;
    if (!request.key.empty()) what += "/" + request.key;
    error = error.In(what);
    options_.on_trouble(&error);
  }
  if (options_.stop == nullptr) {
    co_await runtime_.clock.Sleep(*delay);
    co_return true;
  }
  co_return !co_await options_.stop->WaitFor(runtime_.clock, *delay);
}

void S3Client::Succeeded(RetryState& state) {
  state.Succeeded();
  if (!in_trouble_) return;
  in_trouble_ = false;
  options_.on_trouble(nullptr);
}

Async<S3Answer> S3Client::CallOnce(const S3Request& request) {
  Result<HttpResponse> response = co_await SendOnce(request);
  Result<S3Answer> answer;
  if (response) {
    answer->response = std::move(*response);
    Result<std::string> text = co_await ReadAll(*answer->response.body, kS3AnswerBytesMax,
                                                LengthHint(answer->response.headers));
    if (!text) {
      answer = text.error();
    } else {
      answer->text = std::move(*text);
      // Copies and completions answer 200 before they know. (S3 API Reference,
      // CompleteMultipartUpload.)
      if (MayBeError(answer->text)) {
        std::optional<S3ErrorText> inside = ParseS3Error(answer->text);
        if (inside) answer = S3ErrorInside(*inside);
      }
    }
  } else {
    answer = response.error();
  }
  co_return answer;
}

Async<S3Answer> S3Client::Call(const S3Request& request) {
  RetryState state(retry_policy(), retry_budget_, runtime_.clock, runtime_.random);
  while (true) {
    Result<S3Answer> answer = co_await CallOnce(request);
    if (answer) {
      Succeeded(state);
      co_return answer;
    }
    const Error& error = answer.error();
    if (!request.repeatable && MayHaveHappened(error)) co_return error;
    if (!co_await WaitToRetry(state, request, error)) co_return state.GaveUp(error);
  }
}

}  // namespace longhaul
