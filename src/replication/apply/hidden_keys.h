// Some stores hide "a/b" from listings while there is an object "a". Such a key is parked, not
// written to where nobody finds it. Not before the other writes of its batch are over, though: what
// was to be written need not be there in the end, and what was there may have been deleted.

#pragma once

#include <set>
#include <string>

#include "storage/store.h"

namespace longhaul {

// Of HiddenKeys::Check: the key is hidden.
bool IsHidden(const Error& error);

// For one batch of writes: one HEAD for each folder in it.
class HiddenKeys {
 public:
  // `objects`: keys that are going to be there.
  HiddenKeys(Store& store, std::string bucket, std::set<std::string> objects)
      : store_(store), bucket_(std::move(bucket)), objects_(std::move(objects)) {}

  // The object that would hide `key`; empty: none.
  Async<std::string> HiderOf(std::string key);
  // The same as an error (IsHidden): kInvalidInput with the code KeyNotStorable.
  Async<void> Check(std::string key);

 private:
  Store& store_;
  std::string bucket_;
  std::set<std::string> objects_;
  std::set<std::string> folders_;  // Known to be no objects.
};

}  // namespace longhaul
