// TargetBreaker: leaves a target alone whose store fails, until a probe of that store succeeds.
//
// Without it every batch for such a target is tried for a whole deadline, and holds the place in
// which another could be packed. It opens when kFailuresMax batches have failed there one after the
// other, or one for want of an answer. While it is open nothing is sent there but one probe at a
// time: a small object below the staging's probe/, written and removed. When that succeeds it is
// closed, on trial: the first batch that fails opens it again, and the next probe waits longer.
//
// Belongs to one shard; nothing here waits but Probe.

#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/async.h"
#include "base/clock.h"
#include "base/result.h"
#include "storage/store.h"

namespace longhaul {

class TargetBreaker {
 public:
  static constexpr int kFailuresMax = 3;
  static constexpr std::chrono::seconds kProbeFirst{1};
  static constexpr std::chrono::seconds kProbeLast{60};

  // A batch has failed at its store. True: it is open now, and was not before.
  bool Failed(const Error& error, SystemTime now);
  // A batch is durable there. True: it was open.
  bool Succeeded();
  // A probe has failed, or succeeded: then it is closed, on trial.
  void ProbeFailed(const Error& error);
  void ProbeSucceeded();

  [[nodiscard]] bool open() const { return since_.has_value(); }
  [[nodiscard]] std::optional<SystemTime> since() const { return since_; }
  // Why it is open.
  [[nodiscard]] const Error& error() const { return error_; }
  // How long until the next probe.
  [[nodiscard]] std::chrono::seconds ProbeDelay() const;

 private:
  int failures_ = 0;  // One after the other.
  int probes_ = 0;    // Since something last became durable.
  std::optional<SystemTime> since_;
  Error error_;
};

// Whether a failure says something of the store as a whole, not of one key at a store that answers.
bool FailsAsStore(const Error& error);
// Whether trying once more may be enough, whatever was asked for. A refusal is none of these: it
// may be that of a whole store, for a while, but one that stays is the object's.
bool MayPass(const Error& error);

// Writes and removes `key`, for which `bucket` need not be empty before.
Async<void> ProbeByWriting(Store& store, std::string bucket, std::string key);

}  // namespace longhaul
