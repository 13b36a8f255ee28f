#include <memory>
#include <optional>
#include <vector>

#include "cli/backends.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cli/sqs_place.h"
#include "net/postgres_schema.h"
#include "queue/postgres_queue.h"
#include "queue/sqs_setup.h"
#include "state/dynamodb_table.h"
#include "state/postgres_state.h"

namespace longhaul {

namespace {

// What one PostgreSQL database has to hold.
struct SetupPart {
  DatabasePlace place;
  std::vector<PostgresPart> parts;
  std::vector<PostgresPart> of_target{};  // Where processes with the target role alone need less.
};

std::vector<SetupPart> PartsOf(const Configuration& configuration, bool queue, bool state) {
  std::vector<SetupPart> all;
  auto add = [&all](const DatabasePlace& place, const PostgresPart& part) {
    if (place.postgres_url.empty()) return;
    for (SetupPart& known : all) {
      if (known.place == place) {
        known.parts.push_back(part);
        return;
      }
    }
    all.push_back({.place = place, .parts = {part}});
  };
  if (queue) add(configuration.queue, PostgresQueuePart());
  if (queue) add(configuration.queue, PostgresDeadLettersPart());
  if (state) add(configuration.state, PostgresStatePart());
  for (SetupPart& one : all) {
    if (one.place != configuration.queue || !queue) continue;
    one.of_target = one.parts;
    one.of_target.front() = PostgresQueuePartFor(QueueUseOf(configuration, false));
  }
  return all;
}

class SetupCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "setup",
        .summary = "make what a configuration's queue and state need",
        .description =
            "Makes or brings up to date what a queue and a state live in, and says what it did: "
            "of PostgreSQL the schema, tables and functions; of DynamoDB the table, on demand "
            "unless capacities are given, with its TTL; of SQS three queues for each rule, two "
            "for the runs of all migrations, and one for the dead letters of all, encrypted, that "
            "keep messages for 14 days. Where nothing "
            "is missing it does nothing. It is the only command that needs the right to make "
            "tables and queues. Several may run at once. SQLite files need no setup.",
        .examples = {{"Before the first process is started, and after an upgrade",
                      "longhaul setup --config longhaul.yaml"},
                     {"The SQL, for whoever may carry it out",
                      "longhaul setup --print --only queue --config longhaul.yaml | psql"},
                     {"A table of DynamoDB with provisioned capacity",
                      "longhaul setup --read-capacity 50 --write-capacity 50 --config "
                      "longhaul.yaml"}},
        .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    flags.Switch({.name = "print",
                  .help = "Print the SQL, or the commands of the AWS CLI, from the beginning, and "
                          "do nothing."},
                 print_);
    flags.Choice({.name = "only", .help = "Of the two only this one.", .value_name = "PART"},
                 {"queue", "state"}, only_);
    flags.Integer({.name = "read-capacity",
                   .help = "Read capacity units of a table of DynamoDB that is made, which is then "
                           "provisioned. A table that is there stays as it is.",
                   .value_name = "UNITS"},
                  1, kCapacityMax, read_units_);
    flags.Integer({.name = "write-capacity",
                   .help = "The same of writes; both or neither.",
                   .value_name = "UNITS"},
                  1, kCapacityMax, write_units_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    const Configuration* configuration = context.configuration();
    if (configuration == nullptr) {
      co_return InvalidInput("no configuration: give --config or LONGHAUL_CONFIG");
    }
    const bool queue = only_ != "state";
    const bool state = only_ != "queue";
    const std::optional<AwsPlace> table = state ? configuration->state.dynamodb : std::nullopt;
    if (read_units_.has_value() != write_units_.has_value()) {
      co_return InvalidInput("give --read-capacity and --write-capacity, or neither");
    }
    if (read_units_ && !table) {
      co_return InvalidInput("--read-capacity is of a table of DynamoDB, and there is none");
    }
    const std::vector<SetupPart> parts = PartsOf(*configuration, queue, state);
    const bool queues = queue && configuration->queue.sqs;
    if (parts.empty() && !table && !queues && !print_) {
      context.output().Print(Message("nothing_to_set_up").Says(WhatFiles(queue, state)));
    }
    for (const SetupPart& part : parts) {
      Result<void> done = co_await SetUpDatabase(context, part);
      if (!done) co_return done.error();
    }
    if (queues) {
      Result<void> done = co_await SetUpQueues(context, *configuration);
      if (!done) co_return done.error().In("queue");
    }
    if (table) {
      Result<void> done = co_await SetUpTable(context, *table);
      if (!done) co_return done.error().In("state");
    }
    co_return ExitCode::kDone;
  }

