// Keys of every shape, listings, buckets and versions.

#include <algorithm>
#include <map>
#include <set>

#include "tests/conformance/store_suite.h"
#include "transfer/listing/listing.h"

namespace longhaul::testing {

ListPage StoreSuite::ListAll(ListRequest request, int* pages) {
  request.bucket = bucket_;
  ListPage all;
  for (int i = 0; i < 200; ++i) {
    Result<ListPage> page = Run(store_.List(request));
    EXPECT_TRUE(page) << page.error().Describe();
    if (!page) break;
    if (pages != nullptr) ++*pages;
    EXPECT_LE(page->objects.size() + page->common_prefixes.size(),
              static_cast<size_t>(request.count_max));
    std::ranges::move(page->objects, std::back_inserter(all.objects));
    std::ranges::move(page->common_prefixes, std::back_inserter(all.common_prefixes));
    if (page->next_token.empty()) return all;
    request.token = page->next_token;
  }
  ADD_FAILURE() << "the listing does not end";
  return all;
}

std::vector<std::string> StoreSuite::Keys(std::string prefix) {
  std::vector<std::string> keys;
  for (const ListedObject& object : ListAll({.prefix = std::move(prefix)}).objects) {
    keys.push_back(object.key);
  }
  return keys;
}

namespace {

std::vector<std::string> Sorted(std::vector<std::string> keys) {
  std::ranges::sort(keys);
  return keys;
}

struct OddKey {
  std::string key;
  bool storable = true;
};

std::vector<OddKey> OddKeys(const Capabilities& can) {
  std::string folder_128 = std::string(127, 'd') + "/";
  std::string long_key;  // 1,024 bytes in segments that most file systems can hold.
  while (long_key.size() + folder_128.size() < 1024) long_key += folder_128;
  long_key += std::string(1024 - long_key.size(), 'k');
  return {
      {"plain"},
      {"with space"},
      {" leading and trailing "},
      {"a+b"},
      {"a%b"},
      {"a%41"},
      {"aA"},
      {"a%2Fb"},
      {"percent%"},
      {"quote\"and'apostrophe"},
      {"amp&lt;<tag>"},
      {"semi;colon:comma,equals="},
      {"question?mark#hash"},
      {"back\\slash"},
      {"tilde~dollar$star*paren()"},
      {"brackets[]{}^`|"},
      {"new\nline"},
      {"tab\there"},
      {"über/größe/ñ"},
      {"漢字/かな"},
      {"emoji-🚚-🗺️"},
      {"e\xcc\x81 and \xc3\xa9 differ"},  // Decomposed and composed.
      {"UPPER"},
      {"upper"},
      {".hidden"},
      {"..two"},
      {"three..."},
      {"a.b/c"},
      {"a/b"},
      {"a0"},
      {"-dash"},
      {std::string(200, 's')},
      {long_key},
      {"dots/./inside", can.key_dot_segments},
      {"dots/../inside", can.key_dot_segments},
      {"./first", can.key_dot_segments},
      {"../first", can.key_dot_segments},
      {"last/.", can.key_dot_segments},
      {"last/..", can.key_dot_segments},
      {"double//slash", can.key_double_slash},
      {"double//slash//", can.key_double_slash && can.key_trailing_slash},
      {"/leading", can.key_double_slash},
      {"folder/", can.key_trailing_slash},
      {"folder/inside"},
      {"beside"},
      {"beside/inside", can.key_file_beside_folder},
      {"beside/inside/deeper", can.key_file_beside_folder},
      {".longhaul/meta/x"},
      {".longhaul", can.key_file_beside_folder},
  };
}

}  // namespace

// A key that is stored under another name is one object lost and one overwritten.
TEST_P(StoreSuite, OddKeysAreKeptExactlyOrRefused) {
  std::map<std::string, std::string> stored;
  for (const OddKey& odd : OddKeys(can_)) {
    SCOPED_TRACE(odd.key);
    std::string text = "body of " + odd.key;
    if (!odd.storable && !harness_->refuses_unstorable_keys()) continue;  // Proven below.
    Result<PutResult> put = TryPut(At(odd.key), text);
    if (odd.storable) {
      EXPECT_TRUE(put) << put.error().Describe();
    } else if (!put) {
      EXPECT_EQ(put.error().kind, ErrorKind::kInvalidInput);
      EXPECT_EQ(put.error().code, "KeyNotStorable");
    }
    if (put) stored[odd.key] = text;
  }
  std::vector<std::string> expected;
  for (const auto& [key, text] : stored) {
    EXPECT_EQ(Read(key), text) << key;
    EXPECT_EQ(Head(key).size_bytes, text.size()) << key;
    expected.push_back(key);
  }
  std::vector<std::string> listed = Keys();
  if (can_.sorted_listing) {
    EXPECT_EQ(listed, expected);
  } else {
    EXPECT_EQ(Sorted(listed), expected);
  }
  for (const auto& [key, text] : stored) {
    Result<void> removed = Run(store_.Remove({.bucket = bucket_, .key = key}));
    EXPECT_TRUE(removed) << key;
    EXPECT_FALSE(Exists(key)) << key;
  }
  EXPECT_EQ(Keys(), std::vector<std::string>());
}

// A gap that is declared but not there would keep keys from being replicated.
TEST_P(StoreSuite, DeclaredKeyGapsAreThere) {
  if (harness_->refuses_unstorable_keys()) {
    for (const OddKey& odd : OddKeys(can_)) {
      if (odd.storable || odd.key.starts_with("beside") || odd.key.starts_with(".longhaul")) {
        continue;
      }
      Result<PutResult> put = TryPut(At(odd.key), "body");
      EXPECT_EQ(KindOf(put), ErrorKind::kInvalidInput) << odd.key;
      EXPECT_EQ(put.error().code, "KeyNotStorable") << odd.key;
    }
    EXPECT_EQ(Keys(), std::vector<std::string>());
    return;
  }
  auto exact = [&](const std::vector<std::string>& keys) {
    std::set<std::string> there;
    for (const std::string& key : keys) {
      if (!TryPut(At(key), "body of " + key)) return false;
    }
    for (const std::string& key : Keys()) there.insert(key);
    return std::ranges::all_of(keys, [&](const std::string& key) {
      Result<std::string> text = TryRead(From(key));
      return there.contains(key) && text && *text == "body of " + key;
    });
  };
  if (!can_.key_dot_segments) EXPECT_FALSE(exact({"dots/./x"}) && exact({"dots/../x"}));
  if (!can_.key_double_slash) EXPECT_FALSE(exact({"double//x"}) && exact({"/leading"}));
  if (!can_.key_trailing_slash) EXPECT_FALSE(exact({"trailing/"}));
  if (!can_.key_file_beside_folder) EXPECT_FALSE(exact({"beside", "beside/x"}));
}

// 1,025 bytes are one too many everywhere; cutting the key would be aliasing it.
TEST_P(StoreSuite, TooLongKeysAreRefused) {
  EXPECT_EQ(KindOf(TryPut(At(std::string(1025, 'k')), "x")), ErrorKind::kInvalidInput);
  EXPECT_EQ(Keys(), std::vector<std::string>());
}

// Comparing two stores walks both listings in step: order is everything.
TEST_P(StoreSuite, ListingIsInByteOrder) {
  // Folders sort as "a/", not as "a": a file system's order is another one.
  std::vector<std::string> keys = {"a!",    "a-b",   "a.b",  "a/b",   "a/b/c.d", "a/c",
                                   "a/c-d", "a0",    "a0/1", "b",     "B/x",     "b-/x",
                                   "b/y",   "b0",    "c%/1", "c%2/1", "é/1",     "z/z/z",
                                   "z.z",   "z/z.z", "z/z0", "~",     "0",       "00/1"};
  std::vector<std::string> stored;
  for (const std::string& key : keys) {
    // A server that would take such a key and hide it: DeclaredKeyGapsAreThere.
    bool below_a_key = std::ranges::any_of(
        keys, [&](const std::string& other) { return key.starts_with(other + "/"); });
    if (below_a_key && !can_.key_file_beside_folder && !harness_->refuses_unstorable_keys()) {
      continue;
    }
    Result<PutResult> put = TryPut(At(key), key);
    if (put) {
      stored.push_back(key);
    } else {
      EXPECT_FALSE(can_.key_file_beside_folder) << key << put.error().Describe();
    }
  }
  for (int count : {1, 2, 5, 1000}) {
    int pages = 0;
    std::vector<std::string> listed;
    for (const ListedObject& object : ListAll({.count_max = count}, &pages).objects) {
      listed.push_back(object.key);
      EXPECT_EQ(object.size_bytes, object.key.size());
    }
    EXPECT_EQ(can_.sorted_listing ? listed : Sorted(listed), Sorted(stored)) << count;
    if (count < 5) EXPECT_GE(pages, static_cast<int>(stored.size()) / count);
  }
}

// What a listing says of an object is compared with the other side's.
TEST_P(StoreSuite, ListingTellsSizeEtagAndTime) {
  PutResult put = Put("listed", "12345");
  std::vector<ListedObject> objects = ListAll({}).objects;
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].size_bytes, 5u);
  EXPECT_EQ(objects[0].etag, put.etag);
  EXPECT_LT(objects[0].last_modified - Head("listed").last_modified, std::chrono::seconds(2));
  EXPECT_LT(Head("listed").last_modified - objects[0].last_modified, std::chrono::seconds(2));
}

