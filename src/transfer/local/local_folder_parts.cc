// What comes to a LocalFolder in parts.

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/random.h"
#include "transfer/local/local_folder.h"
#include "transfer/local/local_upload.h"

namespace longhaul {

namespace {

constexpr size_t kPartPieceBytes = 1 << 20;

Error NoSuchUpload(const MultipartUpload& upload) {
  return NotFound(FilePathOf(upload.bucket, upload.key) + ": no such upload", "NoSuchUpload");
}

// By which the parts of an object with this checksum combine to it.
ChecksumAlgorithm PartChecksum(const PutRequest& request) {
  if (request.checksum) {
    switch (request.checksum->algorithm) {
      case ChecksumAlgorithm::kCrc32:
      case ChecksumAlgorithm::kCrc32c:
      case ChecksumAlgorithm::kCrc64Nvme:
        return request.checksum->algorithm;
      case ChecksumAlgorithm::kSha1:
      case ChecksumAlgorithm::kSha256:
        break;
    }
  }
  return ChecksumAlgorithm::kCrc64Nvme;
}

UploadedPart PartOf(const LocalUpload& upload, int number, Checksum checksum) {
  // No MD5, and nothing that anybody takes for one.
  return {.number = number,
          .etag = "part." + checksum.value,
          .size_bytes = upload.RangeOf(number).size_bytes,
          .checksum = std::move(checksum)};
}

}  // namespace

Async<PlacedUpload> LocalFolder::OpenPlaced(PutRequest request, PartPlaces places) {
  Result<void> good = CheckFileKey(request.key);
  if (!good) co_return good.error();
  if (places.size_bytes == 0 || places.part_size_bytes == 0) co_return InvalidInput("no parts");
  if (!request.condition.if_match.empty()) {
    co_return Error{.kind = ErrorKind::kInvalidInput,
                    .message = "a plain folder has no If-Match on writing",
                    .code = "NotImplemented"};
  }
  const std::string path = FilePathOf(request.bucket, request.key);
  const bool if_absent = request.condition.if_absent;
  Result<std::shared_ptr<LocalUpload>> upload =
      co_await runtime_.pool.Run([&]() -> Result<std::shared_ptr<LocalUpload>> {
        Result<void> above = CheckFoldersAbove(request.bucket, request.key);
        if (!above) return above.error();
        std::error_code ignored;
        if (if_absent && std::filesystem::exists(path, ignored)) {
          return PreconditionFailed(path + " is already there");
        }
        return LocalUpload::Take(path, places);
      });
  if (!upload) co_return upload.error();
  if (*upload == nullptr) {
    upload = co_await runtime_.pool.Run(
        [this, &path, id = NewUlid(runtime_.clock.Now(), runtime_.random),
         log = PartLog{.places = places, .initiated = runtime_.clock.Now()}] {
          return LocalUpload::Create(path, id, log, fold_);
        });
    if (!upload) co_return upload.error();
  }
  // Before anything is downloaded.
  Result<void> spelled = co_await runtime_.pool.Run([&]() -> Result<void> {
    if (!FoldsNames((*upload)->folder(), request.key, fold_)) return Ok();
    Result<void> folders = CheckFolderSpelling(request.bucket, path, fold_);
    return folders ? CheckSpelling(path, fold_) : folders;
  });
  if (!spelled) {
    const std::string id = (*upload)->id();
    upload->reset();
    static_cast<void>(co_await runtime_.pool.Run([&] { return LocalUpload::Remove(path, id); }));
    co_return spelled.error();
  }
  LocalUpload& opened = **upload;
  PlacedUpload placed{.upload = {.bucket = request.bucket,
                                 .key = request.key,
                                 .upload_id = opened.id(),
                                 .initiated = opened.log().initiated},
                      .part_size_bytes = opened.log().places.part_size_bytes};
  const std::map<int, Checksum> logged = opened.log().parts;
  for (const auto& [number, checksum] : logged) {
    const bool as_written =
        co_await runtime_.pool.Run([&, part = number] { return opened.IsAsWritten(part); });
    if (as_written) {
      placed.parts.push_back(PartOf(opened, number, checksum));
    } else {
      opened.Note(number, std::nullopt);
    }
  }
  const SystemTime modified = TakeModified(request);
  uploads_[opened.id()] = {
      .upload = std::move(*upload), .request = std::move(request), .modified = modified};
  co_return placed;
}

void LocalFolder::Leave(const MultipartUpload& upload) { uploads_.erase(upload.upload_id); }

Async<MultipartUpload> LocalFolder::CreateMultipart(PutRequest) {
  co_return Error{.kind = ErrorKind::kInvalidInput,
                  .message = "a plain folder has no multipart uploads",
                  .code = "NotImplemented"};
}

Async<UploadedPart> LocalFolder::UploadPart(const MultipartUpload& upload, int number,
                                            ByteSource& body) {
  auto found = uploads_.find(upload.upload_id);
  if (found == uploads_.end()) co_return NoSuchUpload(upload);
  const std::shared_ptr<LocalUpload> opened = found->second.upload;
  Checksum checksum{.algorithm = PartChecksum(found->second.request)};
  if (!opened->Has(number) || body.size_bytes() != opened->RangeOf(number).size_bytes) {
    co_return InvalidInput("a part that has no place");
  }
  // What it holds is being replaced.
  opened->Note(number, std::nullopt);
  uint64_t offset = opened->RangeOf(number).offset_bytes;
  std::unique_ptr<Hasher> hasher = NewHasher(HashKindOf(checksum.algorithm));
  auto write = [&](std::span<const std::byte> bytes) {
    hasher->Update(bytes);
    Result<void> written = opened->WriteAt(offset, bytes);
    offset += bytes.size();
    return written;
  };
  if (auto whole = body.contiguous()) {
    Result<void> written = co_await runtime_.pool.Run([&] { return write(*whole); });
    if (!written) co_return written.error();
  } else {
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPartPieceBytes);
    for (uint64_t left = body.size_bytes(); left > 0;) {
      const size_t want = std::min<uint64_t>(kPartPieceBytes, left);
      Result<size_t> count = co_await body.Read(std::span(buffer.get(), want));
      if (!count) co_return count.error();
      if (*count == 0) co_return Corrupt("the body of a part ended early");
      left -= *count;
      Result<void> written =
          co_await runtime_.pool.Run([&] { return write(std::span(buffer.get(), *count)); });
      if (!written) co_return written.error();
    }
    // Its end says whether the bytes were right.
    Result<size_t> end = co_await body.Read(std::span(buffer.get(), kPartPieceBytes));
    if (!end) co_return end.error();
  }
  checksum.value = Base64Encode(hasher->Finish());
  Result<void> added = co_await runtime_.pool.Run([&] { return opened->Add(number, checksum); });
  if (!added) co_return added.error();
  opened->Note(number, checksum);
  co_return PartOf(*opened, number, std::move(checksum));
}

