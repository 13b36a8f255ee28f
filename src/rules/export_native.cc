#include "rules/export_native.h"

#include <algorithm>
#include <set>

#include "rules/native_replication.h"

namespace longhaul {

namespace {

using Kind = ImportRemark::Kind;
using std::chrono_literals::operator""min;

class Exporter {
 public:
  explicit Exporter(const ExportOptions& options) : options_(options) {}

  Result<ExportResult> Export(const std::vector<const Rule*>& rules) {
    if (rules.empty()) return InvalidInput("no rule to export");
    configuration_.role = options_.role.empty() ? kRoleToFillIn : options_.role;
    if (options_.role.empty()) {
      log_.Remark(Kind::kFillIn, "Role",
                  "S3 replicates as a role that it assumes, and there is none here",
                  "give --role ARN, or write it where the JSON says FILL-IN");
    }
    for (const Rule* rule : rules) {
      if (rule->source.store != rules[0]->source.store ||
          rule->source.bucket != rules[0]->source.bucket) {
        return InvalidInput("rules " + rules[0]->id + " and " + rule->id +
                            " have different source buckets, and S3 keeps a configuration at each: "
                            "export them one by one");
      }
      for (size_t i = 0; i < rule->targets.size(); ++i) TakeTarget(*rule, i);
      TellOfRule(*rule);
    }
    if (configuration_.rules.empty()) {
      return InvalidInput("rule " + rules[0]->id + " has backups alone, and S3 keeps none");
    }
    MakePrioritiesUnique();
    if (log_.failed()) return log_.ToError();
    return ExportResult{.json = WriteNativeConfiguration(configuration_),
                        .remarks = log_.remarks()};
  }

 private:
  void TakeTarget(const Rule& rule, size_t index) {
    const Target& target = rule.targets[index];
    const std::string place = "rule " + rule.id;
    if (target.backup) {
      log_.Remark(Kind::kNotCarried, place,
                  "the backup in " + target.to.bucket +
                      " is left out: S3 keeps no archives, and its replicas would lie in the vault",
                  "go on running longhaul for it");
      return;
    }
    NativeRule native;
    native.id = index == 0 ? rule.id : rule.id + "." + std::to_string(index + 1);
    for (size_t number = index + 2; !ids_.insert(native.id).second; ++number) {
      native.id = rule.id + "." + std::to_string(number);
    }
    native.enabled = rule.enabled;
    native.priority = rule.priority;
    native.prefix = rule.source.prefix;
    native.tags = rule.filter.tags;
    native.delete_markers = rule.deletes && rule.filter.tags.empty();
    native.kms_objects = rule.filter.kms_encrypted && !target.kms_key.empty();
    NativeDestination& destination = native.destination;
    destination.partition = options_.partition;
    destination.bucket = target.to.bucket;
    destination.storage_class = target.storage_class;
    destination.kms_key = target.kms_key;
    TakeEncryption(place, target);
    TakeOwner(place, target, destination);
    TakeThreshold(place, rule, destination);
    if (target.object_lock) {
      log_.Remark(
          Kind::kDiffers, place,
          "S3 carries retention and legal holds into a bucket with Object Lock alone, and by "
          "a role that may read them",
          "let the role do s3:GetObjectRetention and s3:GetObjectLegalHold");
    }
    if (target.to.prefix != rule.source.prefix) {
      log_.Remark(Kind::kDiffers, place,
                  "S3 keeps keys as they are: " + QuotedForImport(target.to.prefix) +
                      " does not come instead of " + QuotedForImport(rule.source.prefix) + " in " +
                      target.to.bucket,
                  "");
    }
    if (rule.filter.kms_encrypted && target.kms_key.empty()) {
      log_.Remark(Kind::kDiffers, place,
                  "S3 leaves objects under KMS keys alone unless a rule names the key of their "
                  "replicas",
                  "give the target a kms_key if there are such objects");
    }
    if (!rule.filter.kms_encrypted && !target.kms_key.empty()) {
      // S3 takes a key for replicas only together with the objects under KMS keys.
      native.kms_objects = true;
      log_.Remark(Kind::kDiffers, place,
                  "S3 names a key for replicas only where it replicates objects under KMS keys as "
                  "well, so these are replicated",
                  "");
    }
    configuration_.rules.push_back(std::move(native));
  }

