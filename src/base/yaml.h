// Yaml: typed reading of a configuration file, where every mistake is told with its place and a
// remedy: "longhaul.yaml:12:7: rules[0]: unknown field 'targts': did you mean 'targets'?"
//
// All mistakes of a file are collected, not only the first. Values are what their field says they
// are, never what YAML 1.1 would guess: `site: no` is the text "no", `count: 08` is an error.
// Doubled keys, unknown fields, fields without a value and several documents are mistakes.
//
// Values may hold ${NAME}, replaced from an environment that is handed in; $${NAME} stays ${NAME}.
// Messages quote values as they stand in the file, so no secret gets into them.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace longhaul {

// A value of the file. Made by ParseYaml, read through YamlValue.
struct YamlNode {
  enum class Kind { kNothing, kText, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNothing;
  int line = 1;  // From 1, as is the column.
  int column = 1;
  bool quoted = false;
  bool broken = false;   // Its ${…} could not be filled in; the error has been told.
  bool assumed = false;  // Something was filled in only so that there is a text: kAssumedText.
  std::string raw;       // As in the file.
  std::string text;      // With the environment filled in.
  std::vector<YamlNode> items;
  std::vector<Entry> entries;  // In the order of the file; keys are unique.
};

struct YamlNode::Entry {
  std::string key;
  int line = 1;
  int column = 1;
  YamlNode value;
};

struct YamlMistake {
  int line = 1;  // From 1, as is the column.
  int column = 1;
  std::string field;  // "rules[0].targets"; may be empty, as may the remedy.
  std::string what;
  std::string remedy;
};

// The mistakes of one file.
class YamlErrors {
 public:
  explicit YamlErrors(std::string file) : file_(std::move(file)) {}

  void Add(int line, int column, std::string_view field, std::string_view what,
           std::string_view remedy);
  // In the order of the file.
  [[nodiscard]] const std::vector<YamlMistake>& mistakes() const { return mistakes_; }
  // The same as "FILE:LINE:COLUMN: FIELD: WHAT: REMEDY".
  [[nodiscard]] std::vector<std::string> messages() const;
  [[nodiscard]] bool empty() const { return mistakes_.empty(); }
  // kInvalidInput with all messages, one per line, in the order of the file.
  [[nodiscard]] Error ToError() const;

 private:
  std::string file_;
  std::vector<YamlMistake> mistakes_;
};

// What stands for a variable that is not set, where its value does not matter: a mistake in a value
// that holds it is none.
inline constexpr std::string_view kAssumedText = "not-set-and-not-used";

// Looks a variable up; nullopt: it is not set.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

struct YamlLimits {
  size_t size_bytes_max = 1 << 20;
  int depth_max = 32;
  int nodes_max = 100'000;  // After aliases (*name) have been put in.
};

// nullopt: `errors` says why. Doubled keys and bad ${…} are added to `errors`, and the rest is
// still returned, so that more can be found in one go.
std::optional<YamlNode> ParseYaml(std::string_view text, const Environment& environment,
                                  YamlErrors& errors, YamlLimits limits = {});

class YamlFields;

// A value with its place. Borrows the node and the errors. Each function adds an error and returns
// nullopt when the value is not what was asked for.
class YamlValue {
 public:
  YamlValue(const YamlNode& node, std::string path, YamlErrors& errors)
      : node_(&node), path_(std::move(path)), errors_(&errors) {}

  std::optional<std::string> Text() const;  // Not empty.
  std::optional<bool> Boolean() const;      // true, false; also yes, no, on, off.
  std::optional<int64_t> Integer(int64_t min, int64_t max) const;
  std::optional<double> Number(double min, double max) const;
  std::optional<uint64_t> Size(uint64_t min, uint64_t max) const;
  std::optional<std::chrono::milliseconds> Duration(std::chrono::milliseconds min,
                                                    std::chrono::milliseconds max) const;
  std::optional<YamlFields> Fields() const;
  std::optional<std::vector<YamlValue>> Items() const;

  void Fail(std::string_view what, std::string_view remedy) const;
  [[nodiscard]] const YamlNode& node() const { return *node_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  bool Scalar(std::string_view what) const;
  void FailUnit(const Error& error, const std::string& wanted) const;

  const YamlNode* node_;
  std::string path_;
  YamlErrors* errors_;
};

// A map whose fields are known. Reading a field makes its name known; Finish() reports the rest.
// The functions with `out` leave it as it is when the field is absent or wrong, so defaults stand
// there before; they are true when it was set.
class YamlFields {
 public:
  std::optional<YamlValue> Find(std::string_view name);
  // An error when it is absent; `example` is what one would write.
  std::optional<YamlValue> Require(std::string_view name, std::string_view example);

  bool Text(std::string_view name, std::string& out);
  bool Text(std::string_view name, Secret& out);
  bool Boolean(std::string_view name, bool& out);
  template <class T>
  bool Integer(std::string_view name, T& out, int64_t min, int64_t max) {
    std::optional<YamlValue> value = Find(name);
    std::optional<int64_t> number = value ? value->Integer(min, max) : std::nullopt;
    if (number) out = static_cast<T>(*number);
    return number.has_value();
  }
  bool Size(std::string_view name, uint64_t& out, uint64_t min, uint64_t max);
  bool Duration(std::string_view name, std::chrono::milliseconds& out,
                std::chrono::milliseconds min, std::chrono::milliseconds max);
  // One of a few words.
  template <class T>
  bool Choice(std::string_view name, T& out,
              std::initializer_list<std::pair<std::string_view, T>> choices) {
    std::optional<YamlValue> value = Find(name);
    std::optional<std::string> word = value ? value->Text() : std::nullopt;
    if (!word) return false;
    std::vector<std::string_view> words;
    for (const auto& [candidate, meaning] : choices) {
      if (candidate == *word) {
        out = meaning;
        return true;
      }
      words.push_back(candidate);
    }
    FailChoice(*value, words);
    return false;
  }

  // A field that longhaul knows and does not do: an error that says so and what to do instead.
  void Refuse(std::string_view name, std::string_view what, std::string_view remedy);
  // All entries, with their keys: for maps whose keys are free, as tags.
  std::vector<std::pair<std::string, YamlValue>> All();
  // Reports fields that nobody asked for.
  void Finish();

 private:
  static void FailChoice(const YamlValue& value, const std::vector<std::string_view>& words);

  YamlValue map_;
  std::vector<std::string> known_;
  std::vector<std::string> refused_;
  YamlErrors* errors_;
  friend class YamlValue;
  YamlFields(const YamlValue& map, YamlErrors* errors) : map_(map), errors_(errors) {}
};

}  // namespace longhaul
