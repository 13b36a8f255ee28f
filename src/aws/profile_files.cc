#include "aws/profile_files.h"

#include <algorithm>
#include <fstream>

#include "base/ascii.h"

namespace longhaul {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr const char* kKeyNames[] = {"aws_access_key_id", "aws_secret_access_key",
                                     "aws_session_token"};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

// "profile  x" and "profile \"x\"" are "profile x".
std::string SectionName(std::string_view text) {
  text = Trim(text);
  const size_t blank = text.find_first_of(" \t");
  if (blank == text.npos) return std::string(text);
  std::string_view rest = Trim(text.substr(blank));
  if (rest.size() >= 2 && rest.front() == rest.back() &&
      (rest.front() == '"' || rest.front() == '\'')) {
    rest = rest.substr(1, rest.size() - 2);
  }
  return std::string(text.substr(0, blank)) + " " + std::string(rest);
}

std::string At(const std::string& path, int line) {
  return path + ", line " + std::to_string(line) + ": ";
}

Result<ProfileSections> ReadIni(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return ProfileSections();
    return InvalidInput(path + ": cannot be read");
  }
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return InvalidInput(path + ": cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) return InvalidInput(path + ": larger than 1 MiB");
  return ParseProfileFile(path, text);
}

std::string PathOf(const EnvironmentReader& environment, const std::string& variable,
                   const std::string& below_home) {
  std::optional<std::string> path = environment(variable);
  std::string home = environment("HOME").value_or("");
  if (!path || path->empty()) return home.empty() ? std::string() : home + below_home;
  if (path->starts_with("~/")) return home + path->substr(1);
  return *path;
}

Result<void> CheckKeys(const ProfileSection& section, const std::string& where) {
  const bool has_id = !ValueIn(section, kKeyNames[0]).empty();
  const bool has_secret = !ValueIn(section, kKeyNames[1]).empty();
  if (has_id == has_secret) return Ok();
  return InvalidInput(where + ": " + kKeyNames[has_id ? 1 : 0] + " is missing");
}

}  // namespace

std::string ValueIn(const ProfileSection& section, const std::string& name) {
  auto found = section.find(name);
  return found == section.end() ? std::string() : found->second;
}

Result<ProfileSections> ParseProfileFile(const std::string& path, std::string_view text) {
  ProfileSections sections;
  ProfileSection* section = nullptr;
  std::string parent;  // A name without a value; what is indented below it belongs to it.
  // How far the last name of this section is indented: what is indented further goes on from it,
  // and the names themselves may be indented, as configparser reads them.
  std::optional<size_t> indent;
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
      std::string name = SectionName(content.substr(1, close - 1));
      if (name.empty()) return InvalidInput(At(path, line) + "a profile without a name");
      section = &sections[name];
      parent.clear();
      indent.reset();
      continue;
    }
    const size_t blanks = raw.find_first_not_of(" \t");
    const bool nested = section != nullptr && indent && blanks > *indent;
    const size_t equals = content.find('=');
    if (nested && (parent.empty() || equals == content.npos || equals == 0)) continue;
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
    for (char& c : name) c = LowerAscii(c);
    value = Trim(value);
    if (!nested) {
      parent = value.empty() ? name : "";
      indent = blanks;
    }
    (*section)[nested ? parent + "." + name : name] = std::string(value);
  }
  return sections;
}

std::string AwsProfileName(std::string_view name, const EnvironmentReader& environment) {
  if (!name.empty()) return std::string(name);
  std::string chosen = environment("AWS_PROFILE").value_or("");
  return chosen.empty() ? "default" : chosen;
}

Result<ProfileFiles> ReadProfileFiles(const EnvironmentReader& environment) {
  ProfileFiles files;
  files.credentials_path = PathOf(environment, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials");
  files.config_path = PathOf(environment, "AWS_CONFIG_FILE", "/.aws/config");
  if (!files.credentials_path.empty()) {
    Result<ProfileSections> read = ReadIni(files.credentials_path);
    if (!read) return read.error();
    files.credentials = std::move(*read);
  }
  if (!files.config_path.empty()) {
    Result<ProfileSections> read = ReadIni(files.config_path);
    if (!read) return read.error();
    files.config = std::move(*read);
  }
  return files;
}

Result<std::optional<ProfileSection>> ProfileFiles::Profile(const std::string& name) const {
  // In the config file other profiles than "default" are named "profile NAME".
  auto in_config = config.find("profile " + name);
  if (in_config == config.end() && name == "default") in_config = config.find(name);
  auto in_credentials = credentials.find(name);
  std::optional<ProfileSection> profile;
  if (in_config != config.end()) {
    Result<void> checked = CheckKeys(in_config->second, config_path + ", profile '" + name + "'");
    if (!checked) return checked.error();
    profile = in_config->second;
  }
  if (in_credentials == credentials.end()) return profile;
  const ProfileSection& section = in_credentials->second;
  Result<void> checked = CheckKeys(section, credentials_path + ", profile '" + name + "'");
  if (!checked) return checked.error();
  if (!profile) return std::optional(section);
  // Keys belong together: never the id of one file and the token of the other.
  if (section.contains(kKeyNames[0])) {
    for (const char* key : kKeyNames) profile->erase(key);
  }
  for (const auto& [key, value] : section) (*profile)[key] = value;
  return profile;
}

std::optional<Credentials> KeysIn(const ProfileSection& profile) {
  std::string id = ValueIn(profile, kKeyNames[0]);
  if (id.empty()) return std::nullopt;
  return Credentials{.access_key_id = std::move(id),
                     .secret_access_key = Secret(ValueIn(profile, kKeyNames[1])),
                     .session_token = Secret(ValueIn(profile, kKeyNames[2])),
                     .expires = std::nullopt};
}

Result<ProfileSection> ProfileFiles::Chosen(std::string_view name,
                                            const EnvironmentReader& environment) const {
  const std::string chosen = AwsProfileName(name, environment);
  Result<std::optional<ProfileSection>> profile = Profile(chosen);
  if (!profile) return profile.error();
  if (*profile) return std::move(**profile);
  if (name.empty() && environment("AWS_PROFILE").value_or("").empty()) return ProfileSection();
  return InvalidInput("profile '" + chosen + "' is neither in " + credentials_path + " nor in " +
                      config_path);
}

Result<AwsProfile> ReadAwsProfile(std::string_view name, const EnvironmentReader& environment) {
  Result<ProfileFiles> files = ReadProfileFiles(environment);
  if (!files) return files.error();
  Result<ProfileSection> section = files->Chosen(name, environment);
  if (!section) return section.error();
  return AwsProfile{.name = AwsProfileName(name, environment),
                    .credentials = KeysIn(*section),
                    .region = ValueIn(*section, "region"),
                    .endpoint_url = ValueIn(*section, "endpoint_url")};
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
