#include <memory>
#include <optional>
#include <set>

#include "aws/aws_service.h"
#include "aws/credentials.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cli/sqs_place.h"
#include "cli/stores.h"
#include "rules/alarms.h"
#include "rules/configuration.h"
#include "rules/iam_policy.h"

namespace longhaul {

namespace {

// Where a table or a queue is; "*": nobody says.
std::string RegionOf(RunContext& context, const AwsPlace& place, std::string service) {
  Result<AwsJsonOptions> found =
      FindAwsService(context.runtime(), place, std::move(service), "", ProcessEnvironment());
  return found && !found->region.empty() ? found->region : "*";
}

// Names under which rights are not judged: IAM goes by the access point and its bucket. (S3 User
// Guide, "Configuring IAM policies for using access points".)
std::set<std::string> AliasesOf(const Configuration& configuration,
                                const std::vector<Migration>& migrations) {
  std::set<std::string> aliases;
  auto add = [&](const Address& address) {
    if (address.bucket.ends_with("-s3alias")) aliases.insert(address.bucket);
  };
  for (const Rule& rule : configuration.rules) {
    add(rule.source);
    if (rule.local_staging) add(*rule.local_staging);
    if (rule.intake.inventory) add(*rule.intake.inventory);
    for (const Target& target : rule.targets) {
      add(target.to);
      add(target.staging);
      if (target.take_over) add(target.take_over->from);
    }
  }
  for (const Migration& migration : migrations) {
    add(migration.source);
    add(migration.target);
  }
  return aliases;
}

class IamPolicyCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "iam-policy",
        .summary = "print the rights in AWS that rules and migrations need, and no others",
        .description =
            "Prints the policies of IAM that a process of `replicate` needs: S3 by bucket and "
            "prefix, and as the configuration uses them SQS, DynamoDB, KMS, Secrets Manager, the "
            "Parameter Store and roles to assume. There is one policy for each identity: stores "
            "with keys, a profile or a role of their own have their own. Nothing is contacted; "
            "`longhaul doctor` tries the rights. `longhaul setup` needs more than is printed here: "
            "it makes tables and queues. Caches (`caches:`), and restores and fills that the API "
            "begins, need rights that are not among them.\n\n"
            "With --role migrations it is what `migrate worker` and the other commands of "
            "migrations need, for those that the configuration lists: the source is read, the "
            "target written, nothing removed. A configuration without rules is taken for that.\n\n"
            "Without an endpoint in the configuration what lies in a bucket or in the queue of "
            "`intake: sqs` may be encrypted under a key of KMS that nobody names, so kms:Decrypt "
            "and kms:GenerateDataKey are among them, by way of that bucket, or of SQS, alone. The "
            "queue of `intake: sqs` is taken to have dead letters named NAME-dead-letters.",
        .examples = {{"One process for both roles", "longhaul iam-policy longhaul.yaml"},
                     {"The process near the source, for the AWS CLI",
                      "longhaul iam-policy --role source --account 111122223333 longhaul.yaml > "
                      "policy.json"}},
        .exit_codes = {}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("CONFIG", "The configuration, instead of --config.", file_).completes =
        Completes::kFiles;
    flags.Choice(
        {.name = "role",
         .help = "The role of the process. Default: both of rules; of a configuration without "
                 "rules migrations.",
         .value_name = "ROLE",
         .of_environment = false},
        {"source,target", "source", "target", "migrations"}, role_);
    flags.Text({.name = "account",
                .help = "The account, 12 digits, in the names of queues, tables and keys. Default: "
                        "any.",
                .value_name = "ID"},
               account_);
  }

  [[nodiscard]] std::optional<std::string> ConfigurationFile() const override { return file_; }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> found = RequireConfiguration(context);
    if (!found) co_return found.error();
    const Configuration& configuration = **found;
    Result<std::vector<Migration>> migrations =
        RequireWorkOf(context, configuration, "--role", role_);
    if (!migrations) co_return migrations.error();
    if (account_ != "*" &&
        (account_.size() != 12 || account_.find_first_not_of("0123456789") != std::string::npos)) {
      co_return InvalidInput("--account: '" + account_ + "' is no account: write its 12 digits");
    }
    const bool of_rules = role_ != kMigrationsRole;
    IamNames names{.source = of_rules && role_ != "target",
                   .target = of_rules && role_ != "source",
                   .migrations = std::move(*migrations),
                   .account = account_};
    for (const auto& [name, settings] : configuration.stores) {
      names.regions[name] = RegionOfStore(context, settings);
    }
    Result<std::string> region = FindAwsRegion("", ProcessEnvironment());
    if (region && !region->empty()) names.kept_region = *region;
    // Queues of events are where their clients find them: in the region of a profile, too.
    Configuration resolved = configuration;
    for (Rule& rule : resolved.rules) {
      if (rule.intake.sqs) rule.intake.sqs->region = RegionOf(context, *rule.intake.sqs, "sqs");
    }
    if (configuration.queue.sqs) {
      names.queue_region = RegionOf(context, *configuration.queue.sqs, "sqs");
      const SqsQueueOptions options = SqsOptionsOf(configuration);
      for (const SqsLane& lane : options.lanes) names.queues.push_back(lane.queue);
      names.dead_letters = options.dead_letters();
      for (const SqsLane& lane : SqsMigrationOptionsOf(configuration).lanes) {
        names.run_queues.push_back(lane.queue);
      }
    }
    if (configuration.state.dynamodb) {
      names.state_region = RegionOf(context, *configuration.state.dynamodb, "dynamodb");
    }
    Result<std::optional<Alarms>> alarms = LoadAlarms(
        configuration.file,
        [&](std::string_view name) { return context.console().Environment(std::string(name)); });
    if (!alarms) co_return alarms.error();
    if (of_rules && *alarms && (*alarms)->topic) names.alarm_topic = (*alarms)->topic->arn;
    const std::vector<IamPolicy> policies = IamPolicies(resolved, names);
    Output& output = context.output();
    for (const std::string& alias : AliasesOf(configuration, names.migrations)) {
      const std::string what =
          alias +
          " is the alias of an access point, whose ARN and bucket nothing here "
          "says: write them in place of arn:…:s3:::" +
          alias + " in what follows";
      output.Problem(Message("alias").With("bucket", alias).Says(what));
    }
    for (const IamPolicy& policy : policies) {
      // One alone is a file for `aws iam put-role-policy`.
      std::string text = policies.size() > 1 ? "# " + policy.identity + "\n" : "";
      text += IamDocument(policy, true);
      output.Print(Message("policy")
                       .With("role", role_)
                       .With("identity", policy.identity)
                       .With("document", IamDocument(policy, false))
                       .Says(std::move(text)));
    }
    if (context.flags().json || policies.empty()) {
      output.Print(Message("summary")
                       .With("policies", policies.size())
                       .Says("no store, queue or state of this configuration is in AWS"));
    }
    co_return ExitCode::kDone;
  }

 private:
  std::optional<std::string> file_;
  std::string role_;  // Empty: as what the configuration has.
  std::string account_ = "*";
};

}  // namespace

std::unique_ptr<Command> MakeIamPolicyCommand() { return std::make_unique<IamPolicyCommand>(); }

}  // namespace longhaul
