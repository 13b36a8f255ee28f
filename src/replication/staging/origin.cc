#include "replication/staging/origin.h"

namespace longhaul {

Result<void> CheckOrigin(const Rule& rule, const ArchiveManifest& manifest) {
  const Result<Address> source = ParseAddress(manifest.source);
  // The name of the store is each configuration's own.
  if (!source || source->bucket == rule.source.bucket) return Ok();
  return InvalidInput("it holds objects of " + manifest.source + ", and rule " + rule.id +
                      " reads " + rule.source.ToString() +
                      " now: give a rule of another source another id, and let the old one run "
                      "until its staging is empty; give each installation a staging of its own; "
                      "or remove this archive");
}

}  // namespace longhaul
