#include "transfer/uploads/shared_uploads.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <set>
#include <utility>

#include "archive/attributes.h"
#include "archive/index_attributes.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

constexpr int kAttemptsMax = 100;  // To set a bit while others set theirs.
constexpr int kRowsPerScan = 500;

std::string BitsToHex(const std::vector<bool>& bits) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (size_t i = 0; i < bits.size(); i += 4) {
    unsigned digit = 0;
    for (size_t bit = 0; bit < 4 && i + bit < bits.size(); ++bit) {
      if (bits[i + bit]) digit |= 1U << bit;
    }
    hex += kDigits[digit];
  }
  return hex;
}

bool BitsFromHex(std::string_view hex, std::vector<bool>& bits) {
  if (hex.size() != (bits.size() + 3) / 4) return false;
  for (size_t i = 0; i < hex.size(); ++i) {
    unsigned digit = 0;
    const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 1, digit, 16);
    if (error != std::errc()) return false;
    for (size_t bit = 0; bit < 4 && 4 * i + bit < bits.size(); ++bit) {
      bits[4 * i + bit] = ((digit >> bit) & 1U) != 0;
    }
  }
  return true;
}

// [[number, size, ETag, checksum], …], and the MD5 after it where the ETag is none.
std::string EncodeParts(const std::vector<UploadedPart>& parts, const PartMd5s& md5s) {
  boost::json::array rows;
  for (const UploadedPart& part : parts) {
    boost::json::array row{part.number, part.size_bytes, part.etag,
                           part.checksum ? archive::ChecksumText(*part.checksum) : ""};
    auto md5 = md5s.find(part.number);
    if (md5 != md5s.end()) row.emplace_back(HexEncode(md5->second));
    rows.push_back(std::move(row));
  }
  return boost::json::serialize(rows);
}

bool DecodeParts(std::string_view text, std::vector<UploadedPart>& parts, PartMd5s& md5s) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_array()) return false;
  for (const boost::json::value& item : value.as_array()) {
    if (!item.is_array()) return false;
    const boost::json::array& fields = item.as_array();
    if (fields.size() != 4 && fields.size() != 5) return false;
    if (!fields[0].is_int64() || !fields[1].is_number() || !fields[2].is_string() ||
        !fields[3].is_string()) {
      return false;
    }
    UploadedPart part{.number = static_cast<int>(fields[0].as_int64()),
                      .etag = std::string(fields[2].as_string()),
                      .size_bytes = fields[1].to_number<uint64_t>(error),
                      .checksum = archive::ReadChecksum(fields[3].as_string())};
    if (error) return false;
    if (fields.size() == 5) {
      if (!fields[4].is_string()) return false;
      Result<std::string> md5 = HexDecode(std::string(fields[4].as_string()));
      if (!md5) return false;
      md5s[part.number] = std::move(*md5);
    }
    parts.push_back(std::move(part));
  }
  return true;
}

// Upload ids may be long, and have any characters.
std::string PartsPrefix(std::string_view upload_id) {
  return HexEncode(Digest(HashKind::kSha256, AsBytes(upload_id))).substr(0, 32) + "/";
}

std::string RowOfPiece(std::string_view upload_id, uint32_t number) {
  const std::string digits = std::to_string(number);
  return PartsPrefix(upload_id) + std::string(5 - std::min<size_t>(5, digits.size()), '0') + digits;
}

}  // namespace

bool SharedUpload::complete() const {
  return std::find(stored.begin(), stored.end(), false) == stored.end();
}

std::string EncodeSharedUpload(const SharedUpload& upload) {
  boost::json::object object{{"plan", upload.plan},
                             {"stamp", FormatRfc3339(upload.stamp)},
                             {"etag", upload.etag},
                             {"upload_id", upload.upload_id},
                             {"segments", upload.stored.size()},  // As pieces were called first.
                             {"stored", BitsToHex(upload.stored)},
                             {"touched", FormatRfc3339(upload.touched)}};
  if (upload.lost_at) object["lost_at"] = *upload.lost_at;
  if (!upload.replaced.empty()) {
    boost::json::array replaced;
    for (const std::string& id : upload.replaced) replaced.emplace_back(id);
    object["replaced"] = std::move(replaced);
  }
  return boost::json::serialize(object);
}

