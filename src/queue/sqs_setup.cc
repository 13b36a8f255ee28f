#include "queue/sqs_setup.h"

#include <algorithm>
#include <boost/json.hpp>
#include <initializer_list>

#include "aws/credentials_failure.h"
#include "aws/iam_command.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/json.h"

namespace longhaul {

namespace {

// 14 days, the most: what waits for a store that is away, or for a person, must not go meanwhile.
constexpr std::string_view kRetention = "1209600";

bool IsNameByte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

// The redrive policy without its ARN: what comes before and after it.
std::pair<std::string, std::string> RedrivePolicy(int receives_max) {
  return {R"({"deadLetterTargetArn":")",
          R"(","maxReceiveCount":)" + std::to_string(receives_max) + "}"};
}

SqsAttributes WantedOf(const SqsQueueOptions& options, const std::string& dead_arn) {
  SqsAttributes wanted{{"MessageRetentionPeriod", std::string(kRetention)},
                       {"SqsManagedSseEnabled", "true"}};
  if (!dead_arn.empty()) {
    const auto [before, after] = RedrivePolicy(options.receives_max);
    wanted["RedrivePolicy"] = before + dead_arn + after;
  }
  return wanted;
}

// Where the dead letters of a queue go, and after how many receives; empty: nowhere.
std::pair<std::string, std::string> RedriveOf(const SqsAttributes& attributes) {
  const auto found = attributes.find("RedrivePolicy");
  if (found == attributes.end()) return {};
  Result<boost::json::value> policy = ParseJson(found->second);
  const boost::json::object* object = policy ? policy->if_object() : nullptr;
  if (object == nullptr) return {};
  const boost::json::value* arn = object->if_contains("deadLetterTargetArn");
  const boost::json::value* count = object->if_contains("maxReceiveCount");
  if (arn == nullptr || !arn->is_string()) return {};
  std::string text;
  if (count != nullptr && count->is_string()) text = count->get_string().c_str();
  if (count != nullptr && count->is_int64()) text = std::to_string(count->get_int64());
  return {std::string(arn->get_string()), text};
}

// "haul" with a rule "eu-photos" names the queues of "haul-eu" with a rule "photos", and both would
// receive from one. Whose a queue is its dead letters tell; OK: nobody else's.
Result<void> CheckOurs(const SqsAttributes& there, const SqsQueueOptions& options) {
  const std::string arn = RedriveOf(there).first;
  if (arn.empty() || arn.ends_with(":" + options.dead_letters())) return Ok();
  return InvalidInput("it gives what nobody can carry to " + arn.substr(arn.rfind(':') + 1) +
                      ", not to " + options.dead_letters() +
                      ", so it is of another prefix, or somebody else's: choose another prefix "
                      "than '" +
                      options.prefix + "' (queue: sqs:PREFIX), or another id for the rule");
}

// What of `wanted` a queue does not have.
SqsAttributes MissingOf(const SqsAttributes& there, const SqsAttributes& wanted,
                        const SqsQueueOptions& options) {
  SqsAttributes missing;
  // A key of KMS encrypts as well.
  const auto key = there.find("KmsMasterKeyId");
  const bool kms = key != there.end() && !key->second.empty();
  for (const auto& [name, value] : wanted) {
    const auto found = there.find(name);
    bool good = false;
    if (name == "RedrivePolicy") {
      const auto [arn, count] = RedriveOf(there);
      good = arn == RedriveOf(wanted).first && count == std::to_string(options.receives_max);
    } else {
      // SQS names them all; another server that does not know of one cannot be told either.
      good =
          found == there.end() || found->second == value || (name == "SqsManagedSseEnabled" && kms);
    }
    if (!good) missing.emplace(name, value);
  }
  return missing;
}

std::string_view PartitionOf(std::string_view region) {
  return region.starts_with("cn-")       ? "aws-cn"
         : region.starts_with("us-gov-") ? "aws-us-gov"
                                         : "aws";
}