// A prefix is bytes, not a folder: "logs" must not find "logs2" missing, nor miss it.
TEST_P(StoreSuite, PrefixesAreBytes) {
  for (const char* key : {"logs/1", "logs/10", "logs/2", "logs2/1", "log", "logs/a b+c/x"}) {
    Put(key, "x");
  }
  auto listed = [&](std::string prefix) { return Sorted(Keys(std::move(prefix))); };
  using V = std::vector<std::string>;
  EXPECT_EQ(listed("logs/1"), (V{"logs/1", "logs/10"}));
  EXPECT_EQ(listed("logs"), (V{"logs/1", "logs/10", "logs/2", "logs/a b+c/x", "logs2/1"}));
  EXPECT_EQ(listed("logs/a b+"), (V{"logs/a b+c/x"}));
  EXPECT_EQ(listed("nothing"), V());
  EXPECT_EQ(listed("logs/1/"), V());
}

// Long listings are resumed from the last key, also one that is gone by then.
TEST_P(StoreSuite, StartAfter) {
  for (const char* key : {"a", "b/1", "b/2", "b0", "c"}) Put(key, "x");
  auto after = [&](std::string key) {
    std::vector<std::string> keys;
    for (const ListedObject& object : ListAll({.start_after = std::move(key)}).objects) {
      keys.push_back(object.key);
    }
    return Sorted(keys);
  };
  using V = std::vector<std::string>;
  EXPECT_EQ(after("b/1"), (V{"b/2", "b0", "c"}));
  EXPECT_EQ(after("b/11"), (V{"b/2", "b0", "c"}));
  EXPECT_EQ(after("a"), (V{"b/1", "b/2", "b0", "c"}));
  EXPECT_EQ(after("b"), (V{"b/1", "b/2", "b0", "c"}));
  EXPECT_EQ(after("c"), V());
}

