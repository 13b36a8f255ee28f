#include "transfer/tree/named_objects.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "transfer/object/prove_gone.h"
#include "transfer/tree/store_wide.h"

namespace longhaul {

namespace {

constexpr size_t kAtATime = 64;

class NamedObjects : public Listing {
 public:
  NamedObjects(Runtime runtime, Store& store, std::string bucket, std::string prefix,
               std::vector<std::string> names)
      : runtime_(runtime),
        store_(store),
        bucket_(std::move(bucket)),
        prefix_(std::move(prefix)),
        names_(std::move(names)) {}

  Async<std::optional<ListedObject>> Next() override {
    while (true) {
      while (at_ < page_.size()) {
        std::optional<ListedObject>& object = page_[at_++];
        if (object) co_return std::move(object);
      }
      if (next_ == names_.size()) co_return std::nullopt;
      Result<void> asked = co_await AskForMore();
      if (!asked) co_return asked.error();
    }
  }

  asio::awaitable<void> Close() override { co_return; }

 private:
  Async<void> AskForMore() {
    const size_t count = std::min(kAtATime, names_.size() - next_);
    page_.assign(count, std::nullopt);
    at_ = 0;
    TaskGroup group(runtime_.executor);
    for (size_t i = 0; i < count; ++i) group.Spawn(Ask(prefix_ + names_[next_ + i], page_[i]));
    next_ += count;
    co_return co_await group.Join();
  }

  Async<void> Ask(std::string key, std::optional<ListedObject>& object) {
    Result<ObjectInfo> info = co_await store_.Head({.bucket = bucket_, .key = key});
    if (!info) co_return co_await LookInListing(std::move(key), info.error(), object);
    object = ListedObject{.key = std::move(key),
                          .size_bytes = info->size_bytes,
                          .etag = info->etag,
                          .storage_class = info->storage_class,
                          .last_modified = info->last_modified};
    co_return Ok();
  }

  // What keeps one object from being asked for must not keep the others: a listing tells of it,
  // too, and what is wrong with it its copy says.
  Async<void> LookInListing(std::string key, Error refused, std::optional<ListedObject>& object) {
    if (refused.kind == ErrorKind::kNotFound) {
      Result<void> gone = co_await ProveGone(store_, bucket_, key);
      if (gone) co_return Ok();
      refused = gone.error();
    }
    if (refused.code == "KeyNotStorable") co_return Ok();  // There can be none.
    if (refused.kind == ErrorKind::kCancelled || refused.kind == ErrorKind::kNotFound ||
        refused.Transient() || IsStoreWide(refused)) {
      co_return refused;
    }
    ListRequest request{.bucket = bucket_, .prefix = key};
    do {
      Result<ListPage> page = co_await store_.List(request);
      if (!page) co_return refused;
      const auto found = std::ranges::find(page->objects, key, &ListedObject::key);
      if (found != page->objects.end()) {
        object = std::move(*found);
        co_return Ok();
      }
      // In order of keys it would have been the first.
      if (!page->objects.empty() && store_.capabilities().sorted_listing) co_return Ok();
      request.token = page->next_token;
    } while (!request.token.empty());
    co_return Ok();
  }

  Runtime runtime_;
  Store& store_;
  std::string bucket_;
  std::string prefix_;
  std::vector<std::string> names_;
  size_t next_ = 0;
  std::vector<std::optional<ListedObject>> page_;
  size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Listing> OpenNamedObjects(Runtime runtime, Store& store, std::string bucket,
                                          std::string prefix, std::vector<std::string> names) {
  return std::make_unique<NamedObjects>(runtime, store, std::move(bucket), std::move(prefix),
                                        std::move(names));
}

}  // namespace longhaul
