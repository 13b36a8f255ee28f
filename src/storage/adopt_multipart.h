// AdoptMultipart: tells a store of an upload that another process created.
//
// Most stores need to know nothing of an upload but its id. One of the S3 kind does: the checksums
// that were announced are those that its parts must have, and some servers forget the tags.

#pragma once

#include "storage/store.h"

namespace longhaul {

// What such a store is besides.
class AdoptsMultipart {
 public:
  virtual ~AdoptsMultipart() = default;
  // Asks the server nothing.
  virtual void Adopt(const MultipartUpload& upload, const PutRequest& request) = 0;
};

// `request`: what the upload was created with. Before its parts are uploaded or it is completed.
inline void AdoptMultipart(Store& store, const MultipartUpload& upload, const PutRequest& request) {
  if (auto* adopts = dynamic_cast<AdoptsMultipart*>(&store)) adopts->Adopt(upload, request);
}

}  // namespace longhaul
