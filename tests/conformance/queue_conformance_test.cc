#include "tests/conformance/queue_suite.h"
#include "tests/support/fake_queue.h"

namespace longhaul::testing {
namespace {

class FakeQueueHarness : public QueueHarness {
 public:
  AnyWorld& world() override { return world_; }
  std::unique_ptr<Queue> Open() override {
    return std::make_unique<FakeQueue>(world_.runtime(), backend_);
  }

 private:
  AnyWorld world_ = AnyWorld::Fake();
  std::shared_ptr<FakeQueueBackend> backend_ =
      std::make_shared<FakeQueueBackend>(kSuiteReceivesMax);
};

INSTANTIATE_TEST_SUITE_P(All, QueueSuite,
                         ::testing::Values(QueueBackendCase{
                             "Fake", [] { return std::make_unique<FakeQueueHarness>(); }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longhaul::testing
