#include "transfer/tree/remove_collected.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "transfer/tree/carry_object.h"

namespace longhaul {

namespace {

constexpr size_t kBatch = 1000;  // S3 API Reference, DeleteObjects.
constexpr int kBatchesInFlight = 4;

class Removing {
 public:
  Removing(Runtime runtime, TreeTarget target, Removals& removals, RemoveOptions options,
           SyncRun& run)
      : runtime_(runtime),
        target_(std::move(target)),
        removals_(removals),
        options_(std::move(options)),
        run_(run),
        group_(runtime.executor) {}

  Async<void> Run() {
    Result<void> done = co_await RemoveAll();
    Result<void> joined = co_await group_.Join();
    if (run_.whole) co_return *run_.whole;
    co_return done ? joined : done;
  }

 private:
  using Batch = std::vector<Removals::Entry>;
  // Of each entry of a batch, what kept it from being removed.
  using Failures = std::vector<std::optional<Error>>;

  Async<void> RemoveAll() {
    Batch batch;
    while (true) {
      if (options_.copy.stop != nullptr && options_.copy.stop->is_set()) {
        co_return Cancelled("stopped on request");
      }
      if (run_.whole) co_return Ok();
      Result<std::optional<Removals::Entry>> entry = co_await removals_.Next();
      if (!entry) co_return entry.error();
      if (*entry) batch.push_back(std::move(**entry));
      if (!batch.empty() && (batch.size() == kBatch || !*entry)) {
        co_await group_.WaitBelow(run_.watch.proven() ? kBatchesInFlight : 1);
        if (run_.whole) co_return Ok();
        group_.Spawn(RemoveBatch(std::exchange(batch, {})));
      }
      if (!*entry) co_return Ok();
    }
  }

  Async<void> RemoveBatch(Batch batch) {
    Failures failures(batch.size());
    if (!options_.dry_run) {
      if (options_.backup) co_await SetAsideAll(batch, failures);
      const bool compared =
          std::ranges::any_of(batch, [this](const auto& entry) { return Compared(entry); });
      if (compared) {
        co_await RemoveAsListed(batch, failures);
      } else {
        co_await RemoveKeys(batch, failures);
      }
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      const Removals::Entry& entry = batch[i];
      const ListedObject there{.key = entry.key,
                               .size_bytes = entry.size_bytes,
                               .etag = entry.etag,
                               .version_id = entry.version_id};
      const std::string_view why = !options_.compared ? std::string_view()
                                   : entry.at_source  ? reason::kExcluded
                                                      : reason::kOnlyAtTarget;
      const SyncStep step{.name = std::string_view(entry.key).substr(target_.prefix.size()),
                          .target = &there,
                          .decision = {SyncVerdict::kSkip, why}};
      if (failures[i]) {
        run_.Failed(step, *failures[i]);
      } else {
        ++(options_.dry_run ? run_.totals.would_remove : run_.totals.removed);
        run_.watch.Worked();
        run_.observer.OnRemoved(step);
      }
    }
    co_return Ok();
  }

  // Whether it has to be what was listed: also where that is what has been set aside. A version is
  // that for ever.
  bool Compared(const Removals::Entry& entry) const {
    return (options_.as_listed || options_.backup) && entry.version_id.empty() &&
           !(entry.etag.empty() && options_.by_key_without_etag);
  }

  RemoveRequest RequestFor(const Removals::Entry& entry) const {
    return {.bucket = target_.bucket, .key = entry.key, .version_id = entry.version_id};
  }

  // Those that have not failed yet.
  asio::awaitable<void> RemoveKeys(const Batch& batch, Failures& failures) {
    std::vector<RemoveRequest> requests;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (!failures[i]) requests.push_back(RequestFor(batch[i]));
    }
    if (requests.empty()) co_return;
    Result<std::vector<RemoveFailure>> removed =
        co_await target_.store.RemoveMany(target_.bucket, std::move(requests));
    if (!removed) {
      for (std::optional<Error>& failure : failures) {
        if (!failure) failure = removed.error();
      }
      co_return;
    }
    if (removed->empty()) co_return;
    std::ranges::sort(*removed, {}, &RemoveFailure::key);
    for (size_t i = 0; i < batch.size(); ++i) {
      auto found = std::ranges::lower_bound(*removed, batch[i].key, {}, &RemoveFailure::key);
      if (failures[i] || found == removed->end() || found->key != batch[i].key) continue;
      const bool alone = (i == 0 || batch[i - 1].key != batch[i].key) &&
                         (i + 1 == batch.size() || batch[i + 1].key != batch[i].key);
      if (alone) {
        failures[i] = found->error;
      } else {
        // Which version of the key it was, the answer does not tell: one by
        // one, then.
        Result<void> one = co_await target_.store.Remove(RequestFor(batch[i]));
        if (!one) failures[i] = one.error();
      }
    }
  }

  asio::awaitable<void> RemoveAsListed(const Batch& batch, Failures& failures) {
    TaskGroup group(runtime_.executor);
    for (size_t i = 0; i < batch.size(); ++i) {
      if (failures[i]) continue;
      co_await group.WaitBelow(run_.watch.proven() ? options_.in_flight : 1);
      group.Spawn(RemoveOneAsListed(batch[i], failures[i]));
    }
    Result<void> joined = co_await group.Join();
    static_cast<void>(joined);  // Each failure is in `failures`.
  }

  Async<void> RemoveOneAsListed(const Removals::Entry& entry, std::optional<Error>& failure) {
    Result<void> removed = Compared(entry) ? co_await RemoveIfMatch(target_.store, target_.bucket,
                                                                    entry.key, entry.etag)
                                           : co_await target_.store.Remove(RequestFor(entry));
    if (!removed && removed.error().kind != ErrorKind::kNotFound) failure = removed.error();
    if (failure && failure->kind == ErrorKind::kPrecondition) {
      failure->message = "the target has changed since it was listed";
    }
    co_return Ok();
  }

  // What cannot be set aside stays where it is.
  asio::awaitable<void> SetAsideAll(const Batch& batch, Failures& failures) {
    TaskGroup group(runtime_.executor);
    for (size_t i = 0; i < batch.size(); ++i) {
      co_await group.WaitBelow(options_.in_flight);
      group.Spawn(SetAsideOne(batch[i], failures[i]));
    }
    Result<void> joined = co_await group.Join();
    static_cast<void>(joined);  // Each failure is in `failures`.
  }

  Async<void> SetAsideOne(const Removals::Entry& entry, std::optional<Error>& failure) {
    Result<void> aside = co_await SetAside(
        runtime_, target_, *options_.backup,
        {.key = entry.key, .size_bytes = entry.size_bytes, .etag = entry.etag}, options_.copy);
    if (!aside) failure = aside.error();
    co_return Ok();
  }

  Runtime runtime_;
  TreeTarget target_;
  Removals& removals_;
  RemoveOptions options_;
  SyncRun& run_;
  TaskGroup group_;
};

}  // namespace

Async<void> RemoveCollected(Runtime runtime, TreeTarget target, Removals& removals,
                            RemoveOptions options, SyncRun& run) {
  Removing removing(runtime, std::move(target), removals, std::move(options), run);
  co_return co_await removing.Run();
}

}  // namespace longhaul
