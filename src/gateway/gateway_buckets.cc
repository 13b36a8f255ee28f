// Buckets, and batches of deletes.

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "gateway/gateway_impl.h"

namespace longhaul {
namespace {

constexpr size_t kConfigurationBytesMax = 64 << 10;
constexpr size_t kDeleteBytesMax = 2 << 20;

}  // namespace

Async<void> Gateway::Impl::ListBuckets(GatewayCall& call) {
  Result<int> count = ReadListCount(call, "max-buckets", 10'000);
  if (!count) co_return count.error();
  if (*count == 0) co_return GatewayError("InvalidArgument", "max-buckets is 1 to 10000");
  std::string after;
  if (call.Has("continuation-token")) {
    Result<std::string> token = Base64Decode(call.Query("continuation-token"));
    if (!token || token->empty()) {
      co_return GatewayError("InvalidArgument", "The continuation token provided is incorrect");
    }
    after = *token;
  }
  Result<std::vector<BucketInfo>> buckets = co_await store.ListBuckets();
  if (!buckets) co_return buckets.error();
  bool elsewhere = call.Has("bucket-region") && call.Query("bucket-region") != options.region;
  std::erase_if(*buckets, [&](const BucketInfo& bucket) {
    return elsewhere || bucket.name <= after || !call.user->Knows(bucket.name) ||
           !bucket.name.starts_with(call.Query("prefix"));
  });
  std::ranges::sort(*buckets, {}, &BucketInfo::name);
  bool truncated = buckets->size() > static_cast<size_t>(*count);
  if (truncated) buckets->resize(static_cast<size_t>(*count));
  XmlWriter xml("ListAllMyBucketsResult");
  WriteOwner(xml);
  if (call.Has("prefix")) xml.Text("Prefix", call.Query("prefix"));
  if (truncated) xml.Text("ContinuationToken", Base64Encode(buckets->back().name));
  xml.Open("Buckets");
  for (const BucketInfo& bucket : *buckets) {
    xml.Open("Bucket");
    xml.Text("Name", bucket.name);
    xml.Text("CreationDate", XmlTime(bucket.created));
    xml.Text("BucketRegion", options.region);
    xml.Close();
  }
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::HeadBucket(GatewayCall& call) {
  Result<void> there = co_await store.HeadBucket(call.bucket);
  if (!there) co_return there.error();
  call.response.headers.Add("x-amz-bucket-region", options.region);
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::CreateBucket(GatewayCall& call) {
  Result<std::string> body = co_await ReadBody(call, kConfigurationBytesMax);
  if (!body) co_return body.error();
  Result<void> known = CheckCreateBucket(*body);
  if (!known) co_return known.error();
  Result<void> named = CheckNewBucketName(call.bucket);
  if (!named) co_return named.error();
  Result<void> created = co_await store.CreateBucket(call.bucket);
  if (!created) co_return created.error();
  call.response.headers.Add("Location", "/" + call.bucket);
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::DeleteBucket(GatewayCall& call) {
  Result<void> removed = co_await store.RemoveBucket(call.bucket);
  if (!removed) co_return removed.error();
  call.response.status = 204;
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::GetLocation(GatewayCall& call) {
  Result<void> there = co_await store.HeadBucket(call.bucket);
  if (!there) co_return there.error();
  std::string region = options.region == "us-east-1" ? "" : options.region;
  co_return co_await SendXml(call,
                             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
                             "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" +
                                 region + "</LocationConstraint>");
}

Async<void> Gateway::Impl::GetVersioning(GatewayCall& call) {
  Result<bool> enabled = co_await store.GetVersioning(call.bucket);
  if (!enabled) co_return enabled.error();
  XmlWriter xml("VersioningConfiguration");
  if (*enabled) xml.Text("Status", "Enabled");
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::PutVersioning(GatewayCall& call) {
  Result<std::string> body = co_await ReadBody(call, kConfigurationBytesMax);
  if (!body) co_return body.error();
  Result<bool> enabled = ParseVersioning(*body);
  if (!enabled) co_return enabled.error();
  Result<void> set = co_await store.SetVersioning(call.bucket, *enabled);
  if (!set) co_return set.error();
  co_return co_await call.response.Send();
}

Async<void> Gateway::Impl::DeleteMany(GatewayCall& call) {
  Result<std::string> text = co_await ReadBody(call, kDeleteBytesMax);
  if (!text) co_return text.error();
  Result<DeleteBody> body = ParseDelete(*text);
  if (!body) co_return body.error();
  Capabilities can = store.capabilities();
  for (RemoveRequest& request : body->requests) {
    request.bucket = call.bucket;
    if (request.if_match == "*") {
      co_return GatewayError("NotImplemented", "the ETag of a batch's key is one, not all");
    }
    if (!request.if_match.empty() && !can.delete_if_match) {
      co_return GatewayError("NotImplemented", "this store does not heed conditions of deletes");
    }
  }
  std::vector<RemoveFailure> denied;
  std::vector<RemoveRequest> allowed;
  for (const RemoveRequest& request : body->requests) {
    if (call.user->MayWrite(call.bucket, request.key)) {
      allowed.push_back(request);
    } else {
      denied.push_back({request.key, GatewayDenied("AccessDenied", "Access Denied")});
    }
  }
  if (allowed.empty()) co_return denied.front().error;
  Result<std::vector<RemoveFailure>> failures =
      co_await store.RemoveMany(call.bucket, std::move(allowed));
  if (!failures) co_return failures.error();
  failures->insert(failures->end(), denied.begin(), denied.end());
  XmlWriter xml("DeleteResult");
  for (const RemoveRequest& request : body->requests) {
    auto failed = std::ranges::find(*failures, request.key, &RemoveFailure::key);
    if (failed != failures->end()) {
      xml.Open("Error");
      xml.Text("Key", request.key);
      if (!request.version_id.empty()) xml.Text("VersionId", request.version_id);
      xml.Text("Code", failed->error.code.empty() ? "InternalError" : failed->error.code);
      xml.Text("Message", failed->error.message);
      xml.Close();
      continue;
    }
    NotifyRemoved(call, "ObjectRemoved:Delete", request.key);
    if (body->quiet) continue;
    xml.Open("Deleted");
    xml.Text("Key", request.key);
    if (!request.version_id.empty()) xml.Text("VersionId", request.version_id);
    xml.Close();
  }
  co_return co_await SendXml(call, xml.Finish());
}

}  // namespace longhaul
