// Whether what was kept of a key is of what its rule reads now.

#pragma once

#include <string>

#include "rules/rule.h"

namespace longhaul {

// `store` and `bucket`: of what it was heard; empty: by a version that did not write it. Another
// bucket's keys are other objects. A store of another name may be the same one, or another: of a
// rule with deletes, what that one lacks would be deleted past the delete guard.
inline bool IsOfSource(const std::string& store, const std::string& bucket, const Rule& rule) {
  if (!bucket.empty() && bucket != rule.source.bucket) return false;
  return store.empty() || store == rule.source.store || !rule.deletes;
}

}  // namespace longhaul
