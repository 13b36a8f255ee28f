#include "rules/iam_policy.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "aws/aws_endpoint.h"
#include "aws/kept_credentials.h"
#include "base/json.h"

namespace longhaul {

namespace {

using Condition = IamStatement::Condition;

constexpr char kDefaultIdentity[] = "default credentials";

// Text of a key in a pattern of IAM. (IAM User Guide, "Policy variables": ${*}, ${?}, ${$}.)
std::string Literal(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '*' || c == '?' || c == '$') {
      out.append("${").append(1, c).append("}");
    } else {
      out += c;
    }
  }
  return out;
}

std::string IdentityOf(const StoreSettings& store) {
  if (!store.role_arn.empty()) return "role " + store.role_arn;
  if (!store.access_key_id.empty()) return "keys of store " + store.name;
  if (!store.credentials.empty()) return "keys in " + store.credentials;
  if (!store.profile.empty()) return "profile '" + store.profile + "'";
  return kDefaultIdentity;
}

std::string IdentityOf(const AwsPlace& place) {
  return place.profile.empty() ? std::string(kDefaultIdentity) : "profile '" + place.profile + "'";
}

// The store copies objects into this target, as replication/source/carry.h says.
bool MayCopyTo(const Rule& rule, const Target& target) {
  return rule.transport == Transport::kCopy ||
         (rule.transport == Transport::kAuto && target.store_can_copy);
}

// The source role writes objects to its targets itself.
bool CarriesItself(const Rule& rule) {
  return rule.transport == Transport::kCopy || rule.transport == Transport::kPlain ||
         rule.transport == Transport::kAuto;
}

class Builder {
 public:
  Builder(const Configuration& configuration, const IamNames& names)
      : configuration_(configuration), names_(names) {}

  std::vector<IamPolicy> Build() {
    for (const Rule& rule : configuration_.rules) {
      if (names_.source || names_.target) AddRule(rule);
    }
    for (const Migration& migration : names_.migrations) AddMigration(migration);
    AddBackends();
    AddIdentities();
    std::vector<IamPolicy> policies;
    for (auto& [identity, statements] : policies_) {
      policies.push_back({.identity = identity, .statements = std::move(statements)});
    }
    return policies;
  }

 private:
  void AddRule(const Rule& rule) {
    const bool carries = names_.source && CarriesItself(rule);
    if (names_.source) {
      AddSource(rule, rule.source.store);
      if (rule.intake.inventory) {
        const Address& at = *rule.intake.inventory;
        AddListing(at.store, at.bucket, at.prefix, "s3:ListBucket", "InventoryList");
        Add(at.store, "Inventory", {"s3:GetObject"}, {Objects(at.store, at.bucket, at.prefix)});
        AddKeysOf(at.store, at, {"kms:Decrypt"}, "InventoryDecrypt");
      }
      if (rule.local_staging) {
        AddStaging(rule.local_staging->store, rule.local_staging->bucket, LocalStagingPrefix(rule),
                   "LocalStaging");
        Add(rule.local_staging->store, "LocalStagingVersions",
            {"s3:GetObjectVersion", "s3:DeleteObjectVersion"},
            {Objects(rule.local_staging->store, rule.local_staging->bucket,
                     LocalStagingPrefix(rule))});
        AddListing(rule.local_staging->store, rule.local_staging->bucket, LocalStagingPrefix(rule),
                   "s3:ListBucketVersions", "LocalStagingListVersions");
        AddKeysOf(rule.local_staging->store, *rule.local_staging, kWritesUnderKey,
                  "LocalStagingKey");
      }
    }
    for (const Target& target : rule.targets) {
      AddStaging(target.staging.store, target.staging.bucket, StagingPrefix(rule, target),
                 "Staging");
      AddKeysOf(target.staging.store, target.staging, kWritesUnderKey, "StagingKey");
      AddProbe(target, names_.target || carries);
      AddTarget(target, names_.target || carries);
      if (names_.source && MayCopyTo(rule, target)) AddSource(rule, target.to.store);
      if (names_.target && target.take_over) {
        const Address& from = target.take_over->from;
        AddListing(from.store, from.bucket, from.prefix, "s3:ListBucket", "TakeOverList");
        Add(from.store, "TakeOver", {"s3:GetObject", "s3:DeleteObject"},
            {Objects(from.store, from.bucket, from.prefix)});
        AddKeysOf(from.store, from, {"kms:Decrypt"}, "TakeOverDecrypt");
      }
    }
  }

