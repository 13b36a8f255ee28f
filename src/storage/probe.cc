#include "storage/probe.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/bytes.h"
#include "base/check.h"

namespace longhaul {
namespace {

// Bodies that come in pieces show what a store does with a checksum that comes last.
class PiecewiseText : public ByteSource {
 public:
  explicit PiecewiseText(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] uint64_t size_bytes() const override { return text_.size(); }
  Async<size_t> Read(std::span<std::byte> out) override {
    size_t count = std::min({out.size(), text_.size() - offset_, size_t{1000}});
    std::ranges::copy(AsBytes(text_).subspan(offset_, count), out.begin());
    offset_ += count;
    co_return count;
  }

 private:
  std::string text_;
  size_t offset_ = 0;
};

// Some stores list uploads by their whole key alone: whoever cleans up must know these.
constexpr std::array<std::string_view, 5> kUploadNames = {"uploads/one", "parts", "complete",
                                                          "complete-missing", "complete-new"};

// What is written on a condition cannot be sent again where its answer was lost, nor can a stream:
// a trial begins anew then, with keys that nobody wrote yet. A store that fails has had its chances
// in each of the requests.
constexpr int kTrialsMax = 3;

constexpr int kRaces = 4;

// As deep as the keys of a trial that may hide each other, and one more.
constexpr int kCleanUpRounds = 3;

class Prober {
 public:
  Prober(Store& store, std::string bucket, std::string base)
      : store_(store), bucket_(std::move(bucket)), base_(std::move(base)) {}

  Async<Capabilities> Run() {
    Capabilities can = store_.capabilities();
    // The first write says whether there is any sense in going on.
    Result<PutResult> first = co_await Put("first", "first");
    if (!first) co_return first.error();
    struct Trial {
      bool Capabilities::* field;
      Async<bool> (Prober::*run)();
    };
    constexpr std::array<Trial, 16> kTrials = {{
        {&Capabilities::sorted_listing, &Prober::SortedListing},
        {&Capabilities::tags, &Prober::KeepsTags},
        {&Capabilities::checksums, &Prober::KeepsChecksums},
        {&Capabilities::trailing_checksums, &Prober::TakesTrailers},
        {&Capabilities::storage_classes, &Prober::KeepsStorageClass},
        {&Capabilities::lists_uploads, &Prober::ListsUploads},
        {&Capabilities::heads_parts, &Prober::HeadsParts},
        {&Capabilities::create_if_absent, &Prober::CreatesIfAbsent},
        {&Capabilities::replace_if_match, &Prober::ReplacesIfMatch},
        {&Capabilities::complete_if_absent, &Prober::CompletesIfAbsent},
        {&Capabilities::complete_if_match, &Prober::CompletesIfMatch},
        {&Capabilities::delete_if_match, &Prober::DeletesIfMatch},
        {&Capabilities::key_dot_segments, &Prober::KeepsDotSegments},
        {&Capabilities::key_double_slash, &Prober::KeepsDoubleSlash},
        {&Capabilities::key_file_beside_folder, &Prober::KeepsFileBesideFolder},
        {&Capabilities::key_trailing_slash, &Prober::KeepsTrailingSlash},
    }};
    for (const Trial& trial : kTrials) {
      Result<bool> passed = co_await (this->*trial.run)();
      for (int number = 2; !passed && passed.error().Transient() && number <= kTrialsMax;
           ++number) {
        trial_ = NameOfTrial(number);
        passed = co_await (this->*trial.run)();
      }
      if (!passed) co_return passed.error();
      trial_.clear();
      can.*trial.field = *passed;
    }
    can.trailing_checksums = can.trailing_checksums && can.checksums;
    can.conditions_proven = true;
    co_return can;
  }

  // What is denied and can be done without, and what follows.
  [[nodiscard]] const std::vector<std::string>& without() const { return without_; }

  // As if all of it had been begun, by somebody who is dead.
  void Inherit() {
    for (int number = 1; number <= kTrialsMax; ++number) {
      for (std::string_view name : kUploadNames) {
        begun_.insert(base_ + NameOfTrial(number) + std::string(name));
      }
    }
  }

