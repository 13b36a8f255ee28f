#include "transfer/listing/listing_source.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/listing/csv.h"
#include "transfer/listing/inventory.h"
#include "transfer/listing/kept_listing.h"
#include "transfer/local/local_folder.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::RealWorld;
using testing::TempDir;

std::string Gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(text.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class ListingSourceTest : public ::testing::Test {
 protected:
  ListingSourceTest() { backend_->buckets["b"]; }

  void Put(const std::string& key, const std::string& text) {
    EXPECT_TRUE(world_.Run(PutText(store_, {.bucket = "b", .key = key}, text)));
  }
  void Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder_.file(name)).parent_path());
    std::ofstream(folder_.file(name), std::ios::binary) << text;
  }
  std::string Read(const std::string& name) {
    std::ifstream file(folder_.file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  ListingFile File(const std::string& name) {
    return {.store = &local_, .bucket = folder_.path() + "/", .key = name, .name = name};
  }
  // "key=size " of all, or "error: …".
  std::string All(std::unique_ptr<Listing> listing) {
    std::string text;
    while (true) {
      auto next = world_.Run(listing->Next());
      if (!next) {
        last_error_ = next.error();
        text = "error: " + next.error().message;
        break;
      }
      if (!*next) break;
      text += (*next)->key + "=" + std::to_string((*next)->size_bytes) + " ";
    }
    world_.Run(Closed(*listing));
    return text;
  }
  static asio::awaitable<bool> Closed(Listing& listing) {
    co_await listing.Close();
    co_return true;
  }
  std::string From(const std::string& name, ListingFileKind kind = ListingFileKind::kAny,
                   const std::string& prefix = "", MissingKey missing = nullptr) {
    auto listing = world_.Run(
        OpenListingFile(world_.runtime, File(name), kind, store_, "b", prefix, {}, missing));
    if (!listing) {
      last_error_ = listing.error();
      return "error: " + listing.error().message;
    }
    return All(std::move(*listing));
  }
  void Keep(const std::string& name, const std::string& prefix = "") {
    KeptHead head{.store = "memory", .bucket = "b", .prefix = prefix};
    All(KeepListing(world_.runtime, OpenListing(world_.runtime, store_, "b", prefix),
                    folder_.file(name), head));
  }

  RealWorld world_;
  TempDir folder_;
  std::shared_ptr<MemoryStoreBackend> backend_ = std::make_shared<MemoryStoreBackend>();
  MemoryStore store_{world_.runtime, backend_};
  LocalFolder local_{world_.runtime};
  Error last_error_;
};

TEST_F(ListingSourceTest, KeptListingIsTheListing) {
  Put("a", "1");
  Put("b/\xFF\n\"x", "22");
  Put("b/y", "333");
  Keep("l.zst");
  EXPECT_EQ(From("l.zst"), "a=1 b/y=3 b/\xFF\n\"x=2 ");
  EXPECT_EQ(From("l.zst", ListingFileKind::kAny, "b/"), "b/y=3 b/\xFF\n\"x=2 ");
  // Nothing was asked of the store.
  backend_->ResetCounts();
  From("l.zst");
  EXPECT_EQ(backend_->total_count(), 0);
}

// A run that goes on has copied them: a million would be asked for once more.
TEST_F(ListingSourceTest, WhatIsPassedOverIsNotAskedFor) {
  for (const char* key : {"a", "b", "c"}) Put(key, "1");
  Write("names", "c\nb\nmissing\na\n");
  backend_->ResetCounts();
  std::string missing;
  auto listing = world_.Run(OpenListingFile(
      world_.runtime, File("names"), ListingFileKind::kNames, store_, "b", "", {},
      [&missing](const Error&, const std::string& key) { missing += key; }, "", nullptr,
      [](const std::string& key) { return key <= "b"; }));
  ASSERT_TRUE(listing) << listing.error().Describe();
  EXPECT_EQ(All(std::move(*listing)), "c=1 ");
  EXPECT_EQ(missing, "missing");
  EXPECT_EQ(backend_->total_count(), 2);
  // And where nothing is asked for.
  auto all = OpenListing(world_.runtime, store_, "b", "");
  EXPECT_EQ(All(WithoutKeys(std::move(all), [](const std::string& key) { return key != "b"; })),
            "b=1 ");
}

// What a file is known by is what is read of it.
TEST_F(ListingSourceTest, TheStateOfAFile) {
  Write("names", "b\na\n");
  auto state =
      world_.Run(StateOfListingFile(world_.runtime, File("names"), ListingFileKind::kNames));
  ASSERT_TRUE(state) << state.error().Describe();
  EXPECT_EQ(state->sha256, HexEncode(Sha256("b\na\n")));
  EXPECT_TRUE(state->whole);
  ListingFile known = File("names");
  known.etag = state->etag;
  EXPECT_TRUE(world_.Run(TextLines::Open(world_.runtime, known)));
  Write("names", "b\na\nc\n");
  auto changed = world_.Run(TextLines::Open(world_.runtime, known));
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().kind, ErrorKind::kPrecondition);
  // The files of an inventory are known by what its manifest says of them.
  for (const bool md5 : {true, false}) {
    Write("manifest.json", std::string(R"({"sourceBucket":"b","fileFormat":"CSV","fileSchema":)"
                                       R"("Bucket, Key, Size","files":[{"key":"d.csv.gz")") +
                               (md5 ? R"(,"MD5checksum":"aa")" : "") + "}]}");
    state = world_.Run(
        StateOfListingFile(world_.runtime, File("manifest.json"), ListingFileKind::kAny));
    ASSERT_TRUE(state) << state.error().Describe();
    EXPECT_EQ(state->whole, md5);
  }
}

