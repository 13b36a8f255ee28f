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

}  // namespace
}  // namespace longhaul