  // Every version of everything below the base, and what listings may hide.
  Async<void> CleanUp() {
    for (const MultipartUpload& upload : uploads_) {
      Result<void> aborted = co_await store_.AbortMultipart(upload);
      if (!aborted) co_return aborted.error();
    }
    // An answer that was lost on its way has left an upload without a name. Some stores list
    // uploads by their whole key alone.
    for (const std::string& key : begun_) {
      Result<std::vector<MultipartUpload>> left =
          co_await store_.ListMultipartUploads(bucket_, key);
      if (!left && left.error().Transient()) co_return left.error();
      for (size_t i = 0; left && i < left->size(); ++i) {
        Result<void> aborted = co_await store_.AbortMultipart((*left)[i]);
        if (!aborted) co_return aborted.error();
      }
    }
    // Deepest first: "a/b" beside "a" may be a folder there.
    std::sort(keys_.begin(), keys_.end(), std::greater<>());
    for (const std::string& key : keys_) {
      Result<void> removed =
          co_await store_.Remove({.bucket = bucket_, .key = key, .version_id = "", .if_match = ""});
      if (!removed && removed.error().kind != ErrorKind::kInvalidInput) co_return removed.error();
    }
    Result<bool> versioned = co_await store_.GetVersioning(bucket_);
    bool versions = store_.capabilities().versions && (!versioned || *versioned);
    // Where a file hides what is below it, listings tell of that only when the file has gone.
    for (int round = 0; round < kCleanUpRounds; ++round) {
      Result<size_t> removed = co_await RemoveListed(versions);
      if (!removed) co_return removed.error();
      if (*removed == 0 || !versions) break;
    }
    co_return Ok();
  }

  // All that is listed below the base; how much there was.
  Async<size_t> RemoveListed(bool versions) {
    size_t count = 0;
    ListRequest request{.bucket = bucket_, .prefix = base_, .versions = versions};
    while (true) {
      Result<ListPage> page = co_await store_.List(request);
      if (!page) co_return page.error();
      for (const ListedObject& object : page->objects) {
        Result<void> removed = co_await store_.Remove({.bucket = bucket_,
                                                       .key = object.key,
                                                       .version_id = object.version_id,
                                                       .if_match = ""});
        if (!removed && removed.error().Transient()) co_return removed.error();
      }
      count += page->objects.size();
      if (page->next_token.empty()) co_return count;
      request.token = page->next_token;
    }
  }

 private:
  // Errors that say nothing of what the store can do.
  static bool IsTrouble(const Error& error) {
    return error.Transient() || error.kind == ErrorKind::kCancelled ||
           error.kind == ErrorKind::kDenied;
  }

  static std::string NameOfTrial(int number) {
    return number == 1 ? "" : "trial-" + std::to_string(number) + "/";
  }
  // The key of this name in the trial that is under way.
  [[nodiscard]] std::string KeyOf(const std::string& name) const { return base_ + trial_ + name; }
  PutRequest At(const std::string& name, WriteCondition condition = {}) {
    PutRequest request;
    request.bucket = bucket_;
    request.key = KeyOf(name);
    request.condition = std::move(condition);
    if (std::ranges::find(keys_, request.key) == keys_.end()) keys_.push_back(request.key);
    return request;
  }
  Async<PutResult> Put(std::string name, std::string text, WriteCondition condition = {}) {
    co_return co_await PutText(store_, At(name, std::move(condition)), std::move(text));
  }
  // Whether `name` holds `text`.
  Async<bool> Holds(std::string name, std::string text) {
    GetRequest request;
    request.bucket = bucket_;
    request.key = KeyOf(name);
    Result<std::string> found = co_await GetAll(store_, std::move(request), 1 << 20);
    if (!found) {
      if (IsTrouble(found.error())) co_return found.error();
      co_return false;
    }
    co_return *found == text;
  }
  void Lacks(std::string what, const Error& denied) {
    without_.push_back(std::move(what) + " (" + denied.Describe() + ")");
  }
  // A trial that failed: passed on when it is trouble, else "cannot".
  static Result<bool> Cannot(const Error& error) {
    if (IsTrouble(error)) return error;
    return false;
  }
  // Whether a write that had to be refused was refused as it should be.
  template <class T>
  static bool Refused(const Result<T>& result) {
    return !result && (result.error().kind == ErrorKind::kPrecondition ||
                       result.error().kind == ErrorKind::kNotFound);
  }

