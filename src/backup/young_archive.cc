#include "backup/young_archive.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "backup/vault_walk.h"
#include "base/memory_share.h"

namespace longhaul::backup {

namespace {

// Archives of any size that longhaul writes by default are read in it.
constexpr int64_t kMemoryUsual = 48 << 20;

// Does not wait for more than an eighth: whoever asks holds memory of the budget already, for what
// sorts and for archives that are open.
Async<Reservation> TakeMemory(Runtime runtime, int64_t most) {
  MemoryBudget& memory = runtime.memory;
  const int64_t least = std::max<int64_t>(memory.limit_bytes() / 8, 1);
  for (int64_t bytes = std::min(most, memory.limit_bytes() / 2); bytes > least; bytes /= 2) {
    if (std::optional<Reservation> taken = memory.TryReserve(bytes)) co_return std::move(*taken);
  }
  co_return co_await memory.Reserve(least);
}

// By the index alone where that says all.
Async<std::vector<CatalogRecord>> Read(Runtime& runtime, ArchiveReader& reader) {
  const bool lacks_etags = std::ranges::any_of(reader.entries(), [](const ArchiveEntry& entry) {
    return entry.etag_is_md5 && entry.etag.empty();
  });
  if (lacks_etags) {
    Result<std::vector<CatalogRecord>> records =
        co_await ReadRecords(runtime, reader, [](uint64_t) {});
    if (records || records.error().kind != ErrorKind::kCorrupt) co_return records;
  }
  std::vector<CatalogRecord> records;
  records.reserve(reader.entries().size());
  for (size_t i = 0; i < reader.entries().size(); ++i) records.push_back(RecordOf(reader, i));
  co_return records;
}

Async<std::vector<CatalogRecord>> ReadWithin(Runtime runtime, const CatalogSource& source,
                                             VaultName name, int64_t memory_bytes) {
  Result<Reservation> memory = co_await TakeMemory(runtime, memory_bytes);
  if (!memory) co_return memory.error();
  MemoryBudget budget(memory->size_bytes());
  Runtime own = WithMemory(runtime, budget);
  Result<OpenedArchive> opened =
      co_await OpenVaultArchive(own, source, std::move(name), {.seal_keys = source.seal_keys});
  if (!opened) co_return opened.error();
  co_return co_await Read(own, *opened->reader);
}

// Of a reader that would need more memory.
bool IsShort(const Error& error) {
  return error.kind == ErrorKind::kInvalidInput ||
         (error.kind == ErrorKind::kRetryable && error.code.empty() && error.http_status == 0);
}

}  // namespace

Async<std::vector<CatalogRecord>> ReadYoungArchive(Runtime runtime, CatalogSource source,
                                                   VaultName name) {
  const std::string key = VaultArchiveKey(source.vault, name);
  Result<std::vector<CatalogRecord>> records =
      co_await ReadWithin(runtime, source, name, kMemoryUsual);
  if (!records && IsShort(records.error())) {
    records = co_await ReadWithin(runtime, source, name, runtime.memory.limit_bytes());
  }
  if (records || records.error().kind == ErrorKind::kNotFound) co_return records;
  if (IsOfSurroundings(records.error())) co_return records.error().In("the archive " + key);
  Error error = Corrupt(
      "the archive " + key +
      " has come without its catalog, and does not tell what is in it: " + records.error().message);
  error.code = kUnreadArchive;
  co_return error;
}

}  // namespace longhaul::backup
