// Where a command's listings come from: the store, a kept listing, an inventory, a list of names.
// Declared by every command that lists.

#pragma once

#include <memory>
#include <string>

#include "cli/piped_names.h"
#include "cli/stores.h"
#include "transfer/listing/key_list.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/listing_source.h"
#include "transfer/listing/passed_over.h"

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

  // What tells the file of the source from others, and from itself as it is at another time, for
  // the journal of a run; empty: nothing lasting does, or there is none. From then on Open reads
  // what the file is now. kNotFound and others: it cannot be read.
  Async<std::string> StateOfSource(RunContext& context, StoreOpener& opener);
  // Why a run with these cannot be gone on with; empty: it can. After StateOfSource.
  [[nodiscard]] std::string WhyNoJournal() const;

  enum class Wrong {
    kEnds,
    kGoesOn,            // `missing` is told of it.
    kGoesOnUnlessNone,  // The same; where not one of the first names is there, that is an error.
  };

  // What lies below `opened`, as these flags say. The names of --files-from count at both ends. All
  // are borrowed for as long as the listing is open. `missing`: told of names that are not there;
  // else they are left out in silence. Lines and objects that alone are wrong are errors, unless
  // `wrong` says otherwise. `passed_over`: keys that may be left out, which are not asked for.
  // kInvalidInput: flags that contradict each other.
  Async<std::unique_ptr<Listing>> Open(RunContext& context, StoreOpener& opener,
                                       OpenedAddress opened, StoreEnd end,
                                       ListingOptions options = {}, MissingKey missing = nullptr,
                                       Wrong wrong = Wrong::kEnds,
                                       PassedOver passed_over = nullptr);

 private:
  // kInvalidInput: more than one is given.
  [[nodiscard]] Result<void> CheckOneFile(const End& own) const;
  [[nodiscard]] ListingFileKind KindOf(const End& own) const;
  [[nodiscard]] const std::string& names() const {
    return files_from.empty() ? files_from_raw : files_from;
  }

  std::shared_ptr<PipedNames> piped_;  // What --files-from gave, where that is a pipe.
  std::string source_etag_;            // The state of the source's file that is to be read.
  bool lasting_ = true;                // That is known by what it holds.
};

}  // namespace longhaul
