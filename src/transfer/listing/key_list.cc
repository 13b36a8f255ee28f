#include "transfer/listing/key_list.h"

#include <boost/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "transfer/listing/csv.h"
#include "transfer/listing/page_check.h"

namespace longhaul {

namespace {

constexpr size_t kKeyListPageObjects = 256;
constexpr int kLooksMax = 64;

std::string_view TrimmedName(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  size_t from = text.find_first_not_of(kBlanks);
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(kBlanks) + 1 - from);
}

Result<std::optional<ListedObject>> FromName(KeyListKind kind, std::string_view line,
                                             std::string_view prefix) {
  if (kind == KeyListKind::kNames) {
    line = TrimmedName(line);
    if (line.starts_with('#') || line.starts_with(';')) return std::nullopt;
    if (line.starts_with('/')) line.remove_prefix(1);
  }
  if (line.empty()) return std::nullopt;
  ListedObject object;
  object.key = std::string(prefix) + std::string(line);
  return object;
}

Result<std::optional<ListedObject>> FromCsv(std::string_view line, std::string_view bucket) {
  if (line.empty()) return std::nullopt;
  Result<std::vector<std::string>> fields = SplitCsv(line);
  if (!fields) return fields.error();
  if (fields->size() < 2 || fields->size() > 3) {
    return InvalidInput(std::to_string(fields->size()) + " fields; they are bucket,key[,version]");
  }
  if ((*fields)[0] != bucket) {
    return InvalidInput("the bucket '" + (*fields)[0] + "', not '" + std::string(bucket) + "'");
  }
  Result<std::string> key = FormDecode((*fields)[1]);
  if (!key) return key.error();
  ListedObject object;
  object.key = std::move(*key);
  if (fields->size() == 3) object.version_id = (*fields)[2];
  return object;
}

Result<std::string> TextIfThere(const JsonView& view, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    Result<std::optional<JsonView>> member = view.MemberIfThere(name);
    if (!member) return member.error();
    if (!*member) continue;
    Result<std::string_view> text = (*member)->Text();
    if (!text) return text.error();
    return std::string(*text);
  }
  return std::string();
}

Result<std::optional<ListedObject>> FromJson(std::string_view line, std::string_view bucket,
                                             bool& known) {
  if (TrimmedName(line).empty()) return std::nullopt;
  Result<boost::json::value> json = ParseJson(line);
  if (!json) return json.error();
  JsonView view(*json);
  if (!json->is_object()) return InvalidInput("not a JSON object");
  // `ls --json` ends with a summary.
  Result<std::string> event = TextIfThere(view, {"event"});
  if (!event) return event.error();
  if (!event->empty() && *event != "object") return std::nullopt;
  Result<std::string> there = TextIfThere(view, {"bucket", "Bucket"});
  if (!there) return there.error();
  if (!there->empty() && *there != bucket) {
    return InvalidInput("the bucket '" + *there + "', not '" + std::string(bucket) + "'");
  }
  ListedObject object;
  // As `ls --json` writes keys that are not UTF-8.
  Result<std::string> base64 = TextIfThere(view, {"key_base64"});
  if (!base64) return base64.error();
  Result<std::string> key =
      base64->empty() ? TextIfThere(view, {"key", "Key"}) : Base64Decode(*base64);
  if (!key) return key.error();
  object.key = std::move(*key);
  Result<std::string> etag = TextIfThere(view, {"etag", "ETag"});
  if (!etag) return etag.error();
  object.etag = std::move(*etag);
  if (object.etag.size() >= 2 && object.etag.starts_with('"') && object.etag.ends_with('"')) {
    object.etag = object.etag.substr(1, object.etag.size() - 2);
  }
  Result<std::string> version = TextIfThere(view, {"version_id", "VersionId"});
  if (!version) return version.error();
  object.version_id = std::move(*version);
  Result<std::string> storage_class = TextIfThere(view, {"storage_class", "StorageClass"});
  if (!storage_class) return storage_class.error();
  object.storage_class = std::move(*storage_class);
  Result<std::string> time = TextIfThere(view, {"last_modified", "LastModified"});
  if (!time) return time.error();
  if (!time->empty()) {
    Result<SystemTime> parsed = ParseRfc3339(*time);
    if (!parsed) return InvalidInput("the time '" + *time + "'");
    object.last_modified = *parsed;
  }
  for (const char* name : {"is_delete_marker", "IsDeleteMarker"}) {
    Result<std::optional<JsonView>> marker = view.MemberIfThere(name);
    if (!marker) return marker.error();
    if (!*marker) continue;
    Result<bool> is_one = (*marker)->Boolean();
    if (!is_one) return is_one.error();
    object.is_delete_marker = *is_one;
  }
  for (const char* name : {"size", "Size"}) {
    Result<std::optional<JsonView>> size = view.MemberIfThere(name);
    if (!size) return size.error();
    if (!*size) continue;
    Result<int64_t> bytes = (*size)->Integer(0, static_cast<int64_t>(kListedSizeBytesMax));
    if (!bytes) return bytes.error();
    object.size_bytes = static_cast<uint64_t>(*bytes);
    known = !time->empty();
  }
  return object;
}

