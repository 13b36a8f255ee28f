#include "replication/context/content_kinds.h"

#include <algorithm>

#include "archive/content_label.h"

namespace longhaul {

std::string ContentKinds::NameOf(std::string_view rule_id, std::string_view key) {
  return std::string(rule_id) + "/" + KeyEnding(key);  // A rule's id has no "/".
}

ContentKinds::Answer ContentKinds::Ask(std::string_view rule_id, std::string_view key) {
  const auto found = kinds_.find(NameOf(rule_id, key));
  if (found == kinds_.end()) return Answer::kTakeSample;
  Kind& kind = found->second;
  if (kind.count < kSamplesMin || ++kind.asks >= kAsksPerSample) return Answer::kTakeSample;
  const uint32_t all = (1U << kind.count) - 1;
  const uint32_t seen = kind.samples & all;
  if (seen != 0 && seen != all) return Answer::kTakeSample;
  return seen == all ? Answer::kShrinks : Answer::kDoesNotShrink;
}

void ContentKinds::Learn(std::string_view rule_id, std::string_view key, bool shrinks) {
  std::string name = NameOf(rule_id, key);
  const auto found = kinds_.find(name);
  if (found == kinds_.end() && kinds_.size() >= kKindsMax) return;
  Kind& kind = found == kinds_.end() ? kinds_[std::move(name)] : found->second;
  kind.samples = kind.samples << 1 | (shrinks ? 1U : 0U);
  kind.count = std::min(kind.count + 1, kSamplesKept);
  kind.asks = 0;
}

}  // namespace longhaul
