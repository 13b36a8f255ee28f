#include "backup/drill.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "transfer/object/copy_object.h"
#include "transfer/tree/object_tree.h"

namespace longhaul::backup {

namespace {

constexpr size_t kChunkBytes = 256 << 10;
constexpr size_t kHashInlineBytes = 32 << 10;

struct Digests {
  ObjectInfo info;
  uint64_t size_bytes = 0;
  std::string sha256;    // Raw.
  std::string md5;       // In hex.
  std::string checksum;  // In base64, of the algorithm that was asked for.
};

Async<Digests> ReadDigests(Runtime& runtime, Store& store, GetRequest request,
                           std::optional<ChecksumAlgorithm> algorithm) {
  Result<ObjectStream> stream = co_await store.Get(std::move(request));
  if (!stream) co_return stream.error();
  std::vector<HashKind> kinds{HashKind::kSha256, HashKind::kMd5};
  if (algorithm) kinds.push_back(HashKindOf(*algorithm));
  HashSet hashes(kinds);
  Digests read{.info = std::move(stream->info)};
  std::vector<std::byte> chunk(kChunkBytes);
  while (true) {
    Result<size_t> count = co_await stream->body->Read(chunk);
    if (!count) co_return count.error();
    if (*count == 0) break;
    read.size_bytes += *count;
    const auto bytes = std::span(chunk).first(*count);
    if (bytes.size() <= kHashInlineBytes) {
      hashes.Update(bytes);
    } else {
      co_await runtime.pool.Run([&hashes, bytes] { hashes.Update(bytes); });
    }
  }
  auto digests = hashes.Finish();
  read.sha256 = std::move(digests[0].second);
  read.md5 = HexEncode(digests[1].second);
  if (algorithm) read.checksum = Base64Encode(digests[2].second);
  co_return read;
}

// The hash of what belongs to an object besides its bytes; without `headers` of its tags.
Async<std::string> Description(Store& store, bool headers, std::string bucket, std::string key,
                               std::string version_id) {
  Result<ObjectInfo> info =
      co_await store.Head({.bucket = bucket, .key = key, .version_id = version_id});
  if (!info) co_return info.error();
  Result<Tags> tags =
      co_await store.GetTags(std::move(bucket), std::move(key), std::move(version_id));
  if (!tags) co_return tags.error();
  co_return HashFull(0, "", headers ? *info : ObjectInfo{}, *tags);
}

// That a drill can have written of one object: each attempt of a copy may leave one.
constexpr int kVersionsMax = 100;

class Drill {
 public:
  Drill(Runtime runtime, DrillWork& work, DrillVerdict& verdict)
      : runtime_(runtime), work_(work), verdict_(verdict) {}

  // Whatever it returns, what it wrote is to be removed.
  Async<void> Run() {
    CopyOptions options;
    options.source_proves_bytes = true;
    options.keep_storage_class = false;
    options.stop = work_.stop;
    options.multipart_threshold_bytes = work_.multipart_threshold_bytes;
    Result<CopyOutcome> copied = co_await CopyObject(
        runtime_,
        {.store = *work_.backup,
         .bucket = work_.bucket,
         .key = work_.object.key,
         .version_id = work_.object.version_id},
        {.store = *work_.scratch, .bucket = work_.scratch_bucket, .key = work_.scratch_key},
        std::move(options));
    if (!copied) co_return copied.error();
    written_ = copied->put.version_id;
    verdict_.bytes = copied->size_bytes;
    co_return co_await Compare();
  }

  Async<void> Remove() {
    std::optional<std::string> version_id = written_;
    for (int removals = 0;; ++removals) {
      if (!version_id) {
        // A write whose answer was lost may be there; where the bucket keeps versions, below
        // others.
        Result<ObjectInfo> info = co_await work_.scratch->Head(
            {.bucket = work_.scratch_bucket, .key = work_.scratch_key, .version_id = {}});
        if (!info && info.error().kind == ErrorKind::kNotFound) co_return Ok();
        // Who may not list a bucket is not told that a key is not there.
        if (!info && removals > 0 && info.error().kind == ErrorKind::kDenied) co_return Ok();
        if (!info) co_return info.error();
        if (removals == kVersionsMax) co_return Retryable("more versions of it come all the time");
        version_id = info->version_id;
      }
      Result<void> removed = co_await work_.scratch->Remove(
          {.bucket = work_.scratch_bucket, .key = work_.scratch_key, .version_id = *version_id});
      if (!removed || version_id->empty()) co_return removed;
      version_id.reset();
    }
  }

 private:
  void Differs(std::string what) { verdict_.differences.push_back(std::move(what)); }

