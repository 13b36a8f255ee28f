#include "events/s3_event.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// One record as AWS sends it, with parts put in.
std::string Record(std::string_view key_json, std::string_view name = "ObjectCreated:Put",
                   std::string_view source = "aws:s3") {
  return R"({"eventVersion":"2.1","eventSource":")" + std::string(source) +
         R"(","awsRegion":"eu-west-1","eventTime":"2026-03-01T09:30:00.123Z","eventName":")" +
         std::string(name) +
         R"(","s3":{"s3SchemaVersion":"1.0","configurationId":"haul","bucket":{"name":"acme-in",)"
         R"("arn":"arn:aws:s3:::acme-in"},"object":{"key":)" +
         std::string(key_json) +
         R"(,"size":4096,"eTag":"9e107d9d372bb6826bd81d3542a419d6","sequencer":"0066DA1CBF"}}})";
}
std::string Message(const std::string& records) { return R"({"Records":[)" + records + "]}"; }

std::vector<std::string> Keys(const std::string& body) {
  Result<S3Events> events = ParseS3Events(body);
  EXPECT_TRUE(events) << events.error().Describe() << " " << body;
  std::vector<std::string> keys;
  if (events) {
    for (const S3EventRecord& record : events->records) keys.push_back(record.key);
  }
  return keys;
}
std::string RefusalOf(const std::string& body) {
  Result<S3Events> events = ParseS3Events(body);
  EXPECT_FALSE(events) << body;
  if (!events) {
    EXPECT_EQ(events.error().kind, ErrorKind::kInvalidInput);
  }
  return events ? "" : events.error().code;
}
using Strings = std::vector<std::string>;

TEST(S3EventTest, ReadsARecord) {
  Result<S3Events> events = ParseS3Events(Message(Record(R"("logs/a.csv")")));
  ASSERT_TRUE(events);
  ASSERT_EQ(events->records.size(), 1u);
  EXPECT_EQ(events->records[0], (S3EventRecord{.bucket = "acme-in",
                                               .key = "logs/a.csv",
                                               .time = *ParseRfc3339("2026-03-01T09:30:00.123Z"),
                                               .size_bytes = 4096}));
}

// Whether a key is encoded depends on the sender, and versitygw does not tell: no reading of a key
// that may be meant must be missing, or its change is lost.
TEST(S3EventTest, KeysThatCanBeReadTwoWaysAreGivenBothWays) {
  EXPECT_EQ(Keys(Message(Record(R"("logs/a+b%2Bc.csv")"))),
            (Strings{"logs/a b+c.csv", "logs/a+b%2Bc.csv"}));
  EXPECT_EQ(Keys(Message(Record(R"("a%2Fb")"))), (Strings{"a/b", "a%2Fb"}));
  EXPECT_EQ(Keys(Message(Record(R"("plain/key-1_2.txt")"))), (Strings{"plain/key-1_2.txt"}));
  // No encoder leaves these.
  EXPECT_EQ(Keys(Message(Record(R"("a b+c")"))), (Strings{"a b+c"}));
  EXPECT_EQ(Keys(Message(Record(R"("100%")"))), (Strings{"100%"}));
  EXPECT_EQ(Keys(Message(Record(R"("a%zz+")"))), (Strings{"a%zz+"}));
  EXPECT_EQ(Keys(Message(Record(R"("\u00fc+%41")"))), (Strings{"\xc3\xbc+%41"}));
  EXPECT_EQ(Keys(Message(Record(R"("q\"x+")"))), (Strings{"q\"x+"}));
}

// MinIO encodes always, also the slash: one key, not two requests.
TEST(S3EventTest, MinioEncodesAlways) {
  std::string body =
      R"({"EventName":"s3:ObjectCreated:Put","Key":"acme-in/logs/a b.csv","Records":[)" +
      Record(R"("logs%2Fa+b%2B%C3%BC.csv")", "s3:ObjectCreated:Put", "minio:s3") + "]}";
  EXPECT_EQ(Keys(body), (Strings{"logs/a b+\xc3\xbc.csv"}));
}

