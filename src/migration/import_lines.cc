#include "migration/import_lines.h"

#include <algorithm>
#include <set>

#include "base/ascii.h"
#include "base/json.h"

namespace longhaul {
namespace {

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string Unquoted(std::string_view text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
      text.back() == text.front()) {
    text = text.substr(1, text.size() - 2);
  }
  return std::string(text);
}

// Letters in lower case, '-' and '_' left out: "srcBucket", "SRC_BUCKET".
std::string Plain(std::string_view name) {
  std::string plain;
  for (char c : name) {
    if (c == '-' || c == '_') continue;
    plain += LowerAscii(c);
  }
  return plain;
}

Error At(int line, const std::string& what) {
  return InvalidInput(std::to_string(line) + ": " + what);
}

// Goes through the lines of a text that may come from anywhere.
class Lines {
 public:
  Lines(std::string_view text, const MigrationLimits& limits) : rest_(text), limits_(limits) {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
  }

  Result<void> Check() const {
    if (rest_.size() > limits_.size_bytes_max) {
      return InvalidInput("1: longer than " + std::to_string(limits_.size_bytes_max >> 20) +
                          " MiB");
    }
    size_t line_start = 0;
    int line = 1;
    while (line_start <= rest_.size()) {
      const size_t end = std::min(rest_.find('\n', line_start), rest_.size());
      const std::string_view one = rest_.substr(line_start, end - line_start);
      if (one.size() > limits_.line_bytes_max) return At(line, "a line that is too long");
      if (one.find('\0') != one.npos) return At(line, "a zero byte");
      if (!IsUtf8(one)) return At(line, "not UTF-8");
      line_start = end + 1;
      ++line;
    }
    return Ok();
  }

  bool Next(std::string_view& line) {
    if (done_) return false;
    const size_t end = rest_.find('\n');
    line = rest_.substr(0, end);
    done_ = end == rest_.npos;
    if (!done_) rest_.remove_prefix(end + 1);
    ++number_;
    return true;
  }
  [[nodiscard]] int number() const { return number_; }

 private:
  std::string_view rest_;
  MigrationLimits limits_;
  int number_ = 0;
  bool done_ = false;
};

// Adds what is new.
class Collector {
 public:
  explicit Collector(const MigrationLimits& limits) : limits_(limits) {}

  Result<void> Add(MigrationSetting setting) {
    if (setting.name.empty()) return At(setting.line, "a value without a name");
    if (settings_.size() >= limits_.settings_max) return At(setting.line, "too many settings");
    if (!seen_.insert(setting.section + "\n" + Plain(setting.name)).second) {
      return At(setting.line, QuotedForImport(setting.name) + " is there twice");
    }
    settings_.push_back(std::move(setting));
    return Ok();
  }
  std::vector<MigrationSetting> Take() { return std::move(settings_); }

 private:
  MigrationLimits limits_;
  std::vector<MigrationSetting> settings_;
  std::set<std::string> seen_;
};

}  // namespace

Result<std::vector<MigrationSetting>> ParseIni(std::string_view text, MigrationLimits limits) {
  Lines lines(text, limits);
  Result<void> right = lines.Check();
  if (!right) return right.error();
  Collector found(limits);
  std::set<std::string> sections;
  std::string section;
  std::string_view line;
  while (lines.Next(line)) {
    const std::string_view one = Trimmed(line);
    if (one.empty() || one.front() == '#' || one.front() == ';') continue;
    if (one.front() == '[') {
      const size_t end = one.find(']');
      if (end == one.npos) return At(lines.number(), "a section without ']'");
      section = std::string(Trimmed(one.substr(1, end - 1)));
      if (section.empty()) return At(lines.number(), "a section without a name");
      if (!sections.insert(section).second) {
        return At(lines.number(), "the section " + QuotedForImport(section) + " is there twice");
      }
      continue;
    }
    if (line.front() == ' ' || line.front() == '\t') {
      return At(lines.number(), "a line that goes on with the one before; write it in one");
    }
    const size_t equals = one.find_first_of("=:");
    if (equals == one.npos) return At(lines.number(), "neither a section nor NAME = VALUE");
    Result<void> added = found.Add({.section = section,
                                    .name = std::string(Trimmed(one.substr(0, equals))),
                                    .value = std::string(Trimmed(one.substr(equals + 1))),
                                    .line = lines.number()});
    if (!added) return added.error();
  }
  return found.Take();
}

