#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "base/yaml.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/import_files.h"
#include "cli/output.h"
#include "rules/configuration.h"
#include "rules/export_native.h"
#include "rules/import.h"
#include "rules/topology_graph.h"

namespace longhaul {

namespace {

FlagInfo ConfigFlag() {
  return {.name = "config",
          .help = "The configuration.",
          .value_name = "FILE",
          .letter = 'c',
          .completes = Completes::kFiles};
}

// Variables hold secrets, and none is needed to see how rules fit together: what is not set is not
// missed.
Result<Configuration> LoadWithoutSecrets(const std::string& file, Output& output,
                                         std::vector<TopologyProblem>* problems) {
  if (file.empty()) {
    return InvalidInput("no configuration: give FILE, --config or LONGHAUL_CONFIG");
  }
  auto lookup = [&output](std::string_view name) -> std::optional<std::string> {
    return output.console().Environment(std::string(name)).value_or(std::string(kAssumedText));
  };
  return LoadConfiguration(file, lookup, nullptr, problems);
}

class RulesImportCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "rules import",
        .summary = "make a configuration of another system's",
        .description =
            "Writes a configuration of longhaul to standard output that does what FILE says. "
            "FILE is recognised by its content: S3's ReplicationConfiguration as JSON (what "
            "`aws s3api get-bucket-replication` prints) or XML, or the settings.json and "
            "replication_config.json of the cross-region compressor of AWS Samples, given "
            "together.\n\n"
            "Standard error has a line for each field that is not carried over, that behaves in "
            "another way, or that a person must fill in, with what to do; nothing is dropped "
            "without such a line. What is written passes `config check`. With a mistake in FILE, "
            "or rules that do not go together, nothing is written and the exit code is 2.\n\n"
            "STORE is the name of a store of the new configuration. Named like a region, it is "
            "in that region.",
        .examples = {{"From S3 to a configuration",
                      "aws s3api get-bucket-replication --bucket acme-in | longhaul rules import "
                      "/dev/stdin --source eu-west-1:acme-in --target us-east-2 --staging "
                      "us-east-2:acme-staging/ > longhaul.yaml"},
                     {"Targets in two regions",
                      "longhaul rules import repl.xml --source eu-west-1:acme-in --target "
                      "acme-copy=us-east-2 --target acme-far=ap-south-1 > longhaul.yaml"},
                     {"From the cross-region compressor",
                      "longhaul rules import settings.json replication_config.json > "
                      "longhaul.yaml"}},
        .exit_codes = {}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("FILE", "What to import.", 1, files_).completes = Completes::kFiles;
    flags.Text({.name = "source",
                .help = "The store and the source bucket of a ReplicationConfiguration, which does "
                        "not name it.",
                .value_name = "STORE:BUCKET"},
               source_);
    flags.List(
        {.name = "target",
         .help = "The store that a target bucket of a ReplicationConfiguration is in, or all "
                 "of them. Default: target.",
         .value_name = "[BUCKET=]STORE",
         .of_environment = false},
        targets_);
    flags.List({.name = "staging",
                .help = "Staging for the targets in that store; a bucket in their region.",
                .value_name = "STORE:BUCKET/PREFIX"},
               stagings_);
    flags.Text({.name = "site",
                .help = "The name of this installation in marks. Default: the source's store.",
                .value_name = "NAME"},
               site_);
    flags.Switch(
        {.name = "existing",
         .help = "Carry also what was written before now: both sides are compared. Default: "
                 "as the other system does, which leaves it."},
        existing_);
  }
  [[nodiscard]] bool asynchronous() const override { return false; }

  Result<ExitCode> Run(Output& output) override {
    Result<ImportOptions> options = Options();
    if (!options) return options.error();
    Result<std::vector<ImportFile>> files = ReadImportFiles(files_);
    if (!files) return files.error();
    Result<ImportResult> imported = ImportRules(*files, *options);
    if (!imported) {
      output.console().WriteError(imported.error().message + "\n");
      return ExitCode::kUsage;
    }
    TellRemarks(output, imported->remarks);
    output.Raw(imported->yaml);
    return ExitCode::kDone;
  }