 private:
  static constexpr int64_t kCapacityMax = 1'000'000;

  static std::string WhatFiles(bool queue, bool state) {
    if (queue && state) return "queue and state are SQLite files";
    return std::string("the ") + (queue ? "queue" : "state") + " is a SQLite file";
  }

  Async<void> SetUpDatabase(RunContext& context, const SetupPart& part) {
    Output& output = context.output();
    Result<std::shared_ptr<PostgresClient>> client = PostgresClient::Make(
        context.runtime(),
        {.url = part.place.postgres_url,
         .grants = [parts = part.parts](const std::string& schema, std::string_view role) {
           return PostgresGrants(schema, role, parts);
         }});
    if (!client) co_return client.error();
    if (print_) {
      output.Raw(
          PostgresSetupSql((*client)->schema(), part.parts, (*client)->user(), part.of_target));
      co_return Ok();
    }
    Result<std::vector<std::string>> changed = co_await SetUpPostgres(**client, part.parts);
    if (!changed) co_return changed.error();
    const std::string where = (*client)->description() + ", schema " + (*client)->schema();
    for (const std::string& name : *changed) {
      output.Print(Message("set_up")
                       .With("part", name)
                       .With("database", (*client)->description())
                       .With("schema", (*client)->schema())
                       .Says(where + ": the tables of the " + name + " are there"));
    }
    if (changed->empty()) {
      output.Print(Message("nothing_to_set_up")
                       .With("database", (*client)->description())
                       .With("schema", (*client)->schema())
                       .Says(where + ": nothing was missing"));
    }
    co_return Ok();
  }

  Async<void> SetUpTable(RunContext& context, const AwsPlace& place) {
    Result<std::unique_ptr<DynamodbClient>> client =
        MakeDynamodbClient(context.runtime(), place, TellingClock(context.troubles()));
    if (!client) co_return client.error();
    std::optional<DynamoCapacity> capacity;
    if (read_units_) capacity = {.read_units = *read_units_, .write_units = *write_units_};
    Output& output = context.output();
    const AwsJsonOptions& options = (*client)->service().options();
    if (print_) {
      // Only an endpoint that somebody has named is worth saying.
      const bool own = options.endpoint.contains(".amazonaws.com");
      output.Raw(
          DynamodbStateCommands(place.name, own ? "" : options.endpoint, options.region, capacity));
      co_return Ok();
    }
    Result<bool> made = co_await SetUpDynamodbState(**client, capacity);
    if (!made) co_return made.error();
    output.Print(Message(*made ? "set_up" : "nothing_to_set_up")
                     .With("part", "state")
                     .With("table", place.name)
                     .With("region", options.region)
                     .Says((*client)->description() + (*made ? ": the table of the state is there"
                                                             : ": nothing was missing")));
    co_return Ok();
  }

  Async<void> SetUpQueues(RunContext& context, const Configuration& configuration) {
    Result<std::shared_ptr<SqsClient>> client = MakeSqsClient(
        context.runtime(), *configuration.queue.sqs, 0, TellingClock(context.troubles()));
    if (!client) co_return client.error();
    const SqsQueueOptions options = AllSqsOptionsOf(configuration);
    Output& output = context.output();
    if (print_) {
      const std::string& endpoint = (*client)->endpoint();
      output.Raw(SqsSetupCommands(endpoint.contains(".amazonaws.com") ? "" : endpoint,
                                  (*client)->region(), options));
      co_return Ok();
    }
    Result<std::vector<std::string>> changed = co_await SetUpSqs(**client, options);
    if (!changed) co_return changed.error();
    for (const std::string& name : *changed) {
      output.Print(Message("set_up")
                       .With("part", "queue")
                       .With("queue", name)
                       .With("region", (*client)->region())
                       .Says((*client)->description() + ": the queue " + name + " is there"));
    }
    if (changed->empty()) {
      output.Print(Message("nothing_to_set_up")
                       .With("part", "queue")
                       .With("region", (*client)->region())
                       .Says((*client)->description() + ": nothing was missing"));
    }
    co_return Ok();
  }

  bool print_ = false;
  std::string only_;
  std::optional<int64_t> read_units_;
  std::optional<int64_t> write_units_;
};

}  // namespace

std::unique_ptr<Command> MakeSetupCommand() { return std::make_unique<SetupCommand>(); }

}  // namespace longhaul
