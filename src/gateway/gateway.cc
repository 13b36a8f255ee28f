#include "gateway/gateway.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/bytes.h"
#include "gateway/gateway_impl.h"
#include "gateway/gateway_operations.h"

namespace longhaul {
namespace {

struct Answer {
  std::string_view code;
  int status;
};
// S3's codes and their statuses. (S3 API Reference, "Error responses".)
constexpr std::array kAnswers = {
    Answer{"AccessDenied", 403},
    Answer{"AuthorizationHeaderMalformed", 400},
    Answer{"AuthorizationQueryParametersError", 400},
    Answer{"BadDigest", 400},
    Answer{"BadRequest", 400},
    Answer{"BucketAlreadyOwnedByYou", 409},
    Answer{"BucketNotEmpty", 409},
    Answer{"EntityTooLarge", 400},
    Answer{"EntityTooSmall", 400},
    Answer{"IncompleteBody", 400},
    Answer{"InternalError", 500},
    Answer{"InvalidAccessKeyId", 403},
    Answer{"InvalidArgument", 400},
    Answer{"InvalidBucketName", 400},
    Answer{"InvalidChunkSizeError", 403},
    Answer{"InvalidDigest", 400},
    Answer{"InvalidPart", 400},
    Answer{"InvalidPartNumber", 416},
    Answer{"InvalidPartOrder", 400},
    Answer{"InvalidRange", 416},
    Answer{"InvalidRequest", 400},
    Answer{"InvalidStorageClass", 400},
    Answer{"InvalidTag", 400},
    Answer{"InvalidURI", 400},
    Answer{"KeyNotStorable", 400},
    Answer{"KeyTooLongError", 400},
    Answer{"MalformedTrailerError", 400},
    Answer{"MalformedXML", 400},
    Answer{"MetadataTooLarge", 400},
    Answer{"MethodNotAllowed", 405},
    Answer{"MissingContentLength", 411},
    Answer{"NoSuchBucket", 404},
    Answer{"NoSuchKey", 404},
    Answer{"NoSuchUpload", 404},
    Answer{"NoSuchVersion", 404},
    Answer{"NotImplemented", 501},
    Answer{"PreconditionFailed", 412},
    Answer{"RequestTimeTooSkewed", 403},
    Answer{"ServiceUnavailable", 503},
    Answer{"SignatureDoesNotMatch", 403},
    Answer{"SlowDown", 503},
    Answer{"XAmzContentSHA256Mismatch", 400},
};

// What S3 would have said where the store's error has no code of its own.
Answer AnswerFor(const Error& error) {
  auto known = std::ranges::find(kAnswers, std::string_view(error.code), &Answer::code);
  if (known != kAnswers.end()) return *known;
  switch (error.kind) {
    case ErrorKind::kRetryable:
    case ErrorKind::kCancelled:
      return {"ServiceUnavailable", 503};
    case ErrorKind::kThrottled:
      return {"SlowDown", 503};
    case ErrorKind::kNotFound:
      return {"NoSuchKey", 404};
    case ErrorKind::kPrecondition:
      return {"PreconditionFailed", 412};
    case ErrorKind::kDenied:
      return {"AccessDenied", 403};
    case ErrorKind::kCorrupt:
      return {"InternalError", 500};
    case ErrorKind::kInvalidInput:
      return {"InvalidRequest", 400};
  }
  return {"InternalError", 500};
}

}  // namespace

Error GatewayError(std::string code, std::string message) {
  Error error = InvalidInput(std::move(message));
  error.code = std::move(code);
  return error;
}

std::string XmlTime(SystemTime time) {
  auto second = std::chrono::floor<std::chrono::seconds>(time);
  auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(time - second).count();
  std::string text = FormatRfc3339(second);
  std::string digits = std::to_string(1000 + rest).substr(1);
  return text.substr(0, text.size() - 1) + "." + digits + "Z";
}

Gateway::Impl::Impl(const Runtime& runtime, Store& store, GatewayOptions given)
    : runtime(runtime),
      store(store),
      options(std::move(given)),
      keys{options.access_key_id, options.secret_access_key},
      memory(options.memory_bytes) {}

asio::awaitable<void> Gateway::Impl::Handle(HttpServerRequest& request,
                                            HttpServerResponse& response) {
  std::string id(8, '\0');
  uint64_t chance = runtime.random.Next();
  for (char& c : id) {
    c = static_cast<char>(chance);
    chance >>= 8;
  }
  GatewayCall call{.request = request, .response = response, .request_id = HexEncode(id)};
  response.headers.Add("x-amz-request-id", call.request_id);
  response.headers.Add("Server", "longhaul");
  Result<void> served = co_await Serve(call);
  if (!served) co_await SendError(call, served.error());
  runtime.metrics
      .counter("longhaul_gateway_requests_total", "Requests to the S3 gateway, by status",
               {{"status", std::to_string(response.status)}})
      .Add();
}

Async<void> Gateway::Impl::Serve(GatewayCall& call) {
  Result<QueryParameters> query = ParseQuery(call.request.query());
  if (!query) co_return query.error();
  call.query = std::move(*query);
  Result<SignedRequest> verified =
      VerifySigV4(call.request.head, call.query, keys, runtime.clock.Now());
  if (!verified) co_return verified.error();
  call.signature = std::move(*verified);

  std::string_view path = call.request.path();
  path.remove_prefix(std::min<size_t>(1, path.size()));
  size_t slash = path.find('/');
  Result<std::string> bucket = PercentDecode(path.substr(0, slash));
  Result<std::string> key =
      PercentDecode(slash == std::string_view::npos ? "" : path.substr(slash + 1));
  if (!bucket || !key) co_return GatewayError("InvalidURI", "Couldn't parse the specified URI.");
  call.bucket = std::move(*bucket);
  call.key = std::move(*key);

  Result<GatewayOperation> operation = FindGatewayOperation({.method = call.method(),
                                                             .names_bucket = !call.bucket.empty(),
                                                             .names_key = !call.key.empty(),
                                                             .query = call.query,
                                                             .headers = call.request.headers()});
  if (!operation) co_return operation.error();
  if (call.key.size() > 1024) co_return GatewayError("KeyTooLongError", "Your key is too long");
  co_return co_await Perform(*operation, call);
}

Async<void> Gateway::Impl::Perform(GatewayOperation operation, GatewayCall& call) {
  switch (operation) {
    case GatewayOperation::kListBuckets:
      return ListBuckets(call);
    case GatewayOperation::kHeadBucket:
      return HeadBucket(call);
    case GatewayOperation::kCreateBucket:
      return CreateBucket(call);
    case GatewayOperation::kDeleteBucket:
      return DeleteBucket(call);
    case GatewayOperation::kGetBucketLocation:
      return GetLocation(call);
    case GatewayOperation::kGetBucketVersioning:
      return GetVersioning(call);
    case GatewayOperation::kPutBucketVersioning:
      return PutVersioning(call);
    case GatewayOperation::kListObjects:
    case GatewayOperation::kListObjectsV2:
      return ListObjects(call);
    case GatewayOperation::kListObjectVersions:
      return ListVersions(call);
    case GatewayOperation::kListMultipartUploads:
      return ListUploads(call);
    case GatewayOperation::kDeleteObjects:
      return DeleteMany(call);
    case GatewayOperation::kGetObject:
      return GetObject(call);
    case GatewayOperation::kHeadObject:
      return HeadObject(call);
    case GatewayOperation::kPutObject:
      return PutObject(call);
    case GatewayOperation::kCopyObject:
      return CopyObject(call);
    case GatewayOperation::kDeleteObject:
      return DeleteObject(call);
    case GatewayOperation::kGetObjectTagging:
      return GetTagging(call);
    case GatewayOperation::kPutObjectTagging:
      return PutTagging(call, false);
    case GatewayOperation::kDeleteObjectTagging:
      return PutTagging(call, true);
    case GatewayOperation::kCreateMultipartUpload:
      return CreateUpload(call);
    case GatewayOperation::kUploadPart:
      return UploadPart(call);
    case GatewayOperation::kUploadPartCopy:
      return UploadPartCopy(call);
    case GatewayOperation::kListParts:
      return ListParts(call);
    case GatewayOperation::kCompleteMultipartUpload:
      return CompleteUpload(call);
    case GatewayOperation::kAbortMultipartUpload:
      return AbortUpload(call);
  }
  std::unreachable();
}

asio::awaitable<void> Gateway::Impl::SendError(GatewayCall& call, Error error) {
  if (call.response.started()) co_return;  // The server cuts the answer, which says enough.
  // What has been said of an object is not true of the error.
  std::string date(call.response.headers.Get("Date"));
  call.response.headers.clear();
  call.response.headers.Add("x-amz-request-id", call.request_id);
  call.response.headers.Add("Server", "longhaul");
  if (!date.empty()) call.response.headers.Add("Date", date);
  if (error.code == "DeleteMarker") {
    error.code = "NoSuchKey";
    call.response.headers.Set("x-amz-delete-marker", "true");
  }
  Answer answer = AnswerFor(error);
  if (answer.status >= 500 && answer.status != 501) {
    runtime.log.Warning("gateway request failed", {{"method", call.method()},
                                                   {"bucket", call.bucket},
                                                   {"key", call.key},
                                                   {"request", call.request_id},
                                                   LogField(error)});
  }
  call.response.status = answer.status;
  if (call.method() == "HEAD") {
    (void)co_await call.response.Send();
    co_return;
  }
  XmlWriter xml("Error");
  xml.Text("Code", answer.code);
  xml.Text("Message", error.message);
  if (!call.key.empty()) xml.Text("Key", call.key);
  if (!call.bucket.empty()) xml.Text("BucketName", call.bucket);
  xml.Text("Resource", call.request.path());
  xml.Text("RequestId", call.request_id);
  (void)co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::SendXml(GatewayCall& call, std::string xml) {
  call.response.headers.Set("Content-Type", "application/xml");
  return call.response.Send(std::move(xml));
}

Async<std::string> Gateway::Impl::ReadBody(GatewayCall& call, size_t size_bytes_max,
                                           bool with_checksum) {
  auto body = GatewayBody::Open(call.request, call.signature, runtime.pool, with_checksum);
  if (!body) co_return body.error();
  if ((*body)->size_bytes() > size_bytes_max) {
    co_return GatewayError("EntityTooLarge", "the body is too large");
  }
  std::string text(static_cast<size_t>((*body)->size_bytes()) + 1, '\0');
  size_t filled = 0;
  while (true) {
    Result<size_t> count =
        co_await (*body)->Read(std::as_writable_bytes(std::span(text)).subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
  }
  text.resize(filled);
  co_return text;
}

Async<std::optional<Gateway::Impl::HeldBody>> Gateway::Impl::Hold(ByteSource& body,
                                                                  uint64_t size_bytes_max) {
  uint64_t size = body.size_bytes();
  if (size > size_bytes_max) co_return std::optional<HeldBody>();
  std::optional<Reservation> reservation = memory.TryReserve(static_cast<int64_t>(size) + 1);
  if (!reservation) co_return std::optional<HeldBody>();
  HeldBody held{std::move(*reservation), std::string(static_cast<size_t>(size) + 1, '\0')};
  size_t filled = 0;
  while (true) {
    Result<size_t> count =
        co_await body.Read(std::as_writable_bytes(std::span(held.bytes)).subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
  }
  held.bytes.resize(filled);
  co_return std::optional<HeldBody>(std::move(held));
}

void Gateway::Impl::Notify(const GatewayCall& call, std::string name, std::string key,
                           const PutResult& result, uint64_t size_bytes) {
  if (notifier == nullptr) return;
  notifier->Add({.name = std::move(name),
                 .bucket = call.bucket,
                 .key = std::move(key),
                 .etag = result.etag,
                 .version_id = result.version_id,
                 .size_bytes = size_bytes,
                 .time = runtime.clock.Now(),
                 .request_id = call.request_id,
                 .source_address = call.request.peer.substr(0, call.request.peer.rfind(':'))});
}

void Gateway::Impl::NotifyRemoved(const GatewayCall& call, std::string name, std::string key) {
  if (notifier == nullptr) return;
  notifier->Add({.name = std::move(name),
                 .bucket = call.bucket,
                 .key = std::move(key),
                 .has_object = false,
                 .time = runtime.clock.Now(),
                 .request_id = call.request_id,
                 .source_address = call.request.peer.substr(0, call.request.peer.rfind(':'))});
}

Gateway::Gateway(const Runtime& runtime, Store& store, GatewayOptions options)
    : impl_(std::make_unique<Impl>(runtime, store, std::move(options))) {}

Gateway::~Gateway() = default;

Async<void> Gateway::Start(std::string listen) {
  if (impl_->keys.access_key_id.empty() || impl_->keys.secret_access_key.empty()) {
    co_return InvalidInput("a gateway needs an access key id and a secret access key");
  }
  HttpServerOptions options;
  options.connections_max = impl_->options.connections_max;
  Impl* impl = impl_.get();
  impl_->server = std::make_unique<HttpServer>(
      impl_->runtime,
      [impl](HttpServerRequest& request, HttpServerResponse& response) {
        return impl->Handle(request, response);
      },
      options);
  Result<void> listening = co_await impl_->server->Listen(std::move(listen));
  if (!listening) co_return listening.error();
  if (!impl_->options.event_webhook.empty()) {
    impl_->notifier = std::make_unique<Notifier>(impl_->runtime, impl_->options.event_webhook,
                                                 impl_->options.region);
    SpawnDetached(impl_->runtime.executor, impl_->notifier->Run());
  }
  co_return Ok();
}

std::string Gateway::endpoint() const {
  return impl_->server == nullptr ? "" : "http://" + impl_->server->address();
}

Async<void> Gateway::Stop(std::chrono::milliseconds grace) {
  if (impl_->server != nullptr) {
    Result<void> stopped = co_await impl_->server->Stop(grace);
    if (!stopped) co_return stopped;
  }
  if (impl_->notifier != nullptr) co_await impl_->notifier->Stop(grace);
  co_return Ok();
}

}  // namespace longhaul
