#include <utility>

#include "transfer/listing/listing.h"

namespace longhaul {

namespace {

// Keeps of each key what was current at a time.
class ListingAt : public Listing {
 public:
  ListingAt(std::unique_ptr<Listing> versions, SystemTime time)
      : versions_(std::move(versions)), time_(time) {}

  Async<std::optional<ListedObject>> Next() override {
    while (!ended_) {
      Result<std::optional<ListedObject>> version = co_await versions_->Next();
      if (!version) co_return version.error();
      std::optional<ListedObject> found;
      if (!*version || (*version)->key != key_) {
        found = std::exchange(current_, std::nullopt);
        if (*version) key_ = (*version)->key;
        ended_ = !*version;
      }
      if (*version) Consider(std::move(**version));
      if (found && !found->is_delete_marker) co_return found;
    }
    co_return std::nullopt;
  }

  asio::awaitable<void> Close() override { co_await versions_->Close(); }

 private:
  // The newest comes first, by the order of the store: the time of what was uploaded in parts may
  // be that of its beginning, which lies before that of what it has replaced.
  void Consider(ListedObject version) {
    if (!current_ && version.last_modified <= time_) current_ = std::move(version);
  }

  std::unique_ptr<Listing> versions_;
  SystemTime time_;
  bool ended_ = false;
  std::string key_;
  std::optional<ListedObject> current_;  // Of `key_`, as far as seen.
};

}  // namespace

std::unique_ptr<Listing> OpenListingAt(Runtime runtime, Store& store, std::string bucket,
                                       std::string prefix, SystemTime time,
                                       ListingOptions options) {
  options.ordered = true;
  return std::make_unique<ListingAt>(
      OpenVersionListing(runtime, store, std::move(bucket), std::move(prefix), std::move(options)),
      time);
}

}  // namespace longhaul
