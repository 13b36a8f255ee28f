#include "cli/effective_settings.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "aws/aws_settings.h"
#include "aws/default_credentials.h"
#include "aws/profile_credentials.h"
#include "aws/profile_files.h"
#include "aws/sso_credentials.h"
#include "aws/sts_endpoint.h"
#include "base/retry.h"
#include "base/units.h"
#include "base/yaml.h"
#include "cli/stores.h"

namespace longhaul {

namespace {

constexpr const char* kDefault = "default";
constexpr int kProfilesMax = 16;  // That lead to one another.

class SettingsFinder {
 public:
  explicit SettingsFinder(RunContext& context) : context_(context) {}

  Result<std::vector<EffectiveSetting>> Find() {
    if (const Configuration* configuration = context_.configuration()) {
      Result<void> read = ReadFile(*configuration);
      if (!read) return read.error();
      AddProcess(*configuration);
      if (configuration->queue.sqs) {
        Result<void> added = AddPlace("queue", "SQS", *configuration->queue.sqs);
        if (!added) return added.error();
      }
      if (configuration->state.dynamodb) {
        Result<void> added = AddPlace("state", "DYNAMODB", *configuration->state.dynamodb);
        if (!added) return added.error();
      }
      for (const auto& [name, store] : configuration->stores) {
        if (store.type != StoreType::kS3) continue;
        Result<void> added = AddStore("stores." + name, store);
        if (!added) return added.error().In("store " + name);
      }
      for (size_t i = 0; i < configuration->rules.size(); ++i) {
        const std::string path = "rules[" + std::to_string(i) + "]";
        AddRule(path, configuration->rules[i]);
        if (!configuration->rules[i].intake.sqs) continue;
        Result<void> added =
            AddPlace(path + ".intake.sqs", "SQS", *configuration->rules[i].intake.sqs);
        if (!added) return added.error();
      }
    } else {
      AddMemory();
    }
    // Of s3:// addresses, by the environment alone.
    Result<void> added = AddStore("s3://", {});
    if (!added) return added.error();
    return std::move(settings_);
  }

 private:
  // Every value that stands in the file.
  Result<void> ReadFile(const Configuration& configuration) {
    std::ostringstream text;
    text << std::ifstream(configuration.file, std::ios::binary).rdbuf();
    YamlErrors errors(configuration.file);
    std::optional<YamlNode> root = ParseYaml(
        std::move(text).str(),
        [this](std::string_view name) { return context_.console().Environment(std::string(name)); },
        errors);
    if (!root || !errors.empty()) return errors.ToError();  // It has been changed since.
    Walk(*root, "", configuration.file);
    return Ok();
  }

  void Walk(const YamlNode& node, const std::string& path, const std::string& file) {
    for (const YamlNode::Entry& entry : node.entries) {
      Walk(entry.value, path.empty() ? entry.key : path + "." + entry.key, file);
    }
    for (size_t i = 0; i < node.items.size(); ++i) {
      Walk(node.items[i], path + "[" + std::to_string(i) + "]", file);
    }
    if (node.kind != YamlNode::Kind::kText) return;
    std::string origin = file + ":" + std::to_string(node.line);
    for (size_t at = node.raw.find("${"); at != std::string::npos;
         at = node.raw.find("${", at + 2)) {
      if (at > 0 && node.raw[at - 1] == '$') continue;
      const size_t end = node.raw.find_first_of(":}", at);
      origin += " from " + node.raw.substr(at + 2, end - at - 2);
    }
    Add(path, node.text, origin);
  }

  static bool IsSecret(const std::string& path) {
    const std::string name = path.substr(path.find_last_of(". ") + 1);
    for (const char* secret : {"secret_access_key", "session_token", "token", "seal_key", "notify",
                               "https_proxy", "password"}) {
      if (name == secret) return true;
    }
    return name.starts_with("seal_keys_accepted") || name.starts_with("external_id") ||
           path.starts_with("traces.headers.") || path == "alarms.webhook";
  }

