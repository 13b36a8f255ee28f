#include "rules/import_pair.h"

#include <algorithm>
#include <set>

#include "rules/configuration.h"
#include "rules/priority.h"

namespace longhaul {

namespace {

using Kind = ImportRemark::Kind;

constexpr size_t kSourcesMax = 1'000;
constexpr size_t kDestinationsMax = 32;
constexpr size_t kPairPrefixBytesMax = 1'023;  // A "/" may be added.

std::string ReadName(ImportFields& fields, std::string_view name, size_t length_max) {
  std::optional<ImportValue> value = fields.Require(name);
  std::optional<std::string> text = value ? value->Text() : std::nullopt;
  if (!text) return "";
  if (!IsPlainName(*text, length_max)) {
    value->Fail(QuotedForImport(*text) + " is no name of that kind");
    return "";
  }
  return *text;
}

std::string ReadPairText(ImportFields& fields, std::string_view name) {
  std::optional<ImportValue> value = fields.Find(name);
  return value ? value->Text().value_or("") : "";
}

// A field that rules have no use for.
void NotCarried(ImportFields& fields, std::string_view name, std::string what, std::string remedy) {
  if (auto value = fields.Find(name)) {
    value->Remark(Kind::kNotCarried, std::move(what), std::move(remedy));
  }
}

class Importer {
 public:
  Importer(const std::optional<PairSettings>& settings, const ImportOptions& options,
           ImportLog& log)
      : settings_(settings), options_(options), log_(log) {}

  ImportDraft Import(ImportFields& fields) {
    std::optional<ImportValue> list = fields.Require("replication_configuration");
    std::optional<std::vector<ImportValue>> items = list ? list->Items() : std::nullopt;
    fields.Finish();
    if (!items) return std::move(draft_);
    if (items->empty()) list->Fail("is empty: there is nothing to replicate");
    if (items->size() > kSourcesMax) {
      list->Fail("has more than 1,000 entries", "split the file");
      return std::move(draft_);
    }
    for (const ImportValue& item : *items) TakeEntry(item);
    OrderRivals();
    draft_.site = !options_.site.empty()        ? options_.site
                  : !draft_.store_names.empty() ? draft_.store_names.front()
                                                : "";
    if (draft_.rules.empty() && !log_.failed()) list->Fail("leaves nothing that can be carried");
    return std::move(draft_);
  }

 private:
  void TakeEntry(const ImportValue& item) {
    std::optional<ImportFields> fields = item.Fields();
    if (!fields) return;
    ImportedRule imported{.rule = {}, .place = item.place(), .comments = {}};
    if (auto source = fields->Require("source")) TakeSource(*source, imported);
    if (auto list = fields->Require("destinations")) {
      std::optional<std::vector<ImportValue>> items = list->Items();
      if (items && items->empty()) list->Fail("is empty: the source goes nowhere");
      if (items && items->size() > kDestinationsMax) {
        list->Fail("has more than 32 entries", "split the source into several");
        items.reset();
      }
      for (const ImportValue& destination : items.value_or(std::vector<ImportValue>())) {
        TakeDestination(destination, imported.rule);
      }
    }
    fields->Finish();
    OfferTakeOver(imported);
    if (imported.rule.targets.empty()) {
      if (!log_.failed()) {
        log_.Remark(Kind::kNotCarried, imported.place, "none of its destinations is carried", "");
      }
      return;
    }
    std::string id = imported.rule.source.bucket;
    if (!imported.rule.source.prefix.empty()) id += "-" + imported.rule.source.prefix;
    while (id.ends_with('/')) id.pop_back();
    imported.rule.id = draft_.FreeRuleId(id);
    draft_.rules.push_back(std::move(imported));
  }

  // The files do not say in which account the buckets are.
  void OfferTakeOver(ImportedRule& imported) const {
    const std::string stack = settings_ && !settings_->stack.empty() ? settings_->stack : "STACK";
    std::set<std::string> regions;
    for (const Target& target : imported.rule.targets) {
      if (target.backup) {
        imported.comments.push_back(
            "What the compressor has kept in " + target.to.store + ":" + target.to.bucket +
            " so far is listed and restored by `longhaul backup ls " + target.to.store + ":" +
            target.to.bucket + "/ --compressor-catalog \"" + target.to.store + ":" + stack +
            "-ACCOUNT-" + target.to.store + "-catalog/\" --bucket " + imported.rule.source.bucket +
            "`, and `backup restore`.");
        continue;
      }
      if (!regions.insert(target.to.store).second) continue;
      imported.comments.push_back("Archives that are left in " + target.to.store +
                                  " are applied when its targets say: " + "take_over: { from: \"" +
                                  target.to.store + ":" + stack + "-ACCOUNT-" + target.to.store +
                                  "-inbound/\"" + (source_encrypts_ ? ", etags: opaque" : "") +
                                  " }");
    }
  }

