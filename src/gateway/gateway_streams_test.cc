// Bodies that pass through a gateway to an S3 store behind it: what the client said of them holds
// before the store behind has all of them.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>

#include "base/bytes.h"
#include "gateway/gateway.h"
#include "net/http_client.h"
#include "storage/file_store.h"
#include "storage/s3_store.h"
#include "tests/support/any_world.h"

namespace longhaul::testing {
namespace {

constexpr size_t kFlippedByte = 1000;  // Far behind the frame of an aws-chunked chunk.

class FlippedSource : public HttpBodySource {
 public:
  explicit FlippedSource(HttpBodySource& source) : source_(source) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    Result<size_t> count = co_await source_.Read(out);
    if (count && *count > kFlippedByte && !flipped_) {
      out[kFlippedByte] ^= std::byte{1};
      flipped_ = true;
    }
    co_return count;
  }

 private:
  HttpBodySource& source_;
  bool flipped_ = false;
};

// A way on which a bit of each large body is lost.
class FlippingHttp : public HttpClient {
 public:
  explicit FlippingHttp(Runtime runtime) : http_(MakeHttpClient(runtime)) {}
  Async<HttpResponse> Send(HttpRequest request) override {
    std::string flipped;
    std::unique_ptr<FlippedSource> source;
    if (flips && request.body && request.body->size() > kFlippedByte) {
      flipped = AsText(*request.body);
      flipped[kFlippedByte] ^= 1;
      request.body = AsBytes(flipped);
    }
    if (flips && request.source != nullptr) {
      source = std::make_unique<FlippedSource>(*request.source);
      request.source = source.get();
    }
    co_return co_await http_->Send(std::move(request));
  }
  bool flips = false;

 private:
  std::unique_ptr<HttpClient> http_;
};

// Not at hand as a whole.
class Streamed : public ByteSource {
 public:
  explicit Streamed(std::string_view text) : memory_(text), text_(text) {}
  [[nodiscard]] uint64_t size_bytes() const override { return text_.size(); }
  Async<size_t> Read(std::span<std::byte> out) override { return memory_.Read(out); }

 private:
  MemorySource memory_;
  std::string_view text_;
};

class GatewayStreamsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/longhaul-streams-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directory(root_ + "/bucket");
    files_ = std::move(*MakeFileStore(world_.runtime(), {.root = root_, .durable = false}));
    source_ = std::make_unique<Gateway>(world_.runtime(), *files_, Keys());
    ASSERT_TRUE(world_.Run(source_->Start("127.0.0.1:0")));
  }
  ~GatewayStreamsTest() override {
    client_.reset();
    if (front_) (void)world_.Run(front_->Stop(std::chrono::milliseconds(1000)));
    front_.reset();
    behind_.reset();
    if (source_) (void)world_.Run(source_->Stop(std::chrono::milliseconds(1000)));
    source_.reset();
    files_.reset();
    std::filesystem::remove_all(root_);
  }

  static GatewayOptions Keys() {
    return {.access_key_id = "key", .secret_access_key = Secret("secret")};
  }
  static S3StoreOptions To(const Gateway& gateway, S3PayloadSigning signing) {
    S3StoreOptions options;
    options.endpoint = gateway.endpoint();
    options.addressing = S3Addressing::kPath;
    options.payload_signing = signing;
    options.attempts_max = 1;
    options.credentials = MakeStaticCredentials(
        Credentials{.access_key_id = "key", .secret_access_key = Secret("secret")});
    return options;
  }
  // The gateway in front, whose store signs what it sends or streams it, and a client of it.
  void Open(S3PayloadSigning behind, S3PayloadSigning client, bool checksums) {
    client_.reset();
    if (front_) (void)world_.Run(front_->Stop(std::chrono::milliseconds(1000)));
    front_.reset();
    behind_ = std::move(*MakeS3Store(world_.runtime(), To(*source_, behind)));
    front_ = std::make_unique<Gateway>(world_.runtime(), *behind_, Keys());
    ASSERT_TRUE(world_.Run(front_->Start("127.0.0.1:0")));
    S3StoreOptions options = To(*front_, client);
    options.checksums = checksums;
    client_ = std::move(*MakeS3Store(world_.runtime(), std::move(options), &http_));
    // Learns whether there are checksums.
    http_.flips = false;
    ASSERT_TRUE(world_.Run(PutText(*client_, At("first"), "text")));
  }

  static PutRequest At(std::string key) { return {.bucket = "bucket", .key = std::move(key)}; }
  Result<PutResult> Put(const std::string& key, const std::string& text, bool streamed) {
    Streamed stream(text);
    MemorySource whole{std::string_view(text)};
    ByteSource& body = streamed ? static_cast<ByteSource&>(stream) : whole;
    return world_.Run(client_->Put(At(key), body));
  }
  Result<UploadedPart> PutPart(const MultipartUpload& upload, const std::string& text,
                               bool streamed) {
    Streamed stream(text);
    MemorySource whole{std::string_view(text)};
    ByteSource& body = streamed ? static_cast<ByteSource&>(stream) : whole;
    return world_.Run(client_->UploadPart(upload, 1, body));
  }
  Result<std::string> Stored(const std::string& key) {
    return world_.Run(GetAll(*files_, {.bucket = "bucket", .key = key}, 64 << 20));
  }

  AnyWorld world_ = AnyWorld::Real();
  FlippingHttp http_{world_.runtime()};
  std::string root_;
  std::unique_ptr<Store> files_;
  std::unique_ptr<Gateway> source_;  // Over files.
  std::unique_ptr<Store> behind_;    // At the source.
  std::unique_ptr<Gateway> front_;   // Over that.
  std::unique_ptr<Store> client_;    // Of that.
};

