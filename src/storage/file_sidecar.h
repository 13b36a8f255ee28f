// What a file cannot say of the object it holds: ETag, headers, metadata, tags, checksums, parts.
//
// Kept as JSON in .longhaul/meta/<2 hex>/<30 hex of the key's digest>. A record says of which state
// of the file it speaks (size and time of change, to the nanosecond), so a file that another
// program has written has no record, whatever stands there. A writer first writes the record beside
// the old one, then moves the file into place, which is the moment it counts, then the record: a
// reader finds the right one before, between and after. What is found out about such a foreign file
// stands beside that again: readers, who hold no lock, write nothing where a writer does.
// Everything here blocks.

#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file_tree.h"
#include "storage/object.h"

namespace longhaul {

struct FileRecord {
  uint64_t size_bytes = 0;
  int64_t changed_ns = 0;  // The file's mtime.
  std::string etag;
  SystemHeaders headers;
  UserMetadata metadata;
  Tags tags;
  std::string storage_class;
  std::vector<Checksum> checksums;
  std::vector<uint64_t> part_sizes_bytes;
  std::string upload_id;  // That it was completed from: the same may be asked for again.
  // A file that another program wrote: what was found out about it holds while these hold too.
  bool foreign = false;
  uint64_t inode = 0;
  int64_t status_changed_ns = 0;

  [[nodiscard]] bool Describes(const struct stat& status) const;
};

int64_t ChangedNs(const struct stat& status);

std::string EncodeRecord(const FileRecord& record, std::string_view key);
// kCorrupt: not such a record, or that of another key.
Result<FileRecord> DecodeRecord(std::string_view json, std::string_view key);

// The record of `key` for the file in this state; nullopt: there is none.
Result<std::optional<FileRecord>> LoadRecord(const FileTree& tree, std::string_view key,
                                             const struct stat& status);
// Step one and three of a write.
Result<void> PrepareRecord(const FileTree& tree, std::string_view key, const FileRecord& record);
Result<void> SettleRecord(const FileTree& tree, std::string_view key, const FileRecord& record);
// Undoes step one.
void DropPreparedRecord(const FileTree& tree, std::string_view key, const FileRecord& record);
// What was found out about a file that another program wrote. Without the key's lock.
Result<void> KeepForeignRecord(const FileTree& tree, std::string_view key,
                               const FileRecord& record);
// Replaces the record of a file that stays as it is. With the key's lock.
Result<void> ReplaceRecord(const FileTree& tree, std::string_view key, const FileRecord& record);
void EraseRecord(const FileTree& tree, std::string_view key, const struct stat& status);

}  // namespace longhaul
