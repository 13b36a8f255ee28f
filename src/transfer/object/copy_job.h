// CopyJob: what the routes of CopyObject share: the request, and what an attempt tells the loop
// around it.
//
// Internal to CopyObject. Belongs to its coroutine.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "transfer/object/copy_object.h"
#include "transfer/object/object_tags.h"

namespace longhaul {

class CopyJob {
 public:
  CopyJob(Runtime the_runtime, CopySource from, CopyTarget to, CopyOptions the_options)
      : runtime(the_runtime),
        source(std::move(from)),
        target(std::move(to)),
        options(std::move(the_options)),
        target_can(target.store.capabilities()) {}

  // What an attempt that failed asks for.
  enum class Again {
    kNo,        // Give up.
    kFresh,     // Look at the source anew.
    kSame,      // The connection broke, or the listing was out of date: once more.
    kDisputed,  // The MD5 in the ETag may be none: once more, without trusting it.
    kAllParts,  // The guess at part sizes was wrong: ask for each.
  };

  [[nodiscard]] Error ReadError(const Error& error) const;
  [[nodiscard]] Error WriteError(const Error& error) const;
  // The source as it is now is not what was listed: once more with this.
  Error Outdated(const ObjectInfo& now);

  // Not verified on the way: the target's Put gets the same digest to verify by.
  [[nodiscard]] GetRequest WholeGet() const;
  // Whether what WholeGet brought may be copied: not every server heeds its If-Match.
  [[nodiscard]] bool IsWanted(const ObjectInfo& read) const;
  [[nodiscard]] RelayOptions Relaying() const;
  Async<ObjectInfo> HeadSource();
  // LastModified, with the fraction of a second that some servers tell in listings alone.
  [[nodiscard]] SystemTime ModifiedOf(const ObjectInfo& info) const;

  // All of the request but what verifies the body. Reads the tags when there are any, or when that
  // is not known; they are those of the state that was read only if the object is still that one.
  Async<PutRequest> DescribeTarget(const ObjectInfo& info, ToldBy by);
  [[nodiscard]] WriteCondition Condition() const {
    return {.if_absent = options.if_absent, .if_match = options.if_match};
  }

  Runtime runtime;
  CopySource source;
  CopyTarget target;
  CopyOptions options;
  Capabilities target_can;
  Again again = Again::kNo;
  bool etag_disputed = false;
  int bytes_wrong = 0;  // How often the target said so.
  bool ask_all_parts = false;
  bool source_goes = false;  // The copy will be all there is: a move.
};

bool BytesWereWrong(const Error& error);

// Gives the target something to check the whole body by.
Verified AddDigest(const CopyJob& job, const ObjectInfo& info, PutRequest& put);

// How an object is cut into parts.
struct PartLayout {
  std::vector<uint64_t> sizes;
  bool as_source = false;  // Like the object's own parts, so that it keeps its ETag.
};

// Through memory, part by part. `head`: what is known of the source already.
Async<CopyOutcome> CopyByParts(CopyJob& job, std::optional<ObjectInfo> head);
// Within one store, by the server, part by part; goes on as CopyByParts does.
Async<CopyOutcome> CopyInsideByParts(CopyJob& job, std::optional<ObjectInfo> head);
// The same with all that belongs to the new object given.
Async<CopyOutcome> CopyInsideAs(CopyJob& job, ObjectInfo info, PutRequest put);

}  // namespace longhaul
