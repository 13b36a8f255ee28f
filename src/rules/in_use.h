// What the rules of a configuration have at a place. Whoever else writes there has archives read as
// what they are not and replicas aged, and a cache removes again what lies there.
//
// Prefixes alone count: suffix filters keep rules apart, but not what others write.

#pragma once

#include <functional>
#include <optional>
#include <string>

#include "rules/rule.h"

namespace longhaul {

// Keys below a prefix of a bucket, whatever its store is called.
struct KeySpace {
  std::string place;  // Of the store; of all folders "file".
  std::string path;   // "bucket/prefix", of a folder with the root before it.
};
// "root/path", also where the root is "/".
std::string PathBelow(const std::string& root, const std::string& path);
// Where a store is, for whoever knows more than the configuration says; empty:
// StoreSettings::Place.
using PlaceOfStore = std::function<std::string(const StoreSettings& store)>;
KeySpace SpaceOf(const StoreSettings& store, const Address& address,
                 const PlaceOfStore& place_of = {});
// Whether one lies in the other.
bool Meet(const KeySpace& one, const KeySpace& other);

// Who is to write there.
enum class Use {
  kRestore,    // Meets no vault and no staging.
  kMigration,  // Nor a target of a rule that is enabled: its copy may be late, and older.
  kCache,      // Nor any target or source: its copies are removed again.
};

// What a use must not meet there: "the vault west:vault/ of rule r"; nullopt: nothing.
std::optional<std::string> FindInUse(const Configuration& configuration, const KeySpace& space,
                                     Use use, const PlaceOfStore& place_of = {});

}  // namespace longhaul
