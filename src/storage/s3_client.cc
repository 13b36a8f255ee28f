#include "storage/s3_client.h"

#include <algorithm>
#include <charconv>

#include "aws/credentials_failure.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/s3_error.h"
#include "storage/s3_metering.h"
#include "storage/s3_sessions.h"

namespace longhaul {
namespace {

// Hashing this much takes a quarter of a millisecond; more goes to the pool.
constexpr size_t kHashInlineBytes = 64 << 10;
// S3 takes signatures of a clock that is up to 15 minutes off, STS and others of five.
constexpr std::chrono::seconds kClockOff{60};
// Where HEADs are refused for good, one in this time is asked about.
constexpr std::chrono::seconds kAskWhyPause{1};

bool IsLoopback(std::string_view host) {
  host = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
  bool is_ipv4 = host.find_first_not_of("0123456789.") == host.npos;
  return host == "localhost" || host == "[::1]" || (is_ipv4 && host.starts_with("127.")) ||
         host.ends_with(".localhost");
}

// Whether <Error> can be the root of an answer. While it works, a server sends blanks before it.
bool MayBeError(std::string_view xml) {
  constexpr size_t kPrologBytesMax = 1024;
  xml.remove_prefix(std::min(xml.find_first_not_of(" \t\r\n"), xml.size()));
  return xml.substr(0, kPrologBytesMax).find("<Error") != xml.npos;
}

// Whether no body follows, as after most writes.
bool IsEmpty(const HttpHeaders& headers) {
  return headers.Get("Content-Length") == "0" && headers.Find("Transfer-Encoding") == nullptr;
}

// Refused without a code: the answer to a HEAD has no body. An expired token is a bare 400, a clock
// that is off a bare 403.
bool IsMute(const S3Request& request, const Error& error) {
  return request.method == "HEAD" && error.code.empty() &&
         (error.http_status == 400 || error.http_status == 403);
}

// Whether what a GET was told holds for the HEAD that was refused before it.
bool SaysWhy(const Error& why, const Error& mute) {
  return mute.http_status == 400 && why.http_status == 400 && !why.code.empty();
}

size_t LengthHint(const HttpHeaders& headers) {
  std::string_view text = headers.Get("Content-Length");
  size_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return length;
}

}  // namespace

Result<std::unique_ptr<S3Client>> S3Client::Make(const Runtime& runtime, S3StoreOptions options,
                                                 HttpClient* http) {
  Result<S3Endpoint> endpoint = S3Endpoint::Make(options);
  if (!endpoint) return endpoint.error();
  if (options.connections_max < 1 || options.attempts_max < 1) {
    return InvalidInput("connections_max and attempts_max must be at least 1");
  }
  std::unique_ptr<S3Client> client(new S3Client(runtime, std::move(options), std::move(*endpoint)));
  if (http == nullptr) {
    client->own_http_ = MakeHttpClient(runtime, {.requests_max = client->options_.connections_max,
                                                 .ca_file = client->options_.ca_file,
                                                 .verify_certificate = true,
                                                 .proxy = client->options_.proxy,
                                                 .shards = client->options_.shards});
    http = client->own_http_.get();
  }
  client->http_ = http;
  return client;
}

S3Client::S3Client(const Runtime& runtime, S3StoreOptions options, S3Endpoint endpoint)
    : runtime_(runtime),
      options_(std::move(options)),
      endpoint_(std::move(endpoint)),
      signer_(options_.region.empty() ? "us-east-1" : options_.region, "s3") {
  held_bodies = std::make_shared<HeldBodies>(
      std::max(kS3HeldBytesMax, static_cast<uint64_t>(runtime_.memory.limit_bytes()) / 4));
  switch (options_.payload_signing) {
    case S3PayloadSigning::kAlways:
      signs_payloads = true;
      break;
    case S3PayloadSigning::kNever:
      break;
    case S3PayloadSigning::kAuto:
      signs_payloads = endpoint_.scheme() == "http" && !IsLoopback(endpoint_.host());
      break;
  }
  if (!options_.checksums || !options_.quirks.can.checksums ||
      (options_.probed && !options_.probed->checksums)) {
    checksum_support = ChecksumSupport::kNo;
  } else if (SureOfChecksums()) {
    checksum_support = ChecksumSupport::kYes;
  }
}

S3Client::ChecksumSupport S3Client::ChecksumSupportOf(ChecksumAlgorithm algorithm) const {
  if (checksum_support != ChecksumSupport::kYes || SureOfChecksums()) return checksum_support;
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
  return "s3 " + endpoint_.scheme() + "://" + endpoint_.host();
}

RetryPolicy S3Client::retry_policy() const {
  RetryPolicy policy;
  policy.attempts_max = options_.attempts_max;
  policy.deadline = options_.operation_timeout;
  return policy;
}

std::string S3Client::UrlOf(std::string_view bucket, std::string_view key) const {
  Result<S3Endpoint::Place> place = endpoint_.PlaceOf(bucket, !key.empty());
  if (!place) return {};
  return endpoint_.scheme() + "://" + place->host + place->path + "/" +
         PercentEncode(key, Slash::kKeep);
}

Signer& S3Client::SignerOf(const S3Endpoint::Place& place) {
  if (!place.express && place.region == signer_.region()) return signer_;
  return other_signers_
      .try_emplace({place.region, place.express}, place.region, place.express ? "s3express" : "s3")
      .first->second;
}

CredentialsProvider* S3Client::CredentialsOf(const S3Request& request,
                                             const S3Endpoint::Place& place) {
  if (!options_.credentials || !place.express || !TakesSession(request)) {
    return options_.credentials.get();
  }
  std::shared_ptr<CredentialsProvider>& sessions = sessions_[request.bucket];
  if (!sessions) sessions = MakeS3Sessions(*this, request.bucket);
  return sessions.get();
}

std::optional<SystemTime> S3Client::DateOf(const HttpHeaders& headers) const {
  const std::string_view text = headers.Get("Date");
  if (text != date_text_) {
    date_text_ = text;
    Result<SystemTime> time = ParseHttpDate(text);
    date_ = time ? std::optional(*time) : std::nullopt;
  }
  return date_;
}

SystemTime S3Client::TimeOf(const HttpHeaders& headers) const {
  const std::optional<SystemTime> date = DateOf(headers);
  return date ? *date : runtime_.clock.Now();
}

void S3Client::CompareClocks(const HttpHeaders& headers) {
  if (!options_.on_clock_off || clock_is_off_) return;
  const std::optional<SystemTime> date = DateOf(headers);
  if (!date) return;
  // An answer that was long under way is no proof of less than this.
  const auto ahead = std::chrono::round<std::chrono::seconds>(*date - runtime_.clock.Now());
  if (std::chrono::abs(ahead) < kClockOff) return;
  clock_is_off_ = true;
  options_.on_clock_off(ahead);
}

std::optional<std::string> S3Client::PayloadHash(const S3Request& request) const {
  if (!request.payload_sha256.empty()) return request.payload_sha256;
  if (request.source != nullptr) return std::string(kUnsignedPayload);
  if (!request.body || request.body->empty()) return std::string(kEmptyPayloadSha256);
  if (!signs_payloads) return std::string(kUnsignedPayload);
  if (request.body->size() > kHashInlineBytes) return std::nullopt;
  return HexEncode(Sha256(AsText(*request.body)));
}

Async<std::string> S3Client::HashPayload(const S3Request& request) {
  std::span<const std::byte> body = *request.body;
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
  const MetricLabels labels{{"endpoint", endpoint_.host()}, {"bucket", bucket}};
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
  std::string query;
  for (const auto& [name, value] : request.query) {
    if (!query.empty()) query += '&';
    query += PercentEncode(name, Slash::kEncode);
    query += '=';
    query += PercentEncode(value, Slash::kEncode);
  }
  std::optional<std::string> payload = PayloadHash(request);
  if (!payload) {
    Result<std::string> hashed = co_await HashPayload(request);
    if (!hashed) co_return hashed.error();
    payload = std::move(*hashed);
  }

  S3Metering metering(options_.meter, request);
  bool clock_corrected = false;
  bool credentials_renewed = false;
  bool asked_why = false;
  while (true) {
    Result<S3Endpoint::Place> place =
        endpoint_.PlaceOf(request.bucket, !request.key.empty() && !request.is_copy);
    if (!place) co_return place.error();
    std::string path = std::move(place->path);
    if (!request.key.empty() || !place->bucket_in_path) {
      path += '/';
      path += PercentEncode(request.key, Slash::kKeep);
    }
    HttpRequest http;
    http.method = request.method;
    http.url.reserve(endpoint_.scheme().size() + place->host.size() + path.size() + query.size() +
                     4);
    http.url.append(endpoint_.scheme()).append("://").append(place->host).append(path);
    if (!query.empty()) http.url.append("?").append(query);
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
    CredentialsProvider* provider = CredentialsOf(request, *place);
    SignedBy signed_by;
    if (provider != nullptr) {
      Result<std::shared_ptr<const Credentials>> credentials = co_await provider->Get();
      if (!credentials) {
        // What S3 itself answers to who wants a session is a right of S3.
        const bool session = provider != options_.credentials.get();
        co_return session ? credentials.error().In("credentials")
                          : CredentialsFailure(credentials.error());
      }
      if (request.source != nullptr) signed_by = {provider, *credentials, clock_offset_};
      const SignedTarget target{.host = place->host, .path = path, .query = query};
      const SystemTime now = runtime_.clock.Now() + clock_offset_;
      Signer& signer = SignerOf(*place);
      if (provider == options_.credentials.get()) {
        signer.Sign(request.method, target, http.headers, *payload, **credentials, now);
      } else {
        // The token of a session has a header of its own.
        http.headers.Set("x-amz-s3session-token", (*credentials)->session_token.Reveal());
        signer.Sign(request.method, target, http.headers, *payload,
                    {.access_key_id = (*credentials)->access_key_id,
                     .secret_access_key = (*credentials)->secret_access_key,
                     .session_token = {},
                     .expires = {}},
                    now);
      }
    } else if (*payload == kUnsignedPayloadTrailer) {
      http.headers.Add("x-amz-content-sha256", *payload);
    }
    std::shared_ptr<RequestLimit> limit = LimitOf(request.bucket);
    if (!limit->has_room()) co_await RequestLimit::WaitForRoom(limit);
    std::optional<RequestLimit::Turn> turn(std::in_place, std::move(limit));
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
    const std::optional<S3Redirect> redirect = FindS3Redirect(
        response->status, response->headers, body ? ParseS3Error(*body) : std::nullopt);
    if (redirect && endpoint_.Follow(request.bucket, *redirect)) {
      if (request.source == nullptr) {
        if (request.trace != nullptr) --request.trace->sent;  // It was not carried out.
        continue;
      }
      error.kind = ErrorKind::kRetryable;
      error.code = kNotSentCode;
      error.http_status = 0;  // What is elsewhere for good says 3xx.
    } else if (redirect) {
      error.message += "; not followed, as credentials go nowhere but to " + endpoint_.host() +
                       ": give the region or the endpoint of the bucket";
    }
    if (request.source != nullptr) {  // Its bytes are gone.
      if (co_await SignsOtherwise(error, response->headers, std::move(signed_by))) {
        error.message += " (" + error.code + ")";
        error.kind = ErrorKind::kRetryable;
        error.code = kNotSentCode;
      }
      co_return error;
    }
    if (IsClockSkew(error) && !clock_corrected && response->headers.Find("Date")) {
      clock_corrected = true;
      clock_offset_ = TimeOf(response->headers) - runtime_.clock.Now();
      continue;
    }
    if (IsCredentialsExpired(error) && !credentials_renewed && provider != nullptr &&
        provider->Invalidate()) {
      credentials_renewed = true;
      continue;
    }
    if (provider != nullptr && IsMute(request, error)) {
      const SteadyTime now = runtime_.clock.SteadyNow();
      if (asked_why) {
        ask_why_from_ = now + kAskWhyPause;  // It was neither the credentials nor the clock.
      } else if (now >= ask_why_from_) {
        asked_why = true;
        Result<void> why = co_await AskWhy(request);
        // A 400 of the GET, which by now had credentials and a clock that are good, is the HEAD's
        // too: what is encrypted with a key of its writer (SSE-C) is refused so. A 403 may be its
        // own: reading takes rights, as to a KMS key, that a HEAD does without.
        const bool told = !why && (why.error().Transient() || IsCredentialsExpired(why.error()) ||
                                   IsClockSkew(why.error()) || SaysWhy(why.error(), error));
        if (told) co_return why.error();
        continue;  // With the clock and the credentials that the answer led to.
      }
    }
    co_return error;
  }
}

asio::awaitable<bool> S3Client::SignsOtherwise(const Error& refusal, const HttpHeaders& headers,
                                               SignedBy before) {
  if (before.provider == nullptr) co_return false;
  if (IsClockSkew(refusal) && headers.Find("Date") != nullptr) {
    clock_offset_ = TimeOf(headers) - runtime_.clock.Now();
    co_return std::chrono::abs(clock_offset_ - before.clock_offset) >= kClockOff;
  }
  if (!IsCredentialsExpired(refusal) || !before.provider->Invalidate()) co_return false;
  // Where they come from there may be none that are newer: who sent them again and again would not
  // be told why.
  Result<std::shared_ptr<const Credentials>> now = co_await before.provider->Get();
  if (!now) co_return now.error().Transient();
  co_return (*now)->access_key_id != before.credentials->access_key_id ||
      !((*now)->session_token == before.credentials->session_token);
}

Async<void> S3Client::AskWhy(S3Request request) {
  request.method = "GET";
  request.trace = nullptr;
  if (request.key.empty()) {
    request.query = {{"list-type", "2"}, {"max-keys", "1"}};
  } else {
    std::erase_if(request.query, [](const auto& entry) { return entry.first == "partNumber"; });
    request.headers.Set("Range", "bytes=0-0");
  }
  Result<HttpResponse> answer = co_await SendOnce(request);
  if (!answer) co_return answer.error();
  co_return Ok();
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

Async<S3Answer> S3Client::Call(const S3Request& request) {
  RetryState state(retry_policy(), retry_budget_, runtime_.clock, runtime_.random);
  while (true) {
    Result<HttpResponse> response = co_await SendOnce(request);
    Result<std::string> text;
    if (!response) {
      text = response.error();
    } else if (!IsEmpty(response->headers)) {
      // That of a HEAD is the object's, and nothing follows.
      const size_t hint = request.method == "HEAD" ? 0 : LengthHint(response->headers);
      text = co_await ReadAll(*response->body, kS3AnswerBytesMax, hint);
      // Copies and completions answer 200 before they know. (S3 API Reference,
      // CompleteMultipartUpload.)
      if (text && MayBeError(*text)) {
        std::optional<S3ErrorText> inside = ParseS3Error(*text);
        if (inside) text = S3ErrorInside(*inside);
      }
    }
    if (text) {
      Succeeded(state);
      co_return S3Answer{.response = std::move(*response), .text = std::move(*text)};
    }
    const Error& error = text.error();
    if (!request.repeatable && MayHaveHappened(error)) co_return error;
    if (!co_await WaitToRetry(state, request, error)) co_return state.GaveUp(error);
  }
}

}  // namespace longhaul
