#include "aws/profile_credentials.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "aws/container_credentials.h"
#include "aws/instance_credentials.h"
#include "aws/process_credentials.h"
#include "aws/sso_credentials.h"
#include "aws/sts_credentials.h"

namespace longhaul {
namespace {

using Provider = std::shared_ptr<CredentialsProvider>;

constexpr size_t kChainMax = 16;  // IAM itself takes any; nobody needs so many.

// Keys that stand in a file. A file that a person has mended counts after Invalidate.
class FileKeys : public CredentialsProvider {
 public:
  FileKeys(EnvironmentReader environment, std::string profile, Credentials keys)
      : environment_(std::move(environment)),
        profile_(std::move(profile)),
        current_(std::make_shared<const Credentials>(std::move(keys))) {}

  Async<std::shared_ptr<const Credentials>> Get() override {
    if (!current_) {
      Result<Credentials> read = Read();
      if (!read) co_return read.error();
      current_ = std::make_shared<const Credentials>(std::move(*read));
    }
    co_return current_;
  }

  bool Invalidate() override {
    const std::shared_ptr<const Credentials> old = std::move(current_);
    current_ = nullptr;
    const Result<Credentials> read = Read();
    return read && old &&
           (read->access_key_id != old->access_key_id ||
            !(read->secret_access_key == old->secret_access_key) ||
            !(read->session_token == old->session_token));
  }

 private:
  // Two small files: not worth a thread.
  Result<Credentials> Read() const {
    Result<ProfileFiles> files = ReadProfileFiles(environment_);
    if (!files) return files.error();
    Result<std::optional<ProfileSection>> profile = files->Profile(profile_);
    if (!profile) return profile.error();
    std::optional<Credentials> keys = *profile ? KeysIn(**profile) : std::nullopt;
    if (!keys) return CredentialsDenied("profile '" + profile_ + "' has no keys any more");
    return std::move(*keys);
  }

  EnvironmentReader environment_;
  std::string profile_;
  std::shared_ptr<const Credentials> current_;
};

// Follows source_profile from one profile to the next.
class ProfileReader {
 public:
  ProfileReader(const CredentialsContext& context, const ProfileFiles& files)
      : context_(context), files_(files) {}

  Result<Provider> Find(const std::string& name) {
    Result<std::optional<ProfileSection>> found = files_.Profile(name);
    if (!found) return found.error();
    if (!*found) return Provider();
    const ProfileSection& profile = **found;
    visited_.push_back(name);
    Result<Provider> provider =
        profile.contains("role_arn") ? Role(name, profile) : Own(name, profile);
    if (!provider && visited_.size() == 1) return provider.error().In("profile '" + name + "'");
    return provider;
  }

 private:
  // What the profile has without a role.
  Result<Provider> Own(const std::string& name, const ProfileSection& profile) {
    if (std::optional<Credentials> keys = KeysIn(profile)) {
      return Provider(std::make_shared<FileKeys>(context_.environment, name, std::move(*keys)));
    }
    if (profile.contains("sso_session") || profile.contains("sso_start_url")) {
      return Sso(name, profile);
    }
    if (std::string command = ValueIn(profile, "credential_process"); !command.empty()) {
      return Refreshing(MakeProcessCredentials(std::move(command)));
    }
    return Provider();
  }

  Result<Provider> Sso(const std::string& name, const ProfileSection& profile) {
    SsoSettings settings{.profile = name,
                         .session = ValueIn(profile, "sso_session"),
                         .start_url = ValueIn(profile, "sso_start_url"),
                         .region = ValueIn(profile, "sso_region"),
                         .account_id = ValueIn(profile, "sso_account_id"),
                         .role_name = ValueIn(profile, "sso_role_name")};
    if (!settings.session.empty()) {
      auto session = files_.config.find("sso-session " + settings.session);
      if (session == files_.config.end()) {
        return InvalidInput("[sso-session " + settings.session + "] is not in " +
                            files_.config_path);
      }
      settings.start_url = ValueIn(session->second, "sso_start_url");
      settings.region = ValueIn(session->second, "sso_region");
    }
    Result<void> checked = CheckSso(settings);
    if (!checked) return checked.error();
    return Refreshing(
        MakeSsoCredentials(context_.service, context_.environment, std::move(settings)));
  }

