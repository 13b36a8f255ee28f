#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace longhaul {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "longhaul: bug: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace longhaul