// Messages that the cross-region compressor makes of objects that were there before: keys as they
// are.
TEST(S3EventTest, ExistingObjectsOfTheCompressorAreTakenAsTheyAre) {
  const std::string body =
      R"({"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-01-01T00:00:00Z",)"
      R"("eventName":"ObjectCreated:Put","userIdentity":{"principalId":"EXAMPLE"},"s3":)"
      R"({"configurationId":"testConfigRule","bucket":{"name":"acme-in"},"object":)"
      R"({"key":"logs/a+b%41.csv","size":7,"sequencer":"0A1B2C3D4E5F678901"}}}]})";
  EXPECT_EQ(Keys(body), (Strings{"logs/a+b%41.csv"}));
}

constexpr char kPlainClusterJob[] =
    R"({"Src_bucket":"a","Src_key":"x/1+%2B.bin","Des_bucket":"b","Des_key":"p/x/1.bin","Size":123,)"
    R"("versionId":"null"})";
constexpr char kTransJob[] =
    R"({"Records":[{"EventVersion":"2.1","EventSource":"aws:s3","AwsRegion":"eu-west-1",)"
    R"("EventTime":"2026-03-01T09:30:00Z","EventName":"ObjectCreated:Put","S3":{"Bucket":)"
    R"({"Name":"a"},"Object":{"Key":"x/1+%2B.bin","Size":123}}}],"Event":""})";
constexpr char kHubObject[] = R"({"key":"x/1+%2B.bin","size":123})";

std::string HubPart(const std::string& key) {
  return R"({"objectKey":")" + key +
         R"(","partNumber":7,"totalPartsCount":2048,"uploadID":"u-1","bodyRange":)"
         R"("bytes=31457280-36700159"})";
}

// Who takes over the queue of a migration under way must not have all of its jobs thrown out; and a
// key that were decoded would be another object's.
TEST(S3EventTest, JobsOfSystemsThatMigrateNameTheirKeysAsTheyAre) {
  for (const char* job : {kPlainClusterJob, kTransJob, kHubObject}) {
    Result<S3Events> events = ParseS3Events(job, "a");
    ASSERT_TRUE(events) << job << " " << events.error().Describe();
    ASSERT_EQ(events->records.size(), 1u) << job;
    EXPECT_EQ(events->records[0],
              (S3EventRecord{.bucket = "a", .key = "x/1+%2B.bin", .size_bytes = 123}))
        << job;
    EXPECT_EQ(events->malformed, 0);
  }
  std::string removed = kTransJob;
  removed.replace(removed.find("ObjectCreated:Put"), 17, "ObjectRemoved:Delete");
  Result<S3Events> events = ParseS3Events(removed);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->records.size(), 1u);
  EXPECT_TRUE(events->records[0].removal);
}

// The sender of parts puts the key between the quotes as it is. A job that is no JSON because of
// that is a job nevertheless, and no reading of a key that may be meant must be missing.
TEST(S3EventTest, PartsOfTheDataTransferHubNameTheirObject) {
  const auto keys = [](const std::string& body) {
    Result<S3Events> events = ParseS3Events(body, "a");
    EXPECT_TRUE(events) << body << " " << events.error().Describe();
    Strings found;
    for (const S3EventRecord& record : events ? events->records : std::vector<S3EventRecord>()) {
      EXPECT_EQ(record.bucket, "a");
      found.push_back(record.key);
    }
    return found;
  };
  EXPECT_EQ(keys(HubPart("x/big")), (Strings{"x/big"}));
  EXPECT_EQ(keys(HubPart("x/a+%2B")), (Strings{"x/a+%2B"}));
  EXPECT_EQ(keys(HubPart(R"(x/"big")")), (Strings{R"(x/"big")"}));
  EXPECT_EQ(keys(HubPart(R"(x\\big)")), (Strings{R"(x\\big)", R"(x\big)"}));
}

// A bucket that were guessed could be the wrong one, and the job would be gone.
TEST(S3EventTest, JobsWithoutABucketAreRefusedWhereSeveralCouldBeMeant) {
  EXPECT_EQ(RefusalOf(kHubObject), "NoBucket");
  EXPECT_EQ(RefusalOf(HubPart("x/big")), "NoBucket");
  EXPECT_EQ(RefusalOf(HubPart(R"(x/"big")")), "NoBucket");
}

