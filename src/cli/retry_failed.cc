#include "cli/retry_failed.h"

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"

namespace longhaul {

namespace {

constexpr size_t kLineBytesMax = 64 << 10;

class GivenListing : public Listing {
 public:
  explicit GivenListing(std::vector<ListedObject> objects) : objects_(std::move(objects)) {}
  Async<std::optional<ListedObject>> Next() override {
    if (next_ == objects_.size()) co_return std::nullopt;
    co_return std::optional<ListedObject>(std::move(objects_[next_++]));
  }
  asio::awaitable<void> Close() override { co_return; }

 private:
  std::vector<ListedObject> objects_;
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

// nullopt: not of a copy that failed.
Result<std::optional<ListedObject>> FailedCopy(std::string_view text,
                                               const CommandAddress& source) {
  Result<boost::json::value> value = ParseJson(text, {.size_bytes_max = kLineBytesMax});
  if (!value) return value.error();
  const JsonView line(*value);
  Result<std::optional<JsonView>> state = line.MemberIfThere("state");
  if (!state) return state.error();
  if (!*state) return std::nullopt;  // The summary.
  Result<std::string_view> name_of_state = (**state).Text();
  if (!name_of_state) return name_of_state.error();
  Result<std::string_view> op = line.Text("op");
  if (!op) return op.error();
  if (*name_of_state != "failed" || *op != "copy") return std::nullopt;
  Result<std::string> name = TextOf(line, "name");
  if (!name) return name.error();
  Result<std::string> from = TextOf(line, "source");
  if (!from) return from.error();
  ListedObject object{.key = source.key + *name};
  if (*from != source.WithKey(object.key)) {
    return InvalidInput("the report is of another SOURCE: '" + *from + "'");
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
  for (uint64_t number = 1; std::getline(file, line); ++number) {
    Result<std::optional<ListedObject>> object = FailedCopy(line, source);
    if (!object) return object.error().In(path + ":" + std::to_string(number));
    if (*object) objects.push_back(std::move(**object));
  }
  if (file.bad()) return Retryable("read the report '" + path + "'");
  std::ranges::sort(objects, {}, &ListedObject::key);
  const auto doubled = std::ranges::unique(objects, {}, &ListedObject::key);
  objects.erase(doubled.begin(), doubled.end());
  return objects;
}

}  // namespace

Async<std::unique_ptr<Listing>> OpenFailed(Runtime runtime, std::string path,
                                           CommandAddress source) {
  Result<std::vector<ListedObject>> objects =
      co_await runtime.pool.Run([&] { return ReadFailed(path, source); });
  if (!objects) co_return objects.error();
  co_return std::unique_ptr<Listing>(std::make_unique<GivenListing>(std::move(*objects)));
}

}  // namespace longhaul
