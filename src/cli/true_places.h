// Two names of one place: of one bucket (endpoints, access points), or of a folder in which a
// server keeps the objects of a bucket, or from which one is mounted. What names do not tell, what
// lies there does.

#pragma once

#include <optional>
#include <string>

#include "base/runtime.h"
#include "cli/stores.h"

namespace longhaul {

// What one of two ends is to be compared as.
class TruePlaces {
 public:
  TruePlaces() = default;
  // Of objects of `bucket` at `place`: they are those of the same keys at `as`.
  TruePlaces(std::string place, std::string bucket, OpenedAddress as)
      : one_(One{.place = std::move(place), .bucket = std::move(bucket), .as = std::move(as)}) {}

  // Whether another name was found.
  [[nodiscard]] bool found() const { return one_.has_value(); }
  // For LiesIn and LandsIn (transfer_ends.h), and nothing else: its store may be another.
  [[nodiscard]] OpenedAddress Of(OpenedAddress end) const;

 private:
  struct One {
    std::string place;
    std::string bucket;
    OpenedAddress as;  // Its bucket, with no key.
  };
  std::optional<One> one_;
};

// Looks whether the first object of an end is seen through the other as well, wherever one may lie
// in the other; two folders tell it themselves. Asks little, and writes nothing but what proves it
// when all speaks for it: an empty object or file at the target, removed at once. Both keys end in
// '/', or are empty. `equal_too`: also where both prefixes of two buckets are the same.
// OK and nothing found: also where an end is empty, or what one may not look at.
// Errors: as Store::List and Store::Head.
Async<TruePlaces> FindTruePlaces(Runtime runtime, OpenedAddress source, OpenedAddress target,
                                 bool equal_too);

// Whether a folder of files and a place of another store are one: a server may keep its objects in
// that very folder. For a move, which removes: whatever lies there, a file is put there for a
// moment. Both keys end in '/', or are empty. False where both ends are folders, or none is;
// IsSameObject tells then. Errors: as Store::Head.
Async<bool> AreOneFolder(Runtime runtime, OpenedAddress one, OpenedAddress two);

}  // namespace longhaul
