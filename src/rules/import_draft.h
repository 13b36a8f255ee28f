// ImportDraft: what an import found, on its way to a configuration in YAML.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rules/import_document.h"
#include "rules/rule.h"

namespace longhaul {

struct ImportOptions {
  // Of a native configuration, which is kept at the bucket and does not name it.
  std::optional<Address> source;
  // The stores of the target buckets: by bucket, and "" for all others. Where nothing is said a
  // native configuration's targets are in the store "target".
  std::map<std::string, std::string> target_stores;
  std::map<std::string, Address> staging;  // By store.
  std::string site;                        // Empty: the name of the source's store.
  // Objects that were last modified before this are not carried where the input's own system
  // would not; `existing`: they are.
  SystemTime now{};
  bool existing = false;
};

struct ImportedRule {
  Rule rule;
  std::string place;  // In the input, as in ImportRemark.
  std::vector<std::string> comments;
};

struct ImportDraft {
  std::string site;
  std::vector<std::string> store_names;  // All of S3; a name that is a region's is in that region.
  std::vector<ImportedRule> rules;
  std::vector<std::string> comments;  // At the top.

  void AddStore(const std::string& name);
  // `wanted` as the id of the next rule: what cannot stand in one becomes "-", and what another
  // rule has gets a number.
  std::string FreeRuleId(std::string_view wanted);

 private:
  std::set<std::string> ids_;
};

// Stand for buckets that the input does not name.
inline constexpr std::string_view kSourceToFillIn = "fill-in-source-bucket";
inline constexpr std::string_view kStagingToFillIn = "fill-in-staging-bucket";

// "eu-west-1", "us-gov-east-1": as a store's name it says where the store is.
bool IsRegionName(std::string_view name);

// The staging of a target in `store`: the option's, else a bucket to fill in, which is remarked on.
Address StagingFor(const std::string& store, const ImportOptions& options, ImportLog& log);

// The YAML. Everything that came from the input is quoted and stays the text it was.
std::string WriteDraft(const ImportDraft& draft);

}  // namespace longhaul
