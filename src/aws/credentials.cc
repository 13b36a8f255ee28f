#include "aws/credentials.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

namespace longhaul {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;

class StaticCredentials : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials)
      : credentials_(std::make_shared<const Credentials>(std::move(credentials))) {}
  Async<std::shared_ptr<const Credentials>> Get() override { co_return credentials_; }

 private:
  std::shared_ptr<const Credentials> credentials_;
};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

using Section = std::map<std::string, std::string>;
using Sections = std::map<std::string, Section>;

std::string At(const std::string& path, int line) {
  return path + ", line " + std::to_string(line) + ": ";
}

// The ini dialect of the AWS CLI: "[profile]", "key = value", comments by # and ;, and indented
// lines below a key without a value ("s3 =") that belong to that key and say nothing here.
Result<Sections> ParseIni(const std::string& path, std::string_view text) {
  Sections sections;
  Section* section = nullptr;
  for (int line = 1; !text.empty(); ++line) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view raw = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::string_view content = Trim(raw);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (content.front() == '[') {
      // A comment may follow the bracket.
      size_t close = content.find(']');
      if (close == content.npos) {
        return InvalidInput(At(path, line) + "'[' without ']'");
      }
      std::string name(Trim(content.substr(1, close - 1)));
      if (name.empty()) return InvalidInput(At(path, line) + "a profile without a name");
      section = &sections[name];
      continue;
    }
    bool nested = raw.front() == ' ' || raw.front() == '\t';
    size_t equals = content.find('=');
    if (nested && section != nullptr) continue;
    if (equals == content.npos || equals == 0) {
      return InvalidInput(At(path, line) + "neither '[profile]' nor 'name = value'");
    }
    if (section == nullptr) {
      return InvalidInput(At(path, line) + "'name = value' before the first '[profile]'");
    }
    std::string_view value = content.substr(equals + 1);
    for (std::string_view mark : {" #", " ;", "\t#", "\t;"}) {
      value = value.substr(0, std::min(value.find(mark), value.size()));
    }
    std::string name(Trim(content.substr(0, equals)));
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    (*section)[name] = std::string(Trim(value));
  }
  return sections;
}

Result<Sections> ReadIni(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return Sections();
    return InvalidInput(path + ": cannot be read");
  }
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return InvalidInput(path + ": cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) return InvalidInput(path + ": larger than 1 MiB");
  return ParseIni(path, text);
}

std::string ValueOf(const Section& section, const std::string& name) {
  auto found = section.find(name);
  return found == section.end() ? std::string() : found->second;
}

std::string PathOf(const EnvironmentReader& environment, const std::string& variable,
                   const std::string& below_home) {
  std::optional<std::string> path = environment(variable);
  std::string home = environment("HOME").value_or("");
  if (!path || path->empty()) return home.empty() ? std::string() : home + below_home;
  if (path->starts_with("~/")) return home + path->substr(1);
  return *path;
}

std::string ProfileName(std::string_view name, const EnvironmentReader& environment) {
  if (!name.empty()) return std::string(name);
  std::string chosen = environment("AWS_PROFILE").value_or("");
  return chosen.empty() ? "default" : chosen;
}

Result<std::optional<Credentials>> CredentialsIn(const Section& section, const std::string& where) {
  std::string id = ValueOf(section, "aws_access_key_id");
  std::string secret = ValueOf(section, "aws_secret_access_key");
  if (id.empty() && secret.empty()) return std::optional<Credentials>();
  if (id.empty() || secret.empty()) {
    return InvalidInput(where + ": " +
                        (id.empty() ? "aws_access_key_id" : "aws_secret_access_key") +
                        " is missing");
  }
  return std::optional<Credentials>(
      Credentials{.access_key_id = std::move(id),
                  .secret_access_key = Secret(std::move(secret)),
                  .session_token = Secret(ValueOf(section, "aws_session_token")),
                  .expires = std::nullopt});
}

class DefaultCredentials : public CredentialsProvider {
 public:
  DefaultCredentials(std::string profile, EnvironmentReader environment)
      : profile_(std::move(profile)), environment_(std::move(environment)) {}

  // Two small files, read once and after an Invalidate: not worth a thread.
  Async<std::shared_ptr<const Credentials>> Get() override {
    if (!current_) {
      Result<Credentials> found = Find();
      if (!found) co_return found.error();
      current_ = std::make_shared<const Credentials>(std::move(*found));
    }
    co_return current_;
  }

  bool Invalidate() override {
    std::shared_ptr<const Credentials> old = std::move(current_);
    current_ = nullptr;
    Result<Credentials> found = Find();
    return found && old &&
           (found->access_key_id != old->access_key_id ||
            !(found->secret_access_key == old->secret_access_key) ||
            !(found->session_token == old->session_token));
  }

