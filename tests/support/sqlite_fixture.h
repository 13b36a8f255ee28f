// SqliteFixture: a database file in a folder of its own, and clients of it, for the suites.

#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "base/sqlite.h"
#include "tests/support/any_world.h"
#include "tests/support/temp_dir.h"

namespace longhaul::testing {

enum class SqliteMode {
  kInPlace,   // No thread, virtual clock; a connection for each client, like a process each.
  kThreaded,  // The same with threads and the real clock.
  kShared,    // One connection for all clients, as roles and shards of one process have it.
};

class SqliteFixture {
 public:
  explicit SqliteFixture(SqliteMode mode)
      : mode_(mode), world_(mode == SqliteMode::kInPlace ? AnyWorld::Fake() : AnyWorld::Real()) {}

  AnyWorld& world() { return world_; }
  std::shared_ptr<SqliteDatabase> Database() {
    if (mode_ == SqliteMode::kShared && shared_) return shared_;
    SqliteOptions options{.path = dir_.file("test.db"), .threaded = mode_ != SqliteMode::kInPlace};
    Result<std::shared_ptr<SqliteDatabase>> database =
        world_.Run(SqliteDatabase::Open(std::move(options)));
    if (!database) {
      ADD_FAILURE() << database.error().Describe();
      std::abort();
    }
    if (mode_ == SqliteMode::kShared) shared_ = *database;
    return *database;
  }

 private:
  SqliteMode mode_;
  TempDir dir_;
  AnyWorld world_;
  std::shared_ptr<SqliteDatabase> shared_;
};

}  // namespace longhaul::testing
