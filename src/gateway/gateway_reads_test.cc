// What of a read the gateway asks its store for, and of whom it asks it.

#include <gtest/gtest.h>

#include "aws/signer.h"
#include "base/bytes.h"
#include "gateway/gateway.h"
#include "storage/origin.h"
#include "storage/s3_store.h"
#include "tests/support/any_world.h"
#include "tests/support/memory_store.h"

namespace longhaul::testing {
namespace {

// Of the object "any" it has an old state, and a new one for who names it: a cache before its
// source.
class TwoStates : public MemoryStore, public HasOrigin {
 public:
  using MemoryStore::MemoryStore;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) override {
    if (request.key == "any") request.key = request.if_match == new_etag ? "new" : "old";
    co_return co_await MemoryStore::Get(std::move(request), absent_at);
  }
  Async<ObjectInfo> Head(HeadRequest request) override {
    if (request.key == "any") request.key = "old";
    co_return co_await MemoryStore::Head(std::move(request));
  }
  Async<ObjectStream> GetOrigin(GetRequest request) override {
    if (request.key == "any") request.key = "new";
    co_return co_await MemoryStore::Get(std::move(request));
  }
  Async<ObjectInfo> HeadOrigin(HeadRequest request) override {
    if (request.key == "any") request.key = "new";
    co_return co_await MemoryStore::Head(std::move(request));
  }
  // Writes are its source's.
  Async<PutResult> Put(PutRequest request, ByteSource& body) override {
    if (request.key == "any") request.key = "new";
    co_return co_await MemoryStore::Put(std::move(request), body);
  }
  std::string new_etag;
};

class GatewayReadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_->buckets["bucket"];
    states_ = std::make_unique<TwoStates>(world_.runtime(), backend_);
    gateway_ = std::make_unique<Gateway>(
        world_.runtime(), *states_,
        GatewayOptions{.access_key_id = "key", .secret_access_key = Secret("secret")});
    ASSERT_TRUE(world_.Run(gateway_->Start("127.0.0.1:0")));
    S3StoreOptions options;
    options.endpoint = gateway_->endpoint();
    options.addressing = S3Addressing::kPath;
    options.credentials = MakeStaticCredentials(
        Credentials{.access_key_id = "key", .secret_access_key = Secret("secret")});
    client_ = std::move(*MakeS3Store(world_.runtime(), std::move(options)));
    Result<PutResult> old =
        world_.Run(PutText(*states_, {.bucket = "bucket", .key = "old"}, "an old state"));
    Result<PutResult> fresh =
        world_.Run(PutText(*states_, {.bucket = "bucket", .key = "new"}, "a new state"));
    ASSERT_TRUE(old && fresh);
    old_etag_ = old->etag;
    states_->new_etag = fresh->etag;
  }
  ~GatewayReadsTest() override {
    client_.reset();
    if (gateway_) (void)world_.Run(gateway_->Stop(std::chrono::milliseconds(1000)));
  }
  Result<std::string> Read(std::string if_match) {
    return world_.Run(GetAll(
        *client_, {.bucket = "bucket", .key = "any", .if_match = std::move(if_match)}, 1 << 20));
  }

  // The status of a request about the object, as clients send it.
  int Ask(const std::string& method, HttpHeaders headers, std::string_view body = "") {
    const std::string endpoint = gateway_->endpoint();
    const std::string host = endpoint.substr(endpoint.find("//") + 2);
    Signer signer("us-east-1", "s3");
    signer.Sign(method, {.host = host, .path = "/bucket/any", .query = ""}, headers,
                kUnsignedPayload, {.access_key_id = "key", .secret_access_key = Secret("secret")},
                world_.clock().Now());
    HttpRequest request;
    request.method = method;
    request.url = endpoint + "/bucket/any";
    request.headers = std::move(headers);
    if (!body.empty()) request.body = AsBytes(body);
    std::unique_ptr<HttpClient> http = MakeHttpClient(world_.runtime());
    Result<HttpResponse> answer = world_.Run(http->Send(std::move(request)));
    EXPECT_TRUE(answer) << answer.error().Describe();
    return answer ? answer->status : 0;
  }
  [[nodiscard]] std::string OldMatch() const { return '"' + old_etag_ + '"'; }
  [[nodiscard]] std::string NewMatch() const { return '"' + states_->new_etag + '"'; }

  AnyWorld world_ = AnyWorld::Real();
  std::shared_ptr<MemoryStoreBackend> backend_ = std::make_shared<MemoryStoreBackend>();
  std::unique_ptr<TwoStates> states_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<Store> client_;
  std::string old_etag_;
};