// What only looks like a job stays what nobody understands.
TEST(S3EventTest, HalfJobsAreNoJobs) {
  for (const char* body :
       {R"({"key":"k"})", R"({"key":"k","size":"1"})", R"({"key":"k","size":1,"more":2})",
        R"({"key":"","size":1})", R"({"objectKey":"k","partNumber":1})", R"({"Src_key":"k"})"}) {
    Result<S3Events> events = ParseS3Events(body, "a");
    ASSERT_FALSE(events) << body;
    EXPECT_EQ(events.error().code, "UnknownShape") << body;
  }
  for (const char* body :
       {R"({"Src_bucket":"","Src_key":"k"})", R"({"Src_bucket":"a","Src_key":7})",
        R"({"Records":[{"EventName":"ObjectCreated:Put","S3":{"Bucket":{"Name":"a"}}}]})"}) {
    Result<S3Events> events = ParseS3Events(body, "a");
    ASSERT_TRUE(events) << body;
    EXPECT_EQ(events->malformed, 1) << body;
    EXPECT_TRUE(events->records.empty()) << body;
  }
}

// Every channel has its own words for a removal, and in each of them the key is read anew.
TEST(S3EventTest, RemovalsOfEveryChannelAreTold) {
  for (const char* name : {"ObjectRemoved:Delete", "s3:ObjectRemoved:Delete",
                           "ObjectRemoved:DeleteMarkerCreated", "s3:ObjectRemoved:NoOP",
                           "LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated",
                           "ObjectLifecycle:Expiration:Noncurrent", "ObjectSynced:Delete"}) {
    Result<S3Events> events = ParseS3Events(Message(Record(R"("k")", name)));
    ASSERT_TRUE(events);
    ASSERT_EQ(events->records.size(), 1u) << name;
    EXPECT_TRUE(events->records[0].removal) << name;
  }
}

TEST(S3EventTest, CephSendsSizesAsText) {
  std::string body =
      R"({"Records":[{"eventVersion":"2.1","eventSource":"ceph:s3","eventTime":"2026-03-01T09:30:00.124724Z",)"
      R"("eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"acme-in","id":"b.1"},"object":)"
      R"({"key":"logs/a b.csv","size":"4096","versionId":"","metadata":[],"tags":[]}},"eventId":""}]})";
  Result<S3Events> events = ParseS3Events(body);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->records.size(), 1u);
  EXPECT_EQ(events->records[0].key, "logs/a b.csv");
  EXPECT_EQ(events->records[0].size_bytes, 4096u);
  EXPECT_EQ(events->records[0].time, *ParseRfc3339("2026-03-01T09:30:00.124724Z"));
}

// What no object can have would make a message that nobody can read any more.
TEST(S3EventTest, AnAbsurdSizeIsNone) {
  for (const char* size :
       {"18446744073709551615", "9223372036854775807", "-1", "\"1e9\"", "1e300"}) {
    Result<S3Events> events = ParseS3Events(
        R"({"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",)"
        R"("eventTime":"2026-03-01T09:30:00Z","s3":{"bucket":{"name":"b"},"object":{"key":"k","size":)" +
        std::string(size) + "}}}]}");
    ASSERT_TRUE(events) << size;
    ASSERT_EQ(events->records.size(), 1u) << size;
    EXPECT_EQ(events->records[0].size_bytes, std::nullopt) << size;
  }
}

// The same event through each of its carriers.
TEST(S3EventTest, UnwrapsSnsEventBridgeAndCloudEvents) {
  std::string inner = Message(Record(R"("logs/a.csv")"));
  std::string quoted;
  for (char c : inner) quoted += c == '"' ? std::string("\\\"") : std::string(1, c);
  std::string sns =
      R"({"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:x","Message":")" + quoted +
      R"("})";
  EXPECT_EQ(Keys(sns), (Strings{"logs/a.csv"}));
  std::string bridge =
      R"({"version":"0","detail-type":"Object Created","source":"aws.s3","time":"2026-03-01T09:30:00Z",)"
      R"("detail":{"version":"0","bucket":{"name":"acme-in"},"object":{"key":"logs/a b.csv","size":4096,)"
      R"("etag":"9e10"},"reason":"PutObject"}})";
  EXPECT_EQ(Keys(bridge), (Strings{"logs/a b.csv"}));
  EXPECT_EQ(ParseS3Events(bridge)->records[0].time, *ParseRfc3339("2026-03-01T09:30:00Z"));
  std::string cloud =
      R"({"specversion":"1.0","type":"com.amazonaws.s3.ObjectCreated:Put","source":"ceph:s3.z.acme-in",)"
      R"("subject":"logs/a.csv","id":"1","data":)" +
      inner + "}";
  EXPECT_EQ(Keys(cloud), (Strings{"logs/a.csv"}));
  std::string cloud_detail =
      R"({"specversion":"1.0","type":"x","id":"1","data":{"bucket":{"name":"b"},"object":{"key":"k"}}})";
  EXPECT_EQ(Keys(cloud_detail), (Strings{"k"}));
  EXPECT_EQ(Keys("[" + bridge + "," + cloud + "]"), (Strings{"logs/a b.csv", "logs/a.csv"}));
  EXPECT_EQ(Keys(Record(R"("bare")")), (Strings{"bare"}));
}

