#include "transfer/object/upload_records.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/checksum.h"
#include "state/fields.h"

namespace longhaul {

namespace {

constexpr char kPartition[] = "copy-uploads";
constexpr int kRowsPerScan = 200;

// Keys may be longer than a row's key has room for.
std::string RowPrefix(std::string_view store, std::string_view bucket, std::string_view key) {
  std::string place = std::string(store) + '\n' + std::string(bucket) + '\n' + std::string(key);
  return HexEncode(Sha256(place)).substr(0, 32) + "/";
}

}  // namespace

std::string WritingOf(const ObjectInfo& info) {
  return FormatRfc3339(info.last_modified) + " " + info.etag + " " + info.version_id;
}

bool StillStands(const ObjectInfo& info, const std::string& replaced, SystemTime answered) {
  return WritingOf(info) == replaced && answered > info.last_modified + std::chrono::seconds(5);
}

std::string RequestDigest(const PutRequest& request) {
  Fields fields;
  const SystemHeaders& headers = request.headers;
  fields.Set("content-type", headers.content_type);
  fields.Set("content-encoding", headers.content_encoding);
  fields.Set("content-language", headers.content_language);
  fields.Set("content-disposition", headers.content_disposition);
  fields.Set("cache-control", headers.cache_control);
  fields.Set("expires", headers.expires);
  fields.Set("redirect", headers.website_redirect_location);
  for (const auto& [name, value] : request.metadata) fields.Set("m." + name, value);
  for (const auto& [name, value] : request.tags) fields.Set("t." + name, value);
  fields.Set("storage-class", request.storage_class == "STANDARD" ? "" : request.storage_class);
  fields.Set("sse", request.sse);
  fields.Set("kms-key", request.kms_key);
  fields.Set("bucket-key", request.bucket_key ? (*request.bucket_key ? "yes" : "no") : "");
  fields.Set("acl", request.acl);
  fields.Set("checksum",
             request.checksum ? std::to_string(static_cast<int>(request.checksum->algorithm)) : "");
  return HexEncode(Sha256(fields.Write())).substr(0, 32);
}

UploadRecords::UploadRecords(Runtime runtime, State& state, ProcessName owner, std::string run,
                             std::string below)
    : runtime_(runtime),
      state_(state),
      owner_(std::move(owner)),
      run_(std::move(run)),
      below_(std::move(below)) {}

std::string UploadRecords::Encode(const UploadRecord& record) {
  Fields fields;
  fields.Set("run", record.run);
  fields.Set("store", record.store);
  fields.Set("bucket", record.upload.bucket);
  fields.Set("key", record.upload.key);
  fields.Set("upload_id", record.upload.upload_id);
  fields.Set("source", record.source);
  fields.Set("source_etag", record.source_etag);
  fields.SetNumber("source_size", record.source_size_bytes);
  fields.Set("request", record.request);
  fields.SetNumber("part_size", record.part_size_bytes);
  fields.SetNumber("found", record.found ? 1 : 0);
  fields.Set("completes_as", record.completes_as);
  fields.Set("replaces", record.replaces);
  fields.Set("owner", ProcessText(record.owner));
  fields.SetTime("owned_since", record.owned_since);
  fields.SetTime("created", record.created);
  return fields.Write();
}

Result<UploadRecord> UploadRecords::Decode(const StateRow& row) {
  Result<Fields> fields = Fields::Read(row.value);
  if (!fields) return fields.error();
  if (fields->Get("bucket").empty() || fields->Get("key").empty()) {
    return Corrupt("a row of State that is no upload");
  }
  const SystemTime created = fields->GetTime("created");
  // Builds that did not take rows had no such time.
  const SystemTime owned_since = std::max(created, fields->GetTime("owned_since"));
  return UploadRecord{.row = row.key,
                      .revision = row.revision,
                      .run = fields->Get("run"),
                      .store = fields->Get("store"),
                      .upload = {.bucket = fields->Get("bucket"),
                                 .key = fields->Get("key"),
                                 .upload_id = fields->Get("upload_id")},
                      .source = fields->Get("source"),
                      .source_etag = fields->Get("source_etag"),
                      .source_size_bytes = fields->GetNumber("source_size"),
                      .request = fields->Get("request"),
                      .part_size_bytes = fields->GetNumber("part_size"),
                      .found = fields->GetNumber("found") != 0,
                      .completes_as = fields->Get("completes_as"),
                      .replaces = fields->Get("replaces"),
                      .owner = ParseProcess(fields->Get("owner")),
                      .owned_since = owned_since,
                      .created = created};
}

Async<std::vector<UploadRecord>> UploadRecords::Find(std::string store, std::string bucket,
                                                     std::string key) {
  const std::string prefix = RowPrefix(store, bucket, key);
  Result<std::vector<StateRow>> rows = co_await state_.Scan(kPartition, prefix, kRowsPerScan);
  if (!rows) co_return rows.error().In("find uploads");
  std::vector<UploadRecord> records;
  for (const StateRow& row : *rows) {
    if (!row.key.starts_with(prefix)) break;
    Result<UploadRecord> record = Decode(row);
    if (record && record->store == store && record->upload.bucket == bucket &&
        record->upload.key == key) {
      records.push_back(std::move(*record));
    }
  }
  co_return records;
}

Async<std::vector<UploadRecord>> UploadRecords::All(std::optional<std::string> run) {
  std::vector<UploadRecord> records;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state_.Scan(kPartition, after, kRowsPerScan);
    if (!rows) co_return rows.error().In("list uploads");
    if (rows->empty()) co_return records;
    for (const StateRow& row : *rows) {
      after = row.key;
      Result<UploadRecord> record = Decode(row);
      if (record && (!run || record->run == *run)) records.push_back(std::move(*record));
    }
  }
}

