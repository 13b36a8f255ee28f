// S3Client: one endpoint, as the operations of the S3 store see it: URLs, signatures, retries.
//
// Internal to the S3 store. Belongs to one shard.

#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "aws/signer.h"
#include "base/retry.h"
#include "base/runtime.h"
#include "net/http_client.h"
#include "storage/held_bodies.h"
#include "storage/request_limit.h"
#include "storage/s3_endpoint.h"
#include "storage/s3_store.h"

namespace longhaul {

// What became of a request, also when it failed.
struct S3Trace {
  int sent = 0;              // How often.
  SystemTime answered_at{};  // The `Date` of the last answer.
};

// Of a streamed body that must be held whole.
inline constexpr uint64_t kS3HeldBytesMax = 64 << 20;

// One request before it is signed. Names and values of the query are not encoded yet.
struct S3Request {
  std::string method = "GET";
  std::string bucket;  // Empty: the service itself.
  std::string key;     // Empty: the bucket.
  std::vector<std::pair<std::string, std::string>> query;
  HttpHeaders headers;
  // The body: none, a span or a source, all borrowed for the time of the call.
  std::optional<std::span<const std::byte>> body;
  HttpBodySource* source = nullptr;
  uint64_t source_size_bytes = 0;
  // What x-amz-content-sha256 says; empty: found out from the body and the endpoint.
  std::string payload_sha256;
  // A server may work for long before it says a word: copies and completions.
  bool slow_answer = false;
  // A copy within the server: nothing of it travels, and what accelerates refuses it between
  // regions. (S3 API Reference, CopyObject.)
  bool is_copy = false;
  // False: an attempt after which it may have been carried out, now or later, is the last.
  bool repeatable = true;
  S3Trace* trace = nullptr;
};

// An answer of 2xx and its body.
struct S3Answer {
  HttpResponse response;
  std::string text;
};

class S3Client {
 public:
  static Result<std::unique_ptr<S3Client>> Make(const Runtime& runtime, S3StoreOptions options,
                                                HttpClient* http);

  // Sends once. OK: 2xx, with the body as a stream. A clock that the server calls wrong is set
  // right, and expired credentials are fetched anew, once each, and the request sent again; also to
  // where the bucket is, if that is elsewhere within the endpoint. A streamed body is gone by then:
  // kRetryable with kNotSentCode, and the next one goes there, or is signed with those.
  Async<HttpResponse> SendOnce(const S3Request& request);
  // Sends with retries and leaves the body a stream.
  Async<HttpResponse> Open(const S3Request& request);
  // Sends with retries and reads the body, up to kS3AnswerBytesMax. An <Error> inside an answer of
  // 200 counts as an error.
  Async<S3Answer> Call(const S3Request& request);

  // Where `key` is, for a browser or a tool without credentials.
  std::string UrlOf(std::string_view bucket, std::string_view key) const;

  [[nodiscard]] const S3StoreOptions& options() const { return options_; }
  void UseProbed(const Capabilities& probed) {
    options_.probed = probed;
    checksum_support = probed.checksums ? ChecksumSupport::kYes : ChecksumSupport::kNo;
    algorithms_.clear();
    algorithms_[ChecksumAlgorithm::kCrc64Nvme] = probed.checksums;  // What the probe tries.
  }
  [[nodiscard]] const Runtime& runtime() const { return runtime_; }
  // Where the endpoint is, whatever a bucket's own region.
  [[nodiscard]] const std::string& region() const { return signer_.region(); }
  [[nodiscard]] std::string description() const;
  // The `Date` of an answer, else our clock's time.
  [[nodiscard]] SystemTime TimeOf(const HttpHeaders& headers) const;
  [[nodiscard]] RetryPolicy retry_policy() const;
  RetryBudget& retry_budget() { return retry_budget_; }
  // After a failure: waits until the request may be sent again. False: it may not.
  asio::awaitable<bool> WaitToRetry(RetryState& state, const S3Request& request, Error error);
  // After a success.
  void Succeeded(RetryState& state);

