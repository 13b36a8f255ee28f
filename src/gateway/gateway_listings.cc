// Listings: objects, versions and uploads, by any delimiter.

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "gateway/gateway_impl.h"

namespace longhaul {
namespace {

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

std::string_view ClassOf(const std::string& storage_class) {
  return storage_class.empty() ? std::string_view("STANDARD") : storage_class;
}

// Tokens of listings by other delimiters than "/".
constexpr std::string_view kTokenOfKey = "roll/k/";
constexpr std::string_view kTokenOfPrefix = "roll/p/";

// Greater than all keys that begin so, and less than all others that come after them.
std::string Behind(std::string_view prefix) {
  return std::string(prefix) + std::string(1025 - std::min<size_t>(prefix.size(), 1024), '\xff');
}

Result<void> CheckEncoding(const GatewayCall& call) {
  if (!call.Has("encoding-type") || call.Query("encoding-type") == "url") return Ok();
  return GatewayError("InvalidArgument", "Invalid Encoding Method specified in Request");
}

}  // namespace

Result<int> ReadListCount(const GatewayCall& call, const std::string& name, int count_max) {
  std::string text = call.Query(name);
  if (text.empty()) return count_max;
  int count = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failed != std::errc() || end != text.data() + text.size() || count < 0) {
    return GatewayError("InvalidArgument", name + " is not a count");
  }
  return std::min(count, count_max);
}

