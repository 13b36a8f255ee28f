// RequestMeter: hears of every request that a store sends, as its bill will name it.
//
// A request is counted each time it goes out: retries, failures, and what an HttpClient repeats on
// a new connection. Bytes are those of bodies, as far as they went; of a body in memory whose
// connection broke, all of them. Belongs to one shard; must not block.

#pragma once

#include <cstdint>
#include <string_view>

namespace longhaul {

// As they are billed. (Amazon S3 pricing: PUT, COPY, POST and LIST have one price, GET and all
// others another, DELETE and an abort none.)
enum class RequestKind { kPut, kGet, kList, kDelete };
std::string_view ToString(RequestKind kind);  // As in the names of prices: "put".

class RequestMeter {
 public:
  virtual ~RequestMeter() = default;
  // A number for where a request goes, good as long as the meter. `key`: of a listing its prefix;
  // empty: the bucket itself.
  virtual int PlaceOf(std::string_view bucket, std::string_view key, RequestKind kind) = 0;
  // `storage_class`: as far as request or answer told one, else STANDARD.
  virtual void OnRequests(int place, RequestKind kind, std::string_view storage_class,
                          int count) = 0;
  virtual void OnSent(int place, uint64_t bytes) = 0;
  virtual void OnReceived(int place, uint64_t bytes) = 0;
};

}  // namespace longhaul
