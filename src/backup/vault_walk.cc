#include "backup/vault_walk.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/checksum.h"
#include "base/memory_share.h"
#include "storage/restores_objects.h"
#include "transfer/listing/text_lines.h"

namespace longhaul::backup {

namespace {

// Side by side, if each has so much memory: archives of any size that longhaul writes by default
// are read in it.
constexpr int64_t kAtOnce = 8;
constexpr int64_t kMemoryOfEach = 48 << 20;

class Walk {
 public:
  Walk(Runtime runtime, ArchiveVisitor& visitor, Event* stop)
      : runtime_(runtime), visitor_(visitor), stop_(stop) {}

  Async<void> Run(const std::vector<VaultName>& names) {
    Result<void> walked = co_await SideBySide(names);
    if (!walked) co_return walked;
    for (const VaultName& name : alone_) {
      if (stopped()) co_return Cancelled("stopped on request");
      Result<void> visited = co_await visitor_.Visit(runtime_, name);
      if (!visited && visited.error().kind == ErrorKind::kInvalidInput) {
        visited = visitor_.OnUnread(name, visited.error());
      }
      if (!visited) co_return visited;
    }
    co_return Ok();
  }

 private:
  [[nodiscard]] bool stopped() const { return stop_ != nullptr && stop_->is_set(); }

  Async<void> SideBySide(const std::vector<VaultName>& names) {
    const int64_t most = runtime_.memory.limit_bytes() / 4 * 3;
    const int64_t places = std::clamp<int64_t>(most / kMemoryOfEach, 1, kAtOnce);
    Result<Reservation> memory = co_await runtime_.memory.Reserve(most);
    if (!memory) co_return memory.error();
    for (int64_t i = 0; i < places; ++i) {
      free_.push_back(std::make_unique<MemoryBudget>(most / places));
    }
    TaskGroup group(runtime_.executor);
    bool ended = false;
    for (const VaultName& name : names) {
      ended = stopped();
      if (ended) break;
      co_await group.WaitBelow(static_cast<int>(places));
      if (group.failed()) break;
      group.Spawn(VisitOne(name));
    }
    Result<void> joined = co_await group.Join();
    if (joined && ended) joined = Cancelled("stopped on request");
    co_return joined;
  }

  Async<void> VisitOne(VaultName name) {
    std::unique_ptr<MemoryBudget> budget = std::move(free_.back());
    free_.pop_back();
    Result<void> visited;
    {
      Runtime own = WithMemory(runtime_, *budget);
      visited = co_await visitor_.Visit(own, name);
    }
    free_.push_back(std::move(budget));
    // Of a reader that found no memory for its keys in so little.
    const bool small = !visited && visited.error().kind == ErrorKind::kRetryable &&
                       visited.error().code.empty() && visited.error().http_status == 0;
    if (visited || (visited.error().kind != ErrorKind::kInvalidInput && !small)) co_return visited;
    alone_.push_back(std::move(name));
    co_return Ok();
  }

