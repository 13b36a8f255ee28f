#include <fmt/format.h>

#include <memory>

#include "base/units.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "replication/source/carry.h"
#include "replication/staging/seal.h"

namespace longhaul {

namespace {

class ConfigCheckCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "config check",
            .summary = "read a configuration, name its mistakes, print what it says",
            .description =
                "Reads the configuration as `replicate` would: fields, values, variables, and how "
                "the rules fit together (cycles, two sources for one target, staging in the way). "
                "All mistakes are named at once, as FILE:LINE:COLUMN: FIELD: WHAT: REMEDY, with "
                "exit code 2. No store is contacted and no secret is printed.",
            .examples = {{"Check a file", "longhaul config check --config longhaul.yaml"},
                         {"For an editor or a script",
                          "longhaul config check --json --config longhaul.yaml"}},
            .exit_codes = {}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("FILE", "The configuration, instead of --config.", file_).completes =
        Completes::kFiles;
  }

  // The file given as an argument is read like that of --config.
  [[nodiscard]] std::optional<std::string> ConfigurationFile() const override { return file_; }

  Async<ExitCode> RunAsync(RunContext& context) override {
    const Configuration* configuration = context.configuration();
    if (configuration == nullptr) {
      co_return InvalidInput("no configuration: give FILE, --config or LONGHAUL_CONFIG");
    }
    Output& output = context.output();
    for (const auto& [name, store] : configuration->stores) {
      std::string what = store.Place();
      if (store.type == StoreType::kS3) {
        if (!store.region.empty()) what += ", region " + store.region;
        what += !store.access_key_id.empty() ? ", keys of the configuration"
                : store.anonymous            ? ", not signed"
                : !store.profile.empty()     ? ", profile " + store.profile
                : !store.credentials.empty() ? ", keys of " + store.credentials
                                             : ", default credentials";
        if (!store.role_arn.empty()) what += ", role " + store.role_arn;
        if (store.requests) what += fmt::format(", {} requests at a time", *store.requests);
      }
      output.Print(Message("store")
                       .With("name", name)
                       .With("place", store.Place())
                       .Says("store " + name + ": " + what));
    }
    for (const Rule& rule : configuration->rules) {
      std::vector<std::string> targets;
      std::string text =
          "rule " + rule.id + (rule.enabled ? "" : " (disabled)") + ": " + rule.source.ToString();
      for (const Target& target : rule.targets) {
        targets.push_back(target.to.ToString());
        text += "\n  to " + target.to.ToString();
        text += rule.transport == Transport::kPlain  ? ", streamed"
                : rule.transport == Transport::kCopy ? ", copied by the store"
                                                     : " by " + target.staging.ToString();
        if (rule.transport == Transport::kAuto) {
          text += target.store_can_copy ? ", what does not shrink copied by the store"
                                        : ", what does not shrink streamed";
        }
        if (!target.storage_class.empty()) text += ", storage class " + target.storage_class;
        if (!target.sse.empty()) text += ", encryption " + target.sse;
        if (!target.kms_key.empty()) text += ", KMS key " + target.kms_key;
        if (target.bucket_key) {
          text += *target.bucket_key ? ", S3 Bucket Key" : ", no S3 Bucket Key";
        }
        if (!target.acl.empty()) text += ", ACL " + target.acl;
        if (!target.bucket_owner.empty()) text += ", owned by " + target.bucket_owner;
        if (target.object_lock) text += ", locked as at the source";
        if (target.backup) {
          text += ", archives are kept";
          if (!target.backup->storage_class.empty()) {
            text += " in storage class " + target.backup->storage_class;
          }
          if (!target.backup->lock_mode.empty()) {
            text += fmt::format(", locked ({}) for {} days", target.backup->lock_mode,
                                target.backup->lock_days);
          }
        }
        if (target.take_over) {
          text += ", takes over the archives in " + target.take_over->from.ToString();
          if (!target.take_over->etags_are_md5) text += " (ETags are opaque)";
        }
      }
      const bool direct = CarriesDirectly(rule);
      text += fmt::format("\n  {}, deletes {}replicated, batches of {} or {}",
                          direct       ? "each object by itself"
                          : rule.tuner ? fmt::format("compression auto (levels {} to {})",
                                                     rule.tuner->level_min, rule.tuner->level_max)
                          : rule.compression_level == 0
                              ? "not compressed"
                              : fmt::format("compression level {}", rule.compression_level),
                          rule.deletes ? "" : "not ", FormatSizeExact(rule.batch.size_bytes),
                          Counted(static_cast<uint64_t>(rule.batch.count), "object"));
      if (rule.priority != 0) text += fmt::format(", priority {}", rule.priority);
      if (rule.local_staging) {
        text += rule.transport == Transport::kS3Replication
                    ? fmt::format(
                          "\n  the store replicates archives from {}; what is not there after "
                          "{} the source uploads",
                          rule.local_staging->ToString(), FormatDuration(rule.replication_timeout))
                    : "\n  archives left in " + rule.local_staging->ToString() +
                          " are brought to their end";
      }
      if (rule.threshold) text += ", threshold " + FormatDuration(*rule.threshold);
      std::vector<std::string> seal_keys;
      for (const SealKey& key : SealKeys(rule)) seal_keys.push_back(key.id);
      if (direct && !seal_keys.empty()) {
        text += ", its seal keys are not used: nothing goes by archives";
        seal_keys.clear();
      }
      for (size_t i = 0; i < seal_keys.size(); ++i) {
        text += (i == 0 ? ", sealed by key " : i == 1 ? " (also accepted: " : ", ") + seal_keys[i];
      }
      if (seal_keys.size() > 1) text += ")";
      output.Print(Message("rule")
                       .With("id", rule.id)
                       .With("enabled", rule.enabled)
                       .With("priority", rule.priority)
                       .With("source", rule.source.ToString())
                       .With("targets", targets)
                       .With("deletes", rule.deletes)
                       .With("compression", rule.tuner ? "auto" : "fixed")
                       .With("compression_level", rule.compression_level)
                       .With("seal_keys", seal_keys)
                       .With("transport", ToString(rule.transport))
                       .Says(text));
    }
    output.Print(Message("summary")
                     .With("file", configuration->file)
                     .With("stores", configuration->stores.size())
                     .With("rules", configuration->rules.size())
                     .With("warnings", configuration->warnings.size())
                     .Says(configuration->file +
                           " is good: " + Counted(configuration->stores.size(), "store") + ", " +
                           Counted(configuration->rules.size(), "rule")));
    co_return ExitCode::kDone;
  }

 private:
  std::optional<std::string> file_;
};

}  // namespace

std::unique_ptr<Command> MakeConfigCheckCommand() { return std::make_unique<ConfigCheckCommand>(); }

}  // namespace longhaul
