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
  // Whether an answer that came here said of this upload that the server encrypts it by SSE-KMS or
  // by a key of the customer: the ETags of its parts are then no MD5s, whatever they look like, and
  // prove nothing. The answer to a part says so at the latest. False: no answer has said so yet.
  // (Source: S3 API Reference, Object: ETag.)
  [[nodiscard]] virtual bool part_etags_opaque(const MultipartUpload&) const { return false; }
};

// Of a store that tells none, the default.
inline PartRules PartRulesOf(const Store& store) {
  const auto* has = dynamic_cast<const HasPartRules*>(&store);
  return has != nullptr ? has->part_rules() : PartRules{};
}

inline bool PartEtagsOpaque(const Store& store, const MultipartUpload& upload) {
  const auto* has = dynamic_cast<const HasPartRules*>(&store);
  return has != nullptr && has->part_etags_opaque(upload);
}

}  // namespace longhaul
