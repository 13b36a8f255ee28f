// The body of a request to the gateway, without its aws-chunked coating and with all that the
// client said of it checked: length, payload digest, chunk signatures, checksums, Content-MD5.
//
// What is wrong comes out of the last Read, so a store that writes what it reads writes nothing.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/cpu_pool.h"
#include "gateway/protocol/sigv4.h"
#include "net/http_server.h"
#include "storage/store.h"

namespace longhaul {

class GatewayBody : public ByteSource {
 public:
  // Looks at the headers. kInvalidInput: MissingContentLength, InvalidDigest, InvalidRequest, …
  // `request`, `pool` outlive the body. `with_checksum`: false where x-amz-checksum-… speaks of
  // something else than this body (CompleteMultipartUpload).
  static Result<std::unique_ptr<GatewayBody>> Open(HttpServerRequest& request,
                                                   const SignedRequest& signature, CpuPool& pool,
                                                   bool with_checksum = true);

  [[nodiscard]] uint64_t size_bytes() const override { return size_bytes_; }
  // False: it comes in chunks, and size_bytes() is 0 until its end.
  [[nodiscard]] bool sized() const { return sized_; }
  // kInvalidInput: BadDigest, XAmzContentSHA256Mismatch, IncompleteBody; kDenied:
  // SignatureDoesNotMatch; kRetryable: the client went away.
  Async<size_t> Read(std::span<std::byte> out) override;

  // The checksum that the client gives: its value is empty until the end where it is a trailer.
  [[nodiscard]] const std::optional<Checksum>& checksum() const { return checksum_; }
  [[nodiscard]] const std::string& content_md5() const { return content_md5_; }

 private:
  GatewayBody(HttpServerRequest& request, SignedRequest signature, CpuPool& pool)
      : request_(request), signature_(std::move(signature)), pool_(pool) {}

  Async<size_t> ReadPlain(std::span<std::byte> out);
  Async<size_t> ReadChunked(std::span<std::byte> out);
  Async<std::string> ReadLine();
  Async<void> BeginChunk();
  Async<void> ReadTrailer();
  Result<void> EndChunk();
  Async<size_t> Finish();

  HttpServerRequest& request_;
  SignedRequest signature_;
  CpuPool& pool_;
  uint64_t size_bytes_ = 0;
  uint64_t read_bytes_ = 0;
  bool sized_ = true;
  bool chunked_ = false;
  bool finished_ = false;

  std::optional<Checksum> checksum_;
  bool checksum_in_trailer_ = false;
  std::string content_md5_;
  std::optional<HashSet> hashes_;  // Of the whole, in the order of `kinds_`.
  std::vector<HashKind> kinds_;

  // Of aws-chunked.
  std::string buffer_;
  size_t used_ = 0;
  bool in_chunk_ = false;
  uint64_t chunk_left_ = 0;
  std::string chunk_signature_;
  std::string previous_signature_;
  std::unique_ptr<Hasher> chunk_hash_;
};

// The name of the header for an algorithm: "x-amz-checksum-crc32".
std::string ChecksumHeader(ChecksumAlgorithm algorithm);
// "CRC32", in any case.
std::optional<ChecksumAlgorithm> ParseChecksumAlgorithm(std::string_view name);
std::string_view ChecksumAlgorithmName(ChecksumAlgorithm algorithm);

}  // namespace longhaul
