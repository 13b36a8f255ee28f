#include "base/secret.h"

#include <ostream>

namespace longhaul {

void PrintTo(const Secret& secret, std::ostream* out) {
  *out << (secret.empty() ? "(no secret)" : "(secret)");
}

}  // namespace longhaul
