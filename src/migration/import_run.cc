#include "migration/import_run.h"

#include <algorithm>

#include "base/ascii.h"
#include "migration/import_formats.h"
#include "rules/configuration.h"

namespace longhaul {
namespace {

enum class Shape {
  kCluster,
  kPairs,
  kJobs,
  kUpload,
  kDownload,
  kS3transCommand,
  kS3transConfig,
  kHubConfig,
  kHubEnvironment,
  kRclone,
  kList,
  kCredentials,
  kEncrypted,
};

// Whether a line begins with this word (and more), as `key: …` or `KEY=…`, whatever its case.
bool HasKey(std::string_view lower, std::string_view key) {
  for (size_t at = lower.find(key); at != lower.npos; at = lower.find(key, at + 1)) {
    const size_t line = lower.rfind('\n', at) == lower.npos ? 0 : lower.rfind('\n', at) + 1;
    std::string_view before = lower.substr(line, at - line);
    while (before.starts_with(' ') || before.starts_with('\t')) before.remove_prefix(1);
    if (before.starts_with("export ")) before.remove_prefix(7);
    if (!before.empty()) continue;
    std::string_view rest = lower.substr(at + key.size());
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    if (rest.starts_with(':') || rest.starts_with('=')) return true;
  }
  return false;
}

// The words before the first flag: "s3trans", "./s3trans", "/opt/s3trans".
bool IsS3trans(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    std::string_view word = line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
    if (word.empty() || word.front() == '#') continue;
    word = word.substr(0, word.find_first_of(" \t\r"));
    return word == "s3trans" || word.ends_with("/s3trans");
  }
  return false;
}

Shape ShapeOf(std::string_view text) {
  // All that tells is near the beginning, but the key that tells may be far down in a long file.
  constexpr size_t kLookedAt = 256 << 10;
  const std::string lower = LowerAscii(text.substr(0, kLookedAt));
  const size_t first = lower.find_first_not_of(" \t\r\n");
  const char begins = first == lower.npos ? '\0' : lower[first];
  if (lower.find("rclone_encrypt_v0:") != lower.npos) return Shape::kEncrypted;
  if (begins == '[' && lower.find("src_bucket") != lower.npos && lower.find('{') != lower.npos) {
    return Shape::kPairs;
  }
  if (begins == '{') {
    const bool secret = lower.find("\"access_key_id\"") != lower.npos ||
                        lower.find("\"aws_access_key_id\"") != lower.npos;
    return secret ? Shape::kCredentials : Shape::kJobs;
  }
  if (lower.find("[basic]") != lower.npos) {
    if (HasKey(lower, "desdir")) return Shape::kDownload;
    if (HasKey(lower, "desbucket") || HasKey(lower, "srcdir") || HasKey(lower, "srcfileindex")) {
      return Shape::kUpload;
    }
    return Shape::kCluster;
  }
  if (begins == '[' || HasKey(lower, "type")) return Shape::kRclone;
  if (IsS3trans(text)) return Shape::kS3transCommand;
  if (HasKey(lower, "src_bucket") || HasKey(lower, "dest_bucket")) return Shape::kHubEnvironment;
  if (HasKey(lower, "srcbucket") || HasKey(lower, "destbucket")) return Shape::kHubConfig;
  for (const char* key : {"from-profile", "to-profile", "from-endpoint", "to-endpoint",
                          "from-region", "to-region", "num-workers", "skip-compare", "work-mode"}) {
    if (HasKey(lower, key)) return Shape::kS3transConfig;
  }
  return Shape::kList;
}

bool IsMain(Shape shape) { return shape != Shape::kPairs && shape != Shape::kList; }

void Import(const ImportFile& file, Shape shape, const MigrationExtras& extras, MigrationPlan& plan,
            ImportLog& log) {
  auto parsed = [&]() -> Result<std::vector<MigrationSetting>> {
    switch (shape) {
      case Shape::kS3transCommand: {
        Result<std::vector<MigrationWord>> words = ParseCommandLine(file.text);
        if (!words) return words.error();
        return S3transSettings(*words);
      }
      case Shape::kHubEnvironment:
        return ParseEnvironment(file.text);
      case Shape::kHubConfig:
      case Shape::kS3transConfig:
        return ParseFlatYaml(file.text);
      default:
        return ParseIni(file.text);
    }
  }();
  if (!parsed) {
    // "LINE: WHAT"
    log.Fail("", file.name + ":" + parsed.error().message);
    return;
  }
  MigrationSettings settings(file.name, *parsed, log);
  switch (shape) {
    case Shape::kCluster:
      return ImportCluster(settings, extras, plan, log);
    case Shape::kUpload:
    case Shape::kDownload:
      return ImportSingle(settings, shape == Shape::kDownload, extras, plan, log);
    case Shape::kS3transCommand:
    case Shape::kS3transConfig:
      return ImportS3trans(settings, extras, plan, log);
    case Shape::kHubConfig:
    case Shape::kHubEnvironment:
      return ImportHub(settings, plan, log);
    case Shape::kRclone:
      return ImportRclone(file.name, *parsed, plan, log);
    default:
      return;
  }
}

// As the configuration is read. Variables of keys are taken to be set.
Result<Configuration> Read(const std::string& yaml, std::vector<YamlMistake>& mistakes) {
  return ParseConfiguration(
      yaml, "longhaul.yaml", "/",
      [](std::string_view) { return std::optional<std::string>("set"); }, &mistakes);
}

// What is no migration here (its copies would be copied, its bucket has no such name any more) is a
// command line still.
void KeepJobsThatAreMigrations(const std::string& file, MigrationPlan& plan, ImportLog& log) {
  if (plan.jobs().empty()) return;
  std::vector<YamlMistake> mistakes;
  if (Read(plan.Write(file), mistakes) || mistakes.empty()) return;
  for (const YamlMistake& mistake : mistakes) {
    if (!mistake.field.starts_with("migrations")) return;
  }
  log.Remark(ImportRemark::Kind::kNotCarried, file, "no migration: " + mistakes.front().what,
             "the command line does it, in one process");
  plan.DropJobs();
}

// What the configuration's own checks say of it.
void Verify(const std::string& yaml, ImportLog& log) {
  std::vector<YamlMistake> mistakes;
  Result<Configuration> read = Read(yaml, mistakes);
  if (read) return;
  for (const YamlMistake& mistake : mistakes) {
    log.Fail(mistake.field, mistake.what, mistake.remedy);
  }
  if (!log.failed()) log.Fail("", read.error().message);
}

}  // namespace

