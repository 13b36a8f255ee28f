#include "aws/credentials_service.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "base/bytes.h"
#include "base/retry.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr size_t kQuoteBytesMax = 300;

void Replace(std::string& text, std::string_view what) {
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += 3) {
    text.replace(at, what.size(), "***");
  }
}

}  // namespace

Error CredentialsDenied(std::string message) {
  return {.kind = ErrorKind::kDenied, .message = std::move(message)};
}

std::string WithoutSecrets(std::string text, const std::vector<Secret>& secrets) {
  for (const Secret& secret : secrets) {
    if (secret.empty()) continue;
    Replace(text, secret.Reveal());
    Replace(text, PercentEncode(secret.Reveal(), Slash::kEncode));
  }
  return text;
}

std::string Quotable(std::string_view text, const std::vector<Secret>& secrets) {
  const std::string said =
      WithoutSecrets(std::string(text.substr(0, kCredentialsBytesMax)), secrets);
  // Only now: half a secret would not be found.
  std::string line;
  for (char c : said) {
    const bool blank = static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
    if (blank && (line.empty() || line.back() == ' ')) continue;
    if (line.size() == kQuoteBytesMax) {
      line += "…";
      break;
    }
    line += blank ? ' ' : (static_cast<unsigned char>(c) < 0x80 ? c : '?');
  }
  if (line.ends_with(' ')) line.pop_back();
  return line;
}

Result<std::string> ReadTokenFile(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return CredentialsDenied(path + ": no such file");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(kCredentialsBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return CredentialsDenied(path + ": cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kCredentialsBytesMax) return CredentialsDenied(path + ": larger than 64 KiB");
  while (!text.empty() && std::string_view(" \t\r\n").contains(text.back())) text.pop_back();
  if (text.empty()) return CredentialsDenied(path + ": is empty");
  return text;
}

bool IsHeaderText(std::string_view text, size_t size_bytes_max) {
  return !text.empty() && text.size() <= size_bytes_max &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

Async<ServiceAnswer> CredentialsService::Call(ServiceRequest request) {
  RetryPolicy policy;
  policy.attempts_max = attempts_max_;
  policy.throttled_base = 200ms;
  policy.cap = 2s;
  RetryBudget budget;
  RetryState state(policy, budget, runtime_.clock, runtime_.random);
  while (true) {
    Result<ServiceAnswer> answer = co_await Once(request);
    if (answer) co_return answer;
    const std::optional<std::chrono::nanoseconds> delay = state.DelayAfter(answer.error());
    if (!delay) co_return state.GaveUp(answer.error()).In(request.what);
    co_await runtime_.clock.Sleep(*delay);
  }
}

HttpClient& CredentialsService::http() {
  if (http_ == nullptr) {
    own_http_ = MakeHttpClient(runtime_, {.requests_max = 8, .ca_file = ca_file_, .proxy = proxy_});
    http_ = own_http_.get();
  }
  return *http_;
}

Async<ServiceAnswer> CredentialsService::Once(const ServiceRequest& request) {
  HttpRequest http;
  http.method = request.method;
  http.url = request.url;
  http.headers = request.headers;
  if (!request.body.empty() || request.method != "GET") http.body = AsBytes(request.body);
  http.timeouts = {.connect = request.timeout, .stall = request.timeout, .total = request.timeout};
  Result<HttpResponse> response = co_await this->http().Send(std::move(http));
  if (!response) {
    Error error = response.error();
    if (error.kind == ErrorKind::kInvalidInput) error.kind = ErrorKind::kDenied;
    co_return error;
  }
  Result<std::string> body = co_await ReadAll(*response->body, kCredentialsBytesMax);
  if (response->status >= 500 || response->status == 429) {
    Error error = Retryable("HTTP " + std::to_string(response->status));
    if (response->status == 429) error.kind = ErrorKind::kThrottled;
    error.http_status = response->status;
    co_return error;
  }
  if (!body) {
    Error error = body.error();
    if (error.kind == ErrorKind::kInvalidInput) {
      error = CredentialsDenied("an answer of more than 64 KiB");
    }
    co_return error;
  }
  co_return ServiceAnswer{.status = response->status,
                          .headers = std::move(response->headers),
                          .body = std::move(*body)};
}

}  // namespace longhaul
