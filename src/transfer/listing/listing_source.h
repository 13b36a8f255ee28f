// Where a listing comes from when it is not asked of the store: a file that says what is there.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "transfer/listing/key_list.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/text_lines.h"

namespace longhaul {

enum class ListingFileKind {
  kAny,       // Told by name and content: a kept listing, manifest.json of an inventory, CSV, JSON
              // lines; the last three also compressed.
  kNames,     // One name to a line.
  kRawNames,  // The same, each line as it is.
};

// What `file` lists of `bucket` below `prefix`, in order of keys and each once, unless each version
// is asked for (then the newest of a key is the first) or no order is. Sorted on disk where the
// file is not (ListingOptions::spill_folder). Of `store`, the bucket's, is asked only what a file
// of keys alone does not tell. `store` and the file's outlive the listing. `place`: of the bucket,
// as KeptListing compares it.
// `wrong`: as of key_list.h; the lines of other files are an error as ever. `passed_over`: keys of
// which the store is not asked, and which may be left out.
// kInvalidInput and kCorrupt as of kept_listing.h, inventory.h and key_list.h; they name the file
// and the line.
Async<std::unique_ptr<Listing>> OpenListingFile(
    Runtime runtime, ListingFile file, ListingFileKind kind, Store& store, std::string bucket,
    std::string prefix, ListingOptions options = {}, MissingKey missing = nullptr,
    std::string place = {}, WrongLine wrong = nullptr, PassedOver passed_over = nullptr,
    uint64_t none_max = 0);

// What a file lists, to know it again.
struct ListingFileState {
  std::string etag;    // As ListingFile::etag.
  std::string sha256;  // Of its bytes, hex.
  // False: an inventory whose manifest does not tell what its files hold.
  bool whole = true;
};

// Reads `file` to its end. Errors as Store::Get; they name the file.
Async<ListingFileState> StateOfListingFile(Runtime runtime, ListingFile file, ListingFileKind kind);

}  // namespace longhaul