// `ls` shows folders; every key is either in the page or below one of its prefixes, once.
TEST_P(StoreSuite, DelimitersMakeCommonPrefixes) {
  for (const char* key : {"a/1", "a/2", "a/b/3", "b", "c/1", "c.txt", "d/e/f"}) Put(key, "x");
  for (int count : {1, 2, 3, 1000}) {
    ListPage page = ListAll({.delimiter = "/", .count_max = count});
    std::vector<std::string> keys;
    for (const ListedObject& object : page.objects) keys.push_back(object.key);
    EXPECT_EQ(Sorted(keys), (std::vector<std::string>{"b", "c.txt"})) << count;
    if (!can_.sorted_listing) continue;  // Prefixes may then come once for each page.
    EXPECT_EQ(page.common_prefixes, (std::vector<std::string>{"a/", "c/", "d/"})) << count;
  }
  ListPage below = ListAll({.prefix = "a/", .delimiter = "/"});
  ASSERT_EQ(below.objects.size(), 2u);
  EXPECT_EQ(below.common_prefixes, std::vector<std::string>{"a/b/"});
}

// Thousands of keys in one folder and in many, page by page, none twice, none left out.
TEST_P(StoreSuite, ManyKeysPageByPage) {
  std::vector<std::string> expected;
  for (int i = 0; i < 120; ++i) {
    expected.push_back("flat/" + std::to_string(i));
    expected.push_back("deep/" + std::to_string(i % 10) + "/" + std::to_string(i) + "/x");
  }
  for (const std::string& key : expected) Put(key, "");
  std::vector<std::string> listed;
  for (const ListedObject& object : ListAll({.count_max = 7}).objects) listed.push_back(object.key);
  EXPECT_EQ(can_.sorted_listing ? listed : Sorted(listed), Sorted(expected));
}