  // `store`: whose identity reads.
  void AddSource(const Rule& rule, const std::string& store) {
    const Address& source = rule.source;
    AddListing(store, source.bucket, source.prefix, "s3:ListBucket", "SourceList");
    std::vector<std::string> actions{"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging",
                                     "s3:GetObjectVersionTagging"};
    if (rule.restore) actions.emplace_back("s3:RestoreObject");
    if (std::ranges::any_of(rule.targets, &Target::object_lock)) {
      actions.insert(actions.end(), {"s3:GetObjectRetention", "s3:GetObjectLegalHold"});
    }
    Add(store, "SourceRead", std::move(actions), {Objects(store, source.bucket, source.prefix)});
    // Also where objects under such a key are left out: that they are, only a GET says.
    AddKeysOf(store, source, {"kms:Decrypt"}, "SourceDecrypt");
  }

  // `store`: whose identity asks. Nobody says under which keys the objects lie, nor which one is
  // the bucket's own, nor whose account they are of: those that S3 uses for this bucket.
  void AddKeysOf(const std::string& store, const Address& at, std::vector<std::string> actions,
                 const std::string& part) {
    const StoreSettings* settings = Find(at.store);
    if (settings == nullptr || !settings->endpoint.empty()) return;
    const std::string region = RegionOf(at.store);
    const std::string bucket = "arn:" + Partition(region) + ":s3:::" + at.bucket;
    Add(store, part, std::move(actions),
        {"arn:" + Partition(region) + ":kms:" + region + ":*:key/*"},
        {{.operation = "StringLike",
          .key = "kms:ViaService",
          .values = {"s3." + region + ".amazonaws.com*"}},
         {.operation = "StringLike",
          .key = "kms:EncryptionContext:aws:s3:arn",
          .values = {bucket, bucket + "/" + Literal(at.prefix) + "*"}}});
  }

  // What a worker of its runs does: it removes nothing.
  void AddMigration(const Migration& migration) {
    const Address& source = migration.source;
    AddListing(source.store, source.bucket, source.prefix, "s3:ListBucket", "MigrationSourceList");
    // Of a giant the version is named that was planned.
    Add(source.store, "MigrationSource",
        {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging",
         "s3:GetObjectVersionTagging"},
        {Objects(source.store, source.bucket, source.prefix)});
    AddKeysOf(source.store, source, {"kms:Decrypt"}, "MigrationSourceDecrypt");
    const Address& target = migration.target;
    AddListing(target.store, target.bucket, target.prefix, "s3:ListBucket", "MigrationTargetList");
    // Where the answer to a creation was lost, nothing else tells what it has left.
    Add(target.store, "MigrationTargetLook", {"s3:ListBucketMultipartUploads"},
        {Bucket(target.store, target.bucket)});
    Add(target.store, "MigrationTarget",
        {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObjectTagging",
         "s3:PutObjectTagging"},
        {Objects(target.store, target.bucket, target.prefix)});
    if (!migration.options.kms_key.empty()) {
      AddKey(target.store, migration.options.kms_key);
      AddKeysOf(target.store, target, {"kms:Decrypt"}, "TargetDecrypt");
    } else {
      AddKeysOf(target.store, target, kWritesUnderKey, "TargetBucketKey");
    }
  }

