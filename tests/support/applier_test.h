// ApplierTest: an Applier on a store in memory, for the tests of what it does to one key.

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "replica/apply.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul::testing {

// A body that lies in memory, and what is to happen before it is written: a rival who is faster.
class TextBody : public ReplicaBody {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}

  Async<PutResult> Write(Store& store, PutRequest request) override {
    ++writes;
    if (before_write) {
      auto rival = std::exchange(before_write, nullptr);
      co_await rival();
    }
    MemorySource source{std::string_view(text_)};
    Result<PutResult> put = co_await store.Put(std::move(request), source);
    if (put && after_write) {
      auto rival = std::exchange(after_write, nullptr);
      co_await rival();
    }
    co_return put;
  }

  std::function<asio::awaitable<void>()> before_write;
  std::function<asio::awaitable<void>()> after_write;
  int writes = 0;

 private:
  std::string text_;
};

// One PUT without an answer, which takes effect `effect_delay` later.
struct LatePut : FaultPlan {
  explicit LatePut(std::chrono::seconds effect_delay) : effect_delay(effect_delay) {}
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation == StoreOperation::kPut) {
      fault.error = Retryable("no answer");
      fault.effect = Fault::Effect::kLater;
      fault.effect_delay = effect_delay;
    }
    return fault;
  }
  std::chrono::seconds effect_delay;
};

// The same promises hold with conditional writes, and without any, where leases stand in.
class ApplierTest : public ::testing::TestWithParam<bool> {
 protected:
  ApplierTest()
      : backend_(std::make_shared<MemoryStoreBackend>(Options())),
        state_backend_(std::make_shared<FakeStateBackend>()),
        store_(world_.runtime, backend_),
        state_(world_.runtime, state_backend_, &state_faults_),
        floors_(state_, world_.clock, "rule/target") {
    backend_->buckets["b"].created = world_.clock.Now();
    start_ = std::chrono::time_point_cast<SystemTime::duration>(
        std::chrono::floor<std::chrono::seconds>(world_.clock.Now()));
    MakeApplier({});
  }

  static MemoryStoreOptions Options() {
    MemoryStoreOptions options;
    if (!GetParam()) {
      options.capabilities.create_if_absent = false;
      options.capabilities.replace_if_match = false;
      options.capabilities.delete_if_match = false;
    }
    return options;
  }

  void MakeApplier(ApplyPolicy policy) {
    policy.bucket = "b";
    policy.site = "east";
    policy.owner = "me";
    policy.deletes = true;
    policy.capabilities = store_.capabilities();
    applier_ = std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy);
  }

  [[nodiscard]] SystemTime At(int second) const { return start_ + std::chrono::seconds(second); }

  static std::string EtagOf(const std::string& text) { return "etag-of-" + text; }

  [[nodiscard]] ReplicaWrite WriteOf(const std::string& text, int second) const {
    return {.key = "k",
            .stamp = At(second),
            .source_etag = EtagOf(text),
            .size_bytes = text.size(),
            .metadata = {{"owner", "ann"}}};
  }

  ApplyState Put(const std::string& text, int second) {
    TextBody body(text);
    return PutBody(WriteOf(text, second), body);
  }
  ApplyState PutBody(ReplicaWrite write, TextBody& body) {
    Result<ApplyOutcome> outcome = world_.Run(applier_->Put(std::move(write), body));
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().Describe());
    return outcome ? outcome->state : ApplyState::kConflict;
  }
  // As the queue does: again, as long as something may land.
  void PutUntilSettled(const std::string& text, int second) {
    for (int tries = 0; tries < 60; ++tries) {
      TextBody body(text);
      Result<ApplyOutcome> outcome = world_.Run(applier_->Put(WriteOf(text, second), body));
      if (outcome) return;
      EXPECT_EQ(outcome.error().kind, ErrorKind::kRetryable);
      world_.Run(world_.clock.Sleep(std::chrono::seconds(5)));
    }
    ADD_FAILURE() << "it is never settled";
  }
  ApplyState Remove(int second) {
    Result<ApplyOutcome> outcome = world_.Run(applier_->Remove("k", At(second)));
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().Describe());
    return outcome ? outcome->state : ApplyState::kConflict;
  }
  void PutForeign(const std::string& text) {
    PutRequest request{.bucket = "b", .key = "k"};
    ASSERT_TRUE(world_.Run(PutText(store_, std::move(request), text)));
  }

  // What stands at the target; "-" for nothing.
  [[nodiscard]] std::string Content() const {
    const auto* version = backend_->Find("b", "k");
    return version == nullptr ? "-" : *version->bytes;
  }

  FakeWorld world_;
  std::shared_ptr<MemoryStoreBackend> backend_;
  std::shared_ptr<FakeStateBackend> state_backend_;
  MemoryStore store_;
  FakeFaults state_faults_{1};
  FakeState state_;
  Floors floors_;
  std::unique_ptr<Applier> applier_;
  SystemTime start_;
};

}  // namespace longhaul::testing
