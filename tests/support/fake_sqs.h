// FakeSqs: as much of Amazon SQS as SqsQueue asks for, in memory and under a virtual clock, behind
// an HttpClient that counts requests and fails as it is told. What the real one does is tested on
// real servers (tests/conformance).

#pragma once

#include <boost/json.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/sqs_client.h"
#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul::testing {

class FakeSqs : public HttpClient {
 public:
  struct Message {
    std::string id;
    std::string body;
    boost::json::object attributes;
    int receive_count = 0;
    int64_t sent_ms = 0;
    SteadyTime visible_at{};
    bool in_flight = false;
    std::string handle;
  };
  struct Queue {
    std::map<std::string, std::string> attributes;
    std::deque<Message> messages;
  };
  enum class Fault {
    kNone,
    kLostBefore,    // The connection breaks, and nothing is done.
    kLostAfter,     // It is done, and the answer is lost.
    kHalfDone,      // Of a batch every second entry fails by itself, for a reason that passes.
    kHalfRefused,   // The same, for a reason that stays.
    kHalfLeftOut,   // Every second entry is not done, and the answer says nothing of it.
    kHandleIsGone,  // Every handle is called invalid.
    kDenied,
    kKmsDenied,
    kWrongKeys,
    kForbidden,  // By a policy that denies it.
  };

  explicit FakeSqs(Runtime runtime) : runtime_(runtime) {}

  Async<HttpResponse> Send(HttpRequest request) override;
  // A client of it. `endpoint`: where it believes to ask; empty: at AWS.
  std::shared_ptr<SqsClient> Client(const std::string& endpoint = "");
  // Somebody else sends something.
  void Put(const std::string& queue, std::string body);
  [[nodiscard]] int count(const std::string& operation) const;
  [[nodiscard]] int count() const { return static_cast<int>(operations.size()); }

  std::map<std::string, Queue> queues;
  std::map<std::string, std::deque<Fault>> faults;  // By operation: of its next requests.
  std::vector<std::string> operations;              // Of all requests so far.
  std::vector<size_t> entries;                      // Of each batch.
  size_t largest_batch_bytes = 0;

 private:
  using Object = boost::json::object;
  Async<HttpResponse> Answer(int status, std::string body);
  Async<HttpResponse> Receive(const Object& request, Queue& queue);
  Object Take(const Object& request, Queue& queue);
  std::string CarryEntry(const std::string& operation, const Object& entry, Queue& queue);
  Message* ByHandle(Queue& queue, const std::string& handle);

  Runtime runtime_;
  int64_t next_ = 1;
  WaitList changed_;
};

}  // namespace longhaul::testing
