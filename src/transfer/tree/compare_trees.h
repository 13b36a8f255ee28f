// Compares what lies below two prefixes, object by object, and names every difference.
//
// Both listings are read side by side in byte order of keys, so memory does not grow with the
// number of objects. Of each pair: size; bytes, by equal ETags, else by a checksum that both sides
// have, else (one side is a local file) by the digest of the file, else with `download` by reading
// both; then headers, user metadata, tags and, if asked for, the storage class.
//
// With `roots` it ends with the root hash of each side (object_tree.h): `full` where metadata is
// compared, else `listing`. They differ only where a difference was named, or where the two stores
// know their objects by different checksums, which is counted as not comparable or is equal by more
// than one checksum; or, in `full`, where one side is a local folder: its files are hashed with the
// headers that they go out with, which are not compared.
//
// Left out: the user metadata of copies (object_tree.h); of plain local folders everything but size
// and bytes, because files made by others have nothing else.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/listing/listing.h"
#include "transfer/tree/filter.h"
#include "transfer/tree/object_tree.h"
#include "transfer/tree/tree.h"

namespace longhaul {

struct CompareOptions {
  // Read both where nothing else tells whether the bytes are equal; with `roots` local files, too,
  // for their MD5.
  bool download = false;
  bool metadata = true;  // Headers, user metadata and tags; costs a HEAD at each end.
  bool storage_class = false;
  bool one_way = false;  // What is only at the target is no difference.
  // With one_way: nor is it in the target's root, which then is that of the source's names.
  bool roots_of_source = false;
  ObjectFilter filter;  // Of a pair it is asked of the source's object.
  // A folder of either side that may not be read is a failure, and the rest is compared; else it
  // ends the comparison. Only where no listing is kept for somebody else as well.
  bool leave_out_unreadable = false;
  int in_flight = 64;
  Event* stop = nullptr;
  bool roots = false;  // Of objects at one side alone, too, a HEAD is then asked for.
  // Where they are listed; null: by asking the stores. In order of keys.
  std::unique_ptr<Listing> source_listing;
  std::unique_ptr<Listing> target_listing;
};

struct Difference {
  std::string_view name;    // The key below the prefixes.
  std::string_view aspect;  // "missing", "extra", "size", "bytes", "header content-type",
                            // "metadata NAME", "tag NAME", "storage class", "unreadable"
  std::string source;       // What is there; may be empty.
  std::string target;
};

struct CompareTotals {
  uint64_t source_objects = 0;  // That are listed, whatever the filter says of them.
  uint64_t target_objects = 0;
  uint64_t compared = 0;  // Pairs.
  uint64_t equal = 0;
  uint64_t different = 0;  // Objects with at least one difference, also missing and extra ones.
  uint64_t not_comparable = 0;  // Equal in all but the bytes, which nothing could tell.
  uint64_t failed = 0;          // Could not be looked at.
  uint64_t bytes = 0;           // Size of the pairs at the source.
  // As asked for by `roots`; empty where an object could not be looked at, and without `download`
  // for local folders, whose files have no checksums.
  std::string source_root;
  std::string target_root;
  bool local = false;  // A side has files of a plain local folder.
};

// What has come of a pair of which all was looked at.
enum class PairVerdict { kEqual, kDifferent, kNotComparable };

class CompareObserver {
 public:
  virtual ~CompareObserver() = default;
  virtual void OnDifference(const Difference&) {}
  virtual void OnNotComparable(std::string_view /*name*/) {}
  virtual void OnPair(std::string_view /*name*/, PairVerdict) {}  // Once, at its end.
  virtual void OnFailed(std::string_view /*name*/, const Error&) {}
  virtual void OnExcluded(std::string_view /*name*/, const ListedObject&) {}
  virtual void OnCompared(uint64_t /*size_bytes*/) {}
  // A prefix is complete; with `roots`.
  virtual void OnPrefix(bool /*at_source*/, const ObjectTree::Node&) {}
};

// OK when all was looked at. Errors: those of the listings; kCancelled.
Async<void> CompareTrees(Runtime runtime, TreeSource source, TreeTarget target,
                         CompareOptions options, CompareObserver& observer, CompareTotals& totals);

}  // namespace longhaul
