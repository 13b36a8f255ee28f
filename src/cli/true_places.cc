#include "cli/true_places.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/transfer_ends.h"
#include "storage/store.h"
#include "transfer/tree/one_bucket.h"

namespace longhaul {

namespace {

constexpr int kLookedAt = 1000;

bool AreNested(std::string_view one, std::string_view other) {
  return one.starts_with(other) || other.starts_with(one);
}

// One of the first. None with a name of those that servers give what is their own, in which nobody
// else sees it, if there is another.
Async<std::optional<ListedObject>> OneBelow(OpenedAddress end, std::string prefix) {
  Result<ListPage> page = co_await end.store->List(
      {.bucket = end.address.bucket, .prefix = prefix, .count_max = kLookedAt});
  // The run's own listing says what is wrong.
  if (!page || page->objects.empty()) co_return std::nullopt;
  auto hidden = [&prefix](const ListedObject& object) {
    return ("/" + object.key.substr(prefix.size())).contains("/.");
  };
  auto found = std::ranges::find_if_not(page->objects, hidden);
  if (found == page->objects.end()) found = page->objects.begin();
  co_return std::optional(std::move(*found));
}

// Whether a file that appears in `folder` does so as an object below `prefix`.
Async<bool> ShowsAFileOf(Runtime runtime, OpenedAddress objects, std::string folder,
                         std::string prefix) {
  const std::string name = ProbeName(runtime);
  const std::string path = folder + name;
  // Where nothing can be written nothing gets lost.
  if (!std::ofstream(path, std::ios::binary)) co_return false;
  Result<std::optional<ObjectInfo>> seen =
      co_await InfoIfAny(*objects.store, objects.address.bucket, prefix + name);
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  if (!seen) co_return seen.error();
  co_return seen->has_value();
}

Async<TruePlaces> OfTwoBuckets(Runtime runtime, OpenedAddress source, OpenedAddress target,
                               bool equal_too) {
  const bool equal = source.address.key == target.address.key;
  if (source.place == target.place && source.address.bucket == target.address.bucket) {
    co_return TruePlaces();  // As they say.
  }
  if (equal ? !equal_too : !AreNested(source.address.key, target.address.key)) {
    co_return TruePlaces();
  }
  Result<bool> one =
      co_await AreOneBucket(runtime, {*source.store, source.address.bucket, source.address.key},
                            {*target.store, target.address.bucket, target.address.key});
  if (!one) co_return one.error();
  if (!*one) co_return TruePlaces();
  OpenedAddress as = target;
  as.address.key.clear();
  co_return TruePlaces(source.place, source.address.bucket, std::move(as));
}

// Where the folder of a bucket may be: `folder`, if what is `files` to the folder's store is
// `objects` to the bucket's.
struct Candidate {
  std::string folder;
  std::string files;
  std::string objects;
};

// One above the other, or the other way round.
std::vector<Candidate> CandidatesOf(const OpenedAddress& files, const OpenedAddress& objects) {
  std::vector<Candidate> candidates;
  const std::string path = FolderPathOf(files);
  for (size_t end = path.size(); end > 0; end = path.rfind('/', end - 2) + 1) {
    std::string below = path.substr(end);
    if (AreNested(below, objects.address.key)) {
      candidates.push_back(
          {.folder = path.substr(0, end), .files = files.address.key, .objects = std::move(below)});
    }
    if (end == 1) break;  // The root of all.
  }
  const std::string inside = objects.address.bucket + "/";
  candidates.push_back(
      {.folder = path + inside, .files = files.address.key + inside, .objects = ""});
  return candidates;
}

// `name`: of an object in the folder.
Async<void> LookAt(Runtime runtime, OpenedAddress objects, Candidate candidate, std::string name,
                   uint64_t size_bytes, bool* found) {
  Result<std::optional<ObjectInfo>> seen =
      co_await InfoIfAny(*objects.store, objects.address.bucket, candidate.objects + name);
  if (!seen) co_return seen.error();
  if (!*seen || (*seen)->size_bytes != size_bytes) co_return Ok();
  Result<bool> shown = co_await ShowsAFileOf(
      runtime, std::move(objects), candidate.folder + candidate.objects, candidate.objects);
  if (!shown) co_return shown.error();
  *found = *shown;
  co_return Ok();
}

Async<TruePlaces> OfAFolderAndABucket(Runtime runtime, OpenedAddress files, OpenedAddress objects) {
  const std::vector<Candidate> candidates = CandidatesOf(files, objects);
  std::map<std::string, std::optional<ListedObject>>
      first;  // By what they are to the folder's store.
  for (const Candidate& candidate : candidates) {
    if (first.contains(candidate.files)) continue;
    Result<std::optional<ListedObject>> one = co_await OneBelow(files, candidate.files);
    if (!one) co_return one.error();
    first[candidate.files] = std::move(*one);
  }
  // Side by side: mostly none is, and each takes a while to say so.
  const auto found = std::make_unique<bool[]>(candidates.size());
  TaskGroup looks(runtime.executor);
  for (size_t i = 0; i < candidates.size(); ++i) {
    const std::optional<ListedObject>& one = first[candidates[i].files];
    if (!one) continue;
    looks.Spawn(LookAt(runtime, objects, candidates[i], one->key.substr(candidates[i].files.size()),
                       one->size_bytes, &found[i]));
  }
  Result<void> looked = co_await looks.Join();
  if (!looked) co_return looked.error();
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!found[i]) continue;
    OpenedAddress as{.address = {.kind = CommandAddress::Kind::kLocal,
                                 .text = candidates[i].folder,
                                 .bucket = candidates[i].folder}};
    co_return TruePlaces(objects.place, objects.address.bucket, std::move(as));
  }
  co_return TruePlaces();
}

}  // namespace

OpenedAddress TruePlaces::Of(OpenedAddress end) const {
  if (!one_ || end.place != one_->place || end.address.bucket != one_->bucket) return end;
  OpenedAddress as = one_->as;
  as.address.text = std::move(end.address.text);
  as.address.key = std::move(end.address.key);
  return as;
}

Async<TruePlaces> FindTruePlaces(Runtime runtime, OpenedAddress source, OpenedAddress target,
                                 bool equal_too) {
  const bool from_folder = !FolderPathOf(source).empty();
  const bool to_folder = !FolderPathOf(target).empty();
  if (from_folder && to_folder) co_return TruePlaces();
  if (from_folder) {
    co_return co_await OfAFolderAndABucket(runtime, std::move(source), std::move(target));
  }
  if (to_folder) {
    co_return co_await OfAFolderAndABucket(runtime, std::move(target), std::move(source));
  }
  co_return co_await OfTwoBuckets(runtime, std::move(source), std::move(target), equal_too);
}

}  // namespace longhaul
