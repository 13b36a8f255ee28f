#include "backup/catalog_lines.h"

#include <utility>

#include "archive/entry.h"
#include "backup/catalog.h"

namespace longhaul::backup {

namespace {

constexpr uint64_t kToldMax = 100;

Error NoCatalog(std::string message) {
  Error error = Corrupt(std::move(message));
  error.code = kNoCatalog;
  return error;
}

}  // namespace

Async<std::optional<CatalogRecord>> CatalogLines::Next() {
  while (true) {
    std::string_view line;
    if (!lines_->TakeReady(line)) {
      Result<std::optional<std::string_view>> next = co_await lines_->Next();
      if (!next) {
        if (next.error().kind == ErrorKind::kInvalidInput ||
            next.error().kind == ErrorKind::kCorrupt) {
          co_return NoCatalog(next.error().message);
        }
        co_return next.error();
      }
      if (!*next) co_return std::optional<CatalogRecord>();
      line = **next;
    }
    if (lines_->number() > kArchiveEntriesMax) {
      co_return NoCatalog(lines_->Wrong("no archive has so many entries").message);
    }
    Result<CatalogRecord> record = ParseCatalogLine(line, ulid_);
    if (record) co_return std::optional(std::move(*record));
    ++skipped_;
    if (told_ && skipped_ <= kToldMax) told_(lines_->Wrong(record.error().message).message);
  }
}

}  // namespace longhaul::backup
