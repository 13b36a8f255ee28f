// Any bytes as another system's configuration. What comes out of an import is a configuration, and
// its rules can be exported and imported again.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rules/configuration.h"
#include "rules/export_native.h"
#include "rules/import.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ImportOptions options;
  options.source = Address{"eu-west-1", "acme-in", ""};
  options.now = SystemTime{} + std::chrono::seconds(1'800'000'000);
  // Two files, where there is a line between them.
  std::vector<ImportFile> files;
  const size_t cut = text.find("\n----\n");
  files.push_back({"a", std::string(text.substr(0, cut))});
  if (cut != text.npos) files.push_back({"b", std::string(text.substr(cut + 6))});
  Result<ImportResult> imported = ImportRules(files, options);
  if (!imported) {
    if (imported.error().message.empty()) __builtin_trap();
    return 0;
  }
  auto environment = [](std::string_view) -> std::optional<std::string> { return std::nullopt; };
  Result<Configuration> read = ParseConfiguration(imported->yaml, "a.yaml", "/", environment);
  if (!read || read->rules.size() != imported->rules) __builtin_trap();
  for (const Rule& rule : read->rules) {
    Result<ExportResult> exported = ExportRules({&rule}, {});
    if (!exported) __builtin_trap();
    Result<ImportResult> again = ImportRules({{"c", exported->json}}, options);
    // A prefix that is renamed on the way, as the other system may, can be in the way of another.
    if (!again && rule.targets.size() == 1) __builtin_trap();
  }
  return 0;
}
