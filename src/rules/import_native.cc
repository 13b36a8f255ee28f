#include "rules/import_native.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace longhaul {

namespace {

using Kind = ImportRemark::Kind;

constexpr size_t kNativeTargetsMax = 32;  // rules/configuration.cc

class Importer {
 public:
  Importer(const NativeConfiguration& native, const std::string& file, const ImportOptions& options,
           ImportLog& log)
      : native_(native), file_(file), options_(options), log_(log) {
    for (const NativeRule& rule : native.rules) ++rules_of_bucket_[rule.destination.bucket];
  }

  ImportDraft Import() {
    source_.store = options_.source ? options_.source->store : "source";
    source_.bucket = options_.source ? options_.source->bucket : std::string(kSourceToFillIn);
    if (!options_.source) {
      log_.Remark(Kind::kFillIn, file_ + ": ",
                  "S3 keeps a replication configuration at its source bucket, and it does not name "
                  "that bucket",
                  "give --source STORE:BUCKET, or write it where the configuration says FILL IN");
    }
    draft_.site = options_.site.empty() ? source_.store : options_.site;
    draft_.AddStore(source_.store);
    if (!native_.role.empty()) {
      log_.Remark(Kind::kNotCarried, file_ + ": Role",
                  "longhaul reads and writes by the credentials of its stores, not by a role of S3",
                  "give these the permissions that the guide lists");
    }
    log_.Remark(Kind::kDiffers, file_ + ": ",
                "S3 leaves replicas alone that S3 made; here what it replicates into the source "
                "bucket is carried on like any other object",
                "give such replicas a prefix of their own there, if they must not go on");
    for (const NativeRule& rule : native_.rules) Take(rule);
    return std::move(draft_);
  }