 private:
  Result<Credentials> Find() const {
    if (profile_.empty()) {
      std::string id = environment_("AWS_ACCESS_KEY_ID").value_or("");
      std::string secret = environment_("AWS_SECRET_ACCESS_KEY").value_or("");
      if (id.empty() != secret.empty()) {
        return InvalidInput(std::string("the environment has AWS_ACCESS_KEY_ID or ") +
                            "AWS_SECRET_ACCESS_KEY, but not both");
      }
      if (!id.empty()) {
        return Credentials{.access_key_id = std::move(id),
                           .secret_access_key = Secret(std::move(secret)),
                           .session_token = Secret(environment_("AWS_SESSION_TOKEN").value_or("")),
                           .expires = std::nullopt};
      }
    }
    Result<AwsProfile> profile = ReadAwsProfile(profile_, environment_);
    if (!profile) return profile.error();
    if (profile->credentials) return std::move(*profile->credentials);
    Error none = InvalidInput("no credentials: not in AWS_ACCESS_KEY_ID, not in profile '" +
                              profile->name + "' of ~/.aws/credentials or ~/.aws/config");
    none.kind = ErrorKind::kDenied;
    return none;
  }

  std::string profile_;
  EnvironmentReader environment_;
  std::shared_ptr<const Credentials> current_;
};

}  // namespace

std::shared_ptr<CredentialsProvider> MakeStaticCredentials(Credentials credentials) {
  return std::make_shared<StaticCredentials>(std::move(credentials));
}

EnvironmentReader ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

Result<AwsProfile> ReadAwsProfile(std::string_view name, const EnvironmentReader& environment) {
  std::string credentials_path =
      PathOf(environment, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials");
  std::string config_path = PathOf(environment, "AWS_CONFIG_FILE", "/.aws/config");
  Result<Sections> credentials_file =
      credentials_path.empty() ? Sections() : ReadIni(credentials_path);
  if (!credentials_file) return credentials_file.error();
  Result<Sections> config_file = config_path.empty() ? Sections() : ReadIni(config_path);
  if (!config_file) return config_file.error();

  AwsProfile profile;
  profile.name = ProfileName(name, environment);
  // In the config file other profiles than "default" are named "profile NAME".
  auto in_credentials = credentials_file->find(profile.name);
  auto in_config = config_file->find("profile " + profile.name);
  if (in_config == config_file->end() && profile.name == "default") {
    in_config = config_file->find("default");
  }
  bool found = false;
  if (in_config != config_file->end()) {
    found = true;
    const Section& section = in_config->second;
    profile.region = ValueOf(section, "region");
    profile.endpoint_url = ValueOf(section, "endpoint_url");
    Result<std::optional<Credentials>> keys =
        CredentialsIn(section, config_path + ", profile '" + profile.name + "'");
    if (!keys) return keys.error();
    profile.credentials = std::move(*keys);
  }
  if (in_credentials != credentials_file->end()) {
    found = true;
    const Section& section = in_credentials->second;
    if (profile.region.empty()) profile.region = ValueOf(section, "region");
    Result<std::optional<Credentials>> keys =
        CredentialsIn(section, credentials_path + ", profile '" + profile.name + "'");
    if (!keys) return keys.error();
    if (*keys) profile.credentials = std::move(*keys);
  }
  bool asked_for = !name.empty() || !environment("AWS_PROFILE").value_or("").empty();
  if (!found && asked_for) {
    return InvalidInput("profile '" + profile.name + "' is neither in " + credentials_path +
                        " nor in " + config_path);
  }
  if (!profile.credentials && in_config != config_file->end()) {
    for (const char* setting : {"role_arn", "sso_session", "sso_start_url", "credential_process",
                                "source_profile", "web_identity_token_file"}) {
      if (!in_config->second.contains(setting)) continue;
      return InvalidInput(config_path + ", profile '" + profile.name + "': '" + setting +
                          "' is not supported; give access keys, or put them into the environment");
    }
  }
  return profile;
}

std::shared_ptr<CredentialsProvider> MakeDefaultCredentials(std::string profile,
                                                            EnvironmentReader environment) {
  return std::make_shared<DefaultCredentials>(std::move(profile), std::move(environment));
}

Result<std::string> FindAwsRegion(std::string_view profile, const EnvironmentReader& environment) {
  if (profile.empty()) {
    for (const char* variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
      std::string region = environment(variable).value_or("");
      if (!region.empty()) return region;
    }
  }
  Result<AwsProfile> read = ReadAwsProfile(profile, environment);
  if (!read) return read.error();
  return std::move(read->region);
}

}  // namespace longhaul
