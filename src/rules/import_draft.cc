#include "rules/import_draft.h"

#include <algorithm>

#include "base/json.h"
#include "base/units.h"
#include "rules/configuration.h"

namespace longhaul {

namespace {

// A name that is nothing but a name in YAML.
bool IsBare(std::string_view text) {
  const bool letter_first =
      !text.empty() && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'));
  return letter_first && IsPlainName(text, 64) && text != "null" && text != "true" &&
         text != "false" && text != "yes" && text != "no" && text != "on" && text != "off";
}

// A value, in double quotes where it needs them: as JSON, and "${" does not stand for a variable.
std::string Quoted(std::string_view text) {
  if (IsBare(text)) return std::string(text);
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) escaped += '$';
    escaped += text[i];
  }
  std::string out;
  AppendJsonString(out, escaped);
  return out;
}

// The name of a field, where nothing is replaced.
std::string QuotedName(std::string_view name) {
  if (IsBare(name)) return std::string(name);
  std::string out;
  AppendJsonString(out, name);
  return out;
}

// One line, whatever was in it.
std::string Comment(std::string_view indent, std::string_view text) {
  std::string line(indent);
  line += "# ";
  for (char c : text) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return line + "\n";
}

std::string WriteStore(const std::string& name) {
  std::string out = "  " + Quoted(name) + ":\n    type: s3\n";
  if (IsRegionName(name)) {
    out += "    region: " + Quoted(name) + "\n";
  } else {
    out += Comment("    ",
                   "FILL IN, unless the environment or the profile says it: region: eu-west-1");
  }
  return out;
}

std::string WriteFilter(const Filter& filter) {
  std::string out;
  if (!filter.suffix.empty()) out += "      suffix: " + Quoted(filter.suffix) + "\n";
  if (!filter.tags.empty()) {
    out += "      tags:\n";
    for (const auto& [name, value] : filter.tags) {
      out += "        " + QuotedName(name) + ": " + Quoted(value) + "\n";
    }
  }
  if (filter.modified_since) {
    out += "      modified_since: " + Quoted(FormatRfc3339(*filter.modified_since)) + "\n";
  }
  if (!filter.kms_encrypted) out += "      kms_encrypted: false\n";
  return out.empty() ? "" : "    filter:\n" + out;
}

std::string WriteTarget(const Target& target) {
  std::string out = "      - to: " + Quoted(target.to.ToString()) + "\n";
  out += "        staging: " + Quoted(target.staging.ToString()) +
         (target.staging.bucket == kStagingToFillIn ? "  # FILL IN: a bucket in the target's region"
                                                    : "") +
         "\n";
  auto field = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) out += "        " + std::string(name) + ": " + Quoted(value) + "\n";
  };
  field("storage_class", target.storage_class);
  field("kms_key", target.kms_key);
  field("acl", target.acl);
  field("bucket_owner", target.bucket_owner);
  if (target.backup) {
    const std::string& name = target.backup->storage_class;
    out += "        backup: {" + (name.empty() ? name : " class: " + Quoted(name) + " ") + "}\n";
  }
  return out;
}

std::string WriteRule(const ImportedRule& imported) {
  const Rule& rule = imported.rule;
  std::string out = "  - id: " + Quoted(rule.id) + "\n";
  for (const std::string& comment : imported.comments) out += Comment("    ", comment);
  if (!rule.enabled) out += "    status: disabled\n";
  if (rule.priority != 0) out += "    priority: " + std::to_string(rule.priority) + "\n";
  out += "    source: " + Quoted(rule.source.ToString()) +
         (rule.source.bucket == kSourceToFillIn ? "  # FILL IN the bucket" : "") + "\n";
  out += WriteFilter(rule.filter);
  if (rule.deletes) out += "    deletes: true\n";
  if (rule.threshold) out += "    threshold: " + FormatDuration(*rule.threshold) + "\n";
  out += "    targets:\n";
  for (const Target& target : rule.targets) out += WriteTarget(target);
  return out;
}

}  // namespace

void ImportDraft::AddStore(const std::string& name) {
  if (std::ranges::find(store_names, name) == store_names.end()) store_names.push_back(name);
}

bool IsRegionName(std::string_view name) {
  // Letters-letters[-letters]-digits, as in the AWS General Reference, "Regions".
  size_t parts = 0;
  bool number_last = false;
  while (!name.empty()) {
    const std::string_view part = name.substr(0, name.find('-'));
    const bool digits =
        !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    const bool letters =
        !part.empty() && std::ranges::all_of(part, [](char c) { return c >= 'a' && c <= 'z'; });
    if (number_last || (!digits && !letters) || (digits && parts < 2)) return false;
    number_last = digits;
    ++parts;
    if (part.size() == name.size()) break;
    name.remove_prefix(part.size() + 1);
    if (name.empty()) return false;  // "-" at the end.
  }
  return number_last;
}

std::string ImportDraft::FreeRuleId(std::string_view wanted) {
  constexpr size_t kLengthMax = 64;
  std::string plain;
  for (char c : wanted.substr(0, kLengthMax)) {
    plain += c == '.' || IsPlainName(std::string_view(&c, 1), 1) ? c : '-';
  }
  if (!IsPlainName(plain, kLengthMax) || plain == "probe") plain = "rule-" + plain;
  std::string free = plain;
  for (int number = 2; !ids_.insert(free).second; ++number) {
    const std::string ending = "-" + std::to_string(number);
    free = plain.substr(0, kLengthMax - ending.size()) + ending;
  }
  return free;
}

Address StagingFor(const std::string& store, const ImportOptions& options, ImportLog& log) {
  const auto given = options.staging.find(store);
  if (given != options.staging.end()) return given->second;
  log.Remark(ImportRemark::Kind::kFillIn, "",
             "archives for targets in " + store + " need a staging bucket in their region",
             "give --staging " + store +
                 ":BUCKET/, or write it where the configuration says "
                 "FILL IN");
  return {.store = store, .bucket = std::string(kStagingToFillIn), .prefix = ""};
}

std::string WriteDraft(const ImportDraft& draft) {
  std::string out;
  for (const std::string& comment : draft.comments) out += Comment("", comment);
  out += "version: 1\nsite: " + Quoted(draft.site) + "\n";
  out += Comment("",
                 "A store has the keys of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or those of "
                 "profile: NAME, or");
  out += Comment("",
                 "access_key_id: \"${KEY_ID}\" and secret_access_key: \"${SECRET}\". Not AWS: "
                 "endpoint: https://HOST.");
  out += "stores:\n";
  for (const std::string& name : draft.store_names) out += WriteStore(name);
  out += "rules:\n";
  for (const ImportedRule& rule : draft.rules) out += WriteRule(rule);
  return out;
}

}  // namespace longhaul
