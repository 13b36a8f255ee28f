// KeyFiller: has single keys of one bucket in a cache, for whoever hears of them one by one: an
// endpoint that is asked for them, events of the source.
//
// Claims, copies and rows are as those of a fill (fill.h), under the session of a run that lives as
// long as the process; so fills and other endpoints wait for it, and it for nobody: what another
// run has claimed is left to that. But where a claim of its own was broken while it copied, nobody
// knows which of two copies was the last to arrive: it waits for the other one, and copies again.

#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/async.h"
#include "base/runtime.h"
#include "cache/budget.h"
#include "cache/decide.h"
#include "cache/remove.h"
#include "cache/session.h"
#include "cache/use_notes.h"
#include "storage/store.h"
#include "transfer/object/upload_records.h"

namespace longhaul::cache {

struct KeyFillerOptions {
  std::string source_bucket;
  std::string source_name;    // As people name it.
  std::string target_prefix;  // Before each key at the cache.
  std::chrono::seconds ttl{0};
  RunKind kind = RunKind::kServe;
  ProcessName owner = ThisProcess();
  std::chrono::milliseconds lease = std::chrono::seconds(30);
  Event* stop = nullptr;  // Borrowed; set: copies end soon, and are gone on with by the next one.
};

// What was read of the source when a key was found missing.
struct SourceState {
  std::string etag;
  uint64_t size_bytes = 0;
  SystemTime modified{};
};

class KeyFiller {
 public:
  // Borrowed.
  KeyFiller(Runtime runtime, State& state, Store& source, Store& target, Place place,
            KeyFillerOptions options);

  // Errors are those of State. End: once after Begin.
  Async<void> Begin();
  Async<void> End();

  // Copies the key, unless a copy of this state is there, somebody else has claimed it, or this
  // process is at it; what becomes of it is in the row. Errors are those of State, and of the copy;
  // kCancelled: stop.
  Async<void> Fill(std::string key, SourceState found);
  // The source has changed, as far as anybody knows: what is there counts no more, and a copy that
  // is under way will not count either. The next sweep removes it, unless it is copied first.
  Async<void> Invalidate(std::string key);
  // Until EndWrite this process makes no copy of the key: the source is being written, and what it
  // has now would be old. May be nested.
  void BeginWrite(const std::string& key) { ++being_written_[key]; }
  void EndWrite(const std::string& key);
  [[nodiscard]] bool IsBeingWritten(const std::string& key) const {
    return being_written_.contains(key);
  }
  // Looks at the source and mends what differs: copies what the cache has of another state, removes
  // what the source has not any more. A key that the cache does not have stays so. `refresh`: else
  // what differs is removed alone. What this process is copying of the key ends first.
  Async<void> Follow(std::string key, bool refresh);

  // The row, or nullopt.
  Async<std::optional<EntryRow>> Read(std::string key);
  // A reader uses the copy: its row will say so (use_notes.h).
  void Used(const EntryRow& row) { uses_.Note(row); }

  [[nodiscard]] const Place& place() const { return place_; }
  [[nodiscard]] const KeyFillerOptions& options() const { return options_; }
  // Whether the copy under a row is the object of that key of this source. Who has put a copy of
  // another key there says so in the row; of old ones nobody knows.
  [[nodiscard]] bool IsOurs(const Entry& entry) const {
    return entry.target_prefix && MayBeOurs(entry);
  }
  [[nodiscard]] Store& target() { return target_; }
  [[nodiscard]] FillCounts& counts() { return session_.counts; }

 private:
  [[nodiscard]] bool MayBeOurs(const Entry& entry) const {
    return entry.MayBeOf(source_text_, options_.target_prefix);
  }
  [[nodiscard]] bool Stopping() const {
    return options_.stop != nullptr && options_.stop->is_set();
  }

  // Whoever has it is at the key, alone in this process.
  class Turn {
   public:
    Turn(KeyFiller& filler, std::string key) : filler_(filler), key_(std::move(key)) {
      filler_.filling_.insert(key_);
    }
    ~Turn() {
      filler_.filling_.erase(key_);
      filler_.turn_ended_.NotifyAll();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    KeyFiller& filler_;
    std::string key_;
  };

  Async<void> FillInTurn(const std::string& key, SourceState found);
  // False: the claim was broken meanwhile, and `claim` says what was put all the same.
  Async<bool> Copy(const std::string& key, Entry& claim, int64_t revision, SourceState found);
  // What was put under a claim that was broken, and is not copied again: if it is what lies there,
  // it goes.
  Async<void> Disown(const std::string& key, Entry lost, bool source_gone);
  // Gives back a claim of ours under which nothing has been put. `more`: bytes that it counts.
  Async<void> GiveBack(const std::string& key, Entry claim, int64_t revision, int64_t more);
  Async<void> Write(const std::string& target_key, const Entry& entry, int64_t revision);

  Runtime runtime_;
  State& state_;
  Store& source_;
  Store& target_;
  Place place_;
  KeyFillerOptions options_;
  std::string source_text_;
  RunSession session_;
  RunLives lives_;
  CountedBytes bytes_;
  std::optional<Remover> remover_;
  std::optional<Budget> budget_;
  UseNotes uses_;
  UploadRecords uploads_;
  Event ended_;
  TaskGroup helpers_;
  std::set<std::string> filling_;
  std::map<std::string, int> being_written_;  // By how many.
  WaitList turn_ended_;                       // Of any key.
};

}  // namespace longhaul::cache