// Split points are chosen texts that no key has: every server must take them, and put them where
// bytes are put.
TEST_P(StoreSuite, ListedInParallel) {
  std::vector<std::string> expected;
  for (int i = 0; i < 90; ++i) {
    const std::string number = std::to_string(i * 7919 % 1000);
    expected.push_back("flat-" + number);
    expected.push_back("deep/" + number.substr(0, 1) + "/" + number + "/x");
    expected.push_back("\u00e4\u03b1/" + number);
  }
  for (const std::string& key : expected) Put(key, "x");
  for (const char* prefix : {"", "deep/", "flat"}) {
    for (bool versions : {false, true}) {
      if (versions && !can_.versions) continue;
      ListingOptions options{.parallel_from = {}, .page_keys = 8};
      Runtime& runtime = harness_->world().runtime();
      auto listing = versions ? OpenVersionListing(runtime, store_, bucket_, prefix, options)
                              : OpenListing(runtime, store_, bucket_, prefix, options);
      std::vector<std::string> listed;
      while (true) {
        Result<std::optional<ListedObject>> next = Run(listing->Next());
        ASSERT_TRUE(next) << next.error().Describe();
        if (!*next) break;
        listed.push_back((*next)->key);
      }
      std::vector<std::string> wanted = Sorted(expected);
      std::erase_if(wanted, [&](const std::string& key) { return !key.starts_with(prefix); });
      EXPECT_EQ(listed, wanted) << prefix << (versions ? " versions" : "");
    }
  }
}

// A bucket is made, found, refused while it holds something, and removed.
TEST_P(StoreSuite, Buckets) {
  std::string name = harness_->unused_bucket();
  Result<void> created = Run(store_.CreateBucket(name));
  ASSERT_TRUE(created) << created.error().Describe();
  EXPECT_TRUE(Run(store_.HeadBucket(name)));
  Result<void> again = Run(store_.CreateBucket(name));
  if (!again) EXPECT_EQ(again.error().kind, ErrorKind::kPrecondition) << again.error().Describe();
  Result<std::vector<BucketInfo>> buckets = Run(store_.ListBuckets());
  ASSERT_TRUE(buckets) << buckets.error().Describe();
  auto named = [&](const std::string& bucket) {
    return std::ranges::any_of(*buckets, [&](const auto& info) { return info.name == bucket; });
  };
  EXPECT_TRUE(named(name));
  EXPECT_TRUE(named(bucket_));
  PutRequest request = At("x/y");
  request.bucket = name;
  ASSERT_TRUE(TryPut(request, "x"));
  EXPECT_EQ(KindOf(Run(store_.RemoveBucket(name))), ErrorKind::kPrecondition);
  ASSERT_TRUE(Run(store_.Remove({.bucket = name, .key = "x/y"})));
  Result<void> removed = Run(store_.RemoveBucket(name));
  EXPECT_TRUE(removed) << removed.error().Describe();
  EXPECT_EQ(KindOf(Run(store_.HeadBucket(name))), ErrorKind::kNotFound);
  EXPECT_EQ(KindOf(Run(store_.RemoveBucket(name))), ErrorKind::kNotFound);
}

