// Bodies and their checksums on the way to and from a server that may be wrong about either.

#include <gtest/gtest.h>

#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/s3_body.h"
#include "storage/s3_store.h"
#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::S3StoreTest;
using testing::Seen;

// Bytes that changed on their way must never be taken for the object.
TEST_F(S3StoreTest, VerifiesWholeObjects) {
  std::string text = "the text";
  auto answer = [&](HttpHeaders headers) {
    headers.Add("Content-Length", std::to_string(text.size()));
    return Answer{.status = 200, .headers = headers, .body = text, .cut_body = false, .error = {}};
  };
  std::string crc = Base64Encode(Digest(HashKind::kCrc64Nvme, text));
  std::string wrong_crc = Base64Encode(Digest(HashKind::kCrc64Nvme, "other"));
  std::string md5 = HexEncode(Md5(text));
  std::string wrong_md5 = HexEncode(Md5("other"));
  struct Case {
    HttpHeaders headers;
    bool right;
  };
  for (const Case& one : {
           Case{{{"x-amz-checksum-crc64nvme", crc}}, true},
           Case{{{"x-amz-checksum-crc64nvme", wrong_crc}}, false},
           Case{{{"ETag", "\"" + md5 + "\""}}, true},
           Case{{{"ETag", "\"" + wrong_md5 + "\""}}, false},
           // A checksum goes before the ETag.
           Case{{{"ETag", "\"" + wrong_md5 + "\""}, {"x-amz-checksum-crc64nvme", crc}}, true},
           // What says nothing about the whole: parts' checksums, multipart and KMS ETags.
           Case{{{"x-amz-checksum-crc32c", "AAAAAA==-3"}}, true},
           Case{{{"x-amz-checksum-crc32c", "AAAAAA=="}, {"x-amz-checksum-type", "COMPOSITE"}},
                true},
           Case{{{"ETag", "\"" + wrong_md5 + "-2\""}}, true},
           Case{{{"ETag", "\"" + wrong_md5 + "\""}, {"x-amz-server-side-encryption", "aws:kms"}},
                true},
       }) {
    http.answers = {answer(one.headers)};
    Result<std::string> read = world.Run(GetAll(Open(), From("k"), 1000));
    EXPECT_EQ(read.has_value(), one.right);
    if (!read) EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
  }
}

// An object that came short must not be stored as such.
TEST_F(S3StoreTest, ShortBodiesAreErrors) {
  for (bool cut : {false, true}) {
    http.answers = {{.status = 200,
                     .headers = {{"Content-Length", "10"}},
                     .body = "12345",
                     .cut_body = cut,
                     .error = {}}};
    Result<std::string> read = world.Run(GetAll(Open(), From("k"), 1000));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::kRetryable);
  }
}

// A gateway that answers a range with the whole would make a wrong archive of it.
TEST_F(S3StoreTest, WrongRangesAreErrors) {
  GetRequest request = From("k");
  request.range = ByteRange{.offset_bytes = 5, .size_bytes = 5};
  http.answers = {{.headers = {{"Content-Length", "20"}}, .body = std::string(20, 'x')}};
  EXPECT_EQ(world.Run(GetAll(Open(), request, 1000)).error().kind, ErrorKind::kInvalidInput);
  for (const char* range : {"bytes 5-9", "bytes 9-5/20", "5-9/20", "bytes 5-8/20", "bytes 5-9/7",
                            "bytes 5-99999999999999999999/20", "bytes -5/20", ""}) {
    http.answers = {{.status = 206,
                     .headers = {{"Content-Length", "5"}, {"Content-Range", range}},
                     .body = "12345"}};
    Result<std::string> read = world.Run(GetAll(*store, request, 1000));
    ASSERT_FALSE(read) << range;
    EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
  }
}

