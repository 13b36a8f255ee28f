// ContentLabel: what content seems to be, told from its key and its first bytes. What has one label
// mostly shrinks alike.

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace longhaul {

// What follows the last "." of the last segment, in lower case: up to 8 letters and digits, one of
// them a letter. Else empty.
std::string KeyEnding(std::string_view key);

// "csv", "csv gzip", "gzip", "": the ending, and the format that the first bytes are those of,
// where it is one that is compressed inside or a container. `head` may be empty.
std::string ContentLabel(std::string_view key, std::span<const std::byte> head);

}  // namespace longhaul