  Runtime runtime_;
  ArchiveVisitor& visitor_;
  Event* stop_;
  std::vector<std::unique_ptr<MemoryBudget>> free_;
  std::vector<VaultName> alone_;
};

}  // namespace

bool IsOfSurroundings(const Error& error) {
  if (error.code == kArchivedCode) return false;
  return error.Transient() || error.kind == ErrorKind::kDenied ||
         error.kind == ErrorKind::kCancelled || error.kind == ErrorKind::kPrecondition;
}

Async<std::map<VaultName, ListedObject>> ListVault(Runtime runtime, const CatalogSource& source,
                                                   bool catalogs) {
  std::map<VaultName, ListedObject> names;
  std::unique_ptr<Listing> listing =
      OpenListing(runtime, *source.store, source.vault.bucket,
                  VaultPrefix(source.vault, source.source_bucket, catalogs));
  while (true) {
    ListedObject object;
    if (!listing->TakeReady(object)) {
      Result<std::optional<ListedObject>> next = co_await listing->Next();
      if (!next || !*next) {
        co_await listing->Close();
        if (!next) co_return next.error().In("list the vault");
        co_return names;
      }
      object = std::move(**next);
    }
    std::optional<VaultName> name =
        catalogs ? CatalogOfKey(source.vault, object.key) : ArchiveOfKey(source.vault, object.key);
    if (name) names.emplace(std::move(*name), std::move(object));
  }
}

Async<OpenedArchive> OpenVaultArchive(Runtime& runtime, const CatalogSource& source, VaultName name,
                                      ReaderOptions options) {
  OpenedArchive opened;
  const std::string key = VaultArchiveKey(source.vault, name);
  auto file = co_await StoreArchiveFile::Open(
      runtime, *source.store, source.vault.bucket, key, "",
      std::min<uint64_t>(StoreArchiveFile::kTailSizeBytes,
                         static_cast<uint64_t>(runtime.memory.limit_bytes() / 8)));
  if (!file) co_return file.error();
  opened.file = std::move(*file);
  auto reader = co_await ArchiveReader::Open(runtime, *opened.file, std::move(options));
  if (!reader) co_return reader.error();
  if ((*reader)->manifest().id != name.ulid) {
    co_return Corrupt("it is the archive " + (*reader)->manifest().id + ", not what its name says");
  }
  opened.reader = std::move(*reader);
  co_return opened;
}

void StatesSum::Add(const ListedObject& reading) {
  std::string text = reading.key;
  for (const std::string& part :
       {std::to_string(reading.size_bytes), FormatRfc3339(reading.last_modified),
        reading.version_id, std::string(reading.is_delete_marker ? "d" : "p"),
        reading.storage_class}) {
    text.append(1, '\0').append(part);
  }
  const std::string digest = Sha256(text);
  uint64_t low = 0;
  uint64_t high = 0;
  std::memcpy(&low, digest.data(), sizeof(low));
  std::memcpy(&high, digest.data() + sizeof(low), sizeof(high));
  ++count_;
  low_ += low;
  high_ += high;
}

StatesSum SumOfArchive(const ArchiveReader& reader, const VaultName& name) {
  StatesSum sum;
  for (size_t i = 0; i < reader.entries().size(); ++i) {
    const CatalogRecord record = RecordOf(reader, i);
    if (record.op != EntryOp::kAttributes) sum.Add(ListedOf(record, name));
  }
  return sum;
}

Async<CatalogLook> LookAtCatalog(Runtime runtime, const CatalogSource& source, VaultName name,
                                 size_t keys_max) {
  const std::string key = VaultCatalogKey(source.vault, name);
  CatalogLook look;
  Result<std::unique_ptr<TextLines>> lines = co_await OpenCatalogText(runtime, source, key);
  if (!lines) {
    if (IsOfSurroundings(lines.error()) || lines.error().kind == ErrorKind::kNotFound) {
      co_return lines.error();
    }
    look.sound = false;
    co_return look;
  }
  while (true) {
    Result<std::optional<std::string_view>> line = co_await (*lines)->Next();
    if (!line && IsOfSurroundings(line.error())) co_return line.error();
    if (line && !*line) co_return look;
    Result<CatalogRecord> record = InvalidInput("");
    if (line) record = ParseCatalogLine(**line, name.ulid);
    if (!record) {
      look.sound = false;
      // Keys are told as far as any line tells them.
      if (line && keys_max > 0 && (*lines)->number() < kArchiveEntriesMax) continue;
      co_return look;
    }
    ++look.lines;
    if (look.keys.size() < keys_max) look.keys[record->entry] = record->key;
    if (record->op != EntryOp::kAttributes) look.states.Add(ListedOf(*record, name));
  }
}

Async<void> VisitArchives(Runtime runtime, std::vector<VaultName> names, ArchiveVisitor& visitor,
                          Event* stop) {
  Walk walk(runtime, visitor, stop);
  co_return co_await walk.Run(names);
}

}  // namespace longhaul::backup
