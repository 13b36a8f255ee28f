#include "transfer/listing/csv.h"

#include <algorithm>

namespace longhaul {

namespace {
constexpr size_t kFieldsMax = 256;
}

Result<std::vector<std::string>> SplitCsv(std::string_view line) {
  std::vector<std::string> fields;
  size_t at = 0;
  while (true) {
    if (fields.size() == kFieldsMax) return InvalidInput("more than 256 fields");
    std::string& field = fields.emplace_back();
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        if (at == line.size()) return InvalidInput("a quote that is not closed");
        if (line[at] != '"') {
          field += line[at];
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          field += line[at++];
        } else {
          ++at;
          break;
        }
      }
      if (at < line.size() && line[at] != ',') return InvalidInput("text behind a quoted field");
    } else {
      size_t end = std::min(line.find(',', at), line.size());
      field = line.substr(at, end - at);
      if (field.contains('"')) return InvalidInput("a quote inside a field");
      at = end;
    }
    if (at == line.size()) return fields;
    ++at;  // The comma.
  }
}

}  // namespace longhaul