// One statement that allows it; `more`: its conditions.
std::string Document(std::initializer_list<std::string_view> actions,
                     const std::vector<std::string>& resources, const std::string& more = "") {
  auto list = [](const auto& names) {
    std::string text = "[";
    for (const auto& name : names) {
      if (!text.ends_with('[')) text += ',';
      text.append(1, '"').append(name).append(1, '"');
    }
    return text + "]";
  };
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":)" + list(actions) +
         R"(,"Resource":)" + list(resources) + more + "}]}";
}

// The queues by their names, and not all that begins as they do: "haul-*" has those of "haul-eu".
std::vector<std::string> QueuesBelow(const std::string& arn, const SqsQueueOptions& options) {
  std::vector<std::string> queues{arn + options.dead_letters()};
  for (const SqsLane& lane : options.lanes) queues.push_back(arn + lane.queue);
  std::ranges::sort(queues);
  const auto twice = std::ranges::unique(queues);
  queues.erase(twice.begin(), twice.end());
  return queues;
}

// A command replaces the policy of its name: what is allowed by several has several.
std::string Allowing(const Error& refusal, const std::string& queue, const std::string& region,
                     const SqsQueueOptions& options, SqsNeed need) {
  const std::string partition(PartitionOf(region));
  // KmsAccessDenied, KMS.AccessDeniedException. Who sends needs both, who receives the second.
  // (SQS Developer Guide, "Configuring AWS KMS permissions".)
  if (refusal.code.contains("Kms") || refusal.code.contains("KMS")) {
    return "; to allow it, where the policy of the queue's key leaves that to IAM: " +
           IamCommand(refusal.message, "longhaul-key-" + queue,
                      Document({"kms:GenerateDataKey", "kms:Decrypt"},
                               {"arn:" + partition + ":kms:" + region + ":*:key/*"},
                               R"(,"Condition":{"StringLike":{"kms:ViaService":"sqs.)" + region +
                                   R"(.amazonaws.com*"}})"));
  }
  const std::string allow = "; to allow it: ";
  const std::string arn = "arn:" + partition + ":sqs:" + region + ":*:";
  if (need == SqsNeed::kSetUp) {
    return allow + IamCommand(refusal.message, "longhaul-setup-" + options.prefix,
                              Document({"sqs:GetQueueUrl", "sqs:GetQueueAttributes",
                                        "sqs:CreateQueue", "sqs:SetQueueAttributes"},
                                       QueuesBelow(arn, options)));
  }
  if (options.own && options.use == QueueUse::kLooks) {
    return allow +
           IamCommand(
               refusal.message, "longhaul-look-" + options.part + "-" + options.prefix,
               Document({"sqs:GetQueueUrl", "sqs:GetQueueAttributes"}, QueuesBelow(arn, options)));
  }
  if (options.own && options.use == QueueUse::kSends) {
    const std::string dead = options.dead_letters();
    if (queue == dead) {
      return allow +
             IamCommand(refusal.message, "longhaul-show-" + dead,
                        Document({"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage",
                                  "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"},
                                 {arn + dead}));
    }
    std::vector<std::string> queues = QueuesBelow(arn, options);
    std::erase(queues, arn + dead);
    return allow +
           IamCommand(
               refusal.message, "longhaul-send-" + options.part + "-" + options.prefix,
               Document({"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"}, queues));
  }
  if (options.own) {
    return allow + IamCommand(refusal.message, "longhaul-" + options.part + "-" + options.prefix,
                              Document({"sqs:GetQueueUrl", "sqs:GetQueueAttributes",
                                        "sqs:ReceiveMessage", "sqs:SendMessage",
                                        "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"},
                                       QueuesBelow(arn, options)));
  }
  const std::string policy = "longhaul-queue-" + queue;
  if (queue != options.prefix) {
    return allow +
           IamCommand(refusal.message, policy,
                      Document({"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"},
                               {arn + queue}));
  }
  return allow +
         IamCommand(refusal.message, policy,
                    Document({"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage",
                              "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"},
                             {arn + queue}));
}

