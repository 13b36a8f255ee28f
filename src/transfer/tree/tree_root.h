// The hash of everything below a prefix of one store (object_tree.h), object by object, and as a
// file that another site compares with.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "transfer/listing/kept_file.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/text_lines.h"
#include "transfer/tree/filter.h"
#include "transfer/tree/object_tree.h"
#include "transfer/tree/tree.h"

namespace longhaul {

struct TreeEntry {
  std::string name;  // Below the prefix.
  uint64_t size_bytes = 0;
  std::string hash;  // Raw.
};

// What hears of the objects, in byte order of names.
class TreeSink {
 public:
  virtual ~TreeSink() = default;
  virtual Async<void> Take(std::vector<TreeEntry> entries) {
    static_cast<void>(entries);
    co_return Ok();
  }
  virtual void OnPrefix(const ObjectTree::Node&) {}
  virtual void OnFailed(std::string_view /*name*/, const Error&) {}
  virtual void OnExcluded(std::string_view /*name*/, const ListedObject&) {}
};

struct TreeRootOptions {
  TreeMode mode = TreeMode::kFull;
  bool download = false;  // Local files, which have no checksums, are read for their MD5.
  ObjectFilter filter;
  int in_flight = 64;
  Event* stop = nullptr;
};

// The root's hash as text; empty where an object could not be looked at (OnFailed). Errors: those
// of the listing and of the sink; kInvalidInput: a local folder without `download`; kCancelled.
Async<std::string> ComputeRoot(Runtime runtime, TreeSource source, std::unique_ptr<Listing> listing,
                               TreeRootOptions options, TreeSink& sink);

// A tree in a file: zstd, lines of JSON (docs/listings.md).
class TreeFileWriter {
 public:
  TreeFileWriter(Runtime runtime, std::string path, TreeMode mode, std::string_view place);
  Async<void> Add(const std::vector<TreeEntry>& entries);
  Async<void> Finish(std::string_view root);

 private:
  KeptFile file_;
  uint64_t count_ = 0;
};

class TreeFileReader {
 public:
  // kInvalidInput: not such a file, or one of another mode.
  static Async<std::unique_ptr<TreeFileReader>> Open(std::unique_ptr<TextLines> lines,
                                                     TreeMode mode);
  // nullopt: the end, and the entries make the root that the file names. kCorrupt: they do not, it
  // is cut off, or out of order.
  Async<std::optional<TreeEntry>> Next();
  // After the end.
  [[nodiscard]] const std::string& root() const { return root_; }

 private:
  TreeFileReader(std::unique_ptr<TextLines> lines, TreeMode mode)
      : lines_(std::move(lines)), tree_(mode) {}
  Result<std::optional<TreeEntry>> Parse(std::string_view line);

  std::unique_ptr<TextLines> lines_;
  ObjectTree tree_;
  std::string last_name_;
  uint64_t count_ = 0;
  std::string root_;
};

}  // namespace longhaul
