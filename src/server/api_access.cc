#include "server/api_access.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>

#include "base/ascii.h"
#include "events/webhook.h"

namespace longhaul {

namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return LowerAscii(c); });
  return lower;
}

// Without the port, and the brackets of an IPv6 address.
std::string_view NameOf(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? std::string_view() : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

bool IsAddress(const std::string& name) {
  in_addr v4{};
  in6_addr v6{};
  return inet_pton(AF_INET, name.c_str(), &v4) == 1 || inet_pton(AF_INET6, name.c_str(), &v6) == 1;
}

}  // namespace

ApiAccess::ApiAccess(ApiSettings settings, const ListenAddress& listen, Secret token)
    : tokens_(std::move(settings.tokens)), hosts_(std::move(settings.hosts)) {
  if (!token.empty()) {
    tokens_.push_back({.name = "token", .operate = true, .token = std::move(token)});
  }
  hosts_.push_back(Lower(listen.host));
  hosts_.emplace_back("localhost");
  char name[256] = "";
  if (::gethostname(name, sizeof(name) - 1) == 0 && *name != '\0') hosts_.push_back(Lower(name));
}

ApiCaller ApiAccess::CallerOf(std::string_view authorization) const {
  if (tokens_.empty()) return {.known = true, .operate = true, .who = "anyone"};
  ApiCaller caller;
  // All of them, so that the time does not tell which one was nearly right.
  for (const ApiToken& token : tokens_) {
    if (!BearerTokenFits(authorization, token.token) || caller.known) continue;
    caller = {.known = true, .operate = token.operate, .who = token.name};
  }
  return caller;
}

bool ApiAccess::HostFits(std::string_view host) const {
  const std::string name = Lower(NameOf(host));
  return IsAddress(name) || std::ranges::count(hosts_, name) > 0;
}

bool ApiAccess::OriginFits(std::string_view origin, std::string_view host) {
  if (origin.empty()) return true;
  const size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return false;  // "null"
  return Lower(origin.substr(scheme + 3)) == Lower(host);
}

bool RateLimit::Take(const std::string& address, SteadyTime now, double cost) {
  if (buckets_.size() >= kAddressesMax && !buckets_.contains(address)) {
    std::erase_if(buckets_, [&](const auto& entry) {
      const std::chrono::duration<double> quiet = now - entry.second.at;
      return entry.second.left + quiet.count() * per_second_ >= burst_;
    });
    if (buckets_.size() >= kAddressesMax) return false;
  }
  Bucket& bucket = buckets_.try_emplace(address, Bucket{.left = burst_, .at = now}).first->second;
  const std::chrono::duration<double> passed = now - bucket.at;
  bucket.left = std::min(burst_, bucket.left + passed.count() * per_second_);
  bucket.at = now;
  if (bucket.left < std::max(cost, 1.0)) return false;
  bucket.left -= cost;
  return true;
}

}  // namespace longhaul
