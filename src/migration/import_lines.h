// The settings of other systems' files, whatever they are written in: INI, the environment of a
// container, a command line, YAML. Each has its line; one that nobody asked for is named at the
// end.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rules/import_document.h"

namespace longhaul {

struct MigrationSetting {
  std::string section;  // Of INI; else empty.
  std::string name;     // As in the file.
  std::string value;
  int line = 1;
  bool used = false;
};

struct MigrationLimits {
  size_t size_bytes_max = 4 << 20;
  size_t line_bytes_max = 64 << 10;
  size_t settings_max = 20'000;
};

// Each is kInvalidInput with "LINE: WHAT" where the text is not what it should be: no name, a name
// twice in a section, beyond the limits, not UTF-8, a zero byte.
Result<std::vector<MigrationSetting>> ParseIni(std::string_view text, MigrationLimits limits = {});
// NAME=VALUE lines, with or without "export" and quotes.
Result<std::vector<MigrationSetting>> ParseEnvironment(std::string_view text,
                                                       MigrationLimits limits = {});
// "name: value" lines, one map deep: "options:" with indented lines makes "options.name".
Result<std::vector<MigrationSetting>> ParseFlatYaml(std::string_view text,
                                                    MigrationLimits limits = {});
// A command line, over lines where they end in "\": its words, each with its line.
struct MigrationWord {
  std::string text;
  int line = 1;
};
Result<std::vector<MigrationWord>> ParseCommandLine(std::string_view text,
                                                    MigrationLimits limits = {});
// Lines that are not empty, without white space at their ends.
Result<std::vector<MigrationWord>> ParseList(std::string_view text, MigrationLimits limits = {});

// The settings of one file, read by name. Names compare without regard to case, '-' and '_'.
class MigrationSettings {
 public:
  // All borrowed.
  MigrationSettings(std::string file, std::vector<MigrationSetting>& settings, ImportLog& log)
      : file_(std::move(file)), settings_(&settings), log_(&log) {}

  // The value, without quotes around it; nullopt: it is not there, or empty. `name`: "key", or
  // "section.key".
  std::optional<std::string> Find(std::string_view name);
  std::string Text(std::string_view name) { return Find(name).value_or(""); }
  // "true", "yes", "1": true. Anything but these and their opposites fails the import.
  bool Flag(std::string_view name, bool absent = false);

  // Of a setting that is there and not empty; marks it as read.
  void NotCarried(std::string_view name, std::string_view why, std::string_view remedy = "");
  void Differs(std::string_view name, std::string_view how, std::string_view remedy = "");
  // Told of `name` whether it is there or not.
  void Fail(std::string_view name, std::string_view what, std::string_view remedy = "");
  // Names all that nobody has read: not carried over.
  void Finish();

  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  MigrationSetting* At(std::string_view name);
  [[nodiscard]] std::string Place(const MigrationSetting& setting) const;

  std::string file_;
  std::vector<MigrationSetting>* settings_;
  ImportLog* log_;
};

}  // namespace longhaul