Result<std::vector<MigrationSetting>> ParseEnvironment(std::string_view text,
                                                       MigrationLimits limits) {
  Lines lines(text, limits);
  Result<void> right = lines.Check();
  if (!right) return right.error();
  Collector found(limits);
  std::string_view line;
  while (lines.Next(line)) {
    std::string_view one = Trimmed(line);
    if (one.empty() || one.front() == '#') continue;
    if (one.starts_with("export ")) one = Trimmed(one.substr(7));
    const size_t equals = one.find('=');
    if (equals == one.npos) return At(lines.number(), "not NAME=VALUE");
    Result<void> added = found.Add({.section = "",
                                    .name = std::string(Trimmed(one.substr(0, equals))),
                                    .value = Unquoted(Trimmed(one.substr(equals + 1))),
                                    .line = lines.number()});
    if (!added) return added.error();
  }
  return found.Take();
}

Result<std::vector<MigrationSetting>> ParseFlatYaml(std::string_view text, MigrationLimits limits) {
  Lines lines(text, limits);
  Result<void> right = lines.Check();
  if (!right) return right.error();
  Collector found(limits);
  std::string above;
  std::string_view line;
  while (lines.Next(line)) {
    std::string_view one = Trimmed(line);
    if (one.empty() || one.front() == '#' || one == "---") continue;
    const bool inside = line.front() == ' ' || line.front() == '\t';
    const size_t colon = one.find(':');
    if (colon == one.npos || (colon + 1 < one.size() && one[colon + 1] != ' ')) {
      return At(lines.number(), "not NAME: VALUE");
    }
    if (inside && above.empty()) return At(lines.number(), "indented below nothing");
    if (!inside) above.clear();
    std::string name = Unquoted(Trimmed(one.substr(0, colon)));
    std::string_view value = Trimmed(one.substr(colon + 1));
    const bool quoted = !value.empty() && (value.front() == '"' || value.front() == '\'');
    if (!quoted && !value.empty() && std::string_view("[{|>&*!").contains(value.front())) {
      return At(lines.number(), "only plain values are expected here");
    }
    if (quoted) {
      const size_t end = value.find(value.front(), 1);
      if (end == value.npos) return At(lines.number(), "a quote that does not end");
      const std::string_view behind = Trimmed(value.substr(end + 1));
      value = value.substr(0, end + 1);
      if ((!behind.empty() && behind.front() != '#') || value.find('\\') != value.npos) {
        return At(lines.number(), "only plain values are expected here");
      }
    } else {
      // A comment begins after a blank.
      const size_t comment =
          value.starts_with('#') ? 0 : std::min(value.find(" #"), value.find("\t#"));
      value = Trimmed(value.substr(0, comment));
    }
    if (!inside && value.empty()) {
      above = name + ".";
      continue;
    }
    Result<void> added = found.Add({.section = "",
                                    .name = (inside ? above : "") + name,
                                    .value = Unquoted(value),
                                    .line = lines.number()});
    if (!added) return added.error();
  }
  return found.Take();
}

