#include "cli/effective_settings.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "aws/aws_settings.h"
#include "aws/default_credentials.h"
#include "base/units.h"
#include "base/yaml.h"
#include "cli/stores.h"

namespace longhaul {

namespace {

constexpr const char* kDefault = "default";

class SettingsFinder {
 public:
  explicit SettingsFinder(RunContext& context) : context_(context) {}

  Result<std::vector<EffectiveSetting>> Find() {
    if (const Configuration* configuration = context_.configuration()) {
      Result<void> read = ReadFile(*configuration);
      if (!read) return read.error();
      AddProcess(*configuration);
      for (const auto& [name, store] : configuration->stores) {
        if (store.type != StoreType::kS3) continue;
        Result<void> added = AddStore("stores." + name, store);
        if (!added) return added.error().In("store " + name);
      }
      for (size_t i = 0; i < configuration->rules.size(); ++i) {
        AddRule("rules[" + std::to_string(i) + "]", configuration->rules[i]);
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

  Result<void> AddStore(const std::string& path, const StoreSettings& store) {
    const EnvironmentReader environment = [this](const std::string& name) {
      return context_.console().Environment(name);
    };
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
    const bool by_path = store.endpoint.empty() ? !said->endpoint_url.value.empty()
                                                : store.addressing == Addressing::kPath;
    AddDefault(in + "addressing", by_path ? "path" : "virtual");
    if (store.access_key_id.empty() && !store.anonymous && store.credentials.empty()) {
      Result<std::string> place =
          FindCredentialsPlace(context_.runtime(), environment, store.profile);
      if (!place) return place.error();
      Add(in + "credentials", *place,
          store.profile.empty() ? "the chain of the AWS SDKs" : "the store's profile");
    }
    AddDefault(in + "payload_signing", "auto");
    AddDefault(in + "requester_pays", "false");
    AddDefault(in + "accelerate", "false");
    AddDefault(in + "requests", "64");
    AddFrom(in + "ca_bundle", said->ca_bundle, "that of the system");
    AddFrom(in + "use_fips_endpoint", said->use_fips_endpoint, "false");
    AddFrom(in + "use_dualstack_endpoint", said->use_dualstack_endpoint, "false");
    AddFrom(in + "max_attempts", said->max_attempts, "10");
    AddFrom(in + "https_proxy", said->https_proxy, "none");
    if (!said->https_proxy.value.empty()) AddFrom(in + "no_proxy", said->no_proxy, "none");
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