  void Add(const std::string& path, const std::string& value, const std::string& origin) {
    if (!known_.insert(path).second) return;
    // A URL of a database may hold a password in several places.
    const bool database = (path == "queue" || path == "state") && value.starts_with("postgres");
    const bool hidden = origin != kDefault && (database || IsSecret(path));
    settings_.push_back(
        {.path = path, .value = hidden ? "" : value, .origin = origin, .hidden = hidden});
  }

  // What has not been said yet.
  void AddDefault(const std::string& path, const std::string& value) { Add(path, value, kDefault); }

  void AddFrom(const std::string& path, const AwsSetting& setting, const std::string& otherwise) {
    if (setting.value.empty()) {
      if (!otherwise.empty()) AddDefault(path, otherwise);
    } else {
      Add(path, setting.value, setting.origin);
    }
  }

  void AddMemory() {
    const CommonFlags& flags = context_.flags();
    if (!flags.memory_bytes) {
      AddDefault("memory", FormatSizeExact(static_cast<uint64_t>(DefaultMemoryBytes())));
      return;
    }
    // The file comes after these.
    std::erase_if(settings_, [](const EffectiveSetting& one) { return one.path == "memory"; });
    known_.erase("memory");
    const std::string name = FlagSet::EnvironmentName("memory");
    Result<uint64_t> of_environment = ParseSize(context_.console().Environment(name).value_or(""));
    Add("memory", FormatSizeExact(*flags.memory_bytes),
        of_environment && *of_environment == *flags.memory_bytes ? name : "--memory");
  }

  void AddProcess(const Configuration& configuration) {
    AddMemory();
    AddDefault("queue", "sqlite:" + configuration.queue.sqlite_path);
    AddDefault("state", "sqlite:" + configuration.state.sqlite_path);
    AddDefault("listen", "off");
  }

  [[nodiscard]] EnvironmentReader Environment() const {
    return [this](const std::string& name) { return context_.console().Environment(name); };
  }

  [[nodiscard]] std::string OriginOf(const std::string& path) const {
    const auto found = std::ranges::find(settings_, path, &EffectiveSetting::path);
    return found == settings_.end() ? kDefault : found->origin;
  }

  // How a service of AWS is reached. `attempts_max`: where nobody says.
  void AddReach(const std::string& in, const AwsSettings& said, const std::string& attempts_max) {
    AddFrom(in + "ca_bundle", said.ca_bundle, "that of the system");
    AddFrom(in + "use_fips_endpoint", said.use_fips_endpoint, "false");
    AddFrom(in + "use_dualstack_endpoint", said.use_dualstack_endpoint, "false");
    AddFrom(in + "max_attempts", said.max_attempts, attempts_max);
    AddFrom(in + "https_proxy", said.https_proxy, "none");
    if (!said.https_proxy.value.empty()) AddFrom(in + "no_proxy", said.no_proxy, "none");
  }

  // A queue or table, which the line of `path` names.
  Result<void> AddPlace(const std::string& path, std::string_view service, const AwsPlace& place) {
    const EnvironmentReader environment = Environment();
    const std::string in = path + ".";
    const std::string line = OriginOf(path);
    Result<AwsSettings> said = ReadAwsSettings(service, place.profile, environment);
    if (!said) return said.error().In(path);
    if (place.endpoint.empty()) {
      AddFrom(in + "endpoint", said->endpoint_url, "AWS");
    } else {
      Add(in + "endpoint", place.endpoint, line);
    }
    if (place.region.empty()) {
      AddFrom(in + "region", said->region, "none");
    } else {
      Add(in + "region", place.region, line);
    }
    Result<std::string> found =
        FindCredentialsPlace(context_.runtime(), environment, place.profile);
    if (!found) return found.error().In(path);
    Add(in + "credentials", *found, place.profile.empty() ? "the chain of the AWS SDKs" : line);
    Result<void> added =
        AddSts(in, *found, "", place.profile,
               place.region.empty() ? said->region.value : place.region, environment);
    if (added) added = AddSso(in, *found, place.profile, environment);
    if (!added) return added.error().In(path);
    AddReach(in, *said, std::to_string(RetryPolicy().attempts_max));
    return Ok();
  }

