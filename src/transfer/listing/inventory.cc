#include "transfer/listing/inventory.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "transfer/listing/csv.h"
#include "transfer/listing/page_check.h"
#include "transfer/local/local_folder.h"

namespace longhaul {

namespace {

constexpr size_t kManifestBytesMax = 64 << 20;  // 200,000 files.
constexpr size_t kInventoryPageObjects = 1000;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string_view LastSegment(std::string_view key) {
  size_t slash = key.rfind('/');
  return slash == key.npos ? key : key.substr(slash + 1);
}

class InventoryListing : public PagedListing {
 public:
  InventoryListing(Runtime runtime, ListingFile manifest_file, InventoryManifest manifest,
                   InventoryRow row, std::string prefix)
      : runtime_(runtime),
        file_(std::move(manifest_file)),
        manifest_(std::move(manifest)),
        row_(row),
        prefix_(std::move(prefix)) {}

 protected:
  Async<std::vector<ListedObject>> NextPage() override {
    std::vector<ListedObject> page;
    while (page.size() < kInventoryPageObjects) {
      if (lines_ == nullptr) {
        if (next_file_ == manifest_.files.size()) break;
        Result<std::unique_ptr<TextLines>> opened = co_await Open(manifest_.files[next_file_++]);
        if (!opened) co_return opened.error();
        lines_ = std::move(*opened);
      }
      std::string_view line;
      if (!lines_->TakeReady(line)) {
        Result<std::optional<std::string_view>> next = co_await lines_->Next();
        if (!next) co_return next.error();
        if (!*next) {
          lines_.reset();
          continue;
        }
        line = **next;
      }
      Result<ListedObject> object = row_.Parse(line);
      if (!object) co_return lines_->Wrong(object.error().message);
      if (!object->is_latest || object->is_delete_marker) continue;
      if (!object->key.starts_with(prefix_)) continue;
      page.push_back(std::move(*object));
    }
    co_return page;
  }

 private:
  Async<std::unique_ptr<TextLines>> Open(InventoryManifest::File data) {
    std::vector<std::string> keys = {data.key};
    if (dynamic_cast<LocalFolder*>(file_.store) != nullptr) {
      // Someone has fetched it: beside the manifest, in data/ or above, as S3 lays it out.
      std::string folder = file_.key.substr(0, file_.key.rfind('/') + 1);
      const std::string name(LastSegment(data.key));
      std::string above = folder.empty() ? "" : folder.substr(0, folder.size() - 1);
      above = above.substr(0, above.rfind('/') + 1);
      keys = {folder + name, folder + "data/" + name, above + "data/" + name, folder + data.key};
    }
    Error error;
    for (const std::string& key : keys) {
      ListingFile file{.store = file_.store, .bucket = file_.bucket, .key = key};
      file.name = key;
      Result<std::unique_ptr<TextLines>> opened =
          co_await TextLines::Open(runtime_, std::move(file), data.md5_hex);
      if (opened || opened.error().kind != ErrorKind::kNotFound) co_return opened;
      if (error.message.empty()) error = opened.error();
    }
    co_return error.In(file_.name);
  }

