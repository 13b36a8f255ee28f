#include "tests/conformance/state_suite.h"
#include "tests/support/fake_state.h"

namespace longhaul::testing {
namespace {

class FakeStateHarness : public StateHarness {
 public:
  AnyWorld& world() override { return world_; }
  std::unique_ptr<State> Open() override {
    return std::make_unique<FakeState>(world_.runtime(), backend_);
  }

 private:
  AnyWorld world_ = AnyWorld::Fake();
  std::shared_ptr<FakeStateBackend> backend_ = std::make_shared<FakeStateBackend>();
};

INSTANTIATE_TEST_SUITE_P(All, StateSuite,
                         ::testing::Values(StateBackendCase{
                             "Fake", [] { return std::make_unique<FakeStateHarness>(); }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longhaul::testing
