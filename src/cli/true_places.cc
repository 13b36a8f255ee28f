#include "cli/true_places.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/transfer_ends.h"
#include "storage/s3_bucket_name.h"
#include "storage/store.h"
#include "transfer/tree/one_bucket.h"

namespace longhaul {

namespace {

constexpr int kLookedAt = 1000;
// Of file systems and servers that keep whole seconds, or every other.
constexpr std::chrono::seconds kTimesApartMax{3};

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
  // A folder that is not there, or in which nothing can be written, gets no copies either.
  if (!std::ofstream(path, std::ios::binary)) co_return false;
  Result<ObjectInfo> seen =
      co_await objects.store->Head({.bucket = objects.address.bucket, .key = prefix + name});
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  if (seen) co_return true;
  // Who may not look cannot move either.
  if (seen.error().kind == ErrorKind::kNotFound) co_return false;
  co_return seen.error();
}

// The other way round, where the folder is the source: nothing is written there.
Async<bool> ShowsAnObjectOf(Runtime runtime, OpenedAddress objects, std::string folder,
                            std::string prefix) {
  co_return co_await ShowsProbe(runtime,
                                {*objects.store, objects.address.bucket, std::move(prefix)},
                                [folder = std::move(folder)](std::string name) -> Async<bool> {
                                  std::error_code ignored;
                                  co_return std::filesystem::exists(folder + name, ignored);
                                });
}

// A copy has the time of its writing, the thing itself the one that its file has.
bool IsOfFile(const ObjectInfo& object, const ListedObject& listed, const std::string& path) {
  if (object.size_bytes != listed.size_bytes) return false;
  auto is_close = [&object](SystemTime time) {
    return object.last_modified > time - kTimesApartMax &&
           object.last_modified < time + kTimesApartMax;
  };
  if (is_close(listed.last_modified)) return true;
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return false;
  return is_close(SystemTime(std::chrono::seconds(status.st_mtim.tv_sec)));
}

// Of names of buckets: whether one may be the other's, though they are not the same.
bool MayBeAlias(const std::string& bucket) {
  return IsS3Arn(bucket) || bucket.ends_with("-s3alias") || bucket.ends_with("--ol-s3");
}

Async<TruePlaces> OfTwoBuckets(Runtime runtime, OpenedAddress source, OpenedAddress target,
                               bool equal_too) {
  const bool equal = source.address.key == target.address.key;
  // As they say.
  const bool aliases = MayBeAlias(source.address.bucket) || MayBeAlias(target.address.bucket);
  if (source.place == target.place &&
      (source.address.bucket == target.address.bucket || !aliases)) {
    co_return TruePlaces();
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

// `listed`: an object in the folder. `into_folder`: it is the target.
Async<void> LookAt(Runtime runtime, OpenedAddress objects, Candidate candidate, ListedObject listed,
                   bool into_folder, bool* found) {
  const std::string name = listed.key.substr(candidate.files.size());
  const std::string folder = candidate.folder + candidate.objects;
  Result<std::optional<ObjectInfo>> seen =
      co_await InfoIfAny(*objects.store, objects.address.bucket, candidate.objects + name);
  if (!seen) co_return seen.error();
  if (!*seen || !IsOfFile(**seen, listed, folder + name)) co_return Ok();
  Result<bool> shown =
      into_folder
          ? co_await ShowsAFileOf(runtime, std::move(objects), folder, candidate.objects)
          : co_await ShowsAnObjectOf(runtime, std::move(objects), folder, candidate.objects);
  if (!shown) co_return shown.error();
  *found = *shown;
  co_return Ok();
}

Async<TruePlaces> OfAFolderAndABucket(Runtime runtime, OpenedAddress files, OpenedAddress objects,
                                      bool into_folder) {
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
    looks.Spawn(LookAt(runtime, objects, candidates[i], *one, into_folder, &found[i]));
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
    co_return co_await OfAFolderAndABucket(runtime, std::move(source), std::move(target), false);
  }
  if (to_folder) {
    co_return co_await OfAFolderAndABucket(runtime, std::move(target), std::move(source), true);
  }
  co_return co_await OfTwoBuckets(runtime, std::move(source), std::move(target), equal_too);
}

Async<bool> AreOneFolder(Runtime runtime, OpenedAddress one, OpenedAddress two) {
  const bool first = !FolderPathOf(one).empty();
  if (first == !FolderPathOf(two).empty()) co_return false;
  const OpenedAddress& files = first ? one : two;
  const OpenedAddress& objects = first ? two : one;
  co_return co_await ShowsAFileOf(std::move(runtime), objects, FolderPathOf(files),
                                  objects.address.key);
}

}  // namespace longhaul
