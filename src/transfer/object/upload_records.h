// UploadRecords: the multipart uploads of copies, so that a copy that broke off goes on where it
// was instead of sending again what lies at the target.
//
// A row in State comes before the upload itself (some stores do not list uploads, and a process may
// die before it hears the id) and goes when the upload has been completed or aborted. The row is
// the proof that what was uploaded belongs to one state of the source: it names the source with its
// ETag, the target, a digest of all that the upload was created with, and the size of the parts.
// Parts are never written in rows: the store lists them (ListParts).
//
// Where the row is lost, the store's list of uploads is what is left; see open_upload.h.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/process.h"
#include "base/runtime.h"
#include "state/state.h"
#include "storage/store.h"

namespace longhaul {

struct UploadRecord {
  std::string row;         // Its key in State; made by UploadRecords::Add.
  int64_t revision = 0;    // Of the row, as it was read.
  std::string run;         // The run that it belongs to; empty: none.
  std::string store;       // Description of the target's store.
  MultipartUpload upload;  // No id: it may or may not have been created.
  std::string source;      // One text that names store, bucket, key and version.
  std::string source_etag;
  uint64_t source_size_bytes = 0;
  std::string request;           // Digest of what the upload was created with.
  uint64_t part_size_bytes = 0;  // 0: in parts like those of the source.
  // Found at the store without a row: it holds the right bytes, but nobody knows what it was
  // created with.
  bool found = false;
  // The ETag that the object will have: written before the upload is completed, so that an answer
  // that was lost is no reason to send it again.
  std::string completes_as;
  std::string replaces;  // And what stood there then: WritingOf it; empty: nothing.
  ProcessName owner;
  SystemTime owned_since{};
  SystemTime created{};
};

// Tells an object from any that is written in its place later, also from one with the same bytes.
std::string WritingOf(const ObjectInfo& info);
// Whether `info` is what `replaced` tells of, although a write in its place was answered with
// success at `answered`, by the server's clock. (One of the same second would look the same.)
bool StillStands(const ObjectInfo& info, const std::string& replaced, SystemTime answered);

// What an upload is created with, as a digest: all that ends up in the object besides its bytes.
std::string RequestDigest(const PutRequest& request);

// Belongs to one shard. Errors are those of State.
class UploadRecords {
 public:
  // `run`: that new uploads belong to; may be empty. `below`: keys of uploads that are looked for
  // at the store, if they begin with it, are listed once for all; empty: each by itself.
  UploadRecords(Runtime runtime, State& state, ProcessName owner, std::string run,
                std::string below);

  // Those of an object of a store, oldest first.
  Async<std::vector<UploadRecord>> Find(std::string store, std::string bucket, std::string key);
  // Those of a run; of all runs and of none, when `run` is nullopt.
  Async<std::vector<UploadRecord>> All(std::optional<std::string> run);

  // Adds a row (of this process, created now) for an upload without or with an id.
  Async<UploadRecord> Add(UploadRecord record);
  Async<void> Change(UploadRecord record);
  // Makes one that is not in use this process's and its run's. nullopt: another was quicker.
  Async<std::optional<UploadRecord>> Take(UploadRecord record);
  Async<void> Forget(UploadRecord record);

  // Whether another process may be at work on it: it lives, or it is on another machine and has
  // taken the upload within kForeignHours.
  [[nodiscard]] bool InUse(const UploadRecord& record) const;
  static constexpr std::chrono::hours kForeignHours{24};

  // The value of a row. kCorrupt: it is none.
  static std::string Encode(const UploadRecord& record);
  static Result<UploadRecord> Decode(const StateRow& row);

  // What the store lists of uploads of `key`, whether there is a row or not. Empty where the store
  // does not list them, or does not let us.
  Async<std::vector<MultipartUpload>> Listed(Store& store, std::string bucket, std::string key);
  // The same, asked for now.
  Async<std::vector<MultipartUpload>> ListedNow(Store& store, std::string bucket, std::string key);

 private:
  struct Listing {
    bool done = false;
    WaitList waiters;
    std::vector<MultipartUpload> uploads;
  };

  Async<std::vector<MultipartUpload>> ListNow(Store& store, std::string bucket, std::string prefix);

  Runtime runtime_;
  State& state_;
  ProcessName owner_;
  std::string run_;
  std::string below_;
  std::map<std::pair<const Store*, std::string>, std::unique_ptr<Listing>> listings_;
};

}  // namespace longhaul
