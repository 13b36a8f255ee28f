#include "backup/ask_back.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace longhaul::backup {

namespace {

constexpr int kAskedAtOnce = 16;

// It may have archive tiers, of which listings tell nothing.

bool IsArchiveClass(const std::string& storage_class) {
  return storage_class == "GLACIER" || storage_class == "DEEP_ARCHIVE" ||
         storage_class == kTieringClass;
}

// Whether the first byte can be read: stores that only call a class so give it.
Async<bool> CanBeRead(Store& store, std::string bucket, std::string key) {
  GetRequest request{.bucket = std::move(bucket), .key = std::move(key)};
  request.range = ByteRange{.offset_bytes = 0, .size_bytes = 1};
  Result<ObjectStream> stream = co_await store.Get(request);
  if (!stream && stream.error().code == kArchivedCode) co_return false;
  if (!stream) co_return stream.error().In("the archive " + request.key);
  std::byte byte{};
  Result<size_t> read = co_await stream->body->Read({&byte, 1});
  if (!read) co_return read.error().In("the archive " + request.key);
  co_return true;
}

Async<void> Look(ArchivesPlace place, AwayArchive& archive, uint8_t& readable) {
  Result<bool> can = co_await CanBeRead(*place.store, place.bucket, archive.key);
  if (!can) co_return can.error();
  readable = *can ? 1 : 0;
  co_return Ok();
}

Async<void> LookWhetherAsked(ArchivesPlace place, AwayArchive& archive) {
  auto* restores = dynamic_cast<RestoresObjects*>(place.store);
  Result<bool> asked = co_await restores->IsBeingRestored(place.bucket, archive.key);
  if (!asked) co_return asked.error().In("the archive " + archive.key);
  archive.asked = *asked;
  co_return Ok();
}

Async<void> Ask(ArchivesPlace place, AwayArchive& archive, std::string tier, int days) {
  // (S3 User Guide, "Working with archived objects".)
  if (archive.storage_class == kTieringClass) days = 0;
  auto* restores = dynamic_cast<RestoresObjects*>(place.store);
  Result<void> asked = co_await restores->Restore({.bucket = place.bucket,
                                                   .key = archive.key,
                                                   .version_id = {},
                                                   .tier = std::move(tier),
                                                   .days = days});
  if (!asked) co_return asked.error().In("the archive " + archive.key);
  archive.asked = true;
  co_return Ok();
}

// Those of the place that are in such a class, by key.
Async<std::map<std::string, AwayArchive>> ListArchived(Runtime runtime, ArchivesPlace place) {
  std::map<std::string, AwayArchive> archived;
  auto listing = OpenListing(runtime, *place.store, place.bucket, place.prefix);
  Result<void> failed;
  while (true) {
    Result<std::optional<ListedObject>> next = co_await listing->Next();
    if (!next) failed = next.error();
    if (!next || !*next) break;
    ListedObject& object = **next;
    if (!IsArchiveClass(object.storage_class)) continue;
    AwayArchive archive{.key = object.key,
                        .storage_class = std::move(object.storage_class),
                        .size_bytes = object.size_bytes};
    archived.emplace(std::move(object.key), std::move(archive));
  }
  co_await listing->Close();
  if (!failed) co_return failed.error().In("list " + place.bucket + "/" + place.prefix);
  co_return archived;
}

}  // namespace

Async<std::vector<AwayArchive>> FindAway(Runtime runtime, BackupStore& vault, RestoreWhat what,
                                         ArchivesPlace place) {
  std::vector<AwayArchive> away;
  if (dynamic_cast<RestoresObjects*>(place.store) == nullptr) co_return away;
  auto archived = co_await ListArchived(runtime, place);
  if (!archived) co_return archived.error();
  if (archived->empty()) co_return away;
  CatalogTroubles troubles;  // The restore itself tells of them.
  auto listing = OpenRestored(vault, std::move(what), troubles, [](const std::string&) {});
  Result<void> failed;
  while (true) {
    Result<std::optional<ListedObject>> next = co_await listing->Next();
    if (!next) failed = next.error();
    if (!next || !*next) break;
    for (const std::string& key : vault.ArchiveKeys((*next)->version_id)) {
      auto found = archived->extract(key);
      if (found) away.push_back(std::move(found.mapped()));
    }
  }
  co_await listing->Close();
  if (!failed) co_return failed.error();
  std::ranges::sort(away, {}, &AwayArchive::key);
  Result<void> looked = co_await DropReadable(runtime, place, away);
  if (!looked) co_return looked.error();
  TaskGroup tasks(runtime.executor);
  for (AwayArchive& archive : away) {
    co_await tasks.WaitBelow(kAskedAtOnce);
    tasks.Spawn(LookWhetherAsked(place, archive));
  }
  looked = co_await tasks.Join();
  if (!looked) co_return looked.error();
  co_return away;
}

Async<void> AskBack(Runtime runtime, ArchivesPlace place, std::vector<AwayArchive>& archives,
                    std::string tier, int days) {
  TaskGroup tasks(runtime.executor);
  for (AwayArchive& archive : archives) {
    if (archive.asked) continue;
    co_await tasks.WaitBelow(kAskedAtOnce);
    tasks.Spawn(Ask(place, archive, tier, days));
  }
  co_return co_await tasks.Join();
}

Async<void> DropReadable(Runtime runtime, ArchivesPlace place, std::vector<AwayArchive>& archives) {
  std::vector<uint8_t> readable(archives.size(), 0);
  TaskGroup tasks(runtime.executor);
  for (size_t i = 0; i < archives.size(); ++i) {
    co_await tasks.WaitBelow(kAskedAtOnce);
    tasks.Spawn(Look(place, archives[i], readable[i]));
  }
  Result<void> looked = co_await tasks.Join();
  if (!looked) co_return looked;
  size_t kept = 0;
  for (size_t i = 0; i < archives.size(); ++i) {
    if (readable[i] == 0) {
      if (kept != i) archives[kept] = std::move(archives[i]);
      ++kept;
    }
  }
  archives.resize(kept);
  co_return Ok();
}

}  // namespace longhaul::backup
