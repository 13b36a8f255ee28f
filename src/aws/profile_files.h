// The shared files ~/.aws/credentials and ~/.aws/config, as a table.
//
// Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".

#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "aws/credentials.h"

namespace longhaul {

using ProfileSection = std::map<std::string, std::string>;  // Settings by name in lower case.
using ProfileSections = std::map<std::string, ProfileSection>;

// The ini dialect of the AWS CLI: "[profile]", "key = value", comments by # and ;. Indented lines
// below a key without a value ("s3 =") belong to that key: "s3.endpoint_url".
// kInvalidInput: anything else, with `path` and the line.
Result<ProfileSections> ParseProfileFile(const std::string& path, std::string_view text);

struct ProfileFiles {
  std::string credentials_path;  // Empty: there is neither a variable nor a home.
  std::string config_path;
  ProfileSections credentials;
  ProfileSections config;

  // What both files say of a profile; the credentials file wins. nullopt: neither has it.
  // kInvalidInput: one half of a pair of keys.
  [[nodiscard]] Result<std::optional<ProfileSection>> Profile(const std::string& name) const;
  // The same by AwsProfileName. kInvalidInput also where a profile that was asked for is in neither
  // file; a default that nobody has written is empty.
  [[nodiscard]] Result<ProfileSection> Chosen(std::string_view name,
                                              const EnvironmentReader& environment) const;
};

// A missing file is an empty one; the rest as ReadAwsProfile.
Result<ProfileFiles> ReadProfileFiles(const EnvironmentReader& environment);

// `name`, else AWS_PROFILE, else "default".
std::string AwsProfileName(std::string_view name, const EnvironmentReader& environment);

// Empty where there is none.
std::string ValueIn(const ProfileSection& section, const std::string& name);
std::optional<Credentials> KeysIn(const ProfileSection& profile);

}  // namespace longhaul
