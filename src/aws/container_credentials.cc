#include "aws/container_credentials.h"

#include <boost/asio/ip/address.hpp>

#include "aws/credentials_text.h"
#include "net/client_url.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

bool IsPermitted(std::string_view host) {
  if (host == "localhost") return true;
  boost::system::error_code bad;
  const asio::ip::address address = asio::ip::make_address(std::string(host), bad);
  if (bad) return false;
  if (address.is_loopback()) return true;
  const std::string text = address.to_string();
  return text == "169.254.170.2" || text == "169.254.170.23" || text == "fd00:ec2::23";
}

class ContainerSource : public CredentialsSource {
 public:
  ContainerSource(std::shared_ptr<CredentialsService> service, EnvironmentReader environment)
      : service_(std::move(service)), environment_(std::move(environment)) {}

  Async<Credentials> Fetch() override {
    Result<std::optional<std::string>> url = ContainerCredentialsUrl(environment_);
    if (!url) co_return url.error();
    if (!*url) co_return CredentialsDenied("no AWS_CONTAINER_CREDENTIALS_… is set");
    Result<Secret> token = Token();
    if (!token) co_return token.error();
    ServiceRequest request{
        .what = "container credentials at " + (*url)->substr(0, (*url)->find('?')),
        .url = **url,
        .timeout = 2s};
    if (!token->empty()) request.headers.Add("Authorization", token->Reveal());
    request.headers.Add("Accept", "application/json");
    const std::string what = request.what;
    Result<ServiceAnswer> answer = co_await service_->Call(std::move(request));
    if (!answer) co_return answer.error();
    if (answer->status != 200) {
      Error error = CredentialsDenied(what + ": " + Quotable(answer->body, {*token}));
      error.http_status = answer->status;
      co_return error;
    }
    Result<Credentials> credentials = ParseMetadataCredentials(answer->body);
    if (!credentials) co_return credentials.error().In(what);
    co_return credentials;
  }

 private:
  Result<Secret> Token() const {
    std::string token = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN").value_or("");
    std::string from = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    if (std::string file = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").value_or("");
        !file.empty()) {
      Result<std::string> read = ReadTokenFile(file);
      if (!read) return read.error().In("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
      token = std::move(*read);
      from += "_FILE";
    }
    for (char c : token) {  // "Bearer abc" has a blank.
      if (c < ' ' || c >= 0x7f) return CredentialsDenied(from + ": holds no token");
    }
    return Secret(std::move(token));
  }

  std::shared_ptr<CredentialsService> service_;  // shared by the providers of a chain.
  EnvironmentReader environment_;
};

}  // namespace

Result<std::optional<std::string>> ContainerCredentialsUrl(const EnvironmentReader& environment) {
  const std::string relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").value_or("");
  if (!relative.empty()) {
    if (!relative.starts_with('/')) {
      return InvalidInput("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with '/'");
    }
    return std::optional<std::string>("http://169.254.170.2" + relative);
  }
  const std::string full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI").value_or("");
  if (full.empty()) return std::optional<std::string>();
  Result<ClientUrl> url = ParseClientUrl(full);
  if (!url) return InvalidInput("AWS_CONTAINER_CREDENTIALS_FULL_URI is no http(s):// URL");
  if (!url->origin.tls && !IsPermitted(url->origin.bare_host())) {
    return InvalidInput(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI: plain http:// is for this machine, 169.254.170.2, "
        "169.254.170.23 and [fd00:ec2::23] alone");
  }
  return std::optional<std::string>(full);
}

std::unique_ptr<CredentialsSource> MakeContainerCredentials(
    std::shared_ptr<CredentialsService> service, EnvironmentReader environment) {
  return std::make_unique<ContainerSource>(std::move(service), std::move(environment));
}

}  // namespace longhaul
