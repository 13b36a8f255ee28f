#include "aws/sso_credentials.h"

#include "aws/aws_endpoint.h"
#include "aws/aws_settings.h"
#include "aws/credentials_text.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {
namespace {

class SsoSource : public CredentialsSource {
 public:
  SsoSource(std::shared_ptr<CredentialsService> service, EnvironmentReader environment,
            SsoSettings settings)
      : service_(std::move(service)),
        environment_(std::move(environment)),
        settings_(std::move(settings)) {}

  Async<Credentials> Fetch() override {
    const std::string path = SsoTokenPath(settings_, environment_);
    Result<std::string> text = ReadTokenFile(path);
    if (!text) co_return LogIn("nobody has logged in");
    Result<SsoToken> token = ParseSsoToken(*text);
    if (!token) co_return LogIn(path + ": " + token.error().message);
    if (token->expires <= service_->runtime().clock.Now()) co_return LogIn("the login has run out");

    Result<std::string> endpoint = Endpoint();
    if (!endpoint) co_return endpoint.error();
    ServiceRequest request{
        .what = "role " + settings_.role_name + " from " + *endpoint,
        .url = *endpoint + "/federation/credentials?role_name=" +
               PercentEncode(settings_.role_name, Slash::kEncode) +
               "&account_id=" + PercentEncode(settings_.account_id, Slash::kEncode),
        .headers = {{"x-amz-sso_bearer_token", token->access_token.Reveal()}}};
    const std::string what = request.what;
    Result<ServiceAnswer> answer = co_await service_->Call(std::move(request));
    if (!answer) co_return answer.error();
    if (answer->status == 401) co_return LogIn("the login is not taken any more");
    if (answer->status != 200) {
      Error error = CredentialsDenied(what + ": " + Quotable(answer->body, {token->access_token}));
      error.http_status = answer->status;
      co_return error;
    }
    Result<Credentials> credentials = ParseSsoCredentials(answer->body);
    if (!credentials) co_return credentials.error().In(what);
    co_return credentials;
  }

 private:
  [[nodiscard]] Result<std::string> Endpoint() const {
    Result<AwsSettings> settings = ReadAwsSettings("SSO", settings_.profile, environment_);
    if (!settings) return settings.error();
    if (!settings->endpoint_url.value.empty()) return settings->endpoint_url.value;
    Result<std::string> host = AwsServiceHost("portal.sso", settings_.region, settings->wishes());
    if (!host) return host.error();
    return "https://" + *host;
  }

  [[nodiscard]] Error LogIn(const std::string& why) const {
    return CredentialsDenied(why + "; run: aws sso login --profile " + settings_.profile);
  }

  std::shared_ptr<CredentialsService> service_;  // shared by the providers of a chain.
  EnvironmentReader environment_;
  SsoSettings settings_;
};

}  // namespace

Result<void> CheckSso(const SsoSettings& settings) {
  auto missing = [](const std::string& what) { return InvalidInput(what + " is missing"); };
  if (settings.start_url.empty()) return missing("sso_start_url");
  if (settings.region.empty()) return missing("sso_region");
  if (settings.account_id.empty()) return missing("sso_account_id");
  if (settings.role_name.empty()) return missing("sso_role_name");
  if (!IsAwsRegion(settings.region)) return InvalidInput("sso_region is no region");
  return Ok();
}

std::string SsoTokenPath(const SsoSettings& settings, const EnvironmentReader& environment) {
  const std::string& name = settings.session.empty() ? settings.start_url : settings.session;
  return environment("HOME").value_or("") + "/.aws/sso/cache/" + HexEncode(Sha1(name)) + ".json";
}

std::unique_ptr<CredentialsSource> MakeSsoCredentials(std::shared_ptr<CredentialsService> service,
                                                      EnvironmentReader environment,
                                                      SsoSettings settings) {
  return std::make_unique<SsoSource>(std::move(service), std::move(environment),
                                     std::move(settings));
}

}  // namespace longhaul