// A listing that is short deletes what it does not name.
TEST_F(ListingSourceTest, KeptListingThatIsNotWholeIsAnError) {
  for (int i = 0; i < 3000; ++i) Put("key" + std::to_string(i), "x");
  Keep("l.zst");
  const std::string whole = Read("l.zst");
  for (size_t size : {whole.size() - 1, whole.size() / 2, size_t{10}}) {
    Write("cut.zst", whole.substr(0, size));
    EXPECT_TRUE(From("cut.zst").starts_with("error: ")) << size;
  }
  std::string changed = whole;
  changed[changed.size() / 2] ^= 1;
  Write("changed.zst", changed);
  EXPECT_TRUE(From("changed.zst").starts_with("error: "));
  // Uncompressed and without some of its lines, as an editor would leave it.
  const std::string head = R"({"longhaul_listing":1,"store":"","bucket":"b","prefix":""})"
                           "\n";
  const std::string a = "{\"key\":\"a\",\"size\":1}\n";
  const std::string z = "{\"key\":\"z\",\"size\":1}\n";
  auto end = [](const std::string& lines, int count) {
    return "{\"end\":true,\"objects\":" + std::to_string(count) + ",\"sha256\":\"" +
           HexEncode(Sha256(lines)) + "\"}\n";
  };
  Write("fine", head + a + z + end(head + a + z, 2));
  EXPECT_EQ(From("fine"), "a=1 z=1 ");
  for (auto [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"no end", head + a + z},
           {"a line less", head + z + end(head + a + z, 2)},
           {"a line less, recounted", head + z + end(head + a + z, 1)},
           {"in another order", head + z + a + end(head + z + a, 2)},
           {"twice", head + a + a + end(head + a + a, 2)},
           {"more behind", head + a + end(head + a, 1) + a},
           {"no head", a + end(a, 1)},
           {"garbage", head + a + "garbage\n" + end(head + a, 1)},
           {"negative", head + "{\"key\":\"a\",\"size\":-1}\n" + end(head, 0)},
           {"huge", head + "{\"key\":\"a\",\"size\":99999999999999999999}\n" + end(head, 0)}}) {
    Write("file.csv.x", text);
    if (name == "no head") continue;  // Lines of JSON, of which the store is asked.
    EXPECT_TRUE(From("file.csv.x").starts_with("error: file.csv.x line ")) << name;
  }
}

