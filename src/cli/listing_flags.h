// Where a command's listings come from: the store, a kept listing, an inventory, a list of names.
// Declared by every command that lists.

#pragma once

#include <memory>
#include <string>

#include "cli/piped_names.h"
#include "cli/stores.h"
#include "transfer/listing/key_list.h"
#include "transfer/listing/listing.h"

namespace longhaul {

struct ListingFlags {
  struct End {
    std::string file;  // Used in place of asking the store.
    std::string save;  // Kept there.
  };
  End source;
  End target;
  std::string files_from;
  std::string files_from_raw;
  int64_t listers = 64;

  // `two_ends`: with --target-…; the plain ones are the source's.
  void Declare(FlagSet& flags, bool two_ends);

  // Whether the store itself is not listed at this end.
  [[nodiscard]] bool FromFile(StoreEnd end) const;

  // A file is of one address: of several the last would replace what it has of the others.
  [[nodiscard]] Result<void> CheckOneAddress(size_t addresses) const;

  enum class Wrong {
    kEnds,
    kGoesOn,  // `missing` is told of it.
  };

  // What lies below `opened`, as these flags say. The names of --files-from count at both ends. All
  // are borrowed for as long as the listing is open. `missing`: told of names that are not there;
  // else they are left out in silence. Lines and objects that alone are wrong are errors, unless
  // `wrong` says otherwise. kInvalidInput: flags that contradict each other.
  Async<std::unique_ptr<Listing>> Open(RunContext& context, StoreOpener& opener,
                                       OpenedAddress opened, StoreEnd end,
                                       ListingOptions options = {}, MissingKey missing = nullptr,
                                       Wrong wrong = Wrong::kEnds);

 private:
  std::shared_ptr<PipedNames> piped_;  // What --files-from gave, where that is a pipe.
};

}  // namespace longhaul
