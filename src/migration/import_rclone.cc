// rclone.conf: its S3 remotes.

#include <algorithm>
#include <array>
#include <set>

#include "migration/import_formats.h"

namespace longhaul {
namespace {

struct Provider {
  std::string_view theirs;
  std::string_view ours;
};
constexpr std::array kProviders = {
    Provider{"AWS", ""},
    Provider{"Alibaba", "aliyun-oss"},
    Provider{"Ceph", "ceph"},
    Provider{"Cloudflare", "r2"},
    Provider{"GCS", "gcs"},
    Provider{"Minio", "minio"},
    Provider{"Qiniu", "qiniu-kodo"},
    Provider{"TencentCOS", "tencent-cos"},
    Provider{"Wasabi", "wasabi"},
};

constexpr std::array kDoneOfRclone = {
    MigrationKnown{"location_constraint", "the region says it"},
    MigrationKnown{"upload_cutoff", "how an object travels follows from its size"},
    MigrationKnown{"chunk_size", "parts follow from the size"},
    MigrationKnown{"copy_cutoff", "how an object travels follows from its size"},
    MigrationKnown{"max_upload_parts", "parts follow from the size"},
    MigrationKnown{"upload_concurrency", "requests are limited per store",
                   "`requests` of the store sets the limit"},
    MigrationKnown{"list_chunk", "pages hold as many keys as the store gives"},
    MigrationKnown{"list_version", "the provider's table says it"},
    MigrationKnown{"list_url_encode", "listings are always asked for encoded"},
    MigrationKnown{"no_check_bucket", "buckets are never made"},
    MigrationKnown{"no_head", "what was written is verified without a HEAD"},
    MigrationKnown{"no_head_object", "what is read needs no HEAD"},
    MigrationKnown{"disable_checksum", "every object is verified"},
    MigrationKnown{"leave_parts_on_error", "uploads are always resumed"},
    MigrationKnown{"encoding", "keys are carried byte for byte"},
    MigrationKnown{"use_multipart_etag", "the provider's table says it"},
    MigrationKnown{"use_unsigned_payload", "`payload_signing` of the store says it"},
    MigrationKnown{"memory_pool_flush_time", "memory has a budget", "--memory"},
    MigrationKnown{"memory_pool_use_mmap", "memory has a budget", "--memory"},
    MigrationKnown{"disable_http2", "HTTP/1.1 is what is spoken"},
};
// Of each write: flags of a command.
constexpr std::array kOfCommands = {
    MigrationKnown{"acl", "--acl"},
    MigrationKnown{"storage_class", "--storage-class"},
    MigrationKnown{"server_side_encryption", "--sse"},
    MigrationKnown{"sse_kms_key_id", "--kms-key-id"},
};
constexpr std::array kSecrets = {"access_key_id", "secret_access_key", "session_token",
                                 "sse_customer_key", "sse_customer_key_base64"};

// "WEST_EU" of "west-eu".
std::string Variable(std::string_view name) {
  std::string variable;
  for (char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    variable += letter && c >= 'a'                 ? static_cast<char>(c - 32)
                : letter || (c >= '0' && c <= '9') ? c
                                                   : '_';
  }
  if (variable.empty() || (variable[0] >= '0' && variable[0] <= '9')) variable = "S_" + variable;
  return variable;
}

// `variables`: of the remotes before it.
void ImportRemote(MigrationSettings& settings, const std::string& name, MigrationPlan& plan,
                  std::set<std::string>& variables) {
  const std::string type = settings.Text("type");
  if (type != "s3") {
    settings.NotCarried("type",
                        "the remote " + QuotedForImport(name) + " is " + type +
                            (type == "local" ? ": write its folder as an address" : ", not S3"));
    return;
  }
  MigrationStore store{.name = name};
  const std::string provider = settings.Text("provider");
  auto known = std::ranges::find(kProviders, provider, &Provider::theirs);
  store.endpoint = settings.Text("endpoint");
  if (!store.endpoint.empty() && store.endpoint.find("://") == std::string::npos) {
    store.endpoint = "https://" + store.endpoint;
  }
  while (store.endpoint.ends_with('/')) store.endpoint.pop_back();
  if (known != kProviders.end()) {
    store.provider = known->ours;
  } else if (!provider.empty()) {
    if (provider != "Other") {
      settings.Differs("provider", "no preset of that name: it is taken for any other server",
                       "see docs/stores.md for what can be set");
    }
    if (!store.endpoint.empty()) store.provider = "generic";
  }
  store.region = settings.Text("region");
  if (store.region == "other-v2-signature") {
    settings.NotCarried("region", "signatures of version 2 are not made");
    store.region.clear();
  }
  store.profile = settings.Text("profile");
  store.requester_pays = settings.Flag("requester_pays");
  // Their default is path style but for AWS and a few; ours follows from the provider.
  if (settings.Find("force_path_style")) store.path_style = settings.Flag("force_path_style");
  // It only applies where there are no keys. (Source: rclone, s3, --s3-env-auth.)
  const bool from_environment = settings.Flag("env_auth");
  const bool has_keys = settings.Find("access_key_id").has_value();
  if (has_keys) {
    store.profile.clear();
    store.keys_from = Variable(name);
    for (int number = 2; !variables.insert(store.keys_from).second; ++number) {
      store.keys_from = Variable(name) + "_" + std::to_string(number);
    }
    settings.Differs(
        "access_key_id", "keys are not copied into the configuration",
        "set " + store.keys_from + "_ACCESS_KEY_ID and " + store.keys_from + "_SECRET_ACCESS_KEY");
  } else if (!from_environment && store.profile.empty()) {
    store.anonymous = true;
  }
  store.role_arn = settings.Text("role_arn");
  store.external_id = settings.Text("role_external_id");
  if (store.role_arn.empty()) {
    store.external_id.clear();
  } else {
    store.anonymous = false;  // Somebody has to assume it.
  }
  for (const char* session : {"role_session_name", "role_session_duration"}) {
    settings.NotCarried(session, "sessions of a role have a name and an end of their own");
  }
  for (const char* secret : kSecrets) static_cast<void>(settings.Find(secret));
  settings.NotCarried("session_token",
                      "a session ends; give profile: NAME, or its three variables");
  for (const char* customer : {"sse_customer_algorithm", "sse_customer_key",
                               "sse_customer_key_base64", "sse_customer_key_md5"}) {
    settings.NotCarried(customer, "customer keys (SSE-C) are not supported");
  }
  for (const char* no :
       {"v2_auth", "use_dual_stack", "versions", "version_at", "version_deleted",
        "directory_markers", "directory_bucket", "decompress", "might_gzip", "sts_endpoint"}) {
    settings.NotCarried(no, "there is no such setting of a store");
  }
  if (settings.Flag("use_accelerate_endpoint")) {
    settings.Differs("use_accelerate_endpoint", "is a setting of stores of AWS alone here",
                     "write accelerate: true to the store");
  }
  settings.NotCarried("shared_credentials_file", "set AWS_SHARED_CREDENTIALS_FILE");
  settings.NotCarried("bucket_acl", "buckets are never made");
  for (const MigrationKnown& flag : kOfCommands) {
    std::optional<std::string> value = settings.Find(flag.name);
    if (!value) continue;
    settings.Differs(flag.name, "is said with each command here",
                     std::string(flag.why) + " " + *value);
  }
  for (const MigrationKnown& one : kDoneOfRclone)
    settings.NotCarried(one.name, one.why, one.remedy);
  settings.NotCarried("description", "it is a note");
  plan.AddStore(std::move(store));
  settings.Finish();
}

}  // namespace

void ImportRclone(const std::string& file, std::vector<MigrationSetting>& settings,
                  MigrationPlan& plan, ImportLog& log) {
  std::set<std::string> variables;
  for (size_t begin = 0; begin < settings.size();) {
    size_t end = begin;
    std::vector<MigrationSetting> remote;
    while (end < settings.size() && settings[end].section == settings[begin].section) {
      remote.push_back(settings[end++]);
    }
    MigrationSettings one(file, remote, log);
    ImportRemote(one, settings[begin].section, plan, variables);
    begin = end;
  }
  if (plan.stores().empty()) {
    log.Fail(file, "has no S3 remote");
    return;
  }
  const bool two = plan.stores().size() > 1;
  plan.AddCommand({.words = {"sync", plan.stores().front().name + ":bucket/path",
                             two ? plan.stores()[1].name + ":bucket/path" : "./path"},
                   .comments = {"Addresses are as in rclone; `rclone sync` is sync --delete, and "
                                "`rclone copy` is:"}});
}

}  // namespace longhaul