Async<UploadRecord> UploadRecords::Add(UploadRecord record) {
  record.run = run_;
  record.owner = owner_;
  record.created = runtime_.clock.Now();
  record.owned_since = record.created;
  record.row = RowPrefix(record.store, record.upload.bucket, record.upload.key) +
               NewUlid(record.created, runtime_.random);
  Result<void> written = co_await Change(record);
  if (!written) co_return written.error();
  co_return record;
}

Async<void> UploadRecords::Change(UploadRecord record) {
  StateWrite write{.key = record.row, .value = Encode(record)};
  Result<int64_t> written = co_await state_.Write(kPartition, std::move(write));
  if (!written) co_return written.error().In("record an upload");
  co_return Ok();
}

Async<std::optional<UploadRecord>> UploadRecords::Take(UploadRecord record) {
  if (record.owner == owner_) co_return record;
  record.run = run_;
  record.owner = owner_;
  record.owned_since = runtime_.clock.Now();
  StateWrite write{
      .key = record.row, .value = Encode(record), .expected = Expected::Revision(record.revision)};
  Result<int64_t> written = co_await state_.Write(kPartition, std::move(write));
  if (!written && written.error().kind == ErrorKind::kPrecondition) co_return std::nullopt;
  if (!written) co_return written.error().In("take an upload over");
  record.revision = *written;
  co_return record;
}

Async<void> UploadRecords::Forget(UploadRecord record) {
  StateWrite removal{.key = record.row};
  Result<int64_t> removed = co_await state_.Write(kPartition, std::move(removal));
  if (!removed) co_return removed.error().In("forget an upload");
  co_return Ok();
}

bool UploadRecords::InUse(const UploadRecord& record) const {
  if (record.owner == owner_) return false;
  switch (LifeOf(record.owner)) {
    case ProcessLife::kLives:
      return true;
    case ProcessLife::kGone:
      return false;
    case ProcessLife::kUnknown:
      break;
  }
  return runtime_.clock.Now() < record.owned_since + kForeignHours;
}

Async<std::vector<MultipartUpload>> UploadRecords::ListNow(Store& store, std::string bucket,
                                                           std::string prefix) {
  Result<std::vector<MultipartUpload>> listed =
      co_await store.ListMultipartUploads(bucket, std::move(prefix));
  if (listed) co_return listed;
  if (listed.error().Transient()) co_return listed.error();
  runtime_.log.Debug("uploads cannot be listed", {{"bucket", bucket}, listed.error()});
  co_return std::vector<MultipartUpload>();
}

Async<std::vector<MultipartUpload>> UploadRecords::ListedNow(Store& store, std::string bucket,
                                                             std::string key) {
  if (!store.capabilities().lists_uploads) co_return std::vector<MultipartUpload>();
  Result<std::vector<MultipartUpload>> listed = co_await ListNow(store, std::move(bucket), key);
  if (!listed) co_return listed.error();
  std::erase_if(*listed, [&](const MultipartUpload& upload) { return upload.key != key; });
  co_return listed;
}

Async<std::vector<MultipartUpload>> UploadRecords::Listed(Store& store, std::string bucket,
                                                          std::string key) {
  if (!store.capabilities().lists_uploads) co_return std::vector<MultipartUpload>();
  if (below_.empty() || !key.starts_with(below_)) {
    co_return co_await ListedNow(store, std::move(bucket), std::move(key));
  }
  std::unique_ptr<Listing>& slot = listings_[{&store, bucket}];
  if (!slot) {
    slot = std::make_unique<Listing>();
    Listing& listing = *slot;  // The map keeps it where it is.
    Result<std::vector<MultipartUpload>> listed = co_await ListNow(store, bucket, below_);
    // What could not be listed now is not looked for again in this run.
    if (listed) listing.uploads = std::move(*listed);
    listing.done = true;
    listing.waiters.NotifyAll();
  }
  Listing& listing = *slot;
  while (!listing.done) co_await listing.waiters.Wait();
  std::vector<MultipartUpload> found;
  for (const MultipartUpload& upload : listing.uploads) {
    if (upload.key == key) found.push_back(upload);
  }
  co_return found;
}

}  // namespace longhaul
