// Tags of objects, where a HEAD need not tell of them.
//
// Some servers say with a GET alone how many there are (storage/object.h), so none is believed on
// the word of a HEAD.

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

}  // namespace longhaul