class KeyListing : public PagedListing {
 public:
  KeyListing(Runtime runtime, std::unique_ptr<TextLines> lines, KeyListKind kind, Store& store,
             std::string bucket, std::string prefix, MissingKey missing, WrongLine wrong,
             PassedOver passed_over, uint64_t none_max, KeyListOf of)
      : runtime_(runtime),
        lines_(std::move(lines)),
        kind_(kind),
        store_(store),
        bucket_(std::move(bucket)),
        prefix_(std::move(prefix)),
        missing_(std::move(missing)),
        wrong_(std::move(wrong)),
        passed_over_(std::move(passed_over)),
        none_max_(none_max),
        of_(of),
        looks_(runtime.executor) {}

 protected:
  Async<std::vector<ListedObject>> NextPage() override {
    std::vector<ListedObject> page;
    while (page.empty() && !ended_) {
      page.reserve(kKeyListPageObjects);  // What is looked at must stay where it is.
      Result<void> read = co_await Read(page);
      Result<void> looked = co_await looks_.Join();
      if (!read) co_return read.error();
      if (!looked) co_return looked.error();
      // When all of the page has been looked at: the first line may be the only wrong one.
      for (auto& [error, key] : std::exchange(errors_, {})) {
        if (wrong_(error, key, proven_)) continue;
        if (error.code == kWrongLine) error.code.clear();  // What is wrong is the file.
        co_return error;
      }
      if (none_max_ > 0 && !proven_ && not_there_ >= none_max_) co_return NoneIsThere();
      std::erase_if(page, [](const ListedObject& object) { return object.key.empty(); });
    }
    co_return page;
  }

 private:
  Async<void> Read(std::vector<ListedObject>& page) {
    while (page.size() < kKeyListPageObjects && errors_.size() < kKeyListPageObjects) {
      std::string_view line;
      if (!lines_->TakeReady(line)) {
        Result<std::optional<std::string_view>> next = co_await lines_->Next();
        if (!next) co_return next.error();
        ended_ = !*next;
        if (ended_) co_return Ok();
        line = **next;
      }
      // As editors put it before UTF-8: no character of the first name.
      constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
      if (lines_->number() == 1 && kind_ != KeyListKind::kRawNames &&
          line.starts_with(kByteOrderMark)) {
        line.remove_prefix(kByteOrderMark.size());
      }
      bool known = false;
      Result<std::optional<ListedObject>> object =
          ParseKeyLine(kind_, line, bucket_, prefix_, known);
      const bool marker = object && *object && (*object)->is_delete_marker;
      if (marker && (of_ == KeyListOf::kObjects || (*object)->version_id.empty())) {
        object = InvalidInput(
            "a delete marker, which is no object: 'rm -r --listing' alone takes "
            "those, by their version_id");
      }
      if (!object) {
        Error error = lines_->Wrong(object.error().message);
        if (!wrong_) co_return error;
        error.code = kWrongLine;
        errors_.emplace_back(std::move(error), "");
        continue;
      }
      if (!*object || !(*object)->key.starts_with(prefix_)) continue;
      if (passed_over_ && passed_over_((*object)->key)) {
        proven_ = true;  // It was right when it was asked for.
        continue;
      }
      page.push_back(std::move(**object));
      proven_ = proven_ || known;
      if (known || marker) continue;
      co_await looks_.WaitBelow(kLooksMax);
      looks_.Spawn(Look(page.back(), lines_->Wrong("")));
    }
    co_return Ok();
  }

