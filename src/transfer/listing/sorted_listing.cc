#include "transfer/listing/sorted_listing.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "transfer/listing/page_codec.h"
#include "transfer/listing/sorted_runs.h"

namespace longhaul {

namespace {

constexpr size_t kBlockObjects = 256;  // In memory for each run of a merge:
constexpr size_t kBlockBytes = 80 << 10;
constexpr size_t kRunsMax = 256;
constexpr size_t kPageObjects = 1000;

class SortedListing : public PagedListing {
 public:
  SortedListing(Runtime runtime, std::unique_ptr<Listing> source, std::string folder,
                Doubles doubles, size_t run_bytes_max)
      : runtime_(runtime),
        source_(std::move(source)),
        folder_(std::move(folder)),
        doubles_(doubles),
        run_bytes_max_(run_bytes_max) {}

  asio::awaitable<void> Close() override { co_await source_->Close(); }

 protected:
  Async<std::vector<ListedObject>> NextPage() override {
    if (!sorted_) {
      sorted_ = true;
      Result<void> read = co_await ReadAll();
      if (!read) co_return read.error();
    }
    while (true) {
      Result<std::vector<ListedObject>> page = co_await Merged();
      if (!page || page->empty()) co_return page;
      Result<void> fine = Single(*page);
      if (!fine) co_return fine.error();
      if (!page->empty()) co_return page;
    }
  }

 private:
  Async<void> ReadAll() {
    Result<Reservation> memory = co_await runtime_.memory.Reserve(
        std::min<int64_t>(static_cast<int64_t>(run_bytes_max_), runtime_.memory.limit_bytes() / 2));
    if (!memory) co_return memory.error();
    memory_ = std::move(*memory);
    const auto room = static_cast<size_t>(memory_.size_bytes());
    size_t bytes = 0;
    while (true) {
      ListedObject object;
      if (!source_->TakeReady(object)) {
        Result<std::optional<ListedObject>> next = co_await source_->Next();
        if (!next) co_return next.error();
        if (!*next) break;
        object = std::move(**next);
      }
      bytes += ListedBytes(object);
      objects_.push_back(std::move(object));
      if (bytes < room) continue;
      Result<void> spilled = co_await Spill();
      if (!spilled) co_return spilled.error();
      bytes = 0;
    }
    if (runs_ != nullptr) {
      Result<void> spilled = co_await Spill();
      if (!spilled) co_return spilled.error();
      std::vector<ListedObject>().swap(objects_);  // What it has room for is given back below.
      merge_ = runs_->OpenMerge();
      bytes = runs_->count() * kBlockBytes;
    } else {
      co_await runtime_.pool.Run([this] { std::ranges::sort(objects_, ListedBefore); });
    }
    // Who walks it may take hours.
    memory_.ShrinkTo(std::min(memory_.size_bytes(), static_cast<int64_t>(bytes)));
    co_return Ok();
  }

  Async<void> Spill() {
    if (objects_.empty()) co_return Ok();
    Result<void> spilled = co_await runtime_.pool.Run([this]() -> Result<void> {
      if (runs_ == nullptr) {
        Result<std::unique_ptr<SortedRuns>> opened = SortedRuns::Open(folder_);
        if (!opened) return opened.error();
        runs_ = std::move(*opened);
      }
      std::ranges::sort(objects_, ListedBefore);
      runs_->Begin();
      for (size_t at = 0; at < objects_.size(); at += kBlockObjects) {
        const size_t count = std::min(kBlockObjects, objects_.size() - at);
        Result<void> added = runs_->Add(std::span(objects_).subspan(at, count));
        if (!added) return added;
      }
      objects_.clear();
      return runs_->count() < kRunsMax ? Ok() : MergeAll();
    });
    co_return spilled;
  }

  Result<void> MergeAll() {
    const size_t count = runs_->count();
    std::unique_ptr<SortedRuns::Merge> merge = runs_->OpenMerge();
    Result<std::vector<ListedObject>> block = merge->Next(kBlockObjects);
    runs_->Begin();
    while (block && !block->empty()) {
      Result<void> added = runs_->Add(*block);
      if (!added) return added;
      block = merge->Next(kBlockObjects);
    }
    if (!block) return block.error();
    runs_->Drop(count);
    return Ok();
  }

  Async<std::vector<ListedObject>> Merged() {
    if (merge_ != nullptr) {
      co_return co_await runtime_.pool.Run([this] { return merge_->Next(kPageObjects); });
    }
    const size_t count = std::min(kPageObjects, objects_.size() - next_);
    std::vector<ListedObject> page(
        std::make_move_iterator(objects_.begin() + static_cast<ptrdiff_t>(next_)),
        std::make_move_iterator(objects_.begin() + static_cast<ptrdiff_t>(next_ + count)));
    next_ += count;
    co_return page;
  }

  // Does with doubles what was asked for.
  Result<void> Single(std::vector<ListedObject>& page) {
    if (doubles_ == Doubles::kKeep) return Ok();
    size_t kept = 0;
    for (ListedObject& object : page) {
      if (any_ && object.key == last_key_) {
        const bool other = object.version_id != last_version_;
        if (doubles_ == Doubles::kRefuse) return Corrupt("the key is there twice: " + last_key_);
        if (doubles_ == Doubles::kNewest && other) return MoreThanOneVersion();
        // Of one version all lines are alike, so that they stand beside each other.
        if (doubles_ == Doubles::kNewest || !other) continue;
      }
      any_ = true;
      last_key_ = object.key;
      last_version_ = object.version_id;
      if (&page[kept] != &object) page[kept] = std::move(object);
      ++kept;
    }
    page.erase(page.begin() + static_cast<ptrdiff_t>(kept), page.end());
    return Ok();
  }

  [[nodiscard]] Error MoreThanOneVersion() const {
    return InvalidInput("more than one version of " + last_key_ +
                        " is listed, and which of them is meant is not told; 'rm -r --listing' "
                        "alone takes such a list");
  }

  Runtime runtime_;
  std::unique_ptr<Listing> source_;
  std::string folder_;
  Doubles doubles_;
  size_t run_bytes_max_;
  Reservation memory_;
  bool sorted_ = false;
  std::vector<ListedObject> objects_;
  size_t next_ = 0;
  std::unique_ptr<SortedRuns> runs_;
  std::unique_ptr<SortedRuns::Merge> merge_;
  bool any_ = false;
  std::string last_key_;
  std::string last_version_;
};

}  // namespace

std::unique_ptr<Listing> SortListing(Runtime runtime, std::unique_ptr<Listing> source,
                                     std::string folder, Doubles doubles, size_t run_bytes_max) {
  return std::make_unique<SortedListing>(runtime, std::move(source), std::move(folder), doubles,
                                         run_bytes_max);
}

}  // namespace longhaul