// Makes one queue, or changes it; whether anything was to be done.
Async<bool> SetUpOne(SqsClient& client, const SqsQueueOptions& options, std::string name,
                     std::string dead_arn) {
  const SqsAttributes wanted = WantedOf(options, dead_arn);
  Result<std::string> url = co_await client.Find(name);
  if (!url && url.error().kind != ErrorKind::kNotFound) co_return url.error();
  if (!url) {
    Result<std::string> made = co_await client.Create(name, wanted);
    if (!made) co_return made.error();
    co_return true;
  }
  Result<SqsAttributes> there = co_await client.Attributes(*url);
  if (!there) co_return there.error();
  Result<void> ours = dead_arn.empty() ? Ok() : CheckOurs(*there, options);
  if (!ours) co_return ours.error();
  SqsAttributes missing = MissingOf(*there, wanted, options);
  if (missing.empty()) co_return false;
  Result<void> changed = co_await client.SetAttributes(*url, std::move(missing));
  if (!changed) co_return changed.error();
  co_return true;
}

}  // namespace

bool IsSqsName(std::string_view name) {
  return !name.empty() && name.size() <= kSqsNameBytesMax && std::ranges::all_of(name, IsNameByte);
}

bool IsSqsPrefix(std::string_view prefix) {
  return !prefix.empty() && prefix.size() <= 40 && std::ranges::all_of(prefix, IsNameByte);
}

std::string SqsQueueName(const std::string& prefix, const std::string& name,
                         const std::string& suffix) {
  const size_t fixed = prefix.size() + suffix.size() + 2;
  if (std::ranges::all_of(name, IsNameByte) && fixed + name.size() <= kSqsNameBytesMax) {
    return prefix + "-" + name + "-" + suffix;
  }
  const std::string hash = HexEncode(Sha256(name)).substr(0, 12);
  std::string clean = name.substr(0, kSqsNameBytesMax - fixed - hash.size() - 1);
  std::ranges::replace_if(clean, [](char c) { return !IsNameByte(c); }, '_');
  return prefix + "-" + clean + "-" + hash + "-" + suffix;
}

Error WithRemedy(Error error, const std::string& queue, const std::string& region,
                 const SqsQueueOptions& options, SqsNeed need) {
  if (error.kind == ErrorKind::kNotFound) {
    return InvalidInput(
        "the queue " + queue + " is missing in SQS of " + region + "; to make it: " +
        (options.own ? options.setup
                     : "aws sqs create-queue --region " + region + " --queue-name " + queue +
                           " --attributes MessageRetentionPeriod=" + std::string(kRetention)));
  }
  // Wrong keys, or none, are denied as well: no policy mends those.
  if (error.kind == ErrorKind::kDenied && error.code.contains("AccessDenied") &&
      !IsCredentialsFailure(error) && !IsForbidden(error.message)) {
    return InvalidInput("the queue " + queue + ": " + error.Describe() +
                        Allowing(error, queue, region, options, need));
  }
  return error.In("queue " + queue);
}

Async<std::string> FindSqsQueue(SqsClient& client, const SqsQueueOptions& options,
                                std::string name) {
  Result<std::string> url = co_await client.Find(name);
  if (!url) co_return WithRemedy(url.error(), name, client.region(), options);
  if (!options.own || name == options.dead_letters()) co_return url;
  Result<SqsAttributes> attributes = co_await client.Attributes(*url);
  if (!attributes) co_return WithRemedy(attributes.error(), name, client.region(), options);
  Result<void> ours = CheckOurs(*attributes, options);
  if (!ours) co_return ours.error().In("the queue " + name + " in SQS of " + client.region());
  const auto [arn, count] = RedriveOf(*attributes);
  if (!arn.ends_with(":" + options.dead_letters()) ||
      count != std::to_string(options.receives_max)) {
    co_return InvalidInput("the queue " + name + " in SQS of " + client.region() +
                           " does not give what nobody can carry to " + options.dead_letters() +
                           " after " + std::to_string(options.receives_max) +
                           " receives; to mend it: " + options.setup);
  }
  co_return url;
}