  void AddStaging(const std::string& store, const std::string& bucket, const std::string& prefix,
                  const std::string& part) {
    AddListing(store, bucket, prefix, "s3:ListBucket", part + "List");
    Add(store, part + "Look", {"s3:GetBucketVersioning", "s3:ListBucketMultipartUploads"},
        {Bucket(store, bucket)});
    Add(store, part, {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"},
        {Objects(store, bucket, prefix)});
  }

  void AddProbe(const Target& target, bool probes) {
    const std::string& store = target.staging.store;
    const std::string& bucket = target.staging.bucket;
    const std::string prefix = ProbePrefix(target);
    AddListing(store, bucket, prefix, "s3:ListBucket", "ProbeList");
    std::vector<std::string> actions{"s3:GetObject", "s3:PutObject", "s3:DeleteObject",
                                     "s3:AbortMultipartUpload"};
    if (probes) {
      actions.insert(actions.end(),
                     {"s3:GetObjectTagging", "s3:PutObjectTagging", "s3:DeleteObjectVersion"});
      AddListing(store, bucket, prefix, "s3:ListBucketVersions", "ProbeListVersions");
    }
    Add(store, "Probe", std::move(actions), {Objects(store, bucket, prefix)});
  }

  void AddTarget(const Target& target, bool writes) {
    const std::string& store = target.to.store;
    const std::string& bucket = target.to.bucket;
    AddListing(store, bucket, target.to.prefix, "s3:ListBucket", "TargetList");
    const std::vector<std::string> objects{Objects(store, bucket, target.to.prefix)};
    if (!writes) {
      Add(store, "TargetRead", {"s3:GetObject"}, objects);
      AddKeysOf(store, target.to, {"kms:Decrypt"}, "TargetDecrypt");
      return;
    }
    Add(store, "TargetLook", {"s3:GetBucketVersioning", "s3:ListBucketMultipartUploads"},
        {Bucket(store, bucket)});
    std::vector<std::string> actions{"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"};
    if (!target.backup) {
      actions.insert(actions.end(), {"s3:GetObjectTagging", "s3:PutObjectTagging"});
      if (DeletesReach(configuration_, target)) actions.emplace_back("s3:DeleteObject");
    }
    if (!target.acl.empty()) actions.emplace_back("s3:PutObjectAcl");
    if (target.backup && !target.backup->lock_mode.empty()) {
      actions.emplace_back("s3:PutObjectRetention");
    }
    if (target.object_lock) {
      actions.insert(actions.end(), {"s3:GetObjectRetention", "s3:GetObjectLegalHold",
                                     "s3:PutObjectRetention", "s3:PutObjectLegalHold"});
    }
    Add(store, "Target", std::move(actions), objects);
    std::vector<std::string> above;
    if (const StoreSettings* settings = Find(store)) {
      for (const std::string& name : NamesAbove(*settings, target.to.prefix)) {
        above.push_back(Bucket(store, bucket) + "/" + Literal(name));
      }
    }
    if (!above.empty()) Add(store, "TargetAbove", {"s3:GetObject"}, std::move(above));
    if (!target.kms_key.empty()) AddKey(store, target.kms_key);
    // What lies there already may be under another key, and a HEAD that asks for checksums is
    // refused without it. (S3 API Reference, HeadObject.)
    if (!target.kms_key.empty() || target.sse == "AES256") {
      AddKeysOf(store, target.to, {"kms:Decrypt"}, "TargetDecrypt");
    } else {
      AddKeysOf(store, target.to, kWritesUnderKey, "TargetBucketKey");
    }
  }

  void AddKey(const std::string& store, const std::string& key) {
    const std::string region = RegionOf(store);
    const size_t alias = key.find("alias/");
    if (alias == std::string::npos) {
      Add(store, "TargetKey", kWritesUnderKey,
          {key.starts_with("arn:") ? key : KeyArn(region, key)});
      return;
    }
    // No resource of IAM is an alias. (KMS Developer Guide, "Use aliases to control access".)
    Add(store, "TargetKey", kWritesUnderKey,
        {key.starts_with("arn:") ? key.substr(0, alias) + "key/*" : KeyArn(region, "*")},
        {{.operation = "ForAnyValue:StringEquals",
          .key = "kms:ResourceAliases",
          .values = {key.substr(alias)}}});
  }

  // What events wait in is read near the source alone, and so are the dead letters, by the commands
  // that a person types there. Others count both; where their API is asked to, they also send what
  // is to be tried again, and show and send back what is dead.
  void AddQueues() {
    const std::string identity = IdentityOf(*configuration_.queue.sqs);
    std::vector<std::string> queues;
    for (const std::string& name : names_.queues) {
      queues.push_back(ServiceArn("sqs", names_.queue_region, name));
    }
    const std::string dead = ServiceArn("sqs", names_.queue_region, names_.dead_letters);
    std::vector<std::string> runs;
    for (const std::string& name : names_.run_queues) {
      runs.push_back(ServiceArn("sqs", names_.queue_region, name));
    }
    if (!names_.source && !names_.target) {
      runs.push_back(dead);
      AddTo(identity, "Queue", kTakesFromQueue, std::move(runs));
      return;
    }
    // Its API starts them; workers are processes of their own.
    if (ServesApi(configuration_, names_.source) && !runs.empty()) {
      AddTo(identity, "Runs", {"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"},
            std::move(runs));
    }
    if (names_.source) {
      queues.push_back(dead);
      AddTo(identity, "Queue", kTakesFromQueue, std::move(queues));
      return;
    }
    if (!ServesApi(configuration_, false)) {
      queues.push_back(dead);
      AddTo(identity, "Queue", {"sqs:GetQueueUrl", "sqs:GetQueueAttributes"}, std::move(queues));
      return;
    }
    AddTo(identity, "Queue", {"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"},
          std::move(queues));
    AddTo(identity, "QueueDeadLetters",
          {"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteMessage",
           "sqs:ChangeMessageVisibility"},
          {dead});
  }

  void AddBackends() {
    if (configuration_.queue.sqs) AddQueues();
    if (configuration_.state.dynamodb) {
      const AwsPlace& place = *configuration_.state.dynamodb;
      AddTo(IdentityOf(place), "State",
            {"dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:BatchGetItem",
             "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"},
            {ServiceArn("dynamodb", names_.state_region, "table/" + place.name)});
    }
    if (!names_.alarm_topic.empty()) {
      AddTo(kDefaultIdentity, "Alarms", {"sns:Publish"}, {names_.alarm_topic});
    }
    if (!names_.source) return;
    for (const Rule& rule : configuration_.rules) {
      if (!rule.intake.sqs) continue;
      const AwsPlace& place = *rule.intake.sqs;
      const std::string region = place.region.empty() ? "*" : place.region;
      AddTo(IdentityOf(place), "Events",
            {"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteMessage",
             "sqs:ChangeMessageVisibility"},
            {ServiceArn("sqs", region, place.name)});
      // What nobody understands goes to its dead letters, with the reason. The command that an
      // intake without any prints gives them this name.
      AddTo(IdentityOf(place), "EventsDeadLetters",
            {"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"},
            {ServiceArn("sqs", region, place.name + "-dead-letters")});
      // Nobody says whether they are encrypted, under a key of whose. (SQS Developer Guide,
      // "Configuring AWS KMS permissions".)
      if (!place.endpoint.empty()) continue;
      AddTo(IdentityOf(place), "EventsKey", kWritesUnderKey, {ServiceArn("kms", region, "key/*")},
            {{.operation = "StringLike",
              .key = "kms:ViaService",
              .values = {"sqs." + region + ".amazonaws.com*"}}});
    }
  }

  // Roles to assume, and keys that are kept elsewhere: rights of who begins.
  void AddIdentities() {
    for (const auto& [name, store] : configuration_.stores) {
      if (!used_.contains(name)) continue;
      const std::string who =
          store.profile.empty() ? std::string(kDefaultIdentity) : "profile '" + store.profile + "'";
      if (!store.role_arn.empty()) {
        // Its own keys come first (aws/default_credentials.h).
        StoreSettings base = store;
        base.role_arn.clear();
        AddTo(IdentityOf(base), "Role", {"sts:AssumeRole"}, {store.role_arn});
      }
      if (store.credentials.empty()) continue;
      Result<SecretReference> kept = ParseSecretReference(store.credentials);
      if (!kept) continue;
      const bool secret = kept->service == SecretReference::Service::kSecretsManager;
      std::string arn = kept->name;
      if (!arn.starts_with("arn:")) {
        // Six characters follow the name of a secret in its ARN.
        const std::string path = arn.starts_with("/") ? arn : "/" + arn;
        arn = secret ? ServiceArn("secretsmanager", names_.kept_region, "secret:" + arn + "-??????")
                     : ServiceArn("ssm", names_.kept_region, "parameter" + path);
      }
      AddTo(who, "Keys", {secret ? "secretsmanager:GetSecretValue" : "ssm:GetParameter"},
            {std::move(arn)});
    }
  }

  // A listing of a prefix. HeadBucket, and a key that is not there, ask for the same right without
  // any prefix: so "IfExists".
  void AddListing(const std::string& store, const std::string& bucket, const std::string& prefix,
                  const std::string& action, const std::string& part) {
    std::vector<Condition> conditions;
    if (!prefix.empty()) {
      conditions.push_back({.operation = "StringLikeIfExists",
                            .key = "s3:prefix",
                            .values = {Literal(prefix) + "*"}});
    }
    Add(store, part, {action}, {Bucket(store, bucket)}, std::move(conditions));
  }

  void Add(const std::string& store, const std::string& part, std::vector<std::string> actions,
           std::vector<std::string> resources, std::vector<Condition> conditions = {}) {
    const StoreSettings* settings = Find(store);
    if (settings == nullptr || settings->type != StoreType::kS3 || settings->anonymous) return;
    used_.insert(store);
    AddTo(IdentityOf(*settings), part, std::move(actions), std::move(resources),
          std::move(conditions));
  }

  void AddTo(const std::string& identity, const std::string& part, std::vector<std::string> actions,
             std::vector<std::string> resources, std::vector<Condition> conditions = {}) {
    std::vector<IamStatement>& statements = policies_[identity];
    for (const IamStatement& known : statements) {
      if (known.actions == actions && known.resources == resources &&
          known.conditions == conditions) {
        return;
      }
    }
    // Sids are letters and digits, each once in a policy.
    const auto same = std::ranges::count_if(statements, [&](const IamStatement& known) {
      return known.sid.starts_with(part) &&
             known.sid.find_first_not_of("0123456789", part.size()) == std::string::npos;
    });
    statements.push_back({.sid = same == 0 ? part : part + std::to_string(same + 1),
                          .actions = std::move(actions),
                          .resources = std::move(resources),
                          .conditions = std::move(conditions)});
  }

  [[nodiscard]] const StoreSettings* Find(const std::string& store) const {
    const auto found = configuration_.stores.find(store);
    return found == configuration_.stores.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::string RegionOf(const std::string& store) const {
    const auto found = names_.regions.find(store);
    return found == names_.regions.end() || found->second.empty() ? "*" : found->second;
  }
  static std::string Partition(const std::string& region) {
    return std::string(AwsPartitionOf(region));
  }
  [[nodiscard]] std::string Bucket(const std::string& store, const std::string& bucket) const {
    return "arn:" + Partition(RegionOf(store)) + ":s3:::" + bucket;
  }
  [[nodiscard]] std::string Objects(const std::string& store, const std::string& bucket,
                                    const std::string& prefix) const {
    return Bucket(store, bucket) + "/" + Literal(prefix) + "*";
  }
  [[nodiscard]] std::string ServiceArn(const std::string& service, const std::string& region,
                                       const std::string& name) const {
    return "arn:" + Partition(region) + ":" + service + ":" + region + ":" + names_.account + ":" +
           name;
  }
  [[nodiscard]] std::string KeyArn(const std::string& region, const std::string& key) const {
    return ServiceArn("kms", region, "key/" + key);
  }

  // The parts of an upload are decrypted by whoever completes it. (S3 User Guide, "Multipart upload
  // API and permissions".)
  const std::vector<std::string> kWritesUnderKey{"kms:GenerateDataKey", "kms:Decrypt"};

  const std::vector<std::string> kTakesFromQueue{
      "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage",
      "sqs:SendMessage", "sqs:DeleteMessage",      "sqs:ChangeMessageVisibility"};

  const Configuration& configuration_;
  const IamNames& names_;
  std::map<std::string, std::vector<IamStatement>> policies_;
  std::set<std::string> used_;  // Stores.
};

class Writer {
 public:
  explicit Writer(bool pretty) : pretty_(pretty) {}

  std::string Write(const IamPolicy& policy) {
    out_ = "{";
    Line(1);
    out_ += "\"Version\":\"2012-10-17\",";
    Line(1);
    out_ += "\"Statement\":[";
    for (size_t i = 0; i < policy.statements.size(); ++i) {
      if (i > 0) out_ += ",";
      Line(2);
      Statement(policy.statements[i]);
    }
    Line(1);
    out_ += "]";
    Line(0);
    out_ += "}";
    return std::move(out_);
  }

 private:
  void Line(int depth) {
    if (!pretty_) return;
    out_ += "\n" + std::string(static_cast<size_t>(depth) * 2, ' ');
  }
  void Texts(const std::vector<std::string>& texts) {
    out_ += "[";
    for (size_t i = 0; i < texts.size(); ++i) {
      if (i > 0) out_ += pretty_ ? ", " : ",";
      AppendJsonString(out_, texts[i]);
    }
    out_ += "]";
  }
  void Statement(const IamStatement& statement) {
    out_ += "{\"Sid\":";
    AppendJsonString(out_, statement.sid);
    out_ += ",\"Effect\":\"Allow\",";
    Line(3);
    out_ += "\"Action\":";
    Texts(statement.actions);
    out_ += ",";
    Line(3);
    out_ += "\"Resource\":";
    Texts(statement.resources);
    if (!statement.conditions.empty()) {
      out_ += ",";
      Line(3);
      Conditions(statement.conditions);
    }
    out_ += "}";
  }
  // One object for each operator, which has all of its keys.
  void Conditions(const std::vector<Condition>& conditions) {
    std::map<std::string, std::vector<const Condition*>> by_operation;
    for (const Condition& one : conditions) by_operation[one.operation].push_back(&one);
    out_ += "\"Condition\":{";
    bool first = true;
    for (const auto& [operation, keys] : by_operation) {
      if (!std::exchange(first, false)) out_ += ",";
      AppendJsonString(out_, operation);
      out_ += ":{";
      for (size_t i = 0; i < keys.size(); ++i) {
        if (i > 0) out_ += ",";
        AppendJsonString(out_, keys[i]->key);
        out_ += ":";
        Texts(keys[i]->values);
      }
      out_ += "}";
    }
    out_ += "}";
  }

  bool pretty_;
  std::string out_;
};

}  // namespace

std::vector<std::string> NamesAbove(const StoreSettings& store, std::string_view prefix) {
  std::vector<std::string> names;
  if (store.type != StoreType::kS3 || store.endpoint.empty()) return names;
  for (size_t at = prefix.find('/'); at != std::string_view::npos; at = prefix.find('/', at + 1)) {
    if (at > 0) names.emplace_back(prefix.substr(0, at));
  }
  return names;
}

bool TakesWebhooks(const Configuration& configuration) {
  return configuration.listen && std::ranges::any_of(configuration.rules, [](const Rule& rule) {
           return rule.enabled && rule.intake.webhook;
         });
}

bool ServesApi(const Configuration& configuration, bool source) {
  return configuration.listen && (source || !TakesWebhooks(configuration));
}

bool DeletesReach(const Configuration& configuration, const Target& target) {
  const std::string bucket = ReplicaPartition(target);
  return std::ranges::any_of(configuration.rules, [&](const Rule& rule) {
    return rule.deletes && std::ranges::any_of(rule.targets, [&](const Target& other) {
             return ReplicaPartition(other) == bucket;
           });
  });
}

std::vector<IamPolicy> IamPolicies(const Configuration& configuration, const IamNames& names) {
  return Builder(configuration, names).Build();
}

std::string IamDocument(const IamPolicy& policy, bool pretty) {
  return Writer(pretty).Write(policy);
}

}  // namespace longhaul
