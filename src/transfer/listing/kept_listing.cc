#include "transfer/listing/kept_listing.h"

#include <fmt/format.h>

#include <utility>

#include "archive/json_text.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "transfer/listing/kept_file.h"
#include "transfer/listing/page_check.h"

namespace longhaul {

namespace {

constexpr std::string_view kHeadBegins = R"({"longhaul_listing":)";
constexpr int kFormat = 1;
constexpr size_t kKeptPageObjects = 1000;

void AppendMember(std::string& to, std::string_view name, std::string_view text) {
  to += ",\"";
  to += name;
  to += "\":";
  archive::AppendJsonString(to, text);
}

std::string HeadLine(const KeptHead& head) {
  std::string line = fmt::format("{}{}", kHeadBegins, kFormat);
  AppendMember(line, "store", head.store);
  if (!head.place.empty()) AppendMember(line, "place", head.place);
  AppendMember(line, "bucket", head.bucket);
  AppendMember(line, "prefix", head.prefix);
  AppendMember(line, "taken", FormatRfc3339(head.taken));
  if (head.versions) line += ",\"versions\":true";
  return line + "}\n";
}

void AppendObject(std::string& to, const ListedObject& object) {
  to += "{\"key\":";
  archive::AppendJsonString(to, object.key);
  fmt::format_to(std::back_inserter(to), ",\"size\":{},\"modified_us\":{}", object.size_bytes,
                 object.last_modified.time_since_epoch().count());
  if (!object.etag.empty()) AppendMember(to, "etag", object.etag);
  if (!object.storage_class.empty()) AppendMember(to, "class", object.storage_class);
  if (!object.version_id.empty()) AppendMember(to, "version", object.version_id);
  if (!object.is_latest) to += ",\"latest\":false";
  if (object.is_delete_marker) to += ",\"delete_marker\":true";
  to += "}\n";
}

class KeepingListing : public PagedListing {
 public:
  KeepingListing(Runtime runtime, std::unique_ptr<Listing> source, std::string path,
                 const KeptHead& head)
      : source_(std::move(source)), file_(runtime, std::move(path)) {
    file_.Add(HeadLine(head));
  }

  asio::awaitable<void> Close() override { co_await source_->Close(); }

 protected:
  Async<std::vector<ListedObject>> NextPage() override {
    std::vector<ListedObject> page;
    std::string text;
    while (page.size() < kKeptPageObjects) {
      ListedObject object;
      if (!source_->TakeReady(object)) {
        if (!page.empty()) break;
        Result<std::optional<ListedObject>> next = co_await source_->Next();
        if (!next) co_return next.error();
        if (!*next) break;
        object = std::move(**next);
      }
      AppendObject(text, object);
      ++count_;
      page.push_back(std::move(object));
    }
    file_.Add(text);
    Result<void> written = page.empty()   ? co_await End()
                           : file_.full() ? co_await file_.Write()
                                          : Ok();
    if (!written) co_return written.error();
    co_return page;
  }

 private:
  Async<void> End() {
    Result<std::string> sum = co_await file_.Sum();
    if (!sum) co_return sum.error();
    file_.Add(fmt::format("{{\"end\":true,\"objects\":{},\"sha256\":\"{}\"}}\n", count_, *sum));
    co_return co_await file_.Finish();
  }