  Async<void> Compare() {
    const ListedObject& object = work_.object;
    Result<ObjectInfo> info = co_await work_.backup->Head(
        {.bucket = work_.bucket, .key = object.key, .version_id = object.version_id});
    if (!info) co_return info.error();
    const std::optional<Checksum> checksum = WholeChecksum(*info);
    std::optional<ChecksumAlgorithm> algorithm;
    if (checksum) algorithm = checksum->algorithm;
    // Its digests are compared here: what differs is to be told as such.
    Result<Digests> restored = co_await ReadDigests(runtime_, *work_.scratch,
                                                    {.bucket = work_.scratch_bucket,
                                                     .key = work_.scratch_key,
                                                     .version_id = {},
                                                     .if_match = {},
                                                     .verify = false},
                                                    algorithm);
    if (!restored) co_return restored.error().In("read what was restored");
    if (restored->size_bytes != info->size_bytes) {
      Differs("it came back with " + std::to_string(restored->size_bytes) + " bytes, and the " +
              "archive says " + std::to_string(info->size_bytes));
    }
    Result<Digests> archived = co_await ReadDigests(runtime_, *work_.backup,
                                                    {.bucket = work_.bucket,
                                                     .key = object.key,
                                                     .version_id = object.version_id,
                                                     .if_match = {}},
                                                    std::nullopt);
    if (!archived) co_return archived.error().In("read the archive again");
    if (restored->sha256 != archived->sha256) Differs("its bytes are not those of the archive");
    // One that is no MD5 of the bytes, as that of an object under KMS, tells nothing of them.
    if (archived->md5 == info->etag && restored->md5 != info->etag) {
      Differs("its MD5 is " + restored->md5 + ", and the archive says " + info->etag);
    }
    if (checksum && restored->checksum != checksum->value) {
      Differs("its checksum is " + restored->checksum + ", and the archive says " +
              checksum->value);
    }
    if (work_.scratch->capabilities().tags) {
      Result<std::string> one = co_await Description(*work_.backup, work_.knows_headers,
                                                     work_.bucket, object.key, object.version_id);
      if (!one) co_return one.error();
      Result<std::string> two = co_await Description(*work_.scratch, work_.knows_headers,
                                                     work_.scratch_bucket, work_.scratch_key, "");
      if (!two) co_return two.error().In("read what was restored");
      if (*one != *two) Differs("its headers, metadata or tags are not those of the archive");
    }
    co_await CompareWithSource(*info, *restored);
    co_return Ok();
  }

  // A source that has gone, or cannot be asked, is what backups are for: it proves nothing.
  asio::awaitable<void> CompareWithSource(const ObjectInfo& archived, const Digests& restored) {
    if (work_.source == nullptr || archived.etag_opaque || archived.etag.empty()) co_return;
    Result<ObjectInfo> there = co_await work_.source->Head(
        {.bucket = work_.bucket, .key = work_.object.key, .version_id = {}});
    if (!there || there->etag != archived.etag || there->size_bytes != archived.size_bytes) {
      co_return;
    }
    Result<Digests> source = co_await ReadDigests(runtime_, *work_.source,
                                                  {.bucket = work_.bucket,
                                                   .key = work_.object.key,
                                                   .version_id = {},
                                                   .if_match = archived.etag,
                                                   .verify = false},
                                                  std::nullopt);
    if (!source) co_return;
    verdict_.compared_with_source = true;
    if (source->sha256 != restored.sha256) Differs("its bytes are not those of the source");
  }

  Runtime runtime_;
  DrillWork& work_;
  DrillVerdict& verdict_;
  std::optional<std::string> written_;  // The version id; empty where none is kept.
};

}  // namespace

Result<DrillSample> ParseDrillSample(std::string_view text) {
  const Error wrong = InvalidInput("'" + std::string(text) +
                                   "' is no sample: a number of objects (100, at most 100000) or "
                                   "a share of them (1%)");
  const bool share = text.ends_with('%');
  std::string_view number = text;
  if (share) number.remove_suffix(1);
  const char* end = number.data() + number.size();
  if (share) {
    double percent = 0;
    const auto [at, code] = std::from_chars(number.data(), end, percent);
    if (code != std::errc() || at != end || !(percent > 0 && percent <= 100)) return wrong;
    return DrillSample{.share = percent / 100};
  }
  uint64_t count = 0;
  const auto [at, code] = std::from_chars(number.data(), end, count);
  if (code != std::errc() || at != end || count == 0 || count > kDrillObjectsMax) return wrong;
  return DrillSample{.count = count};
}

Async<DrillChoice> ChooseForDrill(Listing& listing, DrillSample sample, Random& random,
                                  const Event& stop) {
  struct Taken {
    uint64_t number = 0;
    ListedObject object;
  };
  DrillChoice choice;
  std::vector<Taken> taken;
  std::optional<Taken> one;  // In case that none is taken by its share.
  uint64_t chosen = 0;
  const uint64_t room = sample.count > 0 ? sample.count : kDrillObjectsMax;
  while (true) {
    ListedObject object;
    if (!listing.TakeReady(object)) {
      if (stop.is_set()) co_return Cancelled("stopped on request");
      Result<std::optional<ListedObject>> next = co_await listing.Next();
      if (!next) co_return next.error();
      if (!*next) break;
      object = std::move(**next);
    }
    const uint64_t number = choice.of++;
    if (sample.count == 0) {
      if (taken.empty() && random.Below(choice.of) == 0) one = Taken{number, object};
      if (random.Unit() >= sample.share) continue;
    }
    // A reservoir: of all that were chosen, each has the same chance to be in it.
    ++chosen;
    if (taken.size() < room) {
      taken.push_back({number, std::move(object)});
    } else if (const uint64_t place = random.Below(chosen); place < room) {
      taken[place] = {number, std::move(object)};
    }
  }
  if (taken.empty() && one) taken.push_back(std::move(*one));
  std::ranges::sort(taken, {}, &Taken::number);
  for (Taken& each : taken) choice.objects.push_back(std::move(each.object));
  co_return choice;
}

asio::awaitable<DrillVerdict> DrillObject(Runtime runtime, DrillWork work) {
  DrillVerdict verdict;
  Drill drill(runtime, work, verdict);
  Result<void> done = co_await drill.Run();
  if (!done) verdict.failure = done.error();
  Result<void> removed = co_await drill.Remove();
  if (!removed) {
    verdict.left_behind = removed.error().In("remove " + work.scratch_key);
  }
  co_return verdict;
}

}  // namespace longhaul::backup