// A part that a server or a proxy had kept would be taken for the whole, or for another part.
TEST_F(S3StoreTest, PartsThatNobodyAskedForAreErrors) {
  http.answers = {{.status = 206,
                   .headers = {{"Content-Length", "5"}, {"Content-Range", "bytes 5-9/20"}},
                   .body = "12345"}};
  GetRequest request = From("k");
  Store& store = Open();
  const auto kind = [&] {
    Result<std::string> read = world.Run(GetAll(store, request, 1000));
    return read ? std::optional<ErrorKind>() : read.error().kind;
  };
  EXPECT_EQ(kind(), ErrorKind::kCorrupt);
  for (const auto& [offset, size] : {std::pair(4, 5), {6, 5}, {5, 4}, {5, 6}}) {
    request.range = ByteRange{static_cast<uint64_t>(offset), static_cast<uint64_t>(size)};
    EXPECT_EQ(kind(), ErrorKind::kCorrupt) << offset << "+" << size;
  }
  request.range = ByteRange{5, 5};
  EXPECT_EQ(kind(), std::nullopt);
  request.range.reset();
  request.suffix_bytes = 5;
  EXPECT_EQ(kind(), ErrorKind::kCorrupt);
  http.answers[0].headers = {{"Content-Length", "5"}, {"Content-Range", "bytes 15-19/20"}};
  EXPECT_EQ(kind(), std::nullopt);
  request.suffix_bytes.reset();
  request.range = ByteRange{15, 50};  // To the end.
  EXPECT_EQ(kind(), std::nullopt);
}

// Which checks go with a body, by what is known of the server.
TEST_F(S3StoreTest, LearnsWhetherTheServerKnowsChecksums) {
  std::string crc = Base64Encode(Digest(HashKind::kCrc64Nvme, "text"));
  http.answers = {{.headers = {{"x-amz-checksum-crc64nvme", crc}}}};
  Store& knows = Open();
  ASSERT_TRUE(world.Run(PutText(knows, At("k"), "text")));
  ASSERT_TRUE(world.Run(PutText(knows, At("k"), "text")));
  EXPECT_EQ(http.seen[0].request.headers.Get("x-amz-checksum-crc64nvme"), crc);
  EXPECT_NE(http.seen[0].request.headers.Find("Content-MD5"), nullptr);
  EXPECT_EQ(http.seen[1].request.headers.Find("Content-MD5"), nullptr);
  EXPECT_TRUE(knows.capabilities().checksums);

  http.answers = {{}};
  Store& does_not = Open();
  ASSERT_TRUE(world.Run(PutText(does_not, At("k"), "text")));
  ASSERT_TRUE(world.Run(PutText(does_not, At("k"), "text")));
  EXPECT_EQ(http.seen[3].request.headers.Find("x-amz-checksum-crc64nvme"), nullptr);
  EXPECT_EQ(http.seen[3].request.headers.Get("Content-MD5"), Base64Encode(Md5("text")));
  EXPECT_FALSE(does_not.capabilities().checksums);
  // Such a server takes a wrong checksum; we do not.
  PutRequest wrong = At("k");
  wrong.checksum = Checksum{ChecksumAlgorithm::kCrc32c, "AAAAAA==", false};
  EXPECT_EQ(world.Run(PutText(does_not, wrong, "text")).error().code, "BadDigest");
}