  std::unique_ptr<Listing> source_;
  KeptFile file_;
  uint64_t count_ = 0;
};

}  // namespace

std::unique_ptr<Listing> KeepListing(Runtime runtime, std::unique_ptr<Listing> source,
                                     std::string path, KeptHead head) {
  return std::make_unique<KeepingListing>(runtime, std::move(source), std::move(path), head);
}

bool IsKeptHead(std::string_view line) { return line.starts_with(kHeadBegins); }

KeptListing::KeptListing(std::unique_ptr<TextLines> lines, std::string bucket, std::string prefix,
                         bool versions, std::string place)
    : lines_(std::move(lines)),
      bucket_(std::move(bucket)),
      prefix_(std::move(prefix)),
      versions_(versions),
      place_(std::move(place)),
      hasher_(NewHasher(HashKind::kSha256)) {}

Result<void> KeptListing::ReadHead(std::string_view line) {
  archive::JsonCursor json(line);
  int64_t format = 0;
  bool versions = false;
  std::string place;
  std::string bucket;
  std::string prefix;
  std::string name;
  json.Expect('{');
  for (bool first = true; json.NextMember(first, name);) {
    if (name == "longhaul_listing") {
      format = json.Integer();
    } else if (name == "place") {
      json.String(&place);
    } else if (name == "bucket") {
      json.String(&bucket);
    } else if (name == "prefix") {
      json.String(&prefix);
    } else if (name == "versions") {
      versions = json.Peek() == 't';
      json.Skip();
    } else {
      json.Skip();
    }
  }
  json.AtEnd();
  if (!json.ok() || !IsKeptHead(line)) return lines_->Wrong("not the head of a kept listing");
  if (format != kFormat) {
    return lines_->Wrong("a listing of format " + std::to_string(format) + "; this program reads " +
                         std::to_string(kFormat));
  }
  if (!place.empty() && !place_.empty() && place != place_) {
    return lines_->Wrong("it lists what is at " + place + ", not at " + place_);
  }
  if (bucket != bucket_) {
    return lines_->Wrong("it lists the bucket '" + bucket + "', not '" + bucket_ + "'");
  }
  if (!prefix_.starts_with(prefix)) {
    return lines_->Wrong("it lists what is below '" + prefix + "', not all of '" + prefix_ + "'");
  }
  if (versions != versions_) {
    return lines_->Wrong(versions ? "it lists versions, not objects"
                                  : "it lists objects, not versions");
  }
  return Ok();
}

Result<void> KeptListing::AtEnd(uint64_t count, std::string_view sha256) {
  ended_ = true;
  if (count != count_) {
    return Corrupt(lines_
                       ->Wrong("it says that there are " + std::to_string(count) +
                               " objects, and there are " + std::to_string(count_))
                       .message);
  }
  if (sha256 != HexEncode(hasher_->Finish())) {
    return Corrupt(lines_->Wrong("the SHA-256 of what is before it is another one").message);
  }
  return Ok();
}

Result<std::optional<ListedObject>> KeptListing::Parse(std::string_view line) {
  archive::JsonCursor json(line);
  ListedObject object;
  std::string name;
  std::string sha256;
  bool end = false;
  bool has_size = false;
  int64_t count = -1;
  json.Expect('{');
  for (bool first = true; json.ok() && json.NextMember(first, name);) {
    if (name == "key") {
      json.String(&object.key);
    } else if (name == "size") {
      int64_t size = json.Integer();
      has_size = size >= 0 && static_cast<uint64_t>(size) <= kListedSizeBytesMax;
      object.size_bytes = static_cast<uint64_t>(size);
    } else if (name == "modified_us") {
      object.last_modified = SystemTime(std::chrono::microseconds(json.Integer()));
    } else if (name == "etag") {
      json.String(&object.etag);
    } else if (name == "class") {
      json.String(&object.storage_class);
    } else if (name == "version") {
      json.String(&object.version_id);
    } else if (name == "latest") {
      object.is_latest = json.Peek() == 't';
      json.Skip();
    } else if (name == "delete_marker") {
      object.is_delete_marker = json.Peek() == 't';
      json.Skip();
    } else if (name == "end") {
      end = true;
      json.Skip();
    } else if (name == "objects") {
      count = json.Integer();
    } else if (name == "sha256") {
      json.String(&sha256);
    } else {
      json.Skip();
    }
  }
  json.AtEnd();
  if (!json.ok()) return lines_->Wrong("not a line of a kept listing");
  if (end) {
    Result<void> fine = AtEnd(static_cast<uint64_t>(count), sha256);
    if (!fine) return fine.error();
    return std::nullopt;
  }
  if (object.key.empty() || object.key.size() > kListedKeyBytesMax || !has_size) {
    return lines_->Wrong("an object without a key or a size that can be");
  }
  hasher_->Update(AsBytes(line));
  hasher_->Update(AsBytes("\n"));
  const int order = last_key_.compare(object.key);
  if (order > 0 || (order == 0 && !versions_)) {
    return Corrupt(lines_->Wrong("it is not in order").message);
  }
  last_key_ = object.key;
  ++count_;
  return object;
}

Async<std::vector<ListedObject>> KeptListing::NextPage() {
  std::vector<ListedObject> page;
  while (!ended_ && page.size() < kKeptPageObjects) {
    std::string_view line;
    if (!lines_->TakeReady(line)) {
      Result<std::optional<std::string_view>> next = co_await lines_->Next();
      if (!next) co_return next.error();
      if (!*next) {
        co_return Corrupt(lines_->Wrong("the listing is cut off: it has no end").message);
      }
      line = **next;
    }
    if (lines_->number() == 1) {
      Result<void> head = ReadHead(line);
      if (!head) co_return head.error();
      hasher_->Update(AsBytes(line));
      hasher_->Update(AsBytes("\n"));
      continue;
    }
    Result<std::optional<ListedObject>> object = Parse(line);
    if (!object) co_return object.error();
    if (*object && (*object)->key.starts_with(prefix_)) page.push_back(std::move(**object));
  }
  if (!ended_ || !page.empty()) co_return page;
  Result<std::optional<std::string_view>> rest = co_await lines_->Next();
  if (!rest) co_return rest.error();
  if (*rest) co_return lines_->Wrong("there is something behind the end");
  co_return page;
}

}  // namespace longhaul