// Stores know the delimiter "/" alone. With another one the keys are listed, and those that share
// a beginning up to it become one line; the listing then goes on behind all of them at once.
Async<ListPage> Gateway::Impl::List(ListRequest request) {
  if (request.delimiter.empty() || request.delimiter == "/") {
    co_return co_await store.List(std::move(request));
  }
  if (!store.capabilities().sorted_listing) {
    co_return GatewayError("NotImplemented", "this store lists by the delimiter / alone");
  }
  if (request.versions) {
    // A page may end between two versions of a key, and no name says which comes next.
    co_return GatewayError("NotImplemented", "versions are listed by the delimiter / alone");
  }
  std::string delimiter = std::exchange(request.delimiter, "");
  size_t count_max = static_cast<size_t>(std::clamp(request.count_max, 1, 1000));
  std::string skip;  // A beginning that has been told.
  if (!request.token.empty()) {
    if (!request.token.starts_with(kTokenOfKey) && !request.token.starts_with(kTokenOfPrefix)) {
      co_return GatewayError("InvalidArgument", "The continuation token provided is incorrect");
    }
    request.start_after = request.token.substr(kTokenOfKey.size());
    if (request.token.starts_with(kTokenOfPrefix)) skip = request.start_after;
    request.token.clear();
  }
  if (!skip.empty()) request.start_after = Behind(skip);
  request.count_max = 1000;
  ListPage page;
  std::string last;
  while (true) {
    Result<ListPage> next = co_await store.List(request);
    if (!next) co_return next.error();
    for (ListedObject& object : next->objects) {
      if (!skip.empty() && object.key.starts_with(skip)) continue;
      if (page.objects.size() + page.common_prefixes.size() == count_max) {
        page.next_token = std::move(last);
        co_return page;
      }
      size_t at = object.key.find(delimiter, request.prefix.size());
      if (at == std::string::npos) {
        last = std::string(kTokenOfKey) + object.key;
        page.objects.push_back(std::move(object));
        continue;
      }
      skip = object.key.substr(0, at + delimiter.size());
      last = std::string(kTokenOfPrefix) + skip;
      page.common_prefixes.push_back(skip);
    }
    if (next->next_token.empty()) co_return page;
    request.token = next->next_token;
    if (!skip.empty() && !next->objects.empty() && next->objects.back().key.starts_with(skip)) {
      request.token.clear();
      request.start_after = Behind(skip);
    }
  }
}
Async<void> Gateway::Impl::ListObjects(GatewayCall& call) {
  bool second = call.Query("list-type") == "2";
  Result<void> encoding = CheckEncoding(call);
  if (!encoding) co_return encoding.error();
  Result<int> count = ReadListCount(call, "max-keys", 1000);
  if (!count) co_return count.error();
  ListRequest request{.bucket = call.bucket,
                      .prefix = call.Query("prefix"),
                      .delimiter = call.Query("delimiter"),
                      .count_max = std::max(*count, 1)};
  if (second) {
    request.start_after = call.Query("start-after");
    if (!call.Query("continuation-token").empty()) {
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
      request.start_after = Behind(request.start_after);
    }
  }
  Result<ListPage> page = co_await List(request);
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
  Result<void> encoding = CheckEncoding(call);
  if (!encoding) co_return encoding.error();
  // Where none are kept each object is its own only version, called "null".
  bool versions = store.capabilities().versions;
  Result<int> count = ReadListCount(call, "max-keys", 1000);
  if (!count) co_return count.error();
  ListRequest request{.bucket = call.bucket,
                      .prefix = call.Query("prefix"),
                      .start_after = call.Query("key-marker"),
                      .delimiter = call.Query("delimiter"),
                      .count_max = std::max(*count, 1),
                      .versions = versions};
  if (call.Has("version-id-marker") && request.start_after.empty()) {
    co_return GatewayError("InvalidArgument",
                           "A version-id marker cannot be specified without a key marker.");
  }
  if (!versions && !request.delimiter.empty() && request.start_after.ends_with(request.delimiter) &&
      request.start_after.size() > request.prefix.size()) {
    request.start_after = Behind(request.start_after);
  }
  // The version id marker that we gave is the store's token.
  if (versions && call.Has("version-id-marker")) {
    Result<std::string> token = Base64Decode(call.Query("version-id-marker"));
    if (!token || token->empty()) {
      co_return GatewayError("InvalidArgument", "The version-id-marker is not one of ours");
    }
    request.token = *token;
  }
  Result<ListPage> page = co_await List(request);
  if (!page) co_return page.error();
  if (*count == 0) *page = ListPage();
  KeyWriter key(call);
  XmlWriter xml("ListVersionsResult");
  xml.Text("Name", call.bucket);
  xml.Text("Prefix", key(request.prefix));
  xml.Text("KeyMarker", key(call.Query("key-marker")));
  xml.Text("VersionIdMarker", call.Query("version-id-marker"));
  if (!request.delimiter.empty()) xml.Text("Delimiter", key(request.delimiter));
  xml.Text("MaxKeys", std::to_string(*count));
  key.Say(xml);
  xml.Text("IsTruncated", page->next_token.empty() ? "false" : "true");
  if (!page->next_token.empty()) {
    std::string last = page->objects.empty() ? "" : page->objects.back().key;
    if (!page->common_prefixes.empty()) last = std::max(last, page->common_prefixes.back());
    xml.Text("NextKeyMarker", key(last));
    xml.Text("NextVersionIdMarker", versions ? Base64Encode(page->next_token) : "null");
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
    WriteOwner(xml);
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
  Result<void> encoding = CheckEncoding(call);
  if (!encoding) co_return encoding.error();
  Result<int> count = ReadListCount(call, "max-uploads", 1000);
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
  // Those that share a beginning up to the delimiter are one line.
  std::string prefix = call.Query("prefix");
  std::string delimiter = call.Query("delimiter");
  std::vector<MultipartUpload> lines;
  std::vector<std::string> common_prefixes;
  std::string next_key;
  std::string next_id;
  bool truncated = false;
  for (MultipartUpload& upload : *uploads) {
    size_t at = delimiter.empty() ? std::string::npos : upload.key.find(delimiter, prefix.size());
    std::string common = at == std::string::npos ? "" : upload.key.substr(0, at + delimiter.size());
    bool told =
        !common.empty() &&
        ((!common_prefixes.empty() && common_prefixes.back() == common) || common <= key_marker);
    if (told) continue;
    if (lines.size() + common_prefixes.size() == static_cast<size_t>(*count)) {
      truncated = *count > 0;
      break;
    }
    next_key = common.empty() ? upload.key : common;
    next_id = common.empty() ? upload.upload_id : "";
    if (common.empty()) {
      lines.push_back(std::move(upload));
    } else {
      common_prefixes.push_back(common);
    }
  }
  KeyWriter key(call);
  XmlWriter xml("ListMultipartUploadsResult");
  xml.Text("Bucket", call.bucket);
  xml.Text("KeyMarker", key(key_marker));
  xml.Text("UploadIdMarker", id_marker);
  xml.Text("Prefix", key(prefix));
  if (!delimiter.empty()) xml.Text("Delimiter", key(delimiter));
  xml.Text("MaxUploads", std::to_string(*count));
  key.Say(xml);
  xml.Text("IsTruncated", truncated ? "true" : "false");
  if (truncated) {
    xml.Text("NextKeyMarker", key(next_key));
    xml.Text("NextUploadIdMarker", next_id);
  }
  for (const MultipartUpload& upload : lines) {
    xml.Open("Upload");
    xml.Text("Key", key(upload.key));
    xml.Text("UploadId", upload.upload_id);
    xml.Text("StorageClass", "STANDARD");
    xml.Text("Initiated", XmlTime(upload.initiated));
    xml.Close();
  }
  for (const std::string& common : common_prefixes) {
    xml.Open("CommonPrefixes");
    xml.Text("Prefix", key(common));
    xml.Close();
  }
  co_return co_await SendXml(call, xml.Finish());
}

}  // namespace longhaul