  Result<Provider> Role(const std::string& name, const ProfileSection& profile) {
    AssumedRole role{.role_arn = ValueIn(profile, "role_arn"),
                     .session_name = ValueIn(profile, "role_session_name"),
                     .external_id = ValueIn(profile, "external_id"),
                     .duration_seconds = std::nullopt,
                     .region = StsRegion(context_.environment, profile, context_.region),
                     .profile = name};
    if (const std::string text = ValueIn(profile, "duration_seconds"); !text.empty()) {
      int seconds = 0;
      auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
      if (failed != std::errc() || end != text.data() + text.size()) seconds = 0;
      role.duration_seconds = seconds;
    }
    Result<void> checked = CheckRole(role);
    if (!checked) return checked.error();
    if (profile.contains("mfa_serial")) {
      return InvalidInput(
          "mfa_serial: nobody is here to type a code; use sso or credential_process");
    }
    const std::string token_file = ValueIn(profile, "web_identity_token_file");
    const std::string source_profile = ValueIn(profile, "source_profile");
    const std::string source = ValueIn(profile, "credential_source");
    const int sources = static_cast<int>(!token_file.empty()) +
                        static_cast<int>(!source_profile.empty()) +
                        static_cast<int>(!source.empty());
    if (sources != 1) {
      return InvalidInput(
          "role_arn needs one of source_profile, credential_source and web_identity_token_file");
    }
    if (!token_file.empty()) {
      return Refreshing(
          MakeWebIdentityRole(context_.service, context_.environment, std::move(role), token_file));
    }
    Result<Provider> base =
        source.empty() ? SourceProfile(name, profile, source_profile) : Source(source);
    if (!base) return base.error();
    return Refreshing(
        MakeAssumedRole(context_.service, context_.environment, std::move(role), std::move(*base)));
  }

  Result<Provider> SourceProfile(const std::string& name, const ProfileSection& profile,
                                 const std::string& source) {
    // A profile may name itself: its own keys assume its role.
    Result<Provider> base = Provider();
    if (source == name) {
      base = Own(name, profile);
    } else if (std::ranges::find(visited_, source) != visited_.end() ||
               visited_.size() >= kChainMax) {
      std::string path;
      for (const std::string& one : visited_) path += one + " -> ";
      return InvalidInput("source_profile leads in a circle or too far: " + path + source);
    } else {
      base = Find(source);
    }
    if (base && !*base) {
      return InvalidInput("source_profile '" + source + "' is not there or has no credentials");
    }
    return base;
  }

  Result<Provider> Source(const std::string& source) {
    if (source == "Environment") {
      Result<std::optional<Credentials>> keys = KeysInEnvironment(context_.environment);
      if (!keys) return keys.error();
      if (!*keys) {
        return InvalidInput("credential_source = Environment, but AWS_ACCESS_KEY_ID is not set");
      }
      return MakeStaticCredentials(std::move(**keys));
    }
    if (source == "Ec2InstanceMetadata") {
      return Refreshing(MakeInstanceCredentials(context_.service, context_.environment));
    }
    if (source == "EcsContainer") {
      return Refreshing(MakeContainerCredentials(context_.service, context_.environment));
    }
    return InvalidInput("credential_source: Environment, Ec2InstanceMetadata or EcsContainer");
  }

  Provider Refreshing(std::unique_ptr<CredentialsSource> source) {
    return MakeRefreshingCredentials(context_.service->runtime(), std::move(source));
  }

  const CredentialsContext& context_;
  const ProfileFiles& files_;
  std::vector<std::string> visited_;
};

}  // namespace

Result<std::shared_ptr<CredentialsProvider>> FindProfileCredentials(
    const CredentialsContext& context, const ProfileFiles& files, const std::string& name) {
  return ProfileReader(context, files).Find(name);
}

Result<std::optional<Credentials>> KeysInEnvironment(const EnvironmentReader& environment) {
  std::string id = environment("AWS_ACCESS_KEY_ID").value_or("");
  std::string secret = environment("AWS_SECRET_ACCESS_KEY").value_or("");
  if (id.empty() != secret.empty()) {
    return InvalidInput(
        "the environment has AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY, but not both");
  }
  if (id.empty()) return std::optional<Credentials>();
  return std::optional(
      Credentials{.access_key_id = std::move(id),
                  .secret_access_key = Secret(std::move(secret)),
                  .session_token = Secret(environment("AWS_SESSION_TOKEN").value_or("")),
                  .expires = std::nullopt});
}

std::string StsRegion(const EnvironmentReader& environment, const ProfileSection& profile,
                      const std::string& otherwise) {
  for (const char* variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    std::string region = environment(variable).value_or("");
    if (!region.empty()) return region;
  }
  std::string region = ValueIn(profile, "region");
  if (!region.empty()) return region;
  // Where a store is, is no region of STS with services of other houses ("auto").
  return std::ranges::count(otherwise, '-') < 2 ? "" : otherwise;
}

}  // namespace longhaul
