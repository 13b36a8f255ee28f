// The rights in AWS that the roles of a process need for a configuration, and no others, as
// policies of IAM: one for each identity, as stores may have keys of their own.
//
// Statements are by bucket and prefix. What `longhaul setup` needs besides is not among them.
// `longhaul doctor` (cli/store_doctor.h) tries these actions, but for a few that cannot be tried
// without leaving something behind, of which it warns: sends to and receives from a queue, deletes
// in a target that keeps versions, a topic that is told.
//
// Sources: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3",
// "… for Amazon SQS", "… for Amazon DynamoDB"; S3 User Guide, "Required permissions for Amazon S3
// API operations"; IAM User Guide, "Condition operators".

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rules/migration.h"
#include "rules/rule.h"

namespace longhaul {

struct IamStatement {
  std::string sid;
  std::vector<std::string> actions;
  std::vector<std::string> resources;
  struct Condition {
    std::string operation;  // "StringLikeIfExists"
    std::string key;        // "s3:prefix"
    std::vector<std::string> values;
    bool operator==(const Condition&) const = default;
  };
  std::vector<Condition> conditions{};
};

struct IamPolicy {
  std::string identity;  // Whose it is: "default credentials", "profile 'west'".
  std::vector<IamStatement> statements;
};

// What the configuration does not say.
struct IamNames {
  bool source = true;  // Roles of the process; neither: it works on migrations alone.
  bool target = true;
  std::vector<Migration> migrations{};           // Those that it works on.
  std::string account = "*";                     // 12 digits.
  std::map<std::string, std::string> regions{};  // Of stores; missing or empty: any.
  std::string kept_region = "*";                 // Where `credentials` of stores are kept.
  std::string queue_region = "*";
  std::string state_region = "*";
  std::string alarm_topic{};  // The ARN of the topic of `alarms:`; empty: none.
  // Of Configuration::queue in SQS: those of rules, of the runs of migrations, and of dead letters.
  std::vector<std::string> queues{};
  std::vector<std::string> run_queues{};
  std::string dead_letters{};
};

// Disabled rules count: whoever enables one must not need other rights. Sorted by identity; none is
// empty.
std::vector<IamPolicy> IamPolicies(const Configuration& configuration, const IamNames& names);

// Whether events are sent to `listen`, for a rule that is enabled.
bool TakesWebhooks(const Configuration& configuration);
// Whether a process that replicates, with the source role or with that of targets alone, opens
// `listen`: where events are sent to it the port is left to the source.
bool ServesApi(const Configuration& configuration, bool source);

// Whether a rule that replicates deletes writes to the bucket of `target`: what one of them has
// deleted, the others may have to undo there.
bool DeletesReach(const Configuration& configuration, const Target& target);

// Of a store that may be like a file system, as all but AWS may: the names above a target's prefix,
// which are looked at because an object of such a name would hide what lies below it.
std::vector<std::string> NamesAbove(const StoreSettings& store, std::string_view prefix);

// As the CLI takes it: {"Version":"2012-10-17","Statement":[…]}, with or without line ends.
std::string IamDocument(const IamPolicy& policy, bool pretty);

}  // namespace longhaul