 private:
  void Take(const NativeRule& native) {
    Target target = TargetOf(native);
    Rule rule = RuleOf(native);
    for (size_t i = 0; i < draft_.rules.size(); ++i) {
      ImportedRule& first = draft_.rules[i];
      if (first.rule.targets.size() == kNativeTargetsMax || !CanJoin(*native_of_[i], native))
        continue;
      first.comments.push_back("Also the rule " + QuotedForImport(native.id) +
                               " of the input, as a " +
                               "target of its own: what both carry is read and packed once.");
      first.rule.targets.push_back(std::move(target));
      return;
    }
    rule.id = draft_.FreeRuleId(native.id);
    ImportedRule imported{.rule = std::move(rule), .place = native.place, .comments = {}};
    if (imported.rule.id != native.id) {
      imported.comments.push_back("In the input: " + QuotedForImport(native.id));
      log_.Remark(Kind::kDiffers, native.place + ".ID",
                  QuotedForImport(native.id) + " is " + imported.rule.id + " here",
                  "ids of rules have up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
    imported.rule.targets.push_back(std::move(target));
    draft_.rules.push_back(std::move(imported));
    native_of_.push_back(&native);
  }

  // Whether both carry the same objects in the same way, each to a bucket where no other rule has a
  // say.
  bool CanJoin(const NativeRule& one, const NativeRule& two) const {
    auto same = [](const NativeRule& rule) {
      return std::tie(rule.enabled, rule.prefix, rule.tags, rule.delete_markers, rule.kms_objects,
                      rule.existing_objects);
    };
    const NativeDestination& to_one = one.destination;
    const NativeDestination& to_two = two.destination;
    return same(one) == same(two) && to_one.bucket != to_two.bucket &&
           to_one.threshold_minutes == to_two.threshold_minutes &&
           rules_of_bucket_.at(to_one.bucket) == 1 && rules_of_bucket_.at(to_two.bucket) == 1;
  }

  Rule RuleOf(const NativeRule& native) {
    Rule rule;
    rule.enabled = native.enabled;
    rule.priority = native.priority;
    rule.source = {source_.store, source_.bucket, native.prefix};
    rule.filter.tags = native.tags;
    rule.filter.kms_encrypted = native.kms_objects;
    if (native.replica_modifications) {
      log_.Remark(Kind::kNotCarried, native.place + ".SourceSelectionCriteria.ReplicaModifications",
                  "changes made to replicas are not carried back: longhaul replicates one way",
                  "make such changes at the source");
    }
    TakeDeletes(native, rule);
    TakeExisting(native, rule);
    const NativeDestination& destination = native.destination;
    if (destination.threshold_minutes) {
      rule.threshold = std::chrono::minutes(*destination.threshold_minutes);
    } else if (destination.time_control) {
      rule.threshold = std::chrono::minutes(15);  // The only one that S3 has.
    }
    if (destination.time_control) {
      log_.Remark(Kind::kDiffers, native.place + ".Destination.ReplicationTime",
                  "longhaul watches the time and counts what takes longer; it does not promise it",
                  "alarm on longhaul_threshold_missed_total");
    }
    return rule;
  }

  void TakeDeletes(const NativeRule& native, Rule& rule) {
    const std::string place = native.place + ".DeleteMarkerReplication";
    if (native.delete_markers && !native.tags.empty()) {
      log_.Remark(Kind::kNotCarried, place,
                  "of an object that is gone nobody knows the tags; S3 refuses this, too",
                  "deletes: true replicates the deletes of all keys below the prefix");
      return;
    }
    rule.deletes = native.delete_markers;
    if (!rule.deletes) return;
    log_.Remark(Kind::kDiffers, place,
                "a key that is gone at the source is deleted at the target however it went, also "
                "by a lifecycle rule or version by version",
                "delete_guard stops many deletes at once; deletes: false replicates none");
  }

  void TakeExisting(const NativeRule& native, Rule& rule) {
    if (options_.existing || native.existing_objects.value_or(false)) return;
    rule.filter.modified_since = options_.now;
    log_.Remark(Kind::kDiffers, native.place + ".ExistingObjectReplication",
                "as with S3 what was there before is left alone; \"before\" is now, the time of "
                "the import (filter.modified_since)",
                "use --existing, or remove the field, and longhaul compares both sides and carries "
                "whatever the target lacks");
  }

  Target TargetOf(const NativeRule& native) {
    const NativeDestination& destination = native.destination;
    Target target;
    target.to.store = StoreOf(destination);
    target.to.bucket = destination.bucket;
    target.to.prefix = native.prefix;  // S3 keeps keys as they are.
    draft_.AddStore(target.to.store);
    target.staging = StagingFor(target.to.store, options_, log_);
    draft_.AddStore(target.staging.store);
    target.storage_class = destination.storage_class;
    target.kms_key = destination.kms_key;
    target.bucket_owner = destination.account;
    if (!destination.kms_key.empty()) {
      log_.Remark(Kind::kDiffers, native.place + ".Destination.EncryptionConfiguration",
                  "longhaul writes every replica under this key; S3 uses it for those of objects "
                  "under KMS keys alone",
                  "remove kms_key from the target to leave it to the default encryption of " +
                      destination.bucket);
    }
    if (destination.owner_override) {
      target.acl = "bucket-owner-full-control";
      log_.Remark(
          Kind::kDiffers, native.place + ".Destination.AccessControlTranslation",
          "longhaul writes with the ACL bucket-owner-full-control, and S3 makes the bucket's "
          "owner the owner of the replicas only where the bucket says so",
          "set Object Ownership of " + destination.bucket +
              " to \"bucket owner preferred\" or \"enforced\"");
    }
    return target;
  }

  std::string StoreOf(const NativeDestination& destination) {
    for (const std::string& name : {destination.bucket, std::string()}) {
      const auto found = options_.target_stores.find(name);
      if (found != options_.target_stores.end()) return found->second;
    }
    log_.Remark(Kind::kFillIn, file_ + ": ",
                "it does not say in which region " + destination.bucket + " is",
                "give --target " + destination.bucket +
                    "=STORE, with a region as the name of the "
                    "store, or write it where the configuration says FILL IN");
    return "target";
  }

  const NativeConfiguration& native_;
  const std::string& file_;
  const ImportOptions& options_;
  ImportLog& log_;
  std::map<std::string, int> rules_of_bucket_;
  Address source_;
  ImportDraft draft_;
  std::vector<const NativeRule*> native_of_;  // By rule of the draft: the first that it came from.
};

}  // namespace

ImportDraft DraftOfNative(const NativeConfiguration& native, const std::string& file,
                          const ImportOptions& options, ImportLog& log) {
  return Importer(native, file, options, log).Import();
}

}  // namespace longhaul