Result<std::vector<MigrationWord>> ParseCommandLine(std::string_view text, MigrationLimits limits) {
  Lines lines(text, limits);
  Result<void> right = lines.Check();
  if (!right) return right.error();
  std::vector<MigrationWord> words;
  std::string_view line;
  bool goes_on = false;
  while (lines.Next(line)) {
    std::string_view one = Trimmed(line);
    if (one.empty() || one.front() == '#') continue;
    if (!words.empty() && !goes_on) {
      return At(lines.number(), "a second command; import one at a time");
    }
    std::string word;
    bool in_word = false;
    char quote = '\0';
    goes_on = false;
    for (size_t i = 0; i < one.size(); ++i) {
      const char c = one[i];
      if (quote != '\0') {
        if (c == quote) {
          quote = '\0';
        } else if (c == '\\' && quote == '"' && i + 1 < one.size()) {
          word += one[++i];
        } else {
          word += c;
        }
        continue;
      }
      if (c == '\\' && i + 1 == one.size()) {
        goes_on = true;
      } else if (c == '\\') {
        word += one[++i];
        in_word = true;
      } else if (c == '"' || c == '\'') {
        quote = c;
        in_word = true;
      } else if (c == ' ' || c == '\t') {
        if (in_word) words.push_back({std::move(word), lines.number()});
        word.clear();
        in_word = false;
      } else if (std::string_view("|&;<>`$").contains(c)) {
        return At(lines.number(),
                  "only a plain command can be imported, without '" + std::string(1, c) + "'");
      } else {
        word += c;
        in_word = true;
      }
    }
    if (quote != '\0') return At(lines.number(), "a quote that does not end");
    if (in_word) words.push_back({std::move(word), lines.number()});
    if (words.size() > limits.settings_max) return At(lines.number(), "too many words");
  }
  return words;
}

Result<std::vector<MigrationWord>> ParseList(std::string_view text, MigrationLimits limits) {
  Lines lines(text, limits);
  Result<void> right = lines.Check();
  if (!right) return right.error();
  std::vector<MigrationWord> list;
  std::string_view line;
  while (lines.Next(line)) {
    const std::string_view one = Trimmed(line);
    if (one.empty()) continue;
    if (list.size() >= limits.settings_max) return At(lines.number(), "too many lines");
    list.push_back({std::string(one), lines.number()});
  }
  return list;
}

MigrationSetting* MigrationSettings::At(std::string_view name) {
  const size_t dot = name.find('.');
  for (MigrationSetting& setting : *settings_) {
    std::string full =
        setting.section.empty() ? setting.name : setting.section + "." + setting.name;
    const bool whole = Plain(full) == Plain(name);
    if (whole || (dot == name.npos && Plain(setting.name) == Plain(name))) return &setting;
  }
  return nullptr;
}

std::string MigrationSettings::Place(const MigrationSetting& setting) const {
  return file_ + ":" + std::to_string(setting.line) + ": " +
         (setting.section.empty() ? "" : setting.section + ".") + setting.name;
}

std::optional<std::string> MigrationSettings::Find(std::string_view name) {
  MigrationSetting* setting = At(name);
  if (setting == nullptr) return std::nullopt;
  setting->used = true;
  std::string value = Unquoted(setting->value);
  if (value.empty()) return std::nullopt;
  return value;
}

bool MigrationSettings::Flag(std::string_view name, bool absent) {
  std::optional<std::string> value = Find(name);
  if (!value) return absent;
  const std::string plain = Plain(*value);
  if (plain == "true" || plain == "yes" || plain == "1" || plain == "on") return true;
  if (plain == "false" || plain == "no" || plain == "0" || plain == "off") return false;
  Fail(name, QuotedForImport(*value) + " is neither true nor false");
  return absent;
}

void MigrationSettings::NotCarried(std::string_view name, std::string_view why,
                                   std::string_view remedy) {
  if (!Find(name)) return;
  log_->Remark(ImportRemark::Kind::kNotCarried, Place(*At(name)), std::string(why),
               std::string(remedy));
}

void MigrationSettings::Differs(std::string_view name, std::string_view how,
                                std::string_view remedy) {
  if (!Find(name)) return;
  log_->Remark(ImportRemark::Kind::kDiffers, Place(*At(name)), std::string(how),
               std::string(remedy));
}

void MigrationSettings::Fail(std::string_view name, std::string_view what,
                             std::string_view remedy) {
  const MigrationSetting* setting = At(name);
  log_->Fail(setting != nullptr ? Place(*setting) : file_ + ": " + std::string(name), what, remedy);
}

void MigrationSettings::Finish() {
  for (MigrationSetting& setting : *settings_) {
    if (setting.used || setting.value.empty()) continue;
    setting.used = true;
    log_->Remark(ImportRemark::Kind::kNotCarried, Place(setting), "not known", "");
  }
}

}  // namespace longhaul