TEST_F(ListingSourceTest, KeptListingOfSomethingElse) {
  Put("a/1", "1");
  Keep("l.zst", "a/");
  EXPECT_NE(From("l.zst").find("not all of ''"), std::string::npos);
  EXPECT_EQ(From("l.zst", ListingFileKind::kAny, "a/"), "a/1=1 ");
  auto other = world_.Run(OpenListingFile(world_.runtime, File("l.zst"), ListingFileKind::kAny,
                                          store_, "c", "a/", {}, nullptr));
  ASSERT_TRUE(other);
  EXPECT_NE(All(std::move(*other)).find("bucket 'b', not 'c'"), std::string::npos);
}

TEST_F(ListingSourceTest, FilesFrom) {
  Put("p/a", "1");
  Put("p/b c", "22");
  Put("p/ #x", "333");
  Write("names", "# what we want\n\nb c\r\n  /a  \n; no more\nb c\n");
  EXPECT_EQ(From("names", ListingFileKind::kNames, "p/"), "p/a=1 p/b c=2 ");
  Write("raw", "b c\n #x");
  EXPECT_EQ(From("raw", ListingFileKind::kRawNames, "p/"), "p/ #x=3 p/b c=2 ");
  // What is not there is an error with its line, unless somebody wants to hear of it.
  Write("missing", "a\nnone\n");
  EXPECT_NE(From("missing", ListingFileKind::kNames, "p/").find("missing line 2: "),
            std::string::npos);
  std::string told;
  EXPECT_EQ(From("missing", ListingFileKind::kNames, "p/",
                 [&](const Error& error, const std::string& key) { told = error.message + key; }),
            "p/a=1 ");
  EXPECT_NE(told.find("missing line 2: p/none"), std::string::npos);
  EXPECT_TRUE(told.ends_with("p/none")) << told;
}

TEST_F(ListingSourceTest, CsvAndJsonLines) {
  Put("a b", "1");
  Put("b", "22");
  Write("m.csv", "b,b\r\n\"b\",\"a+b\"\n");
  EXPECT_EQ(From("m.csv"), "a b=1 b=2 ");
  Write("m.csv.gz", Gzip("b,b\nb,a%20b\n"));
  EXPECT_EQ(From("m.csv.gz"), "a b=1 b=2 ");
  Write("bad.csv", "b,a\nb\n");
  EXPECT_EQ(From("bad.csv"), "error: bad.csv line 2: 1 fields; they are bucket,key[,version]");
  Write("bad.csv", "b,%zz\n");
  EXPECT_TRUE(From("bad.csv").starts_with("error: bad.csv line 1: "));
  Write("bad.csv", "other,a\n");
  EXPECT_TRUE(From("bad.csv").starts_with("error: bad.csv line 1: the bucket 'other'"));

  // Size and time are told: nothing is asked.
  Write("m.jsonl",
        "{\"key\":\"z\",\"size\":7,\"last_modified\":\"2026-03-01T00:00:00Z\"}\n"
        "{\"key\":\"y\",\"size\":8,\"last_modified\":\"2026-03-01T00:00:00Z\",\"other\":[1]}\n"
        "{\"event\":\"summary\",\"objects\":2}\n");
  EXPECT_EQ(From("m.jsonl"), "y=8 z=7 ");
  Write("m.jsonl", "{\"Key\":\"b\"}\n");
  EXPECT_EQ(From("m.jsonl"), "b=2 ");
  for (const char* bad : {"{\"size\":1}", "{\"key\":1}", "{\"key\":\"a\",\"size\":-1}",
                          "{\"key\":", "{\"key\":\"a\",\"bucket\":\"x\"}"}) {
    Write("bad.jsonl", std::string("{\"key\":\"b\"}\n") + bad + "\n");
    EXPECT_TRUE(From("bad.jsonl").starts_with("error: bad.jsonl line 2: ")) << From("bad.jsonl");
  }
  Write("what", "just names\n");
  EXPECT_NE(From("what").find("--files-from"), std::string::npos);
}

