// What a process does with the queue of its rules: by it remedies offer the rights that it needs,
// and no others.

#pragma once

namespace longhaul {

enum class QueueUse {
  kTakes,  // All: the source role, and whoever works on migrations.
  kSends,  // The target role with its API: sends, and shows and sends back what is dead.
  kLooks,  // The target role alone: counts.
};

}  // namespace longhaul
