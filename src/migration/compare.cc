#include "migration/compare.h"

#include <algorithm>
#include <utility>

#include "transfer/object/copy_plan.h"

namespace longhaul::migration {

namespace {

constexpr int kLooksMax = 10'000;  // Between which the caller may note how far it is, or stop.

}  // namespace

bool IsGiant(const MigrationOptions& options, const Ends& ends, uint64_t size_bytes,
             std::string_view etag) {
  const Capabilities can = ends.target->capabilities();
  if (can.put_size_bytes_max == UINT64_MAX) return false;  // It has no parts.
  const bool one_store = ends.source == ends.target;
  if (one_store && size_bytes <= can.copy_size_bytes_max) return false;
  if (size_bytes >= options.giant_bytes || size_bytes > can.put_size_bytes_max) return true;
  // A PUT of so much that breaks off would begin at its first byte again.
  if (size_bytes > kStreamBytesPreferred) return true;
  return size_bytes > kBufferBytesMax && !IsPlainMd5Etag(etag);
}

MissingReader::MissingReader(Runtime& runtime, const Run& run, Ends ends, const std::string& prefix,
                             const std::string& after)
    : options_(run.options),
      ends_(ends),
      source_prefix_bytes_(run.source.prefix.size()),
      target_prefix_bytes_(run.target.prefix.size()) {
  source_ = OpenListing(runtime, *ends.source, run.source.bucket, run.source.prefix + prefix,
                        {.start_after = after.empty() ? "" : run.source.prefix + after});
  target_ = OpenListing(runtime, *ends.target, run.target.bucket, run.target.prefix + prefix,
                        {.start_after = after.empty() ? "" : run.target.prefix + after});
}

Async<void> MissingReader::Beside() {
  ListedObject object;
  if (target_->TakeReady(object)) {  // Without a coroutine for each of millions.
    beside_ = std::move(object);
    co_return Ok();
  }
  Result<std::optional<ListedObject>> next = co_await target_->Next();
  if (!next) co_return next.error().In("target");
  beside_ = std::move(*next);
  co_return Ok();
}

Async<std::optional<Missing>> MissingReader::Next() {
  if (!started_) {
    Result<void> first = co_await Beside();
    if (!first) co_return first.error();
    started_ = true;
  }
  for (int looks = 0;; ++looks) {
    if (looks == kLooksMax) co_return std::optional<Missing>(Missing{.none = true});
    std::optional<ListedObject> object;
    ListedObject ready;
    if (source_->TakeReady(ready)) {
      object = std::move(ready);
    } else {
      Result<std::optional<ListedObject>> next = co_await source_->Next();
      if (!next) co_return next.error().In("source");
      object = std::move(*next);
    }
    if (!object) co_return std::nullopt;
    ++counts_.seen;
    last_name_ = object->key.substr(source_prefix_bytes_);
    while (beside_ && std::string_view(beside_->key).substr(target_prefix_bytes_) < last_name_) {
      if (target_->TakeReady(ready)) {
        beside_ = std::move(ready);
        continue;
      }
      Result<void> next = co_await Beside();
      if (!next) co_return next.error();
    }
    if (!options_.filter.Matches(last_name_, *object)) continue;
    ++counts_.listed;
    counts_.listed_bytes += static_cast<int64_t>(object->size_bytes);
    const bool there =
        beside_ && std::string_view(beside_->key).substr(target_prefix_bytes_) == last_name_;
    const Decision decision = Decide(*object, there ? &*beside_ : nullptr, options_.compare);
    if (decision.verdict == SyncVerdict::kSkip) {
      ++counts_.equal;
      continue;
    }
    Look look = Look::kNone;
    if (decision.verdict == SyncVerdict::kLook) {
      look = options_.compare.checksum ? Look::kBytes : Look::kDoubt;
    }
    const bool giant = IsGiant(options_, ends_, object->size_bytes, object->etag);
    co_return std::optional<Missing>(Missing{.object = {.name = last_name_,
                                                        .size_bytes = object->size_bytes,
                                                        .etag = std::move(object->etag),
                                                        .look = look},
                                             .giant = giant});
  }
}

asio::awaitable<void> MissingReader::Close() {
  co_await source_->Close();
  co_await target_->Close();
}

}  // namespace longhaul::migration
