#include "state/dynamodb_table.h"

#include <algorithm>
#include <string_view>

#include "aws/iam_command.h"
#include "state/dynamodb_rows.h"

namespace longhaul {

namespace {

constexpr std::chrono::milliseconds kPollInterval{200};
constexpr std::chrono::minutes kCreateMax{5};

Error AnotherTable(const DynamodbClient& client) {
  return InvalidInput(client.description() +
                      " has other keys: it is no table of longhaul; name another one");
}

// What the role of a process needs; making the table needs the last three.
constexpr std::string_view kActions =
    R"("dynamodb:DescribeTable","dynamodb:GetItem","dynamodb:BatchGetItem","dynamodb:Query",)"
    R"("dynamodb:PutItem","dynamodb:UpdateItem","dynamodb:DeleteItem","dynamodb:CreateTable",)"
    R"("dynamodb:DescribeTimeToLive","dynamodb:UpdateTimeToLive")";

std::string Policy(const std::string& table, const std::string& region) {
  const std::string_view partition = region.starts_with("cn-")       ? "aws-cn"
                                     : region.starts_with("us-gov-") ? "aws-us-gov"
                                                                     : "aws";
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[)" +
         std::string(kActions) + R"(],"Resource":"arn:)" + std::string(partition) +
         ":dynamodb:" + region + ":*:table/" + table + R"("}]})";
}

std::string AllowCommand(std::string_view message, const std::string& table,
                         const std::string& region) {
  return IamCommand(message, "longhaul-state", Policy(table, region));
}

Async<int64_t> VersionOf(DynamodbClient& client) {
  Result<std::optional<DynamoItem>> item = co_await client.Get(PlaceOfDynamoVersion().Key());
  if (!item) co_return item.error();
  Result<int64_t> version = ReadDynamoVersion(*item);
  if (!version) {
    co_return version.error().In(client.description() + ", " + PlaceOfDynamoVersion().ToString());
  }
  co_return *version;
}

// That is there, with its keys.
Async<void> CheckVersion(DynamodbClient& client) {
  Result<int64_t> version = co_await VersionOf(client);
  if (!version) co_return version.error();
  if (*version > kDynamoStateVersion) {
    co_return InvalidInput("the state in " + client.description() + " is of version " +
                           std::to_string(*version) + ", of a newer longhaul: use that one");
  }
  co_return Ok();
}

Async<void> Check(DynamodbClient& client) {
  Result<std::optional<DynamoTable>> table = co_await client.Describe();
  if (!table) co_return table.error();
  if (!*table) co_return InvalidInput(client.description() + ", is missing: run 'longhaul setup'");
  if ((*table)->keys != DynamoStateKeys()) co_return AnotherTable(client);
  if (!(*table)->usable()) {
    co_return InvalidInput(client.description() + ", is " + (*table)->status +
                           ": run 'longhaul setup', which waits until it is there");
  }
  co_return co_await CheckVersion(client);
}

Async<bool> SetUp(DynamodbClient& client, std::optional<DynamoCapacity> capacity) {
  Clock& clock = client.service().runtime().clock;
  const SteadyTime until = clock.SteadyNow() + kCreateMax;
  bool made = false;
  while (true) {
    Result<std::optional<DynamoTable>> table = co_await client.Describe();
    if (!table) co_return table.error();
    if (!*table) {
      Result<void> created = co_await client.Create(DynamoStateKeys(), capacity);
      if (!created) co_return created.error();
      made = true;
    } else if ((*table)->keys != DynamoStateKeys()) {
      co_return AnotherTable(client);
    } else if ((*table)->usable()) {
      break;
    }
    if (clock.SteadyNow() >= until) {
      co_return Retryable(client.description() + ": it is still being made");
    }
    co_await clock.Sleep(kPollInterval);
  }
  Result<void> checked = co_await CheckVersion(client);
  if (!checked) co_return checked.error();
  Result<bool> turned_on = co_await client.TurnOnTtl(kDynamoStateTtl);
  if (!turned_on) co_return turned_on.error();
  co_return made || *turned_on;
}

}  // namespace

Error ExplainDynamoDenied(const Error& error, const std::string& table, const std::string& region) {
  if (error.code != "AccessDeniedException" && error.code != "AccessDenied") return error;
  if (IsForbidden(error.message)) return error;
  return InvalidInput(error.Describe() +
                      "; whoever may can allow it: " + AllowCommand(error.message, table, region));
}

Async<void> CheckDynamodbState(DynamodbClient& client) {
  Result<void> checked = co_await Check(client);
  if (checked) co_return Ok();
  co_return ExplainDynamoDenied(checked.error(), client.table(), client.service().options().region);
}

Async<bool> SetUpDynamodbState(DynamodbClient& client, std::optional<DynamoCapacity> capacity) {
  Result<bool> done = co_await SetUp(client, capacity);
  if (done) co_return *done;
  co_return ExplainDynamoDenied(done.error(), client.table(), client.service().options().region);
}

std::string DynamodbStateCommands(const std::string& table, const std::string& endpoint,
                                  const std::string& region,
                                  std::optional<DynamoCapacity> capacity) {
  const std::string where = (region.empty() ? "" : " --region " + region) +
                            (endpoint.empty() ? "" : " --endpoint-url '" + endpoint + "'") +
                            " --table-name " + table;
  const std::string billing =
      capacity ? " --billing-mode PROVISIONED --provisioned-throughput ReadCapacityUnits=" +
                     std::to_string(capacity->read_units) +
                     ",WriteCapacityUnits=" + std::to_string(capacity->write_units)
               : " --billing-mode PAY_PER_REQUEST";
  return "aws dynamodb create-table" + where + billing +
         " \\\n"
         "  --attribute-definitions AttributeName=p,AttributeType=B"
         " AttributeName=k,AttributeType=B \\\n"
         "  --key-schema AttributeName=p,KeyType=HASH AttributeName=k,KeyType=RANGE\n"
         "aws dynamodb wait table-exists" +
         where +
         "\n"
         "aws dynamodb update-time-to-live" +
         where +
         " \\\n  --time-to-live-specification Enabled=true,AttributeName=" + kDynamoStateTtl +
         "\n# The rights of a process:\n# " + AllowCommand("", table, region) + "\n";
}

}  // namespace longhaul
