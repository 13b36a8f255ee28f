// What is replicated where: the configuration as plain values, and what follows from a rule alone.
//
// rules/configuration.h reads these from YAML; whatever it returns has been checked, so that
// everyone else can rely on the ranges given here.

#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/aws_place.h"
#include "base/result.h"
#include "base/secret.h"
#include "storage/object.h"

namespace longhaul {

// NAME:bucket/prefix, with NAME a store of the configuration. The prefix is bytes, as keys are.
struct Address {
  std::string store;
  std::string bucket;
  std::string prefix;

  [[nodiscard]] std::string ToString() const;
  bool operator==(const Address&) const = default;
};

// kInvalidInput: no name, no bucket. Does not look whether the store is there.
Result<Address> ParseAddress(std::string_view text);

enum class StoreType { kS3, kFile };
enum class Addressing { kPath, kVirtualHost };
enum class PayloadSigning { kAuto, kNever, kAlways };

struct StoreSettings {
  std::string name;
  StoreType type = StoreType::kS3;

  // type s3. Without access_key_id, profile, credentials and anonymous: the default chain of
  // credentials.
  std::string endpoint;  // "http://127.0.0.1:9001", no "/" at the end; empty: AWS.
  std::string region;    // Empty: that of the environment or the profile.
  std::optional<Addressing> addressing{};  // None: by the endpoint, which the environment may say.
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;
  std::string profile;
  std::string
      credentials;       // "secretsmanager:NAME", "ssm:NAME": where keys are kept; empty: not so.
  std::string role_arn;  // Assumed with those credentials; empty: none.
  std::string external_id;  // Of the role.
  bool anonymous = false;
  PayloadSigning payload_signing = PayloadSigning::kAuto;
  bool requester_pays = false;
  bool accelerate = false;        // Objects travel by S3 Transfer Acceleration; AWS alone.
  std::optional<int> requests{};  // Under way at a time, 1 to 1024; none: 64.

  // type file.
  std::string root;  // Absolute.

  // Equal for two stores that are the same place under two names: "s3 host:9001" or
  // "file /srv/buckets"; of AWS: "s3 aws" (bucket names are unique there).
  [[nodiscard]] std::string Place() const;
};

// What is known of an object besides its key. A listing tells less than a GET, and of an object
// that is gone nothing is known.
struct ObjectFacts {
  std::optional<uint64_t> size_bytes{};
  std::optional<SystemTime> last_modified{};
  std::optional<bool> kms_encrypted{};
  const Tags* tags = nullptr;
};

// Which objects of a source belong to a rule. Deletes are matched by key alone.
struct Filter {
  enum class Match { kNo, kYes, kUnknown };  // kUnknown: too little is known of the object.

  std::string suffix;
  uint64_t size_bytes_min = 0;  // Both ends included.
  std::optional<uint64_t> size_bytes_max{};
  Tags tags{};                                 // All of these, among others.
  std::optional<SystemTime> modified_since{};  // Last modified then or later.
  bool kms_encrypted = true;                   // Also objects under a key of the source's KMS.

