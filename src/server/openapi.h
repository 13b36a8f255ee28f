// The text of openapi.yaml, as it is embedded in the binary.

#pragma once

#include <string_view>

namespace longhaul {

std::string_view OpenApiText();

}  // namespace longhaul
