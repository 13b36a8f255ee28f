// Any bytes as the catalog of an archive, packed or not: no crash, nothing that is no entry of that
// archive, and versions in order, each once, whatever the lines say of segments and stamps.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "archive/entry.h"
#include "backup/catalog_lines.h"
#include "backup/vault_versions.h"
#include "base/check.h"
#include "tests/fuzz/fuzz_world.h"

namespace longhaul {
namespace {

constexpr char kUlid[] = "01KAW8Z3Q0ABCDEFGHJKMNPQRS";

class Sorted : public Listing {
 public:
  explicit Sorted(std::vector<ListedObject> objects) : objects_(std::move(objects)) {
    std::ranges::sort(objects_, [](const ListedObject& one, const ListedObject& two) {
      return one.key != two.key ? one.key < two.key : one.last_modified > two.last_modified;
    });
  }
  Async<std::optional<ListedObject>> Next() override {
    if (at_ == objects_.size()) co_return std::nullopt;
    co_return objects_[at_++];
  }
  asio::awaitable<void> Close() override { co_return; }

 private:
  std::vector<ListedObject> objects_;
  size_t at_ = 0;
};

asio::awaitable<void> Read(Runtime& runtime, std::string bytes) {
  auto lines =
      co_await TextLines::Of(runtime, std::make_unique<TextReader>(std::move(bytes)), "catalog");
  if (!lines) co_return;
  backup::CatalogLines catalog(std::move(*lines), kUlid, {});
  const backup::VaultName name{.folder = "in/year=2025/", .ulid = kUlid};
  std::vector<ListedObject> readings;
  while (readings.size() < 20'000) {
    Result<std::optional<backup::CatalogRecord>> record = co_await catalog.Next();
    if (!record || !*record) break;
    const backup::CatalogRecord& one = **record;
    LH_CHECK(!one.key.empty() && one.entry < kArchiveEntriesMax);
    LH_CHECK(!one.segment ||
             (one.segment->number < one.segment->count && one.segment->count <= kSegmentsMax));
    // What was read must be written as something that reads back the same.
    std::string line;
    backup::AppendCatalogLine(line, {.vault = {.bucket = "v"}, .name = name, .source = {}}, one);
    line.pop_back();
    Result<backup::CatalogRecord> again = backup::ParseCatalogLine(line, kUlid);
    LH_CHECK(again && *again == one);
    readings.push_back(backup::ListedOf(one, name));
  }
  auto versions = backup::FoldVersions(
      std::make_unique<Sorted>(std::move(readings)),
      [&](const std::string& version, const std::vector<std::string>& segments) {
        LH_CHECK(!segments.empty() && segments.size() <= kSegmentsMax && segments[0] == version);
      });
  std::string last;
  SystemTime stamp{};
  while (true) {
    Result<std::optional<ListedObject>> version = co_await versions->Next();
    if (!version || !*version) break;
    LH_CHECK((*version)->storage_class.empty());
    LH_CHECK((*version)->key > last ||
             ((*version)->key == last && (*version)->last_modified <= stamp));
    LH_CHECK((*version)->is_latest == ((*version)->key != last));
    last = (*version)->key;
    stamp = (*version)->last_modified;
  }
  co_await versions->Close();
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  FuzzWorld world(64 << 20);
  world.Start(Read(world.runtime(), FuzzText(data, size)));
  world.Run();
  return 0;
}