// Our own reads raise ObjectAccessed: taking it for a change would never end.
TEST(S3EventTest, IgnoresWhatChangesNothing) {
  for (const char* name : {"ObjectAccessed:Get", "s3:ObjectAccessed:Head", "ObjectAcl:Put",
                           "s3:Replication:OperationCompletedReplication", "LifecycleTransition",
                           "IntelligentTiering", "ObjectRestore:Post", "s3:ObjectRestore:Delete"}) {
    Result<S3Events> events = ParseS3Events(Message(Record(R"("k")", name)));
    ASSERT_TRUE(events);
    EXPECT_TRUE(events->records.empty()) << name;
    EXPECT_EQ(events->ignored, 1) << name;
  }
  for (const char* name :
       {"ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete",
        "ObjectTagging:Put", "ObjectCreated:CompleteMultipartUpload", "ObjectSynced:Create",
        "ObjectLifecycle:Expiration:Current", "s3:ObjectCreated:PutTagging", "SomethingNew:Put",
        "ObjectRestore:Completed", "ObjectRetention:Put"}) {
    EXPECT_EQ(Keys(Message(Record(R"("k")", name))), (Strings{"k"})) << name;
  }
}

// EventBridge sends all that happens in a bucket; nobody can ask it for less. What changes an
// object must be taken, also a restore, after which it can be read for the first time; what follows
// from our own reading must not.
TEST(S3EventTest, KnowsTheTypesOfEventBridge) {
  const auto bridge = [](const std::string& type, const std::string& more) {
    return R"({"version":"0","id":"0","detail-type":")" + type +
           R"(","source":"aws.s3","account":"111122223333","time":"2026-03-01T09:30:00Z",)"
           R"("region":"eu-west-1","resources":["arn:aws:s3:::acme-in"],"detail":{"version":"0",)"
           R"("bucket":{"name":"acme-in"},"object":{"key":"logs/a b.csv","size":7,)"
           R"("version-id":"v1","sequencer":"00"},"request-id":"1","requester":"111122223333")" +
           more + "}}";
  };
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"Object Created", R"(,"reason":"PutObject")"},
      {"Object Created", R"(,"reason":"POST Object")"},
      {"Object Created", R"(,"reason":"CopyObject")"},
      {"Object Created", R"(,"reason":"CompleteMultipartUpload")"},
      {"Object Deleted", R"(,"reason":"DeleteObject","deletion-type":"Permanently Deleted")"},
      {"Object Deleted", R"(,"reason":"DeleteObject","deletion-type":"Delete Marker Created")"},
      {"Object Deleted",
       R"(,"reason":"Lifecycle Expiration","deletion-type":"Delete Marker Created")"},
      {"Object Tags Added", ""},
      {"Object Tags Deleted", ""},
      {"Object Restore Completed",
       R"(,"restore-expiry-time":"2026-03-08T00:00:00Z","source-storage-class":"GLACIER")"}};
  for (const auto& [type, more] : changes) {
    EXPECT_EQ(Keys(bridge(type, more)), (Strings{"logs/a b.csv"})) << type << more;
  }
  for (const char* type :
       {"Object Restore Initiated", "Object Restore Expired", "Object Storage Class Changed",
        "Object Access Tier Changed", "Object ACL Updated"}) {
    Result<S3Events> events = ParseS3Events(bridge(type, ""));
    ASSERT_TRUE(events) << type;
    EXPECT_TRUE(events->records.empty()) << type;
    EXPECT_EQ(events->ignored, 1) << type;
  }
}

