#include "rules/configuration_schema.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/units.h"
#include "rules/configuration.h"
#include "rules/price_list.h"

namespace longhaul {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

// Far from every name, so that the loader lists all that it knows instead of guessing.
constexpr std::string_view kNoName = "~~~~~~~~~~~~~~~~";
constexpr std::string_view kFieldsHere = "the fields here are ";

std::set<std::string> WordsOf(std::string_view text) {
  std::set<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min({text.find(", "), text.find(" or "), text.size()});
    words.emplace(text.substr(0, end));
    const size_t skipped = end == text.size() ? 0 : text[end] == ',' ? 2 : 4;
    text.remove_prefix(end + skipped);
  }
  return words;
}

// Where a value stands: each step is the name of a field, or "" for the only entry of a list.
using Steps = std::vector<std::string>;

class Walk {
 public:
  explicit Walk(object schema) : schema_(std::move(schema)) {}

  void Run() { Object(schema_, {}, ""); }
  int objects = 0;
  int words = 0;
  int bounds = 0;

 private:
  const object& Resolve(const object& schema) const {
    const value* reference = schema.if_contains("$ref");
    if (reference == nullptr) return schema;
    const std::string name(std::string_view(reference->as_string()).substr(8));  // "#/$defs/"
    return Resolve(schema_.at("$defs").at(name).as_object());
  }

  // What the loader says of a file that has `leaf` at `steps`.
  std::vector<YamlMistake> Load(const Steps& steps, const value& leaf, std::string_view type) {
    value inner = leaf;
    for (size_t i = steps.size(); i-- > 0;) {
      if (steps[i].empty()) {
        inner = array{std::move(inner)};
        continue;
      }
      object around{{steps[i], std::move(inner)}};
      // The fields of a store follow from its type.
      if (i == 2 && steps[0] == "stores") around["type"] = type;
      inner = std::move(around);
    }
    object top{{"version", 1},
               {"site", "here"},
               {"stores", object{{"a", object{{"type", "file"}, {"root", "x"}}}}}};
    for (const auto& [name, field] : inner.as_object()) top[name] = field;
    std::vector<YamlMistake> mistakes;
    static_cast<void>(ParseConfiguration(
        boost::json::serialize(top), "schema.yaml", "/there",
        [](std::string_view) { return std::nullopt; }, &mistakes));
    return mistakes;
  }

  static std::string PathOf(const Steps& steps) {
    std::string path;
    for (const std::string& step : steps) {
      path += step.empty() ? "[0]" : (path.empty() ? "" : ".") + step;
    }
    return path;
  }

  // The names that the loader knows in the map at `steps`; nothing: it wants no map there.
  std::optional<std::set<std::string>> Known(Steps steps, std::string_view type) {
    const std::string path = PathOf(steps);
    steps.emplace_back(kNoName);
    for (const YamlMistake& mistake : Load(steps, 1, type)) {
      if (mistake.field == path && mistake.remedy.starts_with(kFieldsHere)) {
        return WordsOf(std::string_view(mistake.remedy).substr(kFieldsHere.size()));
      }
    }
    return std::nullopt;
  }

  std::string Complaint(const Steps& steps, const value& leaf, std::string_view type) {
    const std::string path = PathOf(steps);
    for (const YamlMistake& mistake : Load(steps, leaf, type)) {
      if (mistake.field == path) return mistake.what + ": " + mistake.remedy;
    }
    return "";
  }

  void Object(const object& schema, const Steps& steps, std::string_view type) {
    SCOPED_TRACE(PathOf(steps) + std::string(type));
    ++objects;
    std::set<std::string> in_schema;
    for (const auto& [name, field] : schema.at("properties").as_object()) in_schema.emplace(name);
    const std::optional<std::set<std::string>> known = Known(steps, type);
    ASSERT_TRUE(known);
    EXPECT_EQ(*known, in_schema);
    EXPECT_EQ(schema.at("additionalProperties"), value(false));
    for (const auto& [name, field] : schema.at("properties").as_object()) {
      Steps below = steps;
      below.emplace_back(name);
      Field(field.as_object(), below, type);
    }
    if (const value* required = schema.if_contains("required")) {
      for (const value& name : required->as_array()) {
        Steps lacking = steps;
        lacking.emplace_back(kNoName);
        bool told = name == "version" || name == "stores" || name == "type";  // Load gives them.
        const std::string missing = "'" + std::string(name.as_string()) + "' is missing";
        for (const YamlMistake& mistake : Load(lacking, 1, type)) {
          told |= mistake.field == PathOf(steps) &&
                  (mistake.what == missing || mistake.what == "needs a mode and a number of days");
        }
        EXPECT_TRUE(told) << "is not required: " << name;
      }
    }
  }

