// Digests as a server makes them, independent of the code under test.

#pragma once

#include <string>
#include <string_view>

#include "storage/object.h"

namespace longhaul::testing {

// Raw.
std::string Md5Digest(std::string_view bytes);
std::string RawChecksum(ChecksumAlgorithm algorithm, std::string_view bytes);

std::string Base64(std::string_view bytes);
std::string Hex(std::string_view bytes);

}  // namespace longhaul::testing
