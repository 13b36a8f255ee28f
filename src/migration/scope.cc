#include "migration/scope.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "migration/finder.h"
#include "migration/plan.h"
#include "migration/row_scan.h"
#include "transfer/runs/row.h"

namespace longhaul::migration {

namespace {

// Prefixes are longer than keys of State may be.
std::string ScopeKey(std::string_view prefix) {
  return "scope/" + HexEncode(Digest(HashKind::kSha256, AsBytes(prefix)));
}

// The field "prefix" of all rows of a run that begin with `kind`.
Async<std::vector<std::string>> PrefixesOf(State& state, std::string run_id, std::string kind) {
  std::vector<std::string> prefixes;
  const auto take = [&prefixes](const StateRow& row) -> Result<bool> {
    Result<Row> read = Row::Decode(row.value);
    if (!read) return read.error();
    prefixes.push_back(read->Text("prefix"));
    return true;
  };
  Result<void> read = co_await ForEachRow(state, RowsOf(run_id), std::move(kind), take);
  if (!read) co_return read.error();
  co_return prefixes;
}

// Disjoint prefixes in their order: one listing after the other is in order, too.
class ScopeListing : public Listing {
 public:
  ScopeListing(Runtime runtime, Store& store, std::string bucket, std::string prefix,
               std::vector<std::string> scope)
      : runtime_(runtime),
        store_(store),
        bucket_(std::move(bucket)),
        prefix_(std::move(prefix)),
        scope_(std::move(scope)) {}

  Async<std::optional<ListedObject>> Next() override {
    while (true) {
      if (!listing_) {
        if (next_ == scope_.size()) co_return std::nullopt;
        listing_ = OpenListing(runtime_, store_, bucket_, prefix_ + scope_[next_++]);
      }
      Result<std::optional<ListedObject>> object = co_await listing_->Next();
      if (!object || *object) co_return object;
      co_await listing_->Close();
      listing_.reset();
    }
  }
  bool TakeReady(ListedObject& object) override {
    return listing_ != nullptr && listing_->TakeReady(object);
  }
  asio::awaitable<void> Close() override {
    if (listing_) co_await listing_->Close();
  }

 private:
  Runtime runtime_;
  Store& store_;
  std::string bucket_;
  std::string prefix_;
  std::vector<std::string> scope_;
  size_t next_ = 0;
  std::unique_ptr<Listing> listing_;
};

}  // namespace

Async<void> KeepScope(TaskBoard& board, State& state, std::string run_id) {
  Result<std::vector<std::string>> prefixes = co_await PrefixesOf(state, run_id, "find/");
  if (!prefixes) co_return prefixes.error();
  if (prefixes->empty()) co_return Ok();
  std::vector<StateWrite> writes;
  for (std::string& prefix : OutermostPrefixes(std::move(*prefixes))) {
    writes.push_back({.key = ScopeKey(prefix), .value = Row().Set("prefix", prefix).Encode()});
  }
  co_return co_await board.WriteRows(RowsOf(run_id), std::move(writes));
}

Async<std::vector<std::string>> ScopeOf(State& state, const Run& run) {
  const std::string id = run.id;
  if (run.options.events) co_return OutermostPrefixes({});
  Result<std::vector<std::string>> prefixes = co_await PrefixesOf(state, id, "find/");
  if (!prefixes) co_return prefixes.error();
  Result<std::vector<std::string>> before = co_await PrefixesOf(state, id, "scope/");
  if (!before) co_return before.error();
  prefixes->insert(prefixes->end(), before->begin(), before->end());
  co_return OutermostPrefixes(std::move(*prefixes));
}

std::unique_ptr<Listing> OpenScope(Runtime runtime, Store& store, std::string bucket,
                                   std::string prefix, std::vector<std::string> scope) {
  return std::make_unique<ScopeListing>(runtime, store, std::move(bucket), std::move(prefix),
                                        std::move(scope));
}

}  // namespace longhaul::migration
