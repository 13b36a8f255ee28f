// Where queue and state lie.

#include "aws/dynamodb_client.h"
#include "base/without_passwords.h"
#include "net/postgres_client.h"
#include "queue/sqs_setup.h"
#include "rules/configuration_reader.h"

namespace longhaul {

void ConfigurationReader::ReadDatabase(YamlFields& fields, std::string_view name,
                                       DatabasePlace& place) {
  // Beside the configuration: what belongs together is found together.
  place.sqlite_path = AbsolutePath("longhaul.db");
  std::optional<YamlValue> value = fields.Find(name);
  std::optional<std::string> url = value ? value->Text() : std::nullopt;
  if (!url) return;
  const bool is_state = name == "state";
  const std::string remedy = std::string("write sqlite:PATH") +
                             (is_state ? ", dynamodb:TABLE" : ", sqs:PREFIX") +
                             " or postgresql://USER:PASSWORD@HOST/DATABASE";
  const std::string quoted = Quoted(WithoutPasswords(value->node().raw));
  const size_t colon = url->find(':');
  const std::string scheme = url->substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : url->substr(colon + 1);
  if (scheme == "sqlite" && !rest.empty()) {
    place.sqlite_path = AbsolutePath(rest);
  } else if ((scheme == "postgres" || scheme == "postgresql") && !rest.empty()) {
    // "postgres:" may also stand before what libpq takes: a URL, or "host=… dbname=…".
    const bool is_url = rest.starts_with("//");
    place = {.sqlite_path = "", .postgres_url = Secret(is_url ? *url : rest)};
    Result<void> valid = CheckPostgresUrl(place.postgres_url);
    if (!valid) value->Fail(valid.error().message, remedy);
  } else if (scheme == "dynamodb" && is_state) {
    Result<AwsPlace> table = ParseAwsPlace(rest);
    if (!table) {
      value->Fail(quoted + " " + table.error().message,
                  "write dynamodb:TABLE, or dynamodb:TABLE?region=REGION");
      return;
    }
    if (!IsDynamoTableName(table->name)) {
      value->Fail(Quoted(table->name) + " cannot name a table of DynamoDB",
                  "use 3 to 255 of A-Z, a-z, 0-9, '.', '_' and '-'");
      return;
    }
    place = {.sqlite_path = "", .dynamodb = std::move(*table)};
  } else if (scheme == "sqs" && !is_state) {
    Result<AwsPlace> queues = ParseAwsPlace(rest);
    if (!queues) {
      value->Fail(quoted + " " + queues.error().message,
                  "write sqs:PREFIX, or sqs:PREFIX?region=REGION");
      return;
    }
    if (!IsSqsPrefix(queues->name)) {
      value->Fail(Quoted(queues->name) + " cannot begin the names of queues of SQS",
                  "use 1 to 40 of A-Z, a-z, 0-9, '_' and '-'");
      return;
    }
    place = {.sqlite_path = "", .sqs = std::move(*queues)};
  } else {
    value->Fail(quoted + " is no place for it", remedy);
  }
}

}  // namespace longhaul
