// ListedStore: a bucket of very many keys, of which nothing but listings can be asked.
//
// Keys come from a function of their number, so a hundred million of them take no memory. Some are
// volatile: whether they are there is decided anew for each page, as if others added and removed
// them all the time.

#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/memory_store.h"

namespace longhaul::testing {

struct ListedKeys {
  uint64_t count = 0;
  std::function<std::string(uint64_t)> key;  // Ascending.
  // Whether the key comes and goes; null: none does.
  std::function<bool(uint64_t)> is_volatile = nullptr;

  static ListedKeys Of(std::vector<std::string> keys) {
    std::ranges::sort(keys);
    auto twice = std::ranges::unique(keys);
    keys.erase(twice.begin(), twice.end());
    auto shared = std::make_shared<std::vector<std::string>>(std::move(keys));
    return {.count = shared->size(), .key = [shared](uint64_t i) { return (*shared)[i]; }};
  }
};

class ListedStore : public MemoryStore {
 public:
  ListedStore(Runtime runtime, ListedKeys keys)
      : MemoryStore(runtime, std::make_shared<MemoryStoreBackend>()),
        runtime_(runtime),
        keys_(std::move(keys)) {}

  size_t page_keys = 1000;
  std::chrono::nanoseconds page_delay = std::chrono::milliseconds(50);
  bool sorted = true;  // What capabilities() says.
  // Set: changes what would be answered. `start` is the request.
  std::function<void(const ListRequest& request, Result<ListPage>& page)> tamper;
  // Of what has been asked.
  int requests = 0;
  int under_way = 0;
  int under_way_max = 0;

  [[nodiscard]] Capabilities capabilities() const override {
    Capabilities can = MemoryStore::capabilities();
    can.sorted_listing = sorted;
    return can;
  }

  Async<ListPage> List(ListRequest request) override {
    ++requests;
    under_way_max = std::max(under_way_max, ++under_way);
    if (page_delay.count() > 0) co_await runtime_.clock.Sleep(page_delay);
    --under_way;
    Result<ListPage> page = Page(request);
    if (tamper) tamper(request, page);
    co_return page;
  }

 private:
  // The first key that is greater than `key`.
  uint64_t After(const std::string& key) const {
    uint64_t low = 0;
    uint64_t high = keys_.count;
    while (low < high) {
      uint64_t middle = low + (high - low) / 2;
      if (keys_.key(middle) > key) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  ListPage Page(const ListRequest& request) {
    ListPage page;
    page.objects.reserve(page_keys);
    const std::string& after = request.token.empty() ? request.start_after : request.token;
    // Keys from the prefix on are after the text before it, but for the prefix itself.
    uint64_t at = after < request.prefix || after.empty() ? FirstOf(request.prefix) : After(after);
    for (; at < keys_.count; ++at) {
      std::string key = keys_.key(at);
      if (!key.starts_with(request.prefix)) break;
      if (page.objects.size() == page_keys) {
        page.next_token = page.objects.back().key;
        break;
      }
      if (keys_.is_volatile && keys_.is_volatile(at) && runtime_.random.Below(2) == 0) continue;
      page.objects.push_back({.key = std::move(key),
                              .size_bytes = at % 5000,
                              .etag = "0123456789abcdef0123456789abcdef",
                              .storage_class = "STANDARD",
                              .last_modified = SystemTime(std::chrono::seconds(1'700'000'000 + at)),
                              .version_id = ""});
    }
    return page;
  }

  uint64_t FirstOf(const std::string& prefix) const {
    if (prefix.empty()) return 0;
    uint64_t at = After(prefix);
    return at > 0 && keys_.key(at - 1) == prefix ? at - 1 : at;
  }

  Runtime runtime_;
  ListedKeys keys_;
};

}  // namespace longhaul::testing
