#include "transfer/tree/object_tree.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "transfer/tree/version_history.h"

namespace longhaul {

namespace {

void AppendField(std::string& to, std::string_view text) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    to += static_cast<char>(static_cast<uint64_t>(text.size()) >> shift & 0xFF);
  }
  to += text;
}

// Of labels in byte order, each with its value.
std::string HashFields(const std::map<std::string, std::string>& fields) {
  std::string text(1, '\0');
  for (const auto& [label, value] : fields) {
    AppendField(text, label);
    AppendField(text, value);
  }
  return Sha256(text);
}

std::string_view NameOf(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return "crc32";
    case ChecksumAlgorithm::kCrc32c:
      return "crc32c";
    case ChecksumAlgorithm::kCrc64Nvme:
      return "crc64nvme";
    case ChecksumAlgorithm::kSha1:
      return "sha1";
    case ChecksumAlgorithm::kSha256:
      return "sha256";
  }
  return "";
}

}  // namespace

std::string_view TreePrefix(TreeMode mode) {
  return mode == TreeMode::kFull ? "longhaul-tree-1:full:" : "longhaul-tree-1:listing:";
}

bool IsEntryOfCopies(std::string_view name) {
  return name == "longhaul" || name == kVersionIdEntry || name == kVersionTimeEntry;
}

std::string TreeContent(const ObjectInfo& info) {
  if (info.size_bytes == 0) return "empty";
  if (!info.etag_opaque && IsPlainMd5Etag(info.etag)) return "md5:" + info.etag;
  for (ChecksumAlgorithm wanted :
       {ChecksumAlgorithm::kCrc64Nvme, ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kCrc32,
        ChecksumAlgorithm::kSha256, ChecksumAlgorithm::kSha1}) {
    for (const Checksum& checksum : info.checksums) {
      if (checksum.algorithm != wanted || checksum.composite) continue;
      return std::string(NameOf(wanted)) + ":" + checksum.value;
    }
  }
  return "etag:" + info.etag;
}

std::string TreeContent(const ListedObject& object) {
  if (object.size_bytes == 0) return "empty";
  return (IsPlainMd5Etag(object.etag) ? "md5:" : "etag:") + object.etag;
}

std::string HashListed(const ListedObject& object) {
  return HashFields(
      {{"content", TreeContent(object)}, {"size", std::to_string(object.size_bytes)}});
}

std::string HashFull(uint64_t size_bytes, std::string_view content, const ObjectInfo& info,
                     const Tags& tags) {
  std::map<std::string, std::string> fields = {{"content", std::string(content)},
                                               {"size", std::to_string(size_bytes)}};
  const SystemHeaders& headers = info.headers;
  const std::pair<const char*, const std::string*> kHeaders[] = {
      {"header content-type", &headers.content_type},
      {"header content-encoding", &headers.content_encoding},
      {"header content-language", &headers.content_language},
      {"header content-disposition", &headers.content_disposition},
      {"header cache-control", &headers.cache_control},
      {"header expires", &headers.expires},
      {"header website-redirect-location", &headers.website_redirect_location}};
  for (const auto& [label, value] : kHeaders) {
    if (!value->empty()) fields[label] = *value;
  }
  for (const auto& [name, value] : info.metadata) {
    if (!IsEntryOfCopies(name)) fields["metadata " + name] = value;
  }
  for (const auto& [name, value] : tags) fields["tag " + name] = value;
  return HashFields(fields);
}

ObjectTree::ObjectTree(TreeMode mode, OnNode on_node) : mode_(mode), on_node_(std::move(on_node)) {
  Enter(0);
}
ObjectTree::~ObjectTree() = default;
ObjectTree::ObjectTree(ObjectTree&&) noexcept = default;

void ObjectTree::Enter(size_t name_bytes) {
  Level level{.name_bytes = name_bytes, .hasher = NewHasher(HashKind::kSha256)};
  level.hasher->Update(AsBytes(std::string_view("\1", 1)));
  levels_.push_back(std::move(level));
}

// Closes the innermost prefix and adds it to the one around it.
std::string ObjectTree::Leave() {
  Level level = std::move(levels_.back());
  levels_.pop_back();
  const std::string hash = level.hasher->Finish();
  std::string text = std::string(TreePrefix(mode_)) + HexEncode(hash);
  const std::string_view name = std::string_view(path_).substr(0, level.name_bytes);
  if (on_node_) {
    on_node_({.name = name, .hash = text, .objects = level.objects, .bytes = level.bytes});
  }
  if (!levels_.empty()) {
    Level& around = levels_.back();
    std::string child;
    AppendField(child, name.substr(around.name_bytes));
    child += hash;
    around.hasher->Update(AsBytes(child));
    around.objects += level.objects;
    around.bytes += level.bytes;
  }
  return text;
}

void ObjectTree::Add(std::string_view name, std::string_view hash, uint64_t size_bytes) {
  const size_t folder_bytes = name.rfind('/') == name.npos ? 0 : name.rfind('/') + 1;
  const std::string_view folder = name.substr(0, folder_bytes);
  while (!folder.starts_with(std::string_view(path_).substr(0, levels_.back().name_bytes))) {
    Leave();
  }
  size_t from = levels_.back().name_bytes;
  path_ = folder;
  for (size_t slash = folder.find('/', from); slash != folder.npos;
       slash = folder.find('/', slash + 1)) {
    Enter(slash + 1);
  }
  Level& level = levels_.back();
  std::string child;
  AppendField(child, name.substr(folder_bytes));
  child += hash;
  level.hasher->Update(AsBytes(child));
  ++level.objects;
  level.bytes += size_bytes;
}

std::string ObjectTree::Finish() {
  while (levels_.size() > 1) Leave();
  return Leave();
}

}  // namespace longhaul
