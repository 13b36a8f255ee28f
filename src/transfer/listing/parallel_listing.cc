#include "transfer/listing/parallel_listing.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "transfer/listing/listing_memory.h"
#include "transfer/listing/page_codec.h"

namespace longhaul {

namespace {

constexpr int kThrottledMax = 8;  // In a row, each after the store's own retries.
constexpr std::chrono::milliseconds kThrottledWait{200};
// The store itself has waited so long, and nobody got a page meanwhile: it is no matter of listers.
constexpr std::chrono::seconds kThrottledPatience{5};
constexpr int64_t kWaitingBytesMin = 1 << 20;
// A range of fewer pages is not worth a request that brings half a page of what is known.
constexpr double kCutPagesMin = 3;
// Probes that came back empty, beside a quarter of all pages: beyond that keys are left uncut.
constexpr int kEmptyProbesFree = 48;
constexpr size_t kRangesPerLister = 4;
constexpr int kHeadPagesAhead = 2;  // Always, whatever else waits.
constexpr size_t kLearnEach = 61;   // Keys between two whose characters are learnt.
// Of one key; where more have been delivered, a listing that must start over ends in an error.
constexpr size_t kVersionsRemembered = 100'000;

}  // namespace

ParallelListing::ParallelListing(Runtime runtime, Store& store, ListRequest request,
                                 ListingOptions options)
    : runtime_(runtime),
      store_(store),
      request_(std::move(request)),
      options_(std::move(options)),
      place_("list " + request_.bucket + "/" + request_.prefix),
      sorted_(store.capabilities().sorted_listing),
      group_(runtime.executor),
      waiting_bytes_max_(kWaitingBytesMin),
      may_cut_(sorted_ && options_.listers_max > 1),
      listers_(std::max(1, options_.listers_max)) {
  request_.count_max = options_.page_keys;
  AddRange(ranges_.end(), options_.start_after, options_.up_to, false);
}

ParallelListing::Ranges::iterator ParallelListing::AddRange(Ranges::iterator before,
                                                            std::string after, std::string up_to,
                                                            bool probe) {
  auto range = ranges_.insert(before, Range{});
  range->after = std::move(after);
  range->up_to = std::move(up_to);
  range->probe = probe;
  range->check.emplace(place_, request_.prefix, sorted_, request_.versions);
  return range;
}

asio::awaitable<void> ParallelListing::Close() {
  closing_ = true;
  Result<void> ignored = co_await group_.Join();
  static_cast<void>(ignored);
}

Async<std::vector<ListedObject>> ParallelListing::NextPage() {
  while (true) {
    if (start_over_) {
      Result<void> ready = co_await StartOver();
      if (!ready) co_return ready.error();
    }
    if (error_) co_return *error_;
    Result<std::optional<std::vector<ListedObject>>> page = Take();
    if (!page) co_return page.error();
    if (*page) {
      Schedule();
      **page = WithoutDelivered(std::move(**page));
      if ((*page)->empty()) continue;
      if (request_.versions) RememberVersions(**page);
      delivered_ = (*page)->back().key;
      any_delivered_ = true;
      co_return std::move(**page);
    }
    if (ranges_.empty()) {
      memory_.ShrinkTo(0);  // What was listed may be copied for hours.
      co_return std::vector<ListedObject>();
    }
    Schedule();
    co_await arrived_.Wait();
  }
}

std::vector<ListedObject> ParallelListing::WithoutDelivered(
    std::vector<ListedObject> objects) const {
  if (skip_up_to_.empty()) return objects;
  std::erase_if(objects, [&](const ListedObject& object) {
    if (!request_.versions || object.key != skip_up_to_) return object.key <= skip_up_to_;
    // What was written since belongs before what has been delivered: no listing promises it.
    return object.last_modified > delivered_time_ ||
           delivered_versions_.contains(object.version_id);
  });
  return objects;
}

void ParallelListing::RememberVersions(const std::vector<ListedObject>& objects) {
  const ListedObject& last = objects.back();
  if (last.key != delivered_) delivered_versions_.clear();
  for (auto object = objects.rbegin(); object != objects.rend() && object->key == last.key;
       ++object) {
    if (delivered_versions_.size() <= kVersionsRemembered) {
      delivered_versions_.insert(object->version_id);
    }
  }
  delivered_time_ = last.last_modified;
}

Result<std::optional<std::vector<ListedObject>>> ParallelListing::Take() {
  while (!ranges_.empty() && ranges_.front().done && ranges_.front().waiting.empty()) {
    ranges_.pop_front();
  }
  auto range = ranges_.begin();
  // Until the server is known to do as it is told, what is delivered must be the beginning.
  if (!options_.ordered && cut_proved_) {
    range = std::ranges::find_if(ranges_, [](const Range& one) { return !one.waiting.empty(); });
  }
  if (range == ranges_.end() || range->waiting.empty()) return std::nullopt;
  Waiting page = std::move(range->waiting.front());
  range->waiting.pop_front();
  range->waiting_bytes -= page.size_bytes;
  if (range->done && range->waiting.empty()) ranges_.erase(range);
  if (page.packed.empty()) return std::optional(std::move(page.objects));
  Result<std::vector<ListedObject>> objects = DecodeListed(page.packed);
  if (!objects) return objects.error();
  return std::optional(std::move(*objects));
}

Async<void> ParallelListing::StartOver() {
  Result<void> joined = co_await group_.Join();
  if (!joined) co_return joined.error();
  start_over_ = false;
  if (any_delivered_ &&
      ((!options_.ordered && cut_proved_) || delivered_versions_.size() > kVersionsRemembered)) {
    co_return Corrupt("a page that was asked for after a key begins before it").In(place_);
  }
  ranges_.clear();
  error_.reset();
  may_cut_ = cuts_ = false;
  probes_ = 0;
  if (any_delivered_) skip_up_to_ = delivered_;
  AddRange(ranges_.end(), options_.start_after, options_.up_to, false);
  co_return Ok();
}

void ParallelListing::ReserveMemory() {
  for (int64_t wanted = options_.waiting_bytes_max; wanted > kWaitingBytesMin; wanted /= 2) {
    const int64_t needed = wanted * 5 / 4;
    if (needed > ListingBytesMax(runtime_.memory)) continue;
    std::optional<Reservation> reserved = runtime_.memory.TryReserve(needed);
    if (!reserved) continue;
    memory_ = std::move(*reserved);
    waiting_bytes_max_ = wanted;
    return;
  }
}

Async<ListPage> ParallelListing::FetchPage(ListRequest request) {
  while (true) {
    const int burst = burst_;
    const SteadyTime began = runtime_.clock.SteadyNow();
    Result<ListPage> page = co_await store_.List(request);
    if (page) {
      throttled_in_a_row_ = 0;
      last_page_ = runtime_.clock.SteadyNow();
      page_time_min_ = std::min(page_time_min_, runtime_.clock.SteadyNow() - began);
      listers_ = std::min<double>(options_.listers_max, listers_ + 1 / listers_);
      co_return page;
    }
    if (page.error().kind != ErrorKind::kThrottled || closing_) co_return page;
    if (runtime_.clock.SteadyNow() - began >= kThrottledPatience && last_page_ < began) {
      co_return page;
    }
    // Those that were under way belong to the same burst.
    if (burst == burst_) {
      ++burst_;
      listers_ = std::max(1.0, listers_ / 2);
      if (++throttled_in_a_row_ > kThrottledMax) co_return page;
    }
    co_await runtime_.clock.Sleep(
        std::max<std::chrono::nanoseconds>(page.error().retry_after, kThrottledWait));
    if (closing_) co_return Cancelled("the listing was closed");
  }
}

Async<void> ParallelListing::Fetch(Ranges::iterator range) {
  // A store may answer without a wait. Whoever schedules waits first, or nobody would hear of it.
  co_await Yield();
  ListRequest request = request_;
  request.start_after = range->after;
  request.token = range->token;
  Result<ListPage> page = co_await FetchPage(request);
  --fetching_;
  range->fetching = false;
  if (range->probe) --probes_;
  if (!page && range->probe && page.error().kind == ErrorKind::kInvalidInput) {
    start_over_ = true;
  } else if (!page) {
    if (!error_) error_ = range->check->Failed(page.error());
  } else if (Result<void> accepted = Accept(range, std::move(request), std::move(*page));
             !accepted && !error_) {
    error_ = accepted.error();
  }
  Schedule();
  arrived_.NotifyAll();
  co_return Ok();
}

Result<void> ParallelListing::Accept(Ranges::iterator range, ListRequest asked, ListPage page) {
  if (request_.versions) SortVersions(page.objects);
  if (std::exchange(range->probe, false)) {
    if (!page.objects.empty() && page.objects.front().key <= asked.start_after) {
      start_over_ = true;
      return Ok();
    }
    cut_proved_ = true;
  }
  // The first page of a listing that begins at the start may hold anything.
  const std::string_view after = sorted_ ? std::string_view(asked.start_after) : "";
  Result<void> fine = range->check->Check(page, asked.token, after);
  if (!fine) return fine;

  std::vector<ListedObject>& objects = page.objects;
  range->done = page.next_token.empty();
  range->token = std::move(page.next_token);
  if (!sorted_) {
    std::erase_if(objects, [&](const ListedObject& object) {
      return object.key <= asked.start_after ||
             (!range->up_to.empty() && object.key > range->up_to);
    });
  } else if (!range->up_to.empty()) {
    auto past = std::ranges::upper_bound(objects, range->up_to, {}, &ListedObject::key);
    if (past != objects.end()) range->done = true;
    objects.erase(past, objects.end());
  }
  if (objects.empty()) {
    if (range->pages == 0 && range->done) ++empty_probes_;
  } else {
    ++range->pages;
    ++pages_;
    range->uncuttable = false;
    range->first = objects.front().key;
    range->at = objects.back().key;
    Learn(objects);
    Keep(range, std::move(objects));
  }
  // Two pages and more to come, and none of them was there at once.
  if (may_cut_ && !cuts_ && !range->done && pages_ >= 2 &&
      page_time_min_ >= options_.parallel_from) {
    cuts_ = true;
    ReserveMemory();
  }
  // Not the first one: that is Take's.
  if (range->done && range->waiting.empty() && range != ranges_.begin()) ranges_.erase(range);
  return Ok();
}

void ParallelListing::Learn(const std::vector<ListedObject>& objects) {
  if (!may_cut_) return;
  for (size_t i = 0; i < objects.size(); i += kLearnEach) {
    alphabet_.Learn(std::string_view(objects[i].key).substr(request_.prefix.size()));
  }
}

void ParallelListing::Keep(Ranges::iterator range, std::vector<ListedObject> objects) {
  Waiting page;
  bool next = range == ranges_.begin() && range->waiting.empty();
  if (next || !options_.ordered) {
    // It is about to be read, or soon will be.
    for (const ListedObject& object : objects) page.size_bytes += ListedBytes(object);
    page.objects = std::move(objects);
  } else {
    page.packed = EncodeListed(objects);
    page.size_bytes = page.packed.size();
    page_bytes_ = (page_bytes_ * 7 + page.size_bytes) / 8;
  }
  range->waiting_bytes += page.size_bytes;
  range->waiting.push_back(std::move(page));
}

bool ParallelListing::MayFetch(const Range& range, size_t index, size_t waiting_from_here) const {
  if (index == 0 && range.waiting.size() < kHeadPagesAhead) return true;
  const size_t count = ranges_.size();
  const auto share = static_cast<size_t>(waiting_bytes_max_) * (count - index) / count;
  return waiting_from_here + page_bytes_ <= share;
}

bool ParallelListing::Start(Ranges::iterator range) {
  if (range->fetching || range->done || fetching_ >= static_cast<int>(listers_)) return false;
  range->fetching = true;
  ++fetching_;
  if (range->probe) ++probes_;
  group_.Spawn(Fetch(range));
  return true;
}

double ParallelListing::Estimate(const Range& range) const {
  if (range.done || range.pages == 0 || range.uncuttable) return 0;
  return EstimatePages(alphabet_, {.first = range.first,
                                   .at = range.at,
                                   .up_to = range.up_to,
                                   .prefix_bytes = request_.prefix.size()});
}

bool ParallelListing::Cut(Ranges::iterator range) {
  std::optional<std::string> point =
      ChooseSplitPoint(alphabet_, {.first = range->first,
                                   .at = range->at,
                                   .up_to = range->up_to,
                                   .prefix_bytes = request_.prefix.size()});
  if (!point) {
    range->uncuttable = true;
    return false;
  }
  auto upper = AddRange(std::next(range), *point, std::exchange(range->up_to, *point), true);
  return Start(upper);
}

void ParallelListing::Schedule() {
  if (closing_ || error_ || start_over_ || ranges_.empty()) return;
  const auto listers = static_cast<int>(listers_);
  size_t waiting = 0;
  for (const Range& range : ranges_) {
    waiting += range.waiting_bytes + (range.fetching ? page_bytes_ : 0);
  }
  // A range that is a larger part of what may wait makes the ones behind it wait.
  const double pages_wanted =
      std::max(kCutPagesMin, static_cast<double>(waiting_bytes_max_) /
                                 static_cast<double>(page_bytes_) / std::max(1.0, listers_));
  const int live = static_cast<int>(std::ranges::count_if(
      ranges_, [](const Range& range) { return range.pages > 0 && !range.done; }));
  const int probes_max = std::max(3, live);
  // A cut asks for a page more; a part is set aside for those that are needed next.
  const bool room = waiting + page_bytes_ <= static_cast<size_t>(waiting_bytes_max_) * 5 / 4;
  const bool may_cut =
      cuts_ && room && empty_probes_ <= kEmptyProbesFree + pages_ / 4 &&
      ranges_.size() < kRangesPerLister * static_cast<size_t>(std::max(2, listers));
  size_t index = 0;
  std::vector<std::pair<double, Ranges::iterator>> large;
  for (auto range = ranges_.begin(); range != ranges_.end() && fetching_ < listers;
       ++range, ++index) {
    const size_t own = range->waiting_bytes + (range->fetching ? page_bytes_ : 0);
    const bool fits = MayFetch(*range, index, waiting);
    if (fits) Start(range);
    waiting -= own;
    if (!may_cut) continue;
    const double pages = Estimate(*range);
    if (pages > pages_wanted) {
      if (probes_ < probes_max && Cut(range)) waiting += page_bytes_;  // Of the next one.
    } else if (pages > kCutPagesMin && fits) {
      large.emplace_back(pages, range);
    }
  }
  // Requests are free that nobody needs: the largest part is made two.
  std::ranges::sort(large, std::greater(), &std::pair<double, Ranges::iterator>::first);
  for (auto& [pages, range] : large) {
    if (fetching_ >= listers || probes_ >= probes_max) break;
    Cut(range);
  }
}

}  // namespace longhaul
