#include "rules/configuration.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/units.h"
#include "rules/priority.h"
#include "rules/seal_fields.h"

namespace longhaul {

namespace {

using namespace std::chrono_literals;

constexpr int kRulesMax = 1'000;  // The topology check compares each with each.
constexpr int kTargetsMax = 32;
constexpr int kTagsMax = 10;            // S3 User Guide, "Categorizing your storage using tags".
constexpr size_t kKeyBytesMax = 1'024;  // S3 User Guide, "Naming objects".

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

std::string Quoted(std::string_view text) {
  return "'" + std::string(text.substr(0, 80)) + (text.size() > 80 ? "…'" : "'");
}

bool IsAlphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// What is wrong with a bucket's name in this kind of store; "" when nothing is.
std::string BucketProblem(const StoreSettings& store, std::string_view bucket) {
  if (store.type == StoreType::kS3 && store.endpoint.empty()) {
    // S3 User Guide, "Bucket naming rules".
    const bool fits = bucket.size() >= 3 && bucket.size() <= 63 &&
                      std::ranges::all_of(bucket,
                                          [](char c) {
                                            return (c >= 'a' && c <= 'z') ||
                                                   (c >= '0' && c <= '9') || c == '.' || c == '-';
                                          }) &&
                      IsAlphanumeric(bucket.front()) && IsAlphanumeric(bucket.back());
    return fits ? "" : "AWS allows 3 to 63 of a-z, 0-9, '.' and '-'";
  }
  if (!IsPlainName(bucket, 255) || bucket.front() == '.') {
    return "a bucket is named with A-Z, a-z, 0-9, '.', '_' and '-'";
  }
  return "";
}

// The scheme and host in lower case, without a default port and without "/" at the end.
std::optional<std::string> NormalEndpoint(std::string_view text) {
  std::string endpoint(text);
  const size_t scheme_end = endpoint.find("://");
  if (scheme_end == std::string::npos) return std::nullopt;
  std::ranges::transform(endpoint, endpoint.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (endpoint.ends_with('/')) endpoint.pop_back();
  const std::string scheme = endpoint.substr(0, scheme_end);
  if (scheme != "http" && scheme != "https") return std::nullopt;
  if (endpoint.size() <= scheme_end + 3) return std::nullopt;
  std::string_view authority = std::string_view(endpoint).substr(scheme_end + 3);
  for (char c : authority) {
    if (!IsAlphanumeric(c) && !std::string_view(".-:[]_").contains(c)) return std::nullopt;
  }
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.back() != ']') {
    std::string_view digits = authority.substr(colon + 1);
    uint16_t port = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0 || colon == 0) {
      return std::nullopt;
    }
    if (port == (scheme == "http" ? 80 : 443)) endpoint.resize(scheme_end + 3 + colon);
  }
  return endpoint;
}

// Where the addresses of a rule stand in the file, for the topology's messages.
struct Places {
  std::optional<YamlValue> source;
  std::optional<YamlValue> local_staging;
  std::vector<std::optional<YamlValue>> targets;
  std::vector<std::optional<YamlValue>> staging;
};

class Reader {
 public:
  Reader(const std::string& file, std::string directory, YamlErrors& errors,
         std::vector<TopologyProblem>* problems)
      : directory_(std::move(directory)), errors_(errors), problems_(problems) {
    configuration_.file = file;
  }

  std::optional<Configuration> Read(const YamlNode& root);

