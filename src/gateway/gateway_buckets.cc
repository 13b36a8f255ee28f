// Buckets and listings.

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "gateway/gateway_impl.h"

namespace longhaul {
namespace {

constexpr size_t kConfigurationBytesMax = 64 << 10;
constexpr size_t kDeleteBytesMax = 2 << 20;

Result<int> ReadCount(const GatewayCall& call, const std::string& name, int count_max = 1000) {
  std::string text = call.Query(name);
  if (text.empty()) return count_max;
  int count = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failed != std::errc() || end != text.data() + text.size() || count < 0) {
    return GatewayError("InvalidArgument", name + " is not a count");
  }
  return std::min(count, count_max);
}

// Keys in answers, percent-encoded when the client asks for it.
class KeyWriter {
 public:
  explicit KeyWriter(const GatewayCall& call) : encode_(call.Query("encoding-type") == "url") {}
  [[nodiscard]] std::string operator()(std::string_view key) const {
    return encode_ ? PercentEncode(key, Slash::kKeep) : std::string(key);
  }
  void Say(XmlWriter& xml) const {
    if (encode_) xml.Text("EncodingType", "url");
  }

 private:
  bool encode_;
};

constexpr std::string_view kOwner = "longhaul";

void WriteOwner(XmlWriter& xml) {
  xml.Open("Owner");
  xml.Text("ID", kOwner);
  xml.Text("DisplayName", kOwner);
  xml.Close();
}

std::string_view ClassOf(const std::string& storage_class) {
  return storage_class.empty() ? std::string_view("STANDARD") : storage_class;
}

}  // namespace