  Async<bool> SortedListing() {
    // "a/b" sorts after "a!" and before "a0"; folders of a file system would come elsewhere.
    std::vector<std::string> names = {"sort/a!", "sort/a/b", "sort/a0", "sort/b"};
    std::vector<std::string> expected;
    for (const std::string& name : names) {
      expected.push_back(KeyOf(name));
      Result<PutResult> put = co_await Put(name, "x");
      if (!put) co_return Cannot(put.error());
    }
    ListRequest request{.bucket = bucket_, .prefix = KeyOf("sort/"), .count_max = 2};
    std::vector<std::string> listed;
    for (int pages = 0; pages < 10; ++pages) {
      Result<ListPage> page = co_await store_.List(request);
      if (!page) co_return page.error();
      for (const ListedObject& object : page->objects) listed.push_back(object.key);
      if (page->next_token.empty()) break;
      request.token = page->next_token;
    }
    co_return listed == expected;
  }

  Async<bool> KeepsTags() {
    PutRequest request = At("tags");
    request.tags = {{"probe", "a b"}};
    Tags tags = request.tags;
    const bool declared = store_.capabilities().tags;
    Result<PutResult> put = co_await PutText(store_, std::move(request), "tags");
    if (!put && put.error().kind == ErrorKind::kDenied) {
      Lacks("may not write tags: objects that have any are refused", put.error());
      co_return declared;
    }
    if (!put) co_return Cannot(put.error());
    Result<Tags> found = co_await store_.GetTags(bucket_, KeyOf("tags"), "");
    if (!found && found.error().kind == ErrorKind::kDenied) {
      Lacks(
          "may not read tags: an object with tags that is at the target already cannot be "
          "compared, "
          "and is parked, where this holds for its bucket as well",
          found.error());
      co_return declared;
    }
    if (!found) co_return Cannot(found.error());
    co_return *found == tags;
  }

  Async<bool> KeepsChecksums() {
    if (!store_.capabilities().checksums) co_return false;
    Result<PutResult> put = co_await Put("checksum", "checksum");
    if (!put) co_return Cannot(put.error());
    Result<ObjectInfo> info = co_await store_.Head({.bucket = bucket_,
                                                    .key = KeyOf("checksum"),
                                                    .version_id = "",
                                                    .part_number = std::nullopt});
    if (!info) co_return Cannot(info.error());
    co_return !info->checksums.empty();
  }

  Async<bool> TakesTrailers() {
    if (!store_.capabilities().trailing_checksums) co_return false;
    std::string text(3000, 't');
    PiecewiseText source(text);
    Result<PutResult> put = co_await store_.Put(At("trailer"), source);
    if (!put) co_return Cannot(put.error());
    co_return co_await Holds("trailer", text);
  }

  Async<bool> KeepsStorageClass() {
    PutRequest request = At("class");
    request.storage_class = "INTELLIGENT_TIERING";  // The one without a fee for early deletion.
    Result<PutResult> put = co_await PutText(store_, std::move(request), "class");
    if (!put) co_return Cannot(put.error());
    Result<ObjectInfo> info = co_await store_.Head(
        {.bucket = bucket_, .key = KeyOf("class"), .version_id = "", .part_number = std::nullopt});
    if (!info) co_return Cannot(info.error());
    co_return info->storage_class == "INTELLIGENT_TIERING";
  }

  Async<MultipartUpload> Begin(std::string name) {
    LH_CHECK(std::ranges::find(kUploadNames, name) != kUploadNames.end());
    begun_.insert(KeyOf(name));
    Result<MultipartUpload> upload = co_await store_.CreateMultipart(At(name));
    if (upload) uploads_.push_back(*upload);
    co_return upload;
  }
  Async<PutResult> PutByParts(std::string name, std::string text, WriteCondition condition) {
    Result<MultipartUpload> upload = co_await Begin(std::move(name));
    if (!upload) co_return upload.error();
    MemorySource source{std::string_view(text)};
    Result<UploadedPart> part = co_await store_.UploadPart(*upload, 1, source);
    if (!part) co_return part.error();
    co_return co_await store_.CompleteMultipart(
        {.upload = *upload, .parts = {*part}, .condition = condition, .checksum = std::nullopt});
  }

