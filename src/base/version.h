// The version of this build, "0.3.0".

#pragma once

#include <string_view>

namespace longhaul {

extern const std::string_view kVersion;

}  // namespace longhaul
