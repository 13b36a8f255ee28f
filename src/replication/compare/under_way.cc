#include "replication/compare/under_way.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "archive/archive_file.h"
#include "archive/reader.h"
#include "base/memory_share.h"
#include "replication/life/parked.h"
#include "replication/staging/origin.h"
#include "replication/staging/seal.h"
#include "replication/staging/staging.h"

namespace longhaul {

namespace {

// Archives side by side, and what each may take: those that longhaul writes by default are opened
// in it.
constexpr int64_t kOpenMax = 4;
// The reader gives a quarter of it to the entries: 10,000 of them, the default of `batch.count`,
// take 720 bytes each and their names.
constexpr int64_t kMemoryOfEach = 48 << 20;
constexpr int kRefusedMax = 1000;
constexpr int kPageRows = 1000;

}  // namespace

class UnderWay::Looking {
 public:
  Looking(Runtime& runtime, State& state, const RuleContext& rule, const TargetContext& target,
          size_t keys_max)
      : runtime_(runtime), state_(state), rule_(rule), target_(target), keys_max_(keys_max) {}

  Async<UnderWay> Run(size_t archives_max) {
    const std::string& name = target_.config->name;
    Result<std::vector<ParkedKey>> refused =
        co_await ScanParkedArchives(state_, rule_.rule->id, name, "", kRefusedMax);
    if (!refused) co_return refused.error();
    std::set<std::string> hopeless;
    for (const ParkedKey& archive : *refused) hopeless.insert(archive.archive);
    Result<bool> all = co_await ReadParked();
    if (!all) co_return all.error();
    if (!*all) co_return std::move(found_);
    Result<std::vector<StagedArchive>> listed = co_await ListStaging(
        *target_.staging_store, target_.staging_bucket, target_.staging_prefix);
    if (!listed) co_return listed.error().In("look into staging");
    const auto waits = [&](const StagedArchive& staged) {
      return staged.archive && !staged.HasReceipt(name) && !hopeless.contains(staged.ulid);
    };
    if (std::ranges::none_of(*listed, waits)) co_return std::move(found_);
    // All in one step: archives that are open would wait for more behind a role that waits for
    // them.
    const int64_t limit = runtime_.memory.limit_bytes();
    const int64_t places = std::clamp<int64_t>(limit / 4 / kMemoryOfEach, 1, kOpenMax);
    Result<Reservation> memory =
        co_await runtime_.memory.Reserve(std::min(limit, places * kMemoryOfEach));
    if (!memory) co_return memory.error();
    for (int64_t i = 0; i < places; ++i) {
      free_.push_back(std::make_unique<MemoryBudget>(memory->size_bytes() / places));
    }
    TaskGroup opening(runtime_.executor);
    for (auto staged = listed->rbegin(); staged != listed->rend() && archives_max > 0; ++staged) {
      if (!waits(*staged) || found_.readings_.size() >= keys_max_) continue;
      --archives_max;
      co_await opening.WaitBelow(static_cast<int>(places));
      opening.Spawn(OpenOne(staged->ulid));
    }
    Result<void> joined = co_await opening.Join();
    if (!joined) co_return joined.error();
    co_return std::move(found_);
  }

 private:
  // False: there are too many to tell.
  Async<bool> ReadParked() {
    std::string after;
    while (true) {
      Result<std::vector<ParkedKey>> rows = co_await ScanParked(
          state_, rule_.rule->id, target_.config->name, std::move(after), kPageRows);
      if (!rows) co_return rows.error();
      for (const ParkedKey& row : *rows) {
        // A conflict is settled: its archive goes.
        if (row.archive.empty() || row.reason.starts_with("conflict: ")) continue;
        parked_.insert_or_assign(row.key, row.archive);
      }
      if (std::ssize(*rows) < kPageRows) co_return true;
      if (parked_.size() > keys_max_) co_return false;
      after = rows->back().key;
    }
  }

  Async<void> OpenOne(std::string ulid) {
    std::unique_ptr<MemoryBudget> budget = std::move(free_.back());
    free_.pop_back();
    Result<void> opened;
    {
      Runtime own = WithMemory(runtime_, *budget);
      opened = co_await Open(own, std::move(ulid));
    }
    free_.push_back(std::move(budget));
    co_return opened;
  }