Async<std::vector<UploadedPart>> LocalFolder::ListParts(const MultipartUpload& upload) {
  Result<void> good = CheckFileKey(upload.key);
  if (!good) co_return good.error();
  const std::string path = FilePathOf(upload.bucket, upload.key);
  Result<PartLog> log =
      co_await runtime_.pool.Run([&] { return LocalUpload::ReadOf(path, upload.upload_id); });
  if (!log) co_return log.error();
  std::vector<UploadedPart> parts;
  const PartPlaces& places = log->places;
  for (const auto& [number, checksum] : log->parts) {
    const uint64_t offset = static_cast<uint64_t>(number - 1) * places.part_size_bytes;
    parts.push_back({.number = number,
                     .etag = "part." + checksum.value,
                     .size_bytes = std::min(places.part_size_bytes, places.size_bytes - offset),
                     .checksum = checksum});
  }
  co_return parts;
}

Async<PutResult> LocalFolder::CompleteMultipart(CompleteRequest request) {
  auto found = uploads_.find(request.upload.upload_id);
  if (found == uploads_.end()) co_return NoSuchUpload(request.upload);
  const std::shared_ptr<LocalUpload> opened = found->second.upload;
  PutRequest put = found->second.request;
  put.condition = request.condition;
  Result<struct stat> status = co_await runtime_.pool.Run(
      [&, modified = found->second.modified] { return opened->Complete(put, modified, fold_); });
  if (!status) co_return status.error();
  uploads_.erase(request.upload.upload_id);
  co_return PutResult{.etag = EtagOf(*status), .server_time = runtime_.clock.Now()};
}

Async<void> LocalFolder::AbortMultipart(const MultipartUpload& upload) {
  Result<void> good = CheckFileKey(upload.key);
  if (!good) co_return good.error();
  const std::string path = FilePathOf(upload.bucket, upload.key);
  Result<void> removed =
      co_await runtime_.pool.Run([&] { return LocalUpload::Remove(path, upload.upload_id); });
  uploads_.erase(upload.upload_id);
  co_return removed;
}

Async<std::vector<MultipartUpload>> LocalFolder::ListMultipartUploads(std::string bucket,
                                                                      std::string prefix) {
  co_return co_await runtime_.pool.Run([&]() -> Result<std::vector<MultipartUpload>> {
    namespace fs = std::filesystem;
    std::vector<MultipartUpload> found;
    const size_t slash = prefix.rfind('/');
    // Folders still to be looked at, by keys.
    std::vector<std::string> folders = {slash == std::string::npos ? ""
                                                                   : prefix.substr(0, slash + 1)};
    while (!folders.empty()) {
      const std::string folder = std::move(folders.back());
      folders.pop_back();
      std::error_code error;
      fs::directory_iterator entries(FilePathOf(bucket.empty() ? "." : bucket, folder), error);
      if (error == std::errc::no_such_file_or_directory) continue;
      if (error) return FromErrno(error.value(), FilePathOf(bucket, folder));
      for (; entries != fs::directory_iterator(); entries.increment(error)) {
        const fs::directory_entry& entry = *entries;
        std::error_code ignored;
        if (entry.is_symlink(ignored) || !entry.is_directory(ignored)) continue;
        const std::string name = entry.path().filename().string();
        if (auto upload = LocalUpload::Read(entry.path().string())) {
          auto& [id, log] = *upload;
          const std::string key = folder + log.name;
          if (key.starts_with(prefix)) found.push_back({bucket, key, id, log.initiated});
          continue;
        }
        std::string below = folder + name + "/";
        if (below.starts_with(prefix) || prefix.starts_with(below)) {
          folders.push_back(std::move(below));
        }
      }
      if (error) return FromErrno(error.value(), FilePathOf(bucket, folder));
    }
    std::ranges::sort(found, {}, [](const MultipartUpload& upload) {
      return std::pair(upload.key, upload.upload_id);
    });
    return found;
  });
}

}  // namespace longhaul
