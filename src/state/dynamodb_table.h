// The table of a DynamodbState: made by `longhaul setup`, and only by it, since a process that
// works needs no right to make tables.

#pragma once

#include <optional>
#include <string>

#include "aws/dynamodb_client.h"

namespace longhaul {

// Makes the table and turns its TTL on, where that is missing; whether anything was. May be run by
// several at once. `capacity`: that of a table that is made; nullopt: on demand. kInvalidInput: it
// is another table, one of a newer longhaul, or we may not (says what to run). kRetryable: not in
// time.
Async<bool> SetUpDynamodbState(DynamodbClient& client,
                               std::optional<DynamoCapacity> capacity = std::nullopt);

// The same as commands of the AWS CLI, for a person or a tool that carries them out, and then the
// rights that a process needs. `endpoint` may be empty.
std::string DynamodbStateCommands(const std::string& table, const std::string& endpoint,
                                  const std::string& region,
                                  std::optional<DynamoCapacity> capacity = std::nullopt);

// OK: the table is there in its version. kInvalidInput: it is not, or we may not; says what to run.
Async<void> CheckDynamodbState(DynamodbClient& client);

// What goes into a table's policy: `error`, a kDenied of the service, and the command that allows
// it. Any other error as it is.
Error ExplainDynamoDenied(const Error& error, const std::string& table, const std::string& region);

}  // namespace longhaul
