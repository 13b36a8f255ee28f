#include "gateway/gateway.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "gateway/gateway_impl.h"
#include "gateway/protocol/operations.h"

namespace longhaul {

std::string XmlTime(SystemTime time) {
  auto second = std::chrono::floor<std::chrono::seconds>(time);
  auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(time - second).count();
  std::string text = FormatRfc3339(second);
  std::string digits = std::to_string(1000 + rest).substr(1);
  return text.substr(0, text.size() - 1) + "." + digits + "Z";
}

Gateway::Impl::Impl(const Runtime& runtime, Store& store, GatewayOptions given)
    : runtime(runtime), store(store), options(std::move(given)), memory(options.memory_bytes) {
  if (!options.access_key_id.empty()) {
    users.push_back(GatewayOwner(options.access_key_id, options.secret_access_key));
  }
  users.insert(users.end(), options.users.begin(), options.users.end());
  for (const GatewayUser& user : users)
    keys.push_back({user.access_key_id, user.secret_access_key});
}

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
  bool is_form = IsPostForm(call.request);
  if (!is_form) {
    Result<SignedRequest> verified =
        VerifySigV4(call.request.head, call.query, keys, runtime.clock.Now());
    if (!verified) co_return verified.error();
    call.signature = std::move(*verified);
    call.user = &users[call.signature.signer];
  }

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
  // Without a signature of its own a request is nothing but a form.
  if (is_form != (*operation == GatewayOperation::kPostObject)) {
    co_return GatewayDenied("AccessDenied", "a POST to a bucket is a form signed by its policy");
  }
  if (is_form) co_return co_await PostObject(call);
  if (call.key.size() > 1024) co_return GatewayError("KeyTooLongError", "Your key is too long");
  Result<void> allowed = Authorize(*operation, call);
  if (!allowed) co_return allowed.error();
  co_return co_await Perform(*operation, call);
}

Result<void> Gateway::Impl::Authorize(GatewayOperation operation, const GatewayCall& call) const {
  auto allowed = [&] {
    const GatewayUser& user = *call.user;
    switch (NeedOf(operation)) {
      case GatewayNeed::kNothing:
        return true;
      case GatewayNeed::kKnowsBucket:
        return user.Knows(call.bucket);
      case GatewayNeed::kOwnsBucket:
        return user.MayWrite(call.bucket, "");
      case GatewayNeed::kReadsPrefix:
        return user.MayRead(call.bucket, call.Query("prefix"));
      case GatewayNeed::kWritesPrefix:
        return user.MayWrite(call.bucket, call.Query("prefix"));
      case GatewayNeed::kReadsKey:
        return user.MayRead(call.bucket, call.key);
      case GatewayNeed::kWritesKey:
        return user.MayWrite(call.bucket, call.key);
    }
    return false;
  };
  bool copies =
      operation == GatewayOperation::kCopyObject || operation == GatewayOperation::kUploadPartCopy;
  if (allowed() && copies) {
    Result<GatewayCopySource> source = ReadCopySource(call);
    if (!source) return source.error();
    if (call.user->MayRead(source->bucket, source->key)) return Ok();
  } else if (allowed()) {
    return Ok();
  }
  return GatewayDenied("AccessDenied",
                       "Access Denied: " + call.user->name + " has no right to that");
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
    case GatewayOperation::kGetBucketAcl:
    case GatewayOperation::kGetObjectAcl:
      return GetAcl(call);
    case GatewayOperation::kPutBucketAcl:
    case GatewayOperation::kPutObjectAcl:
      return PutAcl(call);
    case GatewayOperation::kGetObjectAttributes:
      return GetAttributes(call);
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
    case GatewayOperation::kPostObject:
      return PostObject(call);
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
  GatewayErrorAnswer answer = GatewayAnswerFor(error);
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
  if (impl_->keys.empty() || std::ranges::any_of(impl_->keys, [](const GatewayKeys& key) {
        return key.secret_access_key.empty();
      })) {
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
