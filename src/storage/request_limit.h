// RequestLimit: how many requests may be under way at one bucket of an endpoint.
//
// There is no limit until the server asks for rest (503 SlowDown, 429). Then half as many as were
// under way may be; requests that were sent before that and are refused as well belong to the same
// burst and count once. From then on the limit grows by one each time as many requests in a row as
// it allows have been answered otherwise (additive increase, multiplicative decrease: Chiu and
// Jain, "Analysis of the Increase and Decrease Algorithms", 1989), until it is no limit any more.
//
// A request counts from before it is sent until the head of its answer is there; what follows (a
// body that is read slowly) holds up nobody. Nor does one that is sent from a source: what it is
// read from may need a request at the same bucket. Belongs to one shard.

#pragma once

#include <cstdint>
#include <memory>

#include "base/async.h"

namespace longhaul {

class RequestLimit {
 public:
  // `most`: from this limit on there is none.
  explicit RequestLimit(int most) : most_(most), limit_(most) {}

  // A request under way; it ends with this.
  class Turn {
   public:
    // After there was room, and before anyone else can run.
    explicit Turn(std::shared_ptr<RequestLimit> limit)
        : limit_(std::move(limit)), burst_(limit_->burst_) {
      ++limit_->under_way_;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { StopCounting(); }
    // It goes on, and holds up nobody any more.
    void StopCounting();
    // What was answered. True: the limit has become another one.
    bool Answered(bool throttled);

   private:
    std::shared_ptr<RequestLimit>
        limit_;  // shared: it may outlive the client while it is destroyed.
    uint64_t burst_;
    bool counts_ = true;
  };

  // Whether one more may be under way. Mostly it may, and nobody need wait.
  [[nodiscard]] bool has_room() const { return limit_ >= most_ || under_way_ < limit_; }
  // Waits until one more may.
  static asio::awaitable<void> WaitForRoom(std::shared_ptr<RequestLimit> limit);

  [[nodiscard]] int limit() const { return limit_; }
  [[nodiscard]] int under_way() const { return under_way_; }

 private:
  int most_;
  int limit_;
  int under_way_ = 0;
  int answered_ = 0;    // Since the limit last changed.
  uint64_t burst_ = 0;  // So often it was halved.
  WaitList waiters_;
};

}  // namespace longhaul