Result<MigrationImport> ImportMigration(const std::vector<ImportFile>& files) {
  ImportLog log;
  MigrationExtras extras;
  std::vector<std::pair<const ImportFile*, Shape>> mains;
  for (const ImportFile& file : files) {
    const Shape shape = ShapeOf(file.text);
    if (shape == Shape::kCredentials) {
      log.Fail(file.name, "holds keys, which are not imported",
               "leave it out, and set the variables that the configuration names");
    } else if (shape == Shape::kEncrypted) {
      log.Fail(file.name, "is encrypted", "give what `rclone config show` prints");
    } else if (shape == Shape::kPairs) {
      extras.pairs = ReadPairs(file, log);
      extras.pairs_file = file.name;
    } else if (shape == Shape::kList) {
      Result<std::vector<MigrationWord>> lines = ParseList(file.text);
      if (!lines) {
        log.Fail("", file.name + ":" + lines.error().message);
        continue;
      }
      extras.ignored = std::move(*lines);
      extras.ignored_file = file.name;
    }
    if (IsMain(shape)) mains.emplace_back(&file, shape);
  }
  if (log.failed()) return log.ToError();
  const bool lists_only = mains.empty();
  if (lists_only && !extras.pairs_file.empty() && extras.ignored_file.empty()) {
    log.Fail(extras.pairs_file, "does not say from which account to which",
             "give s3_migration_cluster_config.ini with it");
  } else if (lists_only) {
    log.Fail(extras.ignored_file.empty() ? "" : extras.ignored_file,
             "no configuration that is known, and a list of what to ignore needs one",
             "known are s3_migration_cluster_config.ini, s3_upload_config.ini, "
             "s3_download_config.ini, s3trans (command line, config.yaml, job list), the Data "
             "Transfer Hub's config.yaml and environment, and rclone.conf");
  }
  if (mains.size() > 1) {
    for (size_t i = 1; i < mains.size(); ++i) {
      log.Fail(mains[i].first->name,
               "one configuration at a time, and " + mains[0].first->name + " is one already",
               "import them one by one, and put the stores into one file");
    }
  }
  if (log.failed()) return log.ToError();

  MigrationPlan plan;
  const auto& [main, shape] = mains.front();
  if (shape == Shape::kJobs) {
    ImportJobs(*main, plan, log);
  } else {
    Import(*main, shape, extras, plan, log);
  }
  if (!extras.pairs_file.empty() && shape != Shape::kCluster) {
    log.Fail(extras.pairs_file, "does not belong to " + main->name,
             "it goes with s3_migration_cluster_config.ini");
  }
  const bool ignores = shape == Shape::kCluster || shape == Shape::kUpload ||
                       shape == Shape::kDownload || shape == Shape::kS3transCommand ||
                       shape == Shape::kS3transConfig;
  if (!extras.ignored_file.empty() && !ignores) {
    log.Fail(extras.ignored_file, "no configuration that is known, and " + main->name +
                                      " has no list of what to ignore");
  }
  if (log.failed()) return log.ToError();
  KeepJobsThatAreMigrations(main->name, plan, log);
  MigrationImport result;
  result.yaml = plan.Write(main->name);
  result.stores = plan.stores().size();
  result.commands = plan.commands().size();
  if (result.stores > 0) Verify(result.yaml, log);
  if (log.failed()) return log.ToError();
  result.remarks = log.remarks();
  return result;
}

}  // namespace longhaul
