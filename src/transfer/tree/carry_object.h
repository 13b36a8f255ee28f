// Carries out what was decided for one object of a tree: sets aside what it replaces, copies, and
// of a move removes the source. Of a plan and of a sync alike.
//
// A move removes the source only when the copy is there as it was written and would outlive the
// machine (storage/makes_durable.h), and only while the source is what was copied: it is looked at,
// and then removed If-Match. A source that has changed meanwhile stays, and is an error; so does
// one whose copy is a file that lacks its headers, metadata or tags.

#pragma once

#include <optional>
#include <string>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/object/copy_object.h"
#include "transfer/tree/tree.h"

namespace longhaul {

struct CarryOptions {
  CopyOptions copy;
  // Where to what is replaced or removed at the target goes, under its name; of the target's store.
  // What is there under that name goes, unless the target holds the copy that has replaced it.
  std::optional<TreeTarget> backup;
  bool move = false;
};

// `there`: what the listing says of the target. Errors of CopyObject; what was copied and could not
// be removed says so, and the source is still there.
Async<CopyOutcome> CarryObject(Runtime runtime, TreeSource source, TreeTarget target,
                               ListedObject object, std::optional<ListedObject> there,
                               CarryOptions options);

// The same, in place of exactly what `there` says (its ETag; none: nothing), which may be long ago:
// the target is looked at, and then written If-Match or If-None-Match where its server heeds those.
// kPrecondition: it "has changed since " `since`.
Async<CopyOutcome> CarryInPlaceOf(Runtime runtime, TreeSource source, TreeTarget target,
                                  ListedObject object, std::optional<ListedObject> there,
                                  CarryOptions options, std::string since);

// Whether two names may be one object: of one endpoint under two names, or of one bucket (an access
// point's), both say the same. A replica may, too.
bool MayBeOne(const ObjectInfo& one, const ObjectInfo& two);

// Of what one of these answered to `if_absent`: whether it is refused because there is an object,
// and not because the source has changed, or was copied and could not be removed.
bool IsThereAlready(const Error& error);

// Copies, and removes the source as said above.
Async<CopyOutcome> MoveObject(Runtime runtime, CopySource source, CopyTarget target,
                              CopyOptions options);

// Copies an object of the target to the backup. OK also when the target says that it has gone
// meanwhile.
Async<void> SetAside(Runtime runtime, TreeTarget target, TreeTarget backup, ListedObject there,
                     CopyOptions options);

// Removes `key` while it has that ETag; kPrecondition: it has not. Looks first, because not every
// server heeds If-Match on a delete.
Async<void> RemoveIfMatch(Store& store, std::string bucket, std::string key, std::string etag);

}  // namespace longhaul