Result<SharedUpload> DecodeSharedUpload(std::string_view text) {
  Error bad =
      Corrupt("State holds what is no upload in pieces: " + std::string(text.substr(0, 200)));
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) return bad;
  const boost::json::object& object = value.as_object();
  auto field = [&](const char* name) -> std::string {
    const boost::json::value* found = object.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
  };
  Result<SystemTime> stamp = ParseRfc3339(field("stamp"));
  Result<SystemTime> touched = ParseRfc3339(field("touched"));
  const boost::json::value* segments = object.if_contains("segments");
  if (!stamp || !touched || segments == nullptr || !segments->is_number()) return bad;
  const auto count = segments->to_number<uint32_t>(error);
  if (error || count == 0 || count > kPiecesMax) return bad;
  SharedUpload upload{.plan = field("plan"),
                      .stamp = *stamp,
                      .etag = field("etag"),
                      .upload_id = field("upload_id"),
                      .stored = std::vector<bool>(count),
                      .lost_at = std::nullopt,
                      .replaced = {},
                      .touched = *touched};
  if (const boost::json::value* lost_at = object.if_contains("lost_at")) {
    if (!lost_at->is_number()) return bad;
    upload.lost_at = lost_at->to_number<uint32_t>(error);
  }
  if (const boost::json::value* replaced = object.if_contains("replaced")) {
    if (!replaced->is_array()) return bad;
    for (const boost::json::value& id : replaced->as_array()) {
      if (!id.is_string()) return bad;
      upload.replaced.emplace_back(id.as_string());
    }
  }
  if (error || upload.plan.empty() || upload.upload_id.empty() ||
      !BitsFromHex(field("stored"), upload.stored)) {
    return bad;
  }
  return upload;
}

SharedUploads::SharedUploads(Runtime& runtime, State& state, Store& store, UploadLedger& ledger,
                             std::string bucket, const Family& family, std::string_view name)
    : runtime_(runtime),
      state_(state),
      store_(store),
      ledger_(ledger),
      bucket_(std::move(bucket)),
      partition_(family.uploads + std::string(name)),
      parts_partition_(family.parts + std::string(name)) {}

Async<std::optional<SharedUpload>> SharedUploads::Find(std::string key) {
  Result<std::optional<StateRow>> row = co_await state_.Get(partition_, std::move(key));
  if (!row) co_return row.error().In("look for an upload");
  if (!*row) co_return std::nullopt;
  Result<SharedUpload> upload = DecodeSharedUpload((*row)->value);
  if (!upload) co_return upload.error();
  upload->revision = (*row)->revision;
  co_return std::optional<SharedUpload>(std::move(*upload));
}

Async<SharedUpload> SharedUploads::Begin(UploadPlan plan, PutRequest request,
                                         std::optional<SharedUpload> before) {
  const std::string key = request.key;
  // Until the row names it, the upload is the ledger's: it goes with this process.
  Result<MultipartUpload> created = co_await ledger_.Create(store_, std::move(request));
  if (!created) co_return created.error();
  SharedUpload upload{.plan = std::move(plan.plan),
                      .stamp = plan.stamp,
                      .etag = std::move(plan.etag),
                      .upload_id = created->upload_id,
                      .stored = std::vector<bool>(plan.pieces),
                      .lost_at = std::nullopt,
                      .replaced = {},
                      .touched = runtime_.clock.Now()};
  StateWrite write{.key = key, .value = std::nullopt, .expected = Expected::Absent()};
  if (before) {
    // Named by the row before they are aborted: a kill in between loses none of them.
    upload.replaced = std::move(before->replaced);
    upload.replaced.push_back(std::move(before->upload_id));
    write.expected = Expected::Revision(before->revision);
  }
  write.value = EncodeSharedUpload(upload);
  Result<int64_t> written = co_await state_.Write(partition_, std::move(write));
  if (!written && written.error().Transient()) {
    // Written or not: if it is, the upload must stay.
    Result<std::optional<SharedUpload>> there = co_await Find(key);
    if (there && *there && (*there)->upload_id == upload.upload_id) written = (*there)->revision;
  }
  if (!written) {
    co_await ledger_.Abort(store_, *created);
    co_return written.error().In("record an upload");
  }
  upload.revision = *written;
  co_await ledger_.Keep(store_, *created);
  if (upload.replaced.empty()) co_return upload;
  for (const std::string& id : upload.replaced) {
    Result<void> dropped = co_await Drop(key, id);
    if (dropped) continue;
    runtime_.log.Warning("an older upload is aborted later", {dropped.error()});
    co_return upload;
  }
  co_return co_await Change(key, std::move(upload),
                            [](SharedUpload& row) { row.replaced.clear(); });
}