// Where a bucket keeps versions, old ones stay readable and deletes are markers, and told as such.
TEST_P(StoreSuite, VersionsAndDeleteMarkers) {
  if (!can_.versions) {
    Result<void> refused = Run(store_.SetVersioning(bucket_, true));
    EXPECT_EQ(KindOf(refused), ErrorKind::kInvalidInput);
    EXPECT_EQ(refused.error().code, "NotImplemented");
    Result<bool> versioning = Run(store_.GetVersioning(bucket_));
    EXPECT_TRUE(versioning && !*versioning);
    EXPECT_EQ(Put("v", "x").version_id, "");
    return;
  }
  EXPECT_FALSE(*Run(store_.GetVersioning(bucket_)));
  Put("before", "x");
  Result<void> enabled = Run(store_.SetVersioning(bucket_, true));
  ASSERT_TRUE(enabled) << enabled.error().Describe();
  EXPECT_TRUE(*Run(store_.GetVersioning(bucket_)));

  std::string first = Put("v", "one").version_id;
  std::string second = Put("v", "second").version_id;
  EXPECT_FALSE(first.empty());
  EXPECT_NE(first, second);
  EXPECT_EQ(Head("v").version_id, second);
  GetRequest old = From("v");
  old.version_id = first;
  EXPECT_EQ(*TryRead(old), "one");

  ASSERT_TRUE(Run(store_.Remove({.bucket = bucket_, .key = "v"})));
  Result<std::string> removed = TryRead(From("v"));
  EXPECT_EQ(KindOf(removed), ErrorKind::kNotFound);
  EXPECT_TRUE(removed.error().code == "DeleteMarker" || removed.error().code == "NoSuchKey")
      << removed.error().code;
  EXPECT_EQ(*TryRead(old), "one");
  EXPECT_EQ(Keys(), std::vector<std::string>{"before"});

  std::vector<ListedObject> all = ListAll({.prefix = "v", .versions = true}).objects;
  ASSERT_EQ(all.size(), 3u);
  EXPECT_TRUE(all[0].is_delete_marker && all[0].is_latest);
  EXPECT_TRUE(all[1].version_id == second && !all[1].is_latest && !all[1].is_delete_marker);
  EXPECT_EQ(all[2].version_id, first);
  EXPECT_EQ(all[2].size_bytes, 3u);
  EXPECT_EQ(ListAll({.prefix = "v", .count_max = 1, .versions = true}).objects.size(), 3u);

  // The bucket as it was then, and now.
  SystemTime then = all[2].last_modified;
  if (all[1].last_modified > then) {
    auto listing = OpenListingAt(harness_->world().runtime(), store_, bucket_, "v", then);
    Result<std::optional<ListedObject>> was = Run(listing->Next());
    ASSERT_TRUE(was && *was);
    EXPECT_EQ((*was)->version_id, first);
    EXPECT_TRUE(!*Run(listing->Next()));
  }
  auto now = OpenListingAt(harness_->world().runtime(), store_, bucket_, "v",
                           all[0].last_modified + std::chrono::hours(1));
  EXPECT_TRUE(!*Run(now->Next()));

  // Removing the marker brings the object back; removing a version is for good.
  ASSERT_TRUE(Run(store_.Remove({.bucket = bucket_, .key = "v", .version_id = all[0].version_id})));
  EXPECT_EQ(Read("v"), "second");
  ASSERT_TRUE(Run(store_.Remove({.bucket = bucket_, .key = "v", .version_id = second})));
  EXPECT_EQ(Read("v"), "one");
  EXPECT_EQ(KindOf(TryRead([&] {
              GetRequest gone = From("v");
              gone.version_id = second;
              return gone;
            }())),
            ErrorKind::kNotFound);
  ASSERT_TRUE(Run(store_.SetVersioning(bucket_, false)));
  EXPECT_FALSE(*Run(store_.GetVersioning(bucket_)));
}

}  // namespace longhaul::testing
