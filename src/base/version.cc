#include "base/version.h"

namespace longhaul {

const std::string_view kVersion = LONGHAUL_VERSION;

}  // namespace longhaul
