// Any bytes as a list of names, a CSV manifest and lines of JSON: the first byte chooses.

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "transfer/listing/key_list.h"
#include "transfer/listing/page_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  if (size == 0) return 0;
  constexpr KeyListKind kKinds[] = {KeyListKind::kNames, KeyListKind::kRawNames, KeyListKind::kCsv,
                                    KeyListKind::kJsonLines};
  const KeyListKind kind = kKinds[data[0] % 4];
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    bool known = false;
    Result<std::optional<ListedObject>> object =
        ParseKeyLine(kind, text.substr(0, end), "b", "p/", known);
    if (object && *object) {
      LH_CHECK(!(*object)->key.empty() && (*object)->key.size() <= kListedKeyBytesMax);
      LH_CHECK((*object)->size_bytes <= kListedSizeBytesMax);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return 0;
}
