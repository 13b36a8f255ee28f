#include "storage/s3_endpoint.h"

#include <gmock/gmock.h>

#include "base/clock.h"
#include "storage/s3_bucket_name.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul::testing {
namespace {

using ::testing::HasSubstr;

S3Endpoint Aws(S3StoreOptions options = {}) {
  if (options.region.empty()) options.region = "eu-west-1";
  Result<S3Endpoint> made = S3Endpoint::Make(options);
  EXPECT_TRUE(made) << made.error().Describe();
  return std::move(*made);
}

std::string HostOf(const S3Endpoint& endpoint, std::string_view bucket, bool object = true) {
  Result<S3Endpoint::Place> place = endpoint.PlaceOf(bucket, object);
  return place ? place->host + place->path : "failed: " + place.error().Describe();
}

// A wrong host is somebody else's, who gets a signed request.
TEST(S3EndpointTest, EachKindOfBucketHasItsHost) {
  const std::string point = "arn:aws:s3:us-west-2:123456789012:accesspoint/reports";
  S3StoreOptions dual;
  dual.wishes.dual_stack = true;
  S3StoreOptions fips;
  fips.region = "us-east-1";
  fips.wishes.fips = true;
  EXPECT_EQ(HostOf(Aws(), "logs"), "logs.s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(HostOf(Aws(), "logs--euw1-az1--x-s3"),
            "logs--euw1-az1--x-s3.s3express-euw1-az1.eu-west-1.amazonaws.com");
  EXPECT_EQ(HostOf(Aws(dual), "logs--euw1-az1--x-s3"),
            "logs--euw1-az1--x-s3.s3express-euw1-az1.dualstack.eu-west-1.amazonaws.com");
  EXPECT_EQ(HostOf(Aws(fips), "logs--use1-az4--x-s3"),
            "logs--use1-az4--x-s3.s3express-fips-use1-az4.us-east-1.amazonaws.com");
  EXPECT_EQ(HostOf(Aws(), point), "reports-123456789012.s3-accesspoint.us-west-2.amazonaws.com");
  EXPECT_EQ(Aws().PlaceOf(point, true)->region, "us-west-2");
  EXPECT_EQ(HostOf(Aws(dual), point),
            "reports-123456789012.s3-accesspoint.dualstack.us-west-2.amazonaws.com");
  S3StoreOptions own;
  own.endpoint = "http://127.0.0.1:9000";
  own.addressing = S3Addressing::kPath;
  EXPECT_EQ(HostOf(Aws(own), "logs--use1-az4--x-s3"), "127.0.0.1:9000/logs--use1-az4--x-s3");
  EXPECT_FALSE(Aws(own).PlaceOf("logs", true)->express);
  EXPECT_TRUE(Aws(own).PlaceOf("logs--use1-az4--x-s3", true)->express);
  EXPECT_TRUE(Aws(own).PlaceOf("logs--use1-az4--x-s3", true));  // It says itself what it has.
  EXPECT_THAT(HostOf(Aws(), "logs--use1-az4--x-s3"),
              HasSubstr("zone use1-az4, and eu-west-1 has no such zone"));
  EXPECT_FALSE(IsDirectoryBucket("--x-s3"));
  EXPECT_FALSE(IsDirectoryBucket("logs--x-s3"));
  EXPECT_FALSE(IsDirectoryBucket("logs--us/east--x-s3"));
}

// A zone that is taken for another region's would be refused, or looked for until the deadline.
TEST(S3EndpointTest, AZoneIsOfOneRegion) {
  for (auto [zone, region] :
       {std::pair{"use1-az4", "us-east-1"}, std::pair{"usw2-lax1-az1", "us-west-2"},
        std::pair{"aps1-az1", "ap-south-1"}, std::pair{"apse2-az1", "ap-southeast-2"},
        std::pair{"apne1-az4", "ap-northeast-1"}, std::pair{"euc1-az1", "eu-central-1"},
        std::pair{"eun1-az3", "eu-north-1"}, std::pair{"cnn1-az1", "cn-north-1"}}) {
    EXPECT_TRUE(ZoneFitsRegion(zone, region)) << zone;
    for (const char* other : {"us-east-2", "ap-southeast-1", "eu-west-1", "eu-north-2"}) {
      EXPECT_FALSE(ZoneFitsRegion(zone, other)) << zone << " " << other;
    }
  }
  EXPECT_FALSE(ZoneFitsRegion("use1-az4", "us-east-12"));
  // Of these the names of zones do not follow from theirs.
  for (const char* unknown : {"us-gov-west-1", "cellar", "auto", "us-east", "eu-middle-1"}) {
    EXPECT_TRUE(ZoneFitsRegion("use1-az4", unknown)) << unknown;
  }
}

TEST(S3EndpointTest, WhatCannotBeReachedIsNamedWithTheRemedy) {
  for (auto [arn, says] :
       {std::pair{"arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "SigV4A"},
        std::pair{"arn:aws:s3:::logs", "write its name alone"},
        std::pair{"arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/x",
                  "no access point"},
        std::pair{"arn:aws:s3:us-east-1:123456789012:bucket/x", "no access point"},
        std::pair{"arn:aws:s3:us-east-1:1:accesspoint/x", "12 digits"},
        std::pair{"arn:aws:s3:evil.example/:123456789012:accesspoint/x", "no region"},
        std::pair{"arn:aws-cn:s3:us-east-1:123456789012:accesspoint/x", "no region of 'aws-cn'"},
        std::pair{"arn:aws:s3:us-east-1:123456789012:accesspoint/x.evil", "no name"},
        std::pair{"arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/x", "another partition"},
        std::pair{"arn:aws:s3", "is no ARN"}}) {
    EXPECT_THAT(HostOf(Aws(), arn), HasSubstr(says)) << arn;
  }
  EXPECT_EQ(BucketPartOf("arn:aws:s3:us-west-2:123456789012:accesspoint/reports/a/b"),
            "arn:aws:s3:us-west-2:123456789012:accesspoint/reports");
  EXPECT_EQ(BucketPartOf("bucket/a/b"), "bucket");
}

// Objects alone go by the faster way; it lists nothing faster and is paid for.
TEST(S3EndpointTest, AcceleratesObjects) {
  S3StoreOptions fast;
  fast.accelerate = true;
  EXPECT_EQ(HostOf(Aws(fast), "logs"), "logs.s3-accelerate.amazonaws.com");
  EXPECT_EQ(HostOf(Aws(fast), "logs", false), "logs.s3.eu-west-1.amazonaws.com");
  EXPECT_THAT(HostOf(Aws(fast), "dotted.logs"), HasSubstr("cannot be accelerated"));
  EXPECT_THAT(HostOf(Aws(fast), "dotted.logs"), HasSubstr("a store without accelerate"));
  fast.wishes.dual_stack = true;
  EXPECT_EQ(HostOf(Aws(fast), "logs"), "logs.s3-accelerate.dualstack.amazonaws.com");
  fast.endpoint = "https://s3.example.com";
  EXPECT_FALSE(S3Endpoint::Make(fast));
  fast = {};
  fast.accelerate = true;
  fast.region = "cn-north-1";
  EXPECT_FALSE(S3Endpoint::Make(fast));
}

// A bucket of another region is signed for that region, and still goes the faster way; a store that
// is not accelerated goes where S3 sends it, but nowhere else that sounds like it.
TEST(S3EndpointTest, RedirectsMeetAcceleration) {
  S3StoreOptions fast;
  fast.accelerate = true;
  S3Endpoint endpoint = Aws(fast);
  EXPECT_TRUE(endpoint.Follow("logs", {.region = "us-west-2"}));
  EXPECT_EQ(HostOf(endpoint, "logs"), "logs.s3-accelerate.amazonaws.com");
  EXPECT_EQ(endpoint.PlaceOf("logs", true)->region, "us-west-2");
  EXPECT_EQ(HostOf(endpoint, "logs", false), "logs.s3.us-west-2.amazonaws.com");
  S3Endpoint plain = Aws();
  EXPECT_TRUE(plain.Follow("logs", {.host = "logs.s3-accelerate.amazonaws.com"}));
  EXPECT_EQ(HostOf(plain, "logs"), "logs.s3-accelerate.amazonaws.com");
  EXPECT_FALSE(plain.Follow("other", {.host = "other.s3-accelerate.example.com"}));
  EXPECT_FALSE(plain.Follow("other", {.host = "other.s3-accelerate.amazonaws.com.cn"}));
}

// A server that could name any host would be given requests signed with our keys.
TEST(S3EndpointTest, GoesNowhereOutsideOfItsSuffix) {
  S3Endpoint aws = Aws();
  EXPECT_FALSE(aws.Follow("logs", {.region = "cn-north-1"}));
  EXPECT_FALSE(aws.Follow("logs", {.region = "evil.example/"}));
  EXPECT_FALSE(aws.Follow("logs", {.host = "evil.example"}));
  EXPECT_FALSE(aws.Follow("logs", {.host = "logs.ec2-1-2-3-4.amazonaws.com"}));
  EXPECT_FALSE(aws.Follow("logs", {.host = "s3.evilamazonaws.com"}));
  EXPECT_FALSE(aws.Follow("logs", {.region = "eu-west-1"})) << "where it is already";
  EXPECT_EQ(HostOf(aws, "logs"), "logs.s3.eu-west-1.amazonaws.com");
  // What an answer says of another host is not needed where the region is told.
  EXPECT_TRUE(aws.Follow("logs", {.region = "us-west-2", .host = "evil.example"}));
  EXPECT_EQ(HostOf(aws, "logs"), "logs.s3.us-west-2.amazonaws.com");
  EXPECT_EQ(HostOf(aws, "others"), "others.s3.eu-west-1.amazonaws.com");
  EXPECT_TRUE(aws.Follow("new", {.host = "new.s3-us-west-1.amazonaws.com"}));
  EXPECT_EQ(HostOf(aws, "new"), "new.s3-us-west-1.amazonaws.com");

  S3StoreOptions own;
  own.endpoint = "https://s3.eu-west-1.example.com";
  own.addressing = S3Addressing::kPath;
  S3Endpoint other = Aws(own);
  EXPECT_FALSE(other.Follow("logs", {.host = "s3.evil.com"}));
  EXPECT_FALSE(other.Follow("logs", {.host = "evils3.eu-west-1.example.com"}));
  EXPECT_FALSE(other.Follow("logs", {.region = "us.evil", .host = "s3.us.evil.example.com"}));
  EXPECT_TRUE(other.Follow("logs", {.region = "us-west-2", .host = "s3.us-west-2.example.com"}));
  EXPECT_EQ(HostOf(other, "logs"), "s3.us-west-2.example.com/logs");
  EXPECT_TRUE(other.Follow("near", {.host = "near.rack2.s3.eu-west-1.example.com"}));
  EXPECT_EQ(HostOf(other, "near"), "rack2.s3.eu-west-1.example.com/near");
}

// Two servers that send a bucket to each other must not be asked for ever.
TEST(S3EndpointTest, GivesUpOnABucketThatIsNowhere) {
  S3Endpoint aws = Aws();
  int followed = 0;
  for (int i = 0; i < 100; ++i) {
    followed += aws.Follow("logs", {.region = i % 2 == 0 ? "us-west-2" : "us-east-2"}) ? 1 : 0;
  }
  EXPECT_LE(followed, 5);
}

class S3RedirectTest : public S3StoreTest {
 protected:
  S3RedirectTest() {
    options.endpoint = "";
    options.region = "eu-west-1";
    options.attempts_max = 1;
  }
  static Answer Elsewhere(int status, const std::string& code, HttpHeaders headers) {
    Answer answer = ErrorAnswer(status, code);
    answer.headers = std::move(headers);
    return answer;
  }
  std::string Asked(size_t i) const { return http.seen.at(i).request.url; }
  std::string SignedFor(size_t i) const {
    return std::string(http.seen.at(i).request.headers.Get("Authorization"));
  }
};

TEST_F(S3RedirectTest, FindsABucketInItsRegionAndRemembersIt) {
  http.answers = {Elsewhere(301, "PermanentRedirect", {{"x-amz-bucket-region", "us-west-2"}}), {}};
  Store& store = Open();
  ASSERT_TRUE(world.Run(PutText(store, At("a"), "text")));
  ASSERT_EQ(http.seen.size(), 2u);
  EXPECT_EQ(Asked(0), "https://bucket.s3.eu-west-1.amazonaws.com/a");
  EXPECT_EQ(Asked(1), "https://bucket.s3.us-west-2.amazonaws.com/a");
  EXPECT_THAT(SignedFor(1), HasSubstr("/us-west-2/s3/aws4_request"));
  EXPECT_EQ(http.seen[1].body, "text");
  ASSERT_TRUE(world.Run(PutText(store, At("b"), "text")));
  EXPECT_EQ(Asked(2), "https://bucket.s3.us-west-2.amazonaws.com/b");
}

// What a region says of a signature for another one; and a HEAD, whose answer has no body.
TEST_F(S3RedirectTest, KnowsEachWayOfSayingSo) {
  Answer malformed = ErrorAnswer(400, "");
  malformed.body =
      "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>";
  Answer permanent = ErrorAnswer(301, "");
  permanent.body =
      "<Error><Code>PermanentRedirect</Code>"
      "<Endpoint>bucket.s3.us-west-2.amazonaws.com</Endpoint></Error>";
  for (const Answer& answer :
       {malformed, permanent,
        Elsewhere(307, "TemporaryRedirect",
                  {{"Location", "https://bucket.s3.us-west-2.amazonaws.com/a"}}),
        Answer{.status = 400, .headers = {{"x-amz-bucket-region", "us-west-2"}}},
        Answer{.status = 301, .headers = {{"x-amz-bucket-region", "us-west-2"}}}}) {
    http.answers = {answer, {}};
    Store& store = Open();
    Result<ObjectInfo> head = world.Run(store.Head({.bucket = "bucket", .key = "a"}));
    EXPECT_TRUE(head) << head.error().Describe();
    EXPECT_EQ(http.seen.back().request.url, "https://bucket.s3.us-west-2.amazonaws.com/a");
  }
  // Any other 400 is what it was.
  http.answers = {Elsewhere(400, "InvalidRequest", {{"x-amz-bucket-region", "us-west-2"}})};
  EXPECT_FALSE(world.Run(Open().Head({.bucket = "bucket", .key = "a"})));
}

TEST_F(S3RedirectTest, SaysWhereABucketIsThatIsOutside) {
  options.endpoint = "https://s3.example.com";
  http.answers = {Elsewhere(307, "Redirect", {{"Location", "https://evil.example.org/bucket/a"}})};
  Result<ObjectInfo> head = world.Run(Open().Head({.bucket = "bucket", .key = "a"}));
  ASSERT_FALSE(head);
  EXPECT_THAT(head.error().Describe(), HasSubstr("credentials go nowhere but to s3.example.com"));
  ASSERT_EQ(http.seen.size(), 1u);
}

// The bytes of a stream have gone to the wrong region: it may be sent again, and then goes right.
TEST_F(S3RedirectTest, AStreamIsToBeSentAgain) {
  class Streamed : public ByteSource {
   public:
    [[nodiscard]] uint64_t size_bytes() const override { return 4; }
    Async<size_t> Read(std::span<std::byte> out) override { return source_.Read(out); }

   private:
    MemorySource source_{std::string_view("text")};
  };
  http.answers = {Elsewhere(301, "PermanentRedirect", {{"x-amz-bucket-region", "us-west-2"}}), {}};
  Store& store = Open();
  Streamed first;
  Result<PutResult> put = world.Run(store.Put(At("a"), first));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kRetryable);
  EXPECT_FALSE(MayHaveHappened(put.error()));
  Streamed again;
  EXPECT_TRUE(world.Run(store.Put(At("a"), again)));
  EXPECT_EQ(Asked(1), "https://bucket.s3.us-west-2.amazonaws.com/a");
}

class DirectoryBucketTest : public S3StoreTest {
 protected:
  static constexpr const char* kBucket = "fast--use1-az4--x-s3";
  DirectoryBucketTest() {
    options.endpoint = "";
    options.region = "us-east-1";
    options.quirks = DirectoryBucketQuirks();
  }
  // That ends in `life`.
  Answer Session(const std::string& name, std::chrono::seconds life = std::chrono::minutes(5)) {
    Answer answer;
    answer.body = "<CreateSessionResult><Credentials><SessionToken>token-" + name +
                  "</SessionToken><SecretAccessKey>s</SecretAccessKey><AccessKeyId>" + name +
                  "</AccessKeyId><Expiration>" + FormatRfc3339(world.clock.Now() + life) +
                  "</Expiration></Credentials></CreateSessionResult>";
    return answer;
  }
  void Head(Store& store) {
    Result<ObjectInfo> head = world.Run(store.Head({.bucket = kBucket, .key = "a"}));
    EXPECT_TRUE(head) << head.error().Describe();
  }
  const HttpHeaders& Headers(size_t i) const { return http.seen.at(i).request.headers; }
};

TEST_F(DirectoryBucketTest, SignsWithASession) {
  http.answers = {Session("one"), {}};
  Store& store = Open();
  Head(store);
  ASSERT_EQ(http.seen.size(), 2u);
  EXPECT_EQ(http.seen[0].request.url,
            "https://fast--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/?session=");
  EXPECT_THAT(std::string(Headers(0).Get("Authorization")),
              HasSubstr("Credential=K/20260301/us-east-1/s3express/aws4_request"));
  EXPECT_THAT(std::string(Headers(1).Get("Authorization")), HasSubstr("Credential=one/"));
  EXPECT_THAT(std::string(Headers(1).Get("Authorization")), HasSubstr("x-amz-s3session-token"));
  EXPECT_EQ(Headers(1).Get("x-amz-s3session-token"), "token-one");
  EXPECT_EQ(Headers(1).Find("X-Amz-Security-Token"), nullptr);
  Head(store);
  EXPECT_EQ(http.seen.size(), 3u) << "one session serves many requests";
  // These two are asked by the account itself.
  EXPECT_TRUE(world.Run(store.HeadBucket(kBucket)));
  EXPECT_THAT(std::string(Headers(3).Get("Authorization")), HasSubstr("Credential=K/"));
  EXPECT_EQ(Headers(3).Find("x-amz-s3session-token"), nullptr);
}

// A session that ran out in the middle of a run would fail what is under way.
TEST_F(DirectoryBucketTest, ASessionIsRenewedBeforeItEnds) {
  http.answers = {Session("one"), {}};
  Store& store = Open();
  Head(store);
  world.Run([](FakeWorld& in) -> asio::awaitable<void> {
    co_await in.clock.Sleep(std::chrono::seconds(270));
  }(world));
  http.answers = {Session("two"), {}};
  Head(store);
  EXPECT_EQ(Headers(http.seen.size() - 1).Get("x-amz-s3session-token"), "token-two");
}

TEST_F(DirectoryBucketTest, ASessionThatTheServerEndsIsReplaced) {
  http.answers = {Session("one"), {}};
  Store& store = Open();
  Head(store);
  world.Run([](FakeWorld& in) -> asio::awaitable<void> {
    co_await in.clock.Sleep(std::chrono::seconds(60));
  }(world));
  http.answers = {ErrorAnswer(400, "ExpiredToken"), Session("two"), {}};
  Head(store);
  EXPECT_EQ(Headers(http.seen.size() - 1).Get("x-amz-s3session-token"), "token-two");
}

// Such a bucket lists whole folders, in no order and from their beginning.
TEST_F(DirectoryBucketTest, ListsFoldersAndSortsOutWhatWasNotAskedFor) {
  Answer page;
  page.body =
      "<ListBucketResult><IsTruncated>false</IsTruncated>"
      "<Contents><Key>logs/b1</Key><Size>1</Size></Contents>"
      "<Contents><Key>logs/c</Key><Size>1</Size></Contents>"
      "<Contents><Key>logs/b0</Key><Size>1</Size></Contents>"
      "<CommonPrefixes><Prefix>logs/b/</Prefix></CommonPrefixes>"
      "<CommonPrefixes><Prefix>logs/bb/</Prefix></CommonPrefixes>"
      "<CommonPrefixes><Prefix>logs/d/</Prefix></CommonPrefixes></ListBucketResult>";
  http.answers = {Session("one"), page};
  Result<ListPage> listed = world.Run(Open().List(
      {.bucket = kBucket, .prefix = "logs/b", .start_after = "logs/b0", .delimiter = "/"}));
  ASSERT_TRUE(listed) << listed.error().Describe();
  ASSERT_EQ(listed->objects.size(), 1u);
  EXPECT_EQ(listed->objects[0].key, "logs/b1");
  EXPECT_EQ(listed->common_prefixes, std::vector<std::string>{"logs/bb/"});
  EXPECT_THAT(http.seen[1].request.url, HasSubstr("prefix=logs%2F&"));
  EXPECT_THAT(http.seen[1].request.url, ::testing::Not(HasSubstr("start-after")));
  EXPECT_FALSE(store->capabilities().sorted_listing);
  EXPECT_FALSE(store->capabilities().versions);
}

// Its ETags look like MD5s; taken for them, every object would be called damaged.
TEST_F(DirectoryBucketTest, AnEtagIsNoMd5) {
  Answer object;
  object.headers = {{"ETag", "\"0123456789abcdef0123456789abcdef\""}, {"Content-Length", "4"}};
  object.body = "text";
  http.answers = {Session("one"), object};
  GetRequest request{.bucket = kBucket, .key = "a"};
  Store& store = Open();
  Result<std::string> text = world.Run(GetAll(store, request, 100));
  ASSERT_TRUE(text) << text.error().Describe();
  Result<ObjectInfo> info = world.Run(store.Head({.bucket = kBucket, .key = "a"}));
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->etag_opaque);
  PutRequest put = At("a");
  put.bucket = kBucket;
  ASSERT_TRUE(world.Run(PutText(store, put, "text")));
  EXPECT_EQ(http.seen.back().request.headers.Find("Content-MD5"), nullptr);
  EXPECT_NE(http.seen.back().request.headers.Find("x-amz-checksum-crc64nvme"), nullptr);
}

}  // namespace
}  // namespace longhaul::testing
