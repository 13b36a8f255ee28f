// StoreSuite through the S3 store, over HTTP, on our own gateway, over files: every layer at once.

#include <stdlib.h>

#include <filesystem>

#include "gateway/gateway.h"
#include "storage/file_store.h"
#include "storage/s3_store.h"
#include "tests/conformance/store_suite.h"

namespace longhaul::testing {
namespace {

class GatewayHarness : public StoreHarness {
 public:
  GatewayHarness() {
    std::string pattern = "/tmp/longhaul-gateway-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directory(root_ + "/bucket");
    files_ = std::move(*MakeFileStore(world_.runtime(), {.root = root_, .durable = false}));
    gateway_ = std::make_unique<Gateway>(
        world_.runtime(), *files_,
        GatewayOptions{.access_key_id = "key", .secret_access_key = Secret("secret")});
    Result<void> started = world_.Run(gateway_->Start("127.0.0.1:0"));
    EXPECT_TRUE(started) << started.error().Describe();
    S3StoreOptions options;
    options.endpoint = gateway_->endpoint();
    options.addressing = S3Addressing::kPath;
    options.credentials = MakeStaticCredentials(
        Credentials{.access_key_id = "key", .secret_access_key = Secret("secret")});
    store_ = std::move(*MakeS3Store(world_.runtime(), std::move(options)));
  }
  ~GatewayHarness() override {
    store_.reset();
    (void)world_.Run(gateway_->Stop(std::chrono::milliseconds(1000)));
    gateway_.reset();
    files_.reset();
    std::filesystem::remove_all(root_);
  }
  AnyWorld& world() override { return world_; }
  Store& store() override { return *store_; }
  std::string bucket() override { return "bucket"; }
  Capabilities capabilities() override {
    Capabilities can = store_->capabilities();
    can.versions = false;
    return can;
  }

 private:
  AnyWorld world_ = AnyWorld::Real();
  std::string root_;
  std::unique_ptr<Store> files_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Gateways, StoreSuite,
                         ::testing::Values(StoreBackendCase{
                             "Gateway", [] { return std::make_unique<GatewayHarness>(); }}),
                         StoreBackendName);

}  // namespace
}  // namespace longhaul::testing
