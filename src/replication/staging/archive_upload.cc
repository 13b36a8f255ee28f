#include "replication/staging/archive_upload.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace longhaul {

ArchiveUpload::ArchiveUpload(Runtime& runtime, UploadLedger& ledger,
                             std::vector<Destination> destinations, uint64_t part_bytes,
                             int buffers, uint64_t& bytes_moved)
    : runtime_(runtime),
      ledger_(ledger),
      part_bytes_(part_bytes),
      bytes_moved_(bytes_moved),
      filling_(std::make_shared<std::vector<std::byte>>()),
      sending_(runtime.executor),
      free_buffers_(buffers - 1) {
  LH_CHECK(buffers >= kBuffersMin);
  for (Destination& destination : destinations) {
    progress_.push_back({.destination = std::move(destination)});
  }
}

ArchiveUpload::~ArchiveUpload() = default;

Async<void> ArchiveUpload::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (filling_->size() == part_bytes_) {
      co_await free_buffers_.Acquire();
      sending_.Spawn(SendPartToAll(std::exchange(filling_, nullptr), ++parts_));
      filling_ = std::make_shared<std::vector<std::byte>>();
    }
    // A small archive takes the memory it needs; the first full part takes it all.
    if (filling_->capacity() < part_bytes_ && filling_->size() + bytes.size() > (256 << 10)) {
      filling_->reserve(part_bytes_);
    }
    size_t count = std::min<size_t>(bytes.size(), part_bytes_ - filling_->size());
    filling_->insert(filling_->end(), bytes.begin(),
                     bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes = bytes.subspan(count);
  }
  for (const Progress& progress : progress_) {
    if (progress.result) co_return Ok();
  }
  co_return progress_.front().result;
}

Async<void> ArchiveUpload::SendPartToAll(std::shared_ptr<std::vector<std::byte>> bytes,
                                         int number) {
  TaskGroup group(runtime_.executor);
  for (Progress& progress : progress_) {
    if (progress.result) group.Spawn(SendPart(progress, bytes, number));
  }
  Result<void> sent = co_await group.Join();
  static_cast<void>(sent);  // Each destination keeps its own result.
  free_buffers_.Release();
  co_return Ok();
}

asio::awaitable<void> ArchiveUpload::EnsureUpload(Progress& progress) {
  if (progress.upload) co_return;
  co_await progress.creation->Acquire();
  if (!progress.upload && progress.result) {
    const Destination& destination = progress.destination;
    Result<MultipartUpload> upload = co_await ledger_.Create(
        *destination.store, {.bucket = destination.bucket, .key = destination.key});
    if (upload) {
      progress.upload = std::move(*upload);
    } else {
      progress.result = upload.error().In("upload archive");
    }
  }
  progress.creation->Release();
}

Async<void> ArchiveUpload::SendPart(Progress& progress,
                                    std::shared_ptr<std::vector<std::byte>> bytes, int number) {
  Store& store = *progress.destination.store;
  co_await EnsureUpload(progress);
  if (!progress.result) co_return Ok();
  MemorySource body{std::span<const std::byte>(*bytes)};
  Result<UploadedPart> part = co_await store.UploadPart(*progress.upload, number, body);
  if (!part) {
    progress.result = part.error().In("upload archive, part " + std::to_string(number));
    co_return Ok();
  }
  sent_bytes_ += bytes->size();
  bytes_moved_ += bytes->size();
  progress.parts.push_back(std::move(*part));
  co_return Ok();
}

Async<void> ArchiveUpload::FinishOne(Progress& progress) {
  const Destination& destination = progress.destination;
  if (!progress.result) co_return Ok();
  const uint64_t put_max = destination.store->capabilities().put_size_bytes_max;
  if (parts_ == 0 && filling_->size() <= put_max) {
    MemorySource body{std::span<const std::byte>(*filling_)};
    PutRequest request{.bucket = destination.bucket, .key = destination.key};
    Result<PutResult> put = co_await destination.store->Put(std::move(request), body);
    if (!put) {
      progress.result = put.error().In("upload archive");
    } else {
      sent_bytes_ += filling_->size();
      bytes_moved_ += filling_->size();
    }
    co_return Ok();
  }
  Result<void> sent = co_await SendPart(progress, filling_, parts_ + 1);
  static_cast<void>(sent);
  if (!progress.result) co_return Ok();
  std::sort(progress.parts.begin(), progress.parts.end(),
            [](const UploadedPart& a, const UploadedPart& b) { return a.number < b.number; });
  Result<PutResult> completed = co_await destination.store->CompleteMultipart(
      {.upload = *progress.upload, .parts = progress.parts});
  if (!completed) {
    progress.result = completed.error().In("upload archive");
    co_return Ok();
  }
  co_await ledger_.Forget(*destination.store, *progress.upload);
  progress.upload.reset();
  co_return Ok();
}

asio::awaitable<std::vector<Result<void>>> ArchiveUpload::Finish() {
  Result<void> sent = co_await sending_.Join();
  static_cast<void>(sent);
  TaskGroup group(runtime_.executor);
  for (Progress& progress : progress_) group.Spawn(FinishOne(progress));
  sent = co_await group.Join();
  std::vector<Result<void>> results;
  for (Progress& progress : progress_) {
    results.push_back(progress.result);
    if (progress.upload) {
      co_await ledger_.Abort(*progress.destination.store, *progress.upload);
      progress.upload.reset();
    }
  }
  co_return results;
}

std::vector<Result<void>> ArchiveUpload::results() const {
  std::vector<Result<void>> results;
  for (const Progress& progress : progress_) results.push_back(progress.result);
  return results;
}

asio::awaitable<void> ArchiveUpload::Abort() {
  Result<void> sent = co_await sending_.Join();
  static_cast<void>(sent);
  for (Progress& progress : progress_) {
    if (!progress.upload) continue;
    co_await ledger_.Abort(*progress.destination.store, *progress.upload);
    progress.upload.reset();
  }
}

}  // namespace longhaul
