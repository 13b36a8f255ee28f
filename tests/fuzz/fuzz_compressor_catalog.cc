// Any bytes as a catalog of the cross-region compressor: the first line as its key, the others as
// what it says. What was read is of that file and has sane sizes.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "archive/compressor_catalog.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::optional<archive::CompressorCatalogName> name;
  bool first = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (first) {
      name = archive::CompressorCatalogOfKey(line);
      if (name) {
        LH_CHECK(name->archive.size() == 32 && name->date.size() == 10);
        LH_CHECK(!name->source_bucket.empty() && !name->prefix.starts_with('/'));
      } else {
        name.emplace();
      }
      first = false;
      continue;
    }
    Result<archive::CompressorCatalogLine> read = archive::ParseCompressorCatalogLine(line, *name);
    if (!read) continue;
    LH_CHECK(!read->key.empty() && read->key.size() <= 1024);
    LH_CHECK(read->key.starts_with(read->source_prefix));
    LH_CHECK(archive::CompressorArchiveName(read->backup_file) == name->archive);
    LH_CHECK(read->backup_seconds >= 0);
  }
  return 0;
}