  void TakeSource(const ImportValue& value, ImportedRule& imported) {
    std::optional<ImportFields> fields = value.Fields();
    if (!fields) return;
    Rule& rule = imported.rule;
    rule.source.store = ReadName(*fields, "region", 64);
    rule.source.bucket = ReadName(*fields, "bucket", 63);
    if (!rule.source.store.empty()) draft_.AddStore(rule.source.store);
    CheckRole(value, rule.source.store, "source");
    TakePrefix(*fields, rule);
    rule.filter.suffix = ReadPairText(*fields, "suffix_filter");
    source_encrypts_ = false;
    if (std::optional<ImportValue> key = fields->Find("kms_key_arn")) {
      source_encrypts_ = !key->Text().value_or("").empty();
      if (const std::string arn = key->Text().value_or(""); !arn.empty()) {
        key->Remark(Kind::kNotCarried, "a rule names no key that it reads with",
                    "let the credentials of the store " + rule.source.store +
                        " use kms:Decrypt with " + QuotedForImport(arn));
      }
    }
    constexpr std::string_view kMachine =
        "longhaul does not start machines: it is a program that you run, once or several times";
    for (std::string_view name :
         {"scaling_limit", "min_capacity", "scaling_target_backlog_per_task"}) {
      NotCarried(*fields, name, std::string(kMachine),
                 "run as many processes as you want, on one configuration");
    }
    for (std::string_view name : {"cpu", "memory", "ephemeral_storage"}) {
      NotCarried(
          *fields, name, std::string(kMachine),
          "it takes the cores that there are, a quarter of the memory (memory:), and no disk "
          "for objects");
    }
    NotCarried(*fields, "visibility_timeout",
               "longhaul extends its messages for as long as it works on them", "");
    fields->Finish();
    if (options_.existing) return;
    rule.filter.modified_since = options_.now;
    log_.Remark(Kind::kDiffers, imported.place,
                "as before only what is written from now on is carried (filter.modified_since)",
                "use --existing, or remove the field, and longhaul compares both sides and carries "
                "whatever the target lacks");
  }

  void TakePrefix(ImportFields& fields, Rule& rule) {
    std::optional<ImportValue> value = fields.Find("prefix_filter");
    if (!value) return;
    rule.source.prefix = value->Text().value_or("");
    if (rule.source.prefix.size() > kPairPrefixBytesMax) value->Fail("is longer than any key");
    if (rule.source.prefix.empty()) return;
    if (!rule.source.prefix.ends_with('/')) {
      value->Remark(Kind::kDiffers,
                    QuotedForImport(rule.source.prefix) + " is taken as a folder, " +
                        QuotedForImport(rule.source.prefix + "/") +
                        ", as release 1.1.0 does; 1.0.0 also took keys that only begin so, and "
                        "moved them into the folder at the target",
                    "mend source and to where that was meant");
      rule.source.prefix += '/';
    }
    if (rule.source.prefix.starts_with('/') || rule.source.prefix.find("//") != std::string::npos) {
      value->Remark(Kind::kDiffers,
                    "keys keep every \"/\"; before, those that follow the prefix "
                    "were dropped at the target",
                    "");
    }
  }

  void TakeDestination(const ImportValue& value, Rule& rule) {
    std::optional<ImportFields> fields = value.Fields();
    if (!fields) return;
    Target target;
    target.to.store = ReadName(*fields, "region", 64);
    target.to.bucket = ReadName(*fields, "bucket", 63);
    target.to.prefix = rule.source.prefix;
    CheckRole(value, target.to.store, "target");
    target.kms_key = ReadPairText(*fields, "kms_key_arn");
    target.storage_class = ReadPairText(*fields, "storage_class");
    std::optional<ImportValue> backup = fields->Find("backup");
    const bool is_backup = backup && backup->Boolean().value_or(false);
    fields->Finish();
    if (target.to.store.empty() || target.to.bucket.empty()) return;
    if (is_backup) MakeBackup(value, *backup, target);
    draft_.AddStore(target.to.store);
    target.staging = StagingFor(target.to.store, options_, log_);
    draft_.AddStore(target.staging.store);
    for (const Target& other : rule.targets) {
      if (other.to == target.to) value.Fail("is the same bucket as another destination");
    }
    rule.targets.push_back(std::move(target));
  }

