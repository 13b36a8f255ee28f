// Tags of what was applied before. Not every store takes them with an upload or a copy: Ceph
// forgets them, and its client sets them when the object is there already, and its mark. Whoever
// fails or dies between the two leaves a replica that looks right: no mark and no listing tells of
// its tags. So who finds that a reading was applied before asks for them. What is written for the
// first time costs nothing more: a store that says OK has seen to its tags (storage/store.h).

#include <algorithm>

#include "net/http_client.h"
#include "replica/apply.h"
#include "replica/apply_parts.h"
#include "storage/is_gone.h"

namespace longhaul {

namespace {

// A store repeats the request for five minutes (S3StoreOptions::operation_timeout), and its last
// one may land as late as any.
constexpr std::chrono::seconds kTagsLifetime = std::chrono::minutes(5) + kRequestLifetime;
// Tags that are not sent within this time of their note are noted anew, by the next try.
constexpr std::chrono::seconds kTagsSendTime{10};

bool MayLand(const std::optional<Floor>& floor, SystemTime stamp, SystemTime now) {
  return floor && std::ranges::any_of(floor->pending.all(), [&](const PendingRequest& request) {
           return request.kind == PendingKind::kWrite && request.stamp == stamp &&
                  request.until > now;
         });
}

}  // namespace

// Tags are written without a condition, and leave no stamp: never where another state stands, and
// where one comes meanwhile they may replace its own. So the floor says before that this state may
// land yet. Until that is over nobody calls a newer one settled, and who does so then asks for its
// tags, whatever becomes of us.
Async<ApplyOutcome> Applier::SetMissingTags(const ReplicaWrite& write, ApplyOutcome outcome) {
  Result<Tags> tags = co_await store_.GetTags(policy_.bucket, write.key, "");
  if (tags && *tags == write.tags) co_return outcome;
  if (!tags && tags.error().Transient()) co_return tags.error();
  if (!tags && tags.error().code == "NotImplemented") co_return outcome;  // It has none.
  // As SameContent has it: there is nothing to go by.
  const bool refused = !tags && (tags.error().kind == ErrorKind::kDenied ||
                                 tags.error().kind == ErrorKind::kInvalidInput);
  if (refused && write.tags.empty()) co_return outcome;
  Result<std::optional<ApplyOutcome>> decided = co_await Decided(write);
  if (!decided) co_return decided.error();
  if (!*decided) co_return Reread("it changed before its tags were written");
  if ((*decided)->state != ApplyState::kEqual) co_return std::move(**decided);

  Result<std::optional<Floor>> before = co_await floors_.Get(write.key);
  if (!before) co_return before.error();
  const SystemTime begun = runtime_.clock.Now();
  const PendingRequest tagging{
      .kind = PendingKind::kWrite, .until = begun + kTagsLifetime, .stamp = write.stamp};
  Result<Floor> noted = co_await floors_.Note(write.key, tagging);
  if (!noted) co_return noted.error();
  bool may_land = false;
  Result<void> tagged = co_await PutTagsOnce(write, begun, &may_land);
  // (One note stands for all writes of a stamp: with another one under way it is not ours to end.)
  if (!may_land && !MayLand(*before, write.stamp, begun)) {
    noted = co_await floors_.End(write.key, tagging);
    if (!noted) co_return noted.error();
  }
  const bool gone = !tagged && IsGone(tagged.error());
  if (!tagged && !gone && !may_land) co_return tagged.error();
  // Also of tags that were written, perhaps: a newer state would hide them from the next try.
  decided = co_await Decided(write);
  if (!decided) co_return decided.error();
  const bool equal = *decided && (*decided)->state == ApplyState::kEqual;
  if (gone || !equal) co_return Reread("it changed while its tags were written");
  if (!tagged) co_return tagged.error();
  co_return outcome;
}

// Tags that the floor knows of. `may_land`: later than now.
Async<void> Applier::PutTagsOnce(const ReplicaWrite& write, SystemTime noted, bool* may_land) {
  // Who writes from now on sees the note; who wrote just before must be seen here.
  Result<std::optional<ApplyOutcome>> decided = co_await Decided(write);
  if (!decided) co_return decided.error();
  const bool equal = *decided && (*decided)->state == ApplyState::kEqual;
  if (!equal || runtime_.clock.Now() > noted + kTagsSendTime) {
    co_return KeyBusy("it changes, or the look took too long: " + write.key);
  }
  Result<void> tagged = co_await store_.PutTags(policy_.bucket, write.key, write.tags);
  *may_land = !tagged && MayHaveHappened(tagged.error());
  if (*may_land) {
    const PendingRequest lost{.kind = PendingKind::kWrite,
                              .until = runtime_.clock.Now() + kRequestLifetime,
                              .stamp = write.stamp};
    Result<Floor> floor = co_await floors_.Note(write.key, lost);
    if (!floor) co_return floor.error();
  }
  co_return tagged;
}

}  // namespace longhaul
