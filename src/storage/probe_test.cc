#include "storage/probe.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::MemoryStoreOptions;

struct Probed {
  Result<Capabilities> found;
  std::shared_ptr<MemoryStoreBackend> backend;
};

Probed Probe(MemoryStoreOptions options, bool versioned = false) {
  FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>(std::move(options));
  MemoryStore store(world.runtime, backend);
  backend->buckets["bucket"].created = world.clock.Now();
  if (versioned) {
    backend->buckets["bucket"].versioning = MemoryStoreBackend::Versioning::kEnabled;
  }
  Result<Capabilities> found = world.Run(ProbeStore(store, "bucket", "staging/probe/1/"));
  return {std::move(found), backend};
}

// Whoever pays for the bucket must not find our litter in it.
void ExpectNothingLeft(const Probed& probed) {
  EXPECT_TRUE(probed.backend->buckets["bucket"].objects.empty());
  EXPECT_TRUE(probed.backend->buckets["bucket"].uploads.empty());
}

// A store that does everything must be found to: the fall-backs are slower.
TEST(ProbeTest, FindsWhatAFullStoreCan) {
  for (bool versioned : {false, true}) {
    MemoryStoreOptions options;
    options.capabilities.part_size_bytes_min = 1;
    Probed probed = Probe(options, versioned);
    ASSERT_TRUE(probed.found) << probed.found.error().Describe();
    EXPECT_EQ(*probed.found, options.capabilities);
    ExpectNothingLeft(probed);
  }
}

// A condition that is ignored is the dangerous kind: the write succeeds.
TEST(ProbeTest, FindsWhatAPoorStoreCannot) {
  for (bool refuses : {false, true}) {
    MemoryStoreOptions options;
    options.capabilities = Capabilities{};
    options.capabilities.tags = false;
    options.capabilities.checksums = options.capabilities.trailing_checksums = false;
    options.capabilities.storage_classes = false;
    options.capabilities.lists_uploads = false;
    options.capabilities.key_dot_segments = false;
    options.capabilities.key_double_slash = false;
    options.capabilities.key_file_beside_folder = false;
    options.capabilities.key_trailing_slash = false;
    options.refuse_unknown_conditions = refuses;
    Probed probed = Probe(options);
    ASSERT_TRUE(probed.found) << probed.found.error().Describe();
    EXPECT_EQ(*probed.found, options.capabilities) << refuses;
    ExpectNothingLeft(probed);
  }
}

// A server that stores "a//b" as "a/b" says OK to both.
TEST(ProbeTest, FindsAliasedKeys) {
  MemoryStoreOptions options;
  options.alias_keys = true;
  options.capabilities.key_dot_segments = false;
  options.capabilities.key_double_slash = false;
  Probed probed = Probe(options);
  ASSERT_TRUE(probed.found) << probed.found.error().Describe();
  EXPECT_FALSE(probed.found->key_dot_segments);
  EXPECT_FALSE(probed.found->key_double_slash);
  EXPECT_TRUE(probed.found->key_file_beside_folder);
  ExpectNothingLeft(probed);
}

// The answer to a creation may be lost on its way; its upload would be paid for for ever.
TEST(ProbeTest, LeavesNoUploadWhoseNameItWasNotTold) {
  struct LosesAnswers : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kCreateMultipart) {
        fault.error = Retryable("no answer");
        fault.effect = testing::Fault::Effect::kDone;
      }
      return fault;
    }
  } plan;
  FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>(MemoryStoreOptions{});
  backend->buckets["bucket"].created = world.clock.Now();
  MemoryStore store(world.runtime, backend, &plan);
  Result<Capabilities> found = world.Run(ProbeStore(store, "bucket", "staging/probe/1/"));
  EXPECT_FALSE(found);
  ExpectNothingLeft({std::move(found), backend});
}

// A write on a condition is not sent again, for it may have been carried out: whichever of them
// gets no answer, the trial tells nothing, and one that took its own first write for another's
// would find a store that cannot do what it can.
TEST(ProbeTest, BeginsATrialAnewWhoseWriteGotNoAnswer) {
  struct LosesOne : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      const bool writes = operation == testing::StoreOperation::kPut ||
                          operation == testing::StoreOperation::kCreateMultipart ||
                          operation == testing::StoreOperation::kUploadPart ||
                          operation == testing::StoreOperation::kCompleteMultipart;
      if (writes && written++ == lost) {
        fault.error = Retryable("no answer");
        fault.effect = testing::Fault::Effect::kDone;
      }
      return fault;
    }
    int lost = 0;
    int written = 0;
  } plan;
  MemoryStoreOptions options;
  options.capabilities.part_size_bytes_min = 1;
  do {
    FakeWorld world;
    auto backend = std::make_shared<MemoryStoreBackend>(options);
    backend->buckets["bucket"].created = world.clock.Now();
    MemoryStore store(world.runtime, backend, &plan);
    plan.written = 0;
    ++plan.lost;  // (The first says whether there is any sense in going on.)
    Probed probed{world.Run(ProbeStore(store, "bucket", "staging/probe/1/")), backend};
    ASSERT_TRUE(probed.found) << plan.lost << ": " << probed.found.error().Describe();
    EXPECT_EQ(*probed.found, options.capabilities) << plan.lost;
    ExpectNothingLeft(probed);
  } while (plan.written > plan.lost);
  EXPECT_GT(plan.lost, 30);
}

TEST(ProbeTest, SaysWhenTheBucketIsNotThere) {
  FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>(MemoryStoreOptions{});
  MemoryStore store(world.runtime, backend);
  Result<Capabilities> found = world.Run(ProbeStore(store, "none", "probe/1/"));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace longhaul