// As `ls --versions --json` writes them: of what is there now a line is one key's.
TEST_F(ListingSourceTest, VersionsAreForWhoAsksForThem) {
  const std::string head = R"({"last_modified":"2026-03-01T00:00:0)";
  const std::string marker = head + R"(2Z","key":"k","size":0,"version_id":"m",)"
                                    R"("is_delete_marker":true})";
  const std::string old = head + R"(1Z","key":"k","size":1,"version_id":"v1",)"
                                 R"("is_delete_marker":false})";
  Write("m.jsonl", marker + "\n" + old + "\n");
  auto listing = world_.Run(OpenListingFile(world_.runtime, File("m.jsonl"), ListingFileKind::kAny,
                                            store_, "b", "", {.each_version = true}));
  ASSERT_TRUE(listing) << listing.error().Describe();
  std::string found;
  while (true) {
    auto next = world_.Run((*listing)->Next());
    ASSERT_TRUE(next) << next.error().Describe();
    if (!*next) break;
    found += (*next)->version_id + ((*next)->is_delete_marker ? " (marker) " : " ");
  }
  EXPECT_EQ(found, "m (marker) v1 ");
  EXPECT_TRUE(From("m.jsonl").starts_with("error: m.jsonl line 1: a delete marker"));
  Write("m.jsonl", old + "\n" + head + R"(2Z","key":"k","size":2,"version_id":"v2"})" + "\n");
  EXPECT_TRUE(From("m.jsonl").starts_with("error: more than one version of k"));
  // By its key it would become another one.
  Write("m.jsonl", R"({"key":"k","is_delete_marker":true})");
  listing = world_.Run(OpenListingFile(world_.runtime, File("m.jsonl"), ListingFileKind::kAny,
                                       store_, "b", "", {.each_version = true}));
  ASSERT_TRUE(listing);
  EXPECT_TRUE(All(std::move(*listing)).starts_with("error: m.jsonl line 1: a delete marker"));
}

// As S3 answers a HEAD of one: manifests of CSV tell of versions alone.
TEST_F(ListingSourceTest, AVersionThatIsADeleteMarkerIsOne) {
  class Versions : public MemoryStore {
   public:
    using MemoryStore::MemoryStore;
    Async<ObjectInfo> Head(HeadRequest) override {
      co_return Error{.kind = ErrorKind::kInvalidInput, .message = "no", .http_status = 405};
    }
  } versions(world_.runtime, backend_);
  Write("m.csv", "b,k,m\n");
  auto listing = world_.Run(OpenListingFile(world_.runtime, File("m.csv"), ListingFileKind::kAny,
                                            versions, "b", "", {.each_version = true}));
  ASSERT_TRUE(listing) << listing.error().Describe();
  auto marker = world_.Run((*listing)->Next());
  ASSERT_TRUE(marker && *marker);
  EXPECT_EQ((*marker)->version_id, "m");
  EXPECT_TRUE((*marker)->is_delete_marker);
}

// Editors put it before UTF-8.
TEST_F(ListingSourceTest, AByteOrderMarkIsNoName) {
  Put("a", "1");
  const std::string mark = "\xEF\xBB\xBF";
  Write("names", mark + "a\n");
  EXPECT_EQ(From("names", ListingFileKind::kNames), "a=1 ");
  EXPECT_NE(From("names", ListingFileKind::kRawNames), "a=1 ");
  Write("m.csv", mark + "b,a\n");
  EXPECT_EQ(From("m.csv"), "a=1 ");
}

class DenyingStore : public MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  Async<ObjectInfo> Head(HeadRequest request) override {
    if (request.key.starts_with("denied")) {
      co_return Error{.kind = ErrorKind::kDenied, .message = "no", .http_status = 403};
    }
    co_return co_await MemoryStore::Head(std::move(request));
  }
};

// One object that may not be read, at the head of a list of many, is no reason to leave the others.
TEST_F(ListingSourceTest, OneLineThatIsWrongIsLeftOut) {
  Put("a", "1");
  Put("b", "22");
  Write("names", "denied1\ndenied2\ndenied3\ndenied4\nb\na\n");
  DenyingStore denying(world_.runtime, backend_);
  const auto from = [&](const WrongLine& wrong) {
    auto listing = world_.Run(OpenListingFile(
        world_.runtime, File("names"), ListingFileKind::kNames, denying, "b", "", {},
        [](const Error&, const std::string&) {}, "", wrong));
    return listing ? All(std::move(*listing)) : "error: " + listing.error().message;
  };
  std::string told;
  EXPECT_EQ(from([&told](const Error& error, const std::string& key, bool proven) {
              told += error.message + (proven ? "; " : " unproven; ") + key + "\n";
              return true;
            }),
            "a=1 b=2 ");
  for (const char* line :
       {"names line 1: denied1: no; denied1\n", "names line 4: denied4: no; denied4\n"}) {
    EXPECT_TRUE(told.contains(line)) << told;
  }
  EXPECT_TRUE(from([](const Error&, const std::string&, bool) {
                return false;
              }).starts_with("error: names line"));
  EXPECT_TRUE(from(nullptr).starts_with("error: names line"));
  Write("names", "denied1\n");
  told.clear();
  EXPECT_EQ(from([&told](const Error&, const std::string&, bool proven) {
              told += proven ? "proven" : "unproven";
              return true;
            }),
            "");
  EXPECT_EQ(told, "unproven");
}