  [[nodiscard]] Error NoneIsThere() const {
    const std::string what = "not one of the " + std::to_string(not_there_) +
                             " names up to here is there: is the prefix right? Names are taken "
                             "below the address that is given; where they have gone since, take "
                             "them off the list";
    return NotFound(lines_->Wrong(what).message);
  }

  // `place`: what an error begins with.
  Async<void> Look(ListedObject& object, Error place) {
    Result<ObjectInfo> info = co_await store_.Head(
        {.bucket = bucket_, .key = object.key, .version_id = object.version_id});
    // S3 API Reference, HeadObject: so a version that is a delete marker is answered.
    if (!info && of_ == KeyListOf::kVersions && !object.version_id.empty() &&
        info.error().http_status == 405) {
      object.is_delete_marker = true;
      co_return Ok();
    }
    if (!info) {
      Error error = info.error().In(place.message + object.key);
      if (error.kind == ErrorKind::kNotFound && missing_) {
        ++not_there_;
        missing_(error, object.key);
      } else if (wrong_) {
        errors_.emplace_back(std::move(error), object.key);
      } else {
        co_return error;
      }
      object.key.clear();
      co_return Ok();
    }
    proven_ = true;
    object.size_bytes = info->size_bytes;
    object.etag = info->etag;
    object.storage_class = info->storage_class;
    object.last_modified = info->last_modified;
    co_return Ok();
  }

  Runtime runtime_;
  std::unique_ptr<TextLines> lines_;
  KeyListKind kind_;
  Store& store_;
  std::string bucket_;
  std::string prefix_;
  MissingKey missing_;
  WrongLine wrong_;
  PassedOver passed_over_;
  uint64_t none_max_;
  KeyListOf of_;
  uint64_t not_there_ = 0;
  std::vector<std::pair<Error, std::string>> errors_;  // With keys, for wrong_ to be told of.
  bool proven_ = false;                                // Another line was right.
  bool ended_ = false;
  TaskGroup looks_;
};

}  // namespace

Result<std::optional<ListedObject>> ParseKeyLine(KeyListKind kind, std::string_view line,
                                                 std::string_view bucket, std::string_view prefix,
                                                 bool& known) {
  known = false;
  Result<std::optional<ListedObject>> object = kind == KeyListKind::kCsv ? FromCsv(line, bucket)
                                               : kind == KeyListKind::kJsonLines
                                                   ? FromJson(line, bucket, known)
                                                   : FromName(kind, line, prefix);
  if (object && *object) {
    const std::string& key = (*object)->key;
    if (key.empty()) return InvalidInput("there is no key");
    if (key.size() > kListedKeyBytesMax) return InvalidInput("a key that is too long");
  }
  return object;
}

std::unique_ptr<Listing> OpenKeyList(Runtime runtime, std::unique_ptr<TextLines> lines,
                                     KeyListKind kind, Store& store, std::string bucket,
                                     std::string prefix, MissingKey missing, WrongLine wrong,
                                     PassedOver passed_over, uint64_t none_max, KeyListOf of) {
  return std::make_unique<KeyListing>(runtime, std::move(lines), kind, store, std::move(bucket),
                                      std::move(prefix), std::move(missing), std::move(wrong),
                                      std::move(passed_over), none_max, of);
}

}  // namespace longhaul