  // S3's rules name a key, and nothing else of how replicas are encrypted.
  void TakeEncryption(const std::string& place, const Target& target) {
    const bool by_key = !target.kms_key.empty() && target.sse == "aws:kms";
    if (!target.sse.empty() && !by_key) {
      log_.Remark(Kind::kNotCarried, place,
                  "the encryption " + QuotedForImport(target.sse) + " of its replicas",
                  target.kms_key.empty() ? "make it the default encryption of " + target.to.bucket
                                         : "S3 takes aws:kms where a rule names a key");
    }
    if (target.bucket_key) {
      log_.Remark(Kind::kNotCarried, place,
                  std::string("bucket_key: ") + (*target.bucket_key ? "true" : "false"),
                  "set the S3 Bucket Key of " + target.to.bucket);
    }
  }

  void TakeOwner(const std::string& place, const Target& target, NativeDestination& destination) {
    destination.account = target.bucket_owner;
    if (target.acl.empty()) return;
    if (target.acl == "bucket-owner-full-control" && !target.bucket_owner.empty()) {
      destination.owner_override = true;
      return;
    }
    log_.Remark(Kind::kNotCarried, place,
                "the ACL " + QuotedForImport(target.acl) + " of its replicas",
                target.acl == "bucket-owner-full-control"
                    ? "S3 changes the owner where it knows the account: add bucket_owner"
                    : "S3 gives replicas the ACLs of their objects");
  }

  void TakeThreshold(const std::string& place, const Rule& rule, NativeDestination& destination) {
    if (!rule.threshold) return;
    destination.time_control = true;
    destination.metrics = true;
    destination.threshold_minutes = 15;
    log_.Remark(Kind::kDiffers, place,
                "S3 promises what threshold only watches, as replication time control, and takes "
                "money for each GiB of it (`longhaul prices` has rtc_gib)",
                "remove ReplicationTime and Metrics where nobody is to pay for that");
    if (*rule.threshold != 15min) {
      log_.Remark(Kind::kDiffers, place, "the only threshold that S3 has is 15 minutes", "");
    }
  }

  // What no target can change.
  void TellOfRule(const Rule& rule) {
    const std::string place = "rule " + rule.id;
    auto not_carried = [&](bool has, std::string what, std::string remedy) {
      if (has) log_.Remark(Kind::kNotCarried, place, std::move(what), std::move(remedy));
    };
    const Filter& filter = rule.filter;
    not_carried(!filter.suffix.empty(),
                "S3 has no filter by suffix: it also takes keys that do not end in " +
                    QuotedForImport(filter.suffix),
                "filter by tag");
    not_carried(filter.size_bytes_min > 0 || filter.size_bytes_max,
                "S3 has no filter by size: it takes objects of any size", "filter by tag");
    not_carried(rule.deletes && !filter.tags.empty(),
                "S3 replicates no delete markers for a rule that filters by tag", "");
    not_carried(!rule.seal_key.Reveal().empty(), "there are no archives to be sealed", "");
    not_carried(!filter.modified_since.has_value(),
                "S3 replicates what is written from now on, not what is there already",
                "run an S3 Batch Replication job once");
    if (rule.deletes && filter.tags.empty()) {
      log_.Remark(Kind::kDiffers, place,
                  "S3 replicates the delete markers that people and programs make, not those of "
                  "lifecycle rules, and no deletes of versions",
                  "");
    }
  }

  void MakePrioritiesUnique() {
    std::set<int> seen;
    bool unique = true;
    for (const NativeRule& rule : configuration_.rules) {
      unique = seen.insert(rule.priority).second && unique;
    }
    if (unique) return;
    // Of equal ones the first is the higher, as it would be if they were renumbered by hand.
    std::vector<NativeRule*> ranked;
    for (NativeRule& rule : configuration_.rules) ranked.push_back(&rule);
    std::ranges::sort(ranked, [](const NativeRule* a, const NativeRule* b) {
      return a->priority != b->priority ? a->priority > b->priority : a < b;
    });
    for (size_t i = 0; i < ranked.size(); ++i) {
      ranked[i]->priority = static_cast<int>(ranked.size() - i);
    }
    log_.Remark(Kind::kDiffers, "Priority",
                "S3 wants a priority of its own for each rule, so they are numbered anew, in the "
                "same order",
                "");
  }

  const ExportOptions& options_;
  NativeConfiguration configuration_;
  std::set<std::string> ids_;
  ImportLog log_;
};

}  // namespace

Result<ExportResult> ExportRules(const std::vector<const Rule*>& rules,
                                 const ExportOptions& options) {
  return Exporter(options).Export(rules);
}

}  // namespace longhaul
