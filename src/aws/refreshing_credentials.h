// Credentials that are fetched and run out: when they are fetched anew, and who waits for that.
//
// Source: AWS SDKs and Tools Reference Guide, "Credential providers" (refreshed before they
// expire).

#pragma once

#include <memory>

#include "aws/credentials.h"
#include "base/runtime.h"

namespace longhaul {

// Where credentials are fetched: a service, a process, a file. Belongs to one shard.
class CredentialsSource {
 public:
  virtual ~CredentialsSource() = default;
  // kDenied: it gives none, and says why. kRetryable, kThrottled: it does not answer.
  virtual Async<Credentials> Fetch() = 0;
};

// - One fetch for all who wait; its failure is that of all of them.
// - Fetched anew 5 to 10 minutes before they expire, and of short-lived ones when a sixth to a
// third
//   of their life is left: at a random time, so that a thousand processes do not ask at once.
//   Whoever asks meanwhile gets those that are still valid.
// - Where that fails, the old ones are used while they are valid; it is tried again within a
// minute.
// - kDenied is remembered for 5 seconds: each of a thousand objects would ask anew.
// - Invalidate drops what is older than 10 seconds. What is younger stays: of many requests that
//   were refused together, each calls it, the last ones after new credentials have come.
std::shared_ptr<CredentialsProvider> MakeRefreshingCredentials(
    const Runtime& runtime, std::unique_ptr<CredentialsSource> source);

}  // namespace longhaul
