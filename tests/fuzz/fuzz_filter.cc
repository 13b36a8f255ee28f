// The first line as a name, the others as a file of filter rules.

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "transfer/limits/bandwidth.h"
#include "transfer/local/local_file.h"
#include "transfer/tree/filter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view name = text.substr(0, end);
  (void)BandwidthTable::Parse(name);
  (void)ParseFileTime(name);
  ObjectFilter filter;
  if (filter.AddRules(text.substr(std::min(end + 1, text.size())), "rules")) {
    if (filter.Matches(name, {}) != filter.Explain(name, {}).in) __builtin_trap();
  }
  return 0;
}
