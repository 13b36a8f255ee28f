#include "aws/sts_credentials.h"

#include <algorithm>

#include "aws/credentials_text.h"
#include "aws/signer.h"
#include "aws/sts_endpoint.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "net/client_url.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr auto kStsSkewMin = 4min;  // A signature is good for five.

bool IsSessionName(std::string_view text) {
  return text.size() >= 2 && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  std::string_view("_+=,.@-").contains(c);
         });
}

Error StsError(const ServiceAnswer& answer, const std::vector<Secret>& secrets) {
  const StsErrorText text = ParseStsError(answer.body);
  Error error = CredentialsDenied(Quotable(text.message, secrets));
  if (error.message.empty()) error.message = "refused";
  error.code = text.code;
  error.request_id = text.request_id;
  error.http_status = answer.status;
  if (text.code == "IDPCommunicationError") error.kind = ErrorKind::kRetryable;
  if (text.code.starts_with("Throttling") || text.code == "RequestLimitExceeded") {
    error.kind = ErrorKind::kThrottled;
  }
  return error;
}

bool IsExpired(const Error& error) {
  return error.code == "ExpiredToken" || error.code == "ExpiredTokenException" ||
         error.code == "InvalidClientTokenId";
}

class StsSource : public CredentialsSource {
 protected:
  StsSource(std::shared_ptr<CredentialsService> service, EnvironmentReader environment,
            AssumedRole role)
      : service_(std::move(service)),
        environment_(std::move(environment)),
        role_(std::move(role)) {}

  std::string Form(std::string_view action) const {
    std::string session = role_.session_name;
    if (session.empty()) {
      session = "longhaul-" +
                std::to_string(
                    std::chrono::floor<std::chrono::seconds>(Now()).time_since_epoch().count());
    }
    std::string form = "Action=" + std::string(action) + "&Version=2011-06-15";
    Add(form, "RoleArn", role_.role_arn);
    Add(form, "RoleSessionName", session);
    if (role_.duration_seconds) {
      Add(form, "DurationSeconds", std::to_string(*role_.duration_seconds));
    }
    return form;
  }

  static void Add(std::string& form, std::string_view name, std::string_view value) {
    form.append("&").append(name).append("=").append(PercentEncode(value, Slash::kEncode));
  }

  Result<StsEndpoint> Endpoint() const {
    Result<AwsSettings> settings = ReadAwsSettings("STS", role_.profile, environment_);
    if (!settings) return settings.error();
    return FindStsEndpoint(role_.region, role_.role_arn, *settings);
  }

  ServiceRequest RequestTo(const StsEndpoint& endpoint, std::string form) const {
    ServiceRequest request{
        .what = "role " + role_.role_arn + " from " + endpoint.url,
        .method = "POST",
        .url = endpoint.url + "/",
        .headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
        .body = std::move(form)};
    return request;
  }

  SystemTime Now() const { return service_->runtime().clock.Now(); }

  std::shared_ptr<CredentialsService> service_;  // shared by the providers of a chain.
  EnvironmentReader environment_;
  AssumedRole role_;
};

class RoleSource : public StsSource {
 public:
  RoleSource(std::shared_ptr<CredentialsService> service, EnvironmentReader environment,
             AssumedRole role, std::shared_ptr<CredentialsProvider> base)
      : StsSource(std::move(service), std::move(environment), std::move(role)),
        base_(std::move(base)) {}

  Async<Credentials> Fetch() override {
    Result<StsEndpoint> endpoint = Endpoint();
    if (!endpoint) co_return endpoint.error();
    std::string form = Form("AssumeRole");
    if (!role_.external_id.empty()) Add(form, "ExternalId", role_.external_id);
    bool clock_corrected = false;
    bool base_renewed = false;
    while (true) {
      Result<std::shared_ptr<const Credentials>> base = co_await base_->Get();
      if (!base) co_return base.error().In("role " + role_.role_arn);
      ServiceRequest request = RequestTo(*endpoint, form);
      const std::string what = request.what;
      Result<ClientUrl> url = ParseClientUrl(request.url);
      if (!url) co_return CredentialsDenied("the endpoint of STS is no URL");
      Signer signer(endpoint->region, "sts");
      signer.Sign("POST", {.host = url->authority, .path = url->target, .query = ""},
                  request.headers, HexEncode(Sha256(form)), **base, Now() + clock_offset_);
      Result<ServiceAnswer> answer = co_await service_->Call(std::move(request));
      if (!answer) co_return answer.error();
      if (answer->status == 200) {
        Result<Credentials> credentials = ParseStsCredentials(answer->body);
        if (!credentials) co_return credentials.error().In(what);
        co_return credentials;
      }
      const Error error = StsError(
          *answer, {(*base)->secret_access_key, (*base)->session_token, Secret(role_.external_id)});
      if (!clock_corrected && CorrectClock(answer->headers)) {
        clock_corrected = true;
        continue;
      }
      if (!base_renewed && IsExpired(error) && base_->Invalidate()) {
        base_renewed = true;
        continue;
      }
      co_return error.In(what);
    }
  }