 private:
  void ReadStores(const YamlValue& value);
  void ReadStore(const YamlValue& value, StoreSettings& store);
  void ReadS3(const YamlValue& value, YamlFields& fields, StoreSettings& store);
  void ReadDatabase(YamlFields& fields, std::string_view name, std::string& path);
  void ReadListener(YamlFields& fields);
  void ReadNotify(YamlFields& fields);
  void ReadRules(const YamlValue& value);
  void ReadRule(const YamlValue& value, Rule& rule, Places& places);
  void CheckCopies(const Rule& rule, Places& places);
  void FindCopies(Rule& rule);
  void ReadTransport(YamlFields& fields, Rule& rule, Places& places);
  void ReadFilter(YamlFields& fields, Filter& filter);
  void ReadSettle(YamlFields& fields, Rule& rule);
  void ReadIntake(YamlFields& fields, Rule& rule);
  void ReadCompression(YamlFields& fields, Rule& rule);
  void ReadBatch(YamlFields& fields, Batch& batch);
  void ReadDeleteGuard(YamlFields& fields, DeleteGuard& guard);
  void ReadTargets(const YamlValue& value, Rule& rule, Places& places);
  void ReadTarget(const YamlValue& value, const Rule& rule, Target& target, Places& places);
  bool ReadAddress(const YamlValue& value, Address& address);
  void ReadEncryption(YamlFields& fields, Target& target);
  void ReadOwner(YamlFields& fields, Target& target);
  void ReadTakeOver(const YamlValue& value, Target& target);
  void ReadStorageClass(YamlFields& fields, Target& target);
  void Warn(const YamlValue& value, const std::string& what);
  void WarnOfIdleRules();

  std::string AbsolutePath(const std::string& path) const;
  const StoreSettings* StoreOf(const Address& address) const {
    auto found = configuration_.stores.find(address.store);
    return found == configuration_.stores.end() ? nullptr : &found->second;
  }
  // The same; nullptr too when nobody knows what kind of store it is.
  const StoreSettings* KnownStoreOf(const Address& address) const {
    return unclear_stores_.contains(address.store) ? nullptr : StoreOf(address);
  }

