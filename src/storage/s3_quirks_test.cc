// Each quirk against a server that has it: without the preset something goes wrong, with it nothing
// does. The server is our own gateway behind tests/support/quirky_http.h.

#include "storage/s3_quirks.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "gateway/gateway.h"
#include "storage/file_store.h"
#include "storage/s3_bucket_name.h"
#include "storage/s3_provider.h"
#include "storage/s3_store.h"
#include "tests/support/any_world.h"
#include "tests/support/quirky_http.h"
#include "transfer/limits/limited_store.h"
#include "transfer/object/copy_object.h"

namespace longhaul::testing {
namespace {

class S3QuirksTest : public ::testing::Test {
 protected:
  ~S3QuirksTest() override {
    stores_.clear();
    https_.clear();
    if (gateway_) (void)world_.Run(gateway_->Stop(std::chrono::milliseconds(1000)));
    gateway_.reset();
    files_.reset();
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }

  void SetUp() override {
    std::string pattern = "/tmp/longhaul-quirks-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directory(root_ + "/bucket");
    files_ = std::move(*MakeFileStore(world_.runtime(), {.root = root_, .durable = false}));
    gateway_ = std::make_unique<Gateway>(
        world_.runtime(), *files_,
        GatewayOptions{.access_key_id = "key", .secret_access_key = Secret("secret")});
    ASSERT_TRUE(world_.Run(gateway_->Start("127.0.0.1:0")));
  }

  // A store at a server that is so, with what is known of it.
  Store& At(Quirkiness quirkiness, S3Quirks quirks, S3Addressing addressing = S3Addressing::kPath) {
    Credentials credentials{.access_key_id = "key", .secret_access_key = Secret("secret")};
    https_.push_back(std::make_unique<QuirkyHttp>(world_.runtime(), quirkiness, credentials));
    https_.back()->Serve(gateway_->endpoint());
    S3StoreOptions options;
    options.endpoint = QuirkyHttp::kEndpoint;
    options.addressing = addressing;
    options.payload_signing = S3PayloadSigning::kNever;
    options.credentials = MakeStaticCredentials(credentials);
    options.attempts_max = 1;
    options.quirks = std::move(quirks);
    stores_.push_back(
        std::move(*MakeS3Store(world_.runtime(), std::move(options), https_.back().get())));
    return *stores_.back();
  }

  static S3Quirks Known(const char* provider) { return FindS3Provider(provider)->quirks(); }

  Result<void> Put(Store& store, const std::string& key, const std::string& text, Tags tags = {},
                   WriteCondition condition = {}) {
    Result<PutResult> put = world_.Run(PutText(
        store, {.bucket = "bucket", .key = key, .tags = tags, .condition = condition}, text));
    if (!put) return put.error();
    return Ok();
  }
  std::string Get(Store& store, const std::string& key) {
    Result<std::string> text =
        world_.Run(GetAll(store, {.bucket = "bucket", .key = key}, 64 << 20));
    return text ? *text : "failed: " + text.error().Describe();
  }
  // All keys by pages of two.
  Result<std::vector<std::string>> Keys(Store& store, std::string delimiter = "") {
    std::vector<std::string> keys;
    ListRequest request{.bucket = "bucket", .delimiter = std::move(delimiter), .count_max = 2};
    for (int pages = 0; pages < 20; ++pages) {
      Result<ListPage> page = world_.Run(store.List(request));
      if (!page) return page.error();
      for (const ListedObject& object : page->objects) keys.push_back(object.key);
      for (const std::string& prefix : page->common_prefixes) keys.push_back(prefix);
      if (page->next_token.empty()) return keys;
      request.token = page->next_token;
    }
    return InvalidInput("it does not end");
  }
  // A multipart object in parts of these sizes.
  Result<void> Multipart(Store& store, const std::string& key, std::vector<size_t> sizes) {
    Result<MultipartUpload> upload =
        world_.Run(store.CreateMultipart({.bucket = "bucket", .key = key}));
    if (!upload) return upload.error();
    CompleteRequest complete{.upload = *upload};
    for (size_t size : sizes) {
      std::string text(size, static_cast<char>('a' + complete.parts.size()));
      Streamed body(text);
      Result<UploadedPart> part =
          world_.Run(store.UploadPart(*upload, static_cast<int>(complete.parts.size()) + 1, body));
      if (!part) return part.error();
      complete.parts.push_back(*part);
    }
    Result<PutResult> done = world_.Run(store.CompleteMultipart(complete));
    if (!done) return done.error();
    return Ok();
  }

