#include "storage/s3_operations.h"
#include "storage/s3_xml.h"

namespace longhaul {
namespace {

// What a listing can be asked for without end before it is called broken.
constexpr int kPagesMax = 100'000;

std::string Place(const ListRequest& request) {
  return "list " + request.bucket + "/" + request.prefix;
}

void SetMaxKeys(S3Request& http, int count) {
  for (auto& [name, value] : http.query) {
    if (name == "max-keys") {
      value = std::to_string(count);
      return;
    }
  }
  http.query.emplace_back("max-keys", std::to_string(count));
}

// What all that begins with `prefix` lies in.
std::string FolderOf(const std::string& prefix) {
  return prefix.substr(0, prefix.rfind('/') + 1);  // "" where there is no "/".
}

Async<ListPage> FetchPage(S3Client& client, const S3Request& http, const ListRequest& request,
                          const S3VersionMarkers& markers) {
  Result<S3Answer> answer = co_await client.Call(http);
  if (!answer) co_return answer.error();
  if (!request.versions) {
    co_return ParseS3Listing(std::move(answer->text), client.options().quirks.lists_v2);
  }
  Result<ListPage> page = ParseS3VersionListing(std::move(answer->text));
  if (page && !page->objects.empty() && !markers.version_id.empty() &&
      page->objects.front().key == markers.key &&
      page->objects.front().version_id == markers.version_id) {
    page->objects.erase(page->objects.begin());  // Was on the page before.
  }
  co_return page;
}

}  // namespace

Async<ListPage> S3List(S3Client& client, ListRequest request) {
  S3Request http{.bucket = request.bucket};
  auto add = [&http](const char* name, std::string value) {
    http.query.emplace_back(name, std::move(value));
  };
  S3VersionMarkers markers;
  // Keys may hold what XML cannot.
  add("encoding-type", "url");
  SetMaxKeys(http, request.count_max);
  const bool by_folder = client.options().quirks.lists_folders;
  const std::string prefix = by_folder ? FolderOf(request.prefix) : request.prefix;
  if (!prefix.empty()) add("prefix", prefix);
  if (!request.delimiter.empty()) add("delimiter", request.delimiter);
  if (request.versions) {
    add("versions", "");
    if (!request.token.empty()) {
      Result<S3VersionMarkers> parsed = ParseS3VersionToken(request.token);
      if (!parsed) co_return parsed.error().In(Place(request));
      markers = std::move(*parsed);
      add("key-marker", markers.key);
      if (!markers.version_id.empty()) add("version-id-marker", markers.version_id);
    } else if (!request.start_after.empty()) {
      add("key-marker", request.start_after);
    }
  } else if (!client.options().quirks.lists_v2) {
    // The token is where the last page ended.
    const std::string& marker = request.token.empty() ? request.start_after : request.token;
    if (!marker.empty()) add("marker", marker);
  } else {
    add("list-type", "2");
    if (!request.token.empty()) {
      add("continuation-token", request.token);
    } else if (!request.start_after.empty() && !by_folder) {
      add("start-after", request.start_after);
    }
  }
  Result<ListPage> page = co_await FetchPage(client, http, request, markers);
  if (page && !page->next_token.empty() && page->next_token == request.token) {
    // versitygw begins with the marker itself where that is a delete marker: one more gets past it.
    SetMaxKeys(http, request.count_max + 1);
    page = co_await FetchPage(client, http, request, markers);
  }
  if (!page) co_return page.error().In(Place(request));
  if (!page->next_token.empty() && page->next_token == request.token) {
    co_return Corrupt("the listing does not move on").In(Place(request));
  }
  if (by_folder) {
    std::erase_if(page->objects, [&](const ListedObject& one) {
      return !one.key.starts_with(request.prefix) || one.key <= request.start_after;
    });
    // A folder in the middle of which the listing is to begin has keys behind that.
    std::erase_if(page->common_prefixes, [&](const std::string& folder) {
      return !folder.starts_with(request.prefix) ||
             (folder <= request.start_after && !request.start_after.starts_with(folder));
    });
  }
  co_return page;
}

Async<std::vector<MultipartUpload>> S3ListMultipartUploads(S3Client& client, std::string bucket,
                                                           std::string prefix) {
  const bool by_folder = client.options().quirks.lists_folders;
  const std::string listed = by_folder ? FolderOf(prefix) : prefix;
  std::vector<MultipartUpload> uploads;
  std::string key_marker;
  std::string upload_id_marker;
  for (int pages = 0; pages < kPagesMax; ++pages) {
    S3Request http{.bucket = bucket, .query = {{"uploads", ""}}};
    // Ceph encodes when asked to and does not say so in its answer.
    if (client.is_aws()) http.query.emplace_back("encoding-type", "url");
    if (!listed.empty()) http.query.emplace_back("prefix", listed);
    if (!key_marker.empty()) {
      http.query.emplace_back("key-marker", key_marker);
      if (!by_folder) http.query.emplace_back("upload-id-marker", upload_id_marker);
    }
    Result<S3Answer> answer = co_await client.Call(http);
    Result<S3UploadsPage> page =
        answer ? ParseS3Uploads(answer->text) : Result<S3UploadsPage>(answer.error());
    if (!page) co_return page.error().In("list uploads of " + bucket + "/" + prefix);
    for (MultipartUpload& upload : page->uploads) {
      if (by_folder && !upload.key.starts_with(prefix)) continue;
      upload.bucket = bucket;
      uploads.push_back(std::move(upload));
    }
    if (!page->truncated || page->next_key_marker.empty()) break;
    if (page->next_key_marker == key_marker && page->next_upload_id_marker == upload_id_marker) {
      break;
    }
    key_marker = std::move(page->next_key_marker);
    upload_id_marker = std::move(page->next_upload_id_marker);
  }
  co_return uploads;
}

}  // namespace longhaul