  void Field(const object& given, const Steps& steps, std::string_view type) {
    SCOPED_TRACE(PathOf(steps));
    const object& schema = Resolve(given);
    if (schema.contains("if") && schema.contains("then")) {  // A store.
      Object(Resolve(schema.at("then").as_object()), steps, "file");
      Object(Resolve(schema.at("else").as_object()), steps, "s3");
      return;
    }
    std::vector<const object*> ways{&schema};
    const value* any = schema.contains("properties") ? nullptr : schema.if_contains("anyOf");
    if (any != nullptr) {
      ways.clear();
      for (const value& way : any->as_array()) ways.push_back(&Resolve(way.as_object()));
    }
    bool is_map = false;
    for (const object* way : ways) {
      if (way->contains("items")) {
        Steps below = steps;
        below.emplace_back("");
        Field(way->at("items").as_object(), below, type);
        return;
      }
      if (way->contains("properties")) {
        is_map = true;
        Object(*way, steps, type);
      } else if (const value* more = way->if_contains("additionalProperties")) {
        is_map = true;
        if (!Resolve(more->as_object()).contains("if")) continue;  // Free names of plain values.
        Steps below = steps;
        below.emplace_back("b");
        Field(more->as_object(), below, type);
      } else {
        Plain(*way, steps, type, ways.size() > 1 && ways[1]->contains("anyOf"));
      }
    }
    if (!is_map) EXPECT_FALSE(Known(steps, type)) << "is a map to the loader";
  }

  void Plain(const object& way, const Steps& steps, std::string_view type, bool off) {
    if (const value* allowed = way.if_contains("enum"); allowed != nullptr && !off) {
      std::set<std::string> in_schema;
      for (const value& word : allowed->as_array()) {
        if (!word.is_string()) continue;
        in_schema.emplace(word.as_string());
        ++words;
        for (const char* refusal : {"is not one of its values", "is no ", "is nothing that"}) {
          EXPECT_FALSE(Complaint(steps, word, type).contains(refusal)) << word;
        }
      }
      const std::string complaint = Complaint(steps, value(kNoName), type);
      EXPECT_NE(complaint, "") << "takes any word";
      constexpr std::string_view kWrite = "is not one of its values: write ";
      if (const size_t at = complaint.find(kWrite); at != std::string::npos) {
        EXPECT_EQ(WordsOf(std::string_view(complaint).substr(at + kWrite.size())), in_schema);
      }
    }
    if (way.contains("minimum") && way.contains("maximum") && way.at("type") == "integer") {
      const int64_t min = way.at("minimum").to_number<int64_t>();
      const int64_t max = way.at("maximum").to_number<int64_t>();
      ++bounds;
      for (const int64_t inside : {min, max}) {
        EXPECT_FALSE(Complaint(steps, inside, type).contains("is out of range")) << inside;
      }
      EXPECT_NE(Complaint(steps, min - 1, type), "");
      if (max < INT64_MAX) EXPECT_NE(Complaint(steps, max + 1, type), "");
    }
  }

  object schema_;
};

// Without it: an editor would mark as wrong what the loader takes, or offer what it refuses, from
// the first field on that somebody adds in one place alone.
TEST(ConfigurationSchemaTest, KnowsEveryFieldThatTheLoaderKnowsAndNoOther) {
  const value schema = boost::json::parse(ConfigurationSchema());
  EXPECT_EQ(schema.at("$schema"), "https://json-schema.org/draft/2020-12/schema");
  Walk walk(schema.as_object());
  walk.Run();
  // The walk has been everywhere.
  EXPECT_GE(walk.objects, 24);
  EXPECT_GE(walk.words, 45);
  EXPECT_GE(walk.bounds, 10);
}

// A definition that nothing refers to would be looked at by nobody.
TEST(ConfigurationSchemaTest, EveryDefinitionIsUsed) {
  const std::string_view text = ConfigurationSchema();
  const value schema = boost::json::parse(text);
  for (const auto& [name, definition] : schema.at("$defs").as_object()) {
    EXPECT_TRUE(text.contains("\"#/$defs/" + std::string(name) + "\"")) << name;
  }
}

