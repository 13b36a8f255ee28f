#include "aws/default_credentials.h"

#include <algorithm>

#include "aws/aws_settings.h"
#include "aws/container_credentials.h"
#include "aws/instance_credentials.h"
#include "aws/profile_credentials.h"
#include "aws/sts_credentials.h"

namespace longhaul {
namespace {

using Provider = std::shared_ptr<CredentialsProvider>;

class DefaultCredentials : public CredentialsProvider {
 public:
  DefaultCredentials(std::shared_ptr<CredentialsService> service, EnvironmentReader environment,
                     std::string profile, std::string region)
      : context_{.service = std::move(service),
                 .environment = std::move(environment),
                 .region = std::move(region)},
        profile_(std::move(profile)) {}

  Async<std::shared_ptr<const Credentials>> Get() override {
    // Where only the instance is left, files may have come meanwhile: they are looked for until it
    // has once given a role.
    if (!provider_ || !found_) {
      Result<Provider> found = Find();
      if (!found) co_return found.error();
      found_ = *found != nullptr;
      if (*found) {
        provider_ = std::move(*found);
      } else if (!provider_) {
        provider_ = Refreshing(MakeInstanceCredentials(context_.service, context_.environment));
      }
    }
    const Provider provider = provider_;
    const bool last = !found_;
    Result<std::shared_ptr<const Credentials>> got = co_await provider->Get();
    if (got) {
      if (provider == provider_) found_ = true;
      co_return got;
    }
    if (!last) co_return place_.starts_with("profile ") ? got.error().In(place_) : got.error();
    if (got.error().kind != ErrorKind::kDenied) co_return got.error();
    Error none = CredentialsDenied(
        "none found: not in AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE, profile '" +
        AwsProfileName(profile_, context_.environment) +
        "' of ~/.aws/credentials and ~/.aws/config, or AWS_CONTAINER_CREDENTIALS_FULL_URI; " +
        got.error().message);
    none.code = got.error().code;
    none.http_status = got.error().http_status;
    co_return none;
  }

  bool Invalidate() override { return provider_ && provider_->Invalidate(); }

  // What Find goes by; of the instance it is not known whether it gives anything.
  Result<std::string> Place() {
    Result<Provider> found = Find();
    if (!found) return found.error();
    return place_;
  }

 private:
  // Null: only the instance is left.
  Result<Provider> Find() {
    const EnvironmentReader& environment = context_.environment;
    if (profile_.empty()) {
      Result<std::optional<Credentials>> keys = KeysInEnvironment(environment);
      if (!keys) return keys.error();
      place_ = "AWS_ACCESS_KEY_ID";
      if (*keys) return MakeStaticCredentials(std::move(**keys));
    }
    Result<ProfileFiles> files = ReadProfileFiles(environment);
    if (!files) return files.error();
    Result<ProfileSection> chosen = files->Chosen(profile_, environment);
    if (!chosen) return chosen.error();
    if (profile_.empty()) {
      Result<Provider> role = WebIdentity(*chosen);
      place_ = "AWS_WEB_IDENTITY_TOKEN_FILE";
      if (!role || *role) return role;
    }
    const std::string name = AwsProfileName(profile_, environment);
    Result<Provider> profile = FindProfileCredentials(context_, *files, name);
    if (!profile) return profile;
    if (*profile) {
      place_ = "profile '" + name + "'";
      for (const char* key : {"role_arn", "aws_access_key_id", "sso_session", "sso_start_url",
                              "credential_process"}) {
        if (!chosen->contains(key)) continue;
        place_ += std::string(" (") + key + ")";
        break;
      }
      return profile;
    }
    Result<std::optional<std::string>> container = ContainerCredentialsUrl(environment);
    if (!container) return container.error();
    place_ = "AWS_CONTAINER_CREDENTIALS_…_URI";
    if (*container) return Refreshing(MakeContainerCredentials(context_.service, environment));
    place_ = "the role of the EC2 instance, where there is one";
    return Provider();
  }

  Result<Provider> WebIdentity(const ProfileSection& profile) {
    const EnvironmentReader& environment = context_.environment;
    const std::string file = environment("AWS_WEB_IDENTITY_TOKEN_FILE").value_or("");
    if (file.empty()) return Provider();
    AssumedRole role{.role_arn = environment("AWS_ROLE_ARN").value_or(""),
                     .session_name = environment("AWS_ROLE_SESSION_NAME").value_or(""),
                     .external_id = "",
                     .duration_seconds = std::nullopt,
                     .region = StsRegion(environment, profile, context_.region),
                     .profile = ""};
    if (role.role_arn.empty()) {
      return InvalidInput("AWS_WEB_IDENTITY_TOKEN_FILE is set, but not AWS_ROLE_ARN");
    }
    Result<void> checked = CheckRole(role);
    if (!checked) return checked.error().In("AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME");
    return Refreshing(MakeWebIdentityRole(context_.service, environment, std::move(role), file));
  }

  Provider Refreshing(std::unique_ptr<CredentialsSource> source) {
    return MakeRefreshingCredentials(context_.service->runtime(), std::move(source));
  }

  CredentialsContext context_;
  std::string profile_;
  Provider provider_;
  std::string place_;   // For people.
  bool found_ = false;  // Something was there, or the instance has given a role.
};

}  // namespace

Result<std::string> FindCredentialsPlace(const Runtime& runtime, EnvironmentReader environment,
                                         const std::string& profile) {
  return DefaultCredentials(std::make_shared<CredentialsService>(runtime, ""),
                            std::move(environment), profile, "")
      .Place();
}

std::shared_ptr<CredentialsProvider> MakeDefaultCredentials(const Runtime& runtime,
                                                            EnvironmentReader environment,
                                                            DefaultCredentialsOptions options) {
  AssumedRole role;
  role.role_arn = options.role_arn;
  role.external_id = options.external_id;
  role.region = StsRegion(environment, {}, options.region);
  role.profile = options.profile;
  // Who has keys of his own has no profile.
  const bool own = options.keys && !options.kept;
  const EnvironmentReader said = own ? WithoutProfiles(environment) : environment;
  // What makes no sense in them is told where the service itself is asked.
  Result<AwsSettings> settings = ReadAwsSettings("", options.profile, said);
  auto service = std::make_shared<CredentialsService>(
      runtime, std::move(options.ca_file), ProxyOf(environment), options.http,
      settings ? settings->AttemptsMax(kCredentialsAttemptsMax) : kCredentialsAttemptsMax);
  Provider found;
  if (own) {
    found = MakeStaticCredentials(std::move(*options.keys));
  } else {
    found = std::make_shared<DefaultCredentials>(service, environment, std::move(options.profile),
                                                 std::move(options.region));
  }
  if (options.kept) {
    std::string region = FindAwsRegion("", environment).value_or("");
    found = MakeRefreshingCredentials(
        runtime, MakeKeptCredentials(service, environment, std::move(*options.kept),
                                     std::move(found), std::move(region)));
  }
  if (role.role_arn.empty()) return found;
  return MakeRefreshingCredentials(
      runtime, MakeAssumedRole(service, said, std::move(role), std::move(found)));
}

}  // namespace longhaul
