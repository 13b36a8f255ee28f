#include "replication/staging/origin.h"

#include <string>

namespace longhaul {

Result<void> CheckOrigin(const Rule& rule, std::string_view site, const ArchiveManifest& manifest) {
  const Result<Address> source = ParseAddress(manifest.source);
  // The name of the store is each configuration's own.
  if (source && source->bucket != rule.source.bucket) {
    return InvalidInput("it holds objects of " + manifest.source + ", and rule " + rule.id +
                        " reads " + rule.source.ToString() +
                        " now: give a rule of another source another id, and let the old one run "
                        "until its staging is empty; or remove this archive");
  }
  if (!manifest.site.empty() && manifest.site != site) {
    return InvalidInput("it was packed by site " + manifest.site + ", and this is site " +
                        std::string(site) +
                        ": give each installation a staging of its own; where the roles of one "
                        "have a configuration each, write the same site in both");
  }
  return Ok();
}

}  // namespace longhaul