  // Whether the server checks x-amz-checksum-* at all: told by the options, then by its answers.
  enum class ChecksumSupport { kUnknown, kYes, kNo };
  ChecksumSupport checksum_support = ChecksumSupport::kUnknown;
  // The same of one algorithm: a server that knows one need not know a newer one.
  [[nodiscard]] ChecksumSupport ChecksumSupportOf(ChecksumAlgorithm algorithm) const;
  void LearnChecksums(ChecksumAlgorithm algorithm, bool known);
  // Whether payloads are signed with their SHA-256.
  bool signs_payloads = false;
  // For streamed bodies that must be held whole: as much as a quarter of the process's memory,
  // besides it, and at least one of them.
  std::shared_ptr<HeldBodies> held_bodies;  // shared: with writes that outlive the client.
  [[nodiscard]] bool is_aws() const { return endpoint_.is_aws(); }
  // What the later steps of an upload need to know, by its id: the algorithm, if it is not
  // CRC64NVME, the tags, for servers that lose them, and what answers said of its ETags. Bounded;
  // an upload that another process created is not here.
  struct UploadNotes {
    ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc64Nvme;
    Tags tags;
    bool etags_opaque = false;  // HasPartRules::part_etags_opaque
  };
  std::unordered_map<std::string, UploadNotes> upload_notes;

 private:
  std::map<ChecksumAlgorithm, bool> algorithms_;  // What is known of each.

  S3Client(const Runtime& runtime, S3StoreOptions options, S3Endpoint endpoint);
  Signer& SignerOf(const S3Endpoint::Place& place);
  // What `request` is signed with; null: nothing.
  CredentialsProvider* CredentialsOf(const S3Request& request, const S3Endpoint::Place& place);
  // Whether the server checks x-amz-checksum-*, whatever its answers say.
  [[nodiscard]] bool SureOfChecksums() const {
    return is_aws() || options_.quirks.checks_checksums;
  }
  // What x-amz-content-sha256 says; nullopt: that takes a while, and HashPayload finds it out.
  std::optional<std::string> PayloadHash(const S3Request& request) const;
  Async<std::string> HashPayload(const S3Request& request);
  // Of requests at a bucket.
  std::shared_ptr<RequestLimit> LimitOf(const std::string& bucket);
  void NoteAnswer(RequestLimit::Turn& turn, const std::string& bucket, bool throttled);
  void CompareClocks(const HttpHeaders& headers);
  // What a request with a streamed body was signed with.
  struct SignedBy {
    CredentialsProvider* provider = nullptr;  // Null: it was not signed.
    std::shared_ptr<const Credentials> credentials;
    std::chrono::microseconds clock_offset{0};
  };
  // Whether the next request is signed with another time, or with other credentials, than the one
  // that was refused for those; they are set right first.
  asio::awaitable<bool> SignsOtherwise(const Error& refusal, const HttpHeaders& headers,
                                       SignedBy before);
  // What a HEAD was refused for, which only the answer to a GET of the same says. OK: by now it is
  // not refused. Credentials and clock are set right on the way.
  Async<void> AskWhy(S3Request request);
  // Of the header `Date`; nullopt: there is none that can be read.
  [[nodiscard]] std::optional<SystemTime> DateOf(const HttpHeaders& headers) const;

  Runtime runtime_;
  S3StoreOptions options_;
  S3Endpoint endpoint_;
  Signer signer_;
  std::map<std::pair<std::string, bool>, Signer> other_signers_;  // By region, and of S3 Express.
  // Of directory buckets; shared as credentials are.
  std::map<std::string, std::shared_ptr<CredentialsProvider>> sessions_;
  std::unique_ptr<HttpClient> own_http_;
  HttpClient* http_ = nullptr;
  RetryBudget retry_budget_;
  std::map<std::string, std::shared_ptr<RequestLimit>> limits_;  // shared with what is under way.
  bool in_trouble_ = false;  // A failure was told to `on_trouble`, and no success yet.
  std::chrono::microseconds clock_offset_{0};
  bool clock_is_off_ = false;  // It has been told.
  SteadyTime ask_why_from_{};  // Asked before and for nothing: not again so soon.
  // The last `Date` and what it says: each answer is asked for it three times, and those of one
  // second say the same.
  mutable std::string date_text_;
  mutable std::optional<SystemTime> date_;
};

}  // namespace longhaul
