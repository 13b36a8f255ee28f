// What the S3 client tells a RequestMeter: of which kind a request is, and the bytes of its bodies.
//
// Internal to the S3 store.

#pragma once

#include <memory>
#include <utility>

#include "storage/request_meter.h"
#include "storage/s3_client.h"

namespace longhaul {

RequestKind KindOf(const S3Request& request);

// Counts one request. The meter outlives it.
class S3Metering {
 public:
  // `meter`: null counts nothing.
  S3Metering(std::shared_ptr<RequestMeter> meter, const S3Request& request);

  // Before it is sent: takes note of its body, and of how often it goes out. `this` stays where it
  // is until Sent.
  void Send(HttpRequest& http);
  // After it. The body of an answer is counted while it is read.
  void Sent(Result<HttpResponse>& response);

 private:
  class CountingSource : public HttpBodySource {
   public:
    HttpBodySource* source = nullptr;
    RequestMeter* meter = nullptr;
    int place = 0;
    Async<size_t> Read(std::span<std::byte> out) override;
  };

  std::shared_ptr<RequestMeter> meter_;
  const S3Request& request_;
  RequestKind kind_ = RequestKind::kGet;
  int place_ = 0;
  int times_ = 0;
  CountingSource source_;
};

}  // namespace longhaul