TEST_F(ListingSourceTest, Inventory) {
  const std::string one = Gzip(
      "\"b\",\"x+y\",\"v1\",\"true\",\"false\",\"12\",\"2026-03-01T09:30:00.000Z\",\"abc\"\n"
      "\"b\",\"gone\",\"v2\",\"true\",\"true\",\"\",\"2026-03-01T09:30:00.000Z\",\"\"\n"
      "\"b\",\"old\",\"v3\",\"false\",\"false\",\"3\",\"2026-03-01T09:30:00.000Z\",\"abc\"\n");
  const std::string two = Gzip(
      "\"b\",\"a%2Fb\",\"v1\",\"true\",\"false\",\"5\",\"2026-03-01T09:30:00.000Z\",\"abc\"\n");
  auto manifest = [](const std::string& md5_one, const std::string& md5_two) {
    return R"({"sourceBucket":"b","destinationBucket":"arn:aws:s3:::inv","version":"2016-11-30",)"
           R"("fileFormat":"CSV","fileSchema":"Bucket, Key, VersionId, IsLatest, IsDeleteMarker, )"
           R"(Size, LastModifiedDate, ETag","files":[{"key":"b/daily/data/1.csv.gz","size":1,)"
           R"("MD5checksum":")" +
           md5_one + R"("},{"key":"b/daily/data/2.csv.gz","size":1,"MD5checksum":")" + md5_two +
           "\"}]}";
  };
  const std::string right = manifest(HexEncode(Md5(one)), HexEncode(Md5(two)));
  Write("inv/data/1.csv.gz", one);
  Write("inv/data/2.csv.gz", two);
  Write("inv/2026-03-01T00-00Z/manifest.json", right);
  EXPECT_EQ(From("inv/2026-03-01T00-00Z/manifest.json"), "a/b=5 x y=12 ");

  // In a bucket, under the keys that it names.
  Put("b/daily/data/1.csv.gz", one);
  Put("b/daily/data/2.csv.gz", two);
  Put("b/daily/x/manifest.json", right);
  ListingFile file{.store = &store_, .bucket = "b", .key = "b/daily/x/manifest.json", .name = "m"};
  auto listing = world_.Run(
      OpenListingFile(world_.runtime, file, ListingFileKind::kAny, store_, "b", "a/", {}, nullptr));
  ASSERT_TRUE(listing);
  EXPECT_EQ(All(std::move(*listing)), "a/b=5 ");

  // Data that is not what the manifest says must not pass for the bucket.
  Write("inv/m/manifest.json", manifest(HexEncode(Md5(one)), HexEncode(Md5(one))));
  EXPECT_NE(From("inv/m/manifest.json").find("its MD5 is"), std::string::npos);
  EXPECT_EQ(last_error_.kind, ErrorKind::kCorrupt);
  Write("inv/data/2.csv.gz", two.substr(0, two.size() - 9));
  EXPECT_TRUE(From("inv/2026-03-01T00-00Z/manifest.json").starts_with("error: "));
  std::filesystem::remove(folder_.file("inv/data/2.csv.gz"));
  EXPECT_TRUE(From("inv/2026-03-01T00-00Z/manifest.json").starts_with("error: "));
}

