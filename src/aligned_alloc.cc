// aligned_alloc as plain malloc where that is aligned enough. Asio takes the memory of each
// coroutine's frame by it, with the alignment of malloc: mimalloc 2.0 goes a way for it that takes
// five times as many instructions (150 instead of 30, some fifty times for each object copied).
// Part of the program only where it is linked with mimalloc.

#include <cstddef>
#include <cstdlib>

extern "C" void* aligned_alloc(size_t alignment, size_t size) {
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size);
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}
