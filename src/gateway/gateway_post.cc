// Uploads by forms of browsers, signed by a policy. Anybody can send one, so until it is known who
// signed it, and for what, it takes 21 KiB and 20 seconds at most.

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>

#include "gateway/gateway_impl.h"
#include "gateway/protocol/post_form.h"

namespace longhaul {
namespace {

constexpr size_t kFormBytesMax = 8 << 20;  // It is held in memory.
constexpr std::chrono::milliseconds kFieldsTime{20'000};
constexpr std::string_view kFileName = "${filename}";
// What is stored, and what says how to answer. Other fields of Amazon ask for what is not here.
constexpr std::string_view kAmazonFields[] = {"x-amz-algorithm",
                                              "x-amz-credential",
                                              "x-amz-date",
                                              "x-amz-signature",
                                              "x-amz-security-token",
                                              "x-amz-storage-class",
                                              "x-amz-website-redirect-location"};

Result<PutRequest> ReadFields(const PostForm& form) {
  PutRequest put;
  auto text = [&](const char* name) { return std::string(form.Get(name)); };
  put.headers = {.content_type = text("content-type"),
                 .content_encoding = text("content-encoding"),
                 .content_language = text("content-language"),
                 .content_disposition = text("content-disposition"),
                 .cache_control = text("cache-control"),
                 .expires = text("expires"),
                 .website_redirect_location = text("x-amz-website-redirect-location")};
  put.storage_class = text("x-amz-storage-class");
  for (const auto& [name, value] : form.fields) {
    if (std::ranges::any_of(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; }) &&
        name != "tagging") {
      return GatewayError("InvalidArgument", "a line break in the field " + name);
    }
    if (name.starts_with("x-amz-meta-")) {
      put.metadata[name.substr(11)] = value;
    } else if (name.starts_with("x-amz-") &&
               std::ranges::find(kAmazonFields, name) == std::end(kAmazonFields)) {
      return GatewayError("NotImplemented", "not implemented here: the field " + name);
    }
  }
  std::string_view acl = form.Get("acl");
  if (!acl.empty() && acl != "private" && acl != "bucket-owner-full-control") {
    return GatewayError("NotImplemented", "not implemented here: the ACL " + std::string(acl));
  }
  if (!form.Get("tagging").empty()) {
    Result<Tags> tags = ParseTagging(form.Get("tagging"));
    if (!tags) return tags.error();
    put.tags = std::move(*tags);
  }
  return put;
}

// Fills `out`. kInvalidInput: RequestTimeout, IncompleteBody; kRetryable: the client went away.
Async<void> ReadUntil(HttpServerRequest& request, Clock& clock, SteadyTime until,
                      std::span<std::byte> out) {
  for (size_t filled = 0; filled < out.size();) {
    Result<size_t> count = co_await request.ReadBody(out.subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) co_return GatewayError("IncompleteBody", "the form ends too early");
    filled += *count;
    if (filled < out.size() && clock.SteadyNow() > until) {
      co_return GatewayError("RequestTimeout", "the form did not come within the time for it");
    }
  }
  co_return Ok();
}

}  // namespace

bool IsPostForm(const HttpServerRequest& request) {
  return request.method() == "POST" && request.query().empty() &&
         request.headers().Find("Authorization") == nullptr &&
         request.headers().Get("Content-Type").starts_with("multipart/form-data");
}

Async<void> Gateway::Impl::PostObject(GatewayCall& call) {
  const std::optional<uint64_t> size = call.request.head.content_length;
  if (!size) {
    co_return GatewayError("MissingContentLength",
                           "You must provide the Content-Length HTTP header.");
  }
  if (*size > kFormBytesMax) co_return GatewayError("EntityTooLarge", "the form is too large");
  const SteadyTime begun = runtime.clock.SteadyNow();
  const SteadyTime fields_until = begun + std::min(kFieldsTime, options.form_timeout);
  call.response.close = true;  // The rest of a form that is refused is not waited for.
  std::string body(static_cast<size_t>(std::min<uint64_t>(*size, kPostFieldsBytesMax)), '\0');
  Result<void> read = co_await ReadUntil(call.request, runtime.clock, fields_until,
                                         std::as_writable_bytes(std::span(body)));
  if (!read) co_return read.error();
  const bool more = body.size() < *size;
  call.response.close = more;
  Result<PostForm> form = ParsePostFields(call.Header("Content-Type"), body, more);
  if (!form) co_return form.error();
  if (form->fields.contains("awsaccesskeyid") || form->fields.contains("signature")) {
    co_return GatewayError("InvalidRequest",
                           "forms are signed by AWS4-HMAC-SHA256 (signature version 4)");
  }
  if (!form->fields.contains("policy")) {
    co_return GatewayDenied("AccessDenied", "the form has no policy that somebody signed");
  }
  auto text = [&](const char* name) { return std::string(form->Get(name)); };
  Result<size_t> signer = VerifyPolicySignature({.policy = text("policy"),
                                                 .algorithm = text("x-amz-algorithm"),
                                                 .credential = text("x-amz-credential"),
                                                 .date = text("x-amz-date"),
                                                 .signature = text("x-amz-signature")},
                                                keys);
  if (!signer) co_return signer.error();
  call.user = &users[*signer];
  // The policy speaks of the name that is meant.
  auto key = form->fields.find("key");
  if (key == form->fields.end() || key->second.empty()) {
    co_return GatewayError("InvalidArgument", "Bucket POST must contain a field named 'key'.");
  }
  if (size_t at = key->second.find(kFileName); at != std::string::npos) {
    key->second.replace(at, kFileName.size(), form->filename);
  }
  // What was allowed when it began to come is allowed when all of it is here.
  const SystemTime now = runtime.clock.Now();
  Result<void> allowed = CheckPostPolicy(*form, call.bucket, now);
  if (!allowed) co_return allowed.error();
  call.key = key->second;
  Result<void> named = CheckNewKey(call.key);
  if (!named) co_return named.error();
  if (call.key.empty() || !call.user->MayWrite(call.bucket, call.key)) {
    co_return GatewayDenied("AccessDenied", "Access Denied");
  }
  Result<PutRequest> put = ReadFields(*form);
  if (!put) co_return put.error();
  put->bucket = call.bucket;
  put->key = call.key;
  // Whoever has a form may send it as slowly as the time for it allows: nobody waits for that.
  std::optional<Reservation> room = memory.TryReserve(static_cast<int64_t>(*size));
  if (!room) {
    co_return Error{.kind = ErrorKind::kThrottled,
                    .message = "the memory for forms is taken; try again",
                    .code = "SlowDown"};
  }
  const size_t begin = body.size();
  body.resize(static_cast<size_t>(*size));
  read = co_await ReadUntil(call.request, runtime.clock, begun + options.form_timeout,
                            std::as_writable_bytes(std::span(body)).subspan(begin));
  if (!read) co_return read.error();
  call.response.close = false;
  Result<void> found = FindPostFile(*form, body);
  if (!found) co_return found.error();
  allowed = CheckPostPolicy(*form, call.bucket, now);
  if (!allowed) co_return allowed.error();
  MemorySource source(*form->file);
  Result<PutResult> result = co_await store.Put(*put, source);
  if (!result) co_return result.error();
  Notify(call, "ObjectCreated:Post", call.key, *result, form->file->size());

  call.response.headers.Set("ETag", Quoted(result->etag));
  std::string location = "/" + call.bucket + "/" + PercentEncode(call.key, Slash::kKeep);
  std::string redirect = text("success_action_redirect");
  if (redirect.empty()) redirect = text("redirect");
  if (!redirect.empty()) {
    redirect += (redirect.contains('?') ? "&bucket=" : "?bucket=") + call.bucket +
                "&key=" + PercentEncode(call.key, Slash::kEncode) + "&etag=%22" + result->etag +
                "%22";
    call.response.headers.Set("Location", redirect);
    call.response.status = 303;
    co_return co_await call.response.Send();
  }
  call.response.headers.Set("Location", location);
  std::string_view status = form->Get("success_action_status");
  call.response.status = status == "200" ? 200 : status == "201" ? 201 : 204;
  if (status != "201") co_return co_await call.response.Send();
  XmlWriter xml("PostResponse");
  xml.Text("Location", location);
  xml.Text("Bucket", call.bucket);
  xml.Text("Key", call.key);
  xml.Text("ETag", Quoted(result->etag));
  co_return co_await SendXml(call, xml.Finish());
}

}  // namespace longhaul
