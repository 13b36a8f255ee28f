// What s5cmd prints with --json, for scripts that read it: a line for each operation, and for what
// `ls` finds. It has none for what is skipped, nor a summary; errors go to standard error.

#pragma once

#include <string>
#include <string_view>

#include "storage/object.h"

namespace longhaul {

class Message;

// {"operation":"cp","success":true,"source":…,"destination":…,"object":{…}} of what was copied,
// moved or removed (or would be), {"created_at":…,"name":…} of a bucket. Empty: it has no line.
std::string S5cmdLine(const Message& message);
// `what`: the object's address, if it is one object that failed.
std::string S5cmdError(std::string_view operation, std::string_view what, std::string_view message);

// Lines of `ls`. `address`: whole, like "s3://bucket/key".
std::string S5cmdObject(std::string_view address, const ListedObject& object);
std::string S5cmdFolder(std::string_view address);

}  // namespace longhaul
