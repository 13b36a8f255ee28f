#include "transfer/tree/same_bytes.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "transfer/local/local_folder.h"
#include "transfer/object/copy_object.h"
#include "transfer/object/copy_plan.h"

namespace longhaul {

namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr uint64_t kMib = 1ULL << 20;
// What uploaders split by, unless told otherwise: boto3, the AWS CLI and mc 8 or 16, rclone 5,
// s5cmd 50, Hadoop 64 and 128, MinIO's clients 16 and 64.
constexpr uint64_t kCommonPartSizes[] = {5 * kMib,  8 * kMib,  10 * kMib, 15 * kMib,  16 * kMib,
                                         32 * kMib, 50 * kMib, 64 * kMib, 100 * kMib, 128 * kMib};

Async<std::string> DigestOf(Runtime runtime, ObjectPlace place, HashKind kind) {
  Result<Reservation> memory = co_await runtime.memory.Reserve(kPieceBytes);
  if (!memory) co_return memory.error();
  Result<ObjectStream> stream = co_await place.store.Get(
      {.bucket = place.bucket, .key = place.key, .version_id = place.version_id});
  if (!stream) co_return stream.error();
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPieceBytes);
  std::unique_ptr<Hasher> hasher = NewHasher(kind);
  while (true) {
    Result<size_t> count = co_await stream->body->Read(std::span(buffer.get(), kPieceBytes));
    if (!count) co_return count.error();
    if (*count == 0) break;
    co_await runtime.pool.Run([&] { hasher->Update(std::span(buffer.get(), *count)); });
  }
  co_return hasher->Finish();
}

// As much as fits; less only at the end.
Async<size_t> Fill(ByteReader& reader, std::span<std::byte> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    Result<size_t> count = co_await reader.Read(out.subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
  }
  co_return filled;
}

Async<SameBytes> ReadBoth(Runtime runtime, ObjectPlace one, ObjectPlace two) {
  Result<Reservation> memory = co_await runtime.memory.Reserve(2 * kPieceBytes);
  if (!memory) co_return memory.error();
  Result<ObjectStream> left =
      co_await one.store.Get({.bucket = one.bucket, .key = one.key, .version_id = one.version_id});
  if (!left) co_return left.error();
  Result<ObjectStream> right =
      co_await two.store.Get({.bucket = two.bucket, .key = two.key, .version_id = two.version_id});
  if (!right) co_return right.error();
  auto buffers = std::make_unique_for_overwrite<std::byte[]>(2 * kPieceBytes);
  std::byte* second = buffers.get() + kPieceBytes;
  while (true) {
    Result<size_t> filled = co_await Fill(*left->body, std::span(buffers.get(), kPieceBytes));
    if (!filled) co_return filled.error();
    Result<size_t> other = co_await Fill(*right->body, std::span(second, kPieceBytes));
    if (!other) co_return other.error();
    if (*filled != *other || std::memcmp(buffers.get(), second, *filled) != 0) {
      co_return SameBytes::kDifferent;
    }
    if (*filled < kPieceBytes) co_return SameBytes::kSame;
  }
}

// A multipart ETag in the making.
struct PartHashes {
  uint64_t part_size_bytes = 0;
  uint64_t in_part_bytes = 0;
  int parts = 0;
  std::string digests;
  std::unique_ptr<Hasher> hasher = NewHasher(HashKind::kMd5);

  void Update(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const size_t take = std::min<uint64_t>(bytes.size(), part_size_bytes - in_part_bytes);
      hasher->Update(bytes.first(take));
      in_part_bytes += take;
      bytes = bytes.subspan(take);
      if (in_part_bytes == part_size_bytes) EndPart();
    }
  }
  void EndPart() {
    digests += hasher->Finish();
    hasher = NewHasher(HashKind::kMd5);
    in_part_bytes = 0;
    ++parts;
  }
  std::string Finish() {
    if (in_part_bytes > 0 || parts == 0) EndPart();
    return HexEncode(Md5(digests)) + "-" + std::to_string(parts);
  }
};

// A file beside a multipart object: in which parts it was uploaded is asked of its store, else
// guessed.
Async<SameBytes> CompareWithParts(Runtime runtime, ObjectPlace file, ObjectPlace remote,
                                  const ObjectInfo& info, int count) {
  std::vector<uint64_t> sizes;
  bool told = false;
  if (remote.store.capabilities().heads_parts) {
    Result<ObjectInfo> part = co_await remote.store.Head({.bucket = remote.bucket,
                                                          .key = remote.key,
                                                          .version_id = remote.version_id,
                                                          .part_number = 1});
    if (part && part->part_count == count && part->size_bytes > 0) {
      sizes = {part->size_bytes};
      told = EqualParts(info.size_bytes, part->size_bytes).size() == static_cast<size_t>(count);
    }
  }
  if (!told) {
    sizes.clear();
    const uint64_t guess = GuessPartSize(info.size_bytes, count);
    if (guess != 0) sizes.push_back(guess);
    for (uint64_t size : kCommonPartSizes) {
      const bool fits = (info.size_bytes + size - 1) / size == static_cast<uint64_t>(count);
      if (fits && std::ranges::find(sizes, size) == sizes.end()) sizes.push_back(size);
    }
  }
  if (sizes.empty()) co_return SameBytes::kUnknown;
  Result<std::vector<std::string>> etags = co_await MultipartEtags(runtime, file, sizes);
  if (!etags) co_return etags.error();
  if (std::ranges::find(*etags, info.etag) != etags->end()) co_return SameBytes::kSame;
  co_return told && !info.etag_opaque ? SameBytes::kDifferent : SameBytes::kUnknown;
}

}  // namespace