  Configuration configuration_;
  std::string directory_;
  YamlErrors& errors_;
  std::vector<TopologyProblem>* problems_;  // Where they go instead; may be null.
  std::vector<Places> places_;
  std::set<std::string> unclear_stores_;  // Described with mistakes.
};

std::optional<Configuration> Reader::Read(const YamlNode& root) {
  YamlValue top(root, "", errors_);
  std::optional<YamlFields> fields = top.Fields();
  if (!fields) return std::nullopt;

  if (auto version = fields->Require("version", "version: 1")) {
    std::optional<int64_t> number = version->Integer(1, INT32_MAX);
    if (number && *number != 1)
      version->Fail("is for a later longhaul", "this one reads version: 1");
  }
  // A file may describe stores alone, for commands that name them in addresses.
  const bool has_rules = fields->Find("rules").has_value();
  std::optional<YamlValue> site =
      has_rules ? fields->Require("site", "site: NAME (of this installation; it goes into marks)")
                : fields->Find("site");
  if (site) {
    configuration_.site = site->Text().value_or("");
    if (!configuration_.site.empty() && !IsPlainName(configuration_.site, 32)) {
      site->Fail(Quoted(site->node().raw) + " cannot stand in a mark",
                 "use up to 32 of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
  }
  if (auto stores = fields->Require("stores", "stores: { NAME: { type: s3, … } }")) {
    ReadStores(*stores);
  }
  ReadDatabase(*fields, "queue", configuration_.queue_path);
  ReadDatabase(*fields, "state", configuration_.state_path);
  uint64_t memory_bytes = 0;
  if (fields->Size("memory", memory_bytes, 16 << 20, 1ULL << 50)) {
    configuration_.memory_bytes = static_cast<int64_t>(memory_bytes);
  }
  ReadListener(*fields);
  ReadNotify(*fields);
  if (auto rules = fields->Find("rules")) {
    ReadRules(*rules);
  }
  fields->Finish();
  if (!errors_.empty()) return std::nullopt;  // The topology needs whole rules.

  WarnOfIdleRules();
  if (problems_ != nullptr) {
    *problems_ = CheckTopology(configuration_);
    return std::move(configuration_);
  }
  for (const TopologyProblem& problem : CheckTopology(configuration_)) {
    const Places& places = places_[static_cast<size_t>(problem.rule)];
    const auto target = static_cast<size_t>(problem.target);
    const std::optional<YamlValue>& place =
        problem.part == TopologyProblem::Part::kSource         ? places.source
        : problem.part == TopologyProblem::Part::kLocalStaging ? places.local_staging
        : problem.part == TopologyProblem::Part::kStaging      ? places.staging[target]
                                                               : places.targets[target];
    place->Fail(problem.what, problem.remedy);
  }
  if (!errors_.empty()) return std::nullopt;
  return std::move(configuration_);
}

void Reader::Warn(const YamlValue& value, const std::string& what) {
  configuration_.warnings.push_back(configuration_.file + ":" + std::to_string(value.node().line) +
                                    ":" + std::to_string(value.node().column) + ": " +
                                    value.path() + ": " + what);
}

// A rule that is there and never carries anything is hardly meant.
void Reader::WarnOfIdleRules() {
  for (size_t i = 0; i < configuration_.rules.size(); ++i) {
    const Rule& rule = configuration_.rules[i];
    for (size_t t = 0; rule.enabled && t < rule.targets.size(); ++t) {
      for (const Rule* above : RivalsAbove(configuration_.rules, rule, rule.targets[t])) {
        if (!Covers(*above, rule)) continue;
        Warn(*places_[i].targets[t], "the rule carries nothing to here: rule " + above->id +
                                         " has a higher priority and matches all of its objects");
        break;
      }
    }
  }
}

std::string Reader::AbsolutePath(const std::string& path) const {
  std::filesystem::path absolute = std::filesystem::path(directory_) / path;
  // Links are followed as far as the path exists, so that one folder has one name.
  std::error_code error;
  std::filesystem::path canonical = std::filesystem::weakly_canonical(absolute, error);
  std::string text = (error ? absolute.lexically_normal() : canonical).string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

void Reader::ReadStores(const YamlValue& value) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  for (auto& [name, store_value] : fields->All()) {
    if (!IsPlainName(name, 64) || name == "s3" || name == "file") {
      store_value.Fail(
          Quoted(name) + " cannot name a store",
          "use A-Z, a-z, 0-9, '.', '_' and '-'; not s3 or file, which begin addresses");
      continue;
    }
    StoreSettings& store = configuration_.stores[name];
    store.name = name;
    const size_t mistakes_before = errors_.mistakes().size();
    ReadStore(store_value, store);
    if (errors_.mistakes().size() > mistakes_before) unclear_stores_.insert(name);
  }
  if (configuration_.stores.empty()) value.Fail("names no store", "add one: NAME: { type: s3, … }");
}

void Reader::ReadStore(const YamlValue& value, StoreSettings& store) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  fields->Require("type", "type: s3 (or file)");
  if (!fields->Choice("type", store.type, {{"s3", StoreType::kS3}, {"file", StoreType::kFile}})) {
    return;  // Which fields there are follows from the type.
  }
  if (store.type == StoreType::kFile) {
    std::string root;
    fields->Require("root", "root: /the/folder/of/buckets");
    if (fields->Text("root", root)) store.root = AbsolutePath(root);
  } else {
    ReadS3(value, *fields, store);
  }
  fields->Finish();
}

void Reader::ReadS3(const YamlValue& value, YamlFields& fields, StoreSettings& store) {
  if (auto endpoint = fields.Find("endpoint")) {
    if (std::optional<std::string> text = endpoint->Text()) {
      if (std::optional<std::string> normal = NormalEndpoint(*text)) {
        store.endpoint = *normal;
      } else {
        endpoint->Fail(Quoted(endpoint->node().raw) + " is not an endpoint",
                       "write http:// or https://, a host, and :PORT where needed");
      }
    }
  }
  // A server of one's own seldom has a name for each bucket; AWS wants them.
  store.addressing = store.endpoint.empty() ? Addressing::kVirtualHost : Addressing::kPath;
  fields.Choice("addressing", store.addressing,
                {{"path", Addressing::kPath}, {"virtual", Addressing::kVirtualHost}});
  if (auto region = fields.Find("region")) {
    store.region = region->Text().value_or("");
    if (!store.region.empty() && !IsPlainName(store.region, 64)) {
      region->Fail(Quoted(region->node().raw) + " is not a region", "write it as eu-west-1");
    }
  }
  fields.Text("access_key_id", store.access_key_id);
  fields.Text("secret_access_key", store.secret_access_key);
  fields.Text("session_token", store.session_token);
  fields.Text("profile", store.profile);
  fields.Boolean("anonymous", store.anonymous);
  fields.Choice("payload_signing", store.payload_signing,
                {{"auto", PayloadSigning::kAuto},
                 {"always", PayloadSigning::kAlways},
                 {"never", PayloadSigning::kNever}});
  fields.Boolean("requester_pays", store.requester_pays);
  int requests = 0;
  if (fields.Integer("requests", requests, 1, 1'024)) store.requests = requests;

  const bool has_id = fields.Find("access_key_id").has_value();
  const bool has_secret = fields.Find("secret_access_key").has_value();
  if (has_id != has_secret) {
    value.Fail(has_id ? "has an access_key_id and no secret_access_key"
                      : "has a secret_access_key and no access_key_id",
               "give both, or a profile, or neither for the default chain");
  }
  if (fields.Find("session_token") && !has_id) {
    value.Fail("has a session_token without the keys that it belongs to", "give all three");
  }
  if (static_cast<int>(has_id) + static_cast<int>(!store.profile.empty()) +
          static_cast<int>(store.anonymous) >
      1) {
    value.Fail("says in several ways who it is",
               "give one of access_key_id, profile and anonymous");
  }
}

void Reader::ReadDatabase(YamlFields& fields, std::string_view name, std::string& path) {
  // Beside the configuration: what belongs together is found together.
  path = AbsolutePath("longhaul.db");
  std::optional<YamlValue> value = fields.Find(name);
  std::optional<std::string> url = value ? value->Text() : std::nullopt;
  if (!url) return;
  const size_t colon = url->find(':');
  const std::string scheme = url->substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : url->substr(colon + 1);
  if (scheme == "sqlite" && !rest.empty()) {
    path = AbsolutePath(rest);
  } else if (scheme == "postgres" || scheme == "sqs" || scheme == "dynamodb") {
    value->Fail(scheme + " is not in this version", "write sqlite:PATH");
  } else {
    value->Fail(Quoted(value->node().raw) + " is no place for it", "write sqlite:PATH");
  }
}

void Reader::ReadNotify(YamlFields& fields) {
  if (!fields.Text("notify", configuration_.notify)) return;
  const std::string_view url = configuration_.notify.Reveal();
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    fields.Find("notify")->Fail("is no URL", "write https://HOST/PATH");
  }
}

void Reader::ReadListener(YamlFields& fields) {
  fields.Text("token", configuration_.token);
  std::optional<YamlValue> value = fields.Find("listen");
  std::optional<std::string> text = value ? value->Text() : std::nullopt;
  if (!text) return;
  const size_t colon = text->rfind(':');
  ListenAddress address;
  address.host = text->substr(0, colon == std::string::npos ? 0 : colon);
  std::string_view digits =
      colon == std::string::npos ? *text : std::string_view(*text).substr(colon + 1);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  bool valid = error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
  in_addr v4{};
  in6_addr v6{};
  if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
    valid = valid && inet_pton(AF_INET6, address.host.c_str(), &v6) == 1;
  } else {
    valid = valid &&
            (address.host == "localhost" || inet_pton(AF_INET, address.host.c_str(), &v4) == 1);
  }
  if (!valid) {
    value->Fail(Quoted(value->node().raw) + " is no address to listen at",
                "write ADDRESS:PORT, as 127.0.0.1:8787, 0.0.0.0:8787 or '[::1]:8787'");
    return;
  }
  if (!address.loopback() && configuration_.token.empty() && !fields.Find("token")) {
    value->Fail(Quoted(value->node().raw) + " can be reached from elsewhere, and there is no token",
                "add token: \"${LONGHAUL_TOKEN}\", or listen at 127.0.0.1");
  }
  configuration_.listen = address;
}

void Reader::ReadRules(const YamlValue& value) {
  std::optional<std::vector<YamlValue>> items = value.Items();
  if (!items) return;
  if (items->empty()) value.Fail("is empty", "add a rule: - { id: …, source: …, targets: … }");
  if (items->size() > kRulesMax) {
    value.Fail("has " + std::to_string(items->size()) + " rules",
               "at most " + std::to_string(kRulesMax) + " fit; split the file");
    return;
  }
  for (const YamlValue& item : *items) {
    Rule rule;
    Places places;
    ReadRule(item, rule, places);
    if (!rule.id.empty() && configuration_.FindRule(rule.id) != nullptr) {
      item.Fail("the id " + Quoted(rule.id) + " is taken by another rule",
                "give it one of its own");
    }
    configuration_.rules.push_back(std::move(rule));
    places_.push_back(std::move(places));
  }
}

void Reader::ReadRule(const YamlValue& value, Rule& rule, Places& places) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  if (auto id = fields->Require("id", "id: NAME")) {
    rule.id = id->Text().value_or("");
    if (!rule.id.empty() && (!IsPlainName(rule.id, 64) || rule.id == "probe")) {
      id->Fail(Quoted(id->node().raw) + " cannot be the id of a rule",
               "use up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'; not 'probe', a folder in staging");
    }
  }
  fields->Choice("status", rule.enabled, {{"enabled", true}, {"disabled", false}});
  if (auto source = fields->Require("source", "source: STORE:bucket/prefix")) {
    places.source = *source;
    ReadAddress(*source, rule.source);
  }
  ReadFilter(*fields, rule.filter);
  ReadIntake(*fields, rule);
  fields->Boolean("deletes", rule.deletes);
  ReadCompression(*fields, rule);
  ReadBatch(*fields, rule.batch);
  ReadSettle(*fields, rule);
  std::chrono::milliseconds threshold{};
  if (fields->Duration("threshold", threshold, 1s, std::chrono::days(30))) {
    rule.threshold = threshold;
  }
  fields->Choice("on_conflict", rule.on_conflict,
                 {{"keep", OnConflict::kKeep}, {"overwrite", OnConflict::kOverwrite}});
  ReadDeleteGuard(*fields, rule.delete_guard);
  ReadSeal(*fields, rule);
  fields->Integer("priority", rule.priority, 0, INT32_MAX);
  if (auto targets = fields->Require("targets", "targets: [{ to: …, staging: … }]")) {
    ReadTargets(*targets, rule, places);
  }
  ReadTransport(*fields, rule, places);
  fields->Finish();
}

// A store copies within itself alone.
void Reader::CheckCopies(const Rule& rule, Places& places) {
  const StoreSettings* from = KnownStoreOf(rule.source);
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    const Target& target = rule.targets[i];
    const StoreSettings* to = KnownStoreOf(target.to);
    if (from == nullptr || to == nullptr) continue;
    if (from->Place() != to->Place()) {
      places.targets[i]->Fail("is not in the store of the source (" + from->Place() + " and " +
                                  to->Place() + "), and a store copies within itself alone",
                              "write transport: auto, direct or plain");
    }
  }
}

