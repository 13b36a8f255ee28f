// Any bytes as the files of another tool's run. What comes out of an import is a configuration.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "migration/import_run.h"
#include "rules/configuration.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  // Several files, where there is a line between them.
  std::vector<ImportFile> files;
  while (files.size() < 4) {
    const size_t cut = text.find("\n----\n");
    files.push_back(
        {std::string(1, static_cast<char>('a' + files.size())), std::string(text.substr(0, cut))});
    if (cut == text.npos) break;
    text.remove_prefix(cut + 6);
  }
  Result<MigrationImport> imported = ImportMigration(files);
  if (!imported) {
    if (imported.error().message.empty()) __builtin_trap();
    return 0;
  }
  if (imported->stores == 0) return 0;
  Result<Configuration> read =
      ParseConfiguration(imported->yaml, "a.yaml", "/",
                         [](std::string_view) { return std::optional<std::string>("x"); });
  if (!read || read->stores.size() != imported->stores) __builtin_trap();
  return 0;
}