  // One vault for all sources that go to the bucket: folders tell them apart.
  void MakeBackup(const ImportValue& value, const ImportValue& field, Target& target) const {
    BackupOptions backup;
    target.to.prefix.clear();
    std::swap(backup.storage_class, target.storage_class);
    if (backup.storage_class == "GLACIER" || backup.storage_class == "DEEP_ARCHIVE") {
      value.Remark(Kind::kDiffers,
                   "archives are kept in the store's default class: nothing can be read from " +
                       backup.storage_class + " within hours, and before it was not applied",
                   "give the backup a class that is read at once, as GLACIER_IR");
      backup.storage_class.clear();
    } else if (!backup.storage_class.empty() || !target.kms_key.empty()) {
      value.Remark(Kind::kDiffers,
                   "archives get the storage class and key that it names; before they were not "
                   "applied to backups",
                   "");
    }
    field.Remark(Kind::kDiffers,
                 "deletes are recorded too where all destinations of a source are backups; before "
                 "they never were",
                 "write deletes: false to give back what was deleted");
    target.backup = std::move(backup);
  }

  void CheckRole(const ImportValue& value, const std::string& region, const std::string& role) {
    if (!settings_ || region.empty()) return;
    const auto found = settings_->roles.find(region);
    if (found != settings_->roles.end() && found->second.contains(role)) return;
    value.Remark(Kind::kDiffers,
                 settings_->file + " does not give " + region + " the role of a " + role +
                     ", so nothing was replicated; this configuration does",
                 "remove the rule if that was meant");
  }

  // Where prefixes overlap both sources were sent to one bucket, and whatever came last stayed. The
  // more exact prefix goes first here.
  void OrderRivals() {
    for (ImportedRule& one : draft_.rules) {
      for (const ImportedRule& two : draft_.rules) {
        if (&one == &two || !MeetSomewhere(one.rule, two.rule)) continue;
        one.rule.priority = static_cast<int>(one.rule.source.prefix.size()) + 1;
        if (one.rule.source.prefix.size() > two.rule.source.prefix.size()) {
          log_.Remark(Kind::kDiffers, one.place,
                      "its objects go to a bucket to which " + two.place +
                          " sends them as well; rule " + one.rule.id +
                          " alone carries them now, as its prefix is the more exact one",
                      "");
        }
      }
    }
  }
  static bool MeetSomewhere(const Rule& one, const Rule& two) {
    if (!one.filter.suffix.ends_with(two.filter.suffix) &&
        !two.filter.suffix.ends_with(one.filter.suffix)) {
      return false;  // No key ends in both.
    }
    for (const Target& target : one.targets) {
      for (const Target& other : two.targets) {
        if (AreRivals(one, target, two, other)) return true;
      }
    }
    return false;
  }

  const std::optional<PairSettings>& settings_;
  const ImportOptions& options_;
  ImportLog& log_;
  ImportDraft draft_;
  bool source_encrypts_ = false;  // Of the entry that is being read.
};

}  // namespace

PairSettings ReadPairSettings(ImportFields& fields, const std::string& file, ImportLog& log) {
  PairSettings settings{.file = file, .stack = ReadPairText(fields, "stack_name"), .roles = {}};
  if (!settings.stack.empty()) {
    log.Remark(Kind::kNotCarried, file + ": stack_name", "longhaul makes no resources to be named",
               "remove the stack when nothing is left in its queues and buckets");
  }
  if (auto list = fields.Require("enabled_regions")) {
    for (const ImportValue& item : list->Items().value_or(std::vector<ImportValue>())) {
      std::optional<ImportFields> inner = item.Fields();
      if (!inner) continue;
      const std::string region = ReadName(*inner, "region", 64);
      if (auto roles = inner->Find("source_target")) {
        for (const ImportValue& role : roles->Items().value_or(std::vector<ImportValue>())) {
          if (std::optional<std::string> name = role.Text()) settings.roles[region].insert(*name);
        }
      }
      for (std::string_view name : {"vpc_cidr", "availability_zones"}) {
        NotCarried(*inner, name, "longhaul makes no networks", "");
      }
      inner->Finish();
    }
  }
  NotCarried(fields, "notification_emails", "who is told by mail stands in the configuration",
             "add alarms: with email:, and these addresses under its to:");
  NotCarried(fields, "tags", "longhaul makes no resources to be tagged", "");
  fields.Finish();
  return settings;
}

ImportDraft DraftOfPair(ImportFields& fields, const std::optional<PairSettings>& settings,
                        const ImportOptions& options, ImportLog& log) {
  return Importer(settings, options, log).Import(fields);
}

}  // namespace longhaul
