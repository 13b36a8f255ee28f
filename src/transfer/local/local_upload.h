// The parts of an object on their way to a file of a LocalFolder, each written once, straight to
// where it belongs. All of it blocks: on the CPU pool.
//
// Beside the file to be is a hidden folder, ".longhaul-<digest of the file's name>-<ULID>.part".
// In it are `bytes`, which becomes the file, and `parts`: of what the parts are, and a line with
// the checksum of each that is complete. A line comes after the bytes that it stands for; whoever
// goes on with an upload reads those again, because a machine that went down may have kept the line
// and not the bytes. Who works on an upload holds a lock on `parts`, which goes with the process.
//
// Internal to LocalFolder.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/placed_parts.h"
#include "transfer/local/local_file.h"

namespace longhaul {

// What the file `parts` says.
struct PartLog {
  std::string name;  // Of the file to be, without its folder.
  PartPlaces places;
  SystemTime initiated{};
  std::map<int, Checksum> parts;

  bool operator==(const PartLog& other) const;
};

std::string EncodePartLog(const PartLog& log);
std::string EncodePartLine(int number, const Checksum& checksum);
// kCorrupt: it is none. A last line that was cut counts for nothing.
Result<PartLog> DecodePartLog(std::string_view text);
inline constexpr size_t kPartLogBytesMax = 4 << 20;

class LocalUpload {
 public:
  // Makes the folders above `path` as well.
  static Result<std::shared_ptr<LocalUpload>> Create(std::string path, std::string id, PartLog log,
                                                     const FoldPath& fold = {});
  // One that was left for `path`, of that origin and size; it is locked then. Null: there is none.
  // Those of other origins that nobody works on are removed.
  static Result<std::shared_ptr<LocalUpload>> Take(const std::string& path,
                                                   const PartPlaces& places);

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] const PartLog& log() const { return log_; }
  [[nodiscard]] ByteRange RangeOf(int number) const;
  // Whether the number stands for a part of it.
  [[nodiscard]] bool Has(int number) const;

  // The part's bytes, read back, have its checksum.
  [[nodiscard]] bool IsAsWritten(int number) const;
  Result<void> WriteAt(uint64_t offset_bytes, std::span<const std::byte> bytes);
  // Says that the part is complete. Parts may be added side by side.
  Result<void> Add(int number, const Checksum& checksum);
  // On the shard: what Add has written, or what is not as it was written.
  void Note(int number, std::optional<Checksum> checksum);

  // All parts are there: makes the file of them. `request` and `modified` as of DescribeFile; a
  // digest of the whole in it is compared first. kInvalidInput, code InvalidPart: one is missing.
  // KeyNotStorable: as of PlaceFile; the parts stay.
  Result<struct stat> Complete(const PutRequest& request, SystemTime modified,
                               const FoldPath& fold = {});

  // Removes the upload `id` for `path`; OK also when there is none.
  static Result<void> Remove(const std::string& path, const std::string& id);
  // The folder of one, whose name says no more than that it may be an upload: its id and its log.
  // nullopt: it is none.
  static std::optional<std::pair<std::string, PartLog>> Read(const std::string& folder);
  static Result<PartLog> ReadOf(const std::string& path, const std::string& id);

 private:
  LocalUpload() = default;
  Result<void> CompareDigest(const PutRequest& request) const;

  std::string path_;
  std::string folder_;
  std::string id_;
  FileHandle bytes_;
  FileHandle parts_;  // Locked.
  PartLog log_;
};

}  // namespace longhaul
