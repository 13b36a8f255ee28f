#include "base/allocator.h"

#include <malloc.h>

// Of mimalloc's public interface. Weak: only the program itself is linked with it.
extern "C" __attribute__((weak)) void mi_collect(bool force);

namespace longhaul {

void ReleaseFreedMemory() {
  if (mi_collect != nullptr) {
    mi_collect(true);
  } else {
    ::malloc_trim(0);
  }
}

}  // namespace longhaul
