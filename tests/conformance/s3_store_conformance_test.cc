// StoreSuite on real S3 servers: those that LONGHAUL_TEST_S3 names ("name=url,name=url"), with
// LONGHAUL_TEST_S3_KEY_ID and LONGHAUL_TEST_S3_SECRET. What each of them can do is probed.

#include <cstdlib>
#include <map>

#include "base/bytes.h"
#include "storage/probe.h"
#include "storage/s3_store.h"
#include "tests/conformance/store_suite.h"

namespace longhaul::testing {
namespace {

std::string Variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != 0 ? value : otherwise;
}

class S3Harness : public StoreHarness {
 public:
  explicit S3Harness(const std::string& endpoint) {
    S3StoreOptions options;
    options.endpoint = endpoint;
    options.credentials = MakeStaticCredentials(
        {.access_key_id = Variable("LONGHAUL_TEST_S3_KEY_ID", "testkey123"),
         .secret_access_key = Secret(Variable("LONGHAUL_TEST_S3_SECRET", "testsecret123")),
         .session_token = {},
         .expires = {}});
    options.attempts_max = 3;
    Result<std::unique_ptr<Store>> store = MakeS3Store(world_.runtime(), options);
    EXPECT_TRUE(store) << store.error().Describe();
    store_ = std::move(*store);
    uint64_t value = world_.runtime().random.Next();
    bucket_ = "longhaul-" +
              HexEncode(std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
    Result<void> created = world_.Run(store_->CreateBucket(bucket_));
    EXPECT_TRUE(created) << created.error().Describe();

    static std::map<std::string, Capabilities> probed;
    auto found = probed.find(endpoint);
    if (found == probed.end()) {
      Result<Capabilities> can =
          world_.Run(ProbeStore(*store_, bucket_, NewProbeBase("", world_.runtime().random)));
      EXPECT_TRUE(can) << can.error().Describe();
      if (can) found = probed.emplace(endpoint, *can).first;
      Result<ListPage> left = world_.Run(store_->List({.bucket = bucket_}));
      EXPECT_TRUE(left && left->objects.empty()) << "the probe left something behind";
    }
    if (found != probed.end()) can_ = found->second;
    // What the server can do includes what the suite itself tries.
    can_.part_size_bytes_min = std::max<uint64_t>(can_.part_size_bytes_min, 5 << 20);
  }

  ~S3Harness() override { world_.Run(Empty(*store_, bucket_)); }

  AnyWorld& world() override { return world_; }
  Store& store() override { return *store_; }
  std::string bucket() override { return bucket_; }
  Capabilities capabilities() override { return can_; }
  bool refuses_unstorable_keys() override { return false; }

 private:
  static asio::awaitable<bool> Empty(Store& store, std::string bucket) {
    Result<std::vector<MultipartUpload>> uploads = co_await store.ListMultipartUploads(bucket, "");
    if (uploads) {
      for (const MultipartUpload& upload : *uploads) (void)co_await store.AbortMultipart(upload);
    }
    for (bool versions : {true, false}) {
      ListRequest request{.bucket = bucket, .versions = versions};
      while (true) {
        Result<ListPage> page = co_await store.List(request);
        if (!page) break;
        for (const ListedObject& object : page->objects) {
          (void)co_await store.Remove(
              {.bucket = bucket, .key = object.key, .version_id = object.version_id});
        }
        if (page->next_token.empty()) break;
        request.token = page->next_token;
      }
    }
    Result<void> removed = co_await store.RemoveBucket(bucket);
    co_return removed.has_value();
  }

  AnyWorld world_ = AnyWorld::Real();
  std::unique_ptr<Store> store_;
  std::string bucket_;
  Capabilities can_;
};

std::vector<StoreBackendCase> Endpoints() {
  std::vector<StoreBackendCase> cases;
  std::string list = Variable("LONGHAUL_TEST_S3", "");
  for (size_t at = 0; at < list.size();) {
    size_t end = std::min(list.find(',', at), list.size());
    std::string one = list.substr(at, end - at);
    at = end + 1;
    size_t equals = one.find('=');
    if (equals == one.npos) continue;
    std::string url = one.substr(equals + 1);
    cases.push_back({one.substr(0, equals), [url] { return std::make_unique<S3Harness>(url); }});
  }
  return cases;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreSuite);
INSTANTIATE_TEST_SUITE_P(S3, StoreSuite, ::testing::ValuesIn(Endpoints()), StoreBackendName);

}  // namespace
}  // namespace longhaul::testing
