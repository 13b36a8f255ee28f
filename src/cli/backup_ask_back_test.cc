#include "cli/backup_ask_back.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backup/vault_store.h"
#include "cli/run_context.h"
#include "storage/restores_objects.h"
#include "tests/support/memory_store.h"
#include "tests/support/test_console.h"

namespace longhaul {
namespace {

using testing::Fault;
using testing::FaultPlan;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

// Archives may be read, and not be listed.
class NoListing : public FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    if (operation != StoreOperation::kList) return {};
    return {.error = Error{.kind = ErrorKind::kDenied,
                           .message = "no right to it",
                           .code = "AccessDenied",
                           .http_status = 403}};
  }
};

class ArchivingStore : public MemoryStore, public RestoresObjects {
 public:
  using MemoryStore::MemoryStore;
  Async<void> Restore(RestoreRequest) override { co_return InvalidInput("nothing is asked for"); }
  Async<bool> IsBeingRestored(std::string, std::string) override { co_return false; }
};

class AskBackFirstTest : public ::testing::Test {
 protected:
  // Whether the restore goes on.
  Result<bool> Ask(const AskBackFlags& flags) {
    RunContext context(CommonFlags{}, std::nullopt, console);
    auto backend = std::make_shared<MemoryStoreBackend>();
    backend->buckets["out"].created = context.runtime().clock.Now();
    NoListing faults;
    ArchivingStore store(context.runtime(), backend, &faults);
    backup::VaultStore vault(context.runtime(), store, {.bucket = "out", .prefix = "v/"}, "in",
                             {.seal_keys = {}, .memory_bytes = 64 << 20});
    Result<bool> goes_on = false;
    Result<ExitCode> code = context.Run(Run(context, flags, store, vault, goes_on));
    EXPECT_TRUE(code);
    return goes_on;
  }

  testing::TestConsole console;

 private:
  static Async<ExitCode> Run(RunContext& context, const AskBackFlags& flags, Store& archives,
                             backup::BackupStore& store, Result<bool>& goes_on) {
    const OpenedVault vault{.store = &archives,
                            .address = {},
                            .place = {.bucket = "out", .prefix = "v/"},
                            .bucket = "in",
                            .words = {},
                            .seal_keys = {}};
    goes_on =
        co_await AskBackFirst(context, flags, {}, vault, archives, store, {.prefix = ""}, false);
    co_return ExitCode::kDone;
  }
};

// The look for archives in archive classes is a courtesy: whoever is refused it can restore all the
// same, and an archive that cannot be read is named when its turn comes.
TEST_F(AskBackFirstTest, ARefusedLookStopsNoRestore) {
  const Result<bool> goes_on = Ask({});
  ASSERT_TRUE(goes_on) << goes_on.error().Describe();
  EXPECT_TRUE(*goes_on);
  EXPECT_THAT(console.error, ::testing::HasSubstr("look for archives in archive classes"));
}

// But nobody can ask, and pay, for what is not known.
TEST_F(AskBackFirstTest, WhatIsToBeAskedForHasToBeKnown) {
  const Result<bool> goes_on = Ask({.tier = "Bulk"});
  ASSERT_FALSE(goes_on);
  EXPECT_EQ(goes_on.error().kind, ErrorKind::kDenied);
}

}  // namespace
}  // namespace longhaul
