#include "cli/rule_life.h"

#include "base/units.h"
#include "cli/output.h"

namespace longhaul {

void DeclareRule(FlagSet& flags, std::string& rule) {
  flags.Argument("RULE", "The id of a rule.", rule).completes = Completes::kRules;
}

void DeclareRule(FlagSet& flags, std::optional<std::string>& rule) {
  flags.Argument("RULE", "The id of a rule. Default: all of them.", rule).completes =
      Completes::kRules;
}

void DeclareTarget(FlagSet& flags, std::string_view help, std::string& target) {
  flags.Text({.name = "target", .help = help, .value_name = "NAME"}, target);
}

Result<const Configuration*> RequireRules(RunContext& context) {
  const Configuration* configuration = context.configuration();
  if (configuration == nullptr) {
    return InvalidInput("no configuration: give --config or LONGHAUL_CONFIG");
  }
  if (configuration->rules.empty()) {
    return InvalidInput(configuration->file + ": rules: there is none");
  }
  return configuration;
}

Result<const Rule*> RequireRule(const Configuration& configuration, std::string_view id) {
  if (const Rule* rule = configuration.FindRule(id)) return rule;
  std::vector<std::string_view> ids;
  for (const Rule& rule : configuration.rules) ids.push_back(rule.id);
  const std::string_view meant = ClosestName(id, ids);
  return InvalidInput(configuration.file + " has no rule '" + Printable(id) + "'" +
                      (meant.empty() ? "" : "; did you mean '" + std::string(meant) + "'?"));
}

Result<const Target*> RequireTarget(const Rule& rule, std::string_view name) {
  std::string names;
  for (const Target& target : rule.targets) {
    if (target.name == name || target.to.ToString() == name) return &target;
    names += (names.empty() ? "" : ", ") + target.name + " (" + target.to.ToString() + ")";
  }
  return InvalidInput("rule " + rule.id + " has no target '" + Printable(name) + "'; there is " +
                      names);
}

std::string AgoText(SystemTime time, SystemTime now) {
  const std::chrono::duration<double> age = now - time;
  return FormatSeconds(std::max(0.0, age.count())) + " ago";
}

}  // namespace longhaul