  Runtime runtime_;
  ListingFile file_;
  InventoryManifest manifest_;
  InventoryRow row_;
  std::string prefix_;
  size_t next_file_ = 0;
  std::unique_ptr<TextLines> lines_;
};

}  // namespace

Result<InventoryManifest> ParseInventoryManifest(std::string_view text) {
  Result<boost::json::value> json =
      ParseJson(text, {.size_bytes_max = kManifestBytesMax, .depth_max = 8});
  if (!json) return json.error();
  JsonView view(*json);
  InventoryManifest manifest;
  Result<std::string_view> format = view.Text("fileFormat");
  if (!format) return format.error();
  if (*format != "CSV") {
    return InvalidInput(
        "an inventory of " + std::string(*format) +
        " files; only CSV can be read (choose it in the inventory's configuration)");
  }
  Result<std::string_view> bucket = view.Text("sourceBucket");
  if (!bucket) return bucket.error();
  manifest.source_bucket = *bucket;
  Result<std::string_view> destination = view.Text("destinationBucket");
  if (destination) {
    manifest.destination_bucket = destination->substr(destination->rfind(':') + 1);
  }
  Result<std::string_view> schema = view.Text("fileSchema");
  if (!schema) return schema.error();
  for (std::string_view rest = *schema; !rest.empty();) {
    size_t comma = std::min(rest.find(','), rest.size());
    manifest.columns.emplace_back(Trimmed(rest.substr(0, comma)));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  Result<JsonView> files = view.Member("files");
  if (!files) return files.error();
  Result<std::vector<JsonView>> items = files->Items();
  if (!items) return items.error();
  for (const JsonView& item : *items) {
    Result<std::string_view> key = item.Text("key");
    if (!key) return key.error();
    InventoryManifest::File file{.key = std::string(*key), .md5_hex = ""};
    Result<std::optional<JsonView>> md5 = item.MemberIfThere("MD5checksum");
    if (!md5) return md5.error();
    if (*md5) {
      Result<std::string_view> hex = (*md5)->Text();
      if (!hex) return hex.error();
      file.md5_hex = *hex;
      std::ranges::transform(file.md5_hex, file.md5_hex.begin(),
                             [](char c) { return c >= 'A' && c <= 'F' ? char(c + 32) : c; });
    }
    manifest.files.push_back(std::move(file));
  }
  return manifest;
}

Result<InventoryRow> InventoryRow::Make(const std::vector<std::string>& columns) {
  InventoryRow row;
  row.count_ = columns.size();
  for (size_t i = 0; i < columns.size(); ++i) {
    const int at = static_cast<int>(i);
    const std::string& name = columns[i];
    if (name == "Bucket") row.bucket_ = at;
    if (name == "Key") row.key_ = at;
    if (name == "VersionId") row.version_ = at;
    if (name == "IsLatest") row.latest_ = at;
    if (name == "IsDeleteMarker") row.marker_ = at;
    if (name == "Size") row.size_ = at;
    if (name == "LastModifiedDate") row.time_ = at;
    if (name == "ETag") row.etag_ = at;
    if (name == "StorageClass") row.class_ = at;
  }
  if (row.key_ < 0) return InvalidInput("the inventory has no column 'Key'");
  if (row.size_ < 0) {
    return InvalidInput("the inventory has no column 'Size' (add it in its configuration)");
  }
  return row;
}

Result<ListedObject> InventoryRow::Parse(std::string_view line) const {
  Result<std::vector<std::string>> fields = SplitCsv(line);
  if (!fields) return fields.error();
  if (fields->size() != count_) {
    return InvalidInput(std::to_string(fields->size()) + " fields, and the schema has " +
                        std::to_string(count_));
  }
  auto field = [&](int at) { return at < 0 ? std::string() : (*fields)[static_cast<size_t>(at)]; };
  ListedObject object;
  Result<std::string> key = FormDecode(field(key_));
  if (!key) return key.error();
  if (key->empty() || key->size() > kListedKeyBytesMax) return InvalidInput("no key that can be");
  object.key = std::move(*key);
  object.is_delete_marker = field(marker_) == "true";
  object.is_latest = latest_ < 0 || field(latest_) == "true";
  const std::string size = field(size_);
  auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), object.size_bytes);
  const bool whole = error == std::errc() && end == size.data() + size.size();
  if (!object.is_delete_marker && (!whole || object.size_bytes > kListedSizeBytesMax)) {
    return InvalidInput("the size '" + size + "'");
  }
  if (std::string time = field(time_); !time.empty()) {
    Result<SystemTime> parsed = ParseRfc3339(time);
    if (!parsed) return InvalidInput("the time '" + time + "'");
    object.last_modified = *parsed;
  }
  object.etag = field(etag_);
  object.storage_class = field(class_);
  return object;
}

Async<InventoryManifest> ReadInventoryManifest(ListingFile file) {
  Result<std::string> text = co_await ReadListingFile(file, kManifestBytesMax);
  if (!text) co_return text.error();
  Result<InventoryManifest> manifest = ParseInventoryManifest(*text);
  if (!manifest) co_return manifest.error().In(file.name);
  co_return manifest;
}

Async<std::unique_ptr<Listing>> OpenInventory(Runtime runtime, ListingFile manifest_file,
                                              std::string bucket, std::string prefix) {
  Result<InventoryManifest> manifest = co_await ReadInventoryManifest(manifest_file);
  if (!manifest) co_return manifest.error();
  if (manifest->source_bucket != bucket) {
    co_return InvalidInput("it is the inventory of the bucket '" + manifest->source_bucket +
                           "', not of '" + bucket + "'")
        .In(manifest_file.name);
  }
  Result<InventoryRow> row = InventoryRow::Make(manifest->columns);
  if (!row) co_return row.error().In(manifest_file.name);
  co_return std::make_unique<InventoryListing>(runtime, std::move(manifest_file),
                                               std::move(*manifest), *row, std::move(prefix));
}

}  // namespace longhaul
