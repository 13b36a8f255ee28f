#include "backup/vault_versions.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <utility>

#include "backup/prune_note.h"
#include "transfer/listing/listing_memory.h"
#include "transfer/listing/sorted_listing.h"

namespace longhaul::backup {

namespace {

// As ListedOf wrote it.
struct SegmentText {
  std::string plan;
  uint32_t number = 0;
  uint32_t count = 0;
};

SegmentText ParseSegmentText(const std::string& text) {
  SegmentText segment;
  const size_t one = text.find(' ');
  const size_t two = text.find(' ', one + 1);
  segment.plan = text.substr(0, one);
  std::from_chars(text.data() + one + 1, text.data() + two, segment.number);
  std::from_chars(text.data() + two + 1, text.data() + text.size(), segment.count);
  return segment;
}

class Folded : public Listing {
 public:
  Folded(std::unique_ptr<Listing> readings, SegmentsTold told)
      : readings_(std::move(readings)), told_(std::move(told)) {}

  Async<std::optional<ListedObject>> Next() override {
    while (ready_.empty() && !ended_) {
      Result<void> filled = co_await Fill();
      if (!filled) co_return filled.error();
    }
    if (ready_.empty()) co_return std::nullopt;
    std::optional<ListedObject> version = std::move(ready_.front());
    ready_.pop_front();
    version->is_latest = version->key != last_key_;
    last_key_ = version->key;
    co_return version;
  }

  asio::awaitable<void> Close() override { co_await readings_->Close(); }

 private:
  // All readings of one key that have one stamp.
  Async<void> Fill() {
    std::vector<ListedObject> group;
    if (ahead_) group.push_back(std::move(*std::exchange(ahead_, std::nullopt)));
    while (true) {
      ListedObject next;
      if (!readings_->TakeReady(next)) {
        Result<std::optional<ListedObject>> read = co_await readings_->Next();
        if (!read) co_return read.error();
        if (!*read) {
          ended_ = true;
          break;
        }
        next = std::move(**read);
      }
      if (!group.empty() &&
          (next.key != group.front().key || next.last_modified != group.front().last_modified)) {
        ahead_ = std::move(next);
        break;
      }
      if (group.size() == kOfOneStampMax) {
        co_return Corrupt("the catalogs have more than " + std::to_string(kOfOneStampMax) +
                          " entries for one state of " + next.key);
      }
      group.push_back(std::move(next));
    }
    Fold(std::move(group));
    co_return Ok();
  }

  void Fold(std::vector<ListedObject> group) {
    // By plan: version ids by number. As many as were told, however many there are said to be.
    std::map<std::string, std::map<uint32_t, std::string>> plans;
    std::vector<ListedObject> versions;
    for (ListedObject& reading : group) {
      if (reading.storage_class.empty()) {
        versions.push_back(std::move(reading));
        continue;
      }
      const SegmentText segment = ParseSegmentText(reading.storage_class);
      std::map<uint32_t, std::string>& parts = plans[segment.plan];
      parts[segment.number] = reading.version_id;
      if (parts.size() < segment.count || parts.rbegin()->first >= parts.size()) continue;
      reading.storage_class.clear();
      reading.version_id = parts.begin()->second;
      std::vector<std::string> ids;
      for (auto& [number, id] : parts) ids.push_back(std::move(id));
      if (told_) told_(reading.version_id, std::move(ids));
      plans.erase(segment.plan);
      versions.push_back(std::move(reading));
    }
    // ULIDs are in order of time.
    std::vector<std::pair<std::pair<std::string, uint64_t>, size_t>> order;
    for (const ListedObject& version : versions) {
      const Result<VersionPlace> place = ParseVersion(version.version_id);
      order.emplace_back(place ? std::pair(place->name.ulid, place->entry)
                               : std::pair(version.version_id, uint64_t{0}),
                         order.size());
    }
    std::ranges::sort(order, std::ranges::greater());
    std::string before;
    for (const auto& [place, number] : order) {
      ListedObject& version = versions[number];
      // The same archive in two folders: kept, and kept again after the partition was changed.
      const std::string same = version.version_id.substr(0, version.version_id.find('@'));
      if (same != before) ready_.push_back(std::move(version));
      before = same;
    }
  }

