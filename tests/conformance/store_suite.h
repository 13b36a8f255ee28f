// What every Store does, as tests: each sentence of storage/store.h. The tests are in
// store_suite_*.cc; a backend runs them by INSTANTIATE_TEST_SUITE_P(Name, StoreSuite, ...) in any
// test file, with a function that makes its harness (store_conformance_test.cc).
//
// What a backend cannot do is declared in its capabilities, and then tested to be so: nothing is
// skipped.

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "storage/store.h"
#include "tests/support/any_world.h"

namespace longhaul::testing {

// One store, the world it runs in and an empty bucket of its own.
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  virtual AnyWorld& world() = 0;
  virtual Store& store() = 0;
  // An empty bucket that is there and that nothing else uses.
  virtual std::string bucket() = 0;
  // A name that CreateBucket takes.
  virtual std::string unused_bucket() { return "longhaul-unused-" + bucket().substr(0, 40); }
  // What is true of this server; what its Store declares, unless a test knows better.
  virtual Capabilities capabilities() { return store().capabilities(); }
  // Whether the store refuses a key that it cannot hold (KeyNotStorable). Where it does not (an S3
  // client in front of a server that aliases keys), the suite proves that the declared gap is
  // there.
  virtual bool refuses_unstorable_keys() { return true; }
};

struct StoreBackendCase {
  std::string name;
  std::function<std::unique_ptr<StoreHarness>()> make;
};
inline std::ostream& operator<<(std::ostream& out, const StoreBackendCase& backend) {
  return out << backend.name;
}
inline std::string StoreBackendName(const ::testing::TestParamInfo<StoreBackendCase>& info) {
  return info.param.name;
}

class StoreSuite : public ::testing::TestWithParam<StoreBackendCase> {
 protected:
  StoreSuite()
      : harness_(GetParam().make()),
        store_(harness_->store()),
        bucket_(harness_->bucket()),
        can_(harness_->capabilities()) {}

  template <class T>
  T Run(asio::awaitable<T> task) {
    return harness_->world().Run(std::move(task));
  }

  PutRequest At(std::string key) const;
  // Succeed, or fail the test.
  PutResult Put(PutRequest request, std::string text);
  PutResult Put(std::string key, std::string text) {
    return Put(At(std::move(key)), std::move(text));
  }
  std::string Read(std::string key);
  ObjectInfo Head(std::string key);
  std::vector<std::string> Keys(std::string prefix = "");
  // Every page of `request`, at most 200.
  ListPage ListAll(ListRequest request, int* pages = nullptr);

  Result<PutResult> TryPut(PutRequest request, std::string text);
  Result<std::string> TryRead(GetRequest request);
  GetRequest From(std::string key) const;
  bool Exists(const std::string& key);

  MultipartUpload Begin(PutRequest request);
  UploadedPart Part(const MultipartUpload& upload, int number, const std::string& bytes);

  // `size` bytes that do not repeat soon, different for each seed.
  static std::string Bytes(size_t size, uint64_t seed = 1);
  static std::string Md5Hex(const std::string& bytes);

  template <class T>
  static ErrorKind KindOf(const Result<T>& result) {
    EXPECT_FALSE(result) << "it should have failed";
    return result ? ErrorKind::kCancelled : result.error().kind;
  }

  std::unique_ptr<StoreHarness> harness_;
  Store& store_;
  std::string bucket_;
  Capabilities can_;
};

}  // namespace longhaul::testing