// The pattern of the definition, or of the only way of several that is text.
std::regex PatternOf(const value& definition) {
  const value* pattern = definition.as_object().if_contains("pattern");
  for (size_t i = 0; pattern == nullptr; ++i) {
    pattern = definition.at("anyOf").at(i).as_object().if_contains("pattern");
  }
  return std::regex(std::string(pattern->as_string()));
}

TEST(ConfigurationSchemaTest, DurationsAndSizesAreWhatTheLoaderReads) {
  const value definitions = boost::json::parse(ConfigurationSchema()).at("$defs");
  const std::regex duration = PatternOf(definitions.at("duration"));
  const std::regex size = PatternOf(definitions.at("size"));
  std::vector<std::string> texts{"",    " ",     "s",      "1 s",   " 1s",
                                 "1s ", "1h30m", "1h 30m", "30m1h", "1.5h2"};
  for (const char* number : {"0", "1", "17", "1.5", ".5", "1.", "1e3", "-1", "+1", "1,5", "0x1"}) {
    for (const char* unit :
         {"",  "ms",  "s",  "S",   "m",  "min", "Min", "mins", "h",   "H",   "d",   "D",
          "w", "us",  "B",  "b",   "k",  "K",   "KB",  "kb",   "KiB", "kib", "Kib", "Ki",
          "M", "MiB", "mb", "GiB", "gB", "G",   "TiB", "tb",   "PiB", "iB"}) {
      texts.push_back(std::string(number) + unit);
      texts.push_back(std::string(number) + " " + unit);
    }
  }
  int durations = 0;
  int sizes = 0;
  for (const std::string& text : texts) {
    const bool is_duration = static_cast<bool>(ParseDuration(text));
    const bool is_size = static_cast<bool>(ParseSize(text));
    EXPECT_EQ(std::regex_search(text, duration), is_duration) << text;
    EXPECT_EQ(std::regex_search(text, size), is_size) << text;
    durations += is_duration ? 1 : 0;
    sizes += is_size ? 1 : 0;
  }
  EXPECT_GE(durations, 20);
  EXPECT_GE(sizes, 40);
}

TEST(ConfigurationSchemaTest, StoresHaveTheNamesThatTheLoaderTakes) {
  const value schema = boost::json::parse(ConfigurationSchema());
  const value& names = schema.at("properties").at("stores").at("propertyNames");
  const std::regex pattern = PatternOf(names);
  const array& reserved = names.at("not").at("enum").as_array();
  for (const std::string& name :
       {std::string("a"), std::string("A.b_c-9"), std::string(64, 'x'), std::string(65, 'x'),
        std::string("..."), std::string("."), std::string(".."), std::string("s3"),
        std::string("S3"), std::string("file"), std::string("a b"), std::string("a/b"),
        std::string("a:b"), std::string("\u00e9")}) {
    const object file{{"version", 1},
                      {"site", "here"},
                      {"stores", object{{name, object{{"type", "file"}, {"root", "x"}}}}}};
    const bool taken =
        static_cast<bool>(ParseConfiguration(boost::json::serialize(file), "schema.yaml", "/there",
                                             [](std::string_view) { return std::nullopt; }));
    const bool of_schema = std::regex_search(name, pattern) &&
                           std::ranges::find(reserved, value(name)) == reserved.end();
    EXPECT_EQ(of_schema, taken) << name;
  }
}

TEST(ConfigurationSchemaTest, KnowsTheNameOfEveryPrice) {
  const value schema = boost::json::parse(ConfigurationSchema());
  const std::regex pattern(std::string(
      schema.at("properties").at("prices").at("propertyNames").at("pattern").as_string()));
  for (const PriceItem& item : PriceItems()) {
    std::string name(item.name);
    for (std::string_view words = item.words; !words.empty();) {
      const size_t end = std::min(words.find('/'), words.size());
      name += words.substr(0, end) == "KIND" ? "/put" : "/x";
      words.remove_prefix(std::min(end + 1, words.size()));
    }
    EXPECT_TRUE(std::regex_match(name, pattern)) << name;
    EXPECT_FALSE(std::regex_match("no_" + name, pattern));
  }
}

}  // namespace
}  // namespace longhaul
