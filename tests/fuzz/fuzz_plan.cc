// Any bytes as a plan, line by line.

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "transfer/tree/plan_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  PlanParser parser;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    Result<PlanParser::Line> line = parser.Next(text.substr(0, end));
    if (!line) return 0;
    if (line->step) {
      // What was read must be written as something that reads back the same.
      PlanParser again;
      if (!again.Next(EncodePlan(PlanHead{}))) __builtin_trap();
      Result<PlanParser::Line> back = again.Next(EncodePlan(*line->step));
      if (!back || back->step != line->step) __builtin_trap();
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  (void)parser.Finish();
  return 0;
}