Async<SharedUpload> SharedUploads::RecordParts(std::string key, SharedUpload upload,
                                               uint32_t number, std::vector<UploadedPart> parts,
                                               PartMd5s md5s) {
  StateWrite row{.key = RowOfPiece(upload.upload_id, number), .value = EncodeParts(parts, md5s)};
  Result<int64_t> written = co_await state_.Write(parts_partition_, std::move(row));
  if (!written) co_return written.error().In("record parts");
  co_return co_await Change(std::move(key), std::move(upload),
                            [number](SharedUpload& row) { row.stored[number] = true; });
}

Async<SharedUpload> SharedUploads::RecordLoss(std::string key, SharedUpload upload,
                                              uint32_t number) {
  co_return co_await Change(std::move(key), std::move(upload), [number](SharedUpload& row) {
    if (!row.lost_at) row.lost_at = number;
  });
}

Async<SharedUpload> SharedUploads::Change(std::string key, SharedUpload upload,
                                          std::function<void(SharedUpload&)> change) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    change(upload);
    upload.touched = runtime_.clock.Now();
    StateWrite write{.key = key,
                     .value = EncodeSharedUpload(upload),
                     .expected = Expected::Revision(upload.revision)};
    Result<int64_t> written = co_await state_.Write(partition_, std::move(write));
    if (written) {
      upload.revision = *written;
      co_return upload;
    }
    if (written.error().kind != ErrorKind::kPrecondition) {
      co_return written.error().In("record what was uploaded");
    }
    Result<std::optional<SharedUpload>> now = co_await Find(key);
    if (!now) co_return now.error();
    if (!*now || (*now)->upload_id != upload.upload_id) {
      co_return Error{.kind = ErrorKind::kPrecondition, .message = "the upload is another one now"};
    }
    upload = std::move(**now);
  }
  co_return Retryable("the row of an upload changes faster than it can be written: " + key);
}

Async<std::vector<UploadedPart>> SharedUploads::Parts(const SharedUpload& upload, PartMd5s* md5s) {
  std::vector<UploadedPart> parts;
  PartMd5s found;
  const std::string prefix = PartsPrefix(upload.upload_id);
  std::string after = prefix;
  size_t pieces = 0;
  while (true) {
    Result<std::vector<StateRow>> page =
        co_await state_.Scan(parts_partition_, after, kRowsPerScan);
    if (!page) co_return page.error().In("recall parts");
    for (const StateRow& row : *page) {
      if (!row.key.starts_with(prefix)) break;
      if (!DecodeParts(row.value, parts, found)) {
        co_return Corrupt("State holds parts that are none");
      }
      ++pieces;
    }
    if (page->empty() || !page->back().key.starts_with(prefix)) break;
    after = page->back().key;
  }
  if (pieces != upload.stored.size()) {
    co_return Corrupt("State remembers the parts of " + std::to_string(pieces) + " of " +
                      std::to_string(upload.stored.size()) + " pieces");
  }
  if (md5s != nullptr) *md5s = std::move(found);
  co_return parts;
}