void Reader::FindCopies(Rule& rule) {
  const StoreSettings* from = KnownStoreOf(rule.source);
  for (Target& target : rule.targets) {
    const StoreSettings* to = KnownStoreOf(target.to);
    target.store_can_copy = from != nullptr && to != nullptr && from->Place() == to->Place();
  }
}

// After the targets.
void Reader::ReadTransport(YamlFields& fields, Rule& rule, Places& places) {
  fields.Choice("transport", rule.transport,
                {{"direct", Transport::kDirect},
                 {"s3-replication", Transport::kS3Replication},
                 {"copy", Transport::kCopy},
                 {"plain", Transport::kPlain},
                 {"auto", Transport::kAuto}});
  const bool carries = rule.transport == Transport::kCopy || rule.transport == Transport::kPlain ||
                       rule.transport == Transport::kAuto;
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    if (!carries || !rule.targets[i].take_over) continue;
    // All that is remembered of its keys is with the source's process.
    places.targets[i]->Fail(
        "takes over archives, which the target does, and by this transport the "
        "source writes to it as well",
        "write transport: direct until take_over is done with");
  }
  if (rule.transport == Transport::kCopy) CheckCopies(rule, places);
  if (rule.transport == Transport::kAuto) FindCopies(rule);
  const bool by_store = rule.transport == Transport::kS3Replication;
  std::optional<YamlValue> staging = fields.Find("staging");
  places.local_staging = staging;
  const bool timed =
      fields.Duration("replication_timeout", rule.replication_timeout, 10s, std::chrono::days(7));
  if (!staging) {
    if (by_store) {
      fields.Find("transport")
          ->Fail("needs the bucket that the store replicates",
                 "add staging: STORE:bucket/prefix/ to the rule");
    } else if (timed) {
      fields.Find("replication_timeout")->Fail("is for transport: s3-replication", "remove it");
    }
    return;
  }
  Address local;
  if (!ReadAddress(*staging, local)) return;
  if (!local.prefix.empty() && !local.prefix.ends_with('/')) local.prefix += '/';
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    const Address& there = rule.targets[i].staging;
    if (there.bucket.empty() || there.prefix == local.prefix) continue;
    places.staging[i]->Fail("has another prefix than the staging of the rule, " + local.ToString() +
                                ", and a store that replicates keeps keys",
                            "write " + Address{there.store, there.bucket, local.prefix}.ToString());
  }
  rule.local_staging = std::move(local);
  if (!by_store) {
    Warn(*staging,
         "nothing new goes there without transport: s3-replication; what is there is "
         "brought to its end");
  }
}

