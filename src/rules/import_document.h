// ImportDocument: a JSON or XML text from outside as one kind of tree, and typed reading of it in
// which nothing is lost: a field that nobody read is named at the end.
//
// In JSON a list is a list; in XML it is an element that stands there several times, so whoever
// reads one says both names. Attributes of XML other than xmlns and xsi are fields "@NAME".

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace longhaul {

struct ImportLimits {
  size_t size_bytes_max = 4 << 20;  // 1,000 rules take 1 MB, with room for white space.
  int depth_max = 32;
  int nodes_max = 100'000;
};

struct ImportNode {
  enum class Kind { kNothing, kText, kNumber, kBoolean, kList, kMap };
  struct Member;

  Kind kind = Kind::kNothing;
  std::string text;  // Of a number or boolean as JSON has it.
  std::vector<ImportNode> items;
  std::vector<Member> members;
  bool xml = false;
};

struct ImportNode::Member {
  std::string name;
  ImportNode node;
};

// kInvalidInput: neither JSON nor XML, a name twice in one JSON object, not UTF-8, a zero byte, or
// beyond the limits; the message begins with LINE:COLUMN where there is a place.
Result<ImportNode> ParseImportDocument(std::string_view text, ImportLimits limits = {});

// Something that a person should know of what became of a field.
struct ImportRemark {
  enum class Kind {
    kNotCarried,  // The configuration has nothing for it.
    kDiffers,     // It is carried, and does not behave in every way as before.
    kFillIn,      // The input does not say it.
  };
  Kind kind = Kind::kNotCarried;
  std::string place;  // "repl.json: Rules[0].Destination.Metrics"; may be empty.
  std::string what;
  std::string remedy;  // What to do; may be empty.

  // "PLACE: not carried over: WHAT; REMEDY".
  [[nodiscard]] std::string Text() const;
  bool operator==(const ImportRemark&) const = default;
};
std::string_view ToString(ImportRemark::Kind kind);

// Remarks and mistakes of one import, in the order in which they were found.
class ImportLog {
 public:
  void Remark(ImportRemark::Kind kind, std::string place, std::string what, std::string remedy);
  // What makes the whole import fail, so that several can be told in one go.
  void Fail(std::string_view place, std::string_view what, std::string_view remedy = "");

  [[nodiscard]] const std::vector<ImportRemark>& remarks() const { return remarks_; }
  [[nodiscard]] bool failed() const { return !mistakes_.empty(); }
  // kInvalidInput with all mistakes, one per line.
  [[nodiscard]] Error ToError() const;

 private:
  std::vector<ImportRemark> remarks_;
  std::vector<std::string> mistakes_;
};

class ImportFields;

// A value with its place. Borrows the node and the log. Each function fails the import and returns
// nullopt when the value is not what was asked for.
class ImportValue {
 public:
  ImportValue(const ImportNode& node, std::string place, ImportLog& log)
      : node_(&node), place_(std::move(place)), log_(&log) {}

  std::optional<std::string> Text() const;  // May be empty.
  std::optional<int64_t> Integer(int64_t min, int64_t max) const;
  std::optional<bool> Boolean() const;
  std::optional<ImportFields> Fields() const;
  std::optional<std::vector<ImportValue>> Items() const;

  void Fail(std::string_view what, std::string_view remedy = "") const;
  void Remark(ImportRemark::Kind kind, std::string what, std::string remedy = "") const;
  [[nodiscard]] const ImportNode& node() const { return *node_; }
  [[nodiscard]] const std::string& place() const { return place_; }

 private:
  friend class ImportFields;

  const ImportNode* node_;
  std::string place_;
  ImportLog* log_;
};

// The fields of a map. Finding one makes it known; Finish() names the rest as not carried over, but
// for what is a known name in other letters, which fails the import.
class ImportFields {
 public:
  // nullopt: it is not there (or null, in JSON).
  std::optional<ImportValue> Find(std::string_view name);
  std::optional<ImportValue> Require(std::string_view name);
  // The items of a list: the field `name`, or in XML all elements `xml_name`.
  std::optional<std::vector<ImportValue>> FindList(std::string_view name,
                                                   std::string_view xml_name);
  void Finish();
  // Any field that is left fails the import: `what` says why.
  void FinishWithNoneLeft(std::string_view what, std::string_view remedy);

  [[nodiscard]] const ImportValue& value() const { return map_; }

 private:
  friend class ImportValue;
  explicit ImportFields(const ImportValue& map) : map_(map) {}
  [[nodiscard]] std::vector<std::string> Left() const;  // Names that nobody asked for.

  ImportValue map_;
  std::vector<std::string_view> known_;  // Of the callers' literals.
};

// "abc…" in single quotes, fit for a line.
std::string QuotedForImport(std::string_view text);

}  // namespace longhaul
