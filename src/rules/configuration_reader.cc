#include "rules/configuration_reader.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/units.h"
#include "net/client_url.h"
#include "rules/configuration.h"
#include "rules/import_draft.h"
#include "rules/priority.h"

namespace longhaul {

namespace {

constexpr size_t kKeyBytesMax = 1'024;  // S3 User Guide, "Naming objects".

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
    if (!fits) return "AWS allows 3 to 63 of a-z, 0-9, '.' and '-'";
    // Its certificate is for one level of names.
    if (store.accelerate && bucket.contains('.')) {
      return "its name has dots, and '" + store.name +
             "' is accelerated: name it by a store without accelerate";
    }
    return "";
  }
  if (!IsPlainName(bucket, 255) || bucket.front() == '.') {
    return "a bucket is named with A-Z, a-z, 0-9, '.', '_' and '-'";
  }
  return "";
}

}  // namespace

bool IsAlphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

std::string ConfigurationReader::Quoted(std::string_view text) {
  return "'" + std::string(text.substr(0, 80)) + (text.size() > 80 ? "…'" : "'");
}

std::optional<Configuration> ConfigurationReader::Read(const YamlNode& root) {
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
  ReadDatabase(*fields, "queue", configuration_.queue);
  ReadDatabase(*fields, "state", configuration_.state);
  uint64_t memory_bytes = 0;
  if (fields->Size("memory", memory_bytes, 16 << 20, 1ULL << 50)) {
    configuration_.memory_bytes = static_cast<int64_t>(memory_bytes);
  }
  ReadListener(*fields);
  ReadNotify(*fields);
  if (auto rules = fields->Find("rules")) {
    ReadRules(*rules);
  }
  if (auto migrations = fields->Find("migrations")) ReadMigrations(*migrations);
  if (auto caches = fields->Find("caches")) ReadCaches(*caches);
  prices_ = ReadPriceList(*fields);
  api_ = ReadApiSettings(*fields);
  telemetry_ = ReadTelemetry(*fields);
  tracing_ = ReadTracing(*fields);
  alarms_ = ReadAlarms(*fields);
  fields->Finish();
  if (!errors_.empty()) return std::nullopt;  // The topology needs whole rules.

  WarnOfIdleRules();
  WarnOfDisabledKeepers();
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
  CheckInUse();
  if (!errors_.empty()) return std::nullopt;
  return std::move(configuration_);
}

void ConfigurationReader::Warn(const YamlValue& value, const std::string& what) {
  configuration_.warnings.push_back(configuration_.file + ":" + std::to_string(value.node().line) +
                                    ":" + std::to_string(value.node().column) + ": " +
                                    value.path() + ": " + what);
}

// A rule that is there and never carries anything is hardly meant.
void ConfigurationReader::WarnOfIdleRules() {
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

// Its keys are the lower rule's from then on, and what it has kept in spite of deletes is not.
void ConfigurationReader::WarnOfDisabledKeepers() {
  for (size_t i = 0; i < configuration_.rules.size(); ++i) {
    const Rule& rule = configuration_.rules[i];
    for (size_t t = 0; rule.enabled && rule.deletes && t < rule.targets.size(); ++t) {
      for (const Rule& keeper : configuration_.rules) {
        if (keeper.enabled || keeper.deletes || keeper.priority <= rule.priority) continue;
        const bool rival = std::ranges::any_of(keeper.targets, [&](const Target& target) {
          return AreRivals(rule, rule.targets[t], keeper, target);
        });
        if (!rival) continue;
        Warn(*places_[i].targets[t],
             "while rule " + keeper.id +
                 " is disabled its keys are this rule's, which deletes here "
                 "what is gone at the source, also what that one has kept: to stop it for a while, "
                 "`longhaul rules pause " +
                 keeper.id + "`");
        break;
      }
    }
  }
}

std::string ConfigurationReader::AbsolutePath(const std::string& path) const {
  std::filesystem::path absolute = std::filesystem::path(directory_) / path;
  // Links are followed as far as the path exists, so that one folder has one name.
  std::error_code error;
  std::filesystem::path canonical = std::filesystem::weakly_canonical(absolute, error);
  std::string text = (error ? absolute.lexically_normal() : canonical).string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

void ConfigurationReader::ReadNotify(YamlFields& fields) {
  if (!fields.Text("notify", configuration_.notify)) return;
  Result<ClientUrl> url = ParseClientUrl(configuration_.notify.Reveal());
  if (!url) fields.Find("notify")->Fail("is " + url.error().message, "write https://HOST/PATH");
}

void ConfigurationReader::ReadListener(YamlFields& fields) {
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

bool ConfigurationReader::ReadAddress(const YamlValue& value, Address& address,
                                      Result<Address> (*parse)(std::string_view)) {
  std::optional<std::string> text = value.Text();
  if (!text) return false;
  if (text->starts_with("s3://") || text->starts_with("file:")) {
    value.Fail(Quoted(value.node().raw) + " names no store of this file",
               "name the store under 'stores' and write NAME:bucket/prefix");
    return false;
  }
  Result<Address> parsed = parse(*text);
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
  if (address.bucket == kSourceToFillIn || address.bucket == kStagingToFillIn) {
    Warn(value, "is still to be filled in: somebody else may own a bucket of that name");
  }
  if (address.prefix.size() > kKeyBytesMax) {
    value.Fail("has a prefix longer than any key", "keys have at most 1024 bytes");
    return false;
  }
  return true;
}

}  // namespace longhaul
