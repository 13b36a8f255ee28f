// From settings.json and replication_config.json, the two files of the cross-region compressor of
// AWS Samples, to rules.
//
// Source: its code (aws-samples/sample-s3-cross-region-compressor), which its documents contradict
// here and there.

#pragma once

#include <optional>

#include "rules/import_draft.h"

namespace longhaul {

// What settings.json says that rules need: who may replicate from where to where.
struct PairSettings {
  std::string file;
  std::string stack;
  std::map<std::string, std::set<std::string>> roles;  // "source", "target", by region.
};

PairSettings ReadPairSettings(ImportFields& fields, const std::string& file, ImportLog& log);

// `fields`: of replication_config.json. Each source becomes a rule, each of its destinations a
// target.
ImportDraft DraftOfPair(ImportFields& fields, const std::optional<PairSettings>& settings,
                        const ImportOptions& options, ImportLog& log);

}  // namespace longhaul
