// PartRules: what the parts of an upload to a store must be like, and what their ETags are.

#pragma once

#include "storage/store.h"

namespace longhaul {

struct PartRules {
  bool equal = false;        // All but the last are of one size.
  bool etags_of_md5 = true;  // S3Quirks::multipart_etags
};

// What a store is besides, that has rules of its own or stands before one that may have.
class HasPartRules {
 public:
  virtual ~HasPartRules() = default;
  [[nodiscard]] virtual PartRules part_rules() const = 0;
};

// Of a store that tells none, the default.
inline PartRules PartRulesOf(const Store& store) {
  const auto* has = dynamic_cast<const HasPartRules*>(&store);
  return has != nullptr ? has->part_rules() : PartRules{};
}

}  // namespace longhaul