void Reader::ReadFilter(YamlFields& fields, Filter& filter) {
  std::optional<YamlValue> value = fields.Find("filter");
  std::optional<YamlFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  inner->Text("suffix", filter.suffix);
  inner->Refuse("prefix", "stands in the source's address", "write source: STORE:bucket/PREFIX");
  inner->Size("min_size", filter.size_bytes_min, 0, INT64_MAX);
  uint64_t size_bytes_max = 0;
  if (inner->Size("max_size", size_bytes_max, 0, INT64_MAX)) {
    filter.size_bytes_max = size_bytes_max;
    if (size_bytes_max < filter.size_bytes_min) {
      value->Fail("no size is at least min_size and at most max_size", "swap them");
    }
  }
  if (auto since = inner->Find("modified_since")) {
    std::optional<std::string> text = since->Text();
    Result<SystemTime> time = text ? ParseRfc3339(*text) : Result<SystemTime>(SystemTime{});
    if (text && !time) {
      since->Fail(Quoted(since->node().raw) + " is not a time",
                  "write it as \"2026-11-21T00:00:00Z\"");
    } else if (text) {
      filter.modified_since = *time;
    }
  }
  inner->Boolean("kms_encrypted", filter.kms_encrypted);
  std::optional<YamlValue> tags = inner->Find("tags");
  std::optional<YamlFields> names = tags ? tags->Fields() : std::nullopt;
  if (names) {
    for (auto& [name, tag] : names->All()) {
      // "" is a value like any other.
      std::optional<std::string> text = "";
      if (!tag.node().quoted || !tag.node().raw.empty()) text = tag.Text();
      if (!text) continue;
      if (name.empty() || name.size() > 128 * 4 || text->size() > 256 * 4) {
        tag.Fail("is too long for a tag", "names have up to 128 characters, values up to 256");
      }
      filter.tags[name] = *text;
    }
    if (filter.tags.size() > kTagsMax)
      tags->Fail("asks for more than 10 tags", "no object has so many");
  }
  inner->Finish();
}