 private:
  // True: our clock is wrong, and a signature by the server's may be taken.
  bool CorrectClock(const HttpHeaders& headers) {
    Result<SystemTime> date = ParseHttpDate(headers.Get("Date"));
    if (!date) return false;
    const auto offset = *date - Now();
    const auto change = offset - clock_offset_;  // Since the last one.
    if (change > -kStsSkewMin && change < kStsSkewMin) return false;
    clock_offset_ = offset;
    return true;
  }

  std::shared_ptr<CredentialsProvider> base_;  // shared: a chain may use it elsewhere.
  SystemTime::duration clock_offset_{0};
};

class WebIdentitySource : public StsSource {
 public:
  WebIdentitySource(std::shared_ptr<CredentialsService> service, EnvironmentReader environment,
                    AssumedRole role, std::string token_file)
      : StsSource(std::move(service), std::move(environment), std::move(role)),
        token_file_(std::move(token_file)) {}

  Async<Credentials> Fetch() override {
    Result<StsEndpoint> endpoint = Endpoint();
    if (!endpoint) co_return endpoint.error();
    Result<std::string> token = ReadTokenFile(token_file_);
    if (!token) co_return token.error().In("role " + role_.role_arn + ": web identity token");
    std::string form = Form("AssumeRoleWithWebIdentity");
    Add(form, "WebIdentityToken", *token);
    ServiceRequest request = RequestTo(*endpoint, std::move(form));
    const std::string what = request.what;
    Result<ServiceAnswer> answer = co_await service_->Call(std::move(request));
    if (!answer) co_return answer.error();
    if (answer->status != 200) {
      co_return StsError(*answer, {Secret(std::move(*token))}).In(what);
    }
    Result<Credentials> credentials = ParseStsCredentials(answer->body);
    if (!credentials) co_return credentials.error().In(what);
    co_return credentials;
  }

 private:
  std::string token_file_;
};

}  // namespace

Result<void> CheckRole(const AssumedRole& role) {
  if (!role.role_arn.starts_with("arn:") || !role.role_arn.contains(":role/") ||
      !IsHeaderText(role.role_arn, 2048)) {
    return InvalidInput("role_arn is no ARN of a role: write arn:aws:iam::ACCOUNT:role/NAME");
  }
  if (!role.session_name.empty() && !IsSessionName(role.session_name)) {
    return InvalidInput("role_session_name: 2 to 64 of A-Z a-z 0-9 _ + = , . @ -");
  }
  if (!role.external_id.empty() &&
      (role.external_id.size() < 2 || !IsHeaderText(role.external_id, 1224))) {
    return InvalidInput("external_id: 2 to 1224 characters without blanks");
  }
  if (role.duration_seconds && (*role.duration_seconds < 900 || *role.duration_seconds > 43'200)) {
    return InvalidInput("duration_seconds: 900 to 43200");
  }
  return Ok();
}

std::unique_ptr<CredentialsSource> MakeAssumedRole(std::shared_ptr<CredentialsService> service,
                                                   EnvironmentReader environment, AssumedRole role,
                                                   std::shared_ptr<CredentialsProvider> base) {
  return std::make_unique<RoleSource>(std::move(service), std::move(environment), std::move(role),
                                      std::move(base));
}

std::unique_ptr<CredentialsSource> MakeWebIdentityRole(std::shared_ptr<CredentialsService> service,
                                                       EnvironmentReader environment,
                                                       AssumedRole role, std::string token_file) {
  return std::make_unique<WebIdentitySource>(std::move(service), std::move(environment),
                                             std::move(role), std::move(token_file));
}

}  // namespace longhaul
