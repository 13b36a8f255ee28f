// How the S3 client signs, and what it does when clock, credentials or keys are refused: also to a
// HEAD, whose answer does not say why.

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::S3StoreTest;

// A wrong clock is found out once; believing every Date would let a server shift our signatures.
TEST_F(S3StoreTest, CorrectsTheClockOnlyWhenTold) {
  Answer skewed = ErrorAnswer(403, "RequestTimeTooSkewed");
  skewed.headers = {{"Date", "Sun, 01 Mar 2026 15:00:00 GMT"}};
  http.answers = {skewed, {}};
  ASSERT_TRUE(world.Run(Open().HeadBucket("bucket")));
  ASSERT_EQ(http.seen.size(), 2u);
  EXPECT_EQ(http.seen[0].request.headers.Get("X-Amz-Date"), "20260301T090000Z");
  EXPECT_EQ(http.seen[1].request.headers.Get("X-Amz-Date"), "20260301T150000Z");
  http.answers = {skewed};
  Result<void> again = world.Run(store->HeadBucket("bucket"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kDenied);
  EXPECT_EQ(http.seen.size(), 4u);
}

// Five minutes off is no reason to fail, and one to be told; once, not with each request.
TEST_F(S3StoreTest, AClockThatIsOffWorksAndIsToldOnce) {
  std::vector<std::chrono::seconds> told;
  options.on_clock_off = [&told](std::chrono::seconds ahead) { told.push_back(ahead); };
  Answer almost;
  almost.headers = {{"Date", "Sun, 01 Mar 2026 09:00:50 GMT"}};
  Answer late;
  late.headers = {{"Date", "Sun, 01 Mar 2026 09:05:00 GMT"}};
  http.answers = {almost, late, late};
  Store& opened = Open();
  ASSERT_TRUE(world.Run(opened.HeadBucket("bucket")));
  EXPECT_TRUE(told.empty());
  ASSERT_TRUE(world.Run(opened.HeadBucket("bucket")));
  ASSERT_TRUE(world.Run(opened.HeadBucket("bucket")));
  EXPECT_EQ(told, std::vector{std::chrono::seconds(300)});
}

TEST_F(S3StoreTest, FetchesCredentialsAnewWhenTheyAreExpired) {
  auto provider = std::make_shared<testing::RenewedCredentials>();
  options.credentials = provider;
  http.answers = {ErrorAnswer(400, "ExpiredToken"), {}};
  ASSERT_TRUE(world.Run(Open().HeadBucket("bucket")));
  EXPECT_NE(http.seen[1].request.headers.Get("Authorization").find("Credential=K1/"),
            std::string_view::npos);
  http.answers = {ErrorAnswer(400, "ExpiredToken")};
  Result<void> still = world.Run(store->HeadBucket("bucket"));
  ASSERT_FALSE(still);
  EXPECT_EQ(still.error().kind, ErrorKind::kDenied);
  EXPECT_EQ(provider->renewals, 2);
}

// The answer to a HEAD has no body: of what is refused a GET is asked. A run that compares a
// million objects by HEADs alone would fail for each from the hour at which its token has expired.
TEST_F(S3StoreTest, ExpiredCredentialsAreFetchedAnewForAHead) {
  auto provider = std::make_shared<testing::RenewedCredentials>();
  options.credentials = provider;
  http.answers = {{.status = 400},
                  ErrorAnswer(400, "ExpiredToken"),
                  {.status = 206, .body = "x"},
                  {.headers = {{"ETag", "\"e\""}, {"Content-Length", "5"}}}};
  Result<ObjectInfo> info =
      world.Run(Open().Head({.bucket = "bucket", .key = "k", .part_number = 1}));
  ASSERT_TRUE(info) << info.error().Describe();
  EXPECT_EQ(info->etag, "e");
  EXPECT_EQ(provider->renewals, 1);
  ASSERT_EQ(http.seen.size(), 4U);
  EXPECT_EQ(http.seen[1].request.method, "GET");
  EXPECT_EQ(http.seen[1].request.headers.Get("Range"), "bytes=0-0");
  EXPECT_FALSE(http.seen[1].request.url.contains("partNumber")) << http.seen[1].request.url;
  EXPECT_EQ(http.seen[3].request.method, "HEAD");
  EXPECT_TRUE(http.seen[3].request.headers.Get("Authorization").contains("Credential=K1/"));
  // Where they cannot be had, it is said: runs end by it.
  http.answers = {{.status = 400}, ErrorAnswer(400, "ExpiredToken")};
  info = world.Run(store->Head({.bucket = "bucket", .key = "k"}));
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().kind, ErrorKind::kDenied);
  EXPECT_EQ(info.error().code, "ExpiredToken");
}

