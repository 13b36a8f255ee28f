// StoreSuite on the fake in memory, as it is and with its abilities taken away, and on files.

#include <stdlib.h>

#include <filesystem>

#include "storage/file_store.h"
#include "tests/conformance/store_suite.h"
#include "tests/support/memory_store.h"

namespace longhaul::testing {
namespace {

class MemoryHarness : public StoreHarness {
 public:
  explicit MemoryHarness(MemoryStoreOptions options)
      : backend_(std::make_shared<MemoryStoreBackend>(std::move(options))),
        store_(world_.runtime(), backend_) {
    backend_->buckets["bucket"].created = world_.clock().Now();
  }
  AnyWorld& world() override { return world_; }
  Store& store() override { return store_; }
  std::string bucket() override { return "bucket"; }
  bool refuses_unstorable_keys() override { return !backend_->options.alias_keys; }

 private:
  AnyWorld world_ = AnyWorld::Fake();
  std::shared_ptr<MemoryStoreBackend> backend_;  // shared with the store: it is the "server".
  MemoryStore store_;
};

StoreBackendCase Memory(std::string name, MemoryStoreOptions options) {
  return {std::move(name), [options] { return std::make_unique<MemoryHarness>(options); }};
}

std::vector<StoreBackendCase> MemoryBackends() {
  MemoryStoreOptions full;
  full.capabilities.part_size_bytes_min = 1 << 20;

  MemoryStoreOptions poor = full;
  Capabilities& can = poor.capabilities;
  can = Capabilities{};
  can.sorted_listing = false;
  can.tags = false;
  can.checksums = false;
  can.storage_classes = false;
  can.lists_uploads = false;
  can.key_dot_segments = false;
  can.key_double_slash = false;
  can.key_file_beside_folder = false;
  can.key_trailing_slash = false;

  MemoryStoreOptions aliasing = full;
  aliasing.alias_keys = true;
  aliasing.capabilities.key_dot_segments = false;
  aliasing.capabilities.key_double_slash = false;

  MemoryStoreOptions refusing = full;
  refusing.capabilities = Capabilities{};
  refusing.refuse_unknown_conditions = true;
  return {Memory("Memory", full), Memory("MemoryPoor", poor), Memory("MemoryAliasing", aliasing),
          Memory("MemoryRefusing", refusing)};
}

INSTANTIATE_TEST_SUITE_P(Fakes, StoreSuite, ::testing::ValuesIn(MemoryBackends()),
                         StoreBackendName);

class FileHarness : public StoreHarness {
 public:
  FileHarness() {
    std::string pattern = "/tmp/longhaul-file-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    store_ = std::move(*MakeFileStore(world_.runtime(), {.root = root_, .durable = false}));
    std::filesystem::create_directory(root_ + "/bucket");
  }
  ~FileHarness() override {
    store_.reset();
    std::filesystem::remove_all(root_);
  }
  AnyWorld& world() override { return world_; }
  Store& store() override { return *store_; }
  std::string bucket() override { return "bucket"; }

 private:
  AnyWorld world_ = AnyWorld::Real();
  std::string root_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Files, StoreSuite,
                         ::testing::Values(StoreBackendCase{
                             "File", [] { return std::make_unique<FileHarness>(); }}),
                         StoreBackendName);

}  // namespace
}  // namespace longhaul::testing