// Not in memory as a whole.
class Pieces : public ByteSource {
 public:
  explicit Pieces(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] uint64_t size_bytes() const override { return text_.size(); }
  Async<size_t> Read(std::span<std::byte> out) override {
    size_t count = std::min({out.size(), text_.size() - at_, size_t{70'000}});
    std::memcpy(out.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  size_t at_ = 0;
};

Async<PutResult> PutPieces(Store& store, PutRequest request, std::string text) {
  Pieces pieces(std::move(text));
  co_return co_await store.Put(std::move(request), pieces);
}

// The framing is counted before the first byte is sent: one byte off and the server waits for ever.
TEST_F(S3StoreTest, StreamedBodiesCarryATrailer) {
  options.endpoint = "https://s3.eu-west-1.amazonaws.com";
  options.region = "eu-west-1";
  http.answers = {{}};
  Store& store = Open();
  for (size_t size :
       {size_t{1}, size_t{262'079}, size_t{262'080}, size_t{262'081}, size_t{1'000'000}}) {
    std::string text(size, 't');
    PutRequest request = At("k");
    request.headers.content_encoding = "gzip";
    ASSERT_TRUE(world.Run(PutPieces(store, request, text)));
    const Seen& seen = http.seen.back();
    EXPECT_EQ(seen.request.url, "https://bucket.s3.eu-west-1.amazonaws.com/k");
    EXPECT_EQ(seen.request.source_size_bytes, seen.body.size());
    EXPECT_EQ(seen.request.headers.Get("Content-Encoding"), "aws-chunked,gzip");
    EXPECT_EQ(seen.request.headers.Get("x-amz-decoded-content-length"), std::to_string(size));
    EXPECT_EQ(seen.request.headers.Get("x-amz-content-sha256"),
              "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    std::string decoded;
    std::string_view rest = seen.body;
    while (true) {
      size_t end = rest.find("\r\n");
      size_t chunk = std::stoul(std::string(rest.substr(0, end)), nullptr, 16);
      rest.remove_prefix(end + 2);
      if (chunk == 0) break;
      decoded += rest.substr(0, chunk);
      rest.remove_prefix(chunk + 2);
    }
    EXPECT_TRUE(decoded == text);
    EXPECT_EQ(rest, "x-amz-checksum-crc64nvme:" + Base64Encode(Digest(HashKind::kCrc64Nvme, text)) +
                        "\r\n\r\n");
  }
}

// Where no server checks a streamed body, its ETag does.
TEST_F(S3StoreTest, StreamedBodiesAreComparedWithTheEtag) {
  options.checksums = false;
  Store& store = Open();
  http.answers = {{.headers = {{"ETag", HexEncode(Md5("text"))}}}};
  EXPECT_TRUE(world.Run(PutPieces(store, At("k"), "text")));
  http.answers = {{.headers = {{"ETag", HexEncode(Md5("other"))}}}};
  EXPECT_EQ(world.Run(PutPieces(store, At("k"), "text")).error().kind, ErrorKind::kCorrupt);
  // A stream cannot be sent twice.
  http.answers = {ErrorAnswer(503, "SlowDown")};
  size_t before = http.seen.size();
  EXPECT_EQ(world.Run(PutPieces(store, At("k"), "text")).error().kind, ErrorKind::kThrottled);
  EXPECT_EQ(http.seen.size(), before + 1);
}

// An MD5 of what was streamed costs more than all else; a server that keeps checksums needs none.
TEST_F(S3StoreTest, StreamedChecksumsAreConfirmedByTheAnswer) {
  Checksum crc{ChecksumAlgorithm::kCrc64Nvme, Base64Encode(Digest(HashKind::kCrc64Nvme, "text")),
               false};
  PutRequest request = At("k");
  request.checksum = crc;
  // The ETag is not looked at: it could be anything under KMS.
  http.answers = {
      {.headers = {{"ETag", HexEncode(Md5("?"))}, {"x-amz-checksum-crc64nvme", crc.value}}}};
  Store& store = Open();
  ASSERT_TRUE(world.Run(PutPieces(store, request, "text")));
  ASSERT_EQ(http.seen.size(), 1u);
  EXPECT_EQ(http.seen[0].request.headers.Get("x-amz-checksum-crc64nvme"), crc.value);
  EXPECT_EQ(http.seen[0].request.headers.Find("Content-MD5"), nullptr);
  // Told only when asked, and wrong in the answer of a server that stored something else.
  Store& silent = Open();
  http.answers = {{.headers = {{"ETag", "e"}}},
                  {.headers = {{"ETag", "e"}, {"x-amz-checksum-crc64nvme", crc.value}}}};
  ASSERT_TRUE(world.Run(PutPieces(silent, request, "text")));
  EXPECT_EQ(http.seen.back().request.method, "HEAD");
  EXPECT_TRUE(silent.capabilities().checksums);
  http.answers = {{.headers = {{"x-amz-checksum-crc64nvme", "AAAAAAAAAAA="}}}};
  EXPECT_EQ(world.Run(PutPieces(Open(), request, "text")).error().kind, ErrorKind::kCorrupt);
}

// A server that keeps one kind of checksum need not know a newer one.
TEST_F(S3StoreTest, WhatAServerKeepsIsLearntForEachAlgorithm) {
  auto request = [](ChecksumAlgorithm algorithm, HashKind kind) {
    PutRequest put = At("k");
    put.checksum = {algorithm, Base64Encode(Digest(kind, "text")), false};
    return put;
  };
  const PutRequest crc32c = request(ChecksumAlgorithm::kCrc32c, HashKind::kCrc32c);
  const PutRequest newer = request(ChecksumAlgorithm::kCrc64Nvme, HashKind::kCrc64Nvme);
  Store& store = Open();
  http.answers = {{.headers = {{"ETag", "e"}, {"x-amz-checksum-crc32c", crc32c.checksum->value}}}};
  ASSERT_TRUE(world.Run(PutPieces(store, crc32c, "text")));
  // Not told, neither at once nor when asked: it is read back, and wrong.
  Answer plain{.headers = {{"ETag", "e"}, {"Content-Length", "4"}}};
  Answer wrong = plain;
  wrong.body = "tEXt";
  http.answers = {plain, plain, wrong};
  EXPECT_EQ(world.Run(PutPieces(store, newer, "text")).error().kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(store.capabilities().checksums);
  // Who may not look has the next one compared by its ETag.
  Store& blind = Open();
  http.answers = {plain, ErrorAnswer(403, "AccessDenied")};
  EXPECT_EQ(world.Run(PutPieces(blind, newer, "text")).error().kind, ErrorKind::kRetryable);
  http.answers = {{.headers = {{"ETag", HexEncode(Md5("text"))}}}};
  EXPECT_TRUE(world.Run(PutPieces(blind, newer, "text")));
}

// Nothing vouches for the bytes at a server that ignores the checksum: they are read back, once.
TEST_F(S3StoreTest, StreamedBodiesAreReadBackWhereTheServerKeepsNoChecksum) {
  PutRequest request = At("k");
  request.checksum = {ChecksumAlgorithm::kCrc32c, Base64Encode(Digest(HashKind::kCrc32c, "text")),
                      false};
  Answer plain{.headers = {{"ETag", "e"}, {"Content-Length", "4"}}};
  Answer right = plain;
  right.body = "text";
  Store& store = Open();
  http.answers = {plain, plain, right};
  ASSERT_TRUE(world.Run(PutPieces(store, request, "text")));
  ASSERT_EQ(http.seen.size(), 3u);
  EXPECT_EQ(http.seen[1].request.method, "HEAD");
  EXPECT_EQ(http.seen[2].request.method, "GET");
  EXPECT_EQ(http.seen[2].request.headers.Get("If-Match"), "\"e\"");
  EXPECT_FALSE(store.capabilities().checksums);
  // From now on the ETag is compared.
  http.answers = {{.headers = {{"ETag", HexEncode(Md5("other"))}}}};
  EXPECT_EQ(world.Run(PutPieces(store, request, "text")).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(http.seen.size(), 4u);

  // What is read back breaks off: the object is there, so a caller's next try would prove nothing.
  Answer broken = plain;
  broken.body = "te";
  http.answers = {plain, plain, broken, right};
  EXPECT_TRUE(world.Run(PutPieces(Open(), request, "text")));

  right.body = "tEXt";
  http.answers = {plain, plain, right};
  EXPECT_EQ(world.Run(PutPieces(Open(), request, "text")).error().kind, ErrorKind::kCorrupt);
  // Overwritten by someone else in between: what became of ours is not known.
  http.answers = {plain, plain, ErrorAnswer(412, "PreconditionFailed")};
  EXPECT_EQ(world.Run(PutPieces(Open(), request, "text")).error().kind, ErrorKind::kRetryable);
}

// A server that ignores the checksum would store what is not the object.
TEST_F(S3StoreTest, WrongStreamedBodiesNeverEnd) {
  PutRequest request = At("k");
  request.checksum = {ChecksumAlgorithm::kCrc32c, Base64Encode(Digest(HashKind::kCrc32c, "right")),
                      false};
  http.answers = {{}};
  EXPECT_EQ(world.Run(PutPieces(Open(), request, "wrong")).error().code, "BadDigest");
  options.checksums = false;
  EXPECT_EQ(world.Run(PutPieces(Open(), request, "wrong")).error().code, "BadDigest");
  EXPECT_TRUE(http.seen.empty());  // Not one of them was sent to its end.
}

// By plain HTTP bodies are signed, and so held: many writers at once must not take all memory.
TEST_F(S3StoreTest, HeldBodiesTakeTurns) {
  options.payload_signing = S3PayloadSigning::kAlways;
  http.answers = {{}};
  Store& store = Open();
  int done = 0;
  std::vector<ErrorKind> failed;
  auto put = [](Store& at, int& ended, std::vector<ErrorKind>& errors) -> asio::awaitable<void> {
    Result<PutResult> result = co_await PutPieces(at, At("k"), std::string(30 << 20, 'x'));
    if (!result) errors.push_back(result.error().kind);
    ++ended;
  };
  auto run = [&](std::chrono::milliseconds takes) {
    done = 0;
    http.takes = takes;
    for (int i = 0; i < 3; ++i) world.Start(put(store, done, failed));
    world.Drive([&] { return done == 3; });
    http.seen.clear();
  };
  run(1s);
  EXPECT_TRUE(failed.empty());
  EXPECT_EQ(http.under_way_most, 2);  // Two of them fit into 64 MiB.
  // Nobody waits for ever: what he holds himself may be what the others need.
  run(1000s);
  EXPECT_EQ(failed, std::vector{ErrorKind::kThrottled});
  run(1s);
  EXPECT_EQ(failed.size(), 1u);
}

// A source says at its very end what was wrong with it: the server must not have all of it by then.
TEST_F(S3StoreTest, BodiesThatAreWrongAtTheirEndNeverEnd) {
  class WrongAtItsEnd : public ByteSource {
   public:
    [[nodiscard]] uint64_t size_bytes() const override { return 4; }
    Async<size_t> Read(std::span<std::byte> out) override {
      if (std::exchange(read_, true)) co_return Retryable("it was cut");
      std::memcpy(out.data(), "text", 4);
      co_return size_t{4};
    }

   private:
    bool read_ = false;
  };
  class Longer : public ByteSource {
   public:
    [[nodiscard]] uint64_t size_bytes() const override { return 4; }
    Async<size_t> Read(std::span<std::byte> out) override {
      out[0] = std::byte{'x'};
      co_return size_t{1};
    }
  };
  http.answers = {{}};
  for (S3PayloadSigning signing : {S3PayloadSigning::kNever, S3PayloadSigning::kAlways}) {
    options.payload_signing = signing;
    WrongAtItsEnd wrong;
    EXPECT_EQ(world.Run(Open().Put(At("k"), wrong)).error().kind, ErrorKind::kRetryable);
    Longer longer;
    EXPECT_EQ(world.Run(Open().Put(At("k"), longer)).error().kind, ErrorKind::kInvalidInput);
  }
  EXPECT_TRUE(http.seen.empty());
}

// A larger body would be refused once it is on its way: whoever sends it goes by parts.
TEST_F(S3StoreTest, WhatMustBeSignedIsPutUpToWhatIsHeld) {
  options.payload_signing = S3PayloadSigning::kAlways;
  EXPECT_EQ(Open().capabilities().put_size_bytes_max, 64ULL << 20);
  options.payload_signing = S3PayloadSigning::kNever;
  EXPECT_EQ(Open().capabilities().put_size_bytes_max, 5ULL << 30);
}

}  // namespace
}  // namespace longhaul