// A client that asked for every check there is would have a corrupt object, and each check would
// have said that it is right: the sum in the trailer, the SHA-256 that is signed, Content-MD5.
TEST_F(GatewayStreamsTest, WhatIsNotAsTheClientSaysIsNeverStored) {
  const std::string object(2 << 20, 'o');  // More than a gateway holds of an object, and of a part.
  const std::string part(17 << 20, 'p');
  struct Case {
    const char* name;
    S3PayloadSigning behind;
    S3PayloadSigning client;
    bool checksums;
    bool streamed;
  };
  using enum S3PayloadSigning;
  for (const Case& one :
       {Case{"trailer", kNever, kNever, true, true},
        Case{"trailer-held", kAlways, kNever, true, true},
        Case{"sha256", kNever, kAlways, true, false}, Case{"md5", kNever, kNever, false, false},
        Case{"md5-held", kAlways, kNever, false, false}}) {
    SCOPED_TRACE(one.name);
    Open(one.behind, one.client, one.checksums);
    Result<MultipartUpload> upload = world_.Run(client_->CreateMultipart(At("parts")));
    ASSERT_TRUE(upload) << upload.error().Describe();
    http_.flips = true;
    Result<PutResult> put = Put(one.name, object, one.streamed);
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().http_status, 400) << put.error().Describe();
    EXPECT_FALSE(Stored(one.name));
    Result<UploadedPart> sent = PutPart(*upload, part, one.streamed);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().http_status, 400) << sent.error().Describe();
    Result<std::vector<UploadedPart>> parts = world_.Run(files_->ListParts(*upload));
    ASSERT_TRUE(parts) << parts.error().Describe();
    EXPECT_TRUE(parts->empty());
    http_.flips = false;
    ASSERT_TRUE(Put(one.name, object, one.streamed));
    EXPECT_TRUE(*Stored(one.name) == object);
    sent = PutPart(*upload, part, one.streamed);
    ASSERT_TRUE(sent) << sent.error().Describe();
    Result<PutResult> done =
        world_.Run(client_->CompleteMultipart({.upload = *upload, .parts = {*sent}}));
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_TRUE(*Stored("parts") == part);
  }
}

}  // namespace
}  // namespace longhaul::testing