// Each holds what it sorts in until all has been copied, and reads in more: with a small budget the
// second would wait for the first, which waits for the second to be compared with.
TEST(ListingFileMemoryTest, TwoInventoriesLeaveRoomForEachOther) {
  testing::FakeWorld world{1, 5 << 20};
  auto backend = std::make_shared<MemoryStoreBackend>();
  backend->buckets["b"];
  MemoryStore store(world.runtime, backend);
  std::string lines;
  for (int i = 0; i < 3000; ++i) lines += std::to_string(i) + std::string(300, 'x') + ",1\n";
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "data.csv"}, lines)));
  ASSERT_TRUE(world.Run(
      PutText(store, {.bucket = "b", .key = "manifest.json"},
              R"({"sourceBucket":"b","destinationBucket":"arn:aws:s3:::b","fileFormat":"CSV",)"
              R"("fileSchema":"Key, Size","files":[{"key":"data.csv"}]})")));
  std::vector<std::unique_ptr<Listing>> open;
  for (int i = 0; i < 2; ++i) {
    auto listing = world.Run(OpenListingFile(
        world.runtime, {.store = &store, .bucket = "b", .key = "manifest.json", .name = "m"},
        ListingFileKind::kAny, store, "b", ""));
    ASSERT_TRUE(listing) << listing.error().Describe();
    open.push_back(std::move(*listing));
    Result<std::optional<ListedObject>> first = world.Run(open.back()->Next());
    ASSERT_TRUE(first) << first.error().Describe();
    EXPECT_TRUE(*first && (*first)->key.starts_with("0x"));
  }
  EXPECT_LE(world.memory.reserved_bytes(), 5 << 18);
}

TEST_F(ListingSourceTest, InventoryManifestsThatMakeNoSense) {
  for (const char* text :
       {"", "{}", "[]", R"({"sourceBucket":"b","fileFormat":"ORC","fileSchema":"x","files":[]})",
        R"({"sourceBucket":"b","fileFormat":"CSV","fileSchema":"Bucket, Size","files":[]})",
        R"({"sourceBucket":"c","fileFormat":"CSV","fileSchema":"Key, Size","files":[]})",
        R"({"sourceBucket":"b","fileFormat":"CSV","fileSchema":"Key, Size","files":[{}]})"}) {
    Write("manifest.json", text);
    EXPECT_TRUE(From("manifest.json").starts_with("error: manifest.json: "))
        << From("manifest.json");
  }
}

TEST(SplitCsv, FieldsAndQuotes) {
  auto joined = [](std::string_view line) {
    auto fields = SplitCsv(line);
    if (!fields) return std::string("error");
    std::string text;
    for (const std::string& field : *fields) text += "[" + field + "]";
    return text;
  };
  EXPECT_EQ(joined("a,b"), "[a][b]");
  EXPECT_EQ(joined(""), "[]");
  EXPECT_EQ(joined(",,"), "[][][]");
  EXPECT_EQ(joined("\"a,\"\"b\",c"), "[a,\"b][c]");
  EXPECT_EQ(joined("\"a"), "error");
  EXPECT_EQ(joined("\"a\"b"), "error");
  EXPECT_EQ(joined("a\"b"), "error");
}

// A server that does not heed If-Match gives what there is.
class HeedlessStore : public MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at) override {
    request.if_match.clear();
    co_return co_await MemoryStore::Get(std::move(request), absent_at);
  }
};

TEST_F(ListingSourceTest, AFileThatWasReplacedIsNotReadOn) {
  HeedlessStore store(world_.runtime, backend_);
  Put("list", "a\n");
  ListingFile file{.store = &store, .bucket = "b", .key = "list", .name = "L"};
  auto state = world_.Run(StateOfListingFile(world_.runtime, file, ListingFileKind::kRawNames));
  ASSERT_TRUE(state);
  file.etag = state->etag;
  ASSERT_TRUE(world_.Run(TextLines::Open(world_.runtime, file)));
  EXPECT_TRUE(world_.Run(ReadListingFile(file, 100)));
  Put("list", "0\na\n");
  auto lines = world_.Run(TextLines::Open(world_.runtime, file));
  ASSERT_FALSE(lines);
  EXPECT_EQ(lines.error().kind, ErrorKind::kPrecondition);
  auto text = world_.Run(ReadListingFile(file, 100));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::kPrecondition);
}

}  // namespace
}  // namespace longhaul
