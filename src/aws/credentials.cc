#include "aws/credentials.h"

#include <cstdlib>

namespace longhaul {
namespace {

class StaticCredentials : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials)
      : credentials_(std::make_shared<const Credentials>(std::move(credentials))) {}
  Async<std::shared_ptr<const Credentials>> Get() override { co_return credentials_; }

 private:
  std::shared_ptr<const Credentials> credentials_;
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

}  // namespace longhaul
