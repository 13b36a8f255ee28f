// FakeCopier plays a store's own replication: what is written to one bucket comes to others under
// the same key, some time later, in any order, perhaps twice, or not at all.
//
// As S3's, it copies versions, each once, and no removal of a version; and it copies what it has
// begun with even where that has been removed since.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/support/memory_store.h"

namespace longhaul::testing {

class FakeCopier {
 public:
  struct Destination {
    std::shared_ptr<MemoryStoreBackend> backend;  // shared with the "server".
    std::string bucket;
  };

  // `clock` outlives it; the backends are destroyed before the clock, too.
  FakeCopier(Clock& clock, std::shared_ptr<MemoryStoreBackend> source, std::string bucket,
             std::vector<Destination> destinations);

  // When each copy of an object to a destination (index) arrives, from the moment on that it is
  // seen; none: it is never copied there. At once where nothing is set.
  std::function<std::vector<std::chrono::nanoseconds>(const std::string& key, size_t destination)>
      delays;
  [[nodiscard]] int copies() const { return *copies_; }

 private:
  void LookSoon();
  void Look();

  Clock& clock_;
  std::shared_ptr<MemoryStoreBackend> source_;
  std::string bucket_;
  std::vector<Destination> destinations_;
  std::set<std::string> seen_;
  std::shared_ptr<int> copies_ = std::make_shared<int>(0);  // shared with copies under way.
  std::unique_ptr<Clock::Timer> timer_;
};

}  // namespace longhaul::testing