// Its bytes are gone by the time that it is refused.
class Streamed : public ByteSource {
 public:
  [[nodiscard]] uint64_t size_bytes() const override { return 4; }
  Async<size_t> Read(std::span<std::byte> out) override { return source_.Read(out); }

 private:
  MemorySource source_{std::string_view("text")};
};

// A run that streams what is large would end with the hour of its first token.
TEST_F(S3StoreTest, AStreamThatIsRefusedForOldCredentialsIsToBeSentAgain) {
  auto provider = std::make_shared<testing::RenewedCredentials>();
  options.credentials = provider;
  http.answers = {ErrorAnswer(400, "ExpiredToken"), {}};
  Open();
  Streamed first;
  Result<PutResult> put = world.Run(store->Put(At("k"), first));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kRetryable);
  EXPECT_FALSE(MayHaveHappened(put.error()));
  Streamed again;
  EXPECT_TRUE(world.Run(store->Put(At("k"), again)));
  ASSERT_EQ(http.seen.size(), 2u);
  EXPECT_TRUE(http.seen[1].request.headers.Get("Authorization").contains("Credential=K1/"));
}

// Where there are none that are newer it is said what is wrong: a run ends by it.
TEST_F(S3StoreTest, AStreamThatIsRefusedForGoodSaysWhy) {
  class SameAgain : public testing::RenewedCredentials {
   public:
    bool Invalidate() override { return true; }
  };
  http.answers = {ErrorAnswer(400, "ExpiredToken")};
  for (const bool fetched : {true, false}) {
    if (fetched) options.credentials = std::make_shared<SameAgain>();
    if (!fetched) options.credentials = MakeStaticCredentials({.access_key_id = "K"});
    Streamed body;
    Result<PutResult> put = world.Run(Open().Put(At("k"), body));
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().kind, ErrorKind::kDenied);
    EXPECT_EQ(put.error().code, "ExpiredToken");
  }
}

TEST_F(S3StoreTest, AStreamCorrectsTheClockForTheNextOne) {
  Answer skewed = ErrorAnswer(403, "RequestTimeTooSkewed");
  skewed.headers = {{"Date", "Sun, 01 Mar 2026 15:00:00 GMT"}};
  http.answers = {skewed};
  Open();
  Streamed first;
  Result<PutResult> put = world.Run(store->Put(At("k"), first));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kRetryable);
  EXPECT_FALSE(MayHaveHappened(put.error()));
  // A clock that is right by now is not what it was refused for.
  Streamed again;
  put = world.Run(store->Put(At("k"), again));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kDenied);
  ASSERT_EQ(http.seen.size(), 2u);
  EXPECT_EQ(http.seen[1].request.headers.Get("X-Amz-Date"), "20260301T150000Z");
}

// "HTTP status 400" tells nobody that it is a matter of keys, nor what to do. Of each of them: many
// such objects lie side by side.
TEST_F(S3StoreTest, AHeadOfWhatItsWriterHasTheKeyOfSaysSo) {
  const Answer refused{.status = 400,
                       .body =
                           "<Error><Code>InvalidRequest</Code><Message>The object was stored "
                           "using a form of Server Side Encryption.</Message></Error>"};
  http.answers = {{.status = 400}, refused, {.status = 400}, refused};
  Open();
  for (const char* key : {"k", "l"}) {
    Result<ObjectInfo> info = world.Run(store->Head({.bucket = "bucket", .key = key}));
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind, ErrorKind::kInvalidInput);
    EXPECT_TRUE(info.error().message.contains("SSE-C")) << info.error().Describe();
  }
  EXPECT_EQ(http.seen.size(), 4U);
}

