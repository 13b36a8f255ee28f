// The checksums with which the parts of uploads under way came, so that those which a
// CompleteMultipartUpload names can be compared: a Store remembers parts by their ETag.
//
// In memory and bounded: after a restart, and of the oldest uploads where there are very many
// parts, a part is known by its ETag alone. Belongs to one shard.

#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "storage/object.h"

namespace longhaul {

class GatewayPartNotes {
 public:
  void Add(const std::string& upload_id, int number, std::string etag, Checksum checksum);
  // That of the part of this number and ETag, if its algorithm is this one.
  [[nodiscard]] std::optional<Checksum> Find(const std::string& upload_id, int number,
                                             const std::string& etag,
                                             ChecksumAlgorithm algorithm) const;
  void Forget(const std::string& upload_id);

 private:
  struct Note {
    std::string etag;
    Checksum checksum;
  };
  std::map<std::string, std::map<int, Note>> uploads_;
  size_t count_ = 0;
};

}  // namespace longhaul
