#include "cli/retry_failed.h"

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "transfer/tree/store_wide.h"

namespace longhaul {

namespace {

constexpr size_t kLineBytesMax = 64 << 10;
constexpr size_t kAtATime = 64;

class FailedObjects : public PagedListing {
 public:
  FailedObjects(Runtime runtime, OpenedAddress source, std::vector<ListedObject> objects,
                MissingKey missing)
      : runtime_(runtime),
        source_(std::move(source)),
        objects_(std::move(objects)),
        missing_(std::move(missing)) {}

 protected:
  Async<std::vector<ListedObject>> NextPage() override {
    std::vector<ListedObject> page;
    while (page.empty() && next_ < objects_.size()) {
      const size_t count = std::min(kAtATime, objects_.size() - next_);
      TaskGroup group(runtime_.executor);
      for (size_t i = 0; i < count; ++i) group.Spawn(Look(objects_[next_ + i]));
      Result<void> looked = co_await group.Join();
      if (!looked) co_return looked.error();
      for (; page.size() < count && next_ < objects_.size(); ++next_) {
        page.push_back(std::move(objects_[next_]));
      }
      std::erase_if(page, [](const ListedObject& object) { return object.key.empty(); });
    }
    co_return page;
  }

 private:
  Async<void> Look(ListedObject& object) {
    Result<ObjectInfo> info =
        co_await source_.store->Head({.bucket = source_.address.bucket, .key = object.key});
    if (info) {
      object.size_bytes = info->size_bytes;
      object.etag = info->etag;
      object.storage_class = info->storage_class;
      object.last_modified = info->last_modified;
      co_return Ok();
    }
    const Error& error = info.error();
    const std::string place = source_.address.WithKey(object.key);
    if (error.kind == ErrorKind::kNotFound && !IsStoreWide(error)) {
      missing_(NotFound("it is not there any more").In(place), object.key);
      object.key.clear();
      co_return Ok();
    }
    if (error.kind == ErrorKind::kCancelled || IsStoreWide(error)) co_return error;
    if (object.etag.empty()) {  // The report knows as little of it: there is nothing to compare.
      missing_(error.In(place), object.key);
      object.key.clear();
    }
    co_return Ok();  // What is wrong with one object its copy tells.
  }

  Runtime runtime_;
  OpenedAddress source_;
  std::vector<ListedObject> objects_;
  MissingKey missing_;
  size_t next_ = 0;
};

Result<std::string> TextOf(const JsonView& line, const std::string& name) {
  Result<std::optional<JsonView>> encoded = line.MemberIfThere(name + "_base64");
  if (!encoded) return encoded.error();
  Result<std::string_view> text = *encoded ? (**encoded).Text() : line.Text(name);
  if (!text) return text.error();
  if (*encoded) return Base64Decode(*text);
  return std::string(*text);
}

// How many of what a report says has failed: by its lines, and by its summary.
struct FailedCounts {
  uint64_t lines = 0;
  uint64_t summed = 0;
};

// nullopt: not of a copy that failed.
Result<std::optional<ListedObject>> FailedCopy(std::string_view text, const CommandAddress& source,
                                               FailedCounts& counts) {
  Result<boost::json::value> value = ParseJson(text, {.size_bytes_max = kLineBytesMax});
  if (!value) return value.error();
  const JsonView line(*value);
  Result<std::optional<JsonView>> state = line.MemberIfThere("state");
  if (!state) return state.error();
  if (!*state) {  // The summary.
    Result<std::optional<JsonView>> failed = line.MemberIfThere("failed");
    if (!failed) return failed.error();
    if (!*failed) return std::nullopt;
    Result<int64_t> count = (**failed).Integer(0, INT64_MAX);
    if (!count) return count.error();
    counts.summed += static_cast<uint64_t>(*count);
    return std::nullopt;
  }
  Result<std::string_view> name_of_state = (**state).Text();
  if (!name_of_state) return name_of_state.error();
  Result<std::string_view> op = line.Text("op");
  if (!op) return op.error();
  if (*name_of_state != "failed") return std::nullopt;
  ++counts.lines;
  if (*op != "copy") return std::nullopt;
  Result<std::string> name = TextOf(line, "name");
  if (!name) return name.error();
  Result<std::string> from = TextOf(line, "source");
  if (!from) return from.error();
  ListedObject object{.key = source.key + *name};
  if (*from != source.WithKey(object.key)) {
    return InvalidInput("the report is of another SOURCE: '" + *from + "'");
  }
  Result<std::optional<JsonView>> version = line.MemberIfThere("version_id");
  if (!version) return version.error();
  if (*version) {
    return InvalidInput(
        "the report is of versions: run the command that wrote it again, which leaves alone what "
        "is there already");
  }
  Result<int64_t> size = line.Integer("size", 0, INT64_MAX);
  if (!size) return size.error();
  object.size_bytes = static_cast<uint64_t>(*size);
  Result<std::string> etag = TextOf(line, "etag");
  if (!etag) return etag.error();
  object.etag = std::move(*etag);
  Result<std::optional<JsonView>> modified = line.MemberIfThere("last_modified");
  if (!modified) return modified.error();
  if (*modified) {
    Result<std::string_view> when = (**modified).Text();
    if (!when) return when.error();
    Result<SystemTime> time = ParseRfc3339(*when);
    if (!time) return time.error();
    object.last_modified = *time;
  }
  return std::optional<ListedObject>(std::move(object));
}

Result<std::vector<ListedObject>> ReadFailed(const std::string& path,
                                             const CommandAddress& source) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return InvalidInput("cannot read the report '" + path + "'");
  std::vector<ListedObject> objects;
  std::string line;
  FailedCounts counts;
  for (uint64_t number = 1; std::getline(file, line); ++number) {
    Result<std::optional<ListedObject>> object = FailedCopy(line, source, counts);
    if (!object) return object.error().In(path + ":" + std::to_string(number));
    if (*object) objects.push_back(std::move(**object));
  }
  if (file.bad()) return Retryable("read the report '" + path + "'");
  if (counts.summed > counts.lines) {
    return InvalidInput("the report '" + path + "' names " + std::to_string(counts.lines) +
                        " of the " + std::to_string(counts.summed) +
                        " that failed, as what has no name is not in it: run the command that "
                        "wrote it again, which leaves alone what is there already");
  }
  std::ranges::sort(objects, {}, &ListedObject::key);
  const auto doubled = std::ranges::unique(objects, {}, &ListedObject::key);
  objects.erase(doubled.begin(), doubled.end());
  return objects;
}

}  // namespace

Async<std::vector<ListedObject>> ReadFailedCopies(Runtime runtime, std::string path,
                                                  CommandAddress source) {
  co_return co_await runtime.pool.Run([&] { return ReadFailed(path, source); });
}

std::unique_ptr<Listing> OpenFailed(Runtime runtime, OpenedAddress source,
                                    std::vector<ListedObject> objects, MissingKey missing) {
  return std::make_unique<FailedObjects>(runtime, std::move(source), std::move(objects),
                                         std::move(missing));
}

}  // namespace longhaul