Async<void> SharedUploads::Drop(const std::string& key, const std::string& upload_id) {
  const MultipartUpload upload{.bucket = bucket_, .key = key, .upload_id = upload_id};
  Result<void> aborted = co_await store_.AbortMultipart(upload);
  if (!aborted && aborted.error().kind != ErrorKind::kNotFound) {
    co_return aborted.error().In("abort an upload");
  }
  Result<void> released = co_await ledger_.Release(store_, upload);
  if (!released) co_return released.error();
  const std::string prefix = PartsPrefix(upload_id);
  while (true) {
    Result<std::vector<StateRow>> page =
        co_await state_.Scan(parts_partition_, prefix, kRowsPerScan);
    if (!page) co_return page.error().In("forget parts");
    std::vector<std::string> rows;
    for (StateRow& row : *page) {
      if (row.key.starts_with(prefix)) rows.push_back(std::move(row.key));
    }
    if (rows.empty()) co_return Ok();
    Result<void> removed = co_await RemoveParts(std::move(rows));
    if (!removed) co_return removed.error();
  }
}

Async<void> SharedUploads::RemoveParts(std::vector<std::string> rows) {
  std::vector<StateWrite> removals;
  for (std::string& row : rows) removals.push_back({.key = std::move(row)});
  Result<std::vector<Result<int64_t>>> removed =
      co_await state_.WriteMany(parts_partition_, std::move(removals));
  if (!removed) co_return removed.error().In("forget parts");
  for (const Result<int64_t>& row : *removed) {
    if (!row) co_return row.error().In("forget parts");
  }
  co_return Ok();
}

Async<void> SharedUploads::End(std::string key, SharedUpload upload) {
  upload.replaced.push_back(upload.upload_id);
  for (const std::string& id : upload.replaced) {
    Result<void> dropped = co_await Drop(key, id);
    if (!dropped) co_return dropped.error();
  }
  // Last: who finds the row finds the rest.
  StateWrite removal{.key = std::move(key), .expected = Expected::Revision(upload.revision)};
  Result<int64_t> removed = co_await state_.Write(partition_, std::move(removal));
  if (!removed && removed.error().kind != ErrorKind::kPrecondition) {
    co_return removed.error().In("forget an upload");
  }
  co_return Ok();
}

Async<std::vector<std::pair<std::string, SharedUpload>>> SharedUploads::All() {
  std::vector<std::pair<std::string, SharedUpload>> all;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> page = co_await state_.Scan(partition_, after, kRowsPerScan);
    if (!page) co_return page.error().In("look for uploads");
    if (page->empty()) co_return all;
    for (StateRow& row : *page) {
      after = row.key;
      Result<SharedUpload> upload = DecodeSharedUpload(row.value);
      if (!upload) {
        runtime_.log.Failure("an upload in pieces cannot be read", {upload.error()});
        continue;
      }
      upload->revision = row.revision;
      all.emplace_back(std::move(row.key), std::move(*upload));
    }
  }
}

Async<int> SharedUploads::ForgetStrayParts() {
  std::vector<std::string> rows;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> page =
        co_await state_.Scan(parts_partition_, after, kRowsPerScan);
    if (!page) co_return page.error().In("look for parts");
    if (page->empty()) break;
    after = page->back().key;
    for (StateRow& row : *page) rows.push_back(std::move(row.key));
  }
  if (rows.empty()) co_return 0;
  // After the rows: parts are recorded only while the row of their upload is there, and an upload
  // that has lost its row never gets it back.
  Result<std::vector<std::pair<std::string, SharedUpload>>> uploads = co_await All();
  if (!uploads) co_return uploads.error();
  std::set<std::string> living;
  for (const auto& [key, upload] : *uploads) {
    living.insert(PartsPrefix(upload.upload_id));
    for (const std::string& id : upload.replaced) living.insert(PartsPrefix(id));
  }
  std::erase_if(rows, [&](const std::string& row) {
    return living.contains(row.substr(0, row.find('/') + 1));
  });
  const int count = static_cast<int>(rows.size());
  if (count == 0) co_return 0;
  Result<void> removed = co_await RemoveParts(std::move(rows));
  if (!removed) co_return removed.error();
  co_return count;
}

}  // namespace longhaul
