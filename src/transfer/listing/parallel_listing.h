// ParallelListing: the pages of one flat prefix, many asked for side by side, in order of keys.
//
// The prefix is a row of ranges, each listed page by page. Where a request is free, a range is cut
// in two (split_point.h) and the upper part asked for by start-after; one that comes back empty has
// cost one request and says where the keys end. So the listers go where the keys are, whatever
// these look like. While only one range is known to hold anything, few cuts are tried at once; then
// as many as there are ranges, so the listers double with each answer.
//
// Ordered: pages wait in memory, packed, until their turn comes. What waits is bounded: from the
// k-th of n ranges on, at most the share (n - k) / n of it, so those far ahead stop first and those
// that are needed next never do; these are cut until each is a small part of what may wait.
//
// A server that answers a start-after with keys before it, or refuses it, is listed once more from
// the start, page after page, without what has been delivered. kThrottled halves the listers and is
// repeated; each page adds a little (additive increase, multiplicative decrease). A store that has
// waited for seconds by itself while no page came is not asked again.

#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/store.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/page_check.h"
#include "transfer/listing/split_point.h"

namespace longhaul {

class ParallelListing : public PagedListing {
 public:
  // `request`: bucket, prefix and versions.
  ParallelListing(Runtime runtime, Store& store, ListRequest request, ListingOptions options);

  asio::awaitable<void> Close() override;

 protected:
  Async<std::vector<ListedObject>> NextPage() override;

 private:
  struct Waiting {
    std::vector<ListedObject> objects;  // Of the range whose turn it is; else packed.
    std::string packed;
    size_t size_bytes = 0;
  };
  struct Range {
    std::string after;  // Exclusive.
    std::string up_to;  // Inclusive; empty: to the end of the prefix.
    std::string token;
    std::string first;  // Of the last page that had keys of the range.
    std::string at;
    std::optional<PageCheck> check;
    int pages = 0;       // That had keys of the range.
    bool probe = false;  // Its start was chosen here, and no answer is known yet.
    bool fetching = false;
    bool done = false;
    bool uncuttable = false;  // Until it has moved on.
    std::deque<Waiting> waiting;
    size_t waiting_bytes = 0;
  };
  using Ranges = std::list<Range>;

  Ranges::iterator AddRange(Ranges::iterator before, std::string after, std::string up_to,
                            bool probe);
  Async<void> Fetch(Ranges::iterator range);
  Async<ListPage> FetchPage(ListRequest request);
  Result<void> Accept(Ranges::iterator range, ListRequest asked, ListPage page);
  void Learn(const std::vector<ListedObject>& objects);
  void Keep(Ranges::iterator range, std::vector<ListedObject> objects);
  // Starts what may be started.
  void Schedule();
  bool Start(Ranges::iterator range);
  bool Cut(Ranges::iterator range);
  [[nodiscard]] double Estimate(const Range& range) const;
  [[nodiscard]] bool MayFetch(const Range& range, size_t index, size_t waiting_from_here) const;
  void ReserveMemory();
  // The next page that may be delivered, if it is here.
  Result<std::optional<std::vector<ListedObject>>> Take();
  Async<void> StartOver();
  void RememberVersions(const std::vector<ListedObject>& objects);
  std::vector<ListedObject> WithoutDelivered(std::vector<ListedObject> objects) const;

  Runtime runtime_;
  Store& store_;
  ListRequest request_;
  ListingOptions options_;
  std::string place_;
  bool sorted_;
  TaskGroup group_;
  WaitList arrived_;
  Ranges ranges_;
  KeyAlphabet alphabet_;
  Reservation memory_;
  int64_t waiting_bytes_max_ = 0;
  std::optional<Error> error_;
  std::string delivered_;  // The last key.
  bool any_delivered_ = false;
  // Of the key `delivered_`: the versions of one key may lie on several pages.
  std::set<std::string> delivered_versions_;
  SystemTime delivered_time_{};  // Of the last of them.
  std::string skip_up_to_;       // After starting over.
  bool closing_ = false;
  bool start_over_ = false;
  // Cutting.
  bool cuts_ = false;  // It pays.
  bool may_cut_ = true;
  bool cut_proved_ = false;  // A start-after has been answered rightly.
  int probes_ = 0;           // Without an answer.
  int empty_probes_ = 0;
  int64_t pages_ = 0;  // With keys.
  std::chrono::nanoseconds page_time_min_ = std::chrono::hours(1);
  double listers_;
  int fetching_ = 0;
  int burst_ = 0;  // So often kThrottled has halved the listers.
  int throttled_in_a_row_ = 0;
  SteadyTime last_page_ = SteadyTime::min();
  size_t page_bytes_ = 64 << 10;  // Of a packed page, a running mean.
};

}  // namespace longhaul