Async<void> Gateway::Impl::ListBuckets(GatewayCall& call) {
  Result<int> count = ReadCount(call, "max-buckets", 10'000);
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
    return elsewhere || bucket.name <= after || !bucket.name.starts_with(call.Query("prefix"));
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

Async<void> Gateway::Impl::ListObjects(GatewayCall& call) {
  bool second = call.Query("list-type") == "2";
  Result<int> count = ReadCount(call, "max-keys");
  if (!count) co_return count.error();
  ListRequest request{.bucket = call.bucket,
                      .prefix = call.Query("prefix"),
                      .delimiter = call.Query("delimiter"),
                      .count_max = std::max(*count, 1)};
  if (second) {
    request.start_after = call.Query("start-after");
    if (call.Has("continuation-token")) {
      Result<std::string> token = Base64Decode(call.Query("continuation-token"));
      if (!token || token->empty()) {
        co_return GatewayError("InvalidArgument", "The continuation token provided is incorrect");
      }
      request.token = *token;
    }
  } else {
    request.start_after = call.Query("marker");
    // A marker that is a common prefix stands for all below it.
    if (!request.delimiter.empty() && request.start_after.size() > request.prefix.size() &&
        request.start_after.ends_with(request.delimiter)) {
      request.start_after += "\xff\xff";
    }
  }
  Result<ListPage> page = co_await store.List(request);
  if (!page) co_return page.error();
  if (*count == 0) *page = ListPage();

  KeyWriter key(call);
  XmlWriter xml("ListBucketResult");
  xml.Text("Name", call.bucket);
  xml.Text("Prefix", key(request.prefix));
  if (!request.delimiter.empty()) xml.Text("Delimiter", key(request.delimiter));
  xml.Text("MaxKeys", std::to_string(*count));
  key.Say(xml);
  xml.Text("IsTruncated", page->next_token.empty() ? "false" : "true");
  if (second) {
    xml.Text("KeyCount", std::to_string(page->objects.size() + page->common_prefixes.size()));
    if (call.Has("continuation-token")) {
      xml.Text("ContinuationToken", call.Query("continuation-token"));
    }
    if (call.Has("start-after")) xml.Text("StartAfter", key(call.Query("start-after")));
    if (!page->next_token.empty()) {
      xml.Text("NextContinuationToken", Base64Encode(page->next_token));
    }
  } else {
    xml.Text("Marker", key(call.Query("marker")));
    if (!page->next_token.empty()) {
      std::string last = page->objects.empty() ? "" : page->objects.back().key;
      if (!page->common_prefixes.empty()) last = std::max(last, page->common_prefixes.back());
      xml.Text("NextMarker", key(last));
    }
  }
  for (const ListedObject& object : page->objects) {
    xml.Open("Contents");
    xml.Text("Key", key(object.key));
    xml.Text("LastModified", XmlTime(object.last_modified));
    xml.Text("ETag", Quoted(object.etag));
    xml.Text("Size", std::to_string(object.size_bytes));
    xml.Text("StorageClass", ClassOf(object.storage_class));
    if (!second || call.Query("fetch-owner") == "true") WriteOwner(xml);
    xml.Close();
  }
  for (const std::string& prefix : page->common_prefixes) {
    xml.Open("CommonPrefixes");
    xml.Text("Prefix", key(prefix));
    xml.Close();
  }
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::ListVersions(GatewayCall& call) {
  if (!store.capabilities().versions) {
    co_return GatewayError("NotImplemented", "this store keeps no versions");
  }
  Result<int> count = ReadCount(call, "max-keys");
  if (!count) co_return count.error();
  ListRequest request{.bucket = call.bucket,
                      .prefix = call.Query("prefix"),
                      .start_after = call.Query("key-marker"),
                      .delimiter = call.Query("delimiter"),
                      .count_max = std::max(*count, 1),
                      .versions = true};
  // The version id marker that we gave is the store's token.
  if (call.Has("version-id-marker")) {
    Result<std::string> token = Base64Decode(call.Query("version-id-marker"));
    if (!token || token->empty()) {
      co_return GatewayError("InvalidArgument", "The version-id-marker is not one of ours");
    }
    request.token = *token;
  }
  Result<ListPage> page = co_await store.List(request);
  if (!page) co_return page.error();
  KeyWriter key(call);
  XmlWriter xml("ListVersionsResult");
  xml.Text("Name", call.bucket);
  xml.Text("Prefix", key(request.prefix));
  xml.Text("KeyMarker", key(request.start_after));
  xml.Text("MaxKeys", std::to_string(*count));
  key.Say(xml);
  xml.Text("IsTruncated", page->next_token.empty() ? "false" : "true");
  if (!page->next_token.empty()) {
    xml.Text("NextKeyMarker",
             key(page->objects.empty() ? page->common_prefixes.back() : page->objects.back().key));
    xml.Text("NextVersionIdMarker", Base64Encode(page->next_token));
  }
  for (const ListedObject& object : page->objects) {
    xml.Open(object.is_delete_marker ? "DeleteMarker" : "Version");
    xml.Text("Key", key(object.key));
    xml.Text("VersionId", object.version_id.empty() ? "null" : object.version_id);
    xml.Text("IsLatest", object.is_latest ? "true" : "false");
    xml.Text("LastModified", XmlTime(object.last_modified));
    if (!object.is_delete_marker) {
      xml.Text("ETag", Quoted(object.etag));
      xml.Text("Size", std::to_string(object.size_bytes));
      xml.Text("StorageClass", ClassOf(object.storage_class));
    }
    xml.Close();
  }
  for (const std::string& prefix : page->common_prefixes) {
    xml.Open("CommonPrefixes");
    xml.Text("Prefix", key(prefix));
    xml.Close();
  }
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::ListUploads(GatewayCall& call) {
  if (!call.Query("delimiter").empty()) {
    co_return GatewayError("NotImplemented", "no delimiter in listings of uploads here");
  }
  Result<int> count = ReadCount(call, "max-uploads");
  if (!count) co_return count.error();
  std::string key_marker = call.Query("key-marker");
  std::string id_marker = call.Query("upload-id-marker");
  Result<std::vector<MultipartUpload>> uploads =
      co_await store.ListMultipartUploads(call.bucket, call.Query("prefix"));
  if (!uploads) co_return uploads.error();
  std::erase_if(*uploads, [&](const MultipartUpload& upload) {
    if (id_marker.empty()) return upload.key <= key_marker && !key_marker.empty();
    return std::tie(upload.key, upload.upload_id) <= std::tie(key_marker, id_marker);
  });
  bool truncated = uploads->size() > static_cast<size_t>(*count);
  if (truncated) uploads->resize(static_cast<size_t>(*count));
  KeyWriter key(call);
  XmlWriter xml("ListMultipartUploadsResult");
  xml.Text("Bucket", call.bucket);
  xml.Text("KeyMarker", key(key_marker));
  xml.Text("UploadIdMarker", id_marker);
  xml.Text("Prefix", key(call.Query("prefix")));
  xml.Text("MaxUploads", std::to_string(*count));
  key.Say(xml);
  xml.Text("IsTruncated", truncated ? "true" : "false");
  if (truncated && !uploads->empty()) {
    xml.Text("NextKeyMarker", key(uploads->back().key));
    xml.Text("NextUploadIdMarker", uploads->back().upload_id);
  }
  for (const MultipartUpload& upload : *uploads) {
    xml.Open("Upload");
    xml.Text("Key", key(upload.key));
    xml.Text("UploadId", upload.upload_id);
    xml.Text("StorageClass", "STANDARD");
    xml.Text("Initiated", XmlTime(upload.initiated));
    xml.Close();
  }
  co_return co_await SendXml(call, xml.Finish());
}

Async<void> Gateway::Impl::DeleteMany(GatewayCall& call) {
  Result<std::string> text = co_await ReadBody(call, kDeleteBytesMax);
  if (!text) co_return text.error();
  Result<DeleteBody> body = ParseDelete(*text);
  if (!body) co_return body.error();
  Capabilities can = store.capabilities();
  for (RemoveRequest& request : body->requests) {
    request.bucket = call.bucket;
    Result<std::string> if_match = ReadDeleteCondition(request.if_match, can);
    if (!if_match) co_return if_match.error();
  }
  Result<std::vector<RemoveFailure>> failures =
      co_await store.RemoveMany(call.bucket, body->requests);
  if (!failures) co_return failures.error();
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