  Async<bool> ListsUploads() {
    Result<MultipartUpload> upload = co_await Begin("uploads/one");
    if (!upload) co_return Cannot(upload.error());
    Result<std::vector<MultipartUpload>> found =
        co_await store_.ListMultipartUploads(bucket_, KeyOf("uploads/"));
    if (!found && found.error().kind == ErrorKind::kDenied) {
      Lacks(
          "may not list uploads: one whose creation got no answer is not found again, and stays "
          "until a lifecycle rule removes it",
          found.error());
      co_return false;
    }
    if (!found) co_return Cannot(found.error());
    co_return std::ranges::any_of(*found, [&](const MultipartUpload& one) {
      return one.key == upload->key && one.upload_id == upload->upload_id;
    });
  }

  Async<bool> HeadsParts() {
    Result<PutResult> put = co_await PutByParts("parts", "part", {});
    if (!put) co_return Cannot(put.error());
    Result<ObjectInfo> info = co_await store_.Head(
        {.bucket = bucket_, .key = KeyOf("parts"), .version_id = "", .part_number = 1});
    if (!info) co_return Cannot(info.error());
    co_return info->part_count == 1 && info->size_bytes == 4;
  }

  // One of several writers of the same new key.
  Async<void> RaceOne(std::string name, std::string text, int& winners, int& losers) {
    WriteCondition condition;
    condition.if_absent = true;
    Result<PutResult> put = co_await Put(std::move(name), std::move(text), condition);
    if (put) {
      ++winners;
    } else if (put.error().kind == ErrorKind::kPrecondition) {
      ++losers;
    } else {
      co_return put.error();
    }
    co_return Ok();
  }

  Async<bool> CreatesIfAbsent() {
    WriteCondition absent{.if_absent = true, .if_match = ""};
    Result<PutResult> first = co_await Put("create", "first", absent);
    if (!first) co_return Cannot(first.error());
    Result<PutResult> second = co_await Put("create", "second", absent);
    if (!second && IsTrouble(second.error())) co_return second.error();
    if (!Refused(second)) co_return false;
    Result<bool> kept = co_await Holds("create", "first");
    if (!kept || !*kept) co_return kept;
    int raced = 0;
    for (int race = 0; raced < kRaces; ++race) {
      int winners = 0;
      int losers = 0;
      TaskGroup group(co_await CurrentExecutor());
      std::string name = "race-" + std::to_string(race);
      group.Spawn(RaceOne(name, "one", winners, losers));
      group.Spawn(RaceOne(name, "two", winners, losers));
      Result<void> joined = co_await group.Join();
      // One that got no answer tells nothing; the others count.
      if (!joined && joined.error().Transient() && race + 1 < 2 * kRaces) continue;
      if (!joined) co_return Cannot(joined.error());
      if (winners != 1 || losers != 1) co_return false;
      ++raced;
    }
    co_return true;
  }

  // The same three questions to both ways of writing.
  template <class Write>
  Async<bool> WritesIfMatch(std::string name, Write write) {
    Result<PutResult> old = co_await Put(name, "old");
    if (!old) co_return Cannot(old.error());
    Result<PutResult> stale = co_await write(name, "stale", "00000000000000000000000000000000");
    if (!stale && IsTrouble(stale.error())) co_return stale.error();
    if (!Refused(stale)) co_return false;
    Result<bool> kept = co_await Holds(name, "old");
    if (!kept || !*kept) co_return kept;
    Result<PutResult> missing = co_await write(name + "-missing", "x", old->etag);
    if (!missing && IsTrouble(missing.error())) co_return missing.error();
    if (!Refused(missing)) co_return false;
    Result<PutResult> right = co_await write(name, "new", old->etag);
    if (!right) co_return Cannot(right.error());
    co_return co_await Holds(name, "new");
  }

