// The media type of a file that nobody has described.

#pragma once

#include <string>
#include <string_view>

namespace longhaul {

// "text/html" for "a/index.html"; empty for names that tell nothing.
std::string ContentTypeOf(std::string_view key);

}  // namespace longhaul
