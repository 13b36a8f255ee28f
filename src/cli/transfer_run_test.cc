#include "cli/transfer_run.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "cli/local_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_console.h"
#include "transfer/listing/listing.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::MemoryStoreBackend;

// A run that was stopped when a was done and b was in flight, and goes on.
struct StoppedRun {
  bool histories = false;  // Else with `--at 1h`.
  testing::TempDir folder;
  testing::TestConsole console;
  std::shared_ptr<MemoryStoreBackend> backend = std::make_shared<MemoryStoreBackend>();

  static OpenedAddress Place(Store& store, const std::string& bucket) {
    return {.address = {.kind = CommandAddress::Kind::kS3,
                        .text = "s3://" + bucket,
                        .store = "",
                        .bucket = bucket,
                        .key = ""},
            .store = &store};
  }

  RunSession::What Known(SystemTime at) const {
    return {.command = "sync",
            .source = "s3://from",
            .target = "s3://to",
            .below = "",
            .listing = histories ? kHistories : "at 3600000 ms before its beginning",
            .at = histories ? SystemTime{} : at,
            .journal = true};
  }

  Async<void> Put(Store& store, std::string text) {
    for (const char* key : {"a", "b", "c", "d"}) {
      Result<PutResult> put = co_await PutText(store, {.bucket = "from", .key = key}, text);
      if (!put) co_return put.error();
    }
    co_return Ok();
  }

  Async<void> BeginAndStop(RunContext& context, SystemTime at) {
    LocalState state(context.runtime(), {.sqlite_path = folder.file("state.db")});
    const RunSession::What known = Known(at);
    Result<std::unique_ptr<RunJournal>> journal =
        co_await RunJournal::Begin(context.runtime(), state,
                                   {.command = known.command,
                                    .arguments = {"sync"},
                                    .source = known.source,
                                    .target = known.target,
                                    .listing = known.listing,
                                    .at = known.at});
    if (!journal) co_return journal.error();
    (*journal)->counts().copied = 1;
    (*journal)->Started("a");
    (*journal)->Done("a");
    (*journal)->Started("b");
    co_return co_await (*journal)->Finish(RunPhase::kStopped, "stopped by a signal");
  }

  Async<ExitCode> GoOn(RunContext& context) {
    Result<ExitCode> ready = co_await Prepare(context);
    if (!ready) co_return ready;
    co_return co_await Resume(context);
  }

  Async<ExitCode> Prepare(RunContext& context) {
    Runtime& runtime = context.runtime();
    MemoryStore store(runtime, backend);
    for (const char* bucket : {"from", "to"}) {
      Result<void> made = co_await store.CreateBucket(bucket);
      if (!made) co_return made.error();
    }
    Result<void> ready = co_await store.SetVersioning("from", true);
    if (ready && histories) ready = co_await store.SetVersioning("to", true);
    if (ready) ready = co_await Put(store, "then");
    const SystemTime then = runtime.clock.Now();
    co_await runtime.clock.Sleep(std::chrono::milliseconds(1100));  // Times have whole seconds.
    if (ready) ready = co_await Put(store, "changed");
    if (ready) ready = co_await BeginAndStop(context, then);
    if (!ready) co_return ready.error();
    co_return ExitCode::kDone;
  }

  Async<ExitCode> Resume(RunContext& context, testing::FaultPlan* faults = nullptr) {
    Runtime& runtime = context.runtime();
    MemoryStore store(runtime, backend, faults);
    TransferRun run(context, {});
    RunFlags flags;
    flags.resume = "last";
    flags.state.path = folder.file("state.db");
    Result<void> remembered = co_await run.Remember(flags, Known(runtime.clock.Now()));
    if (!remembered) co_return remembered.error();
    const SystemTime at = run.At(runtime.clock.Now());
    run.Begin();
    if (histories) {
      Result<void> done = co_await run.TransferVersions(Place(store, "from"), Place(store, "to"),
                                                        {}, SyncOptions{});
      co_return co_await run.Conclude(done);
    }
    const auto open = [&](TransferRun::Wanted wanted) {
      return OpenedListing(
          OpenListingAt(runtime, store, "from", "", at, std::move(wanted.options)));
    };
    Result<void> done =
        co_await run.Transfer(Place(store, "from"), Place(store, "to"), open, true, SyncOptions{});
    co_return co_await run.Conclude(done);
  }
};

