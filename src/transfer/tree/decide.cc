#include "transfer/tree/decide.h"

#include "transfer/local/local_folder.h"
#include "transfer/object/copy_plan.h"

namespace longhaul {

namespace {

Decision Differs(std::string_view why, const CompareRules& rules) {
  return {.verdict = rules.immutable ? SyncVerdict::kRefused : SyncVerdict::kCopy, .reason = why};
}

// S3 gives what is uploaded in parts the time at which the upload began: what was copied before its
// end was another object. (S3 User Guide, object metadata, Last-Modified.) No upload is thought to
// take longer than `kUploadMax`: what was copied later is not looked at for ever.
bool MayBeNewerThanItsTime(const ListedObject& source, const ListedObject& target) {
  constexpr std::chrono::hours kUploadMax{7 * 24};
  return PartCountOfEtag(source.etag) && !target.etag.empty() && source.etag != target.etag &&
         !IsLocalEtag(target.etag) && target.last_modified < source.last_modified + kUploadMax;
}

// A file may have been given the time of a HEAD, which has whole seconds, where a listing of the
// source has more.
SystemTime TimeBeside(const ListedObject& source, const ListedObject& target) {
  const SystemTime seconds = std::chrono::floor<std::chrono::seconds>(source.last_modified);
  const bool of_a_head = IsLocalEtag(target.etag) && target.last_modified == seconds;
  return of_a_head ? seconds : source.last_modified;
}

Decision Skip(std::string_view why) { return {.verdict = SyncVerdict::kSkip, .reason = why}; }

}  // namespace

bool HasNoTime(const ListedObject& object) {
  return object.last_modified == SystemTime{} && !IsLocalEtag(object.etag);
}

Decision Decide(const ListedObject& source, const ListedObject* target, const CompareRules& rules) {
  if (target == nullptr) return {.verdict = SyncVerdict::kCopy, .reason = reason::kNew};
  if (rules.ignore_existing) return Skip(reason::kExists);
  if (rules.ignore_times) return Differs(reason::kAlways, rules);
  const bool no_time = HasNoTime(source) || HasNoTime(*target);
  if (rules.update && no_time) return Skip(reason::kTimeUnknown);
  if (rules.update && target->last_modified > source.last_modified + rules.window) {
    return Skip(reason::kTargetNewer);
  }
  if (source.size_bytes != target->size_bytes) return Differs(reason::kSizeDiffers, rules);
  if (rules.size_only) return Skip(reason::kSameSize);
  if (rules.past) {
    const bool same = !source.etag.empty() && source.etag == target->etag;
    return same ? Skip(reason::kSameBytes) : Differs(reason::kEtagDiffers, rules);
  }
  if (rules.checksum) return {.verdict = SyncVerdict::kLook, .reason = reason::kSameSize};
  if (rules.etags && !source.etag.empty() && source.etag == target->etag) {
    return Skip(reason::kSameBytes);
  }
  if (no_time) return {.verdict = SyncVerdict::kLook, .reason = reason::kTimeUnknown};
  if (TimeBeside(source, *target) > target->last_modified + rules.window) {
    return Differs(reason::kSourceNewer, rules);
  }
  // Under KMS they are none, whatever they look like: heads tell.
  if (rules.etags && IsPlainMd5Etag(source.etag) && IsPlainMd5Etag(target->etag)) {
    return {.verdict = SyncVerdict::kLook, .reason = reason::kEtagDiffers};
  }
  if (MayBeNewerThanItsTime(source, *target)) {
    return {.verdict = SyncVerdict::kLook, .reason = reason::kEtagDiffers};
  }
  return Skip(reason::kSame);
}

Decision DecideByBytes(bool known, bool same, const CompareRules& rules) {
  if (!known) return Differs(reason::kBytesUnknown, rules);
  return same ? Skip(reason::kSameBytes) : Differs(reason::kBytesDiffer, rules);
}

Decision DecideByDescription(const CompareRules& rules) {
  return Differs(reason::kDescriptionDiffers, rules);
}

}  // namespace longhaul