  std::unique_ptr<Listing> readings_;
  SegmentsTold told_;
  std::optional<ListedObject> ahead_;
  std::deque<ListedObject> ready_;
  std::string last_key_;
  bool ended_ = false;
};

class Current : public Listing {
 public:
  Current(std::unique_ptr<Listing> versions, SystemTime at)
      : versions_(std::move(versions)), at_(at) {}

  Async<std::optional<ListedObject>> Next() override {
    while (true) {
      Result<std::optional<ListedObject>> version = co_await versions_->Next();
      if (!version || !*version) co_return version;
      if ((*version)->last_modified > at_ || (*version)->key == decided_) continue;
      decided_ = (*version)->key;
      if (!(*version)->is_delete_marker) co_return version;
    }
  }

  asio::awaitable<void> Close() override { co_await versions_->Close(); }

 private:
  std::unique_ptr<Listing> versions_;
  SystemTime at_;
  std::optional<std::string> decided_;  // The last key that had a version.
};

// The bucket at a time of which nothing was pruned.
class Unpruned : public Listing {
 public:
  Unpruned(std::unique_ptr<Listing> objects, CatalogSource source, SystemTime at)
      : objects_(std::move(objects)), source_(std::move(source)), at_(at) {}

  Async<std::optional<ListedObject>> Next() override {
    if (known_) co_return co_await objects_->Next();
    Result<void> there = co_await CheckNotPruned(source_, at_);
    if (!there) co_return there.error();
    Result<std::optional<ListedObject>> first = co_await objects_->Next();
    if (!first) co_return first.error();
    // By now all catalogs have been read: what a prune has removed under way it has noted before.
    there = co_await CheckNotPruned(source_, at_);
    if (!there) co_return there.error();
    known_ = true;
    co_return first;
  }
  asio::awaitable<void> Close() override { co_await objects_->Close(); }

 private:
  std::unique_ptr<Listing> objects_;
  CatalogSource source_;
  SystemTime at_;
  bool known_ = false;
};

}  // namespace

size_t SortBytesOfVault(const MemoryBudget& memory) {
  return std::min(kSortBytesMax, static_cast<size_t>(ListingBytesMax(memory)));
}

std::unique_ptr<Listing> FoldVersions(std::unique_ptr<Listing> readings, SegmentsTold told) {
  return std::make_unique<Folded>(std::move(readings), std::move(told));
}

std::unique_ptr<Listing> CurrentAt(std::unique_ptr<Listing> versions, SystemTime at) {
  return std::make_unique<Current>(std::move(versions), at);
}

std::unique_ptr<Listing> OpenVaultListing(Runtime runtime, CatalogSource source, SystemTime at,
                                          CatalogTroubles& troubles,
                                          std::function<void(const std::string& what)> told,
                                          SegmentsTold segments) {
  auto objects = std::make_unique<Current>(
      OpenVaultHistory(runtime, source, troubles, std::move(told), std::move(segments)), at);
  // What is newest is never pruned.
  if (at == SystemTime::max()) return objects;
  return std::make_unique<Unpruned>(std::move(objects), std::move(source), at);
}

std::unique_ptr<Listing> OpenVaultHistory(Runtime runtime, CatalogSource source,
                                          CatalogTroubles& troubles,
                                          std::function<void(const std::string& what)> told,
                                          SegmentsTold segments) {
  std::unique_ptr<Listing> readings =
      OpenReadings(runtime, std::move(source), troubles, std::move(told));
  return FoldVersions(SortListing(runtime, std::move(readings), "", Doubles::kKeep,
                                  SortBytesOfVault(runtime.memory)),
                      std::move(segments));
}

}  // namespace longhaul::backup
