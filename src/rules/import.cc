#include "rules/import.h"

#include <algorithm>

#include "rules/configuration.h"
#include "rules/import_native.h"
#include "rules/import_pair.h"

namespace longhaul {

namespace {

enum class Shape { kNative, kWrappedNative, kPairRules, kPairSettings, kUnknown };

bool Has(const ImportNode& node, std::string_view name) {
  return std::ranges::any_of(node.members, [&](const auto& member) { return member.name == name; });
}

Shape ShapeOf(const ImportNode& node) {
  if (Has(node, "ReplicationConfiguration")) return Shape::kWrappedNative;
  if (node.xml) return Shape::kUnknown;
  if (Has(node, "Rules")) return Shape::kNative;
  if (Has(node, "replication_configuration")) return Shape::kPairRules;
  if (Has(node, "enabled_regions") || Has(node, "stack_name")) return Shape::kPairSettings;
  return Shape::kUnknown;
}

// "Rules, Role": what a person may recognise.
std::string NamesOf(const ImportNode& node) {
  constexpr size_t kShown = 5;
  std::string names;
  for (size_t i = 0; i < node.members.size() && i < kShown; ++i) {
    names += (names.empty() ? "" : ", ") + QuotedForImport(node.members[i].name);
  }
  return names.empty() ? "nothing" : names + (node.members.size() > kShown ? ", …" : "");
}

struct Input {
  const ImportFile* file = nullptr;
  ImportNode node;
  Shape shape = Shape::kUnknown;

  [[nodiscard]] std::string place() const { return file->name + ": "; }
};

std::vector<Input> ParseAll(const std::vector<ImportFile>& files, ImportLog& log) {
  std::vector<Input> inputs;
  for (const ImportFile& file : files) {
    Result<ImportNode> node = ParseImportDocument(file.text);
    if (!node) {
      log.Fail(file.name, node.error().message);
      continue;
    }
    Input input{.file = &file, .node = std::move(*node), .shape = Shape::kUnknown};
    input.shape = ShapeOf(input.node);
    if (input.shape == Shape::kUnknown) {
      log.Fail(file.name, "no configuration that is known: it holds " + NamesOf(input.node),
               "known are S3's ReplicationConfiguration (JSON or XML), and settings.json with "
               "replication_config.json");
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

ImportDraft DraftOf(const Input& main, const Input* settings_input, const ImportOptions& options,
                    ImportLog& log) {
  const ImportValue top(main.node, main.place(), log);
  std::optional<ImportFields> fields = top.Fields();
  if (!fields) return {};
  if (main.shape == Shape::kPairRules) {
    std::optional<PairSettings> settings;
    if (settings_input != nullptr) {
      const ImportValue value(settings_input->node, settings_input->place(), log);
      if (auto inner = value.Fields()) {
        settings = ReadPairSettings(*inner, settings_input->file->name, log);
      }
    }
    return DraftOfPair(*fields, settings, options, log);
  }
  NativeConfiguration native;
  if (main.shape == Shape::kNative) {
    native = ReadNativeConfiguration(*fields, log);
  } else if (auto inner = fields->Find("ReplicationConfiguration")) {
    // Places begin inside of it: "Rules[0]".
    const ImportValue inside(inner->node(), main.place(), log);
    std::optional<ImportFields> inside_fields = inside.Fields();
    fields->Finish();
    if (inside_fields) native = ReadNativeConfiguration(*inside_fields, log);
  }
  if (log.failed()) return {};
  return DraftOfNative(native, main.file->name, options, log);
}

// What the configuration's own checks say of the draft, with places of the input.
void Verify(const ImportDraft& draft, const std::string& yaml, ImportLog& log) {
  std::vector<YamlMistake> mistakes;
  Result<Configuration> read = ParseConfiguration(
      yaml, "longhaul.yaml", "/", [](std::string_view) { return std::nullopt; }, &mistakes);
  if (read) return;
  for (const YamlMistake& mistake : mistakes) {
    std::string place = mistake.field;
    constexpr std::string_view kRules = "rules[";
    if (place.starts_with(kRules)) {
      const size_t index = std::strtoul(place.c_str() + kRules.size(), nullptr, 10);
      if (index < draft.rules.size()) {
        place = draft.rules[index].place + " (rule " + draft.rules[index].rule.id + ")";
      }
    }
    log.Fail(place, mistake.what, mistake.remedy);
  }
  if (!log.failed()) log.Fail("", read.error().message);
}

}  // namespace

Result<ImportResult> ImportRules(const std::vector<ImportFile>& files,
                                 const ImportOptions& options) {
  ImportLog log;
  const std::vector<Input> inputs = ParseAll(files, log);
  if (log.failed()) return log.ToError();
  const Input* settings = nullptr;
  const Input* main = nullptr;
  for (const Input& input : inputs) {
    const Input*& place = input.shape == Shape::kPairSettings ? settings : main;
    if (place != nullptr) {
      log.Fail(input.file->name,
               "one configuration at a time, and " + place->file->name + " is one already",
               "import them one by one, and put the rules into one file");
      return log.ToError();
    }
    place = &input;
  }
  if (main == nullptr) {
    log.Fail(settings == nullptr ? "" : settings->file->name, "says nothing of what is replicated",
             "give replication_config.json with it");
    return log.ToError();
  }
  if (settings != nullptr && main->shape != Shape::kPairRules) {
    log.Fail(settings->file->name, "does not belong to " + main->file->name,
             "it goes with a replication_config.json");
    return log.ToError();
  }

  ImportDraft draft = DraftOf(*main, settings, options, log);
  if (log.failed()) return log.ToError();
  draft.comments = {"What `longhaul rules import` made of " + main->file->name + "."};
  ImportResult result;
  result.yaml = WriteDraft(draft);
  Verify(draft, result.yaml, log);
  if (log.failed()) return log.ToError();
  result.remarks = log.remarks();
  result.rules = draft.rules.size();
  for (const ImportedRule& rule : draft.rules) result.targets += rule.rule.targets.size();
  return result;
}

}  // namespace longhaul
