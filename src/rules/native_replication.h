// Native replication: S3's own ReplicationConfiguration, read and written.
//
// Source: S3 API Reference, ReplicationConfiguration and the types below it; S3 User Guide,
// "Replication configuration file elements" (V1 has Prefix in the rule, V2 has Filter).

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rules/import_document.h"
#include "storage/object.h"

namespace longhaul {

struct NativeDestination {
  std::string partition = "aws";  // Of the bucket's ARN.
  std::string bucket;
  std::string account;
  bool owner_override = false;  // AccessControlTranslation.Owner: Destination
  std::string storage_class;    // Empty: that of the object.
  std::string kms_key;
  bool time_control = false;  // ReplicationTime: Enabled
  bool metrics = false;
  std::optional<int> threshold_minutes;  // Of either.
};

struct NativeRule {
  std::string place;  // "repl.json: Rules[0]"
  std::string id;
  bool enabled = true;
  int priority = 0;
  bool has_filter = true;  // V2.
  std::string prefix;
  Tags tags;
  bool delete_markers = false;  // As it behaves: V1 replicates them.
  std::optional<bool> existing_objects;
  bool kms_objects = false;
  bool replica_modifications = false;
  NativeDestination destination;
};

struct NativeConfiguration {
  std::string role;
  std::vector<NativeRule> rules;
};

// Reads what is below Role and Rules. What S3 would refuse fails; what this does not know is
// remarked on as not carried over.
NativeConfiguration ReadNativeConfiguration(ImportFields& fields, ImportLog& log);

// JSON as `aws s3api put-bucket-replication --replication-configuration` takes it, indented; every
// rule as V2.
std::string WriteNativeConfiguration(const NativeConfiguration& configuration);

}  // namespace longhaul
