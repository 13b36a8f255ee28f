#include "transfer/object/part_layout.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/part_rules.h"
#include "transfer/object/copy_plan.h"
#include "transfer/object/relay.h"

namespace longhaul {

namespace {

using Again = CopyJob::Again;

// The size of one of the source's own parts; 0: the store does not tell.
Async<uint64_t> SourcePartSize(CopyJob& job, const ObjectInfo& info, int number) {
  Result<ObjectInfo> part = co_await job.source.store.Head({.bucket = job.source.bucket,
                                                            .key = job.source.key,
                                                            .version_id = job.source.version_id,
                                                            .part_number = number});
  if (!part) {
    if (part.error().kind == ErrorKind::kInvalidInput) co_return 0;
    co_return job.ReadError(part.error());
  }
  if (part->etag != info.etag) {
    job.again = Again::kFresh;
    co_return SourceChanged(job.source.bucket, job.source.key);
  }
  co_return part->part_count > 0 ? part->size_bytes : 0;
}

// The sizes of the source's own parts; empty where nobody tells them. The ETag proves them in the
// end, when the parts are written.
Async<std::vector<uint64_t>> SourcePartSizes(CopyJob& job, const ObjectInfo& info, int count) {
  std::vector<uint64_t> sizes;
  Result<uint64_t> first = co_await SourcePartSize(job, info, 1);
  if (!first) co_return first.error();
  uint64_t guess = *first != 0 ? *first : GuessPartSize(info.size_bytes, count);
  if (guess != 0) sizes = EqualParts(info.size_bytes, guess);
  bool even = sizes.size() == static_cast<size_t>(count);
  // The second and the last part bear it out.
  for (int number : {2, count}) {
    if (*first == 0 || !even || job.ask_all_parts || number > count) continue;
    Result<uint64_t> size = co_await SourcePartSize(job, info, number);
    if (!size) co_return size.error();
    even = *size == sizes[static_cast<size_t>(number) - 1];
  }
  if (*first == 0 || (even && !job.ask_all_parts)) {
    if (!even) sizes.clear();
    co_return sizes;
  }
  sizes = {*first};
  uint64_t sum = *first;
  for (int number = 2; number <= count; ++number) {
    Result<uint64_t> size = co_await SourcePartSize(job, info, number);
    if (!size) co_return size.error();
    sizes.push_back(*size);
    sum += *size;
  }
  if (sum != info.size_bytes) sizes.clear();
  co_return sizes;
}

}  // namespace

std::vector<Part> PartsOf(const std::vector<uint64_t>& sizes) {
  std::vector<Part> parts(sizes.size());
  uint64_t offset = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    parts[i] = {.number = static_cast<int>(i) + 1,
                .range = {.offset_bytes = offset, .size_bytes = sizes[i]}};
    offset += sizes[i];
  }
  return parts;
}

std::string EtagOf(const std::vector<Part>& parts) {
  std::string digests;
  for (const Part& part : parts) {
    if (!IsPlainMd5Etag(part.uploaded.etag)) return "";
    Result<std::string> raw = HexDecode(part.uploaded.etag);
    if (!raw) return "";
    digests += *raw;
  }
  return HexEncode(Md5(digests)) + "-" + std::to_string(parts.size());
}

std::string EtagOfBytes(const std::vector<Part>& parts) {
  std::vector<Part> plain = parts;
  for (Part& part : plain) {
    if (!part.md5.empty()) part.uploaded.etag = HexEncode(part.md5);
  }
  return EtagOf(plain);
}

Async<PartLayout> ChooseLayout(CopyJob& job, const ObjectInfo& info, uint64_t own_bytes,
                               uint64_t part_bytes_max) {
  PartLayout own{.sizes = EqualParts(info.size_bytes, own_bytes)};
  const PartRules rules = PartRulesOf(job.target.store);
  if (!rules.etags_of_md5) co_return own;  // There is none to keep.
  std::optional<int> count = PartCountOfEtag(info.etag);
  if (!count || info.size_bytes / static_cast<uint64_t>(*count) < kPartBytesMeanMin) co_return own;
  Result<std::vector<uint64_t>> sizes = co_await SourcePartSizes(job, info, *count);
  if (!sizes) co_return sizes.error();
  if (sizes->empty()) co_return own;
  bool fits = *std::max_element(sizes->begin(), sizes->end()) <= part_bytes_max;
  bool allowed = std::all_of(sizes->begin(), sizes->end() - 1, [&](uint64_t size) {
    return size >= job.target_can.part_size_bytes_min;
  });
  bool even_enough =
      !rules.equal || std::all_of(sizes->begin(), sizes->end() - 1,
                                  [&](uint64_t size) { return size == sizes->front(); });
  if (!fits || !allowed || !even_enough) co_return own;
  co_return PartLayout{.sizes = std::move(*sizes), .as_source = true};
}

Async<ObjectInfo> LookAtSource(CopyJob& job, std::optional<ObjectInfo> head) {
  if (!head) {
    Result<ObjectInfo> info = co_await job.HeadSource();
    if (!info) co_return info.error();
    head = std::move(*info);
  }
  const CopySource::Listed& listed = *job.source.listed;
  if (head->etag != listed.etag || head->size_bytes != listed.size_bytes) {
    co_return job.Outdated(*head);
  }
  co_return std::move(*head);
}

}  // namespace longhaul
