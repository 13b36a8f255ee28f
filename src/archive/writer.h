// ArchiveWriter packs readings into an archive: tar, cut into frames, each compressed on its own,
// and an index at the end (docs/archive-format.md).
//
// Frames are compressed on the CPU pool, several side by side, while the next ones are filled, and
// handed to the sink in order. The same manifest, entries and levels give the same bytes.
//
// Belongs to one shard; one coroutine calls it at a time. Add entries in the order of their keys:
// neighbours compress best. After an error nothing but Abort may be called. Before a writer is
// destroyed either Finish has returned OK or Abort has returned: frames under way use the sink.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "archive/entry.h"
#include "archive/frame_levels.h"
#include "base/async.h"
#include "base/runtime.h"

namespace longhaul {

// Where an archive goes.
class ArchiveSink {
 public:
  virtual ~ArchiveSink() = default;
  // The next bytes, in order and one call at a time, on the writer's shard. The span lives until
  // the call returns. An error ends the archive: every later call of the writer returns it.
  virtual Async<void> Write(std::span<const std::byte> bytes) = 0;
};

struct ArchiveOptions {
  int level = 6;  // zstd's 1 to 22; 0: as fast as can be (what does not shrink).
  uint64_t frame_size_bytes = 8 << 20;  // Before compression; 64 KiB to 64 MiB.
  int slots_max = 0;                    // Frames side by side; 0: threads of the pool + 1.
  std::optional<SealKey> seal;
  // Decides the level of each frame of content instead of `level`, which is that of the index;
  // null: nobody does. Borrowed.
  FrameLevels* levels = nullptr;
  int level_max = 0;  // With `levels`: what they say above it counts as this. Not below `level`.
};

struct ArchiveSummary {
  uint64_t raw_bytes = 0;         // Of the tar.
  uint64_t compressed_bytes = 0;  // Of the archive as it was written.
  uint64_t frames = 0;
  uint64_t entries = 0;
  uint64_t linked_entries = 0;  // Stored once with an equal one before.
};

class ArchiveWriter {
 public:
  // Waits for memory for one frame slot and takes more, up to slots_max, when it is free.
  // kInvalidInput: the budget is too small for one slot; options or manifest make no sense.
  // `sink` and what `runtime` refers to outlive the writer.
  static Async<std::unique_ptr<ArchiveWriter>> Open(Runtime& runtime, ArchiveManifest manifest,
                                                    ArchiveOptions options, ArchiveSink& sink);
  // What Open reserves in one step.
  static int64_t MemoryNeeded(const ArchiveOptions& options);

  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  // Whether to finish now: another entry may not fit (5 GiB, a million entries, or the index has
  // grown beyond what the budget had for it).
  [[nodiscard]] bool full() const;
  // So far, for a batch that counts.
  [[nodiscard]] uint64_t entries() const;
  [[nodiscard]] uint64_t raw_bytes() const;

  // A whole object; `content` has been copied when this returns. Waits for a free slot.
  // kInvalidInput: the content is not of the entry's size, the entry's strings are over 64 KiB, the
  // archive is full; the archive is as it was before and goes on. Other errors are the sink's.
  Async<void> Add(ArchiveEntry entry, std::span<const std::byte> content);
  // A delete, or an object without its bytes: an entry without content.
  Async<void> AddDelete(ArchiveEntry entry);
  Async<void> AddAttributes(ArchiveEntry entry);

  // One large object, piece by piece: Begin, then Buffer and Commit until all of
  // entry.size_bytes is there, then End. `entry` and `final_entry` agree in key and size.
  Async<void> Begin(ArchiveEntry entry);
  // Where the next bytes belong, at most as many as are still missing; empty when none are. Waits
  // for a free slot. The span lives until the next call of the writer.
  Async<std::span<std::byte>> Buffer();
  // The first `size_bytes` of the span hold content now. kInvalidInput: more than it has room for.
  Async<void> Commit(size_t size_bytes);
  // kInvalidInput: bytes are missing. The archive is then worth nothing: Abort.
  Async<void> End(ArchiveEntry final_entry);

  // Writes index and seek table. OK: the sink has taken everything.
  Async<ArchiveSummary> Finish();
  // Stops: waits for what runs and hands nothing more to the sink. Any time, any number of times.
  asio::awaitable<void> Abort();

 private:
  struct Core;
  explicit ArchiveWriter(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;  // Shared with the frames under way.
};

}  // namespace longhaul