// Whoever deletes nothing must be able to tell them from the others.
TEST(S3EventTest, TellsRemovals) {
  const auto removal = [](const std::string& body) {
    Result<S3Events> events = ParseS3Events(body);
    EXPECT_TRUE(events && events->records.size() == 1) << body;
    return events && events->records.at(0).removal;
  };
  for (const char* name : {"ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated",
                           "LifecycleExpiration:Delete"}) {
    EXPECT_TRUE(removal(Message(Record(R"("k")", name)))) << name;
  }
  EXPECT_FALSE(removal(Message(Record(R"("k")", "ObjectCreated:Put"))));
  EXPECT_TRUE(removal(R"({"version":"0","detail-type":"Object Deleted","source":"aws.s3",)"
                      R"("detail":{"bucket":{"name":"b"},"object":{"key":"k"}}})"));
}

// A version that is removed by its id, and a delete marker that is, may leave an older one to be
// the object: no other event tells of that.
TEST(S3EventTest, TheRemovalOfAVersionIsNoneOfTheObject) {
  const auto removal = [](const std::string& body) {
    Result<S3Events> events = ParseS3Events(body);
    EXPECT_TRUE(events && events->records.size() == 1) << body;
    return events && events->records.at(0).removal;
  };
  const auto message = [](std::string_view name, const std::string& version) {
    return Message(Record(R"("k","versionId":")" + version + '"', name));
  };
  EXPECT_FALSE(removal(message("ObjectRemoved:Delete", "v1")));
  EXPECT_FALSE(removal(message("s3:ObjectRemoved:Delete", "null")));
  EXPECT_TRUE(removal(message("ObjectRemoved:Delete", "")));
  EXPECT_TRUE(removal(message("ObjectRemoved:DeleteMarkerCreated", "v1")));
  EXPECT_TRUE(removal(message("LifecycleExpiration:Delete", "v1")));
  EXPECT_TRUE(removal(message("ObjectLifecycle:Expiration:Noncurrent", "v1")));
  const auto bridge = [](const std::string& reason, const std::string& deletion) {
    return R"({"version":"0","detail-type":"Object Deleted","source":"aws.s3","detail":)"
           R"({"bucket":{"name":"b"},"object":{"key":"k","version-id":"v1"},"reason":")" +
           reason + R"(","deletion-type":")" + deletion + R"("}})";
  };
  EXPECT_FALSE(removal(bridge("DeleteObject", "Permanently Deleted")));
  EXPECT_TRUE(removal(bridge("DeleteObject", "Delete Marker Created")));
  EXPECT_TRUE(removal(bridge("Lifecycle Expiration", "Permanently Deleted")));
}

// Only these make it worth asking whether a target holds the bytes already.
TEST(S3EventTest, TellsWhatMayBeAChangeOfAttributes) {
  const auto attributes = [](const std::string& body) {
    Result<S3Events> events = ParseS3Events(body);
    EXPECT_TRUE(events && events->records.size() == 1) << body;
    return events && events->records.at(0).attributes;
  };
  for (const char* name : {"ObjectTagging:Put", "s3:ObjectTagging:Delete", "ObjectCreated:Copy",
                           "s3:ObjectCreated:PutTagging", "s3:ObjectCreated:DeleteTagging"}) {
    EXPECT_TRUE(attributes(Message(Record(R"("k")", name)))) << name;
  }
  for (const char* name : {"ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload",
                           "ObjectRemoved:Delete", "ObjectRestore:Completed", "SomethingNew"}) {
    EXPECT_FALSE(attributes(Message(Record(R"("k")", name)))) << name;
  }
  const auto bridge = [](const std::string& type, const std::string& reason) {
    return R"({"version":"0","detail-type":")" + type +
           R"(","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"k"},"reason":")" +
           reason + R"("}})";
  };
  EXPECT_TRUE(attributes(bridge("Object Tags Added", "PutObjectTagging")));
  EXPECT_TRUE(attributes(bridge("Object Tags Deleted", "DeleteObjectTagging")));
  EXPECT_TRUE(attributes(bridge("Object Created", "CopyObject")));
  EXPECT_FALSE(attributes(bridge("Object Created", "PutObject")));
  EXPECT_FALSE(attributes(bridge("Object Deleted", "Lifecycle Expiration")));
}

TEST(S3EventTest, TestEventsAreUnderstoodAndEmpty) {
  Result<S3Events> events = ParseS3Events(
      R"({"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-03-01T09:00:00.000Z","Bucket":"b"})");
  ASSERT_TRUE(events);
  EXPECT_EQ(events->tests, 1);
  EXPECT_TRUE(events->records.empty());
  EXPECT_EQ(ParseS3Events(Message(Record(R"("k")", "s3:TestEvent")))->tests, 1);
}

