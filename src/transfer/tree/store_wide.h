// What is wrong with a bucket or a store as a whole, and not with one object: found at the first
// refusal, so that nobody waits for ten thousand refusals and reads them.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

// The code of an error of a folder that nothing can be written below, since it is none.
inline constexpr std::string_view kFolderNotPossible = "FolderNotPossible";

// Whether an error says by itself that every other object would meet it: no such bucket, a bucket
// name that cannot be, another region, bad keys, an expired token, a clock that is wrong, a disk
// that is full.
bool IsStoreWide(const Error& error);

// What to do about such an error; empty: nothing better than its message.
std::string RemedyFor(const Error& error);

// Tells from the outcomes of single objects whether the store as a whole refuses.
//
// Until one object has worked, objects are tried one after the other (`proven`), so that a refusal
// costs one request. A denial may concern one key only: it counts for the store when it comes to
// the first three objects, or at once when the bucket itself has refused to be looked at. A store
// that does not answer has been asked for as long as its own retries last: then once is enough, or,
// when others have worked before, `in_flight` times in a row. An error that is not known here
// counts for the store when the first ten objects meet it, one after the other.
class FailureWatch {
 public:
  explicit FailureWatch(int in_flight, bool bucket_denied = false)
      : in_flight_(in_flight), bucket_denied_(bucket_denied) {}

  void Worked() {
    proven_ = true;
    denied_ = 0;
    away_ = 0;
  }
  // Whether this failure is the store's.
  bool Failed(const Error& error);

  [[nodiscard]] bool proven() const { return proven_; }

 private:
  static constexpr int kDeniedMax = 3;
  static constexpr int kAlikeMax = 10;
  int in_flight_;
  bool bucket_denied_;
  bool proven_ = false;
  int denied_ = 0;
  int away_ = 0;
  int alike_ = 0;
  std::string alike_code_;
};

}  // namespace longhaul
