// How providers of credentials ask a service: with limits, few repetitions, and without telling
// anyone what they know.
//
// Internal to the providers.

#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aws/credentials.h"
#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul {

// Nobody waits long for credentials: more attempts than these are not made, whatever is wished.
inline constexpr int kCredentialsAttemptsMax = 3;
// Of an answer, a token file, or what a process prints.
inline constexpr size_t kCredentialsBytesMax = 64 << 10;

struct ServiceRequest {
  std::string what;  // "instance metadata at http://…": in front of every error.
  std::string method = "GET";
  std::string url;
  HttpHeaders headers;
  std::string body;
  std::chrono::milliseconds timeout{10'000};  // Of one attempt.
};

struct ServiceAnswer {
  int status = 0;  // Neither 5xx nor 429.
  HttpHeaders headers;
  std::string body;
};

// Belongs to one shard; shared by the providers of one chain. Makes its HttpClient when it is first
// needed, unless it was given one.
class CredentialsService {
 public:
  // `attempts_max`: of one call; of a higher number kCredentialsAttemptsMax.
  CredentialsService(const Runtime& runtime, std::string ca_file, HttpProxySettings proxy = {},
                     HttpClient* http = nullptr, int attempts_max = kCredentialsAttemptsMax)
      : runtime_(runtime),
        ca_file_(std::move(ca_file)),
        proxy_(std::move(proxy)),
        http_(http),
        attempts_max_(std::min(attempts_max, kCredentialsAttemptsMax)) {}

  // Repeats what may pass. kRetryable, kThrottled: no answer, 5xx or 429 after all attempts.
  // kDenied: no trusted certificate, a URL that makes no sense, or an answer beyond 64 KiB.
  Async<ServiceAnswer> Call(ServiceRequest request);

  [[nodiscard]] const Runtime& runtime() const { return runtime_; }
  [[nodiscard]] int attempts_max() const { return attempts_max_; }
  // For a provider that has a way of its own to ask.
  [[nodiscard]] HttpClient& http();

 private:
  Async<ServiceAnswer> Once(const ServiceRequest& request);

  Runtime runtime_;
  std::string ca_file_;
  HttpProxySettings proxy_;
  HttpClient* http_;
  int attempts_max_;
  std::unique_ptr<HttpClient> own_http_;
};

Error CredentialsDenied(std::string message);

// `text` with "***" in place of each of `secrets` (as they are, and percent-encoded).
std::string WithoutSecrets(std::string text, const std::vector<Secret>& secrets);

// What a service or a process said, for an error message: one line of at most 300 bytes without
// control characters, and without any of `secrets` (as they are, and percent-encoded).
std::string Quotable(std::string_view text, const std::vector<Secret>& secrets = {});

// A small file: a token. kDenied: it cannot be read, is no regular file, is empty, or is larger
// than 64 KiB.
Result<std::string> ReadTokenFile(const std::string& path);

// Whether a text can go into a header: printable ASCII, 1 to `size_bytes_max` of it.
bool IsHeaderText(std::string_view text, size_t size_bytes_max);

}  // namespace longhaul