// Who has the ETag from a listing would be told that the object has changed, for as long as the
// cache has an older copy.
TEST_F(GatewayReadsTest, TheStoreLearnsWhichStateIsMeant) {
  EXPECT_EQ(*Read(""), "an old state");
  EXPECT_EQ(*Read(old_etag_), "an old state");
  Result<std::string> fresh = Read(states_->new_etag);
  ASSERT_TRUE(fresh) << fresh.error().Describe();
  EXPECT_EQ(*fresh, "a new state");
  Result<std::string> none = Read("0123456789abcdef0123456789abcdef");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().http_status, 412);
  EXPECT_EQ(none.error().code, "PreconditionFailed");
}

// A HEAD would say that the object has changed, and a GET beside it that it has not.
TEST_F(GatewayReadsTest, AHeadIsOfTheStateThatIsMeant) {
  EXPECT_EQ(Ask("HEAD", {}), 200);
  EXPECT_EQ(Ask("HEAD", {{"If-Match", OldMatch()}}), 200);
  EXPECT_EQ(Ask("HEAD", {{"If-Match", NewMatch()}}), 200);
  EXPECT_EQ(Ask("HEAD", {{"If-Match", "\"0123456789abcdef0123456789abcdef\""}}), 412);
}

// Who writes on the condition of what is there would be refused while a cache has an older state;
// or not, where that is the very state that is not to be replaced.
TEST_F(GatewayReadsTest, ConditionsOfWritesAreJudgedByTheObjectItself) {
  EXPECT_EQ(Ask("PUT", {{"If-None-Match", NewMatch()}}, "never"), 412);
  EXPECT_EQ(Ask("PUT", {{"If-Match", OldMatch()}}, "never"), 412);
  EXPECT_EQ(*backend_->Find("bucket", "new")->bytes, "a new state");
  EXPECT_EQ(Ask("PUT", {{"If-Match", "*"}}, "newer"), 200);
  EXPECT_EQ(*backend_->Find("bucket", "new")->bytes, "newer");
  EXPECT_EQ(Ask("PUT", {{"If-None-Match", OldMatch()}}, "the newest"), 200);
  EXPECT_EQ(*backend_->Find("bucket", "new")->bytes, "the newest");
  EXPECT_EQ(*backend_->Find("bucket", "old")->bytes, "an old state");
}

// What is copied part by part would be of an older state than what is copied in one step, and the
// parts of two: each of them is asked for by itself.
TEST_F(GatewayReadsTest, CopiedPartsAreOfTheObjectItself) {
  for (const std::string& etag : {std::string(), states_->new_etag}) {
    Result<MultipartUpload> upload = world_.Run(
        client_->CreateMultipart({.bucket = "bucket", .key = "joined", .parts_copied = true}));
    ASSERT_TRUE(upload);
    Result<UploadedPart> part =
        world_.Run(client_->CopyPart(*upload, 1,
                                     {.source_bucket = "bucket",
                                      .source_key = "any",
                                      .source_if_match = etag,
                                      .range = {.offset_bytes = 0, .size_bytes = 11}}));
    ASSERT_TRUE(part) << part.error().Describe();
    ASSERT_TRUE(world_.Run(client_->CompleteMultipart({.upload = *upload, .parts = {*part}})));
    EXPECT_EQ(*backend_->Find("bucket", "joined")->bytes, "a new state");
  }
}

}  // namespace
}  // namespace longhaul::testing
