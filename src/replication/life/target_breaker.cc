#include "replication/life/target_breaker.h"

#include <algorithm>

#include "base/retry.h"
#include "replica/apply.h"
#include "replica/lease.h"

namespace longhaul {

bool FailsAsStore(const Error& error) {
  if (error.code == kKeyBusyCode || error.code == kLeaseTakenCode) return false;
  return error.Transient() || error.kind == ErrorKind::kDenied || error.code == "NoSuchBucket";
}

bool MayPass(const Error& error) {
  return error.Transient() || error.code == "NoSuchBucket" ||
         error.code == "NoSuchUpload" ||  // It was aborted under us.
         error.kind == ErrorKind::kCorrupt || error.kind == ErrorKind::kCancelled ||
         error.kind == ErrorKind::kPrecondition;
}

bool TargetBreaker::Failed(const Error& error, SystemTime now) {
  if (!FailsAsStore(error)) return false;
  error_ = error;
  ++failures_;
  const bool enough = failures_ >= kFailuresMax || error.code == kTimeoutCode;
  if (open() || !enough) return false;
  since_ = now;
  return true;
}

bool TargetBreaker::Succeeded() {
  failures_ = 0;
  probes_ = 0;
  const bool was_open = open();
  since_.reset();
  return was_open;
}

void TargetBreaker::ProbeFailed(const Error& error) {
  error_ = error;
  ++probes_;
}

void TargetBreaker::ProbeSucceeded() {
  ++probes_;
  failures_ = kFailuresMax - 1;
  since_.reset();
}

std::chrono::seconds TargetBreaker::ProbeDelay() const {
  return std::min(kProbeLast, kProbeFirst * (1 << std::min(probes_, 6)));
}

Async<void> ProbeByWriting(Store& store, std::string bucket, std::string key) {
  PutRequest request{.bucket = bucket, .key = key};
  Result<PutResult> put = co_await PutText(store, std::move(request), "longhaul");
  if (!put) co_return put.error().In("probe");
  Result<void> removed =
      co_await store.Remove({.bucket = std::move(bucket), .key = std::move(key)});
  if (!removed) co_return removed.error().In("probe");
  co_return Ok();
}

}  // namespace longhaul
