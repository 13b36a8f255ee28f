#include "storage/s3_metering.h"

#include <algorithm>

namespace longhaul {

namespace {

bool Has(const S3Request& request, std::string_view name) {
  return std::ranges::any_of(request.query, [&](const auto& field) { return field.first == name; });
}

// What is listed: "prefix" of a listing, else the key.
std::string_view KeyOf(const S3Request& request) {
  for (const auto& [name, value] : request.query) {
    if (name == "prefix" && request.key.empty()) return value;
  }
  return request.key;
}

class CountingBody : public HttpBody {
 public:
  CountingBody(std::unique_ptr<HttpBody> body, std::shared_ptr<RequestMeter> meter, int place)
      : body_(std::move(body)), meter_(std::move(meter)), place_(place) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    Result<size_t> count = co_await body_->Read(out);
    if (count) meter_->OnReceived(place_, *count);
    co_return count;
  }
  [[nodiscard]] const HttpHeaders& trailers() const override { return body_->trailers(); }

 private:
  std::unique_ptr<HttpBody> body_;
  std::shared_ptr<RequestMeter> meter_;  // shared: a stream may outlive its store.
  int place_;
};

}  // namespace

std::string_view ToString(RequestKind kind) {
  switch (kind) {
    case RequestKind::kPut:
      return "put";
    case RequestKind::kGet:
      return "get";
    case RequestKind::kList:
      return "list";
    case RequestKind::kDelete:
      return "delete";
  }
  return "get";
}

// Amazon S3 User Guide, "Understanding your AWS billing and usage reports for Amazon S3". Deletes
// of many keys are POSTs: rather too dear than too cheap.
RequestKind KindOf(const S3Request& request) {
  if (request.method == "PUT" || request.method == "POST") return RequestKind::kPut;
  if (request.method == "DELETE") return RequestKind::kDelete;
  if (request.method != "GET") return RequestKind::kGet;
  if (request.bucket.empty()) return RequestKind::kList;  // Of buckets.
  if (!request.key.empty()) {
    return Has(request, "uploadId") ? RequestKind::kList : RequestKind::kGet;  // Of parts.
  }
  // ListObjects has no word of its own: every listing has this one, and no other request.
  const bool lists = Has(request, "list-type") || Has(request, "versions") ||
                     Has(request, "uploads") || Has(request, "max-keys");
  return lists ? RequestKind::kList : RequestKind::kGet;
}

Async<size_t> S3Metering::CountingSource::Read(std::span<std::byte> out) {
  Result<size_t> count = co_await source->Read(out);
  if (count) meter->OnSent(place, *count);
  co_return count;
}

S3Metering::S3Metering(std::shared_ptr<RequestMeter> meter, const S3Request& request)
    : meter_(std::move(meter)), request_(request) {
  if (meter_ == nullptr) return;
  kind_ = KindOf(request);
  place_ = meter_->PlaceOf(request.bucket, KeyOf(request), kind_);
}

void S3Metering::Send(HttpRequest& http) {
  if (meter_ == nullptr) return;
  times_ = 0;
  http.times_sent = &times_;
  if (http.source != nullptr) {
    source_.source = http.source;
    source_.meter = meter_.get();
    source_.place = place_;
    http.source = &source_;
  }
}

void S3Metering::Sent(Result<HttpResponse>& response) {
  if (meter_ == nullptr) return;
  // Of a client that does not count them.
  if (times_ == 0 && (response || response.error().code != kNotSentCode)) times_ = 1;
  if (times_ == 0) return;
  std::string_view storage_class = request_.headers.Get("x-amz-storage-class");
  if (response && storage_class.empty()) {
    storage_class = response->headers.Get("x-amz-storage-class");
  }
  meter_->OnRequests(place_, kind_, storage_class.empty() ? "STANDARD" : storage_class, times_);
  if (request_.body) {
    meter_->OnSent(place_, request_.body->size() * static_cast<uint64_t>(times_));
  }
  if (response && response->body != nullptr) {
    response->body = std::make_unique<CountingBody>(std::move(response->body), meter_, place_);
  }
}

}  // namespace longhaul
