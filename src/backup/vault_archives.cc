#include "backup/vault_archives.h"

#include <algorithm>
#include <utility>

#include "archive/archive_file.h"
#include "base/check.h"
#include "base/memory_share.h"
#include "storage/restores_objects.h"

namespace longhaul::backup {

struct VaultArchives::Open {
  Open(const Runtime& of, int64_t memory_bytes)
      : budget(memory_bytes), runtime(WithMemory(of, budget)) {}

  struct Kept {
    std::shared_ptr<ArchiveFrame> frame;  // shared with those it is lent to.
    uint64_t used = 0;
  };

  // Of its own: what VaultArchives has found room for never waits here.
  MemoryBudget budget;
  Runtime runtime;
  std::unique_ptr<StoreArchiveFile> file;
  std::unique_ptr<ArchiveReader> reader;  // Null: it is being opened.
  std::map<size_t, Kept> frames;
  std::set<size_t> loading;
  int64_t held_bytes = 0;
  uint64_t used = 0;
};

// Keeps an archive for as long as one of its frames is used, and says when that ends.
struct VaultArchives::Lent {
  Lent(VaultArchives& from, std::shared_ptr<Open> of, std::shared_ptr<ArchiveFrame> what)
      : owner(from), archive(std::move(of)), frame(std::move(what)) {}
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  ~Lent() {
    frame.reset();
    owner.changed_.NotifyAll();
  }
  VaultArchives& owner;
  std::shared_ptr<Open> archive;
  std::shared_ptr<ArchiveFrame> frame;
};

VaultArchives::VaultArchives(Runtime runtime, Store& store, VaultPlace vault, Options options)
    : runtime_(runtime), store_(store), vault_(std::move(vault)), options_(std::move(options)) {}

VaultArchives::~VaultArchives() = default;

Async<VaultArchives::Entry> VaultArchives::Find(VersionPlace place) {
  Result<Got> got = co_await Get(place.name, std::nullopt);
  if (!got) co_return got.error();
  const ArchiveReader& reader = *got->archive->reader;
  if (place.entry >= reader.entries().size()) {
    co_return Corrupt("the archive " + VaultArchiveKey(vault_, place.name) + " has no entry " +
                      std::to_string(place.entry) + ", which its catalog names");
  }
  co_return Entry{.entry = reader.entries()[place.entry],
                  .pieces = reader.Pieces(place.entry),
                  .archive_etag = got->archive->file->etag()};
}

Async<VaultArchives::Frame> VaultArchives::ReadFrame(VaultName name, size_t frame,
                                                     std::string archive_etag) {
  Result<Got> got = co_await Get(name, frame);
  if (!got) co_return got.error();
  // It may have been closed for want of room, and opened again.
  if (got->archive->file->etag() != archive_etag) {
    co_return PreconditionFailed("the archive " + VaultArchiveKey(vault_, name) +
                                 " was written anew while it was read");
  }
  co_return std::move(got->frame);
}

VaultArchives::Frame VaultArchives::Lend(const std::shared_ptr<Open>& archive, size_t frame) {
  Open::Kept& kept = archive->frames.at(frame);
  kept.used = ++uses_;
  auto lent = std::make_shared<Lent>(*this, archive, kept.frame);
  const ArchiveFrame* bytes = lent->frame.get();
  return {std::move(lent), bytes};
}

bool VaultArchives::MakeRoom(int64_t size_bytes, const Open* keep) {
  while (used_bytes_ + size_bytes > options_.memory_bytes) {
    // The frame that nobody has asked for longest, else such an archive.
    Open* of_frame = nullptr;
    std::map<size_t, Open::Kept>::iterator oldest_frame;
    auto oldest = open_.end();
    for (auto at = open_.begin(); at != open_.end(); ++at) {
      Open& archive = *at->second;
      for (auto kept = archive.frames.begin(); kept != archive.frames.end(); ++kept) {
        if (kept->second.frame.use_count() > 1) continue;
        if (of_frame != nullptr && oldest_frame->second.used < kept->second.used) continue;
        of_frame = &archive;
        oldest_frame = kept;
      }
      // Frames and loads hold it too.
      if (&archive == keep || archive.reader == nullptr || at->second.use_count() > 1) continue;
      if (!archive.frames.empty()) continue;
      if (oldest == open_.end() || archive.used < oldest->second->used) oldest = at;
    }
    if (of_frame != nullptr) {
      used_bytes_ -= static_cast<int64_t>(oldest_frame->second.frame->bytes().size());
      of_frame->frames.erase(oldest_frame);
    } else if (oldest != open_.end()) {
      used_bytes_ -= oldest->second->held_bytes;
      open_.erase(oldest);
    } else {
      return false;
    }
  }
  return true;
}

Async<VaultArchives::Got> VaultArchives::Get(VaultName name, std::optional<size_t> frame) {
  std::optional<uint64_t> ticket;
  const auto leave = [this, &ticket] {
    if (!ticket) return;
    waiting_.erase(*ticket);
    changed_.NotifyAll();
  };
  while (true) {
    auto found = open_.find(name);
    const bool opening = found != open_.end() && found->second->reader == nullptr;
    if (opening || (found != open_.end() && frame && found->second->loading.contains(*frame))) {
      co_await changed_.Wait();
      continue;
    }
    Open* archive = found != open_.end() ? found->second.get() : nullptr;
    if (archive != nullptr) {
      archive->used = ++uses_;
      if (frame && *frame >= archive->reader->frames().size()) {
        leave();
        co_return Corrupt("the archive " + VaultArchiveKey(vault_, name) + " has no frame " +
                          std::to_string(*frame));
      }
      if (!frame || archive->frames.contains(*frame)) {
        Got got{.archive = found->second};
        if (frame) got.frame = Lend(found->second, *frame);
        leave();
        co_return got;
      }
    }
    const bool turn = waiting_.empty() || (ticket && *waiting_.begin() == *ticket);
    const int64_t needed =
        archive == nullptr ? options_.memory_bytes / 2 : archive->reader->FrameMemoryNeeded();
    if (!turn || !MakeRoom(needed, archive)) {
      if (!ticket) waiting_.insert(ticket.emplace(next_ticket_++));
      co_await changed_.Wait();
      continue;
    }
    used_bytes_ += needed;
    Result<void> done;
    if (archive == nullptr) {
      auto made = std::make_shared<Open>(runtime_, options_.memory_bytes);
      open_[name] = made;
      // The place in the line is kept until its frame is read: those who come next would take the
      // room of this archive, one of the other's for ever.
      done = co_await OpenArchive(name, made);
      used_bytes_ -= needed;
      if (done) {
        made->held_bytes = made->reader->held_bytes();
        used_bytes_ += made->held_bytes;
      } else {
        open_.erase(name);
        leave();
      }
    } else {
      std::shared_ptr<Open> holds = found->second;
      leave();
      ticket.reset();
      holds->loading.insert(*frame);
      done = co_await LoadFrame(name, holds, *frame);
      used_bytes_ -= needed;
      holds->loading.erase(*frame);
      if (done) {
        used_bytes_ += static_cast<int64_t>(holds->frames.at(*frame).frame->bytes().size());
        // Before others, who may want the room.
        Got got{.archive = holds, .frame = Lend(holds, *frame)};
        changed_.NotifyAll();
        co_return got;
      }
    }
    changed_.NotifyAll();
    if (!done) co_return done.error();
  }
}

Async<void> VaultArchives::OpenArchive(const VaultName& name,
                                       const std::shared_ptr<Open>& archive) {
  const std::string key = VaultArchiveKey(vault_, name);
  auto file = co_await StoreArchiveFile::Open(
      archive->runtime, store_, vault_.bucket, key, "",
      std::min<uint64_t>(StoreArchiveFile::kTailSizeBytes,
                         static_cast<uint64_t>(options_.memory_bytes / 8)));
  if (!file && file.error().code == kArchivedCode) {
    Error error = file.error();
    error.message =
        "it has been moved to GLACIER or DEEP_ARCHIVE: ask it back first (`longhaul backup "
        "restore` with --ask-back, or aws s3api restore-object --bucket " +
        vault_.bucket + " --key " + key + " --restore-request Days=7), and again when it is there";
    co_return error.In("the archive " + key);
  }
  if (!file) co_return file.error().In("the archive " + key);
  archive->file = std::move(*file);
  ReaderOptions options;
  options.seal_keys = options_.seal_keys;
  options.spare_damaged_frames = true;
  auto reader = co_await ArchiveReader::Open(archive->runtime, *archive->file, std::move(options));
  if (!reader) co_return reader.error().In("the archive " + key);
  if ((*reader)->manifest().id != name.ulid) {
    co_return Corrupt("the archive " + key + " is " + (*reader)->manifest().id +
                      " and not what its name says");
  }
  archive->reader = std::move(*reader);
  co_return Ok();
}

Async<void> VaultArchives::LoadFrame(const VaultName& name, const std::shared_ptr<Open>& archive,
                                     size_t frame) {
  Result<ArchiveFrame> read = co_await archive->reader->ReadFrame(frame);
  if (!read) {
    // Put there anew meanwhile: whoever asks again gets that one.
    auto found = open_.find(name);
    if (read.error().kind == ErrorKind::kPrecondition && found != open_.end() &&
        found->second == archive && archive->frames.empty() && archive->loading.size() == 1) {
      used_bytes_ -= archive->held_bytes;
      open_.erase(found);
    }
    co_return read.error().In("the archive " + VaultArchiveKey(vault_, name));
  }
  archive->frames[frame] = {.frame = std::make_shared<ArchiveFrame>(std::move(*read)), .used = 0};
  co_return Ok();
}

}  // namespace longhaul::backup