 private:
  Result<ImportOptions> Options() const {
    ImportOptions options;
    options.now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    options.existing = existing_;
    options.site = site_;
    if (!site_.empty() && !IsPlainName(site_, 32)) {
      return InvalidInput("--site: use up to 32 of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
    if (!source_.empty()) {
      Result<Address> source = ParseAddress(source_);
      if (!source || !IsPlainName(source->store, 64) || !source->prefix.empty()) {
        return InvalidInput("--source: write STORE:BUCKET; prefixes come from the file");
      }
      options.source = std::move(*source);
    }
    for (const std::string& target : targets_) {
      const size_t equals = target.find('=');
      const std::string bucket = equals == std::string::npos ? "" : target.substr(0, equals);
      const std::string store = equals == std::string::npos ? target : target.substr(equals + 1);
      if (!IsPlainName(store, 64) || equals == 0) {
        return InvalidInput("--target: write STORE, or BUCKET=STORE");
      }
      if (!options.target_stores.emplace(bucket, store).second) {
        return InvalidInput("--target says twice where " +
                            (bucket.empty() ? "all targets" : bucket) + " is");
      }
    }
    for (const std::string& staging : stagings_) {
      Result<Address> address = ParseAddress(staging);
      if (!address || !IsPlainName(address->store, 64)) {
        return InvalidInput("--staging: write STORE:BUCKET/PREFIX");
      }
      const std::string store = address->store;
      if (!options.staging.emplace(store, std::move(*address)).second) {
        return InvalidInput("--staging is given twice for the store " + store);
      }
    }
    return options;
  }

  std::vector<std::string> files_;
  std::string source_;
  std::vector<std::string> targets_;
  std::vector<std::string> stagings_;
  std::string site_;
  bool existing_ = false;
};

// Of another server's partition whatever it takes for one.
bool IsRoleArn(std::string_view text) {
  std::array<std::string_view, 6> parts;  // arn, partition, service, region, account, resource.
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t end = i + 1 < parts.size() ? text.find(':') : text.size();
    if (end == std::string_view::npos) return false;
    parts[i] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto& [arn, partition, service, region, account, resource] = parts;
  if (arn != "arn" || partition.empty() || resource.empty()) return false;
  if (!partition.starts_with("aws")) return true;
  const bool digits =
      account.size() == 12 && account.find_first_not_of("0123456789") == std::string_view::npos;
  return service == "iam" && digits && resource.starts_with("role/") && resource.size() > 5;
}

class RulesExportCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "rules export",
            .summary = "write rules as S3's own ReplicationConfiguration",
            .description =
                "Writes the rules ID, all of one source bucket, as JSON for `aws s3api "
                "put-bucket-replication`. Standard error has a line for all that S3's replication "
                "cannot do. What is written can be imported again. S3 wants versioning on in the "
                "source and target buckets.",
            .examples = {{"One rule",
                          "longhaul rules export app-logs --config longhaul.yaml --role "
                          "arn:aws:iam::111122223333:role/replication > repl.json"}},
            .exit_codes = {}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("ID", "Rules of the configuration.", 1, ids_).completes = Completes::kNothing;
    flags.Text(ConfigFlag(), config_path_);
    flags.Parsed({.name = "role",
                  .help = "The role that S3 replicates as. Default: a placeholder.",
                  .value_name = "ARN"},
                 [this](std::string_view text) -> Result<void> {
                   if (!IsRoleArn(text)) {
                     return InvalidInput("'" + std::string(text.substr(0, 200)) +
                                         "' is not the ARN of a role, as "
                                         "arn:aws:iam::111122223333:role/replication");
                   }
                   options_.role = text;
                   return Ok();
                 });
    flags.Choice(
        {.name = "partition", .help = "Of the buckets' ARNs. Default: aws.", .value_name = "NAME"},
        {"aws", "aws-cn", "aws-us-gov"}, options_.partition);
  }
  [[nodiscard]] bool asynchronous() const override { return false; }

  Result<ExitCode> Run(Output& output) override {
    Result<Configuration> configuration = LoadWithoutSecrets(config_path_, output, nullptr);
    if (!configuration) {
      output.console().WriteError(configuration.error().message + "\n");
      return ExitCode::kUsage;
    }
    std::vector<const Rule*> rules;
    for (const std::string& id : ids_) {
      const Rule* rule = configuration->FindRule(id);
      if (rule == nullptr) return InvalidInput(configuration->file + " has no rule '" + id + "'");
      rules.push_back(rule);
    }
    Result<ExportResult> exported = ExportRules(rules, options_);
    if (!exported) return exported.error();
    TellRemarks(output, exported->remarks);
    output.Raw(exported->json);
    return ExitCode::kDone;
  }

 private:
  std::vector<std::string> ids_;
  std::string config_path_;
  ExportOptions options_;
};

class RulesCheckCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "rules check",
        .summary = "see how rules fit together, and draw it",
        .description =
            "Draws where objects come from, by which staging they go, and where to: as text, or "
            "for Graphviz. Cycles, two writers of one place and staging that lies in the way are "
            "marked in the drawing and told below it, with exit code 2. No store is contacted, "
            "and variables need not be set. `config check` reads the file as `replicate` would.",
        .examples = {{"On the terminal", "longhaul rules check longhaul.yaml"},
                     {"As a picture",
                      "longhaul rules check --graph dot longhaul.yaml | dot -Tsvg > rules.svg"}},
        .exit_codes = {}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("FILE", "The configuration, instead of --config.", file_).completes =
        Completes::kFiles;
    flags.Text(ConfigFlag(), config_path_);
    flags.Choice(
        {.name = "graph", .help = "How to draw it. Default: text.", .value_name = "FORMAT"},
        {"text", "dot"}, graph_);
  }
  [[nodiscard]] bool asynchronous() const override { return false; }

  Result<ExitCode> Run(Output& output) override {
    std::vector<TopologyProblem> problems;
    Result<Configuration> configuration =
        LoadWithoutSecrets(file_.value_or(config_path_), output, &problems);
    if (!configuration) {
      output.console().WriteError(configuration.error().message + "\n");
      return ExitCode::kUsage;
    }
    output.Raw(graph_ == "dot" ? DrawTopologyDot(*configuration, problems)
                               : DrawTopologyText(*configuration, problems));
    return problems.empty() ? ExitCode::kDone : ExitCode::kUsage;
  }

 private:
  std::optional<std::string> file_;
  std::string config_path_;
  std::string graph_ = "text";
};

}  // namespace

std::unique_ptr<Command> MakeRulesImportCommand() { return std::make_unique<RulesImportCommand>(); }
std::unique_ptr<Command> MakeRulesExportCommand() { return std::make_unique<RulesExportCommand>(); }
std::unique_ptr<Command> MakeRulesCheckCommand() { return std::make_unique<RulesCheckCommand>(); }

}  // namespace longhaul
