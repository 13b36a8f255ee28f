// Archives as the cross-region compressor of AWS Samples makes them, in memory, and such as it
// never would.

#pragma once

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/tar.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/json.h"

namespace longhaul::testing {

// One frame, without its content's size.
inline std::string ZstdStream(std::string_view raw, int window_log = 0) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  if (window_log > 0) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  std::string out(ZSTD_compressBound(raw.size()) + 64, '\0');
  ZSTD_inBuffer in{raw.data(), raw.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  // Twice: with the end in the first call zstd would know the size.
  ZSTD_inBuffer begin{raw.data(), raw.size() / 2, 0};
  LH_CHECK(!ZSTD_isError(ZSTD_compressStream2(context, &to, &begin, ZSTD_e_continue)));
  in.pos = begin.pos;
  LH_CHECK(ZSTD_compressStream2(context, &to, &in, ZSTD_e_end) == 0);
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  return out;
}

inline std::string CompressorTimeText(SystemTime time) {
  std::string text = FormatRfc3339(time).substr(0, 19);
  text[10] = ' ';
  return text;
}

struct CompressorArchive {
  struct Object {
    std::string relative_key;
    std::string content;
    SystemTime created{};
    std::string tags = "[]";
    std::optional<std::string> etag{};
    std::optional<uint64_t> size_bytes{};
    bool in_tar = true;
    bool in_manifest = true;
  };
  struct Target {
    std::string region = "west";
    std::string bucket = "out";
    bool backup = false;
  };

  std::string source_bucket = "in";
  std::string source_prefix{};
  std::string source_region = "east";
  std::vector<Target> targets = {Target{}};
  std::vector<Object> objects{};
  std::vector<std::pair<std::string, std::string>> more_members{};
  enum class Manifest { kLast, kFirst, kNone, kTwice } manifest = Manifest::kLast;

  static std::string Member(const std::string& name, std::string_view content) {
    std::string out = archive::WriteTarHeaders(
        {.path = name, .link = "", .size_bytes = content.size(), .mtime_seconds = 1772355600});
    out += content;
    out.append(archive::PaddingBytes(content.size()), '\0');
    return out;
  }

  [[nodiscard]] std::string ManifestText() const {
    std::string out = "{\"targets\":[";
    auto text = [&out](std::string_view name, std::string_view value) {
      out += "\"" + std::string(name) + "\":";
      AppendJsonString(out, value);
    };
    for (const Target& target : targets) {
      if (&target != &targets.front()) out += ",";
      out += "{";
      text("region", target.region);
      out += ",";
      text("bucket", target.bucket);
      if (target.backup) out += ",\"backup\":true";
      out += "}";
    }
    out += "],\"objects\":[";
    bool first = true;
    for (const Object& object : objects) {
      if (!object.in_manifest) continue;
      out += std::exchange(first, false) ? "{" : ",{";
      text("source_bucket", source_bucket);
      out += ",";
      if (!source_region.empty()) {
        text("source_region", source_region);
        out += ",";
      }
      text("source_prefix", source_prefix);
      out += ",";
      text("object_name", object.relative_key.substr(object.relative_key.rfind('/') + 1));
      out += ",";
      text("relative_key", object.relative_key);
      out += ",\"tags\":" + object.tags + ",";
      text("creation_time", CompressorTimeText(object.created));
      out += ",";
      text("etag", object.etag.value_or(HexEncode(Md5(object.content))));
      out += ",\"size\":" + std::to_string(object.size_bytes.value_or(object.content.size()));
      out += ",\"storage_class\":\"STANDARD\"}";
    }
    return out + "]}";
  }

  [[nodiscard]] std::string Tar() const {
    const std::string own = Member("manifest.json", ManifestText());
    std::string out;
    if (manifest == Manifest::kFirst || manifest == Manifest::kTwice) out += own;
    for (const Object& object : objects) {
      if (object.in_tar) out += Member("objects/" + object.relative_key, object.content);
    }
    for (const auto& [name, content] : more_members) out += Member(name, content);
    if (manifest == Manifest::kLast || manifest == Manifest::kTwice) out += own;
    // As Python does: two empty blocks, and up to 20 in all.
    out.append(1024, '\0');
    out.append((10240 - out.size() % 10240) % 10240, '\0');
    return out;
  }

  [[nodiscard]] std::string Bytes() const { return ZstdStream(Tar()); }
};

}  // namespace longhaul::testing
