// Tags of what was applied before. Not every store takes them with an upload or a copy: Ceph
// forgets them, and its client sets them when the object is there already, and its mark. Whoever
// fails or dies between the two leaves a replica that looks right: no mark and no listing tells of
// its tags. So who finds that a reading was applied before asks for them. What is written for the
// first time costs nothing more: a store that says OK has seen to its tags (storage/store.h).

#include "net/http_client.h"
#include "replica/apply.h"
#include "storage/is_gone.h"

namespace longhaul {

// Tags are written without a condition, and leave no stamp: never where another state stands, and
// where one has come meanwhile they may have replaced its own, and all is read anew.
Async<ApplyOutcome> Applier::SetMissingTags(const ReplicaWrite& write, ApplyOutcome outcome) {
  const ApplyOutcome reread{.state = ApplyState::kReread,
                            .reason = "it changed while its tags were written"};
  Result<Tags> tags = co_await store_.GetTags(policy_.bucket, write.key, "");
  if (tags && *tags == write.tags) co_return outcome;
  if (!tags && tags.error().Transient()) co_return tags.error();
  if (!tags && tags.error().code == "NotImplemented") co_return outcome;  // It has none.
  Result<std::optional<ApplyOutcome>> decided = co_await Decided(write);
  if (!decided) co_return decided.error();
  if (!*decided) co_return reread;
  if ((*decided)->state != ApplyState::kEqual) co_return std::move(**decided);

  Result<void> tagged = co_await store_.PutTags(policy_.bucket, write.key, write.tags);
  const bool gone = !tagged && IsGone(tagged.error());
  if (!tagged && !gone && !MayHaveHappened(tagged.error())) co_return tagged.error();
  // Also of tags that were written, perhaps: a newer state would hide them from the next try.
  decided = co_await Decided(write);
  if (!decided) co_return decided.error();
  const bool equal = *decided && (*decided)->state == ApplyState::kEqual;
  if (gone || !equal) co_return reread;
  if (!tagged) co_return tagged.error();
  co_return outcome;
}

}  // namespace longhaul
