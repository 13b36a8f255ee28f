#include "aws/kept_credentials.h"

#include <algorithm>
#include <boost/json.hpp>

#include "aws/aws_json_client.h"
#include "aws/aws_settings.h"
#include "aws/credentials_text.h"
#include "base/json.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr size_t kNameBytesMax = 2048;  // Of an ARN.
constexpr auto kFindTimeout = 10s;

// The text at `path` of an answer; null where it is not there.
const json::string* TextAt(const json::value& answer, std::initializer_list<const char*> path) {
  const json::value* at = &answer;
  for (const char* name : path) {
    if (!at->is_object()) return nullptr;
    at = at->get_object().if_contains(name);
    if (at == nullptr) return nullptr;
  }
  return at->if_string();
}

class KeptSource : public CredentialsSource {
 public:
  KeptSource(std::shared_ptr<CredentialsService> service, EnvironmentReader environment,
             SecretReference reference, std::shared_ptr<CredentialsProvider> reader,
             std::string region)
      : service_(std::move(service)),
        environment_(std::move(environment)),
        reference_(std::move(reference)),
        reader_(std::move(reader)),
        region_(std::move(region)) {}

  Async<Credentials> Fetch() override {
    Result<void> made = Connect();
    if (!made) co_return Failed(made.error());
    const bool secret = reference_.service == SecretReference::Service::kSecretsManager;
    const json::value question =
        secret ? json::value{{"SecretId", reference_.name}}
               : json::value{{"Name", reference_.name}, {"WithDecryption", true}};
    Result<std::string> text = co_await client_->Call(secret ? "GetSecretValue" : "GetParameter",
                                                      WriteJson(question), AwsRepeat::kSafe);
    if (!text) co_return Failed(text.error());
    Result<json::value> answer = ParseJson(*text, {.size_bytes_max = 2 * kCredentialsBytesMax});
    if (!answer) co_return Failed(CredentialsDenied("the answer is no JSON"));
    const json::string* kept =
        secret ? TextAt(*answer, {"SecretString"}) : TextAt(*answer, {"Parameter", "Value"});
    if (kept == nullptr) co_return Failed(CredentialsDenied("the answer has no text"));
    Result<Credentials> credentials = ParseKeptCredentials(*kept);
    if (!credentials) co_return Failed(credentials.error());
    co_return credentials;
  }

 private:
  [[nodiscard]] Error Failed(Error error) const {
    // Not there, or not to be read: no attempt will change that.
    if (!error.Transient()) error.kind = ErrorKind::kDenied;
    return error.In(reference_.ToString());
  }

  Result<void> Connect() {
    if (client_) return Ok();
    const bool secret = reference_.service == SecretReference::Service::kSecretsManager;
    Result<AwsSettings> settings =
        ReadAwsSettings(secret ? "SECRETS_MANAGER" : "SSM", "", environment_);
    if (!settings) return settings.error();
    const std::string& region = reference_.region.empty() ? region_ : reference_.region;
    if (region.empty()) {
      return InvalidInput("nobody says in which region it is: set AWS_REGION, or write its ARN");
    }
    AwsJsonOptions options;
    options.service = secret ? "secretsmanager" : "ssm";
    options.target = secret ? "secretsmanager" : "AmazonSSM";
    options.endpoint = settings->endpoint_url.value;
    options.region = region;
    options.credentials = reader_;
    options.wishes = settings->wishes();
    options.json_version = "1.1";
    options.retry.attempts_max = service_->attempts_max();
    options.retry.cap = 2s;
    options.timeouts = {.connect = kFindTimeout, .stall = kFindTimeout, .total = kFindTimeout};
    options.answer_bytes_max = 2 * kCredentialsBytesMax;
    // The store says it, to which the keys belong.
    options.on_clock_off = [](std::chrono::seconds) {};
    Result<std::unique_ptr<AwsJsonClient>> client =
        AwsJsonClient::Make(service_->runtime(), std::move(options), &service_->http());
    if (!client) return client.error();
    client_ = std::move(*client);
    return Ok();
  }

  std::shared_ptr<CredentialsService> service_;  // shared by the providers of a chain.
  EnvironmentReader environment_;
  SecretReference reference_;
  std::shared_ptr<CredentialsProvider> reader_;  // shared: a chain may use it elsewhere.
  std::string region_;
  std::unique_ptr<AwsJsonClient> client_;
};

}  // namespace

std::string SecretReference::ToString() const {
  return (service == Service::kSecretsManager ? "secretsmanager:" : "ssm:") + name;
}

Result<SecretReference> ParseSecretReference(std::string_view text) {
  SecretReference reference;
  const size_t colon = text.find(':');
  const std::string_view service = text.substr(0, colon);
  if (service == "ssm") {
    reference.service = SecretReference::Service::kParameterStore;
  } else if (service != "secretsmanager" || colon == text.npos) {
    return InvalidInput("write secretsmanager:NAME or ssm:NAME");
  }
  const std::string_view name = colon == text.npos ? "" : text.substr(colon + 1);
  if (!IsHeaderText(name, kNameBytesMax)) {
    return InvalidInput("no name after " + std::string(service) + ":");
  }
  reference.name = name;
  if (name.starts_with("arn:")) {
    // arn:PARTITION:SERVICE:REGION:ACCOUNT:…
    std::string_view rest = name;
    std::string_view parts[4];
    for (std::string_view& part : parts) {
      part = rest.substr(0, rest.find(':'));
      rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    }
    if (parts[2] != service || !IsAwsRegion(parts[3]) || rest.empty()) {
      return InvalidInput("no ARN of " + std::string(service) + ": " + std::string(name));
    }
    reference.region = parts[3];
  }
  return reference;
}

std::unique_ptr<CredentialsSource> MakeKeptCredentials(std::shared_ptr<CredentialsService> service,
                                                       EnvironmentReader environment,
                                                       SecretReference reference,
                                                       std::shared_ptr<CredentialsProvider> reader,
                                                       std::string region) {
  return std::make_unique<KeptSource>(std::move(service), std::move(environment),
                                      std::move(reference), std::move(reader), std::move(region));
}

}  // namespace longhaul
