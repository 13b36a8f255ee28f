#include "rules/seal_fields.h"

#include <algorithm>

namespace longhaul {

namespace {

constexpr size_t kSealKeyBytesMin = 16;  // archive/entry.h
// Old and new while a key is changed; more is a list that nobody cleans up.
constexpr size_t kSealKeysAcceptedMax = 8;

bool LongEnough(const YamlValue& value, const Secret& key) {
  if (key.Reveal().size() >= kSealKeyBytesMin) return true;
  value.Fail("is too short to seal anything", "give 16 bytes or more");
  return false;
}

}  // namespace

void ReadSeal(YamlFields& fields, Rule& rule) {
  const bool sealed = fields.Text("seal_key", rule.seal_key);
  if (sealed) LongEnough(*fields.Find("seal_key"), rule.seal_key);
  std::optional<YamlValue> accepted = fields.Find("seal_keys_accepted");
  std::optional<std::vector<YamlValue>> items = accepted ? accepted->Items() : std::nullopt;
  if (!items) return;
  if (!sealed) {
    accepted->Fail("accepts keys of a rule that seals nothing", "add seal_key");
    return;
  }
  if (items->size() > kSealKeysAcceptedMax) {
    accepted->Fail("has more than 8 keys", "keep those that archives under way are sealed with");
    return;
  }
  for (const YamlValue& item : *items) {
    std::optional<std::string> text = item.Text();
    if (!text) continue;
    Secret key(std::move(*text));
    if (!LongEnough(item, key)) continue;
    if (key == rule.seal_key ||
        std::ranges::find(rule.seal_keys_accepted, key) != rule.seal_keys_accepted.end()) {
      item.Fail("stands here already: seal_key is accepted, too", "remove it");
      continue;
    }
    rule.seal_keys_accepted.push_back(std::move(key));
  }
}

}  // namespace longhaul
