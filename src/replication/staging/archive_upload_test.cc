#include "replication/staging/archive_upload.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::Fault;
using testing::MemoryStore;
using testing::StoreOperation;

class ArchiveUploadTest : public ::testing::Test, public testing::FaultPlan {
 protected:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    ++counts[operation];
    Fault fault;
    fault.delay = std::chrono::milliseconds(80);
    if (operation == StoreOperation::kCreateMultipart && fails) {
      fault.error = Error{.kind = ErrorKind::kDenied, .message = "not here"};
    }
    return fault;
  }

  // Writes `text` in parts of 1,000 bytes with so many buffers; the results of the destinations.
  std::vector<Result<void>> Upload(const std::string& text, int buffers) {
    backend->buckets["staging"];
    ArchiveUpload upload(world.runtime, ledger, {{&store, "staging", "archive"}}, 1000, buffers,
                         bytes_moved);
    written = world.Run(upload.Write(AsBytes(text)));
    return world.Run(upload.Finish());
  }

  testing::FakeWorld world;
  std::shared_ptr<testing::MemoryStoreBackend> backend = MakeBackend();
  MemoryStore store{world.runtime, backend, this};
  testing::FakeState state{world.runtime, std::make_shared<testing::FakeStateBackend>()};
  UploadLedger ledger{world.runtime, state, "me", {{"it", &store}}, std::chrono::seconds(15)};
  std::map<StoreOperation, int> counts;
  uint64_t bytes_moved = 0;
  bool fails = false;
  Result<void> written;

 private:
  static std::shared_ptr<testing::MemoryStoreBackend> MakeBackend() {
    testing::MemoryStoreOptions options;
    options.capabilities.part_size_bytes_min = 1;
    return std::make_shared<testing::MemoryStoreBackend>(options);
  }
};

// One part after the other would make the throughput a matter of the distance.
TEST_F(ArchiveUploadTest, PartsTravelSideBySide) {
  std::string text(20'500, 'a');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  const SteadyTime begun = world.clock.SteadyNow();
  std::vector<Result<void>> results = Upload(text, 6);
  ASSERT_TRUE(written);
  ASSERT_EQ(results.size(), 1u);
  ASSERT_TRUE(results[0]) << results[0].error().Describe();
  EXPECT_EQ(*backend->Find("staging", "archive")->bytes, text);
  EXPECT_EQ(counts[StoreOperation::kCreateMultipart], 1) << "five parts wanted one at once";
  EXPECT_EQ(counts[StoreOperation::kUploadPart], 21);
  // To create and to complete, four rounds of five parts, and the last.
  EXPECT_LE(world.clock.SteadyNow() - begun, std::chrono::milliseconds(80 * 8));
  EXPECT_TRUE(backend->buckets["staging"].uploads.empty());
  EXPECT_EQ(bytes_moved, text.size());
}

// What fits one part need not fit one PUT.
TEST_F(ArchiveUploadTest, ASmallArchiveGoesAsAPartWherePutsAreSmaller) {
  backend->options.capabilities.put_size_bytes_max = 400;
  for (const size_t size : {size_t{300}, size_t{700}}) {
    const std::string text(size, 'a');
    std::vector<Result<void>> results = Upload(text, 6);
    ASSERT_TRUE(results[0]) << results[0].error().Describe();
    EXPECT_EQ(*backend->Find("staging", "archive")->bytes, text);
  }
  EXPECT_EQ(counts[StoreOperation::kPut], 1);
  EXPECT_EQ(counts[StoreOperation::kUploadPart], 1);
  EXPECT_TRUE(backend->buckets["staging"].uploads.empty());
}

// All parts that wait for an upload must learn that there is none.
TEST_F(ArchiveUploadTest, AnUploadThatIsRefusedIsRefusedOnce) {
  fails = true;
  std::vector<Result<void>> results = Upload(std::string(20'500, 'a'), 6);
  EXPECT_FALSE(written);
  ASSERT_FALSE(results[0]);
  EXPECT_EQ(results[0].error().kind, ErrorKind::kDenied);
  EXPECT_EQ(counts[StoreOperation::kCreateMultipart], 1);
  EXPECT_EQ(counts[StoreOperation::kUploadPart], 0);
}

}  // namespace
}  // namespace longhaul