  // Not at hand as a whole, as bodies are that come from another store.
  class Streamed : public ByteSource {
   public:
    explicit Streamed(std::string_view text) : memory_(text), text_(text) {}
    [[nodiscard]] uint64_t size_bytes() const override { return text_.size(); }
    Async<size_t> Read(std::span<std::byte> out) override { return memory_.Read(out); }

   private:
    MemorySource memory_;
    std::string_view text_;
  };

  AnyWorld world_ = AnyWorld::Real();
  std::string root_;
  std::unique_ptr<Store> files_;
  std::unique_ptr<Gateway> gateway_;
  std::vector<std::unique_ptr<QuirkyHttp>> https_;
  std::vector<std::unique_ptr<Store>> stores_;
};

TEST_F(S3QuirksTest, ListsByMarkersWhereThereIsNothingElse) {
  Quirkiness old{.lists_v1_only = true};
  for (const char* key : {"a", "b/1", "b/2", "c d", "e+f", "ü", "z"}) {
    ASSERT_TRUE(Put(At({}, {}), key, "x"));
  }
  EXPECT_FALSE(Keys(At(old, {})));
  S3Quirks quirks{.lists_v2 = false};
  EXPECT_EQ(*Keys(At(old, quirks)),
            (std::vector<std::string>{"a", "b/1", "b/2", "c d", "e+f", "z", "ü"}));
  EXPECT_EQ(*Keys(At(old, quirks), "/"),
            (std::vector<std::string>{"a", "b/", "c d", "e+f", "z", "ü"}));
}

TEST_F(S3QuirksTest, DeletesOneByOneWhereBatchesAreUnknown) {
  Quirkiness single{.refuses_batches = true};
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(Put(At({}, {}), key, "x"));
  std::vector<RemoveRequest> all = {{.key = "a"}, {.key = "b"}, {.key = "c"}};
  EXPECT_FALSE(world_.Run(At(single, {}).RemoveMany("bucket", all)));
  EXPECT_EQ(Keys(At({}, {}))->size(), 3u);
  auto removed = world_.Run(At(single, Known("gcs")).RemoveMany("bucket", all));
  ASSERT_TRUE(removed) << removed.error().Describe();
  EXPECT_TRUE(removed->empty());
  EXPECT_EQ(Keys(At({}, {}))->size(), 0u);
}

TEST_F(S3QuirksTest, PartsAreEqualWhereTheyMustBe) {
  constexpr size_t kMib = 1 << 20;
  // A source whose parts are not, and whose ETag a copy would keep.
  ASSERT_TRUE(Multipart(At({}, {}), "uneven", {17 * kMib, 16 * kMib, 18 * kMib}));
  Quirkiness equal{.equal_parts_only = true};
  auto copy = [&](Store& target) {
    return world_.Run(CopyObject(world_.runtime(),
                                 {.store = At({}, {}), .bucket = "bucket", .key = "uneven"},
                                 {.store = target, .bucket = "bucket", .key = "copy"}, {}));
  };
  EXPECT_FALSE(copy(At(equal, {})));
  S3Quirks quirks;
  quirks.equal_parts = true;
  Result<CopyOutcome> copied = copy(At(equal, quirks));
  ASSERT_TRUE(copied) << copied.error().Describe();
  EXPECT_EQ(Get(At({}, {}), "copy"), Get(At({}, {}), "uneven"));
  // The rule is that of the server, whatever stands before it.
  TransferLimits limits(world_.runtime().clock);
  LimitedStore limited(At(equal, quirks), limits);
  copied = copy(limited);
  ASSERT_TRUE(copied) << copied.error().Describe();
}

TEST_F(S3QuirksTest, NoTrailersWhereTheyAreRefused) {
  Quirkiness plain{.refuses_trailers = true};
  auto put = [&](S3Quirks quirks) -> Result<void> {
    Store& store = At(plain, std::move(quirks));
    // So that it is known to look at checksums: then trailers are sent.
    Result<void> first = Put(store, "first", "x");
    if (!first) return first;
    Streamed body("streamed");
    Result<PutResult> done = world_.Run(store.Put({.bucket = "bucket", .key = "k"}, body));
    if (!done) return done.error();
    return Ok();
  };
  EXPECT_FALSE(put({}));
  Result<void> done = put(Known("b2"));
  EXPECT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(Get(At({}, {}), "k"), "streamed");
}

TEST_F(S3QuirksTest, NoChecksumsWhereTheyAreRefused) {
  Quirkiness none{.refuses_checksums = true};
  EXPECT_FALSE(Put(At(none, {}), "k", "x"));
  Store& known = At(none, Known("wasabi"));
  EXPECT_TRUE(Put(known, "k", "checked by Content-MD5"));
  EXPECT_TRUE(Multipart(known, "m", {5 << 20, 10}));
  EXPECT_EQ(Get(known, "k"), "checked by Content-MD5");
}

TEST_F(S3QuirksTest, VirtualHostsWherePathsAreRefused) {
  Quirkiness hosts{.virtual_only = true};
  EXPECT_FALSE(Put(At(hosts, {}), "k", "x"));
  Store& known = At(hosts, Known("aliyun-oss"), FindS3Provider("aliyun-oss")->addressing);
  EXPECT_TRUE(Put(known, "k", "x"));
  EXPECT_EQ(Get(known, "k"), "x");
}

// What a server ignores must not be asked of it: it would overwrite.
TEST_F(S3QuirksTest, ConditionsThatAreIgnoredAreNotSent) {
  Quirkiness ignores{.ignores_conditions = true};
  Store& unknown = At(ignores, {});
  ASSERT_TRUE(Put(unknown, "k", "first"));
  EXPECT_TRUE(Put(unknown, "k", "lost", {}, {.if_absent = true}));
  EXPECT_EQ(Get(unknown, "k"), "lost");

  Store& known = At(ignores, Known("wasabi"));
  EXPECT_FALSE(known.capabilities().create_if_absent);
  ASSERT_TRUE(Put(known, "k", "first"));
  Result<void> refused = Put(known, "k", "second", {}, {.if_absent = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "NotImplemented");
  EXPECT_FALSE(Put(known, "k", "second", {}, {.if_match = "other"}));
  EXPECT_EQ(Get(known, "k"), "first");
  // Nor does a probe bring it back.
  Capabilities probed = S3Promises();
  known.UseProbed(probed);
  EXPECT_FALSE(known.capabilities().create_if_absent);
}

TEST_F(S3QuirksTest, TagsAreNotAskedForWhereThereAreNone) {
  Quirkiness none{.refuses_tags = true};
  EXPECT_FALSE(world_.Run(At(none, {}).GetTags("bucket", "k", "")));
  Store& known = At(none, Known("b2"));
  ASSERT_TRUE(Put(known, "k", "x"));
  Result<Tags> tags = world_.Run(known.GetTags("bucket", "k", ""));
  ASSERT_TRUE(tags);
  EXPECT_TRUE(tags->empty());
  // They are not dropped in silence.
  Result<void> tagged = Put(known, "k", "y", {{"a", "b"}});
  ASSERT_FALSE(tagged);
  EXPECT_EQ(tagged.error().code, "NotImplemented");
  EXPECT_EQ(Get(known, "k"), "x");
}

TEST_F(S3QuirksTest, VersionsAreNotListedWhereThereAreNone) {
  Quirkiness none{.refuses_versions = true};
  ASSERT_TRUE(Put(At(none, {}), "k", "x"));
  EXPECT_TRUE(At(none, {}).capabilities().versions);  // And whoever believes it fails:
  EXPECT_FALSE(world_.Run(At(none, {}).List({.bucket = "bucket", .versions = true})));
  Store& known = At(none, Known("r2"));
  EXPECT_FALSE(known.capabilities().versions);
  size_t before = https_.back()->sent.size();
  Result<bool> versioning = world_.Run(known.GetVersioning("bucket"));
  ASSERT_TRUE(versioning);
  EXPECT_FALSE(*versioning);
  EXPECT_EQ(https_.back()->sent.size(), before);
}

// An ETag that looks like an MD5 and is none would make good parts look damaged.
TEST_F(S3QuirksTest, EtagsThatAreNoMd5AreNotCompared) {
  Quirkiness own{.refuses_checksums = true, .own_etags = true};
  S3Quirks without_checksums;
  without_checksums.can.checksums = without_checksums.can.trailing_checksums = false;
  Result<void> believed = Multipart(At(own, without_checksums), "m", {5 << 20, 10});
  ASSERT_FALSE(believed);
  EXPECT_EQ(believed.error().kind, ErrorKind::kCorrupt);
  Result<void> known = Multipart(At(own, Known("aliyun-oss")), "m", {5 << 20, 10});
  EXPECT_TRUE(known) << known.error().Describe();
  EXPECT_EQ(Get(At({}, {}), "m").size(), (5u << 20) + 10);
}

// Of an object of many parts nothing else could be verified.
TEST_F(S3QuirksTest, ReadsAreVerifiedByTheServersOwnChecksum) {
  Quirkiness damaged{.own_etags = true, .own_checksum = true, .damages_bodies = true};
  S3Quirks unaware = Known("gcs");
  unaware.own_checksum.reset();
  for (bool aware : {false, true}) {
    Store& store = At(damaged, aware ? Known("gcs") : unaware);
    ASSERT_TRUE(Multipart(store, "m", {5 << 20, 10}));
    Result<std::string> text =
        world_.Run(GetAll(store, {.bucket = "bucket", .key = "m"}, 64 << 20));
    EXPECT_EQ(text.has_value(), !aware);
    if (aware) EXPECT_EQ(text.error().kind, ErrorKind::kCorrupt);
  }
  Store& sound = At({.own_etags = true, .own_checksum = true}, Known("gcs"));
  ASSERT_TRUE(Multipart(sound, "m", {5 << 20, 10}));
  EXPECT_EQ(Get(sound, "m").size(), (5u << 20) + 10);
}

// Some servers refuse the header whatever it says, and others drop what they were asked for.
TEST_F(S3QuirksTest, NoClassIsNamedWhereThereIsOneAlone) {
  Quirkiness one{.refuses_classes = true};
  auto put = [&](Store& store, std::string storage_class) -> Result<void> {
    Result<PutResult> done = world_.Run(PutText(
        store, {.bucket = "bucket", .key = "k", .storage_class = std::move(storage_class)}, "x"));
    if (!done) return done.error();
    return Ok();
  };
  Store& unaware = At(one, {});
  EXPECT_FALSE(put(unaware, "STANDARD"));
  Store& known = At(one, Known("wasabi"));
  EXPECT_TRUE(put(known, ""));
  EXPECT_TRUE(put(known, "STANDARD"));
  EXPECT_TRUE(world_.Run(
      known.CreateMultipart({.bucket = "bucket", .key = "m", .storage_class = "STANDARD"})));
  EXPECT_TRUE(world_.Run(known.Copy({.source_bucket = "bucket",
                                     .source_key = "k",
                                     .bucket = "bucket",
                                     .key = "copied",
                                     .storage_class = "STANDARD"})));
  // It is not dropped in silence.
  const size_t sent = https_.back()->sent.size();
  Result<void> other = put(known, "STANDARD_IA");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, "NotImplemented");
  EXPECT_FALSE(world_.Run(
      known.CreateMultipart({.bucket = "bucket", .key = "m", .storage_class = "STANDARD_IA"})));
  EXPECT_FALSE(world_.Run(known.Copy({.source_bucket = "bucket",
                                      .source_key = "k",
                                      .bucket = "bucket",
                                      .key = "copied",
                                      .storage_class = "STANDARD_IA"})));
  EXPECT_EQ(https_.back()->sent.size(), sent);
  // That of a source object stays behind.
  Store& source = At({}, {});
  ASSERT_TRUE(put(source, "STANDARD_IA"));
  auto copy = [&](Store& target) {
    return world_.Run(CopyObject(world_.runtime(),
                                 {.store = source, .bucket = "bucket", .key = "k"},
                                 {.store = target, .bucket = "bucket", .key = "copy"}, {}));
  };
  EXPECT_FALSE(copy(unaware));
  Result<CopyOutcome> copied = copy(known);
  EXPECT_TRUE(copied) << copied.error().Describe();
  EXPECT_EQ(Get(source, "copy"), "x");
}

// The one class of a directory bucket has a name of its own.
TEST_F(S3QuirksTest, ADirectoryBucketHasNoOtherClass) {
  Store& known = At({.refuses_classes = true}, DirectoryBucketQuirks());
  const std::string bucket = "b--use1-az4--x-s3";
  std::filesystem::create_directory(root_ + "/" + bucket);
  auto put = [&](std::string storage_class) {
    return world_.Run(known.CreateMultipart(
        {.bucket = bucket, .key = "k", .storage_class = std::move(storage_class)}));
  };
  for (const char* other : {"STANDARD", "STANDARD_IA"}) {
    Result<MultipartUpload> refused = put(other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "NotImplemented");
  }
}

TEST_F(S3QuirksTest, WhatAPutMayNotCarryGoesInParts) {
  constexpr size_t kMax = 1 << 20;
  Quirkiness small{.put_bytes_max = kMax};
  S3Quirks quirks;
  quirks.can.put_size_bytes_max = kMax;
  Store& source = At({}, {});
  ASSERT_TRUE(Put(source, "fits", std::string(600 << 10, 'f')));
  ASSERT_TRUE(Put(source, "large", std::string(3 * kMax, 'l')));
  // As cp and sync copy, and as the workers of a migration do.
  for (const std::optional<uint64_t> threshold :
       {std::optional<uint64_t>(), std::optional<uint64_t>(UINT64_MAX)}) {
    auto copy = [&](Store& target, const std::string& key) {
      return world_.Run(CopyObject(world_.runtime(),
                                   {.store = source, .bucket = "bucket", .key = key},
                                   {.store = target, .bucket = "bucket", .key = "copy"},
                                   {.multipart_threshold_bytes = threshold}));
    };
    EXPECT_FALSE(copy(At(small, {}), "large"));
    Store& known = At(small, quirks);
    Result<CopyOutcome> copied = copy(known, "large");
    ASSERT_TRUE(copied) << copied.error().Describe();
    EXPECT_EQ(Get(source, "copy"), std::string(3 * kMax, 'l'));
    https_.back()->sent.clear();
    ASSERT_TRUE(copy(known, "fits"));
    EXPECT_FALSE(std::ranges::any_of(
        https_.back()->sent, [](const std::string& sent) { return sent.starts_with("POST"); }));
  }
  // Nor does a probe bring it back.
  Store& probed = At(small, quirks);
  probed.UseProbed(S3Promises());
  EXPECT_EQ(probed.capabilities().put_size_bytes_max, kMax);
}

TEST(S3ProviderTest, EndpointsFollowFromTheRegion) {
  auto endpoint = [](const char* name, S3Place given) {
    Result<S3Place> place = PlaceAt(*FindS3Provider(name), std::move(given));
    return place ? place->endpoint : "error: " + place.error().message;
  };
  EXPECT_EQ(endpoint("aws", {.region = "eu-west-1"}), "");
  EXPECT_EQ(endpoint("aws-cn", {.region = "cn-north-1"}), "");
  EXPECT_TRUE(endpoint("aws-cn", {.region = "eu-west-1"}).starts_with("error"));
  EXPECT_EQ(endpoint("gcs", {}), "https://storage.googleapis.com");
  EXPECT_EQ(endpoint("aliyun-oss", {.region = "cn-hangzhou"}),
            "https://s3.oss-cn-hangzhou.aliyuncs.com");
  EXPECT_EQ(endpoint("tencent-cos", {.region = "ap-tokyo"}), "https://cos.ap-tokyo.myqcloud.com");
  EXPECT_EQ(endpoint("qiniu-kodo", {.region = "cn-east-1"}), "https://s3-cn-east-1.qiniucs.com");
  EXPECT_EQ(endpoint("r2", {.account = "abc123"}), "https://abc123.r2.cloudflarestorage.com");
  EXPECT_EQ(endpoint("b2", {.region = "us-west-004"}), "https://s3.us-west-004.backblazeb2.com");
  EXPECT_EQ(endpoint("wasabi", {}), "https://s3.us-east-1.wasabisys.com");
  for (const char* name : {"r2", "b2", "aliyun-oss", "minio", "ceph", "generic"}) {
    EXPECT_TRUE(endpoint(name, {}).starts_with("error")) << name;
    EXPECT_EQ(endpoint(name, {.endpoint = "http://127.0.0.1:9000"}), "http://127.0.0.1:9000");
  }
  for (const S3Provider& provider : S3Providers()) {
    if (provider.host_ends.empty()) continue;
    S3Place made =
        *PlaceAt(provider, {.region = std::string(provider.region_example), .account = "abc"});
    EXPECT_EQ(FindS3ProviderOf(made.endpoint), &provider) << made.endpoint;
    EXPECT_EQ(FindS3ProviderOf(made.endpoint + ":8443/x"), &provider);
  }
  EXPECT_EQ(FindS3ProviderOf("https://wasabisys.com.evil.test"), nullptr);
  EXPECT_EQ(FindS3ProviderOf(""), nullptr);
  // A region ends up in a host name.
  EXPECT_TRUE(endpoint("b2", {.region = "x.evil.test/"}).starts_with("error"));
}

}  // namespace
}  // namespace longhaul::testing