  Async<void> Open(Runtime& runtime, std::string ulid) {
    Result<std::unique_ptr<StoreArchiveFile>> file =
        co_await StoreArchiveFile::Open(runtime, *target_.staging_store, target_.staging_bucket,
                                        ArchiveKey(target_.staging_prefix, ulid), "");
    if (!file) co_return Ok();  // Applied just now, or nobody can read it.
    ReaderOptions options;
    options.seal_keys = SealKeys(*rule_.rule);
    Result<std::unique_ptr<ArchiveReader>> reader =
        co_await ArchiveReader::Open(runtime, **file, std::move(options));
    if (!reader && reader.error().kind == ErrorKind::kInvalidInput) {
      runtime_.log.Warning("what waits in staging is sent again: an archive cannot be looked into",
                           {{"archive", ulid}, LogField(reader.error())});
    }
    if (!reader || (*reader)->manifest().rule_id != rule_.rule->id) co_return Ok();
    // What will be refused brings nothing, nor does what is for others.
    if (!CheckOrigin(*rule_.rule, (*reader)->manifest())) co_return Ok();
    if (!(*reader)->manifest().IsFor(target_.config->name)) co_return Ok();
    const std::vector<ArchiveEntry>& entries = (*reader)->entries();
    // Where something is parked the rest has been applied, and is not applied again.
    const bool tried = std::ranges::any_of(
        entries, [this](const ArchiveEntry& entry) { return parked_.contains(entry.key); });
    for (const ArchiveEntry& entry : entries) {
      if (!tried || IsParked(entry.key, ulid)) Note(entry);
    }
    co_return Ok();
  }

  [[nodiscard]] bool IsParked(const std::string& key, const std::string& archive) const {
    const auto found = parked_.find(key);
    return found != parked_.end() && found->second == archive;
  }

  void Note(const ArchiveEntry& entry) {
    const auto known = found_.readings_.find(entry.key);
    if (known == found_.readings_.end() && found_.readings_.size() >= keys_max_) return;
    if (known != found_.readings_.end() && known->second.stamp >= entry.stamp) return;
    Reading reading{.deletes = entry.op == EntryOp::kDelete,
                    .stamp = entry.stamp,
                    .size_bytes = entry.size_bytes,
                    .etag = entry.etag};
    if (entry.segment) reading.stamp = {};  // Nothing is younger than that.
    found_.readings_.insert_or_assign(entry.key, std::move(reading));
  }

  Runtime& runtime_;
  State& state_;
  const RuleContext& rule_;
  const TargetContext& target_;
  size_t keys_max_;
  std::vector<std::unique_ptr<MemoryBudget>> free_;  // Of archives that are not open.
  // By key the archive that it was parked with last.
  std::map<std::string, std::string, std::less<>> parked_;
  UnderWay found_;
};

Async<UnderWay> UnderWay::Look(Runtime& runtime, State& state, const RuleContext& rule,
                               const TargetContext& target, size_t archives_max, size_t keys_max) {
  if (target.staging_store == nullptr) co_return UnderWay();
  Looking looking(runtime, state, rule, target, keys_max);
  co_return co_await looking.Run(archives_max);
}

// Both times are of the source's clock, in whole seconds: what was written in the second of the
// reading may have come after it.
bool UnderWay::Brings(const ListedObject& object) const {
  const auto found = readings_.find(object.key);
  if (found == readings_.end()) return false;
  const Reading& reading = found->second;
  return !reading.deletes && reading.size_bytes == object.size_bytes &&
         (reading.etag.empty() || reading.etag == object.etag) &&
         std::chrono::floor<std::chrono::seconds>(object.last_modified) <
             std::chrono::floor<std::chrono::seconds>(reading.stamp);
}

bool UnderWay::Removes(const std::string& key) const {
  const auto found = readings_.find(key);
  return found != readings_.end() && found->second.deletes;
}

}  // namespace longhaul
