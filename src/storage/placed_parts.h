// PlacesParts: what a store is besides, that writes each part of an upload straight to where it
// belongs in the object, and keeps with the upload what its parts are of. Whoever goes on with an
// object that broke off needs no record of its own, and nothing is written twice.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/store.h"

namespace longhaul {

// What the parts are of, and how the object is cut.
struct PartPlaces {
  // Names the source, its state, and what the object is to be besides its bytes. An upload is gone
  // on with for the same text alone.
  std::string origin;
  uint64_t size_bytes = 0;       // > 0
  uint64_t part_size_bytes = 0;  // > 0; the last part may be smaller.
};

struct PlacedUpload {
  MultipartUpload upload;
  uint64_t part_size_bytes = 0;     // That of the upload, whatever was asked for.
  std::vector<UploadedPart> parts;  // That need not be uploaded again.
};

class PlacesParts {
 public:
  virtual ~PlacesParts() = default;

  // The upload of that origin which a process that is gone, or Leave, has left, with those of its
  // parts whose bytes are still what was written; else a new one. What is left of other origins
  // under this key is removed. `request`: as of CreateMultipart, but its condition counts here, and
  // a digest of the whole (`checksum` with a value, `content_md5`) is compared on completion.
  virtual Async<PlacedUpload> OpenPlaced(PutRequest request, PartPlaces places) = 0;
  // Gives it up without removing it: another attempt may take it.
  virtual void Leave(const MultipartUpload& upload) = 0;
};

// What a store is that does so, or that stands before one that may.
class HasPlacedParts {
 public:
  virtual ~HasPlacedParts() = default;
  // Null: it does not.
  [[nodiscard]] virtual PlacesParts* placed_parts() = 0;
};

inline PlacesParts* PlacedPartsOf(Store& store) {
  auto* has = dynamic_cast<HasPlacedParts*>(&store);
  return has != nullptr ? has->placed_parts() : nullptr;
}

}  // namespace longhaul
