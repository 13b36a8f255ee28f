// Objects: bytes, headers, metadata, tags, ranges, conditions, copies, removal.

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/conformance/store_suite.h"

namespace longhaul::testing {

PutRequest StoreSuite::At(std::string key) const {
  PutRequest request;
  request.bucket = bucket_;
  request.key = std::move(key);
  return request;
}

GetRequest StoreSuite::From(std::string key) const {
  GetRequest request;
  request.bucket = bucket_;
  request.key = std::move(key);
  return request;
}

Result<PutResult> StoreSuite::TryPut(PutRequest request, std::string text) {
  return Run(PutText(store_, std::move(request), std::move(text)));
}

PutResult StoreSuite::Put(PutRequest request, std::string text) {
  std::string key = request.key;
  Result<PutResult> result = TryPut(std::move(request), std::move(text));
  EXPECT_TRUE(result) << key << ": " << result.error().Describe();
  return result ? *result : PutResult();
}

Result<std::string> StoreSuite::TryRead(GetRequest request) {
  return Run(GetAll(store_, std::move(request), 64 << 20));
}

std::string StoreSuite::Read(std::string key) {
  Result<std::string> text = TryRead(From(key));
  EXPECT_TRUE(text) << key << ": " << text.error().Describe();
  return text ? *text : "";
}

ObjectInfo StoreSuite::Head(std::string key) {
  Result<ObjectInfo> info = Run(store_.Head({.bucket = bucket_, .key = key}));
  EXPECT_TRUE(info) << key << ": " << info.error().Describe();
  return info ? *info : ObjectInfo();
}

bool StoreSuite::Exists(const std::string& key) {
  Result<std::string> text = TryRead(From(key));
  if (!text) {
    EXPECT_EQ(text.error().kind, ErrorKind::kNotFound) << text.error().Describe();
  }
  return text.has_value();
}

std::string StoreSuite::Bytes(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (char& c : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>(state >> 24);
  }
  return bytes;
}

std::string StoreSuite::Md5Hex(const std::string& bytes) { return HexEncode(Md5(bytes)); }

namespace {

// A body that must be read piece by piece.
class PiecewiseSource : public ByteSource {
 public:
  PiecewiseSource(std::string bytes, size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
  [[nodiscard]] uint64_t size_bytes() const override { return bytes_.size(); }
  Async<size_t> Read(std::span<std::byte> out) override {
    size_t count = std::min({out.size(), piece_, bytes_.size() - offset_});
    std::ranges::copy(AsBytes(bytes_).subspan(offset_, count), out.begin());
    offset_ += count;
    co_return count;
  }

 private:
  std::string bytes_;
  size_t piece_;
  size_t offset_ = 0;
};

Async<PutResult> PutPiecewise(Store& store, PutRequest request, std::string bytes, size_t piece) {
  PiecewiseSource source(std::move(bytes), piece);
  co_return co_await store.Put(std::move(request), source);
}

Async<SystemTime> AbsentAt(Store& store, GetRequest request) {
  SystemTime absent_at{};
  Result<ObjectStream> stream = co_await store.Get(std::move(request), &absent_at);
  if (stream) co_return InvalidInput("it is there");
  co_return absent_at;
}

struct Opened {
  ObjectInfo info;
  uint64_t offset_bytes = 0;
  uint64_t length_bytes = 0;
  std::string text;
};

Async<Opened> Open(Store& store, GetRequest request) {
  Result<ObjectStream> stream = co_await store.Get(std::move(request));
  if (!stream) co_return stream.error();
  Opened opened{stream->info, stream->offset_bytes, stream->length_bytes, ""};
  Result<std::string> text = co_await ReadAll(*stream->body, 64 << 20);
  if (!text) co_return text.error();
  opened.text = std::move(*text);
  co_return opened;
}

// Reads a few bytes, lets `between` happen, then reads the rest.
Async<std::string> ReadAround(Store& store, GetRequest request, PutRequest between,
                              std::string text) {
  Result<ObjectStream> stream = co_await store.Get(std::move(request));
  if (!stream) co_return stream.error();
  std::array<std::byte, 10> first;
  Result<size_t> count = co_await stream->body->Read(first);
  if (!count) co_return count.error();
  Result<PutResult> put = co_await PutText(store, std::move(between), std::move(text));
  if (!put) co_return put.error();
  Result<std::string> rest = co_await ReadAll(*stream->body, 64 << 20);
  if (!rest) co_return rest.error();
  co_return std::string(AsText(std::span(first).first(*count))) + *rest;
}

Async<void> DropEarly(Store& store, GetRequest request) {
  Result<ObjectStream> stream = co_await store.Get(std::move(request));
  if (!stream) co_return stream.error();
  std::array<std::byte, 10> first;
  Result<size_t> count = co_await stream->body->Read(first);
  if (!count) co_return count.error();
  co_return Ok();
}

// Puts `texts` at once; how many succeeded, and the kind of the others' errors.
struct RaceResult {
  int winners = 0;
  std::vector<Error> losers;
};
Async<void> PutOne(Store& store, PutRequest request, std::string text, RaceResult& race) {
  Result<PutResult> put = co_await PutText(store, std::move(request), std::move(text));
  if (put) {
    ++race.winners;
  } else {
    race.losers.push_back(put.error());
  }
  co_return Ok();
}
asio::awaitable<RaceResult> Race(Store& store, PutRequest request, std::vector<std::string> texts) {
  RaceResult race;
  TaskGroup group(co_await CurrentExecutor());
  for (std::string& text : texts) group.Spawn(PutOne(store, request, std::move(text), race));
  (void)co_await group.Join();
  co_return race;
}

asio::awaitable<RaceResult> PutMany(Store& store, std::string bucket, int count) {
  RaceResult race;
  TaskGroup group(co_await CurrentExecutor());
  for (int i = 0; i < count; ++i) {
    PutRequest request;
    request.bucket = bucket;
    request.key = "many/" + std::to_string(i);
    group.Spawn(PutOne(store, std::move(request), std::string(1000 + i, 'x'), race));
  }
  (void)co_await group.Join();
  co_return race;
}

}  // namespace

// The first promise of all: what is put is what comes back.
TEST_P(StoreSuite, BytesComeBack) {
  for (size_t size : {1, 3, 4095, 65536, 300'001, 3'000'000}) {
    std::string bytes = Bytes(size, size);
    PutResult put = Put("size-" + std::to_string(size), bytes);
    EXPECT_FALSE(put.etag.empty());
    EXPECT_EQ(put.etag.find('"'), std::string::npos);
    EXPECT_TRUE(Read("size-" + std::to_string(size)) == bytes) << size;
    ObjectInfo info = Head("size-" + std::to_string(size));
    EXPECT_EQ(info.size_bytes, size);
    EXPECT_EQ(info.etag, put.etag);
  }
}

// A body that comes in pieces must be stored like one that lies in memory.
TEST_P(StoreSuite, PiecewiseBodiesAreStored) {
  std::string bytes = Bytes(700'001);
  Result<PutResult> put = Run(PutPiecewise(store_, At("pieces"), bytes, 60'000));
  ASSERT_TRUE(put) << put.error().Describe();
  EXPECT_TRUE(Read("pieces") == bytes);
  EXPECT_EQ(Head("pieces").etag, put->etag);
  // Without a byte there is nothing to read, and that is no error.
  Result<PutResult> empty = Run(PutPiecewise(store_, At("no pieces"), "", 10));
  ASSERT_TRUE(empty) << empty.error().Describe();
  EXPECT_EQ(Head("no pieces").size_bytes, 0u);
}

// Replicas of single-part objects are verified by it.
TEST_P(StoreSuite, EtagOfAPutIsItsMd5) {
  std::string bytes = Bytes(10'000);
  EXPECT_EQ(Put("md5", bytes).etag, Md5Hex(bytes));
  EXPECT_TRUE(IsPlainMd5Etag(Head("md5").etag));
}

// An empty object is an object: markers and `_SUCCESS` files are such.
TEST_P(StoreSuite, ZeroBytes) {
  Put("empty", "");
  EXPECT_EQ(Read("empty"), "");
  EXPECT_EQ(Head("empty").size_bytes, 0u);
  EXPECT_EQ(Head("empty").etag, "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(Keys(), std::vector<std::string>{"empty"});
}

// Everything that belongs to an object must travel with it.
TEST_P(StoreSuite, HeadersAndMetadataComeBack) {
  PutRequest request = At("headers");
  request.headers = {.content_type = "text/csv; charset=utf-8",
                     .content_encoding = "gzip",
                     .content_language = "de-CH",
                     .content_disposition = "attachment; filename=\"a b.csv\"",
                     .cache_control = "max-age=3600, private",
                     .expires = "Thu, 01 Dec 2033 16:00:00 GMT"};
  request.metadata = {{"owner", "someone"}, {"run-id", "7 of 9, \"x\" = y"}, {"empty", "x"}};
  Put(request, "a,b\n");
  ObjectInfo head = Head("headers");
  EXPECT_EQ(head.headers, request.headers);
  EXPECT_EQ(head.metadata, request.metadata);
  Result<Opened> opened = Run(Open(store_, From("headers")));
  ASSERT_TRUE(opened) << opened.error().Describe();
  EXPECT_EQ(opened->info.headers, request.headers);
  EXPECT_EQ(opened->info.metadata, request.metadata);
  EXPECT_EQ(opened->info.size_bytes, 4u);
  EXPECT_EQ(opened->info.etag, head.etag);
}

// Overwriting must not leave headers of the old object behind.
TEST_P(StoreSuite, OverwritingReplacesEverything) {
  PutRequest first = At("twice");
  first.headers.content_type = "text/html";
  first.headers.cache_control = "no-cache";
  first.metadata = {{"a", "1"}};
  if (can_.tags) first.tags = {{"t", "1"}};
  Put(first, "first, longer");
  PutRequest second = At("twice");
  second.metadata = {{"b", "2"}};
  Put(second, "second");
  EXPECT_EQ(Read("twice"), "second");
  ObjectInfo info = Head("twice");
  EXPECT_EQ(info.metadata, (UserMetadata{{"b", "2"}}));
  EXPECT_EQ(info.headers.cache_control, "");
  EXPECT_NE(info.headers.content_type, "text/html");
  EXPECT_EQ(info.tag_count, 0);
}

// Stamps are made of the server's time: one that is missing or far off would break their order.
TEST_P(StoreSuite, ServerTimeIsSane) {
  SystemTime before = harness_->world().clock().Now();
  PutResult put = Put("time", "x");
  ObjectInfo head = Head("time");
  Result<Opened> opened = Run(Open(store_, From("time")));
  ASSERT_TRUE(opened);
  Result<SystemTime> absent_at = Run(AbsentAt(store_, From("absent")));
  ASSERT_TRUE(absent_at);
  for (SystemTime time : {put.server_time, head.server_time, opened->info.server_time,
                          head.last_modified, *absent_at}) {
    EXPECT_LT(before - std::chrono::seconds(5), time);
    EXPECT_LT(time, before + std::chrono::minutes(5));
  }
  EXPECT_LE(put.server_time, opened->info.server_time);
}

// A missing key is told apart from a missing bucket; deletes are replicated on that word.
TEST_P(StoreSuite, AbsenceIsTold) {
  Result<std::string> key = TryRead(From("absent"));
  EXPECT_EQ(KindOf(key), ErrorKind::kNotFound);
  EXPECT_EQ(key.error().code, "NoSuchKey");
  Result<ObjectInfo> head = Run(store_.Head({.bucket = bucket_, .key = "absent"}));
  EXPECT_EQ(KindOf(head), ErrorKind::kNotFound);

  GetRequest elsewhere = From("absent");
  elsewhere.bucket = harness_->unused_bucket();
  Result<std::string> no_bucket = TryRead(elsewhere);
  EXPECT_EQ(KindOf(no_bucket), ErrorKind::kNotFound);
  EXPECT_EQ(no_bucket.error().code, "NoSuchBucket");
  Result<ListPage> list = Run(store_.List({.bucket = elsewhere.bucket}));
  EXPECT_EQ(KindOf(list), ErrorKind::kNotFound);
  PutRequest put = At("x");
  put.bucket = elsewhere.bucket;
  EXPECT_EQ(KindOf(TryPut(put, "x")), ErrorKind::kNotFound);
  EXPECT_EQ(KindOf(Run(store_.HeadBucket(elsewhere.bucket))), ErrorKind::kNotFound);
}

// Archives are read by ranges; one byte off and nothing unpacks.
TEST_P(StoreSuite, Ranges) {
  std::string bytes = Bytes(100'000);
  Put("ranges", bytes);
  for (auto [offset, size] : {std::pair<uint64_t, uint64_t>{0, 1},
                              {0, 100'000},
                              {99'999, 1},
                              {12'345, 54'321},
                              {99'990, 1000}}) {
    GetRequest request = From("ranges");
    request.range = ByteRange{offset, size};
    Result<Opened> opened = Run(Open(store_, request));
    ASSERT_TRUE(opened) << opened.error().Describe();
    EXPECT_TRUE(opened->text == bytes.substr(offset, size)) << offset << "+" << size;
    EXPECT_EQ(opened->offset_bytes, offset);
    EXPECT_EQ(opened->length_bytes, opened->text.size());
    EXPECT_EQ(opened->info.size_bytes, 100'000u);
  }
  GetRequest past = From("ranges");
  past.range = ByteRange{100'000, 1};
  Result<std::string> refused = TryRead(past);
  EXPECT_EQ(KindOf(refused), ErrorKind::kInvalidInput);
  EXPECT_EQ(refused.error().code, "InvalidRange");
}

// The tail of an archive is read before its size is known.
TEST_P(StoreSuite, SuffixRanges) {
  std::string bytes = Bytes(5000);
  Put("suffix", bytes);
  for (uint64_t count : {1, 100, 5000, 9000}) {
    GetRequest request = From("suffix");
    request.suffix_bytes = count;
    Result<Opened> opened = Run(Open(store_, request));
    ASSERT_TRUE(opened) << opened.error().Describe();
    uint64_t expected = std::min<uint64_t>(count, 5000);
    EXPECT_TRUE(opened->text == bytes.substr(5000 - expected)) << count;
    EXPECT_EQ(opened->offset_bytes, 5000 - expected);
    EXPECT_EQ(opened->info.size_bytes, 5000u);
  }
}

// A large object is read by many ranges, which must all be of one version.
TEST_P(StoreSuite, GetIfMatch) {
  std::string etag = Put("match", "one").etag;
  GetRequest request = From("match");
  request.if_match = etag;
  Result<std::string> text = TryRead(request);
  ASSERT_TRUE(text) << text.error().Describe();
  EXPECT_EQ(*text, "one");
  Put("match", "two");
  EXPECT_EQ(KindOf(TryRead(request)), ErrorKind::kPrecondition);
}

// An object half old and half new would be replicated as such.
TEST_P(StoreSuite, AStreamStaysOnItsVersion) {
  std::string old_bytes = Bytes(2'000'000, 1);
  Put("changing", old_bytes);
  Result<std::string> text =
      Run(ReadAround(store_, From("changing"), At("changing"), Bytes(2'000'000, 2)));
  // The old bytes, or an error; never a mixture.
  if (text) {
    EXPECT_TRUE(*text == old_bytes);
  } else {
    EXPECT_TRUE(text.error().Transient() || text.error().kind == ErrorKind::kPrecondition ||
                text.error().kind == ErrorKind::kCorrupt)
        << text.error().Describe();
  }
}

// Readers give up early all the time: `archive ls` reads a tail of a stream and goes.
TEST_P(StoreSuite, AStreamMayBeDropped) {
  Put("dropped", Bytes(2'000'000));
  for (int i = 0; i < 5; ++i) {
    Result<void> dropped = Run(DropEarly(store_, From("dropped")));
    EXPECT_TRUE(dropped) << dropped.error().Describe();
  }
  EXPECT_EQ(Read("dropped").size(), 2'000'000u);
}

// The race for a new key has one winner, or two replicas overwrite each other.
TEST_P(StoreSuite, CreateIfAbsent) {
  PutRequest request = At("create");
  request.condition.if_absent = true;
  Result<PutResult> first = TryPut(request, "first");
  Result<PutResult> again = TryPut(request, "second");
  if (!can_.create_if_absent) {
    EXPECT_TRUE(again || again.error().kind == ErrorKind::kInvalidInput);
    return;
  }
  ASSERT_TRUE(first) << first.error().Describe();
  EXPECT_EQ(KindOf(again), ErrorKind::kPrecondition);
  EXPECT_EQ(Read("create"), "first");

  PutRequest racing = At("race");
  racing.condition.if_absent = true;
  RaceResult race = Run(Race(store_, racing, {"a", "b", "c", "d", "e", "f", "g", "h"}));
  EXPECT_EQ(race.winners, 1);
  for (const Error& error : race.losers) {
    EXPECT_EQ(error.kind, ErrorKind::kPrecondition) << error.Describe();
  }
}

// "Nothing stale" rests on it.
TEST_P(StoreSuite, ReplaceIfMatch) {
  std::string first = Put("replace", "first").etag;
  PutRequest request = At("replace");
  request.condition.if_match = first;
  Result<PutResult> second = TryPut(request, "second");
  Result<PutResult> stale = TryPut(request, "third");
  if (!can_.replace_if_match) {
    EXPECT_TRUE(stale || stale.error().kind == ErrorKind::kInvalidInput);
    return;
  }
  ASSERT_TRUE(second) << second.error().Describe();
  EXPECT_EQ(KindOf(stale), ErrorKind::kPrecondition);
  EXPECT_EQ(Read("replace"), "second");

  // S3 says 404 when nothing is there, others 412.
  PutRequest absent = At("never");
  absent.condition.if_match = first;
  ErrorKind kind = KindOf(TryPut(absent, "x"));
  EXPECT_TRUE(kind == ErrorKind::kPrecondition || kind == ErrorKind::kNotFound);
  EXPECT_FALSE(Exists("never"));

  PutRequest racing = At("replace");
  racing.condition.if_match = Head("replace").etag;
  RaceResult race = Run(Race(store_, racing, {"a", "b", "c", "d", "e", "f", "g", "h"}));
  EXPECT_EQ(race.winners, 1);
}

// Bytes that changed on their way must not be stored.
TEST_P(StoreSuite, WrongChecksumsAreRefused) {
  std::string bytes = Bytes(5000);
  struct Algorithm {
    ChecksumAlgorithm algorithm;
    HashKind kind;
  };
  for (Algorithm algorithm : {Algorithm{ChecksumAlgorithm::kCrc32, HashKind::kCrc32},
                              {ChecksumAlgorithm::kCrc32c, HashKind::kCrc32c},
                              {ChecksumAlgorithm::kCrc64Nvme, HashKind::kCrc64Nvme},
                              {ChecksumAlgorithm::kSha1, HashKind::kSha1},
                              {ChecksumAlgorithm::kSha256, HashKind::kSha256}}) {
    std::string key = "checksum-" + std::to_string(static_cast<int>(algorithm.algorithm));
    PutRequest request = At(key);
    request.checksum =
        Checksum{algorithm.algorithm, Base64Encode(Digest(algorithm.kind, bytes)), false};
    Put(request, bytes);
    if (!can_.checksums) continue;
    std::vector<Checksum> stored = Head(key).checksums;
    EXPECT_TRUE(std::ranges::find(stored, *request.checksum) != stored.end()) << key;
    request.key = key + "-wrong";
    Result<PutResult> wrong = TryPut(request, bytes + "!");
    EXPECT_TRUE(KindOf(wrong) == ErrorKind::kInvalidInput ||
                wrong.error().kind == ErrorKind::kCorrupt)
        << key << ": " << wrong.error().Describe();
    EXPECT_FALSE(Exists(request.key));
  }
}

// The only end-to-end check on servers without checksums.
TEST_P(StoreSuite, WrongContentMd5IsRefused) {
  PutRequest request = At("content-md5");
  request.content_md5 = Base64Encode(Md5("right"));
  Put(request, "right");
  request.key = "content-md5-wrong";
  EXPECT_EQ(KindOf(TryPut(request, "wrong")), ErrorKind::kInvalidInput);
  EXPECT_FALSE(Exists("content-md5-wrong"));
}

// Tags decide which rule an object falls under.
TEST_P(StoreSuite, TagsComeBackAndAreReplaced) {
  PutRequest request = At("tags");
  Tags tags{{"tier", "hot"}, {"owner", "a b+c/d=e@f"}, {"ümlaut", "größe"}};
  if (!can_.tags) {
    Put(request, "x");
    EXPECT_EQ(KindOf(Run(store_.PutTags(bucket_, "tags", tags))), ErrorKind::kInvalidInput);
    EXPECT_EQ(Head("tags").tag_count, 0);
    return;
  }
  request.tags = tags;
  Result<PutResult> put_with_tags = TryPut(request, "x");
  if (!put_with_tags) {
    // minio takes ASCII names alone; it says so, and nothing is lost.
    EXPECT_EQ(put_with_tags.error().kind, ErrorKind::kInvalidInput);
    tags.erase("ümlaut");
    tags["plain"] = "value";
    request.tags = tags;
    Put(request, "x");
  }
  Result<Tags> stored = Run(store_.GetTags(bucket_, "tags", ""));
  ASSERT_TRUE(stored) << stored.error().Describe();
  EXPECT_EQ(*stored, tags);
  Result<Opened> opened = Run(Open(store_, From("tags")));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->info.tag_count, 3);

  Tags others{{"tier", "cold"}};
  Result<void> put = Run(store_.PutTags(bucket_, "tags", others));
  ASSERT_TRUE(put) << put.error().Describe();
  EXPECT_EQ(*Run(store_.GetTags(bucket_, "tags", "")), others);
  ASSERT_TRUE(Run(store_.PutTags(bucket_, "tags", {})));
  EXPECT_TRUE(Run(store_.GetTags(bucket_, "tags", ""))->empty());
  // Tags change neither the object nor its metadata.
  EXPECT_EQ(Read("tags"), "x");
  EXPECT_EQ(KindOf(Run(store_.GetTags(bucket_, "absent", ""))), ErrorKind::kNotFound);
  EXPECT_EQ(KindOf(Run(store_.PutTags(bucket_, "absent", others))), ErrorKind::kNotFound);
}

// What a class costs is the user's decision; it must not be lost silently.
TEST_P(StoreSuite, StorageClassIsKept) {
  PutRequest request = At("class");
  request.storage_class = "STANDARD_IA";
  if (!can_.storage_classes) {
    Result<PutResult> put = TryPut(request, "x");
    if (!put) EXPECT_EQ(put.error().kind, ErrorKind::kInvalidInput) << put.error().Describe();
    return;
  }
  Put(request, "x");
  EXPECT_EQ(Head("class").storage_class, "STANDARD_IA");
  Put("plain", "x");
  std::string plain = Head("plain").storage_class;
  EXPECT_TRUE(plain.empty() || plain == "STANDARD") << plain;
}

// A copy carries what belongs to the object, unless told otherwise.
TEST_P(StoreSuite, CopyKeepsOrReplaces) {
  PutRequest request = At("from/a b+c%41.txt");
  request.headers.content_type = "text/plain";
  request.metadata = {{"a", "1"}};
  if (can_.tags) request.tags = {{"t", "1"}};
  std::string bytes = Bytes(50'000);
  std::string etag = Put(request, bytes).etag;

  CopyRequest copy{
      .source_bucket = bucket_, .source_key = request.key, .bucket = bucket_, .key = "to/plain"};
  Result<PutResult> copied = Run(store_.Copy(copy));
  ASSERT_TRUE(copied) << copied.error().Describe();
  EXPECT_TRUE(Read("to/plain") == bytes);
  ObjectInfo info = Head("to/plain");
  EXPECT_EQ(info.headers.content_type, "text/plain");
  EXPECT_EQ(info.metadata, request.metadata);
  EXPECT_EQ(info.etag, etag);
  EXPECT_EQ(copied->etag, etag);
  if (can_.tags) EXPECT_EQ(*Run(store_.GetTags(bucket_, "to/plain", "")), request.tags);

  copy.key = "to/replaced";
  copy.replacement = {.headers = {.content_type = "image/png"}, .metadata = {{"b", "2"}}};
  if (can_.tags) copy.tags = Tags{{"u", "2"}};
  ASSERT_TRUE(Run(store_.Copy(copy)));
  info = Head("to/replaced");
  EXPECT_EQ(info.headers.content_type, "image/png");
  EXPECT_EQ(info.metadata, (UserMetadata{{"b", "2"}}));
  if (can_.tags) EXPECT_EQ(*Run(store_.GetTags(bucket_, "to/replaced", "")), *copy.tags);

  // Onto itself: the way to change the metadata of what is there.
  copy.key = request.key;
  Result<PutResult> self = Run(store_.Copy(copy));
  ASSERT_TRUE(self) << self.error().Describe();
  EXPECT_EQ(Head(request.key).metadata, (UserMetadata{{"b", "2"}}));
  EXPECT_TRUE(Read(request.key) == bytes);
}

// A copy of what is not there any more must not write anything.
TEST_P(StoreSuite, CopyConditions) {
  std::string etag = Put("from", "x").etag;
  CopyRequest copy{.source_bucket = bucket_, .source_key = "from", .bucket = bucket_, .key = "to"};
  copy.source_if_match = etag;
  ASSERT_TRUE(Run(store_.Copy(copy)));
  Put("from", "y");
  copy.key = "other";
  EXPECT_EQ(KindOf(Run(store_.Copy(copy))), ErrorKind::kPrecondition);
  copy.source_if_match.clear();
  copy.source_key = "absent";
  EXPECT_EQ(KindOf(Run(store_.Copy(copy))), ErrorKind::kNotFound);
  EXPECT_FALSE(Exists("other"));
}

// Deletes are repeated; the second must not be an error.
TEST_P(StoreSuite, RemoveIsIdempotent) {
  Put("gone", "x");
  Put("gone2", "x");
  for (int i = 0; i < 2; ++i) {
    Result<void> removed = Run(store_.Remove({.bucket = bucket_, .key = "gone"}));
    EXPECT_TRUE(removed) << removed.error().Describe();
  }
  EXPECT_FALSE(Exists("gone"));
  EXPECT_EQ(Keys(), std::vector<std::string>{"gone2"});
}

// A replica that someone else has replaced must not be deleted.
TEST_P(StoreSuite, RemoveIfMatch) {
  std::string etag = Put("remove", "one").etag;
  Put("remove", "two");
  Result<void> stale = Run(store_.Remove({.bucket = bucket_, .key = "remove", .if_match = etag}));
  if (!can_.delete_if_match) {
    EXPECT_TRUE(stale || stale.error().kind == ErrorKind::kInvalidInput);
    return;
  }
  EXPECT_EQ(KindOf(stale), ErrorKind::kPrecondition);
  EXPECT_EQ(Read("remove"), "two");
  std::string now = Head("remove").etag;
  Result<void> removed = Run(store_.Remove({.bucket = bucket_, .key = "remove", .if_match = now}));
  EXPECT_TRUE(removed) << removed.error().Describe();
  EXPECT_FALSE(Exists("remove"));
}

// One key that fails must not hide the fate of the others.
TEST_P(StoreSuite, RemoveMany) {
  std::vector<RemoveRequest> requests;
  for (int i = 0; i < 30; ++i) {
    std::string key = "many/a b+c%2F&<" + std::to_string(i) + ">";
    Put(key, "x");
    if (i % 3 != 0) requests.push_back({.bucket = bucket_, .key = key});
  }
  requests.push_back({.bucket = bucket_, .key = "many/never"});
  Result<std::vector<RemoveFailure>> failures = Run(store_.RemoveMany(bucket_, requests));
  ASSERT_TRUE(failures) << failures.error().Describe();
  EXPECT_TRUE(failures->empty()) << failures->front().key;
  EXPECT_EQ(Keys("many/").size(), 10u);
}

// A pool of connections or a folder lock that cannot stand 50 writers shows here.
TEST_P(StoreSuite, FiftyPutsAtOnce) {
  RaceResult race = Run(PutMany(store_, bucket_, 50));
  EXPECT_EQ(race.winners, 50);
  EXPECT_TRUE(race.losers.empty()) << race.losers.front().Describe();
  EXPECT_EQ(Keys("many/").size(), 50u);
  EXPECT_EQ(Read("many/49").size(), 1049u);
}

// Many writers of one key: the last one's object, whole, with its own metadata.
TEST_P(StoreSuite, WritersOfOneKeyDoNotMix) {
  std::vector<std::string> texts;
  for (int i = 0; i < 12; ++i) texts.push_back(Bytes(20'000 + static_cast<size_t>(i), 100 + i));
  RaceResult race = Run(Race(store_, At("contended"), texts));
  EXPECT_EQ(race.winners, 12) << race.losers.front().Describe();
  std::string stored = Read("contended");
  EXPECT_TRUE(std::ranges::find(texts, stored) != texts.end());
  EXPECT_EQ(Head("contended").etag, Md5Hex(stored));
  EXPECT_EQ(Head("contended").size_bytes, stored.size());
}

}  // namespace longhaul::testing
