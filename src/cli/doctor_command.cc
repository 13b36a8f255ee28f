#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "aws/aws_endpoint.h"
#include "aws/credentials.h"
#include "aws/credentials_failure.h"
#include "cli/backends.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "cli/postgres_doctor.h"
#include "cli/run_context.h"
#include "cli/sqs_place.h"
#include "cli/state_doctor.h"
#include "cli/store_doctor.h"
#include "cli/stores.h"
#include "queue/sqs_setup.h"
#include "replication/capability_cache.h"
#include "replication/life/left_spool.h"
#include "replication/make_context.h"
#include "replication/source/carry.h"
#include "replication/staging/left_staging.h"
#include "rules/alarms.h"
#include "rules/configuration.h"
#include "rules/iam_policy.h"

namespace longhaul {

namespace {

using Check = DoctorCheck;

// Fewer a handful of processes that are killed one after the other may bring about.
constexpr int kForeignReceivesMin = 10;

struct DoctorRoles {
  bool source = true;
  bool target = true;
  bool migrations = false;  // That alone.
};

class DoctorCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "doctor",
        .summary = "try all that rules and migrations need, and say what to mend",
        .description =
            "Tries, with the credentials and endpoints that `replicate` would use, each right, "
            "probe, clock, queue and state that the roles need, and prints a line for each: ok, "
            "warning or failed, the action of IAM, what was found, and the remedy. It ends with "
            "exit code 1 when something failed; warnings do not count.\n\n"
            "No object is written to a target: rights to write are tried by multipart uploads that "
            "are made and aborted at once, rights to read and delete at a key that is not there. "
            "The store's abilities are probed below STAGING/probe/, and what was written there is "
            "removed. In the queue nothing is sent, received or deleted: PostgreSQL is asked what "
            "the role may do; of SQS the rights to send and to receive are not tried, which is a "
            "warning, as is each other right that cannot be tried. In the state a row of its own "
            "is written and removed. It may run beside processes at work.\n\n"
            "With --roles migrations it tries what `migrate worker` would use for the migrations "
            "of the configuration: each source is read, each target written, with their queue and "
            "the state. A configuration without rules is taken for that.",
        .examples = {{"Before the first start", "longhaul doctor longhaul.yaml"},
                     {"With the rights of the process near the source, for a script",
                      "longhaul doctor --roles source --json --config longhaul.yaml"}},
        .exit_codes = {ExitCode::kSomeFailed}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("CONFIG", "The configuration, instead of --config.", file_).completes =
        Completes::kFiles;
    flags.Choice({.name = "roles",
                  .help = "The roles of the process whose rights are tried. Default: both of "
                          "rules; of a configuration without rules migrations.",
                  .value_name = "ROLES",
                  .of_environment = false},
                 {"source,target", "source", "target", "migrations"}, roles_);
    flags.Duration({.name = "timeout",
                    .help = "How long one request is tried before it has failed. Default: 10s.",
                    .value_name = "DURATION",
                    .of_environment = false},
                   timeout_);
  }