Async<SqsRedrive> RedriveOfSqsQueue(SqsClient& client, const SqsQueueOptions& options) {
  const std::string& name = options.prefix;
  Result<std::string> url = co_await client.Find(name);
  if (!url) co_return WithRemedy(url.error(), name, client.region(), options);
  Result<SqsAttributes> attributes = co_await client.Attributes(*url);
  if (!attributes) co_return WithRemedy(attributes.error(), name, client.region(), options);
  const auto [arn, count] = RedriveOf(*attributes);
  SqsRedrive redrive{.dead_letters = arn.substr(arn.rfind(':') + 1),
                     .receives_max = std::atoi(count.substr(0, 6).c_str())};
  if (IsSqsName(redrive.dead_letters) && redrive.receives_max > 0) co_return redrive;
  const auto own_arn = attributes->find("QueueArn");
  const auto [before, after] = RedrivePolicy(kForeignReceivesMax);
  const std::string policy =
      before + (own_arn == attributes->end() ? "ARN" : own_arn->second) + "-dead-letters" + after;
  std::string quoted;
  AppendJsonString(quoted, policy);
  const std::string aws = "aws sqs --region " + client.region() + " ";
  co_return InvalidInput(
      "the queue " + name + " in SQS of " + client.region() +
      " has no dead letters, where what nobody understands would be kept; to mend "
      "it: " +
      aws + "create-queue --queue-name " + name +
      "-dead-letters --attributes MessageRetentionPeriod=" + std::string(kRetention) + " && " +
      aws + "set-queue-attributes --queue-url " + *url +
      " --attributes '{\"RedrivePolicy\":" + quoted + "}'");
}

Async<std::vector<std::string>> SetUpSqs(SqsClient& client, SqsQueueOptions options) {
  std::vector<std::string> changed;
  const std::string dead = options.dead_letters();
  Result<bool> made = co_await SetUpOne(client, options, dead, "");
  if (!made) co_return WithRemedy(made.error(), dead, client.region(), options, SqsNeed::kSetUp);
  if (*made) changed.push_back(dead);
  Result<std::string> url = co_await client.Find(dead);
  if (!url) co_return url.error().In("queue " + dead);
  Result<SqsAttributes> attributes = co_await client.Attributes(*url);
  if (!attributes) {
    co_return WithRemedy(attributes.error(), dead, client.region(), options, SqsNeed::kSetUp);
  }
  const auto arn = attributes->find("QueueArn");
  if (arn == attributes->end()) co_return Corrupt("the queue " + dead + " has no ARN");
  for (const SqsLane& lane : options.lanes) {
    made = co_await SetUpOne(client, options, lane.queue, arn->second);
    if (!made) {
      co_return WithRemedy(made.error(), lane.queue, client.region(), options, SqsNeed::kSetUp);
    }
    if (*made) changed.push_back(lane.queue);
  }
  co_return changed;
}

std::string SqsSetupCommands(const std::string& endpoint, const std::string& region,
                             const SqsQueueOptions& options) {
  const std::string aws = "aws sqs --region " + region +
                          (endpoint.empty() ? "" : " --endpoint-url '" + endpoint + "'") + " ";
  const std::string common = R"("MessageRetentionPeriod":")" + std::string(kRetention) +
                             R"(","SqsManagedSseEnabled":"true")";
  std::string text = "# Queues of SQS, and where what nobody can carry goes\n";
  text += "dead_url=$(" + aws + "create-queue --queue-name " + options.dead_letters() +
          " --query QueueUrl --output text \\\n  --attributes '{" + common + "}')\n";
  text += "dead_arn=$(" + aws +
          "get-queue-attributes --queue-url \"$dead_url\" --attribute-names QueueArn \\\n"
          "  --query Attributes.QueueArn --output text)\n";
  for (const SqsLane& lane : options.lanes) {
    text += aws + "create-queue --queue-name " + lane.queue + " --attributes '{" + common +
            R"(,"RedrivePolicy":"{\"deadLetterTargetArn\":\"'"$dead_arn"'\",\"maxReceiveCount\":)" +
            std::to_string(options.receives_max) + "}\"}'\n";
  }
  return text;
}

}  // namespace longhaul
