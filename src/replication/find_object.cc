#include "replication/find_object.h"

#include <set>

namespace longhaul {

Result<std::vector<std::string>> StoresOf(const Configuration& configuration,
                                          const std::string& store, const std::string& bucket) {
  std::set<std::string> places;
  if (!store.empty()) {
    const auto found = configuration.stores.find(store);
    if (found == configuration.stores.end()) {
      return InvalidInput(configuration.file + " has no store '" + store + "'");
    }
    places.insert(found->second.Place());
  } else {
    const auto look = [&](const Address& known) {
      const auto found = configuration.stores.find(known.store);
      if (known.bucket == bucket && found != configuration.stores.end()) {
        places.insert(found->second.Place());
      }
    };
    for (const Rule& rule : configuration.rules) {
      look(rule.source);
      for (const Target& target : rule.targets) look(target.to);
    }
    if (places.size() > 1) {
      return InvalidInput("several stores have a bucket " + bucket +
                          "; say which one: NAME:bucket/key");
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, settings] : configuration.stores) {
    if (places.contains(settings.Place())) names.push_back(name);
  }
  return names;
}

}  // namespace longhaul
