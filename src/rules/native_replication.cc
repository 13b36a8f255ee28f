#include "rules/native_replication.h"

#include <boost/json.hpp>

#include "base/json.h"
#include "rules/configuration.h"

namespace longhaul {

namespace json = boost::json;

namespace {

using Kind = ImportRemark::Kind;

constexpr size_t kRulesMax = 1'000;
constexpr size_t kIdBytesMax = 255;
constexpr size_t kNativePrefixBytesMax = 1'024;
constexpr size_t kTagsMax = 10;
constexpr int kMinutesMax = 30 * 24 * 60;
constexpr char kCondition[] =
    "is a condition that this version does not know, and without it more would be replicated";

// {"Status": "Enabled"}
std::optional<bool> ReadStatus(ImportFields& fields) {
  std::optional<ImportValue> status = fields.Require("Status");
  std::optional<std::string> word = status ? status->Text() : std::nullopt;
  if (!word) return std::nullopt;
  if (*word == "Enabled") return true;
  if (*word == "Disabled") return false;
  status->Fail(QuotedForImport(*word) + " is neither Enabled nor Disabled");
  return std::nullopt;
}

// The same in an element of its own; nullopt: it is not there, or wrong.
std::optional<bool> ReadStatusOf(ImportFields& fields, std::string_view name) {
  std::optional<ImportValue> value = fields.Find(name);
  std::optional<ImportFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return std::nullopt;
  std::optional<bool> status = ReadStatus(*inner);
  inner->Finish();
  return status;
}

std::string ReadNativeText(ImportFields& fields, std::string_view name) {
  std::optional<ImportValue> value = fields.Find(name);
  return value ? value->Text().value_or("") : "";
}

void ReadPrefix(ImportFields& fields, NativeRule& rule) {
  std::optional<ImportValue> value = fields.Find("Prefix");
  if (!value) return;
  rule.prefix = value->Text().value_or("");
  if (rule.prefix.size() > kNativePrefixBytesMax) value->Fail("is longer than any key");
}

void ReadTag(const ImportValue& value, NativeRule& rule) {
  std::optional<ImportFields> fields = value.Fields();
  if (!fields) return;
  std::optional<ImportValue> key = fields->Require("Key");
  std::optional<std::string> name = key ? key->Text() : std::nullopt;
  std::optional<ImportValue> text = fields->Require("Value");
  std::optional<std::string> tag = text ? text->Text() : std::nullopt;
  fields->FinishWithNoneLeft(kCondition, "take the rule out");
  if (!name || !tag) return;
  if (name->empty() || name->size() > 128 * 4) key->Fail("a tag's name has 1 to 128 characters");
  if (tag->size() > 256 * 4) text->Fail("a tag's value has up to 256 characters");
  if (!rule.tags.emplace(*name, *tag).second) {
    value.Fail("asks for the tag " + QuotedForImport(*name) + " a second time", "keep one of them");
  }
}

void ReadFilter(ImportFields& rule_fields, NativeRule& rule) {
  std::optional<ImportValue> value = rule_fields.Find("Filter");
  rule.has_filter = value.has_value();
  std::optional<ImportFields> fields = value ? value->Fields() : std::nullopt;
  if (!fields) return;
  int kinds = 0;
  if (fields->Find("Prefix")) {
    ++kinds;
    ReadPrefix(*fields, rule);
  }
  // CloudFormation calls them otherwise.
  for (std::string_view name : {"Tag", "TagFilter"}) {
    if (std::optional<ImportValue> tag = fields->Find(name)) {
      ++kinds;
      ReadTag(*tag, rule);
    }
  }
  std::optional<ImportValue> both = fields->Find("And");
  if (std::optional<ImportFields> inner = both ? both->Fields() : std::nullopt) {
    ++kinds;
    ReadPrefix(*inner, rule);
    auto tags = inner->FindList("Tags", "Tag");
    if (!tags) tags = inner->FindList("TagFilters", "TagFilter");
    if (tags) {
      for (const ImportValue& tag : *tags) ReadTag(tag, rule);
      if (tags->size() > kTagsMax) both->Fail("asks for more than 10 tags, which no object has");
    }
    inner->FinishWithNoneLeft(kCondition, "take the rule out");
  }
  fields->FinishWithNoneLeft(kCondition, "take the rule out");
  if (kinds > 1) value->Fail("has more than one of Prefix, Tag and And", "put them into one And");
}

void ReadSelection(ImportFields& rule_fields, NativeRule& rule) {
  std::optional<ImportValue> value = rule_fields.Find("SourceSelectionCriteria");
  std::optional<ImportFields> fields = value ? value->Fields() : std::nullopt;
  if (!fields) return;
  rule.kms_objects = ReadStatusOf(*fields, "SseKmsEncryptedObjects").value_or(false);
  rule.replica_modifications = ReadStatusOf(*fields, "ReplicaModifications").value_or(false);
  fields->Finish();
}

// "arn:aws:s3:::bucket".
void ReadBucket(ImportFields& fields, NativeDestination& destination) {
  std::optional<ImportValue> value = fields.Require("Bucket");
  std::optional<std::string> arn = value ? value->Text() : std::nullopt;
  if (!arn) return;
  const size_t service = arn->find(":s3:::");
  if (arn->starts_with("arn:") && service != std::string::npos && service > 4) {
    destination.partition = arn->substr(4, service - 4);
    destination.bucket = arn->substr(service + 6);
  }
  if (!destination.bucket.empty() && IsPlainName(destination.bucket, 63) &&
      IsPlainName(destination.partition, 32)) {
    return;
  }
  value->Fail(QuotedForImport(*arn) + " is not the ARN of a bucket",
              arn->find("outposts") != std::string::npos
                  ? "buckets of S3 on Outposts are not reached by longhaul; take the rule out"
                  : "write arn:aws:s3:::BUCKET");
}

void ReadMinutes(ImportFields& fields, std::string_view name, NativeDestination& destination) {
  std::optional<ImportValue> value = fields.Find(name);
  std::optional<ImportFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  if (auto minutes = inner->Find("Minutes")) {
    std::optional<int64_t> count = minutes->Integer(1, kMinutesMax);
    if (count) {
      const int before = destination.threshold_minutes.value_or(static_cast<int>(*count));
      if (before != *count) {
        minutes->Remark(Kind::kNotCarried,
                        "a rule has one threshold, and ReplicationTime says " +
                            std::to_string(before) + " minutes",
                        "see threshold in the guide");
      }
      destination.threshold_minutes = before;
    }
  }
  inner->Finish();
}

void ReadTimes(ImportFields& fields, NativeDestination& destination) {
  std::optional<ImportValue> time = fields.Find("ReplicationTime");
  if (std::optional<ImportFields> inner = time ? time->Fields() : std::nullopt) {
    destination.time_control = ReadStatus(*inner).value_or(false);
    NativeDestination unused;
    ReadMinutes(*inner, "Time", destination.time_control ? destination : unused);
    inner->Finish();
  }
  std::optional<ImportValue> metrics = fields.Find("Metrics");
  if (std::optional<ImportFields> inner = metrics ? metrics->Fields() : std::nullopt) {
    destination.metrics = ReadStatus(*inner).value_or(false);
    NativeDestination unused;
    ReadMinutes(*inner, "EventThreshold", destination.metrics ? destination : unused);
    inner->Finish();
  }
}

void ReadDestination(ImportFields& rule_fields, NativeRule& rule) {
  std::optional<ImportValue> value = rule_fields.Require("Destination");
  std::optional<ImportFields> fields = value ? value->Fields() : std::nullopt;
  if (!fields) return;
  NativeDestination& destination = rule.destination;
  ReadBucket(*fields, destination);
  if (auto account = fields->Find("Account")) {
    destination.account = account->Text().value_or("");
    if (destination.account.size() != 12 ||
        destination.account.find_first_not_of("0123456789") != std::string::npos) {
      account->Fail(QuotedForImport(destination.account) + " is no account", "it has 12 digits");
    }
  }
  destination.storage_class = ReadNativeText(*fields, "StorageClass");
  if (auto translation = fields->Find("AccessControlTranslation")) {
    if (auto inner = translation->Fields()) {
      std::optional<ImportValue> owner = inner->Require("Owner");
      std::optional<std::string> name = owner ? owner->Text() : std::nullopt;
      if (name && *name != "Destination") {
        owner->Fail(QuotedForImport(*name) + " is not an owner that S3 knows",
                    "it takes Destination alone");
      }
      destination.owner_override = true;
      inner->Finish();
    }
  }
  if (auto encryption = fields->Find("EncryptionConfiguration")) {
    if (auto inner = encryption->Fields()) {
      destination.kms_key = ReadNativeText(*inner, "ReplicaKmsKeyID");
      inner->Finish();
    }
  }
  ReadTimes(*fields, destination);
  fields->Finish();
}

NativeRule ReadRule(const ImportValue& value, size_t index) {
  NativeRule rule;
  rule.place = value.place();
  std::optional<ImportFields> fields = value.Fields();
  if (!fields) return rule;
  rule.id = ReadNativeText(*fields, "ID");
  if (rule.id.empty()) rule.id = ReadNativeText(*fields, "Id");  // As CloudFormation spells it.
  if (rule.id.size() > kIdBytesMax) value.Fail("has an ID of more than 255 bytes");
  if (rule.id.empty()) rule.id = "rule-" + std::to_string(index + 1);
  rule.enabled = ReadStatus(*fields).value_or(true);
  ReadFilter(*fields, rule);
  const bool prefix_in_rule = fields->Find("Prefix").has_value();
  if (prefix_in_rule && rule.has_filter) {
    value.Fail("has both Prefix and Filter", "the older Prefix stands in a rule without Filter");
  } else if (prefix_in_rule) {
    ReadPrefix(*fields, rule);
  }
  if (auto priority = fields->Find("Priority")) {
    rule.priority = static_cast<int>(priority->Integer(0, INT32_MAX).value_or(0));
  }
  // Rules without a filter, the older kind, replicate delete markers without being asked.
  rule.delete_markers = ReadStatusOf(*fields, "DeleteMarkerReplication").value_or(!rule.has_filter);
  rule.existing_objects = ReadStatusOf(*fields, "ExistingObjectReplication");
  ReadSelection(*fields, rule);
  ReadDestination(*fields, rule);
  fields->Finish();
  return rule;
}

json::object Status(bool enabled) {
  json::object status;
  status["Status"] = enabled ? "Enabled" : "Disabled";
  return status;
}

json::object FilterOf(const NativeRule& rule) {
  json::object filter;
  auto tag = [](const auto& entry) {
    json::object written;
    written["Key"] = entry.first;
    written["Value"] = entry.second;
    return written;
  };
  if (rule.tags.empty()) {
    filter["Prefix"] = rule.prefix;
  } else if (rule.tags.size() == 1 && rule.prefix.empty()) {
    filter["Tag"] = tag(*rule.tags.begin());
  } else {
    json::object both;
    if (!rule.prefix.empty()) both["Prefix"] = rule.prefix;
    json::array tags;
    for (const auto& entry : rule.tags) tags.push_back(tag(entry));
    both["Tags"] = std::move(tags);
    filter["And"] = std::move(both);
  }
  return filter;
}

json::object DestinationOf(const NativeDestination& destination) {
  json::object written;
  written["Bucket"] = "arn:" + destination.partition + ":s3:::" + destination.bucket;
  if (!destination.account.empty()) written["Account"] = destination.account;
  if (!destination.storage_class.empty()) written["StorageClass"] = destination.storage_class;
  if (destination.owner_override) {
    json::object translation;
    translation["Owner"] = "Destination";
    written["AccessControlTranslation"] = std::move(translation);
  }
  if (!destination.kms_key.empty()) {
    json::object encryption;
    encryption["ReplicaKmsKeyID"] = destination.kms_key;
    written["EncryptionConfiguration"] = std::move(encryption);
  }
  auto minutes = [&](json::object status, std::string_view name) {
    if (destination.threshold_minutes) {
      json::object time;
      time["Minutes"] = *destination.threshold_minutes;
      status[json::string_view(name.data(), name.size())] = std::move(time);
    }
    return status;
  };
  if (destination.time_control) written["ReplicationTime"] = minutes(Status(true), "Time");
  if (destination.metrics) written["Metrics"] = minutes(Status(true), "EventThreshold");
  return written;
}

json::object RuleOf(const NativeRule& rule) {
  json::object written;
  written["ID"] = rule.id;
  written["Priority"] = rule.priority;
  written["Filter"] = FilterOf(rule);
  written["Status"] = rule.enabled ? "Enabled" : "Disabled";
  if (rule.kms_objects) {
    json::object selection;
    selection["SseKmsEncryptedObjects"] = Status(true);
    written["SourceSelectionCriteria"] = std::move(selection);
  }
  written["Destination"] = DestinationOf(rule.destination);
  written["DeleteMarkerReplication"] = Status(rule.delete_markers);
  return written;
}

// As the AWS tools print it.
void WriteIndented(const json::value& value, const std::string& indent, std::string& out) {
  const std::string deeper = indent + "  ";
  auto separator = [&, first = true](char open) mutable {
    out += first ? std::string(1, open) : std::string(",");
    out += "\n" + deeper;
    first = false;
  };
  if (const json::object* object = value.if_object(); object != nullptr && !object->empty()) {
    for (const auto& member : *object) {
      separator('{');
      AppendJsonString(out, std::string_view(member.key().data(), member.key().size()));
      out += ": ";
      WriteIndented(member.value(), deeper, out);
    }
    out += "\n" + indent + "}";
  } else if (const json::array* array = value.if_array(); array != nullptr && !array->empty()) {
    for (const json::value& item : *array) {
      separator('[');
      WriteIndented(item, deeper, out);
    }
    out += "\n" + indent + "]";
  } else {
    out += WriteJson(value);
  }
}

}  // namespace

NativeConfiguration ReadNativeConfiguration(ImportFields& fields, ImportLog& log) {
  NativeConfiguration configuration;
  configuration.role = ReadNativeText(fields, "Role");
  std::optional<std::vector<ImportValue>> rules = fields.FindList("Rules", "Rule");
  if (!rules || rules->empty()) {
    if (!log.failed()) fields.value().Fail("has no rules");
    return configuration;
  }
  if (rules->size() > kRulesMax) {
    fields.value().Fail("has " + std::to_string(rules->size()) + " rules", "S3 takes up to 1,000");
    return configuration;
  }
  for (size_t i = 0; i < rules->size(); ++i) {
    configuration.rules.push_back(ReadRule((*rules)[i], i));
  }
  fields.Finish();
  return configuration;
}

std::string WriteNativeConfiguration(const NativeConfiguration& configuration) {
  json::object written;
  written["Role"] = configuration.role;
  json::array rules;
  for (const NativeRule& rule : configuration.rules) rules.push_back(RuleOf(rule));
  written["Rules"] = std::move(rules);
  std::string out;
  WriteIndented(written, "", out);
  return out + "\n";
}

}  // namespace longhaul
