#include "queue/sqs_body.h"

#include <zstd.h>

#include "aws/sqs_client.h"
#include "base/bytes.h"
#include "base/check.h"
#include "queue/queue.h"

namespace longhaul {

namespace {

constexpr std::string_view kBase64 = "b64:";
constexpr std::string_view kZstd = "zst:";
// A quarter of what is paid for as one request: shorter ones stay legible.
constexpr size_t kCompressedBytesMin = 16 << 10;
constexpr int kLevel = 3;

}  // namespace

std::string EncodeSqsBody(std::string_view body) {
  // SQS may end a line as XML does: a carriage return would not come back.
  const bool plain = !body.empty() && IsSqsText(body) && body.find('\r') == body.npos &&
                     !body.starts_with(kBase64) && !body.starts_with(kZstd);
  if (plain && body.size() < kCompressedBytesMin) return std::string(body);
  if (body.size() >= kCompressedBytesMin) {
    std::string packed(ZSTD_compressBound(body.size()), '\0');
    const size_t size =
        ZSTD_compress(packed.data(), packed.size(), body.data(), body.size(), kLevel);
    LH_CHECK(!ZSTD_isError(size));
    packed.resize(size);
    if (size < body.size() / 4 * 3 || !plain) return std::string(kZstd) + Base64Encode(packed);
  }
  if (plain) return std::string(body);
  return std::string(kBase64) + Base64Encode(body);
}

Result<std::string> DecodeSqsBody(std::string_view text) {
  const bool packed = text.starts_with(kZstd);
  if (!packed && !text.starts_with(kBase64)) {
    if (text.size() > kMessageSizeMaxBytes) return InvalidInput("a message that is too long");
    return std::string(text);
  }
  Result<std::string> bytes = Base64Decode(text.substr(kBase64.size()));
  if (!bytes) return InvalidInput("a message that is not Base64");
  if (packed) {
    const unsigned long long size = ZSTD_getFrameContentSize(bytes->data(), bytes->size());
    if (size == ZSTD_CONTENTSIZE_ERROR || size > kMessageSizeMaxBytes) {
      return InvalidInput("a message that is not compressed by zstd, or too long");
    }
    std::string body(size, '\0');
    const size_t done = ZSTD_decompress(body.data(), body.size(), bytes->data(), bytes->size());
    if (ZSTD_isError(done) || done != size) {
      return InvalidInput("a message whose compressed body is damaged");
    }
    return body;
  }
  if (bytes->size() > kMessageSizeMaxBytes) return InvalidInput("a message that is too long");
  return bytes;
}

}  // namespace longhaul
