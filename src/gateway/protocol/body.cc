#include "gateway/protocol/body.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/ascii.h"
#include "base/bytes.h"
#include "gateway/protocol/errors.h"

namespace longhaul {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr size_t kLineBytesMax = 8 << 10;
constexpr int kTrailersMax = 20;
constexpr size_t kHashHereBytes = 16 << 10;  // Less is not worth a hop to the pool.

struct Algorithm {
  std::string_view name;
  ChecksumAlgorithm algorithm;
  HashKind kind;
};
constexpr std::array kAlgorithms = {
    Algorithm{"CRC32", ChecksumAlgorithm::kCrc32, HashKind::kCrc32},
    Algorithm{"CRC32C", ChecksumAlgorithm::kCrc32c, HashKind::kCrc32c},
    Algorithm{"CRC64NVME", ChecksumAlgorithm::kCrc64Nvme, HashKind::kCrc64Nvme},
    Algorithm{"SHA1", ChecksumAlgorithm::kSha1, HashKind::kSha1},
    Algorithm{"SHA256", ChecksumAlgorithm::kSha256, HashKind::kSha256},
};

Error BadBody(std::string code, std::string message) {
  return GatewayError(std::move(code), std::move(message));
}

}  // namespace

std::string_view ChecksumAlgorithmName(ChecksumAlgorithm algorithm) {
  return std::ranges::find(kAlgorithms, algorithm, &Algorithm::algorithm)->name;
}

std::string ChecksumHeader(ChecksumAlgorithm algorithm) {
  return "x-amz-checksum-" + LowerAscii(ChecksumAlgorithmName(algorithm));
}

std::optional<ChecksumAlgorithm> ParseChecksumAlgorithm(std::string_view name) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (LowerAscii(algorithm.name) == LowerAscii(name)) return algorithm.algorithm;
  }
  return std::nullopt;
}

Result<std::unique_ptr<GatewayBody>> GatewayBody::Open(HttpServerRequest& request,
                                                       const SignedRequest& signature,
                                                       CpuPool& pool, bool with_checksum) {
  std::unique_ptr<GatewayBody> body(new GatewayBody(request, signature, pool));
  const HttpHeaders& headers = request.headers();
  body->chunked_ = signature.payload >= PayloadKind::kChunksUnsignedTrailer;
  body->previous_signature_ = signature.signature;
  if (body->chunked_) {
    std::string_view text = headers.Get("x-amz-decoded-content-length");
    auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), body->size_bytes_);
    if (text.empty() || failed != std::errc() || end != text.data() + text.size()) {
      return BadBody("MissingContentLength", "x-amz-decoded-content-length is missing");
    }
  } else {
    body->sized_ = request.body_size_bytes().has_value();
    body->size_bytes_ = request.body_size_bytes().value_or(0);
  }

  for (const Algorithm& algorithm : kAlgorithms) {
    const std::string* value = headers.Find(ChecksumHeader(algorithm.algorithm));
    if (value == nullptr || !with_checksum) continue;
    if (body->checksum_)
      return BadBody("InvalidRequest", "Expecting a single x-amz-checksum- header");
    Result<std::string> digest = Base64Decode(*value);
    if (!digest || digest->size() != Digest(algorithm.kind, std::string_view()).size()) {
      return BadBody("InvalidRequest",
                     "Value for " + ChecksumHeader(algorithm.algorithm) + " header is invalid.");
    }
    body->checksum_ = Checksum{algorithm.algorithm, *value, false};
  }
  std::string trailer = LowerAscii(headers.Get("x-amz-trailer"));
  for (const Algorithm& algorithm : kAlgorithms) {
    if (trailer != ChecksumHeader(algorithm.algorithm)) continue;
    if (body->checksum_)
      return BadBody("InvalidRequest", "Expecting a single x-amz-checksum- header");
    body->checksum_ = Checksum{algorithm.algorithm, "", false};
    body->checksum_in_trailer_ = true;
  }
  std::string_view announced = headers.Get("x-amz-sdk-checksum-algorithm");
  if (!announced.empty() && with_checksum &&
      (!body->checksum_ || ParseChecksumAlgorithm(announced) != body->checksum_->algorithm)) {
    return BadBody(
        "InvalidRequest",
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
        "x-amz-trailer headers were found.");
  }
  body->content_md5_ = headers.Get("Content-MD5");
  if (headers.Find("Content-MD5") != nullptr) {
    Result<std::string> digest = Base64Decode(body->content_md5_);
    if (!digest || digest->size() != 16) {
      return BadBody("InvalidDigest", "The Content-MD5 you specified is not valid.");
    }
    body->kinds_.push_back(HashKind::kMd5);
  }
  if (signature.payload == PayloadKind::kSha256) body->kinds_.push_back(HashKind::kSha256);
  if (body->checksum_) {
    HashKind kind =
        std::ranges::find(kAlgorithms, body->checksum_->algorithm, &Algorithm::algorithm)->kind;
    if (std::ranges::find(body->kinds_, kind) == body->kinds_.end()) body->kinds_.push_back(kind);
  }
  if (!body->kinds_.empty()) body->hashes_.emplace(body->kinds_);
  return body;
}

