// A drill: objects of a backup are brought back to a scratch place, read again there, compared, and
// removed. It says what no look at the vault can say: that a restore works, all of it.
//
// What is compared of each: size and SHA-256 of what was read at the scratch place with those of a
// second reading of the archive; its digests with the ETag and the checksum that the archive gives,
// where they tell of bytes; headers, user metadata and tags, where the scratch place keeps them.
// Where the source still has the object as it was archived (by ETag and size), its bytes as well.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/listing/listing.h"

namespace longhaul::backup {

// "100": so many objects. "1%": that share of all, one at least.
struct DrillSample {
  uint64_t count = 0;  // 0: by share.
  double share = 0;    // Of 1.
};
// More than these are not drilled at once.
inline constexpr uint64_t kDrillObjectsMax = 100'000;
// kInvalidInput: neither of the two forms, or nothing, or too many.
Result<DrillSample> ParseDrillSample(std::string_view text);

struct DrillChoice {
  std::vector<ListedObject> objects;  // In the order of the listing.
  uint64_t of = 0;                    // How many were listed.
};
// Every object is as likely to be taken as any other. Memory is that of the sample. Errors: those
// of the listing; kCancelled: `stop`.
Async<DrillChoice> ChooseForDrill(Listing& listing, DrillSample sample, Random& random,
                                  const Event& stop);

struct DrillWork {
  Store* backup = nullptr;  // Borrowed, as the next two. Read by key and version id.
  std::string bucket;       // Of the source: what `backup` has objects of.
  ListedObject object;      // As `backup` lists it.
  Store* scratch = nullptr;
  std::string scratch_bucket;
  std::string scratch_key;    // Of this object alone. There is nothing yet.
  Store* source = nullptr;    // Null: the source is not asked.
  bool knows_headers = true;  // False: `backup` has no headers nor user metadata; tags alone.
  // From which size on it is restored in parts; none: as restores do it. Where ranges are dear.
  std::optional<uint64_t> multipart_threshold_bytes{};
  Event* stop = nullptr;
};

struct DrillVerdict {
  uint64_t bytes = 0;  // That came back.
  // What is not as it should be; empty where `failure` is not: all is.
  std::vector<std::string> differences;
  std::optional<Error> failure;  // It could not be brought back, or not be looked at.
  bool compared_with_source = false;
  std::optional<Error> left_behind;  // What it wrote could not be removed.
};

// Leaves nothing at the scratch place, however it ends (but for `left_behind`).
asio::awaitable<DrillVerdict> DrillObject(Runtime runtime, DrillWork work);

}  // namespace longhaul::backup
