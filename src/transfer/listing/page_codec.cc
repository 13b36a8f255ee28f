#include "transfer/listing/page_codec.h"

#include <algorithm>

#include "base/bytes.h"

namespace longhaul {

namespace {

enum Flag : uint8_t {
  kLatest = 1,
  kDeleteMarker = 2,
  kHexEtag = 4,     // 32 lower hex digits, as 16 bytes.
  kOtherEtag = 8,   // Any text.
  kSameClass = 16,  // As of the object before.
  kHasVersion = 32,
};

void AppendNumber(std::string& to, uint64_t value) {
  while (value >= 0x80) {
    to += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  to += static_cast<char>(value);
}

void AppendText(std::string& to, std::string_view text) {
  AppendNumber(to, text.size());
  to += text;
}

uint64_t ZigZag(int64_t value) {
  return static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
}
int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool AppendHex(std::string& to, std::string_view hex) {
  if (hex.size() != 32) return false;
  char bytes[16];
  for (size_t i = 0; i < 16; ++i) {
    int high = HexValue(hex[2 * i]);
    int low = HexValue(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<char>(high << 4 | low);
  }
  to.append(bytes, 16);
  return true;
}

class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool at_end() const { return bytes_.empty(); }
  [[nodiscard]] bool ok() const { return ok_; }

  uint64_t Number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) break;
      auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  std::string_view Bytes(uint64_t count) {
    if (count > bytes_.size()) {
      ok_ = false;
      return {};
    }
    std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  std::string_view Text() { return Bytes(Number()); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace

std::string EncodeListed(std::span<const ListedObject> objects) {
  std::string out;
  out.reserve(objects.size() * 72);
  std::string_view key;
  std::string_view storage_class;
  int64_t time = 0;
  for (const ListedObject& object : objects) {
    const size_t flags_at = out.size();
    uint8_t flags = (object.is_latest ? kLatest : 0) |
                    (object.is_delete_marker ? kDeleteMarker : 0) |
                    (object.storage_class == storage_class ? kSameClass : 0) |
                    (object.version_id.empty() ? 0 : kHasVersion);
    out += '\0';
    const size_t shared =
        static_cast<size_t>(std::ranges::mismatch(key, object.key).in1 - key.begin());
    AppendNumber(out, shared);
    AppendText(out, std::string_view(object.key).substr(shared));
    AppendNumber(out, object.size_bytes);
    const int64_t own_time = object.last_modified.time_since_epoch().count();
    AppendNumber(out, ZigZag(static_cast<int64_t>(static_cast<uint64_t>(own_time) -
                                                  static_cast<uint64_t>(time))));
    if (AppendHex(out, object.etag)) {
      flags |= kHexEtag;
    } else if (!object.etag.empty()) {
      flags |= kOtherEtag;
      AppendText(out, object.etag);
    }
    if (!(flags & kSameClass)) AppendText(out, object.storage_class);
    if (flags & kHasVersion) AppendText(out, object.version_id);
    out[flags_at] = static_cast<char>(flags);
    key = object.key;
    storage_class = object.storage_class;
    time = own_time;
  }
  return out;
}

Result<std::vector<ListedObject>> DecodeListed(std::string_view bytes) {
  Cursor cursor(bytes);
  std::vector<ListedObject> objects;
  objects.reserve(bytes.size() / 64 + 1);
  int64_t time = 0;
  while (!cursor.at_end() && cursor.ok()) {
    const auto flags = static_cast<uint8_t>(cursor.Bytes(1)[0]);
    ListedObject object;
    const uint64_t shared = cursor.Number();
    const std::string_view rest = cursor.Text();
    if (shared > 0) {
      if (objects.empty() || shared > objects.back().key.size()) return Corrupt("a listed key");
      object.key.reserve(shared + rest.size());
      object.key.assign(objects.back().key, 0, shared);
    }
    object.key += rest;
    object.size_bytes = cursor.Number();
    time = static_cast<int64_t>(static_cast<uint64_t>(time) +
                                static_cast<uint64_t>(UnZigZag(cursor.Number())));
    object.last_modified = SystemTime(std::chrono::microseconds(time));
    if (flags & kHexEtag) {
      object.etag = HexEncode(cursor.Bytes(16));
    } else if (flags & kOtherEtag) {
      object.etag = cursor.Text();
    }
    if (!(flags & kSameClass)) {
      object.storage_class = cursor.Text();
    } else if (!objects.empty()) {
      object.storage_class = objects.back().storage_class;
    }
    if (flags & kHasVersion) object.version_id = cursor.Text();
    object.is_latest = (flags & kLatest) != 0;
    object.is_delete_marker = (flags & kDeleteMarker) != 0;
    if (!cursor.ok()) return Corrupt("listed objects that end early");
    objects.push_back(std::move(object));
  }
  return objects;
}

size_t ListedBytes(const ListedObject& object) {
  auto heap = [](const std::string& text) {
    return text.capacity() > 15 ? text.capacity() + 16 : 0;
  };
  return sizeof(ListedObject) + heap(object.key) + heap(object.etag) + heap(object.version_id) +
         heap(object.storage_class);
}

}  // namespace longhaul
