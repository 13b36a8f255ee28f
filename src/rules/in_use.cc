#include "rules/in_use.h"

namespace longhaul {

std::string PathBelow(const std::string& root, const std::string& path) {
  return root.ends_with('/') ? root + path : root + "/" + path;
}

KeySpace SpaceOf(const StoreSettings& store, const Address& address, const PlaceOfStore& place_of) {
  const std::string path = address.bucket + "/" + address.prefix;
  if (store.type == StoreType::kFile) return {.place = "file", .path = PathBelow(store.root, path)};
  return {.place = place_of ? place_of(store) : store.Place(), .path = path};
}

bool Meet(const KeySpace& one, const KeySpace& other) {
  return one.place == other.place &&
         (one.path.starts_with(other.path) || other.path.starts_with(one.path));
}

std::optional<std::string> FindInUse(const Configuration& configuration, const KeySpace& space,
                                     Use use, const PlaceOfStore& place_of) {
  const auto meets = [&](const Address& address) {
    const auto store = configuration.stores.find(address.store);
    return store != configuration.stores.end() &&
           Meet(space, SpaceOf(store->second, address, place_of));
  };
  for (const Rule& rule : configuration.rules) {
    const auto named = [&rule](const char* what, const Address& address) {
      return "the " + std::string(what) + " " + address.ToString() + " of rule " + rule.id;
    };
    if (rule.local_staging && meets(*rule.local_staging)) {
      return named("staging", *rule.local_staging);
    }
    for (const Target& target : rule.targets) {
      if (target.backup && meets(target.to)) return named("vault", target.to);
      if (meets(target.staging)) return named("staging", target.staging);
      // Nothing comes to the target of a rule that is disabled; what is there is not to be removed.
      const bool taken = use == Use::kCache || (use == Use::kMigration && rule.enabled);
      if (taken && meets(target.to)) return named("target", target.to);
    }
    if (use == Use::kCache && meets(rule.source)) return named("source", rule.source);
  }
  return std::nullopt;
}

}  // namespace longhaul