// What is not understood must be an error: an empty answer would make the sender forget it.
TEST(S3EventTest, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(RefusalOf(""), "NotJson");
  EXPECT_EQ(RefusalOf("<xml/>"), "NotJson");
  EXPECT_EQ(RefusalOf(R"({"Records":[)"), "NotJson");
  EXPECT_EQ(RefusalOf("{}"), "UnknownShape");
  EXPECT_EQ(RefusalOf("[1,2]"), "UnknownShape");
  EXPECT_EQ(RefusalOf("null"), "UnknownShape");
  EXPECT_EQ(RefusalOf(R"({"bucket":"b","key":"k"})"), "UnknownShape");
  EXPECT_EQ(RefusalOf(R"({"Records":{}})"), "UnknownShape");
  EXPECT_EQ(RefusalOf(R"({"Type":"SubscriptionConfirmation","TopicArn":"t"})"),
            "SubscriptionConfirmation");
  EXPECT_EQ(RefusalOf(std::string(kEventBodyBytesMax + 1, ' ')), "EntityTooLarge");
  EXPECT_EQ(RefusalOf(std::string(1000, '[')), "NotJson");
  std::string many = "[";
  for (size_t i = 0; i <= kEventRecordsMax; ++i) {
    many += R"({"s3":{"bucket":{"name":"b"},"object":{"key":"k"}}},)";
  }
  many.back() = ']';
  EXPECT_EQ(RefusalOf(many), "TooManyRecords");
}

// An item that nobody understands must not go with its neighbours: nobody would ever tell of it.
TEST(S3EventTest, ItemsOfAnArrayThatNobodyUnderstandsAreCounted) {
  const std::string good = Message(Record(R"("good")"));
  const auto malformed = [&](const std::string& item) {
    Result<S3Events> events = ParseS3Events("[" + good + "," + item + "]");
    EXPECT_TRUE(events) << item;
    if (!events) return -1;
    EXPECT_EQ(events->records.size(), 1u) << item;
    return events->malformed;
  };
  for (
      const char* item :
      {R"({"type":"s3-create","bucket":"acme-in","key":"logs/b"})", "{}", "7", R"("text")", "null",
       "[]", R"([{"Records":[]}])", R"({"Type":"Notification","Message":""})",
       R"({"Type":"Notification","Message":"[]"})", R"({"Type":"Notification","Message":"{}"})",
       R"({"specversion":"1.0","type":"x"})", R"({"specversion":"1.0","type":"x","data":{}})",
       R"({"specversion":"1.0","type":"x","data":[1]})",
       R"({"specversion":"1.0","type":"x","data_base64":"!"})",
       R"({"Type":"Notification","Message":"[{\"Type\":\"Notification\",\"Message\":\"{}\"}]"})"}) {
    EXPECT_EQ(malformed(item), 1) << item;
  }
  // Each of those that are none counts.
  EXPECT_EQ(malformed(R"({},{"Type":"Notification","Message":"[7,{}]"})"), 3);
  // What asks for nothing has been understood.
  for (const std::string& item :
       {std::string(R"({"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"})"),
        Message(Record(R"("k")", "s3:TestEvent")), Message(Record(R"("k")", "ObjectAccessed:Get")),
        std::string(R"({"Records":[]})")}) {
    EXPECT_EQ(malformed(item), 0) << item;
  }
  // A broken record counts once.
  EXPECT_EQ(malformed(R"({"Records":[{}]})"), 1);
}

// One broken record must not take its neighbours with it.
TEST(S3EventTest, BrokenRecordsAreCountedAndTheRestTaken) {
  std::string future = Record(R"("k")");
  future.replace(future.find("2.1"), 3, "3.0");
  Result<S3Events> events =
      ParseS3Events(Message(R"({},1,{"s3":{}},{"s3":{"bucket":{"name":"b"},"object":{"key":7}}},)" +
                            Record('"' + std::string(1025, 'k') + '"') + "," +
                            Record(R"("a\u0000b")") + "," + future + "," + Record(R"("good")")));
  ASSERT_TRUE(events) << events.error().Describe();
  EXPECT_EQ(events->malformed, 7);
  ASSERT_EQ(events->records.size(), 1u);
  EXPECT_EQ(events->records[0].key, "good");
}

}  // namespace
}  // namespace longhaul
