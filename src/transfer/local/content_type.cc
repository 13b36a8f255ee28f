#include "transfer/local/content_type.h"

#include <utility>

#include "base/ascii.h"

namespace longhaul {

// IANA media types of what people keep in buckets; a server that knows none serves downloads.
std::string ContentTypeOf(std::string_view key) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {"avif", "image/avif"},
      {"bmp", "image/bmp"},
      {"bz2", "application/x-bzip2"},
      {"css", "text/css"},
      {"csv", "text/csv"},
      {"gif", "image/gif"},
      {"gz", "application/gzip"},
      {"htm", "text/html"},
      {"html", "text/html"},
      {"ico", "image/vnd.microsoft.icon"},
      {"jpeg", "image/jpeg"},
      {"jpg", "image/jpeg"},
      {"js", "text/javascript"},
      {"json", "application/json"},
      {"jsonl", "application/jsonl"},
      {"log", "text/plain"},
      {"md", "text/markdown"},
      {"mjs", "text/javascript"},
      {"mp3", "audio/mpeg"},
      {"mp4", "video/mp4"},
      {"ogg", "audio/ogg"},
      {"parquet", "application/vnd.apache.parquet"},
      {"pdf", "application/pdf"},
      {"png", "image/png"},
      {"svg", "image/svg+xml"},
      {"tar", "application/x-tar"},
      {"tif", "image/tiff"},
      {"tiff", "image/tiff"},
      {"tsv", "text/tab-separated-values"},
      {"txt", "text/plain"},
      {"wasm", "application/wasm"},
      {"wav", "audio/wav"},
      {"webm", "video/webm"},
      {"webp", "image/webp"},
      {"woff2", "font/woff2"},
      {"xml", "application/xml"},
      {"yaml", "application/yaml"},
      {"yml", "application/yaml"},
      {"zip", "application/zip"},
      {"zst", "application/zstd"},
  };
  size_t dot = key.rfind('.');
  if (dot == std::string_view::npos || key.find('/', dot) != std::string_view::npos) return "";
  std::string extension(key.substr(dot + 1));
  for (char& c : extension) c = LowerAscii(c);
  for (const auto& [name, type] : kTypes) {
    if (name == extension) return std::string(type);
  }
  return "";
}

}  // namespace longhaul
