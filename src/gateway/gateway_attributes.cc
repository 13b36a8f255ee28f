// What an object is made of: its attributes, and its parts.

#include <algorithm>
#include <charconv>

#include "gateway/gateway_impl.h"

namespace longhaul {
namespace {

constexpr int kPartsMax = 1000;  // In one answer; each is a look at the store.

Result<int> ReadCount(const GatewayCall& call, const char* header, int missing) {
  std::string_view text = call.Header(header);
  if (text.empty()) return missing;
  int count = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failed != std::errc() || end != text.data() + text.size() || count < 0) {
    return GatewayError("InvalidArgument", std::string(header) + " is not a number");
  }
  return count;
}

}  // namespace

std::string ChecksumValue(const ObjectInfo& info, const Checksum& checksum) {
  if (!checksum.composite) return checksum.value;
  return checksum.value + "-" + info.etag.substr(info.etag.rfind('-') + 1);
}

void WriteChecksum(XmlWriter& xml, const ObjectInfo& info) {
  if (info.checksums.empty()) return;
  const Checksum& checksum = info.checksums.back();
  xml.Text("Checksum" + std::string(ChecksumAlgorithmName(checksum.algorithm)),
           ChecksumValue(info, checksum));
  xml.Text("ChecksumType", checksum.composite ? "COMPOSITE" : "FULL_OBJECT");
}

Async<ByteRange> Gateway::Impl::FindPart(GatewayCall& call, int number, ObjectInfo& info) {
  ByteRange range;
  // The asked one first: where it is not there, nothing else need be looked at.
  for (int part : {number, 1}) {
    for (; part == number ? range.size_bytes == 0 : part < number; ++part) {
      Result<ObjectInfo> head = co_await store.Head({.bucket = call.bucket,
                                                     .key = call.key,
                                                     .version_id = call.Query("versionId"),
                                                     .part_number = part});
      if (!head) co_return head.error();
      if (part == number) {
        info = std::move(*head);
        range.size_bytes = info.size_bytes;
        break;
      }
      if (head->etag != info.etag) co_return Retryable("the object has changed meanwhile");
      range.offset_bytes += head->size_bytes;
    }
  }
  co_return range;
}

Async<void> Gateway::Impl::GetAttributes(GatewayCall& call) {
  static constexpr std::string_view kKnown[] = {"ETag", "Checksum", "ObjectParts", "StorageClass",
                                                "ObjectSize"};
  std::vector<std::string> wanted;
  for (const auto& [name, value] : call.request.headers().entries()) {
    if (!std::ranges::equal(name, std::string_view("x-amz-object-attributes"), [](char a, char b) {
          return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
        })) {
      continue;
    }
    std::string_view rest = value;
    while (!rest.empty()) {
      size_t comma = rest.find(',');
      std::string_view one = rest.substr(0, comma);
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
      while (one.starts_with(' ')) one.remove_prefix(1);
      while (one.ends_with(' ')) one.remove_suffix(1);
      if (std::ranges::find(kKnown, one) == std::end(kKnown)) {
        co_return GatewayError("InvalidArgument", "Invalid attribute name specified.");
      }
      wanted.emplace_back(one);
    }
  }
  if (wanted.empty()) {
    co_return GatewayError("InvalidRequest", "The x-amz-object-attributes header is missing");
  }
  Result<int> max_parts = ReadCount(call, "x-amz-max-parts", kPartsMax);
  Result<int> marker = ReadCount(call, "x-amz-part-number-marker", 0);
  if (!max_parts) co_return max_parts.error();
  if (!marker) co_return marker.error();
  auto wants = [&](std::string_view name) {
    return std::ranges::find(wanted, name) != wanted.end();
  };

  HeadRequest head{.bucket = call.bucket,
                   .key = call.key,
                   .version_id = call.Query("versionId"),
                   .part_number = std::nullopt};
  Result<ObjectInfo> info = co_await store.Head(head);
  if (!info) co_return info.error();
  call.response.headers.Set("Last-Modified", FormatHttpDate(info->last_modified));
  if (!info->version_id.empty()) call.response.headers.Set("x-amz-version-id", info->version_id);
  XmlWriter xml("GetObjectAttributesResponse");
  if (wants("ETag")) xml.Text("ETag", info->etag);
  if (wants("Checksum") && !info->checksums.empty()) {
    xml.Open("Checksum");
    WriteChecksum(xml, *info);
    xml.Close();
  }
  if (wants("ObjectParts") && info->etag.contains('-')) {
    head.part_number = 1;
    Result<ObjectInfo> first = co_await store.Head(head);
    if (!first) co_return first.error();
    int count = first->part_count;
    const int after = std::min(*marker, kPartsMax);  // Behind the last there is none.
    int last = std::min(count, after + std::min(*max_parts, kPartsMax));
    xml.Open("ObjectParts");
    xml.Text("PartsCount", std::to_string(count));
    xml.Text("PartNumberMarker", std::to_string(*marker));
    xml.Text("NextPartNumberMarker", std::to_string(last));
    xml.Text("MaxParts", std::to_string(std::min(*max_parts, kPartsMax)));
    xml.Text("IsTruncated", last < count ? "true" : "false");
    for (int number = after + 1; number <= last; ++number) {
      head.part_number = number;
      Result<ObjectInfo> part = co_await store.Head(head);
      if (!part) co_return part.error();
      if (part->etag != info->etag) co_return Retryable("the object has changed meanwhile");
      xml.Open("Part");
      xml.Text("PartNumber", std::to_string(number));
      xml.Text("Size", std::to_string(part->size_bytes));
      xml.Close();
    }
    xml.Close();
  }
  if (wants("StorageClass")) {
    xml.Text("StorageClass", info->storage_class.empty() ? "STANDARD" : info->storage_class);
  }
  if (wants("ObjectSize")) xml.Text("ObjectSize", std::to_string(info->size_bytes));
  co_return co_await SendXml(call, xml.Finish());
}

}  // namespace longhaul
