// Any bytes as the prune note of a vault.

#include <cstdint>
#include <string_view>

#include "backup/prune_note.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<backup::PrunedSince> pruned = backup::ParsePruneNote(text);
  if (!pruned) return 0;
  // The next prune writes it once more, with what this one tells.
  const Result<backup::PrunedSince> again =
      backup::ParsePruneNote(backup::EncodePruneNote(*pruned));
  if (!again || *again != *pruned) __builtin_trap();
  return 0;
}