void Reader::ReadSettle(YamlFields& fields, Rule& rule) {
  std::optional<YamlValue> value = fields.Find("settle");
  std::optional<std::chrono::milliseconds> settle = value ? value->Duration(0s, 1h) : std::nullopt;
  if (!settle) return;
  rule.settle = *settle;
  if (*settle < 1s) {
    value->Fail(Quoted(value->node().raw) +
                    " is too short: stamps have whole seconds, and of two changes within one the "
                    "older could stay",
                "give 1s to 1h");
  }
}

void Reader::ReadIntake(YamlFields& fields, Rule& rule) {
  const StoreSettings* store = StoreOf(rule.source);
  const bool is_folder = store != nullptr && store->type == StoreType::kFile;
  Intake& intake = rule.intake;
  intake.listing = std::chrono::hours(1);  // What no event told is found within the hour.
  intake.watch = is_folder;                // Costs nothing, and a folder sends no events.
  std::optional<YamlValue> value = fields.Find("intake");
  std::optional<YamlFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  if (inner->Boolean("webhook", intake.webhook) && intake.webhook && !configuration_.listen) {
    value->Fail("webhook needs a listener", "add listen: 127.0.0.1:8787 at the top");
  }
  if (auto listing = inner->Find("listing")) {
    if (listing->node().text == "off" || listing->node().text == "false") {
      intake.listing.reset();
    } else if (auto every = listing->Duration(1s, std::chrono::days(30))) {
      intake.listing = std::chrono::ceil<std::chrono::seconds>(*every);
    }
  }
  if (inner->Boolean("watch", intake.watch) && intake.watch && store != nullptr && !is_folder) {
    value->Fail("only folders can be watched", "remove watch; use webhook or listing");
  }
  inner->Refuse("sqs", "is not in this version", "use webhook or listing");
  inner->Refuse("eventbridge", "is not in this version", "use webhook or listing");
  inner->Finish();
  if (!(intake.webhook && configuration_.listen) && !intake.listing && !intake.watch) {
    Warn(*value, "after the listing at the start nothing tells of changes");
  }
}

