#include "replication/giants/giant.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

constexpr uint64_t kPartsMax = 10'000;        // S3's, of one upload.
constexpr uint64_t kPartBytesMin = 5 << 20;   // S3's, of every part but the last.
constexpr uint64_t kPartBytesStep = 1 << 20;  // Of parts that we choose.
constexpr std::chrono::hours kTransferKept{7 * 24};

uint64_t DivideUp(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

}  // namespace

std::vector<SegmentHint> PlanSegments(const ReplicationLimits& limits, uint64_t size_bytes,
                                      uint64_t part_size_bytes) {
  const uint64_t part_min = std::min(kPartBytesMin, limits.giant_part_bytes_min);
  uint64_t part = part_size_bytes;
  const bool keep = part >= part_min && part <= limits.single_object_bytes_max &&
                    DivideUp(size_bytes, part) <= kPartsMax;
  if (!keep) {
    part = std::max(limits.giant_part_bytes_min,
                    DivideUp(DivideUp(size_bytes, kPartsMax), kPartBytesStep) * kPartBytesStep);
    part = std::min(part, std::max(limits.giant_part_bytes_min, size_bytes));
  }
  const uint64_t wanted = std::max(limits.segment_bytes_min, DivideUp(size_bytes, kSegmentsMax));
  const uint64_t parts_each = std::max<uint64_t>(1, wanted / part);
  const uint64_t segment_bytes = parts_each * part;
  const auto count = static_cast<uint32_t>(DivideUp(size_bytes, segment_bytes));
  std::vector<SegmentHint> segments;
  segments.reserve(count);
  for (uint32_t number = 0; number < count; ++number) {
    const uint64_t offset = number * segment_bytes;
    segments.push_back({.segment = {.plan = "",
                                    .offset_bytes = offset,
                                    .object_size_bytes = size_bytes,
                                    .number = number,
                                    .count = count,
                                    .first_part = static_cast<uint32_t>(1 + number * parts_each)},
                        .stamp = {},
                        .etag = "",
                        .last_modified = {},
                        .size_bytes = std::min(segment_bytes, size_bytes - offset),
                        .part_size_bytes = part});
  }
  return segments;
}

Async<uint64_t> PartSizeOf(Store& store, std::string bucket, std::string key, ObjectInfo info) {
  if (info.etag.find('-') == std::string::npos || !store.capabilities().heads_parts) co_return 0;
  // Equal parts, all but the last, are what every client makes: one look tells their size.
  Result<ObjectInfo> first = co_await store.Head(
      {.bucket = bucket, .key = key, .version_id = info.version_id, .part_number = 1});
  if (!first) {
    if (first.error().Transient()) co_return first.error();
    co_return 0;
  }
  const uint64_t part = first->size_bytes;
  const auto count = static_cast<uint64_t>(first->part_count);
  const bool equal = first->etag == info.etag && count > 1 && part > 0 &&
                     part * count >= info.size_bytes && part * (count - 1) < info.size_bytes;
  co_return equal ? part : 0;
}

std::string FingerprintOfReading(const ArchiveEntry& entry, SystemTime last_modified) {
  std::string text;
  auto add = [&text](std::string_view value) {
    text += std::to_string(value.size());
    text += ':';
    text += value;
  };
  add(entry.etag);
  add(std::to_string(entry.size_bytes));
  add(FormatRfc3339(last_modified));
  const SystemHeaders& headers = entry.headers;
  for (const std::string* header :
       {&headers.content_type, &headers.content_encoding, &headers.content_language,
        &headers.content_disposition, &headers.cache_control, &headers.expires,
        &headers.website_redirect_location, &entry.storage_class}) {
    add(*header);
  }
  if (entry.lock) {  // What began before locks were carried goes on.
    add(entry.lock->mode);
    add(FormatRfc3339(entry.lock->until));
    add(entry.lock->legal_hold ? "hold" : "");
  }
  for (const auto* map : {&entry.metadata, &entry.tags}) {
    add(std::to_string(map->size()));
    for (const auto& [name, value] : *map) {
      add(name);
      add(value);
    }
  }
  return HexEncode(Digest(HashKind::kSha256, AsBytes(text))).substr(0, 32);
}

Transfers::Transfers(State& state, const Rule& rule, const Target& target)
    : state_(state), partition_("transfer/" + StatePartition(rule, target)) {}

Async<std::optional<Transfer>> Transfers::Find(std::string key) {
  Result<std::optional<StateRow>> row = co_await state_.Get(partition_, std::move(key));
  if (!row) co_return row.error().In("look for a transfer");
  if (!*row) co_return std::nullopt;
  // "<plan> <fingerprint> <heard until>"; whatever else it is, it is begun anew.
  const std::string_view value = (*row)->value;
  const size_t first = value.find(' ');
  const size_t second = first == std::string_view::npos ? first : value.find(' ', first + 1);
  if (second == std::string_view::npos) co_return std::nullopt;
  Result<SystemTime> heard_until = ParseRfc3339(value.substr(second + 1));
  if (!heard_until) co_return std::nullopt;
  co_return Transfer{.plan = std::string(value.substr(0, first)),
                     .fingerprint = std::string(value.substr(first + 1, second - first - 1)),
                     .heard_until = *heard_until};
}

Async<void> Transfers::Begin(std::string key, Transfer transfer, SystemTime now) {
  StateWrite write{.key = std::move(key),
                   .value = transfer.plan + " " + transfer.fingerprint + " " +
                            FormatRfc3339(transfer.heard_until),
                   .expires = now + kTransferKept};
  Result<int64_t> written = co_await state_.Write(partition_, std::move(write));
  if (!written) co_return written.error().In("record a transfer");
  co_return Ok();
}

Async<void> Transfers::Keep(std::string key, std::string plan, SystemTime now) {
  co_return co_await Change(std::move(key), std::move(plan), now + kTransferKept);
}

Async<void> Transfers::End(std::string key, std::string plan) {
  co_return co_await Change(std::move(key), std::move(plan), std::nullopt);
}

Async<void> Transfers::Change(std::string key, std::string plan,
                              std::optional<SystemTime> expires) {
  Result<std::optional<StateRow>> row = co_await state_.Get(partition_, key);
  if (!row) co_return row.error().In("look for a transfer");
  if (!*row || !(*row)->value.starts_with(plan + " ")) co_return Ok();
  StateWrite write{
      .key = std::move(key), .expected = Expected::Revision((*row)->revision), .expires = expires};
  if (expires) write.value = std::move((*row)->value);
  Result<int64_t> written = co_await state_.Write(partition_, std::move(write));
  // Not as it was: whoever changed it knows better.
  if (!written && written.error().kind != ErrorKind::kPrecondition) {
    co_return written.error().In("record a transfer");
  }
  co_return Ok();
}

}  // namespace longhaul