Async<size_t> GatewayBody::Read(std::span<std::byte> out) {
  if (finished_ || out.empty()) co_return 0;
  Result<size_t> count = chunked_ ? co_await ReadChunked(out) : co_await ReadPlain(out);
  if (!count) co_return count.error();
  if (*count == 0) co_return co_await Finish();
  read_bytes_ += *count;
  if (!sized_) size_bytes_ = read_bytes_;
  if (read_bytes_ > size_bytes_) {
    co_return BadBody("IncompleteBody", "The body is longer than it was said to be");
  }
  std::span<const std::byte> bytes = out.first(*count);
  if (hashes_ || chunk_hash_) {
    auto hash = [&] {
      if (hashes_) hashes_->Update(bytes);
      if (chunk_hash_) chunk_hash_->Update(bytes);
    };
    if (bytes.size() <= kHashHereBytes) {
      hash();
    } else {
      co_await pool_.Run(hash);
    }
  }
  co_return *count;
}

Async<size_t> GatewayBody::ReadPlain(std::span<std::byte> out) { return request_.ReadBody(out); }

Async<std::string> GatewayBody::ReadLine() {
  while (true) {
    size_t end = std::string_view(buffer_).find("\r\n", used_);
    if (end != std::string_view::npos) {
      std::string line = buffer_.substr(used_, end - used_);
      used_ = end + 2;
      co_return line;
    }
    if (buffer_.size() - used_ > kLineBytesMax) {
      co_return BadBody("IncompleteBody", "a line of an aws-chunked body is too long");
    }
    buffer_.erase(0, used_);
    used_ = 0;
    size_t before = buffer_.size();
    buffer_.resize(before + kBufferBytes);
    Result<size_t> count =
        co_await request_.ReadBody(std::as_writable_bytes(std::span(buffer_)).subspan(before));
    buffer_.resize(before + (count ? *count : 0));
    if (!count) co_return count.error();
    if (*count == 0) co_return BadBody("IncompleteBody", "an aws-chunked body ends too early");
  }
}

Async<void> GatewayBody::BeginChunk() {
  Result<std::string> line = co_await ReadLine();
  if (!line) co_return line.error();
  size_t semicolon = line->find(';');
  std::string_view size = std::string_view(*line).substr(0, semicolon);
  auto [end, failed] = std::from_chars(size.data(), size.data() + size.size(), chunk_left_, 16);
  if (failed != std::errc() || end != size.data() + size.size()) {
    co_return BadBody("InvalidChunkSizeError", "the size of a chunk is not a number");
  }
  if (signature_.payload != PayloadKind::kChunksUnsignedTrailer) {
    static constexpr std::string_view kName = ";chunk-signature=";
    std::string_view extension =
        semicolon == std::string::npos ? "" : std::string_view(*line).substr(semicolon);
    if (!extension.starts_with(kName)) {
      co_return Error{.kind = ErrorKind::kDenied,
                      .message = "a chunk without a signature",
                      .code = "SignatureDoesNotMatch"};
    }
    chunk_signature_ = extension.substr(kName.size());
    chunk_hash_ = NewHasher(HashKind::kSha256);
  }
  in_chunk_ = true;
  co_return Ok();
}

Result<void> GatewayBody::EndChunk() {
  in_chunk_ = false;
  if (chunk_hash_ == nullptr) return Ok();
  std::string expected =
      ChunkSignature(signature_, previous_signature_, HexEncode(chunk_hash_->Finish()));
  chunk_hash_.reset();
  if (!EqualInConstantTime(expected, chunk_signature_)) {
    return Error{.kind = ErrorKind::kDenied,
                 .message = "the signature of a chunk is wrong",
                 .code = "SignatureDoesNotMatch"};
  }
  previous_signature_ = expected;
  return Ok();
}

