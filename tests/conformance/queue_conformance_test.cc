#include "queue/sqlite_queue.h"
#include "tests/conformance/queue_suite.h"
#include "tests/support/fake_queue.h"
#include "tests/support/sqlite_fixture.h"

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

class SqliteQueueHarness : public QueueHarness {
 public:
  explicit SqliteQueueHarness(SqliteMode mode) : fixture_(mode) {}
  AnyWorld& world() override { return fixture_.world(); }
  std::unique_ptr<Queue> Open() override {
    Result<std::unique_ptr<Queue>> opened = world().Run(SqliteQueue::Open(
        world().runtime(), fixture_.Database(), {.receives_max = kSuiteReceivesMax}));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }

 private:
  SqliteFixture fixture_;
};

QueueBackendCase SqliteCase(std::string name, SqliteMode mode) {
  return {.name = std::move(name),
          .make = [mode] { return std::make_unique<SqliteQueueHarness>(mode); }};
}

INSTANTIATE_TEST_SUITE_P(
    All, QueueSuite,
    ::testing::Values(QueueBackendCase{"Fake", [] { return std::make_unique<FakeQueueHarness>(); }},
                      SqliteCase("SqliteInPlace", SqliteMode::kInPlace),
                      SqliteCase("SqliteThreaded", SqliteMode::kThreaded),
                      SqliteCase("SqliteShared", SqliteMode::kShared)),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longhaul::testing
