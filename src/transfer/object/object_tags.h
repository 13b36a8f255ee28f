// Tags of objects, where a HEAD need not tell of them, and an upload not have left them.
//
// Some servers say with a GET alone how many there are (storage/object.h), so none is believed on
// the word of a HEAD. Some forget those of an upload, and they are set when the object is there
// already (storage/store.h): whoever fails or dies between the two leaves one that looks right.

#pragma once

#include <optional>
#include <string>

#include "base/async.h"
#include "storage/store.h"

namespace longhaul {

// By which request an ObjectInfo came: the GET of an object tells how many tags it has.
enum class ToldBy { kGet, kHead };

struct FoundTags {
  Tags tags;
  // They may not be asked for, and nothing says that there are any. Nobody can know: where they are
  // denied they are not counted either.
  std::optional<Error> denied{};
};

// Asks for the tags of an object. `told`: what its HEAD or GET said of their number; where that is
// 0, a store that has no tags has none of it either.
Async<FoundTags> FindTags(Store& store, std::string bucket, std::string key, std::string version_id,
                          int told);

struct UploadedObject {
  Store& store;
  std::string bucket;
  std::string key;
  std::string etag;  // Empty: not known.
  Tags tags;         // That its upload was created with.
};

// Sees to the tags of what was uploaded in parts, perhaps by another process, perhaps without an
// answer. OK: it has them; or another object is there by now; or its store has none. AccessDenied:
// they may not be asked for, and nothing was done.
Async<void> SetMissingTags(UploadedObject object);
// The same without asking.
Async<void> SetTags(UploadedObject object);

}  // namespace longhaul