// After the last chunk: "name:value" lines, then an empty one.
Async<void> GatewayBody::ReadTrailer() {
  std::string canonical;
  std::string signature;
  for (int i = 0;; ++i) {
    Result<std::string> line = co_await ReadLine();
    if (!line) co_return line.error();
    if (line->empty()) break;
    if (i >= kTrailersMax) co_return BadBody("MalformedTrailerError", "too many trailers");
    size_t colon = line->find(':');
    if (colon == std::string::npos)
      co_return BadBody("MalformedTrailerError", "a trailer without ':'");
    std::string name = LowerAscii(std::string_view(*line).substr(0, colon));
    std::string value = line->substr(colon + 1);
    while (value.starts_with(' ')) value.erase(0, 1);
    while (value.ends_with(' ') || value.ends_with('\n')) value.pop_back();
    if (name == "x-amz-trailer-signature") {
      signature = value;
      continue;
    }
    canonical += name + ":" + value + "\n";
    if (checksum_in_trailer_ && name == ChecksumHeader(checksum_->algorithm)) {
      checksum_->value = value;
    }
  }
  if (signature_.payload == PayloadKind::kChunksSignedTrailer) {
    std::string expected =
        TrailerSignature(signature_, previous_signature_, HexEncode(Sha256(canonical)));
    if (!EqualInConstantTime(expected, signature)) {
      co_return Error{.kind = ErrorKind::kDenied,
                      .message = "the signature of the trailer is wrong",
                      .code = "SignatureDoesNotMatch"};
    }
  }
  co_return Ok();
}

Async<size_t> GatewayBody::ReadChunked(std::span<std::byte> out) {
  if (in_chunk_ && chunk_left_ == 0) {
    Result<void> ended = EndChunk();
    if (!ended) co_return ended.error();
    Result<std::string> line = co_await ReadLine();
    if (!line) co_return line.error();
    if (!line->empty())
      co_return BadBody("InvalidChunkSizeError", "a chunk is longer than it said");
  }
  if (!in_chunk_) {
    Result<void> begun = co_await BeginChunk();
    if (!begun) co_return begun.error();
    if (chunk_left_ == 0) {
      Result<void> ended = EndChunk();
      if (!ended) co_return ended.error();
      Result<void> trailer = co_await ReadTrailer();
      if (!trailer) co_return trailer.error();
      co_return 0;
    }
  }
  size_t wanted = static_cast<size_t>(std::min<uint64_t>(out.size(), chunk_left_));
  size_t count = std::min(wanted, buffer_.size() - used_);
  if (count > 0) {
    std::memcpy(out.data(), buffer_.data() + used_, count);
    used_ += count;
  } else {
    Result<size_t> read = co_await request_.ReadBody(out.first(wanted));
    if (!read) co_return read.error();
    if (*read == 0) co_return BadBody("IncompleteBody", "an aws-chunked body ends too early");
    count = *read;
  }
  chunk_left_ -= count;
  co_return count;
}

Async<size_t> GatewayBody::Finish() {
  finished_ = true;
  if (read_bytes_ != size_bytes_) {
    co_return BadBody("IncompleteBody", "The body is shorter than it was said to be");
  }
  if (checksum_in_trailer_ && checksum_->value.empty()) {
    co_return BadBody("MalformedTrailerError", "the announced trailer did not come");
  }
  if (!hashes_) co_return 0;
  for (const auto& [kind, digest] : hashes_->Finish()) {
    if (kind == HashKind::kMd5 && Base64Encode(digest) != content_md5_) {
      co_return BadBody("BadDigest",
                        "The Content-MD5 you specified did not match what we received.");
    }
    if (kind == HashKind::kSha256 && signature_.payload == PayloadKind::kSha256 &&
        HexEncode(digest) != signature_.payload_sha256) {
      co_return BadBody(
          "XAmzContentSHA256Mismatch",
          "The provided 'x-amz-content-sha256' header does not match what was computed.");
    }
    if (!checksum_) continue;
    HashKind wanted =
        std::ranges::find(kAlgorithms, checksum_->algorithm, &Algorithm::algorithm)->kind;
    if (kind == wanted && Base64Encode(digest) != checksum_->value) {
      co_return BadBody("BadDigest", "The " +
                                         std::string(ChecksumAlgorithmName(checksum_->algorithm)) +
                                         " you specified did not match the calculated checksum.");
    }
  }
  co_return 0;
}

}  // namespace longhaul