// Counted from its own beginning it would be another time than that of what is done; and what was
// in flight would be what the source has now.
TEST(TransferRunTest, GoesOnAtTheTimeOfItsBeginning) {
  StoppedRun test;
  RunContext context(CommonFlags{}, std::nullopt, test.console);
  Result<ExitCode> code = context.Run(test.GoOn(context));
  ASSERT_TRUE(code) << code.error().Describe();
  EXPECT_EQ(*code, ExitCode::kDone) << test.console.error;
  EXPECT_EQ(test.backend->Keys("to"), (std::vector<std::string>{"b", "c", "d"}));
  for (const std::string& key : test.backend->Keys("to")) {
    EXPECT_EQ(*test.backend->Find("to", key)->bytes, "then") << key;
  }
  test.backend.reset();  // Before the clock.
}

TEST(TransferRunTest, HistoriesGoOnBehindWhatIsDone) {
  StoppedRun test{.histories = true};
  RunContext context(CommonFlags{}, std::nullopt, test.console);
  Result<ExitCode> code = context.Run(test.GoOn(context));
  ASSERT_TRUE(code) << code.error().Describe();
  EXPECT_EQ(*code, ExitCode::kDone) << test.console.error;
  EXPECT_EQ(test.backend->Keys("to"), (std::vector<std::string>{"b", "c", "d"}));
  for (const auto& [key, versions] : test.backend->buckets["to"].objects) {
    EXPECT_EQ(versions.size(), 2U) << key;
  }
  test.backend.reset();  // Before the clock.
}

// Sets a stop when the first version of b is written.
class StopAtB : public testing::FaultPlan {
 public:
  explicit StopAtB(Event& stop) : stop_(stop) {}
  testing::Fault Next(testing::StoreOperation operation, std::string_view bucket,
                      std::string_view key) override {
    const bool writes =
        operation == testing::StoreOperation::kPut || operation == testing::StoreOperation::kCopy;
    if (writes && bucket == "to" && key == "b") stop_.Set();
    return {};
  }

 private:
  Event& stop_;
};

// What was stopped between two versions while it was done again is done again once more.
TEST(TransferRunTest, AHistoryThatWasStoppedOnTheWayIsNotDone) {
  StoppedRun test{.histories = true};
  RunContext context(CommonFlags{}, std::nullopt, test.console);
  Result<ExitCode> code = context.Run(test.Prepare(context));
  ASSERT_TRUE(code) << code.error().Describe();
  StopAtB faults(context.stop());
  code = context.Run(test.Resume(context, &faults));
  ASSERT_TRUE(code) << code.error().Describe();
  EXPECT_NE(*code, ExitCode::kDone);
  EXPECT_EQ(test.backend->buckets["to"].objects["b"].size(), 1U);
  RunContext again(CommonFlags{}, std::nullopt, test.console);
  code = again.Run(test.Resume(again));
  ASSERT_TRUE(code) << code.error().Describe();
  EXPECT_EQ(*code, ExitCode::kDone) << test.console.error;
  for (const auto& [key, versions] : test.backend->buckets["to"].objects) {
    EXPECT_EQ(versions.size(), 2U) << key;
  }
  test.backend.reset();  // Before the clock.
}

// Whoever forgot it: a run with names in flight is no run that is done.
TEST(TransferRunTest, ARunWithNamesInFlightIsNotDone) {
  StoppedRun test{.histories = true};
  RunContext context(CommonFlags{}, std::nullopt, test.console);
  std::optional<RunRecord> record;
  const auto begin_and_end = [&]() -> Async<ExitCode> {
    TransferRun run(context, {});
    RunFlags flags;
    flags.state.path = test.folder.file("state.db");
    Result<void> remembered =
        co_await run.Remember(flags, test.Known(context.runtime().clock.Now()));
    if (!remembered) co_return remembered.error();
    run.Begin();
    const ListedObject object{.key = "b"};
    run.observers.OnLooking({.name = "b", .source = &object});
    Result<ExitCode> code = co_await run.Conclude(Ok());
    if (!code) co_return code.error();
    LocalState state(context.runtime(), {.sqlite_path = test.folder.file("state.db")});
    Result<RunRecord> found = co_await Runs(context.runtime(), state).Find("last");
    if (!found) co_return found.error();
    record = std::move(*found);
    co_return code;
  };
  Result<ExitCode> code = context.Run(begin_and_end());
  ASSERT_TRUE(code) << code.error().Describe();
  EXPECT_EQ(record->phase, RunPhase::kStopped);
  EXPECT_EQ(record->open, std::vector<std::string>{"b"});
  test.backend.reset();  // Before the clock.
}

}  // namespace
}  // namespace longhaul