  // Where a role is asked for, if one is: `role_arn`, or that of what was `found`.
  Result<void> AddSts(const std::string& in, std::string_view found, std::string role_arn,
                      const std::string& profile, const std::string& region,
                      const EnvironmentReader& environment) {
    Result<ProfileFiles> files = ReadProfileFiles(environment);
    if (!files) return files.error();
    Result<ProfileSection> section = files->Chosen(profile, environment);
    if (!section) return section.error();
    if (!role_arn.empty()) {
      section->erase("region");  // The store's counts, into which that of its profile went.
    } else if (found.ends_with("(role_arn)")) {
      role_arn = ValueIn(*section, "role_arn");
    } else if (found == "AWS_WEB_IDENTITY_TOKEN_FILE") {
      role_arn = environment("AWS_ROLE_ARN").value_or("");
    }
    if (role_arn.empty()) return Ok();
    Result<AwsSettings> said = ReadAwsSettings("STS", profile, environment);
    if (!said) return said.error();
    Result<StsEndpoint> sts =
        FindStsEndpoint(StsRegion(environment, *section, region), role_arn, *said);
    if (!sts) return sts.error();
    AwsSetting endpoint = said->endpoint_url;
    if (endpoint.value.empty()) endpoint.origin = kDefault;
    Add(in + "sts.endpoint", sts->url, endpoint.origin);
    return Ok();
  }

  // Where a person has logged in, if that counts: the profile of what was `found`, or the one that
  // its role is asked for with. What is wrong with it has been told.
  Result<void> AddSso(const std::string& in, std::string_view found, const std::string& profile,
                      const EnvironmentReader& environment) {
    if (!found.starts_with("profile '")) return Ok();
    Result<ProfileFiles> files = ReadProfileFiles(environment);
    if (!files) return files.error();
    std::string name = AwsProfileName(profile, environment);
    ProfileSection section;
    for (int i = 0; i < kProfilesMax; ++i) {
      Result<std::optional<ProfileSection>> read = files->Profile(name);
      if (!read) return read.error();
      if (!*read) return Ok();
      section = std::move(**read);
      const std::string next =
          section.contains("role_arn") ? ValueIn(section, "source_profile") : name;
      if (next.empty()) return Ok();
      if (std::exchange(name, next) == next) break;
    }
    const bool of_sso = section.contains("sso_session") || section.contains("sso_start_url");
    if (!of_sso || KeysIn(section)) return Ok();
    SsoSettings sso{.profile = name,
                    .session = ValueIn(section, "sso_session"),
                    .start_url = ValueIn(section, "sso_start_url"),
                    .region = ValueIn(section, "sso_region"),
                    .account_id = {},
                    .role_name = {}};
    // Which of the two files has it.
    auto of_profile = [&](const std::string& setting) {
      const auto own = files->credentials.find(name);
      const bool there = own != files->credentials.end() && own->second.contains(setting);
      return "profile '" + name + "' in " + (there ? files->credentials_path : files->config_path);
    };
    std::string region_origin = of_profile("sso_region");
    std::string url_origin = of_profile("sso_start_url");
    if (!sso.session.empty()) {
      const auto session = files->config.find("sso-session " + sso.session);
      if (session == files->config.end()) return Ok();
      sso.start_url = ValueIn(session->second, "sso_start_url");
      sso.region = ValueIn(session->second, "sso_region");
      url_origin = region_origin = "sso-session '" + sso.session + "' in " + files->config_path;
      Add(in + "sso.session", sso.session, of_profile("sso_session"));
    }
    Add(in + "sso.start_url", sso.start_url, url_origin);
    Add(in + "sso.region", sso.region, region_origin);
    for (const char* setting : {"sso_account_id", "sso_role_name"}) {
      Add(in + "sso." + std::string(setting).substr(4), ValueIn(section, setting),
          of_profile(setting));
    }
    // Not read here: whether somebody has logged in is for who asks for the role.
    Add(in + "sso.token", "", SsoTokenPath(sso, environment));
    return Ok();
  }

