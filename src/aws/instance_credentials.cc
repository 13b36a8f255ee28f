#include "aws/instance_credentials.h"

#include "aws/credentials_text.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr auto kMetadataTimeout = 1s;
constexpr const char* kTokenSeconds = "21600";
constexpr const char* kRoles = "/latest/meta-data/iam/security-credentials/";

class InstanceSource : public CredentialsSource {
 public:
  InstanceSource(std::shared_ptr<CredentialsService> service, EnvironmentReader environment)
      : service_(std::move(service)), environment_(std::move(environment)) {}

  Async<Credentials> Fetch() override {
    if (std::string off = environment_("AWS_EC2_METADATA_DISABLED").value_or("");
        off == "true" || off == "True" || off == "TRUE") {
      co_return CredentialsDenied("instance metadata: off by AWS_EC2_METADATA_DISABLED");
    }
    endpoint_ = InstanceMetadataEndpoint(environment_);
    const std::string what = "instance metadata at " + endpoint_;
    Result<Secret> token = co_await Token();
    if (!token) co_return token.error();
    Result<std::string> roles = co_await Get(kRoles, *token);
    if (!roles) co_return roles.error();
    const std::string role = roles->substr(0, roles->find('\n'));
    // IAM API Reference, CreateRole; anything else would become another path.
    if (role.empty() || role.size() > 128 ||
        role.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                               "_+=,.@-") != role.npos) {
      co_return CredentialsDenied(what + ": no role in the answer");
    }
    Result<std::string> text = co_await Get(kRoles + role, *token);
    if (!text) co_return text.error();
    Result<Credentials> credentials = ParseMetadataCredentials(*text);
    if (!credentials) co_return credentials.error().In(what + ", role " + role);
    co_return credentials;
  }

 private:
  ServiceRequest RequestTo(const std::string& path) const {
    ServiceRequest request{.what = "instance metadata at " + endpoint_,
                           .url = endpoint_ + path,
                           .timeout = kMetadataTimeout};
    return request;
  }

  Async<Secret> Token() {
    ServiceRequest request = RequestTo("/latest/api/token");
    request.method = "PUT";
    request.headers.Add("X-aws-ec2-metadata-token-ttl-seconds", kTokenSeconds);
    const std::string what = request.what;
    Result<ServiceAnswer> answer = co_await service_->Call(std::move(request));
    if (!answer) {
      Error error = answer.error();
      // Nobody there: most machines are no instances.
      if (error.Transient() && error.http_status == 0 && !there_) error.kind = ErrorKind::kDenied;
      co_return error;
    }
    there_ = true;
    if (answer->status != 200 || !IsHeaderText(answer->body, 1024)) {
      co_return CredentialsDenied(what + ": gives no token of version 2 (HTTP " +
                                  std::to_string(answer->status) + ")");
    }
    co_return Secret(std::move(answer->body));
  }

  Async<std::string> Get(std::string path, Secret token) {
    ServiceRequest request = RequestTo(path);
    request.headers.Add("X-aws-ec2-metadata-token", token.Reveal());
    const std::string what = request.what;
    Result<ServiceAnswer> answer = co_await service_->Call(std::move(request));
    if (!answer) co_return answer.error();
    if (answer->status == 200) co_return std::move(answer->body);
    if (answer->status == 404) co_return CredentialsDenied(what + ": the instance has no role");
    co_return CredentialsDenied(what + ": HTTP " + std::to_string(answer->status));
  }

  std::shared_ptr<CredentialsService> service_;  // shared by the providers of a chain.
  EnvironmentReader environment_;
  std::string endpoint_;
  bool there_ = false;  // It has once answered.
};

}  // namespace

std::string InstanceMetadataEndpoint(const EnvironmentReader& environment) {
  std::string endpoint = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or("");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (!endpoint.empty()) return endpoint;
  const std::string mode = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").value_or("");
  return mode == "IPv6" || mode == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
}

std::unique_ptr<CredentialsSource> MakeInstanceCredentials(
    std::shared_ptr<CredentialsService> service, EnvironmentReader environment) {
  return std::make_unique<InstanceSource>(std::move(service), std::move(environment));
}

}  // namespace longhaul
