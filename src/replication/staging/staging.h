// Staging: the bucket near the target through which archives pass, and what lies in it.
//
//   <prefix><rule id>/<ULID>.tar.zst                  an archive
//   <prefix><rule id>/<ULID>.<target>.receipt.json    what became of it at that target
//
// Staging is the record of what is under way: an archive goes only when every target that shares it
// has a receipt there, and a receipt goes when the source has read it.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "replication/life/outcome.h"
#include "storage/store.h"

namespace longhaul {

std::string ArchiveKey(std::string_view prefix, std::string_view ulid);
// Of an archive's key. nullopt: another object, or none below `prefix`.
std::optional<std::string> UlidOfArchive(std::string_view prefix, std::string_view key);
std::string ReceiptKey(std::string_view prefix, std::string_view ulid, std::string_view target);

// What a target says of an archive.
struct ArchiveReceipt {
  enum class State {
    kDone,     // Every entry is applied, superseded, in conflict or to be read anew.
    kCorrupt,  // Damaged: its keys must be read anew; `reread` names them when `keys_known`.
  };
  State state = State::kDone;
  std::string archive;
  std::string rule;
  std::string target;
  std::string
      bucket;  // Of the rule's source, where `reread` is to be read; empty: it does not say.
  std::string reason;  // Of kCorrupt.
  SystemTime written{};
  SystemTime stamp_oldest{};  // Of its entries; the lag of a rule is `written` minus this.
  uint64_t entries = 0;
  uint64_t applied = 0;
  uint64_t conflicts = 0;
  bool keys_known = true;
  std::vector<std::string> reread;  // Source keys.
  // Set when the archive held a segment and its object is settled at the target, or must be read
  // anew: the transfer (ULID) and the object's source key.
  std::string transfer;
  std::string transfer_key;
};

std::string EncodeReceipt(const ArchiveReceipt& receipt);
// kCorrupt: not a receipt.
Result<ArchiveReceipt> DecodeReceipt(std::string_view text);

// 10,000 keys, the most of a batch, take 31 MB at worst.
inline constexpr uint64_t kReceiptSizeBytesMax = 32 << 20;

struct StagedReceipt {
  std::string target;
  std::string key;
  std::string etag;
  uint64_t size_bytes = 0;
};

// One archive, its receipts, or both.
struct StagedArchive {
  std::string ulid;
  std::optional<ListedObject> archive;
  std::vector<StagedReceipt> receipts;

  [[nodiscard]] bool HasReceipt(std::string_view target) const;
};

// Writes `receipt` below `prefix` (with the rule id). One whose archive is not there is taken by
// the source all the same, and removed: so a target asks for keys to be read anew.
Async<void> WriteReceipt(Store& store, std::string bucket, const std::string& prefix,
                         const ArchiveReceipt& receipt);

// For the observer, once it has been removed.
StagingFreed FreedBy(std::string rule, std::string target, const ListedObject& archive,
                     SystemTime now);

// Everything below `prefix` (with the rule id), oldest archive first. Objects that are neither an
// archive nor a receipt are left alone and not listed.
Async<std::vector<StagedArchive>> ListStaging(Store& store, std::string bucket, std::string prefix);

}  // namespace longhaul