TEST_F(S3StoreTest, AWrongClockIsCorrectedForAHead) {
  Answer skewed = ErrorAnswer(403, "RequestTimeTooSkewed");
  skewed.headers = {{"Date", "Sun, 01 Mar 2026 15:00:00 GMT"}};
  http.answers = {{.status = 403, .headers = skewed.headers}, skewed, {.status = 200}, {}};
  ASSERT_TRUE(world.Run(Open().HeadBucket("bucket")));
  ASSERT_EQ(http.seen.size(), 4U);
  EXPECT_TRUE(http.seen[1].request.url.contains("list-type=2")) << http.seen[1].request.url;
  EXPECT_EQ(http.seen[3].request.method, "HEAD");
  EXPECT_EQ(http.seen[3].request.headers.Get("X-Amz-Date"), "20260301T150000Z");
}

// A million objects that may not be read must not cost three million requests.
TEST_F(S3StoreTest, HeadsThatAreRefusedForGoodAreAskedAboutOnceInAWhile) {
  http.answers = {{.status = 403}, ErrorAnswer(403, "AccessDenied"), {.status = 403}};
  HeadRequest head{.bucket = "bucket", .key = "k"};
  Result<ObjectInfo> info = world.Run(Open().Head(head));
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().kind, ErrorKind::kDenied);
  EXPECT_EQ(info.error().code, "");
  EXPECT_EQ(http.seen.size(), 3U);
  EXPECT_FALSE(world.Run(store->Head(head)));
  EXPECT_EQ(http.seen.size(), 4U);
  world.clock.Advance(1s);
  EXPECT_FALSE(world.Run(store->Head(head)));
  EXPECT_EQ(http.seen.size(), 7U);
}

TEST_F(S3StoreTest, AnonymousRequestsAreNotSigned) {
  options.credentials = nullptr;
  http.answers = {{}};
  ASSERT_TRUE(world.Run(Open().HeadBucket("bucket")));
  EXPECT_EQ(http.seen[0].request.headers.Find("Authorization"), nullptr);
}

// Over plain HTTP anyone on the way could change the body; over TLS hashing it is money burnt.
TEST_F(S3StoreTest, SignsPayloadsWhereNobodyElseProtectsThem) {
  struct Case {
    const char* endpoint;
    S3PayloadSigning signing;
    bool is_signed;
  };
  for (const Case& one : {Case{"http://127.0.0.1:9", S3PayloadSigning::kAuto, false},
                          Case{"http://localhost:9", S3PayloadSigning::kAuto, false},
                          Case{"http://[::1]:9", S3PayloadSigning::kAuto, false},
                          Case{"http://10.0.0.1:9", S3PayloadSigning::kAuto, true},
                          Case{"http://127.example.com", S3PayloadSigning::kAuto, true},
                          Case{"http://10.0.0.1:9", S3PayloadSigning::kNever, false},
                          Case{"https://10.0.0.1:9", S3PayloadSigning::kAuto, false},
                          Case{"https://10.0.0.1:9", S3PayloadSigning::kAlways, true}}) {
    options.endpoint = one.endpoint;
    options.payload_signing = one.signing;
    http.answers = {{}};
    ASSERT_TRUE(world.Run(PutText(Open(), At("k"), "text")));
    EXPECT_EQ(http.seen.back().request.headers.Get("x-amz-content-sha256"),
              one.is_signed ? HexEncode(Sha256("text")) : "UNSIGNED-PAYLOAD")
        << one.endpoint;
  }
}

}  // namespace
}  // namespace longhaul