  [[nodiscard]] std::optional<std::string> ConfigurationFile() const override { return file_; }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> found = RequireConfiguration(context);
    if (!found) co_return found.error();
    const Configuration& configuration = **found;
    Result<std::vector<Migration>> migrations =
        RequireWorkOf(context, configuration, "--roles", roles_);
    if (!migrations) co_return migrations.error();
    const bool of_rules = roles_ != kMigrationsRole;
    const DoctorRoles roles{.source = of_rules && roles_ != "target",
                            .target = of_rules && roles_ != "source",
                            .migrations = !of_rules};
    std::map<std::string, std::unique_ptr<Store>> stores;
    for (const auto& [name, settings] : configuration.stores) {
      Result<std::unique_ptr<Store>> store = OpenConfiguredStore(context, settings, timeout_);
      if (store) {
        stores[name] = std::move(*store);
      } else {
        Failed("store " + name, "open", "", store.error(), settings.Place());
      }
    }
    const AwsRequestHook hook = HookOf(context);
    Result<BackendsApart> apart = co_await OpenBackendsApart(
        context.runtime(), configuration, of_rules ? kEventsQueue : kMigrationsQueue, hook,
        UseOf(configuration, roles));
    if (!apart) co_return apart.error();
    Result<void> tried = co_await TryBackends(context, configuration, roles, *apart, hook);
    if (!tried) co_return tried.error();
    TellClocks();
    if (of_rules) tried = co_await TryAlarms(context, configuration);
    if (!tried) co_return tried.error();
    for (const auto& [name, settings] : configuration.stores) {
      partitions_[name] = AwsPartitionOf(RegionOfStore(context, settings));
    }
    for (const Migration& migration : *migrations) {
      if (context.stop().is_set()) continue;
      tried = co_await TryMigration(context, migration, stores);
      if (!tried) co_return tried.error();
    }
    for (const Rule& rule : configuration.rules) {
      if (!of_rules || !rule.enabled || context.stop().is_set()) continue;
      tried = co_await TryRule(context, rule, roles, stores);
      if (!tried) co_return tried.error();
    }
    if (of_rules && apart->queue && apart->state && !context.stop().is_set()) {
      tried = co_await Probe(context, configuration, roles, stores, **apart->queue, **apart->state);
      if (!tried) co_return tried.error();
    }
    if (apart->queue) {
      Result<void> closed = co_await (*apart->queue)->Close();
      static_cast<void>(closed);
    }
    co_return Tell(context);
  }

 private:
  using Stores = std::map<std::string, std::unique_ptr<Store>>;

  void Failed(std::string place, std::string what, std::string action, const Error& error,
              std::string_view resource) {
    std::string remedy = RemedyOf(error, action, resource);
    checks_.push_back({.place = std::move(place),
                       .what = std::move(what),
                       .action = ActionOf(error, std::move(action)),
                       .state = Check::State::kFailed,
                       .found = error.Describe(),
                       .remedy = std::move(remedy)});
  }

  static QueueUse UseOf(const Configuration& configuration, DoctorRoles roles) {
    return QueueUseOf(configuration, roles.source || roles.migrations);
  }

  // As every other process is told of its clock, and kept for the list of checks.
  AwsRequestHook HookOf(RunContext& context) {
    AwsRequestHook hook = TellingClock(context.troubles());
    hook.on_clock_off = [this, tell = std::move(hook.on_clock_off)](const std::string& service,
                                                                    std::chrono::seconds ahead) {
      clocks_.try_emplace(service, ahead);
      tell(service, ahead);
    };
    return hook;
  }

  void TellClocks() {
    for (const auto& [service, ahead] : clocks_) {
      checks_.push_back(
          {.place = service,
           .what = "clock",
           .state = Check::State::kWarning,
           .found = "its clock is " + std::to_string(std::chrono::abs(ahead).count()) + " s " +
                    (ahead.count() > 0 ? "ahead of" : "behind") + " this machine's",
           .remedy = "have this machine's clock set by NTP; longhaul goes by the service's "
                     "meanwhile"});
    }
  }

  // Each of them by itself: what is wrong with one says nothing of the others.
  Async<void> TryBackends(RunContext& context, const Configuration& configuration,
                          DoctorRoles roles, BackendsApart& apart, const AwsRequestHook& hook) {
    const bool dynamodb = configuration.state.dynamodb.has_value();
    const std::string state =
        dynamodb ? "state dynamodb:" + configuration.state.dynamodb->name : std::string("state");
    if (apart.state) {
      const std::string row = NewUlid(context.runtime().clock.Now(), context.runtime().random);
      Result<void> tried =
          co_await TryState(**apart.state, context.runtime().clock, state, row, dynamodb, checks_);
      if (!tried) co_return tried;
    } else {
      Failed(state, "open", dynamodb ? "dynamodb:DescribeTable" : "", apart.state.error(),
             "the table");
    }
    if (apart.queue) {
      Result<QueueDepth> depth = co_await (*apart.queue)->Depth();
      if (depth) {
        checks_.push_back({.place = "queue", .what = "look at it", .found = DepthText(*depth)});
      } else {
        Failed("queue", "look at it", "", depth.error(), "the queue");
      }
      if (apart.database) {
        Result<void> tried =
            co_await TryPostgresRights(*apart.database, apart.parts, "queue", checks_);
        if (!tried) co_return tried;
      }
    } else {
      Failed("queue", "open", "", apart.queue.error(), "the queue");
    }
    // Who does not answer, or whom nobody can ask, says the same of each of them.
    const bool answers = apart.queue || (!apart.queue.error().Transient() &&
                                         !IsCredentialsFailure(apart.queue.error()));
    if (configuration.queue.sqs && answers) {
      Result<void> tried = co_await TryQueues(context, configuration, roles, hook);
      if (!tried) co_return tried;
    }
    if (roles.source) co_return co_await TryIntakes(context, configuration, hook);
    co_return Ok();
  }

  // Those of longhaul in SQS, of rules or of migrations.
  Async<void> TryQueues(RunContext& context, const Configuration& configuration, DoctorRoles roles,
                        const AwsRequestHook& hook) {
    Result<std::shared_ptr<SqsClient>> client =
        MakeSqsClient(context.runtime(), *configuration.queue.sqs, 0, hook);
    if (!client) co_return client.error();
    const QueueUse use = UseOf(configuration, roles);
    const SqsQueueOptions options = roles.migrations ? SqsMigrationOptionsOf(configuration, use)
                                                     : SqsOptionsOf(configuration, use);
    const bool takes = use == QueueUse::kTakes;
    for (const SqsLane& lane : options.lanes) {
      Result<bool> found = co_await TrySqs(**client, lane.queue, takes, options);
      if (!found) co_return found.error();
    }
    if (ServesApi(configuration, roles.source) && !roles.migrations) {
      const SqsQueueOptions runs = SqsMigrationOptionsOf(configuration, QueueUse::kSends);
      for (const SqsLane& lane : runs.lanes) {
        Result<bool> found = co_await TrySqs(**client, lane.queue, false, runs);
        if (!found) co_return found.error();
      }
    }
    // Whoever only counts takes nothing from there either.
    const bool shows = use != QueueUse::kLooks;
    Result<bool> found = co_await TrySqs(**client, options.dead_letters(), shows, options);
    if (!found) co_return found.error();
    const std::string all = options.prefix + "-*";
    if (takes) NotTried("queue sqs:" + all, "receive messages", "sqs:ReceiveMessage", all);
    if (use == QueueUse::kSends) {
      const std::string dead = options.dead_letters();
      NotTried("queue sqs:" + dead, "receive messages", "sqs:ReceiveMessage", dead);
    }
    if (shows) NotTried("queue sqs:" + all, "send messages", "sqs:SendMessage", all);
    co_return Ok();
  }

  // Those of somebody else, with their dead letters, as `replicate` opens them.
  Async<void> TryIntakes(RunContext& context, const Configuration& configuration,
                         const AwsRequestHook& hook) {
    std::vector<AwsPlace> intakes;
    for (const Rule& rule : configuration.rules) {
      const std::optional<AwsPlace>& place = rule.intake.sqs;
      if (!rule.enabled || !place || std::ranges::find(intakes, *place) != intakes.end()) continue;
      intakes.push_back(*place);
      Result<std::shared_ptr<SqsClient>> client = MakeSqsClient(context.runtime(), *place, 0, hook);
      if (!client) co_return client.error();
      const SqsQueueOptions options = IntakeOptionsOf(*place);
      Result<bool> found = co_await TrySqs(**client, place->name, true, options);
      if (!found) co_return found.error();
      if (!*found) continue;
      NotTried("queue sqs:" + place->name, "receive messages", "sqs:ReceiveMessage", place->name);
      Result<SqsRedrive> redrive = co_await RedriveOfSqsQueue(**client, options);
      if (!redrive) {
        Failed("queue sqs:" + place->name, "find its dead letters", "sqs:GetQueueAttributes",
               redrive.error(), "the queue " + place->name);
        continue;
      }
      if (redrive->receives_max < kForeignReceivesMin) {
        checks_.push_back({.place = "queue sqs:" + place->name,
                           .what = "count of receives",
                           .action = "sqs:GetQueueAttributes",
                           .state = Check::State::kWarning,
                           .found = "what was received " +
                                    Counted(static_cast<uint64_t>(redrive->receives_max), "time") +
                                    " is a dead letter, and each process that ends while it holds "
                                    "a message counts",
                           .remedy = "give the queue's redrive policy a maxReceiveCount of " +
                                     std::to_string(kForeignReceivesMax)});
      }
      found = co_await TrySqs(**client, redrive->dead_letters, false, options);
      if (!found) co_return found.error();
      if (!*found) continue;
      NotTried("queue sqs:" + redrive->dead_letters, "send messages", "sqs:SendMessage",
               redrive->dead_letters);
    }
    co_return Ok();
  }

  // Nothing but doing it would tell.
  void NotTried(std::string place, std::string what, std::string action, std::string queue) {
    const std::string remedy = "see that " + action + " is allowed on the queue " + queue;
    checks_.push_back({.place = std::move(place),
                       .what = std::move(what),
                       .action = std::move(action),
                       .state = Check::State::kWarning,
                       .found = "not tried: nothing is sent to a queue, nor taken from it",
                       .remedy = remedy});
  }

  // As far as it goes without telling anybody.
  Async<void> TryAlarms(RunContext& context, const Configuration& configuration) {
    const EnvironmentReader reader = [&context](const std::string& name) {
      return context.console().Environment(name);
    };
    Result<std::optional<Alarms>> alarms = LoadAlarms(
        configuration.file, [&reader](std::string_view name) { return reader(std::string(name)); });
    if (!alarms) co_return alarms.error();
    if (*alarms && (*alarms)->topic) {
      const std::string& topic = (*alarms)->topic->arn;
      checks_.push_back({.place = "alarms sns",
                         .what = "publish",
                         .action = "sns:Publish",
                         .state = Check::State::kWarning,
                         .found = "not tried: somebody would be told",
                         .remedy = "see that sns:Publish is allowed on " + topic});
    }
    if (!*alarms || !(*alarms)->mail) co_return Ok();
    SmtpServer server = (*alarms)->mail->server;
    const std::string place = "alarms email " + server.host + ":" + std::to_string(server.port);
    server.ca_file = reader("AWS_CA_BUNDLE").value_or("");
    const std::string what = server.username.empty() ? "reach it" : "log in";
    SmtpClient client(context.runtime(), std::move(server));
    Result<void> tried = co_await client.Try();
    if (tried) {
      checks_.push_back({.place = place, .what = what});
    } else {
      checks_.push_back({.place = place,
                         .what = what,
                         .state = Check::State::kFailed,
                         .found = tried.error().Describe(),
                         .remedy = "correct server, tls, username or password of `alarms: email`"});
    }
    co_return Ok();
  }

  static std::string DepthText(const QueueDepth& depth) {
    const auto waiting = static_cast<uint64_t>(depth.visible + depth.delayed + depth.in_flight);
    std::string text = Counted(waiting, "message");
    if (depth.dead > 0) text += ", " + Counted(static_cast<uint64_t>(depth.dead), "dead letter");
    return text;
  }

  // All but the rights to receive and to send: what SQS itself would refuse, another server may
  // take for a message. `takes`: messages are taken from it. Whether it is there.
  Async<bool> TrySqs(SqsClient& client, std::string queue, bool takes,
                     const SqsQueueOptions& options) {
    const std::string place = "queue sqs:" + queue;
    const std::string resource = "the queue " + queue;
    Result<std::string> url = co_await client.Find(queue);
    if (!url) {
      Failed(place, "find it", "sqs:GetQueueUrl",
             WithRemedy(url.error(), queue, client.region(), options), resource);
      co_return false;
    }
    checks_.push_back({.place = place, .what = "find it", .action = "sqs:GetQueueUrl"});
    auto judge = [&](const char* what, const char* action, const Error* error) {
      // What SQS says of a message that nobody has, or will not take: whoever asked was let in.
      if (error != nullptr && error->kind != ErrorKind::kPrecondition &&
          (error->kind != ErrorKind::kInvalidInput || error->http_status == 0)) {
        Failed(place, what, action, WithRemedy(*error, queue, client.region(), options), resource);
      } else {
        checks_.push_back({.place = place, .what = what, .action = action});
      }
    };
    auto of = [](const auto& result) { return result ? nullptr : &result.error(); };
    Result<SqsAttributes> attributes = co_await client.Attributes(*url);
    judge("look at it", "sqs:GetQueueAttributes", of(attributes));
    if (!takes) co_return true;
    // Neither handle is of a message.
    Result<std::vector<SqsFailure>> hidden =
        co_await client.ChangeVisibility(*url, {"longhaul-doctor"}, std::chrono::seconds(0));
    judge("hide messages", "sqs:ChangeMessageVisibility", of(hidden));
    Result<std::vector<SqsFailure>> deleted = co_await client.Delete(*url, {"longhaul-doctor"});
    judge("delete messages", "sqs:DeleteMessage", of(deleted));
    co_return true;
  }

  // Once for each place and what is tried there.
  bool First(std::string_view what, const Address& place) {
    return seen_.insert(std::string(what) + " " + place.ToString()).second;
  }

  // What a worker of its runs does at both ends.
  Async<void> TryMigration(RunContext& context, const Migration& migration, const Stores& stores) {
    Runtime& runtime = context.runtime();
    const Address& from = migration.source;
    const auto source = stores.find(from.store);
    if (source != stores.end() && First("source", from)) {
      StoreDoctor doctor(runtime, *source->second, "source " + from.ToString(), from.bucket,
                         from.prefix, checks_, partitions_[from.store]);
      Result<bool> reached = co_await doctor.Reach();
      if (!reached) co_return reached.error();
      if (*reached) {
        const bool decrypts = context.configuration()->stores.at(from.store).endpoint.empty();
        Result<void> tried = co_await doctor.ReadFirst(true, decrypts);
        if (!tried) co_return tried;
      }
    }
    const Address& to = migration.target;
    const auto target = stores.find(to.store);
    if (target == stores.end() || !First("target", to)) co_return Ok();
    StoreDoctor doctor(runtime, *target->second, "target " + to.ToString(), to.bucket, to.prefix,
                       checks_, partitions_[to.store]);
    Result<bool> reached = co_await doctor.Reach();
    if (!reached) co_return reached.error();
    if (!*reached) co_return Ok();
    Result<void> tried = co_await doctor.ListUploads();
    const bool other_keys = !migration.options.kms_key.empty() &&
                            context.configuration()->stores.at(to.store).endpoint.empty();
    if (tried && other_keys) tried = co_await doctor.ReadUnderOtherKeys();
    if (tried) tried = co_await doctor.ReadUnknown(true);
    if (!tried) co_return tried;
    co_return co_await doctor.Write({.deletes = false,
                                     .storage_class = migration.options.storage_class,
                                     .kms_key = migration.options.kms_key});
  }

  Async<void> TryRule(RunContext& context, const Rule& rule, DoctorRoles roles,
                      const Stores& stores) {
    Runtime& runtime = context.runtime();
    const bool direct = roles.source && MayCarryDirectly(rule);
    const auto source = stores.find(rule.source.store);
    const bool locks = std::ranges::any_of(rule.targets, &Target::object_lock);
    const std::string reads = std::string("source") + (locks ? ", locks" : "") +
                              (rule.restore ? ", restore " + rule.restore->tier : "");
    if (roles.source && source != stores.end() && First(reads, rule.source)) {
      StoreDoctor doctor(runtime, *source->second, "source " + rule.source.ToString(),
                         rule.source.bucket, rule.source.prefix, checks_,
                         partitions_[rule.source.store]);
      Result<bool> reached = co_await doctor.Reach();
      if (!reached) co_return reached.error();
      if (*reached) {
        const bool decrypts =
            context.configuration()->stores.at(rule.source.store).endpoint.empty();
        Result<void> tried = co_await doctor.ReadFirst(true, decrypts);
        if (tried && locks) tried = co_await doctor.ReadLocks();
        if (tried && rule.restore) tried = co_await doctor.AskBack(rule.restore->tier);
        if (!tried) co_return tried;
      }
    }
    if (roles.source && rule.intake.inventory) {
      const Address& at = *rule.intake.inventory;
      const auto store = stores.find(at.store);
      if (store != stores.end() && First("inventory of " + rule.source.bucket, at)) {
        StoreDoctor doctor(runtime, *store->second, "inventory " + at.ToString(), at.bucket,
                           at.prefix, checks_, partitions_[at.store]);
        Result<bool> reached = co_await doctor.Reach();
        if (!reached) co_return reached.error();
        Result<void> tried;
        if (*reached) tried = co_await doctor.ReadInventory(rule.source.bucket);
        if (!tried) co_return tried;
      }
    }
    if (roles.source && rule.local_staging && stores.contains(rule.local_staging->store) &&
        First("local staging", *rule.local_staging)) {
      Result<void> tried = co_await TryStaging(runtime, *stores.at(rule.local_staging->store),
                                               "local staging " + rule.local_staging->ToString(),
                                               rule.local_staging->bucket, LocalStagingPrefix(rule),
                                               partitions_[rule.local_staging->store], true);
      if (!tried) co_return tried;
    }
    for (const Target& target : rule.targets) {
      const auto staging = stores.find(target.staging.store);
      if (staging != stores.end() && First("staging " + rule.id, target.staging)) {
        Result<void> tried = co_await TryStaging(
            runtime, *staging->second, "staging " + target.staging.ToString(),
            target.staging.bucket, StagingPrefix(rule, target), partitions_[target.staging.store]);
        if (!tried) co_return tried;
      }
      if (staging != stores.end() && First("probe", target.staging)) {
        StoreDoctor doctor(runtime, *staging->second, "probe " + target.staging.ToString(),
                           target.staging.bucket, ProbePrefix(target), checks_,
                           partitions_[target.staging.store]);
        Result<void> tried = co_await TryProbePlace(doctor, roles.target || direct);
        if (!tried) co_return tried;
      }
      const auto store = stores.find(target.to.store);
      if (store == stores.end()) continue;
      Result<void> tried = co_await TryTarget(
          runtime, *store->second, target, roles.target || direct,
          DeletesReach(*context.configuration(), target),
          context.configuration()->stores.at(target.to.store).endpoint.empty(),
          NamesAbove(context.configuration()->stores.at(target.to.store), target.to.prefix));
      if (!tried) co_return tried;
      if (!target.take_over || !roles.target) continue;
      const Address& from = target.take_over->from;
      const auto inbound = stores.find(from.store);
      if (inbound == stores.end() || !First("take_over", from)) continue;
      StoreDoctor doctor(runtime, *inbound->second, "take_over " + from.ToString(), from.bucket,
                         from.prefix, checks_, partitions_[from.store]);
      Result<bool> reached = co_await doctor.Reach();
      if (!reached) co_return reached.error();
      if (*reached) {
        // The bucket has a key of its own: that of an archive tells whether it may be used.
        tried = co_await doctor.ReadFirst(false);
        if (!tried) co_return tried;
      }
    }
    co_return Ok();
  }

  // `versions`: those of what lies there are read and removed, too.
  Async<void> TryStaging(Runtime& runtime, Store& store, std::string place, std::string bucket,
                         std::string prefix, std::string partition, bool versions = false) {
    StoreDoctor doctor(runtime, store, std::move(place), std::move(bucket), std::move(prefix),
                       checks_, partition);
    Result<bool> reached = co_await doctor.Reach();
    if (!reached) co_return reached.error();
    if (!*reached) co_return Ok();
    Result<void> tried = co_await doctor.Versioning();
    if (tried) tried = co_await doctor.ListUploads();
    if (tried && versions) tried = co_await doctor.ListVersions();
    if (tried) tried = co_await doctor.ReadUnknown(false);
    if (tried) tried = co_await doctor.Write({.tags = false});
    co_return tried;
  }

  static Async<void> TryProbePlace(StoreDoctor& doctor, bool probes) {
    Result<bool> reached = co_await doctor.Reach();
    if (!reached) co_return reached.error();
    if (!*reached) co_return Ok();
    Result<void> tried = co_await doctor.Versioning();
    if (tried && probes) tried = co_await doctor.ListVersions();
    if (tried) tried = co_await doctor.ReadUnknown(probes);
    if (tried) tried = co_await doctor.Write({.tags = probes});
    co_return tried;
  }

  // `writes`: the roles write there. `keys`: objects there may be under keys of KMS.
  Async<void> TryTarget(Runtime& runtime, Store& store, const Target& target, bool writes,
                        bool deletes, bool keys, std::vector<std::string> above) {
    StoreDoctor doctor(runtime, store, "target " + target.to.ToString(), target.to.bucket,
                       target.to.prefix, checks_, partitions_[target.to.store]);
    Result<bool> reached = co_await doctor.Reach();
    if (!reached) co_return reached.error();
    if (!*reached) co_return Ok();
    if (!writes) co_return co_await doctor.ReadUnknown(false);
    const bool replicas = !target.backup;
    Result<void> tried = co_await doctor.Versioning();
    if (tried) tried = co_await doctor.ListUploads();
    // What lies there already may be under another key than this one.
    const bool other_keys = keys && (!target.kms_key.empty() || target.sse == "AES256");
    if (tried && other_keys) tried = co_await doctor.ReadUnderOtherKeys();
    if (tried) tried = co_await doctor.ReadUnknown(replicas);
    if (tried && target.object_lock) tried = co_await doctor.ReadLocks();
    if (tried) tried = co_await doctor.Look(std::move(above));
    if (!tried) co_return tried;
    const std::string& storage_class =
        target.backup ? target.backup->storage_class : target.storage_class;
    co_return co_await doctor.Write({.tags = replicas,
                                     .deletes = replicas && deletes,
                                     .storage_class = storage_class,
                                     .sse = target.sse,
                                     .kms_key = target.kms_key,
                                     .bucket_key = target.bucket_key,
                                     .acl = target.acl,
                                     .bucket_owner = target.bucket_owner,
                                     .object_lock = target.object_lock,
                                     .lock_mode = target.backup ? target.backup->lock_mode : ""});
  }

  // What the stores can do, tried anew and remembered.
  Async<void> Probe(RunContext& context, const Configuration& configuration, DoctorRoles roles,
                    const Stores& stores, Queue& queue, State& state) {
    std::map<std::string, Store*> pointers;
    for (const auto& [name, store] : stores) pointers[name] = store.get();
    if (pointers.size() < configuration.stores.size()) co_return Ok();  // Told of already.
    std::vector<const Rule*> rules;
    for (const Rule& rule : configuration.rules) {
      if (rule.enabled) rules.push_back(&rule);
    }
    Result<std::vector<LeftStaging>> left =
        co_await FindLeftStagings(state, rules, pointers, false);
    // A state that cannot be read has been told of.
    for (size_t i = 0; left && i < left->size(); ++i) {
      const LeftStaging& one = (*left)[i];
      checks_.push_back({.place = "staging " + one.place,
                         .what = "look for archives that nobody carries",
                         .state = Check::State::kWarning,
                         .found = Describe(one),
                         .remedy = "write or enable the rule with that staging until it is empty"});
    }
    Result<std::vector<LeftSpool>> kept = co_await FindLeftSpools(state, rules);
    for (size_t i = 0; kept && i < kept->size(); ++i) {
      const LeftSpool& one = (*kept)[i];
      checks_.push_back({.place = "hints of rule " + one.rule,
                         .what = "look for hints that nobody sends",
                         .state = Check::State::kWarning,
                         .found = Describe(one),
                         .remedy = "write or enable the rule with that id until they are sent"});
    }
    Observer nobody;
    Result<std::unique_ptr<ReplicationContext>> replication = MakeReplicationContext(
        context.runtime(), configuration, pointers, queue, state, nobody, ReplicationLimits{});
    if (!replication) co_return replication.error();
    for (const Rule& rule : configuration.rules) {
      if (!rule.enabled || !(roles.target || MayCarryDirectly(rule))) continue;
      for (const Target& target : rule.targets) {
        if (target.staging.store != target.to.store) continue;  // Leases stand in there.
        if (context.stop().is_set() || !First("abilities", target.staging)) continue;
        const std::string place = "probe " + target.staging.ToString();
        const bool failed = std::ranges::any_of(checks_, [&](const Check& check) {
          return check.place == place && check.state == Check::State::kFailed;
        });
        if (failed) continue;  // It would fail for the same reason.
        Store& store = *stores.at(target.staging.store);
        Result<Capabilities> can =
            co_await ProbeAnew(**replication, store, target.staging.bucket, target.staging.prefix);
        if (!can) {
          Failed(place, "find out what the store can do", "", can.error(), place);
        } else {
          checks_.push_back({.place = place,
                             .what = "find out what the store can do",
                             .found = AbilitiesText(*can)});
        }
      }
    }
    co_return Ok();
  }

  ExitCode Tell(RunContext& context) {
    Output& output = context.output();
    size_t failed = 0;
    size_t warnings = 0;
    size_t width = 0;
    for (const Check& check : checks_) width = std::max(width, check.place.size());
    for (const Check& check : checks_) {
      failed += check.state == Check::State::kFailed ? 1 : 0;
      warnings += check.state == Check::State::kWarning ? 1 : 0;
      std::string text = fmt::format("{:<8} {:<{}}  {}", ToString(check.state),
                                     Printable(check.place), width, check.what);
      if (!check.action.empty()) text += " (" + check.action + ")";
      if (!check.found.empty()) text += ": " + Printable(check.found);
      if (!check.remedy.empty()) text += "\n         -> " + check.remedy;
      Message message("check");
      message.With("state", ToString(check.state))
          .With("place", check.place)
          .With("what", check.what)
          .With("action", check.action)
          .With("found", check.found)
          .With("remedy", check.remedy);
      output.Print(message.Says(std::move(text)));
    }
    output.Print(Message("summary")
                     .With("checks", checks_.size())
                     .With("failed", failed)
                     .With("warnings", warnings)
                     .Says(failed == 0 ? Counted(checks_.size(), "check") + ", nothing failed" +
                                             (warnings > 0 ? ", " + Counted(warnings, "warning")
                                                           : std::string())
                                       : FormatCount(failed) + " of " +
                                             Counted(checks_.size(), "check") + " failed"));
    return failed == 0 ? ExitCode::kDone : ExitCode::kSomeFailed;
  }

  std::optional<std::string> file_;
  std::string roles_;  // Empty: as what the configuration has.
  std::chrono::milliseconds timeout_{10'000};
  std::vector<Check> checks_;
  std::set<std::string> seen_;
  std::map<std::string, std::chrono::seconds> clocks_;  // So far ahead of ours, by service.
  std::map<std::string, std::string> partitions_;       // Of AWS, by store.
};

}  // namespace

std::unique_ptr<Command> MakeDoctorCommand() { return std::make_unique<DoctorCommand>(); }

}  // namespace longhaul
