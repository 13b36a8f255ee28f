#include "aws/aws_settings.h"

#include <charconv>

#include "aws/profile_files.h"
#include "base/ascii.h"
#include "base/without_passwords.h"
#include "net/client_proxy.h"
#include "net/client_url.h"

namespace longhaul {
namespace {

constexpr int kAttemptsMax = 100;

class SettingsReader {
 public:
  SettingsReader(const EnvironmentReader& environment, const ProfileFiles& files,
                 const ProfileSection& profile, std::string name)
      : environment_(environment), files_(files), profile_(profile), name_(std::move(name)) {}

  // The first that is there.
  AwsSetting Find(std::initializer_list<std::string> variables, const std::string& key) const {
    for (const std::string& variable : variables) {
      std::string value = environment_(variable).value_or("");
      if (!value.empty()) return {.value = std::move(value), .origin = variable};
    }
    std::string value = key.empty() ? std::string() : ValueIn(profile_, key);
    if (value.empty()) return {};
    return {.value = std::move(value), .origin = InProfile()};
  }

  AwsSetting EndpointUrl(std::string_view service) const {
    const AwsSetting ignored =
        Find({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}, "ignore_configured_endpoint_urls");
    if (LowerAscii(ignored.value) == "true") return {};
    AwsSetting found;
    if (!service.empty()) found = Find({"AWS_ENDPOINT_URL_" + std::string(service)}, "");
    if (found.value.empty()) found = Find({"AWS_ENDPOINT_URL"}, "");
    // [services NAME], "s3 =", "  endpoint_url = …" is nearer than the profile's own.
    const std::string services = ValueIn(profile_, "services");
    auto section = files_.config.find("services " + services);
    if (found.value.empty() && !services.empty() && section != files_.config.end()) {
      found.value = ValueIn(section->second, LowerAscii(service) + ".endpoint_url");
      found.origin = "services '" + services + "' of " + InProfile();
    }
    if (found.value.empty()) found = Find({}, "endpoint_url");
    while (found.value.ends_with('/')) found.value.pop_back();
    return found;
  }

 private:
  [[nodiscard]] std::string InProfile() const { return "profile '" + name_ + "'"; }

  const EnvironmentReader& environment_;
  const ProfileFiles& files_;
  const ProfileSection& profile_;
  std::string name_;
};

Result<void> CheckSwitch(const AwsSetting& setting, const std::string& name) {
  const std::string value = LowerAscii(setting.value);
  if (value.empty() || value == "true" || value == "false") return Ok();
  return InvalidInput(setting.origin + ": " + name + " is true or false, not '" + setting.value +
                      "'");
}

std::optional<int> Number(const std::string& text) {
  int number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

AwsWishes AwsSettings::wishes() const {
  return {.fips = LowerAscii(use_fips_endpoint.value) == "true",
          .dual_stack = LowerAscii(use_dualstack_endpoint.value) == "true"};
}

int AwsSettings::AttemptsMax(int otherwise) const {
  return Number(max_attempts.value).value_or(otherwise);
}

HttpProxySettings AwsSettings::proxy() const {
  return {.url = Secret(https_proxy.value), .no_proxy = no_proxy.value};
}

EnvironmentReader WithoutProfiles(EnvironmentReader environment) {
  return [environment =
              std::move(environment)](const std::string& name) -> std::optional<std::string> {
    for (const char* file :
         {"HOME", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}) {
      if (name == file) return std::nullopt;
    }
    return environment(name);
  };
}

HttpProxySettings ProxyOf(const EnvironmentReader& environment) {
  auto first = [&environment](const char* a, const char* b) {
    std::string value = environment(a).value_or("");
    return value.empty() ? environment(b).value_or("") : value;
  };
  return {.url = Secret(first("HTTPS_PROXY", "https_proxy")),
          .no_proxy = first("NO_PROXY", "no_proxy")};
}

HttpClientOptions WebOptionsOf(const EnvironmentReader& environment) {
  return {.ca_file = environment("AWS_CA_BUNDLE").value_or(""), .proxy = ProxyOf(environment)};
}

Result<AwsSettings> ReadAwsSettings(std::string_view service, std::string_view profile,
                                    const EnvironmentReader& environment) {
  Result<ProfileFiles> files = ReadProfileFiles(environment);
  if (!files) return files.error();
  Result<ProfileSection> section = files->Chosen(profile, environment);
  if (!section) return section.error();
  const SettingsReader reader(environment, *files, *section, AwsProfileName(profile, environment));
  AwsSettings settings;
  // A profile that is named means its own region.
  if (profile.empty()) settings.region = reader.Find({"AWS_REGION", "AWS_DEFAULT_REGION"}, "");
  if (settings.region.value.empty()) settings.region = reader.Find({}, "region");
  settings.endpoint_url = reader.EndpointUrl(service);
  settings.ca_bundle = reader.Find({"AWS_CA_BUNDLE"}, "ca_bundle");
  settings.use_fips_endpoint = reader.Find({"AWS_USE_FIPS_ENDPOINT"}, "use_fips_endpoint");
  settings.use_dualstack_endpoint =
      reader.Find({"AWS_USE_DUALSTACK_ENDPOINT"}, "use_dualstack_endpoint");
  settings.sts_regional_endpoints =
      reader.Find({"AWS_STS_REGIONAL_ENDPOINTS"}, "sts_regional_endpoints");
  settings.max_attempts = reader.Find({"AWS_MAX_ATTEMPTS"}, "max_attempts");
  settings.https_proxy = reader.Find({"HTTPS_PROXY", "https_proxy"}, "");
  settings.no_proxy = reader.Find({"NO_PROXY", "no_proxy"}, "");

  Result<void> checked = CheckSwitch(settings.use_fips_endpoint, "use_fips_endpoint");
  if (!checked) return checked.error();
  checked = CheckSwitch(settings.use_dualstack_endpoint, "use_dualstack_endpoint");
  if (!checked) return checked.error();
  if (const std::string& text = settings.max_attempts.value; !text.empty()) {
    const std::optional<int> number = Number(text);
    if (!number || *number < 1 || *number > kAttemptsMax) {
      return InvalidInput(settings.max_attempts.origin + ": max_attempts is 1 to 100, not '" +
                          text + "'");
    }
  }
  if (!settings.endpoint_url.value.empty() && !ParseClientUrl(settings.endpoint_url.value)) {
    return InvalidInput(settings.endpoint_url.origin + ": '" +
                        WithoutPasswords(settings.endpoint_url.value) +
                        "' is no endpoint: write https://HOST[:PORT]");
  }
  if (!settings.https_proxy.value.empty()) {
    Result<ClientProxy> proxy = ParseClientProxy(settings.https_proxy.value);
    if (!proxy) return proxy.error();
  }
  return settings;
}

}  // namespace longhaul
