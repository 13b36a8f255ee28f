#include "rules/priority.h"

#include <algorithm>

namespace longhaul {

bool AreRivals(const Rule& one, const Target& target_of_one, const Rule& other,
               const Target& target_of_other) {
  // A vault keeps every archive: nothing there is written twice.
  if (target_of_one.backup || target_of_other.backup) return false;
  if (one.source.store != other.source.store || one.source.bucket != other.source.bucket ||
      target_of_one.to.store != target_of_other.to.store ||
      target_of_one.to.bucket != target_of_other.to.bucket) {
    return false;
  }
  // Keys of both are below the longer of the two prefixes.
  const std::string& longer = one.source.prefix.size() >= other.source.prefix.size()
                                  ? one.source.prefix
                                  : other.source.prefix;
  const std::optional<std::string> key_of_one = TargetKey(one, target_of_one, longer);
  const std::optional<std::string> key_of_other = TargetKey(other, target_of_other, longer);
  return key_of_one && key_of_other && *key_of_one == *key_of_other;
}

std::vector<const Rule*> RivalsAbove(const std::vector<Rule>& rules, const Rule& rule,
                                     const Target& target) {
  std::vector<const Rule*> above;
  for (const Rule& other : rules) {
    if (&other == &rule || !other.enabled || other.priority <= rule.priority) continue;
    const bool rival = std::ranges::any_of(other.targets, [&](const Target& target_of_other) {
      return AreRivals(rule, target, other, target_of_other);
    });
    if (rival) above.push_back(&other);
  }
  return above;
}

bool Covers(const Rule& outer, const Rule& inner) {
  const Filter& out = outer.filter;
  const Filter& in = inner.filter;
  const bool sizes =
      out.size_bytes_min <= in.size_bytes_min &&
      (!out.size_bytes_max || (in.size_bytes_max && *in.size_bytes_max <= *out.size_bytes_max));
  const bool times =
      !out.modified_since || (in.modified_since && *out.modified_since <= *in.modified_since);
  // Tags are kept in order.
  const bool tags = std::ranges::includes(in.tags, out.tags);
  return inner.source.prefix.starts_with(outer.source.prefix) && in.suffix.ends_with(out.suffix) &&
         sizes && times && tags && (out.kms_encrypted || !in.kms_encrypted);
}

const Rule* CarrierAmong(const std::vector<const Rule*>& rivals, std::string_view key,
                         const ObjectFacts& facts) {
  for (const Rule* rival : rivals) {
    if (rival->MatchesKey(rival->source.bucket, key) &&
        rival->filter.Matches(facts) == Filter::Match::kYes) {
      return rival;
    }
  }
  return nullptr;
}

}  // namespace longhaul