  // By all but the key.
  [[nodiscard]] Match Matches(const ObjectFacts& facts) const;
};

// Where a rule hears of changes. A listing at the start is always made.
struct Intake {
  bool webhook = true;                            // POST /v1/events, where there is a listener.
  std::optional<std::chrono::seconds> listing{};  // How often the source is listed again.
  bool watch = false;                             // Watches the folder; `file` stores only.
  std::optional<AwsPlace> sqs{};                  // A queue that the store sends its events to.
  // Where S3 delivers inventories of the source, of which comparisons read the newest instead of
  // listing the source. Its prefix ends in "/".
  std::optional<Address> inventory{};
};

// A batch closes when one of these is reached, or when nothing more waits.
struct Batch {
  uint64_t size_bytes = 256ULL << 20;  // Raw bytes, 1 MiB to 5 GiB.
  int count = 10'000;                  // Objects, 1 to 10,000.
  std::chrono::milliseconds linger{5'000};
};

// Stops deletes that a comparison found when more than both of these would go.
struct DeleteGuard {
  bool enabled = true;
  int64_t keys = 1'000;
  double share = 0.25;  // Of the target, 0 to 1.
};

// What becomes of an unmarked object at the target that differs, in a bucket without versions.
enum class OnConflict { kKeep, kOverwrite };

// How what a rule carries gets to its targets: in archives, by way of staging; or object by object,
// written to the targets by the source.
enum class Transport {
  kDirect,         // The source uploads them to each staging.
  kS3Replication,  // It uploads them to Rule::local_staging, and the store replicates that bucket.
  kCopy,           // The store, the same on both sides, copies each object.
  kPlain,          // Each object is streamed.
  // What shrinks as with kDirect; what does not, and is not small, as with kCopy where
  // Target::store_can_copy, else as with kPlain (replication/source/choose_route.h).
  kAuto,
};
std::string_view ToString(Transport transport);  // As in the configuration.

// The bucket in which the cross-region compressor of AWS Samples left archives that were meant for
// a target; the target role applies and removes them.
struct TakeOver {
  Address from;  // Its prefix is empty or ends in "/".
  // Where an ETag that looks like the MD5 of its object is not, the archive is damaged. False: the
  // source encrypts under KMS, and no ETag tells anything of the bytes.
  bool etags_are_md5 = true;

  bool operator==(const TakeOver&) const = default;
};

// A target that keeps archives as they are, in a vault (backup/vault_place.h), instead of replicas.
struct BackupOptions {
  enum class Partition { kDaily, kMonthly };
  // How long every state of the bucket can be had back; none: for ever.
  std::optional<std::chrono::seconds> keep{};
  std::string storage_class{};  // Of archives; catalogs are the store's default.
  // Of archives: "GOVERNANCE" or "COMPLIANCE"; empty: none.
  std::string lock_mode{};
  int lock_days = 0;
  Partition partition = Partition::kDaily;  // Folders of archives and catalogs.

  bool operator==(const BackupOptions&) const = default;
};

struct Target {
  // Names the target in receipts and in State; [A-Za-z0-9._-], unique within its rule. Made from
  // bucket and prefix alone (unless given), so that the processes of both regions agree on it even
  // where they reach the bucket by different endpoints.
  std::string name;
  Address to;
  Address staging;            // Its prefix is empty or ends in "/".
  std::string storage_class;  // Empty: that of the source object.
  // How S3 encrypts the replicas: "AES256", "aws:kms" or "aws:kms:dsse". Empty: with a kms_key
  // aws:kms, else the default of the bucket.
  std::string sse{};
  std::string kms_key{};             // Never with AES256.
  std::optional<bool> bucket_key{};  // Of aws:kms alone; none: as the bucket has it.
  std::string acl{};                 // A canned ACL of the replicas; empty: none is sent.
  // The account, 12 digits, that the bucket must belong to for anything to be written or deleted.
  std::string bucket_owner{};
  // Replicas get the retention and the legal hold of their source objects. Never with a backup.
  bool object_lock = false;
  std::optional<TakeOver> take_over{};
  // Set: no objects are written to `to`, whose prefix is empty or ends in "/" then.
  std::optional<BackupOptions> backup{};
  // Of kAuto: source and target lie in one store.
  bool store_can_copy = false;
};

// `compression: auto`: the level of each kind of content is the one that costs least.
struct TunerBounds {
  int level_min = 1;  // 1 to 22; not above level_max.
  int level_max = 19;

  bool operator==(const TunerBounds&) const = default;
};

// `restore:`: what lies in S3's GLACIER and DEEP_ARCHIVE is asked back and carried when it is
// there. None: such an object is parked with the reason.
struct RestoreOptions {
  std::string tier = "Standard";  // "Expedited", "Standard" or "Bulk".
  int days = 1;                   // That the restored copy is kept, 1 to 365.

