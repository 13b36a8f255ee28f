// The section `api:` of a configuration.

#include <algorithm>

#include "base/ascii.h"
#include "rules/api_settings.h"
#include "rules/configuration.h"

namespace longhaul {

namespace {

constexpr size_t kTokensMax = 100;
constexpr size_t kHostsMax = 100;
constexpr size_t kTokenBytesMin = 16;

bool IsHostName(std::string_view name) {
  return !name.empty() && name.size() <= 253 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

void ReadToken(const YamlValue& value, ApiSettings& settings) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  ApiToken token;
  if (auto name = fields->Require("name", "name: board")) {
    token.name = name->Text().value_or("");
    if (!token.name.empty() && !IsPlainName(token.name, 64)) {
      name->Fail("cannot name a token", "use up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
    } else if (std::ranges::count(settings.tokens, token.name, &ApiToken::name) > 0) {
      name->Fail("is the name of another token", "give it one of its own");
    }
  }
  fields->Choice("role", token.operate, {{"view", false}, {"operate", true}});
  if (auto secret = fields->Require("token", "token: \"${BOARD_TOKEN}\"")) {
    token.token = Secret(secret->Text().value_or(""));
    if (!token.token.empty() && token.token.Reveal().size() < kTokenBytesMin) {
      secret->Fail("is short enough to be guessed", "take 16 characters or more of chance");
    }
  }
  fields->Finish();
  settings.tokens.push_back(std::move(token));
}

}  // namespace

ApiSettings ReadApiSettings(YamlFields& top) {
  ApiSettings settings;
  std::optional<YamlValue> value = top.Find("api");
  std::optional<YamlFields> fields = value ? value->Fields() : std::nullopt;
  if (!fields) return settings;
  if (auto tokens = fields->Find("tokens")) {
    std::optional<std::vector<YamlValue>> items = tokens->Items();
    if (items && items->size() > kTokensMax) tokens->Fail("has too many tokens", "at most 100 fit");
    for (size_t i = 0; items && i < std::min(items->size(), kTokensMax); ++i) {
      ReadToken((*items)[i], settings);
    }
  }
  if (auto hosts = fields->Find("hosts")) {
    std::optional<std::vector<YamlValue>> items = hosts->Items();
    if (items && items->size() > kHostsMax) hosts->Fail("has too many hosts", "at most 100 fit");
    for (size_t i = 0; items && i < std::min(items->size(), kHostsMax); ++i) {
      std::string name = (*items)[i].Text().value_or("");
      std::ranges::transform(name, name.begin(), [](char c) { return LowerAscii(c); });
      if (!name.empty() && !IsHostName(name)) {
        (*items)[i].Fail("is no name of a host", "write longhaul.example.com, without a port");
      }
      settings.hosts.push_back(std::move(name));
    }
  }
  fields->Finish();
  return settings;
}

}  // namespace longhaul
