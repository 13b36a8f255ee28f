#include <algorithm>
#include <array>

#include "base/units.h"
#include "rules/configuration.h"
#include "rules/configuration_reader.h"

namespace longhaul {

namespace {

constexpr int kTargetsMax = 32;

// S3 User Guide, "Access control list (ACL) overview", canned ACLs for objects.
constexpr std::array<std::string_view, 7> kCannedAcls = {"private",
                                                         "bucket-owner-read",
                                                         "bucket-owner-full-control",
                                                         "authenticated-read",
                                                         "public-read-write",
                                                         "aws-exec-read",
                                                         "public-read"};

constexpr std::array<std::string_view, 10> kAwsStorageClasses = {
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
    "GLACIER",  "DEEP_ARCHIVE",       "GLACIER_IR",  "OUTPOSTS",   "EXPRESS_ONEZONE"};

}  // namespace

void ConfigurationReader::ReadTargets(const YamlValue& value, Rule& rule, Places& places) {
  std::optional<std::vector<YamlValue>> items = value.Items();
  if (!items) return;
  if (items->empty()) value.Fail("is empty", "add one: - { to: …, staging: … }");
  if (items->size() > kTargetsMax) {
    value.Fail("has " + std::to_string(items->size()) + " targets",
               "a rule has at most " + std::to_string(kTargetsMax));
    return;
  }
  for (const YamlValue& item : *items) {
    Target target;
    ReadTarget(item, rule, target, places);
    for (const Target& other : rule.targets) {
      if (target.name.empty() || other.name != target.name) continue;
      item.Fail("has the same name as another target of this rule (" + Quoted(target.name) + ")",
                "add name: with a name of its own");
    }
    rule.targets.push_back(std::move(target));
  }
}

void ConfigurationReader::ReadTarget(const YamlValue& value, const Rule& rule, Target& target,
                                     Places& places) {
  places.targets.emplace_back();
  places.staging.emplace_back();
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  if (auto to = fields->Require("to", "to: STORE:bucket/prefix")) {
    places.targets.back() = *to;
    if (ReadAddress(*to, target.to)) {
      target.name = DerivedTargetName(target.to);
      if (rule.source.prefix.ends_with('/') && !target.to.prefix.empty() &&
          !target.to.prefix.ends_with('/')) {
        Warn(*to, "the source's prefix ends in '/' and this one does not: keys become '" +
                      target.to.prefix + "NAME'");
      }
    }
  }
  if (auto staging =
          fields->Require("staging", "staging: STORE:bucket/ (in the target's region)")) {
    places.staging.back() = *staging;
    ReadAddress(*staging, target.staging);
    // A folder, whether it is written as one or not.
    if (!target.staging.prefix.empty() && !target.staging.prefix.ends_with('/')) {
      target.staging.prefix += '/';
    }
  }
  if (auto name = fields->Find("name")) {
    target.name = name->Text().value_or("");
    if (!target.name.empty() && !IsPlainName(target.name, 64)) {
      name->Fail(Quoted(name->node().raw) + " cannot name a target",
                 "use up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
  }
  ReadStorageClass(*fields, target);
  ReadEncryption(*fields, target);
  ReadOwner(*fields, target);
  if (auto lock = fields->Find("object_lock")) {
    fields->Boolean("object_lock", target.object_lock);
    const StoreSettings* store = KnownStoreOf(target.to);
    if (target.object_lock && store != nullptr && store->type == StoreType::kFile) {
      lock->Fail("a folder locks nothing", "remove it");
    } else if (target.object_lock && fields->Find("backup")) {
      lock->Fail("is of replicas, and a backup keeps archives",
                 "write backup: { lock: { mode: governance, days: 35 } }");
    }
  }
  if (auto take_over = fields->Find("take_over")) ReadTakeOver(*take_over, target);
  if (auto backup = fields->Find("backup")) ReadBackup(*backup, target);
  fields->Finish();
}

void ConfigurationReader::ReadBackup(const YamlValue& value, Target& target) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  BackupOptions backup;
  if (auto name = fields->Find("class")) backup.storage_class = ReadClass(*name, target.to);
  if (backup.storage_class == "GLACIER" || backup.storage_class == "DEEP_ARCHIVE") {
    fields->Find("class")->Fail("is a class that nothing is read from within hours",
                                "write GLACIER_IR, which is read at once");
  }
  if (auto keep = fields->Find("keep")) {
    if (auto time = keep->Duration(std::chrono::hours(1), std::chrono::days(36'500))) {
      backup.keep = std::chrono::duration_cast<std::chrono::seconds>(*time);
    }
  }
  fields->Choice("partition", backup.partition,
                 {{"daily", BackupOptions::Partition::kDaily},
                  {"monthly", BackupOptions::Partition::kMonthly}});
  if (auto lock = fields->Find("lock")) ReadLock(*lock, target, backup);
  fields->Finish();
  if (!target.storage_class.empty()) {
    value.Fail("stands beside storage_class, which is of replicas",
               "write class: " + target.storage_class + " in backup");
  }
  if (target.take_over) {
    value.Fail("stands beside take_over, which writes objects to the target", "remove one of them");
  }
  // A folder, whether it is written as one or not.
  if (!target.to.prefix.empty() && !target.to.prefix.ends_with('/')) target.to.prefix += '/';
  target.backup = std::move(backup);
}

void ConfigurationReader::ReadLock(const YamlValue& value, const Target& target,
                                   BackupOptions& backup) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  fields->Choice<std::string>("mode", backup.lock_mode,
                              {{"governance", "GOVERNANCE"}, {"compliance", "COMPLIANCE"}});
  fields->Integer("days", backup.lock_days, 1, 36'500);
  fields->Finish();
  if (backup.lock_mode.empty() != (backup.lock_days == 0) || backup.lock_mode.empty()) {
    value.Fail("needs a mode and a number of days", "lock: { mode: governance, days: 35 }");
  }
  const StoreSettings* store = KnownStoreOf(target.to);
  if (store != nullptr && store->type == StoreType::kFile) {
    value.Fail("a folder locks nothing", "remove it");
  }
}

void ConfigurationReader::ReadTakeOver(const YamlValue& value, Target& target) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  TakeOver take_over;
  if (auto from = fields->Require("from", "from: STORE:inbound-bucket/")) {
    ReadAddress(*from, take_over.from);
    if (!take_over.from.prefix.empty() && !take_over.from.prefix.ends_with('/')) {
      take_over.from.prefix += '/';
    }
  }
  if (auto etags = fields->Find("etags")) {
    const std::string word = etags->Text().value_or("");
    take_over.etags_are_md5 = word != "opaque";
    if (word != "md5" && word != "opaque") {
      etags->Fail(Quoted(etags->node().raw) + " is neither md5 nor opaque",
                  "write opaque where the source's objects are encrypted under KMS");
    }
  }
  fields->Finish();
  target.take_over = std::move(take_over);
}

void ConfigurationReader::ReadEncryption(YamlFields& fields, Target& target) {
  const StoreSettings* store = KnownStoreOf(target.to);
  const bool is_folder = store != nullptr && store->type == StoreType::kFile;
  fields.Choice<std::string>(
      "sse", target.sse,
      {{"AES256", "AES256"}, {"aws:kms", "aws:kms"}, {"aws:kms:dsse", "aws:kms:dsse"}});
  fields.Text("kms_key", target.kms_key);
  bool bucket_key = false;
  if (fields.Boolean("bucket_key", bucket_key)) target.bucket_key = bucket_key;
  if (is_folder) {
    for (const char* name : {"sse", "kms_key", "bucket_key"}) {
      if (auto field = fields.Find(name)) field->Fail("a folder encrypts nothing", "remove it");
    }
    return;
  }
  if (target.sse == "AES256" && !target.kms_key.empty()) {
    fields.Find("sse")->Fail("AES256 is encryption under S3's own keys, and there is a kms_key",
                             "write aws:kms, or remove kms_key");
  }
  // S3 User Guide, "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys": not with DSSE-KMS.
  const bool by_kms = target.sse.empty() ? !target.kms_key.empty() : target.sse == "aws:kms";
  if (target.bucket_key && !by_kms) {
    fields.Find("bucket_key")
        ->Fail("goes with sse: aws:kms alone", "write sse: aws:kms, or remove bucket_key");
  }
}

void ConfigurationReader::ReadOwner(YamlFields& fields, Target& target) {
  const StoreSettings* store = KnownStoreOf(target.to);
  const bool is_folder = store != nullptr && store->type == StoreType::kFile;
  if (auto acl = fields.Find("acl")) {
    target.acl = acl->Text().value_or("");
    if (is_folder) {
      acl->Fail("a folder has no ACLs", "remove it");
    } else if (!target.acl.empty() &&
               std::ranges::find(kCannedAcls, target.acl) == kCannedAcls.end()) {
      const std::string_view meant = ClosestName(target.acl, kCannedAcls);
      acl->Fail(Quoted(acl->node().raw) + " is no canned ACL",
                meant.empty() ? "write it as bucket-owner-full-control"
                              : "did you mean " + std::string(meant) + "?");
    }
  }
  if (auto owner = fields.Find("bucket_owner")) {
    target.bucket_owner = owner->Text().value_or("");
    if (is_folder) {
      owner->Fail("a folder belongs to no account", "remove it");
    } else if (!target.bucket_owner.empty() &&
               (target.bucket_owner.size() != 12 ||
                target.bucket_owner.find_first_not_of("0123456789") != std::string::npos)) {
      owner->Fail(Quoted(owner->node().raw) + " is no account",
                  "write its 12 digits, in quotes: \"111122223333\"");
    }
  }
}

void ConfigurationReader::ReadStorageClass(YamlFields& fields, Target& target) {
  std::optional<YamlValue> value = fields.Find("storage_class");
  if (value) target.storage_class = ReadClass(*value, target.to);
}

std::string ConfigurationReader::ReadClass(const YamlValue& value, const Address& to) {
  std::optional<std::string> name = value.Text();
  if (!name) return "";
  const StoreSettings* store = KnownStoreOf(to);
  const bool is_aws = store != nullptr && store->type == StoreType::kS3 && store->endpoint.empty();
  // Other servers have classes of their own.
  const bool known = std::ranges::find(kAwsStorageClasses, *name) != kAwsStorageClasses.end();
  if ((is_aws && !known) || !IsPlainName(*name, 64)) {
    const std::string_view meant = ClosestName(*name, kAwsStorageClasses);
    value.Fail(
        Quoted(value.node().raw) + " is no storage class",
        meant.empty() ? "write it as STANDARD_IA" : "did you mean " + std::string(meant) + "?");
  }
  return *name;
}

}  // namespace longhaul
