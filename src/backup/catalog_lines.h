// CatalogLines: what a catalog says, line by line, whoever has written it.
//
// Lines that are none of this catalog are counted and passed over. A catalog is never longer than
// an archive can be: whoever has written more, has written no catalog.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backup/catalog_record.h"
#include "transfer/listing/text_lines.h"

namespace longhaul::backup {

class CatalogLines {
 public:
  // `told` hears of the lines that are passed over, the first hundred; may be empty.
  CatalogLines(std::unique_ptr<TextLines> lines, std::string ulid,
               std::function<void(const std::string& what)> told)
      : lines_(std::move(lines)), ulid_(std::move(ulid)), told_(std::move(told)) {}

  // nullopt: the end. kCorrupt with the code kNoCatalog (backup/catalog.h): it is damaged, or has a
  // line of more than 1 MiB, or too many. Else as the store.
  Async<std::optional<CatalogRecord>> Next();
  [[nodiscard]] uint64_t skipped() const { return skipped_; }  // Lines passed over so far.

 private:
  std::unique_ptr<TextLines> lines_;
  std::string ulid_;
  std::function<void(const std::string& what)> told_;
  uint64_t skipped_ = 0;
};

}  // namespace longhaul::backup
