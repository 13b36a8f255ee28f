// Listing: the objects below a prefix one by one, with the next page asked for while this one is
// read.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

// Belongs to one coroutine. Close it before it is destroyed.
class Listing {
 public:
  Listing(Runtime runtime, Store& store, std::string bucket, std::string prefix);
  ~Listing();

  // nullopt: that was all. Errors as Store::List; a store whose listing is not in byte order of
  // keys although it says so: kCorrupt.
  Async<std::optional<ListedObject>> Next();
  // Waits for a page that is still being asked for.
  asio::awaitable<void> Close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace longhaul
