// Lists of keys that people and other tools write, as listings: one key to a line, CSV manifests of
// S3 Batch Operations, JSON lines.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/passed_over.h"
#include "transfer/listing/text_lines.h"

namespace longhaul {

// Told of a key that a list names and the store does not have. `key`: empty where a line has none.
using MissingKey = std::function<void(const Error&, const std::string& key)>;

// Told of a line that makes no sense and of a key that the store does not show, with the line;
// tells whether the list goes on without it. `proven`: another line was right.
using WrongLine = std::function<bool(const Error&, const std::string& key, bool proven)>;

// The code of an error that is a line's.
inline constexpr std::string_view kWrongLine = "WrongLine";

enum class KeyListKind {
  kNames,      // Names below the prefix; blank lines and those that begin with # or ; are left out,
               // blanks around a name and a / before it, too (rclone's --files-from).
  kRawNames,   // The same, each line as it is (--files-from-raw).
  kCsv,        // bucket,key[,version]: keys are URL-encoded (S3 Batch Operations).
  kJsonLines,  // {"key":…} and what else is known: bucket, size, etag, last_modified, version_id,
               // is_delete_marker.
};

// What a line says; nullopt: nothing. `known`: it tells size and time, too.
Result<std::optional<ListedObject>> ParseKeyLine(KeyListKind kind, std::string_view line,
                                                 std::string_view bucket, std::string_view prefix,
                                                 bool& known);

// What a list is read for.
enum class KeyListOf {
  kObjects,   // A delete marker is a line that makes no sense.
  kVersions,  // ListedObject::is_delete_marker tells what one is.
};

// In the order of the file. Of what a line does not tell (the size, the time, the ETag) `store` is
// asked, many objects at a time; of a key that is not there `missing` hears (kNotFound, with the
// line) and it is left out; without `missing` that is the error. Keys that are not below the prefix
// are left out. kInvalidInput: a line that makes no sense or names another bucket, with its number;
// that, and what the store says of one key, `wrong` decides about where there is one. Of what is
// passed over the store is not asked. `none_max`: where not one of so many first names is there,
// the list ends with an error (kNotFound): it is of another place; 0: it does not.
std::unique_ptr<Listing> OpenKeyList(Runtime runtime, std::unique_ptr<TextLines> lines,
                                     KeyListKind kind, Store& store, std::string bucket,
                                     std::string prefix, MissingKey missing = nullptr,
                                     WrongLine wrong = nullptr, PassedOver passed_over = nullptr,
                                     uint64_t none_max = 0, KeyListOf of = KeyListOf::kObjects);

}  // namespace longhaul
