// Listed objects as compact bytes: what waits in memory for its turn, and sorted runs on disk.
//
// About 60 bytes for an object with a UUID for a key, where ListedObject itself takes 300. Private
// to a process: there is no version in it, and nobody else reads it.

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/object.h"

namespace longhaul {

std::string EncodeListed(std::span<const ListedObject> objects);
// kCorrupt: not what EncodeListed wrote.
Result<std::vector<ListedObject>> DecodeListed(std::string_view bytes);

// What an object takes in memory, about.
size_t ListedBytes(const ListedObject& object);

}  // namespace longhaul
