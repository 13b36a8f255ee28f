// A listing kept in a file, to be used later in place of asking the store again.
//
// The file is zstd; inside are lines of JSON (docs/listings.md): a head that says what was listed
// and when, a line for each object, and an end with their number and the SHA-256 of all lines
// before it. A file without its end is an error and never a short listing.

#pragma once

#include <memory>
#include <string>

#include "base/runtime.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/text_lines.h"

namespace longhaul {

struct KeptHead {
  std::string store;  // Store::description(), for people.
  // Where the bucket is, to be compared by whoever uses it; empty: not known.
  std::string place{};
  std::string bucket;
  std::string prefix;
  bool versions = false;
  SystemTime taken{};  // When the listing began.
};

// What `source` gives, and at its end the file `path` of all of that, which appears whole or not at
// all. Errors beside those of the source: kInvalidInput, the file cannot be written.
std::unique_ptr<Listing> KeepListing(Runtime runtime, std::unique_ptr<Listing> source,
                                     std::string path, KeptHead head);

// Reads one. `place`: where the bucket is; empty, or not known to the file: not compared.
// kInvalidInput: of another place or bucket or a narrower prefix than asked for, or with
// (without) versions; a line that makes no sense, named. kCorrupt: cut off, damaged, or out of
// order.
class KeptListing : public PagedListing {
 public:
  KeptListing(std::unique_ptr<TextLines> lines, std::string bucket, std::string prefix,
              bool versions, std::string place);

 protected:
  Async<std::vector<ListedObject>> NextPage() override;

 private:
  // nullopt: that line was the end.
  Result<std::optional<ListedObject>> Parse(std::string_view line);
  Result<void> ReadHead(std::string_view line);
  Result<void> AtEnd(uint64_t count, std::string_view sha256);

  std::unique_ptr<TextLines> lines_;
  std::string bucket_;
  std::string prefix_;
  bool versions_;
  std::string place_;
  std::unique_ptr<Hasher> hasher_;
  uint64_t count_ = 0;
  bool ended_ = false;
  std::string last_key_;
};

// Whether a file's first line is that of a kept listing.
bool IsKeptHead(std::string_view line);

}  // namespace longhaul
