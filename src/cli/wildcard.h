// Wildcards: no address has any, although a shell and s5cmd do. '*' and '?' are characters of keys.
//
// An object whose key they are in is meant where there is one. Where there is none, whoever typed
// them most likely meant what matches, and is told how that is said here.

#pragma once

#include <string_view>

#include "cli/address.h"

namespace longhaul {

// Whether the key has characters that are wildcards elsewhere.
bool LooksLikeWildcard(const CommandAddress& address);

// `error` about `address`; where it says that there is no such key, and the key looks like a
// wildcard, with the command that takes what matches. `command`: what stands before --include, as
// "cp --recursive"; `rest`: behind the address, as " TARGET".
Error WithWildcardRemedy(Error error, std::string_view command, const CommandAddress& address,
                         std::string_view rest = "");

}  // namespace longhaul
