// ObjectTree: one hash over everything below a prefix, and one for each prefix in it, which two
// sites that cannot see each other compute alike (docs/listings.md says how, for strangers).
//
// A tree as git has it: an object's hash is over what is known of it, a prefix's over the names and
// hashes of what is directly below it, in byte order of names. Two modes, which never match each
// other: `listing` knows what a listing says (size, ETag), `full` also what a HEAD says (checksum,
// headers, user metadata, tags). Objects come in byte order of keys; memory is that of one path.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/checksum.h"
#include "storage/object.h"

namespace longhaul {

enum class TreeMode { kListing, kFull };

// "longhaul-tree-1:full:", before the hash in hex.
std::string_view TreePrefix(TreeMode mode);

// User metadata that copies have and their sources have not: the mark of a replica, and the origin
// of a mirrored version.
bool IsEntryOfCopies(std::string_view name);

// What stands for the bytes of an object: "empty" for none at all; "md5:HEX" for an ETag that is
// one; else a checksum of the whole object, "crc64nvme:BASE64" before crc32c, crc32, sha256 and
// sha1; else "etag:TEXT". An MD5 comes first because every store has it of what was put in one
// piece.
std::string TreeContent(const ObjectInfo& info);
std::string TreeContent(const ListedObject& object);

// The raw hash of an object.
std::string HashListed(const ListedObject& object);
// `content`: TreeContent, unless the caller has read the bytes. Without the metadata of copies.
std::string HashFull(uint64_t size_bytes, std::string_view content, const ObjectInfo& info,
                     const Tags& tags);

class ObjectTree {
 public:
  // A prefix that is complete: its name below the root ("a/b/"; the root's is empty), its hash as
  // text with the mode, and how much is below it.
  struct Node {
    std::string_view name;
    std::string hash;
    uint64_t objects = 0;
    uint64_t bytes = 0;
  };
  using OnNode = std::function<void(const Node& node)>;

  explicit ObjectTree(TreeMode mode, OnNode on_node = nullptr);
  ~ObjectTree();
  ObjectTree(ObjectTree&&) noexcept;

  // `name`: what follows the prefix in the key; in byte order.
  void Add(std::string_view name, std::string_view hash, uint64_t size_bytes);
  // The root's hash as text. Once.
  std::string Finish();

 private:
  struct Level {
    size_t name_bytes = 0;  // Of `path_`: where its name ends.
    std::unique_ptr<Hasher> hasher;
    uint64_t objects = 0;
    uint64_t bytes = 0;
  };
  void Enter(size_t name_bytes);
  std::string Leave();

  TreeMode mode_;
  OnNode on_node_;
  std::string path_;
  std::vector<Level> levels_;
};

}  // namespace longhaul
