// FakeDynamodb: as much of DynamoDB as DynamodbState asks for, behind an HttpClient that loses what
// it is told to lose. What the real one does is tested on real servers (tests/conformance).

#pragma once

#include <boost/json.hpp>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "net/http_client.h"

namespace longhaul::testing {

class FakeDynamodb : public HttpClient {
 public:
  enum class Fault {
    kNone,
    kLostBefore,   // The connection breaks, and nothing is done.
    kLostAfter,    // It is done, and the answer is lost.
    kFailedAfter,  // It is done, and a 500 says nothing of it.
    kThrottled,
    kUnprocessed,  // Of a batch: no key but the first. Of one key: none.
    kDamaged,      // The answer does not have its CRC.
  };

  Async<HttpResponse> Send(HttpRequest request) override;

  std::deque<Fault> faults;             // Of the next requests but those of an Open.
  std::string refusal;                  // Where not empty, what an Open is answered.
  std::function<void()> after_fault;    // What happens meanwhile.
  std::vector<std::string> operations;  // "PutItem", …
  std::vector<boost::json::object> requests;
  HttpHeaders headers;  // Of each answer.
  // Of queries, each once; the last one goes on.
  std::deque<boost::json::object> query_answers{{{"Items", boost::json::array()}}};
  // By both keys in Base64.
  std::map<std::pair<std::string, std::string>, boost::json::object> items;

 private:
  using Object = boost::json::object;
  static std::pair<std::string, std::string> KeyOf(const Object& item);
  bool Holds(const Object& request);
  std::pair<int, std::string> Carry(const std::string& operation, const Object& request,
                                    Fault fault);
};

}  // namespace longhaul::testing
