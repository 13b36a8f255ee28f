// Configuration: one YAML file read into plain values (rules/rule.h) and checked as a whole.
//
// Every mistake is told in one go, as "FILE:LINE:COLUMN: FIELD: WHAT: REMEDY". What this version
// does not do is a mistake too; no field is read and then ignored. Defaults are the initializers in
// rules/rule.h; those that depend on something else are set here.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/yaml.h"
#include "rules/rule.h"
#include "rules/topology.h"

namespace longhaul {

// `file` is for messages; relative paths are relative to `directory`, which is absolute.
// kInvalidInput: all mistakes, one per line; `mistakes`, where given, gets them one by one.
// `problems`, where given, gets those of the topology, which are no mistakes then.
Result<Configuration> ParseConfiguration(std::string_view text, const std::string& file,
                                         const std::string& directory,
                                         const Environment& environment,
                                         std::vector<YamlMistake>* mistakes = nullptr,
                                         std::vector<TopologyProblem>* problems = nullptr);

// The same from a file. Blocks; for the start of the program. kNotFound, kDenied: the file.
Result<Configuration> LoadConfiguration(const std::string& file, const Environment& environment,
                                        std::vector<YamlMistake>* mistakes = nullptr,
                                        std::vector<TopologyProblem>* problems = nullptr);

// The environment of this process.
std::optional<std::string> ProcessEnvironment(std::string_view name);

// [A-Za-z0-9._-], 1 to `length_max` characters, not "." or "..": what names may be made of that
// become part of a key or a mark.
bool IsPlainName(std::string_view name, size_t length_max);

}  // namespace longhaul
