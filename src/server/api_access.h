// ApiAccess: who may do what by the API, from where, and how often.
//
// A token is compared in constant time with every one that there is. Without any token in the
// configuration whoever reaches the listener (on loopback) may do all; what keeps other sites'
// pages out then are the checks of Host (no name that somebody else can point to this address) and
// Origin.

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "net/http_client.h"
#include "rules/api_settings.h"
#include "rules/rule.h"

namespace longhaul {

struct ApiCaller {
  bool known = false;
  bool operate = false;
  std::string who;  // "token" for `token:`, "anyone" where none is needed.
};

class ApiAccess {
 public:
  // `listen`, `token`: of the configuration.
  ApiAccess(ApiSettings settings, const ListenAddress& listen, Secret token);

  [[nodiscard]] bool token_needed() const { return !tokens_.empty(); }
  [[nodiscard]] ApiCaller CallerOf(std::string_view authorization) const;
  // Whether a Host is a name of this process: an address, localhost, this machine, or one of
  // `api.hosts`.
  [[nodiscard]] bool HostFits(std::string_view host) const;
  // Whether a page that sends this Origin was served under this Host. No Origin: no page.
  [[nodiscard]] static bool OriginFits(std::string_view origin, std::string_view host);

 private:
  std::vector<ApiToken> tokens_;
  std::vector<std::string> hosts_;
};

// So many requests each second of one address, and a burst before that. Memory is bounded: where
// more addresses come than fit, those that have been quiet are forgotten.
class RateLimit {
 public:
  RateLimit(double per_second, double burst) : per_second_(per_second), burst_(burst) {}
  // `cost` 0: whether something is left.
  bool Take(const std::string& address, SteadyTime now, double cost = 1);

 private:
  static constexpr size_t kAddressesMax = 4096;
  struct Bucket {
    double left = 0;
    SteadyTime at{};
  };
  double per_second_;
  double burst_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace longhaul