  Async<bool> ReplacesIfMatch() {
    return WritesIfMatch("replace", [this](std::string name, std::string text, std::string etag) {
      return Put(std::move(name), std::move(text), {.if_absent = false, .if_match = etag});
    });
  }
  Async<bool> CompletesIfMatch() {
    return WritesIfMatch("complete", [this](std::string name, std::string text, std::string etag) {
      return PutByParts(std::move(name), std::move(text), {.if_absent = false, .if_match = etag});
    });
  }
  Async<bool> CompletesIfAbsent() {
    WriteCondition absent{.if_absent = true, .if_match = ""};
    Result<PutResult> first = co_await PutByParts("complete-new", "first", absent);
    if (!first) co_return Cannot(first.error());
    Result<PutResult> second = co_await PutByParts("complete-new", "second", absent);
    if (!second && IsTrouble(second.error())) co_return second.error();
    if (!Refused(second)) co_return false;
    co_return co_await Holds("complete-new", "first");
  }

  Async<bool> DeletesIfMatch() {
    Result<PutResult> put = co_await Put("delete", "kept");
    if (!put) co_return Cannot(put.error());
    RemoveRequest request{.bucket = bucket_,
                          .key = KeyOf("delete"),
                          .version_id = "",
                          .if_match = "00000000000000000000000000000000"};
    Result<void> stale = co_await store_.Remove(request);
    if (!stale && IsTrouble(stale.error())) co_return stale.error();
    if (!Refused(stale)) co_return false;
    Result<bool> kept = co_await Holds("delete", "kept");
    if (!kept || !*kept) co_return kept;
    request.if_match = put->etag;
    Result<void> right = co_await store_.Remove(request);
    if (!right) co_return Cannot(right.error());
    Result<bool> still_there = co_await Holds("delete", "kept");
    if (!still_there) co_return still_there.error();
    co_return !*still_there;
  }

  // Whether all `names` can be there at once, each with its own bytes and listed under its own
  // name.
  Async<bool> KeepsKeys(std::string prefix, std::vector<std::string> names) {
    for (const std::string& name : names) {
      Result<PutResult> put = co_await Put(prefix + name, "body of " + name);
      if (!put) co_return Cannot(put.error());
    }
    Result<ListPage> page = co_await store_.List({.bucket = bucket_, .prefix = KeyOf(prefix)});
    if (!page) co_return Cannot(page.error());
    std::set<std::string> listed;
    for (const ListedObject& object : page->objects) listed.insert(object.key);
    for (const std::string& name : names) {
      if (!listed.contains(KeyOf(prefix + name))) co_return false;
      Result<bool> holds = co_await Holds(prefix + name, "body of " + name);
      if (!holds || !*holds) co_return holds;
    }
    co_return listed.size() == names.size();
  }
  Async<bool> KeepsDotSegments() {
    return KeepsKeys("dots/", {"a/./b", "a/b", "a/../c", "c", "e/.", "f/.."});
  }
  Async<bool> KeepsDoubleSlash() { return KeepsKeys("slashes/", {"a//b", "a/b", "/c"}); }
  Async<bool> KeepsFileBesideFolder() { return KeepsKeys("beside/", {"a", "a/b", "c/d", "c"}); }
  Async<bool> KeepsTrailingSlash() { return KeepsKeys("trailing/", {"x/"}); }

  Store& store_;
  std::string bucket_;
  std::string base_;
  std::string trial_;  // Below the base; empty for the first.
  std::vector<std::string> keys_;
  std::vector<MultipartUpload> uploads_;
  std::set<std::string> begun_;  // Keys of uploads.
  std::vector<std::string> without_;
};

}  // namespace

std::string NewProbeBase(std::string_view prefix, Random& random) {
  std::string name;
  for (int i = 0; i < 2; ++i) {
    uint64_t value = random.Next();
    name += HexEncode(std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  }
  return std::string(prefix) + "probe/" + name + "/";
}

Async<void> RemoveProbe(Store& store, std::string bucket, std::string base) {
  Prober prober(store, std::move(bucket), std::move(base));
  prober.Inherit();
  co_return co_await prober.CleanUp();
}

Async<Capabilities> ProbeStore(Store& store, std::string bucket, std::string base,
                               std::vector<std::string>* without) {
  Prober prober(store, bucket, std::move(base));
  Result<Capabilities> found = co_await prober.Run();
  Result<void> cleaned = co_await prober.CleanUp();
  if (without != nullptr) *without = prober.without();
  if (!found) co_return found.error().In("probe " + store.description() + " " + bucket);
  if (!cleaned) co_return cleaned.error().In("clean up after the probe of " + store.description());
  co_return found;
}

}  // namespace longhaul