  Result<void> AddStore(const std::string& path, const StoreSettings& store) {
    const EnvironmentReader environment = Environment();
    const std::string in = path.ends_with('/') ? path + " " : path + ".";
    Result<AwsSettings> said = ReadStoreSettings(store, environment);
    if (!said) return said.error();
    if (store.endpoint.empty()) {
      AddFrom(in + "endpoint", said->endpoint_url, "AWS");
    } else {
      Add(in + "endpoint", store.endpoint, "provider");
    }
    if (store.region.empty()) {
      AddFrom(in + "region", said->region, "us-east-1");
    } else {
      Add(in + "region", store.region, "provider");
    }
    const bool by_path =
        AddressingOf(store, store.endpoint.empty() ? said->endpoint_url.value : store.endpoint) ==
        S3Addressing::kPath;
    AddDefault(in + "addressing", by_path ? "path" : "virtual");
    const bool own = store.anonymous || !store.access_key_id.empty();
    std::string found;
    if (!own && store.credentials.empty()) {
      Result<std::string> place =
          FindCredentialsPlace(context_.runtime(), environment, store.profile);
      if (!place) return place.error();
      found = *place;
      Add(in + "credentials", *place,
          store.profile.empty() ? "the chain of the AWS SDKs" : "the store's profile");
    }
    Result<void> added = AddSts(in, found, store.role_arn, store.profile,
                                store.region.empty() ? said->region.value : store.region,
                                own ? WithoutProfiles(environment) : environment);
    if (added) added = AddSso(in, found, store.profile, environment);
    if (!added) return added.error();
    AddDefault(in + "payload_signing", "auto");
    AddDefault(in + "requester_pays", "false");
    AddDefault(in + "accelerate", "false");
    AddDefault(in + "requests", "64");
    AddReach(in, *said, "10");
    return Ok();
  }

  void AddRule(const std::string& path, const Rule& rule) {
    const std::string in = path + ".";
    auto duration = [](std::chrono::milliseconds time) { return FormatDuration(time); };
    AddDefault(in + "status", rule.enabled ? "enabled" : "disabled");
    AddDefault(in + "priority", std::to_string(rule.priority));
    AddDefault(in + "intake.webhook", rule.intake.webhook ? "true" : "false");
    AddDefault(in + "intake.listing",
               rule.intake.listing ? duration(*rule.intake.listing) : std::string("off"));
    AddDefault(in + "intake.watch", rule.intake.watch ? "true" : "false");
    if (!rule.intake.inventory) AddDefault(in + "intake.inventory", "none");
    AddDefault(in + "deletes", rule.deletes ? "true" : "false");
    AddDefault(in + "compression", rule.tuner ? "auto"
                                   : rule.compression_level == 0
                                       ? "none"
                                       : std::to_string(rule.compression_level));
    if (rule.tuner) {
      AddDefault(in + "tuner.min", std::to_string(rule.tuner->level_min));
      AddDefault(in + "tuner.max", std::to_string(rule.tuner->level_max));
    }
    AddDefault(in + "batch.bytes", FormatSizeExact(rule.batch.size_bytes));
    AddDefault(in + "batch.count", std::to_string(rule.batch.count));
    AddDefault(in + "batch.linger", duration(rule.batch.linger));
    AddDefault(in + "settle", duration(rule.settle));
    AddDefault(in + "on_conflict", rule.on_conflict == OnConflict::kKeep ? "keep" : "overwrite");
    if (!known_.contains(in + "delete_guard")) {
      AddDefault(in + "delete_guard.keys", std::to_string(rule.delete_guard.keys));
      std::ostringstream share;
      share << rule.delete_guard.share;
      AddDefault(in + "delete_guard.share", share.str());
    }
    AddDefault(in + "transport", std::string(ToString(rule.transport)));
    if (rule.transport == Transport::kS3Replication) {
      AddDefault(in + "replication_timeout", duration(rule.replication_timeout));
    }
    for (size_t i = 0; i < rule.targets.size(); ++i) {
      AddDefault(in + "targets[" + std::to_string(i) + "].name", rule.targets[i].name);
    }
  }

  RunContext& context_;
  std::vector<EffectiveSetting> settings_;
  std::set<std::string> known_;
};

}  // namespace

Result<std::vector<EffectiveSetting>> FindEffectiveSettings(RunContext& context) {
  return SettingsFinder(context).Find();
}

}  // namespace longhaul
