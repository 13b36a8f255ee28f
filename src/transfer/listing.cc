#include "transfer/listing.h"

#include <utility>

namespace longhaul {

struct Listing::State {
  State(Runtime runtime, Store& store, std::string bucket, std::string prefix)
      : store(store), group(runtime.executor), sorted(store.capabilities().sorted_listing) {
    request.bucket = std::move(bucket);
    request.prefix = std::move(prefix);
  }

  void Ask() {
    asked = true;
    group.Spawn(Fetch());
  }
  Async<void> Fetch() {
    coming = co_await store.List(request);
    co_return Ok();
  }

  Store& store;
  ListRequest request;
  TaskGroup group;
  bool sorted;
  bool asked = false;
  bool ended = false;
  std::optional<Result<ListPage>> coming;
  ListPage page;
  size_t next = 0;
  std::string last_key;
};

Listing::Listing(Runtime runtime, Store& store, std::string bucket, std::string prefix)
    : state_(std::make_unique<State>(runtime, store, std::move(bucket), std::move(prefix))) {}
Listing::~Listing() = default;

Async<std::optional<ListedObject>> Listing::Next() {
  State& s = *state_;
  while (s.next == s.page.objects.size()) {
    if (s.ended) co_return std::nullopt;
    if (!s.asked) s.Ask();
    Result<void> joined = co_await s.group.Join();
    if (!joined) co_return joined.error();
    s.asked = false;
    if (!*s.coming) {
      s.ended = true;
      co_return s.coming->error().In("list " + s.request.bucket + "/" + s.request.prefix);
    }
    s.page = std::move(**s.coming);
    s.coming.reset();
    s.next = 0;
    s.ended = s.page.next_token.empty();
    if (!s.ended) {
      s.request.token = s.page.next_token;
      s.Ask();
    }
  }
  ListedObject object = std::move(s.page.objects[s.next++]);
  if (s.sorted && !s.last_key.empty() && object.key <= s.last_key) {
    co_return Corrupt("the listing of " + s.request.bucket + " is not in order at " + object.key);
  }
  s.last_key = object.key;
  co_return std::optional<ListedObject>(std::move(object));
}

asio::awaitable<void> Listing::Close() {
  if (state_->asked) {
    // What it would have said does not matter any more.
    Result<void> ignored = co_await state_->group.Join();
    static_cast<void>(ignored);
    state_->asked = false;
  }
}

}  // namespace longhaul
