// The text of configuration.schema.json, as it is embedded in the binary: a JSON Schema (draft
// 2020-12) of the configuration. Its test asks the loader for every field that it knows.

#pragma once

#include <string_view>

namespace longhaul {

std::string_view ConfigurationSchema();

}  // namespace longhaul