void Reader::ReadCompression(YamlFields& fields, Rule& rule) {
  std::optional<YamlValue> value = fields.Find("compression");
  if (!value) return;
  if (value->node().text == "auto") return;  // A fixed level until the tuner is there.
  if (value->node().text == "none") {
    rule.compression_level = 0;
    return;
  }
  const bool number = !value->node().text.empty() &&
                      value->node().text.find_first_not_of("0123456789-") == std::string::npos;
  if (!number && value->node().kind == YamlNode::Kind::kText && !value->node().broken) {
    value->Fail(Quoted(value->node().raw) + " is no way to compress",
                "write auto, none, or 1 to 22");
  } else if (auto level = value->Integer(1, 22)) {
    rule.compression_level = static_cast<int>(*level);
  }
}

void Reader::ReadBatch(YamlFields& fields, Batch& batch) {
  std::optional<YamlValue> value = fields.Find("batch");
  std::optional<YamlFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  inner->Size("bytes", batch.size_bytes, 1 << 20, 5ULL << 30);
  inner->Integer("count", batch.count, 1, 10'000);
  inner->Duration("linger", batch.linger, 0s, 1h);
  inner->Finish();
}

void Reader::ReadDeleteGuard(YamlFields& fields, DeleteGuard& guard) {
  std::optional<YamlValue> value = fields.Find("delete_guard");
  if (!value) return;
  if (value->node().text == "off" || value->node().text == "false") {
    guard.enabled = false;
    return;
  }
  std::optional<YamlFields> inner = value->Fields();
  if (!inner) return;
  inner->Integer("keys", guard.keys, 0, INT64_MAX);
  if (auto share = inner->Find("share")) guard.share = share->Number(0, 1).value_or(guard.share);
  inner->Finish();
}

void Reader::ReadTargets(const YamlValue& value, Rule& rule, Places& places) {
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

void Reader::ReadTarget(const YamlValue& value, const Rule& rule, Target& target, Places& places) {
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
  if (auto take_over = fields->Find("take_over")) ReadTakeOver(*take_over, target);
  fields->Finish();
}

void Reader::ReadTakeOver(const YamlValue& value, Target& target) {
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

void Reader::ReadEncryption(YamlFields& fields, Target& target) {
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
      if (auto field = fields.Find(name)) field->Fail("a folder has no KMS", "remove it");
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

void Reader::ReadOwner(YamlFields& fields, Target& target) {
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

void Reader::ReadStorageClass(YamlFields& fields, Target& target) {
  std::optional<YamlValue> value = fields.Find("storage_class");
  std::optional<std::string> name = value ? value->Text() : std::nullopt;
  if (!name) return;
  const StoreSettings* store = KnownStoreOf(target.to);
  const bool is_aws = store != nullptr && store->type == StoreType::kS3 && store->endpoint.empty();
  // Other servers have classes of their own.
  const bool known = std::ranges::find(kAwsStorageClasses, *name) != kAwsStorageClasses.end();
  if ((is_aws && !known) || !IsPlainName(*name, 64)) {
    const std::string_view meant = ClosestName(*name, kAwsStorageClasses);
    value->Fail(
        Quoted(value->node().raw) + " is no storage class",
        meant.empty() ? "write it as STANDARD_IA" : "did you mean " + std::string(meant) + "?");
  }
  target.storage_class = *name;
}

bool Reader::ReadAddress(const YamlValue& value, Address& address) {
  std::optional<std::string> text = value.Text();
  if (!text) return false;
  if (text->starts_with("s3://") || text->starts_with("file:")) {
    value.Fail(Quoted(value.node().raw) + " names no store of this file",
               "name the store under 'stores' and write NAME:bucket/prefix");
    return false;
  }
  Result<Address> parsed = ParseAddress(*text);
  if (!parsed) {
    value.Fail(Quoted(value.node().raw) + " is no address", parsed.error().message);
    return false;
  }
  address = *parsed;
  const StoreSettings* store = StoreOf(address);
  if (store == nullptr) {
    std::vector<std::string_view> names;
    for (const auto& [name, settings] : configuration_.stores) names.push_back(name);
    const std::string_view meant = ClosestName(address.store, names);
    value.Fail("there is no store " + Quoted(address.store),
               meant.empty() ? "add it to 'stores'" : "did you mean '" + std::string(meant) + "'?");
    return false;
  }
  const std::string problem =
      KnownStoreOf(address) == nullptr ? "" : BucketProblem(*store, address.bucket);
  if (!problem.empty()) {
    value.Fail(Quoted(address.bucket) + " cannot name a bucket", problem);
    return false;
  }
  if (address.prefix.size() > kKeyBytesMax) {
    value.Fail("has a prefix longer than any key", "keys have at most 1024 bytes");
    return false;
  }
  return true;
}

}  // namespace

bool IsPlainName(std::string_view name, size_t length_max) {
  if (name.empty() || name.size() > length_max || name == "." || name == "..") return false;
  return std::ranges::all_of(
      name, [](char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

Result<Configuration> ParseConfiguration(std::string_view text, const std::string& file,
                                         const std::string& directory,
                                         const Environment& environment,
                                         std::vector<YamlMistake>* mistakes,
                                         std::vector<TopologyProblem>* problems) {
  YamlErrors errors(file);
  std::optional<YamlNode> root = ParseYaml(text, environment, errors);
  std::optional<Configuration> configuration;
  if (root) configuration = Reader(file, directory, errors, problems).Read(*root);
  if (mistakes != nullptr) *mistakes = errors.mistakes();
  if (!configuration) return errors.ToError();
  return std::move(*configuration);
}

Result<Configuration> LoadConfiguration(const std::string& file, const Environment& environment,
                                        std::vector<YamlMistake>* mistakes,
                                        std::vector<TopologyProblem>* problems) {
  std::FILE* stream = std::fopen(file.c_str(), "rbe");
  if (stream == nullptr) {
    const int error = errno;
    return Error{
        .kind = error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kDenied,
        .message = "the configuration " + file + " cannot be read: " + std::strerror(error)};
  }
  // One byte more than ParseYaml takes: it says how large the file is allowed to be.
  std::string text(YamlLimits{}.size_bytes_max + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stream));
  const bool failed = std::ferror(stream) != 0;
  std::fclose(stream);
  if (failed) {
    return Error{.kind = ErrorKind::kDenied,
                 .message = "the configuration " + file + " cannot be read; is it a folder?"};
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(file, error);
  if (error) return InvalidInput("the current directory is gone: " + error.message());
  return ParseConfiguration(text, file, absolute.parent_path().string(), environment, mistakes,
                            problems);
}

std::optional<std::string> ProcessEnvironment(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace longhaul