Async<std::string> Md5Of(Runtime runtime, ObjectPlace place) {
  Result<std::string> digest = co_await DigestOf(runtime, std::move(place), HashKind::kMd5);
  if (!digest) co_return digest.error();
  co_return HexEncode(*digest);
}

Async<std::vector<std::string>> MultipartEtags(Runtime runtime, ObjectPlace file,
                                               std::vector<uint64_t> part_sizes) {
  Result<Reservation> memory = co_await runtime.memory.Reserve(kPieceBytes);
  if (!memory) co_return memory.error();
  Result<ObjectStream> stream = co_await file.store.Get(
      {.bucket = file.bucket, .key = file.key, .version_id = file.version_id});
  if (!stream) co_return stream.error();
  std::vector<PartHashes> hashes(part_sizes.size());
  for (size_t i = 0; i < hashes.size(); ++i) hashes[i].part_size_bytes = part_sizes[i];
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPieceBytes);
  while (true) {
    Result<size_t> count = co_await stream->body->Read(std::span(buffer.get(), kPieceBytes));
    if (!count) co_return count.error();
    if (*count == 0) break;
    co_await runtime.pool.Run([&] {
      for (PartHashes& one : hashes) one.Update(std::span(buffer.get(), *count));
    });
  }
  std::vector<std::string> etags;
  for (PartHashes& one : hashes) etags.push_back(one.Finish());
  co_return etags;
}

SameBytes CompareHeads(const ObjectInfo& one, const ObjectInfo& two) {
  if (one.size_bytes != two.size_bytes) return SameBytes::kDifferent;
  // Those of two files can be the same where one disk is the image of another.
  const bool tells = !one.etag.empty() && !IsLocalEtag(one.etag);
  if (tells && one.etag == two.etag) return SameBytes::kSame;
  for (const Checksum& left : one.checksums) {
    for (const Checksum& right : two.checksums) {
      if (left.algorithm != right.algorithm) continue;
      // Of parts: equal ones tell, others may only have been split in another way.
      if (left.composite && right.composite && left.value == right.value) return SameBytes::kSame;
      if (left.composite || right.composite) continue;
      return left.value == right.value ? SameBytes::kSame : SameBytes::kDifferent;
    }
  }
  if (IsPlainMd5Etag(one.etag) && IsPlainMd5Etag(two.etag) && !one.etag_opaque &&
      !two.etag_opaque) {
    return SameBytes::kDifferent;
  }
  return SameBytes::kUnknown;
}

Async<SameBytes> CompareBytes(Runtime runtime, ObjectPlace one, const ObjectInfo& one_info,
                              ObjectPlace two, const ObjectInfo& two_info, bool download) {
  const SameBytes told = CompareHeads(one_info, two_info);
  if (told != SameBytes::kUnknown) co_return told;
  const bool one_local = IsLocalEtag(one_info.etag);
  const bool two_local = IsLocalEtag(two_info.etag);
  if (one_local != two_local) {
    const ObjectPlace& file = one_local ? one : two;
    const ObjectPlace& other = one_local ? two : one;
    const ObjectInfo& remote = one_local ? two_info : one_info;
    const std::optional<Checksum> checksum = WholeChecksum(remote);
    if (checksum || (IsPlainMd5Etag(remote.etag) && !remote.etag_opaque)) {
      const HashKind kind = checksum ? HashKindOf(checksum->algorithm) : HashKind::kMd5;
      Result<std::string> digest = co_await DigestOf(runtime, file, kind);
      if (!digest) co_return digest.error();
      const bool same =
          checksum ? Base64Encode(*digest) == checksum->value : HexEncode(*digest) == remote.etag;
      co_return same ? SameBytes::kSame : SameBytes::kDifferent;
    }
    if (std::optional<int> count = PartCountOfEtag(remote.etag)) {
      Result<SameBytes> same = co_await CompareWithParts(runtime, file, other, remote, *count);
      if (!same || *same != SameBytes::kUnknown) co_return same;
    }
  }
  if (!download && !(one_local && two_local)) co_return SameBytes::kUnknown;
  co_return co_await ReadBoth(runtime, one, two);
}

Async<SameBytes> LookAtBytes(Runtime runtime, ObjectPlace one, ObjectPlace two, bool download) {
  Result<ObjectInfo> one_info =
      co_await one.store.Head({.bucket = one.bucket, .key = one.key, .version_id = one.version_id});
  if (!one_info) co_return one_info.error();
  Result<ObjectInfo> two_info =
      co_await two.store.Head({.bucket = two.bucket, .key = two.key, .version_id = two.version_id});
  if (!two_info) co_return two_info.error();
  co_return co_await CompareBytes(runtime, one, *one_info, two, *two_info, download);
}

}  // namespace longhaul
