// What the "server" behind MemoryStore does with multipart uploads.

#include <algorithm>
#include <tuple>

#include "tests/support/memory_store_digests.h"
#include "tests/support/memory_store_server.h"

namespace longhaul::testing {
namespace {

using Backend = MemoryStoreBackend;

// Of a sparse part: that of the range that it holds.
std::string DigestOfPart(const Backend::Part& part) {
  if (!part.sparse) return Md5Digest(*part.bytes);
  return Md5Digest("sparse " + std::to_string(part.sparse->offset_bytes) + " " +
                   std::to_string(part.sparse->size_bytes));
}

}  // namespace

Result<MultipartUpload> MemoryServer::CreateMultipart(const PutRequest& request) const {
  Result<Backend::Bucket*> bucket = FindBucket(request.bucket);
  if (!bucket) return bucket.error();
  Result<void> storable = CheckStorable(**bucket, request.key, true);
  if (!storable) return storable.error();
  Result<void> allowed = CheckLimits(request);
  if (!allowed) return allowed.error();
  MultipartUpload upload{request.bucket, request.key, NewId("u"), Now()};
  Backend::Upload& stored = (*bucket)->uploads[upload.upload_id];
  stored.request = request;
  stored.request.condition = {};
  stored.request.content_md5.clear();
  if (!backend->options.uploads_take_tags) stored.request.tags.clear();
  stored.initiated = Now();
  return upload;
}

std::optional<Checksum> MemoryServer::ChecksumOf(const Backend::Upload& upload,
                                                 const Backend::Part& part) const {
  if (!backend->options.capabilities.checksums || part.sparse) return std::nullopt;
  if (!upload.request.checksum && !backend->options.encrypts_by_kms) return std::nullopt;
  const ChecksumAlgorithm algorithm =
      upload.request.checksum.value_or(Checksum()).algorithm;  // Else as MakeS3Store asks for.
  return Checksum{algorithm, Base64(RawChecksum(algorithm, *part.bytes)), false};
}

Result<Backend::Upload*> MemoryServer::FindUpload(const MultipartUpload& upload) const {
  Result<Backend::Bucket*> bucket = FindBucket(upload.bucket);
  if (!bucket) return bucket.error();
  auto found = (*bucket)->uploads.find(upload.upload_id);
  if (found == (*bucket)->uploads.end() || found->second.request.key != upload.key) {
    return Fail(ErrorKind::kNotFound, 404, "NoSuchUpload", "no such upload");
  }
  return &found->second;
}

Result<UploadedPart> MemoryServer::UploadPart(const MultipartUpload& upload, int number,
                                              std::shared_ptr<const std::string> bytes,
                                              std::optional<SparseRange> sparse) const {
  if (!bytes) bytes = std::make_shared<const std::string>();
  Result<Backend::Upload*> found = FindUpload(upload);
  if (!found) return found.error();
  if (number < 1 || number > 10000) {
    return Fail(ErrorKind::kInvalidInput, 400, "InvalidArgument", "part number not in 1 to 10,000");
  }
  Backend::Part stored{.bytes = bytes, .etag = "", .uploaded = Now(), .sparse = sparse};
  stored.etag = EtagFor(DigestOfPart(stored));
  UploadedPart part{.number = number,
                    .etag = stored.etag,
                    .size_bytes = stored.size_bytes(),
                    .checksum = ChecksumOf(**found, stored)};
  backend->bytes_written += part.size_bytes;
  (*found)->parts[number] = std::move(stored);
  return part;
}

Result<std::vector<UploadedPart>> MemoryServer::ListParts(const MultipartUpload& upload) const {
  Result<Backend::Upload*> found = FindUpload(upload);
  if (!found) return found.error();
  std::vector<UploadedPart> parts;
  for (const auto& [number, part] : (*found)->parts) {
    parts.push_back({.number = number,
                     .etag = part.etag,
                     .size_bytes = part.size_bytes(),
                     .checksum = ChecksumOf(**found, part)});
  }
  return parts;
}

Result<PutResult> MemoryServer::CompleteMultipart(const CompleteRequest& request) const {
  Result<Backend::Upload*> upload = FindUpload(request.upload);
  if (!upload) return upload.error();
  if (request.parts.empty()) {
    return Fail(ErrorKind::kInvalidInput, 400, "MalformedXML", "no parts");
  }
  auto bytes = std::make_shared<std::string>();
  std::optional<SparseRange> sparse;
  std::string digests;
  std::vector<uint64_t> sizes;
  int before = 0;
  for (const UploadedPart& part : request.parts) {
    if (part.number <= before) {
      return Fail(ErrorKind::kInvalidInput, 400, "InvalidPartOrder", "parts not in order");
    }
    before = part.number;
    auto found = (*upload)->parts.find(part.number);
    if (found == (*upload)->parts.end() || found->second.etag != part.etag) {
      return Fail(ErrorKind::kInvalidInput, 400, "InvalidPart", "a part is not there");
    }
    const Backend::Part& piece = found->second;
    if (&part != &request.parts.back() &&
        piece.size_bytes() < backend->options.capabilities.part_size_bytes_min) {
      return Fail(ErrorKind::kInvalidInput, 400, "EntityTooSmall", "a part is too small");
    }
    // S3 would join anything. Here it must be told at once: nobody compares these bytes later.
    const bool first = sizes.empty();
    if ((first || sparse.has_value()) != (first || piece.sparse.has_value()) ||
        (!first && sparse && sparse->end_bytes() != piece.sparse->offset_bytes)) {
      return Fail(ErrorKind::kInvalidInput, 400, "InvalidPart", "sparse parts that do not join");
    }
    if (first) {
      sparse = piece.sparse;
    } else if (sparse) {
      sparse->size_bytes += piece.sparse->size_bytes;
    }
    *bytes += *piece.bytes;
    digests += DigestOfPart(piece);
    sizes.push_back(piece.size_bytes());
  }
  Result<void> holds =
      Check(request.upload.bucket, request.upload.key, request.condition, /*complete=*/true);
  if (!holds) return holds.error();
  PutRequest put = (*upload)->request;
  put.checksum = request.checksum;
  std::string etag = EtagFor(Md5Digest(digests)) + "-" + std::to_string(sizes.size());
  const uint64_t size = sparse ? sparse->size_bytes : bytes->size();
  backend->bytes_written -= std::min<uint64_t>(backend->bytes_written, size);
  Result<PutResult> result = Put(put, std::move(bytes), std::move(sizes), etag, sparse);
  if (!result) return result.error();
  (*FindBucket(request.upload.bucket))->uploads.erase(request.upload.upload_id);
  return result;
}

Result<void> MemoryServer::AbortMultipart(const MultipartUpload& upload) const {
  Result<Backend::Bucket*> bucket = FindBucket(upload.bucket);
  if (!bucket) return bucket.error();
  (*bucket)->uploads.erase(upload.upload_id);
  return Ok();
}

Result<std::vector<MultipartUpload>> MemoryServer::ListMultipartUploads(
    const std::string& bucket, const std::string& prefix) const {
  Result<Backend::Bucket*> in = FindBucket(bucket);
  if (!in) return in.error();
  std::vector<MultipartUpload> uploads;
  for (const auto& [id, upload] : (*in)->uploads) {
    const std::string& key = upload.request.key;
    bool shown =
        backend->options.capabilities.lists_uploads ? key.starts_with(prefix) : key == prefix;
    if (shown) uploads.push_back({bucket, key, id, upload.initiated});
  }
  std::ranges::sort(uploads, [](const auto& a, const auto& b) {
    return std::tie(a.key, a.initiated, a.upload_id) < std::tie(b.key, b.initiated, b.upload_id);
  });
  return uploads;
}

}  // namespace longhaul::testing
