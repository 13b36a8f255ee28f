// Credentials: who signs a request, and where that is found out.
//
// Sources: AWS SDKs and Tools Reference Guide, "Configuration and authentication settings".

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/secret.h"

namespace longhaul {

struct Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;  // Empty: none.
  std::optional<SystemTime> expires;
};

// Gives credentials when asked, and fresh ones in time. Belongs to one shard.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // The current credentials, fetched or refreshed first where needed; shared because a request in
  // flight keeps those it was signed with. kDenied: there are none (the message says where was
  // looked). kRetryable: the service that gives them does not answer.
  virtual Async<std::shared_ptr<const Credentials>> Get() = 0;
  // The service called them expired or unknown: the next Get fetches anew where there is a service
  // or a file to ask. False: that can change nothing.
  virtual bool Invalidate() { return false; }
};

std::shared_ptr<CredentialsProvider> MakeStaticCredentials(Credentials credentials);

// Reads an environment variable; nullopt where it is unset. Handed in so that tests need no
// environment of their own.
using EnvironmentReader = std::function<std::optional<std::string>(const std::string& name)>;
EnvironmentReader ProcessEnvironment();

// What the shared files ~/.aws/credentials and ~/.aws/config say about one profile.
struct AwsProfile {
  std::string name;
  std::optional<Credentials> credentials;
  std::string region;
  std::string endpoint_url;
};

// Reads profile `name`; empty: AWS_PROFILE, else "default". Files: AWS_SHARED_CREDENTIALS_FILE and
// AWS_CONFIG_FILE, else below ~/.aws; the credentials file wins. A missing file is an empty one.
// kInvalidInput: a file is malformed (named with its line), larger than 1 MiB, or unreadable; or a
// profile that was asked for by name (here or by AWS_PROFILE) is in neither file.
Result<AwsProfile> ReadAwsProfile(std::string_view name, const EnvironmentReader& environment);

// AWS_REGION, AWS_DEFAULT_REGION (not where a profile is named), then the profile's region; empty
// where none says.
Result<std::string> FindAwsRegion(std::string_view profile, const EnvironmentReader& environment);

}  // namespace longhaul
