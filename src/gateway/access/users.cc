#include "gateway/access/users.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace longhaul {
namespace {

constexpr size_t kUsersMax = 10'000;
constexpr size_t kRightsMax = 1'000;  // Of one user, of either kind.
constexpr size_t kKeyIdSizeMin = 3;
constexpr size_t kKeyIdSizeMax = 128;
constexpr size_t kSecretSizeMin = 8;

bool HoldAny(const std::vector<GatewayRight>& rights, std::string_view bucket,
             std::string_view key_or_prefix) {
  return std::ranges::any_of(
      rights, [&](const GatewayRight& right) { return right.Holds(bucket, key_or_prefix); });
}

void ReadRights(YamlFields& fields, std::string_view name, std::vector<GatewayRight>& rights) {
  std::optional<YamlValue> list = fields.Find(name);
  if (!list) return;
  std::optional<std::vector<YamlValue>> items = list->Items();
  if (!items) return;
  if (items->size() > kRightsMax) {
    list->Fail("more than 1,000 of them", "give a shorter beginning that holds several");
    return;
  }
  for (const YamlValue& item : *items) {
    std::optional<std::string> text = item.Text();
    if (!text) continue;
    size_t slash = text->find('/');
    GatewayRight right{.bucket = text->substr(0, slash),
                       .prefix = slash == std::string::npos ? "" : text->substr(slash + 1)};
    bool all = right.bucket == "*";
    if (right.bucket.empty() || (!all && right.bucket.contains('*'))) {
      item.Fail("not a bucket and the beginning of its keys",
                "write \"BUCKET\", \"BUCKET/PREFIX\" or \"*\" for all buckets");
      continue;
    }
    if (right.prefix.contains('*')) {
      item.Fail("a * among the keys", "a beginning of keys holds all that begin so: leave it out");
      continue;
    }
    rights.push_back(std::move(right));
  }
}

std::optional<GatewayUser> ReadUser(const YamlValue& value) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return std::nullopt;
  GatewayUser user;
  fields->Require("name", "loader");
  fields->Text("name", user.name);
  fields->Require("access_key_id", "LOADER");
  fields->Text("access_key_id", user.access_key_id);
  fields->Require("secret_access_key", "${LOADER_SECRET}");
  fields->Text("secret_access_key", user.secret_access_key);
  ReadRights(*fields, "read", user.read);
  ReadRights(*fields, "write", user.write);
  fields->Finish();
  bool clean = std::ranges::all_of(user.access_key_id, [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f &&
           c != '/' && c != ',' && c != '=';
  });
  if (!user.access_key_id.empty() && (!clean || user.access_key_id.size() < kKeyIdSizeMin ||
                                      user.access_key_id.size() > kKeyIdSizeMax)) {
    value.Fail("access_key_id is 3 to 128 letters, digits and signs but / , =", "choose another");
  }
  if (!user.secret_access_key.empty() && user.secret_access_key.Reveal().size() < kSecretSizeMin) {
    value.Fail("secret_access_key is shorter than 8 characters", "choose a longer one");
  }
  if (user.read.empty() && user.write.empty()) {
    value.Fail("the user may do nothing", "give read: or write:, or remove the user");
  }
  return user;
}

}  // namespace

bool GatewayRight::Holds(std::string_view of_bucket, std::string_view key_or_prefix) const {
  return (bucket == "*" || bucket == of_bucket) && key_or_prefix.starts_with(prefix);
}

bool GatewayUser::MayRead(std::string_view bucket, std::string_view key_or_prefix) const {
  return HoldAny(read, bucket, key_or_prefix);
}

bool GatewayUser::MayWrite(std::string_view bucket, std::string_view key_or_prefix) const {
  return HoldAny(write, bucket, key_or_prefix);
}

bool GatewayUser::Knows(std::string_view bucket) const {
  auto in = [&](const GatewayRight& right) {
    return right.bucket == "*" || right.bucket == bucket;
  };
  return std::ranges::any_of(read, in) || std::ranges::any_of(write, in);
}

GatewayUser GatewayOwner(std::string access_key_id, Secret secret_access_key) {
  return {.name = "owner",
          .access_key_id = std::move(access_key_id),
          .secret_access_key = std::move(secret_access_key),
          .read = {{.bucket = "*", .prefix = ""}},
          .write = {{.bucket = "*", .prefix = ""}}};
}

Result<std::vector<GatewayUser>> ParseGatewayUsers(std::string_view text, const std::string& file,
                                                   const Environment& environment) {
  YamlErrors errors(file);
  std::vector<GatewayUser> users;
  std::optional<YamlNode> node = ParseYaml(text, environment, errors);
  if (node) {
    YamlValue top(*node, "", errors);
    std::optional<YamlFields> fields = top.Fields();
    std::optional<YamlValue> list;
    if (fields) list = fields->Require("users", "[{name: loader, …}]");
    std::optional<std::vector<YamlValue>> items;
    if (list) items = list->Items();
    if (items && (items->empty() || items->size() > kUsersMax)) {
      list->Fail("1 to 10,000 users", "put the users into several gateways");
      items.reset();
    }
    std::set<std::string> names;
    std::set<std::string> keys;
    if (items) {
      for (const YamlValue& item : *items) {
        std::optional<GatewayUser> user = ReadUser(item);
        if (!user) continue;
        if (!user->name.empty() && !names.insert(user->name).second) {
          item.Fail("two users are called " + user->name, "give each a name of its own");
        }
        if (!user->access_key_id.empty() && !keys.insert(user->access_key_id).second) {
          item.Fail("two users have one access_key_id", "give each a key of its own");
        }
        users.push_back(std::move(*user));
      }
    }
    if (fields) fields->Finish();
  }
  if (!errors.empty()) return errors.ToError();
  return users;
}

}  // namespace longhaul
