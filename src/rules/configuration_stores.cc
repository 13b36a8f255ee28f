#include <algorithm>
#include <charconv>

#include "aws/aws_endpoint.h"
#include "aws/kept_credentials.h"
#include "aws/sts_credentials.h"
#include "base/ascii.h"
#include "base/without_passwords.h"
#include "rules/configuration.h"
#include "rules/configuration_reader.h"
#include "storage/s3_provider.h"

namespace longhaul {

namespace {

// The scheme and host in lower case, without a default port and without "/" at the end.
std::optional<std::string> NormalEndpoint(std::string_view text) {
  std::string endpoint(text);
  const size_t scheme_end = endpoint.find("://");
  if (scheme_end == std::string::npos) return std::nullopt;
  std::ranges::transform(endpoint, endpoint.begin(), [](char c) { return LowerAscii(c); });
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

}  // namespace

void ConfigurationReader::ReadStores(const YamlValue& value) {
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

void ConfigurationReader::ReadStore(const YamlValue& value, StoreSettings& store) {
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

void ConfigurationReader::ReadProvider(const YamlValue& value, YamlFields& fields,
                                       StoreSettings& store) {
  std::string account;
  std::string name;
  fields.Text("account", account);
  if (!fields.Text("provider", name)) {
    if (!account.empty()) value.Fail("has an account and no provider", "provider: r2");
    return;
  }
  const S3Provider* provider = FindS3Provider(name);
  if (provider == nullptr) {
    fields.Find("provider")
        ->Fail(Quoted(name) + " is no provider", "use one of " + S3ProviderNames());
    return;
  }
  // From here on a store is known by its endpoint alone.
  if (!store.endpoint.empty() && !provider->host_ends.empty() &&
      FindS3ProviderOf(store.endpoint) != provider) {
    fields.Find("provider")
        ->Fail(store.endpoint + " is no endpoint of " + name,
               "leave one of the two out, or write provider: generic");
    return;
  }
  Result<S3Place> place =
      PlaceAt(*provider, {.endpoint = store.endpoint, .region = store.region, .account = account});
  if (!place) {
    value.Fail(place.error().message, "give region, account or endpoint");
    return;
  }
  store.endpoint = place->endpoint;
  store.region = place->region;
  if (!store.endpoint.empty()) {
    store.addressing =
        provider->addressing == S3Addressing::kPath ? Addressing::kPath : Addressing::kVirtualHost;
  }
  if (auto addressing = fields.Find("addressing");
      addressing && provider->virtual_only && addressing->node().raw == "path") {
    addressing->Fail(std::string(provider->title) + " takes buckets in host names alone",
                     "leave it out");
  }
}

void ConfigurationReader::ReadRole(const YamlValue& value, YamlFields& fields,
                                   StoreSettings& store) {
  fields.Text("external_id", store.external_id);
  if (!fields.Text("role_arn", store.role_arn)) {
    if (!store.external_id.empty()) {
      value.Fail("has an external_id without the role that it belongs to", "give role_arn as well");
    }
    return;
  }
  AssumedRole role;
  role.role_arn = store.role_arn;
  role.external_id = store.external_id;
  Result<void> checked = CheckRole(role);
  if (!checked) fields.Find("role_arn")->Fail("cannot be assumed", checked.error().message);
}

// S3 User Guide, "Configuring fast, secure file transfers using Amazon S3 Transfer Acceleration".
void ConfigurationReader::ReadAcceleration(YamlFields& fields, StoreSettings& store) {
  if (!fields.Boolean("accelerate", store.accelerate) || !store.accelerate) return;
  const YamlValue value = *fields.Find("accelerate");
  if (store.endpoint.ends_with(".amazonaws.com")) {
    value.Fail("has an endpoint of its own", "leave '" + store.endpoint + "' out");
  } else if (!store.endpoint.empty() ||
             (!store.region.empty() && AwsPartitionOf(store.region) != "aws")) {
    const std::string where = store.endpoint.empty() ? store.region : store.endpoint;
    value.Fail("there is no transfer acceleration at " + where, "leave it out; AWS alone has it");
  } else if (store.addressing == Addressing::kPath) {
    value.Fail("takes buckets in host names alone", "leave out addressing: path");
  }
}

void ConfigurationReader::ReadS3(const YamlValue& value, YamlFields& fields, StoreSettings& store) {
  if (auto endpoint = fields.Find("endpoint")) {
    if (std::optional<std::string> text = endpoint->Text()) {
      if (std::optional<std::string> normal = NormalEndpoint(*text)) {
        store.endpoint = *normal;
      } else {
        endpoint->Fail(Quoted(WithoutPasswords(endpoint->node().raw)) + " is not an endpoint",
                       "write http:// or https://, a host, and :PORT where needed");
      }
    }
  }
  // A server of one's own seldom has a name for each bucket.
  if (!store.endpoint.empty()) {
    const S3Provider* known = FindS3ProviderOf(store.endpoint);
    store.addressing = known != nullptr && known->addressing != S3Addressing::kPath
                           ? Addressing::kVirtualHost
                           : Addressing::kPath;
  }
  if (auto region = fields.Find("region")) {
    store.region = region->Text().value_or("");
    if (!store.region.empty() && !IsPlainName(store.region, 64)) {
      region->Fail(Quoted(region->node().raw) + " is not a region", "write it as eu-west-1");
    }
  }
  ReadProvider(value, fields, store);
  Addressing written{};
  if (fields.Choice("addressing", written,
                    {{"path", Addressing::kPath}, {"virtual", Addressing::kVirtualHost}})) {
    store.addressing = written;
  }
  fields.Text("access_key_id", store.access_key_id);
  fields.Text("secret_access_key", store.secret_access_key);
  fields.Text("session_token", store.session_token);
  fields.Text("profile", store.profile);
  if (fields.Text("credentials", store.credentials)) {
    Result<SecretReference> reference = ParseSecretReference(store.credentials);
    if (!reference) {
      fields.Find("credentials")
          ->Fail("names no place where keys are kept", reference.error().message);
    }
  }
  ReadRole(value, fields, store);
  fields.Boolean("anonymous", store.anonymous);
  fields.Choice("payload_signing", store.payload_signing,
                {{"auto", PayloadSigning::kAuto},
                 {"always", PayloadSigning::kAlways},
                 {"never", PayloadSigning::kNever}});
  fields.Boolean("requester_pays", store.requester_pays);
  ReadAcceleration(fields, store);
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
          static_cast<int>(!store.credentials.empty()) + static_cast<int>(store.anonymous) >
      1) {
    value.Fail("says in several ways who it is",
               "give one of access_key_id, profile, credentials and anonymous");
  }
  if (store.anonymous && !store.role_arn.empty()) {
    value.Fail("has a role_arn and is anonymous", "leave one of the two out");
  }
}

}  // namespace longhaul