  bool operator==(const RestoreOptions&) const = default;
};

struct Rule {
  std::string id;  // [A-Za-z0-9._-]{1,64}, not "probe", "." or ".."; a path segment in staging.
  bool enabled = true;
  // Of several rules that would write one key of one target, the one with the highest priority
  // that matches carries it, alone (rules/priority.h).
  int priority = 0;
  Address source;
  Filter filter;
  Intake intake;
  bool deletes = false;
  int compression_level = 6;           // 1 to 22; 0: none.
  std::optional<TunerBounds> tuner{};  // Set: `compression: auto`, which begins at that level.
  Batch batch;
  std::chrono::milliseconds settle{2'000};  // 1 s at least: stamps have whole seconds.
  // How long an object may take to a target, from its event to its receipt; what takes longer is
  // counted, logged and told to Configuration::notify. None: nothing is watched.
  std::optional<std::chrono::milliseconds> threshold{};
  OnConflict on_conflict = OnConflict::kKeep;
  std::optional<RestoreOptions> restore{};
  DeleteGuard delete_guard;
  Transport transport = Transport::kDirect;
  // Needed by kS3Replication; with kDirect what still lies there is brought to its end. Its prefix
  // is empty or ends in "/", and is that of every target's staging: the store keeps keys.
  std::optional<Address> local_staging{};
  // What has not been replicated to a target's staging for so long the source uploads there.
  std::chrono::milliseconds replication_timeout{900'000};
  Secret seal_key;  // At least 16 bytes; empty: archives are not sealed.
  // Keys that a target accepts besides, as long as the key is being changed. No key twice; none
  // without a seal_key.
  std::vector<Secret> seal_keys_accepted{};
  std::vector<Target> targets;  // At least one.

  // By bucket, prefix and suffix: all that an event tells for sure.
  [[nodiscard]] bool MatchesKey(std::string_view bucket, std::string_view key) const;
};

struct ListenAddress {
  std::string host;  // An IP address or "localhost", without brackets.
  uint16_t port = 0;
  [[nodiscard]] bool loopback() const;
};

// Where a Queue or a State lies: one of these.
struct DatabasePlace {
  std::string sqlite_path;  // Absolute.
  Secret postgres_url{};
  std::optional<AwsPlace> dynamodb{};  // Of a State alone.
  std::optional<AwsPlace> sqs{};       // Of a Queue alone; the names of its queues begin so.

  bool operator==(const DatabasePlace&) const = default;
};

struct Configuration {
  std::string file;  // Where it was read, for messages.
  std::string site;  // [A-Za-z0-9._-]{1,32}; may be empty where there are no rules.
  std::map<std::string, StoreSettings> stores;
  DatabasePlace queue;
  DatabasePlace state;       // May be the same database.
  int64_t memory_bytes = 0;  // 0: the default of the machine.
  std::optional<ListenAddress> listen;
  Secret notify;                      // A URL that late objects are told to; empty: none.
  Secret token;                       // Not empty where `listen` is not loopback.
  std::vector<Rule> rules;            // May be empty: a file can describe stores alone.
  std::vector<std::string> warnings;  // What is allowed and probably not meant.

  // nullptr: there is none.
  [[nodiscard]] const Rule* FindRule(std::string_view id) const;
};

// The key at the target: the prefix of `to`, then what follows the prefix of the source, byte for
// byte. nullopt: the key is not below the source.
std::optional<std::string> TargetKey(const Rule& rule, const Target& target,
                                     std::string_view source_key);
// The way back. nullopt: the key is not below `to`.
std::optional<std::string> SourceKey(const Rule& rule, const Target& target,
                                     std::string_view target_key);

// "<staging prefix><rule id>/": where archives and receipts of a rule lie.
std::string StagingPrefix(const Rule& rule, const Target& target);
// The same in the local staging; the rule has one.
std::string LocalStagingPrefix(const Rule& rule);
// "<staging prefix>probe/": what the probing of the store may write below.
std::string ProbePrefix(const Target& target);
// The State partition of what is remembered about a rule's target ("<rule id>/<target name>").
std::string StatePartition(const Rule& rule, const Target& target);
// The State partition of what is remembered about the keys of a target's bucket. Rules that write
// to one bucket share it: what one of them deletes, no late archive of another may bring back.
std::string ReplicaPartition(const Target& target);
// Target::name when the configuration gives none.
std::string DerivedTargetName(const Address& to);

}  // namespace longhaul
