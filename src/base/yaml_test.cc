#include "base/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

std::optional<std::string> TestEnvironment(std::string_view name) {
  if (name == "SECRET") return "hunter2";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

// A parsed text with its mistakes.
struct Parsed {
  explicit Parsed(std::string_view text, YamlLimits limits = {}) : errors("f.yaml") {
    node = ParseYaml(text, TestEnvironment, errors, limits);
  }
  YamlFields Fields() { return *YamlValue(*node, "", errors).Fields(); }
  std::string Messages() const { return errors.ToError().message; }

  YamlErrors errors;
  std::optional<YamlNode> node;
};

TEST(YamlTest, ReadsTypedFields) {
  Parsed parsed(
      "text: hello\n"
      "size: 256MiB\n"
      "wait: 5s\n"
      "yes: on\n"
      "count: 7\n"
      "share: 0.25\n"
      "color: red\n"
      "list: [a, b]\n");
  YamlFields fields = parsed.Fields();
  std::string text;
  uint64_t size = 0;
  std::chrono::milliseconds wait{0};
  bool yes = false;
  int count = 0;
  int color = 0;
  EXPECT_TRUE(fields.Text("text", text));
  EXPECT_TRUE(fields.Size("size", size, 0, UINT64_MAX));
  EXPECT_TRUE(fields.Duration("wait", wait, 0s, 1h));
  EXPECT_TRUE(fields.Boolean("yes", yes));
  EXPECT_TRUE(fields.Integer("count", count, 1, 10));
  EXPECT_TRUE(fields.Choice("color", color, {{"blue", 1}, {"red", 2}}));
  EXPECT_EQ(fields.Find("share")->Number(0, 1), 0.25);
  EXPECT_EQ(fields.Find("list")->Items()->at(1).Text(), "b");
  fields.Finish();
  EXPECT_THAT(parsed.errors.messages(), IsEmpty());
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(size, 256U << 20);
  EXPECT_EQ(wait, 5s);
  EXPECT_TRUE(yes);
  EXPECT_EQ(count, 7);
  EXPECT_EQ(color, 2);
}

// A mistake without its line is searched for by hand; a list of one at a time takes all day.
TEST(YamlTest, TellsEveryMistakeWithItsPlace) {
  Parsed parsed(
      "targts: x\n"
      "count: many\n"
      "inner:\n"
      "  size: 64k\n"
      "  size: 1\n"
      "color: rde\n");
  YamlFields fields = parsed.Fields();
  int count = 3;
  int color = 0;
  uint64_t size = 0;
  fields.Find("targets");
  EXPECT_FALSE(fields.Integer("count", count, 1, 10));
  EXPECT_EQ(count, 3);
  EXPECT_FALSE(fields.Choice("color", color, {{"blue", 1}, {"red", 2}}));
  fields.Require("site", "site: NAME");
  YamlFields inner = *fields.Find("inner")->Fields();
  inner.Size("size", size, 0, 100);
  fields.Finish();
  EXPECT_THAT(
      parsed.errors.messages(),
      ElementsAre(
          "f.yaml:1:1: 'site' is missing: add 'site: NAME'",
          "f.yaml:1:1: unknown field 'targts': did you mean 'targets'?",
          "f.yaml:2:8: count: 'many' is not a whole number: give 1 to 10",
          "f.yaml:4:9: inner.size: '64k' could mean two sizes: write KiB (of 1,024) or KB (of "
          "1,000)",
          "f.yaml:5:3: 'size' is given twice: keep one of them",
          "f.yaml:6:8: color: 'rde' is not one of its values: did you mean 'red'? It takes blue or "
          "red"));
}

// What YAML 1.1 guesses is not what people mean: Norway, octal numbers, sexagesimal times.
TEST(YamlTest, DoesNotGuessTypes) {
  Parsed parsed(
      "site: no\ncount: 08\nwait: 1:30\nnumber: 1_000\nversion: 1.0\nnull_like: 'null'\n");
  YamlFields fields = parsed.Fields();
  std::string site;
  std::string null_like;
  int number = 0;
  std::chrono::milliseconds wait{0};
  EXPECT_TRUE(fields.Text("site", site));
  EXPECT_EQ(site, "no");
  EXPECT_TRUE(fields.Text("null_like", null_like));
  EXPECT_FALSE(fields.Integer("count", number, 0, 100));
  EXPECT_FALSE(fields.Duration("wait", wait, 0s, 1h));
  EXPECT_FALSE(fields.Integer("number", number, 0, 10000));
  EXPECT_FALSE(fields.Integer("version", number, 0, 10000));
  EXPECT_THAT(parsed.Messages(), HasSubstr("without the leading 0"));
}

// Credentials come from the environment; a forgotten one must not become an empty password.
TEST(YamlTest, FillsInTheEnvironment) {
  Parsed parsed(
      "a: \"x-${SECRET}-y\"\n"
      "b: ${SECRET}\n"
      "c: $${SECRET} $5\n"
      "d: ${UNSET_NAME}\n"
      "e: ${bad name}\n"
      "f: ${EMPTY}\n");
  YamlFields fields = parsed.Fields();
  std::string a;
  Secret b;
  std::string c;
  std::string other;
  EXPECT_TRUE(fields.Text("a", a));
  EXPECT_TRUE(fields.Text("b", b));
  EXPECT_TRUE(fields.Text("c", c));
  EXPECT_EQ(a, "x-hunter2-y");
  EXPECT_EQ(b.Reveal(), "hunter2");
  EXPECT_EQ(c, "${SECRET} $5");
  EXPECT_FALSE(fields.Text("d", other));
  EXPECT_FALSE(fields.Text("e", other));
  EXPECT_FALSE(fields.Text("f", other));
  EXPECT_THAT(parsed.errors.messages(),
              ElementsAre(HasSubstr("f.yaml:4:4: the environment variable UNSET_NAME is not set"),
                          HasSubstr("f.yaml:5:4: '${bad name}' holds '${' without a name"),
                          HasSubstr("f.yaml:6:4: f: '${EMPTY}' is empty")));
}

// A secret in the wrong field would otherwise be printed by the message about it.
TEST(YamlTest, MessagesQuoteTheFileAndNotTheEnvironment) {
  Parsed parsed(
      "a: ${SECRET}\nb: ${SECRET}\nc: ${SECRET}\nd: ${SECRET}\ne: ${SECRET}\nf: ${SECRET}\n");
  YamlFields fields = parsed.Fields();
  int number = 0;
  bool boolean = false;
  uint64_t size = 0;
  std::chrono::milliseconds wait{0};
  EXPECT_FALSE(fields.Integer("a", number, 0, 5));
  EXPECT_FALSE(fields.Boolean("b", boolean));
  EXPECT_FALSE(fields.Size("c", size, 0, 5));
  EXPECT_FALSE(fields.Duration("d", wait, 0s, 1s));
  EXPECT_FALSE(fields.Choice("e", number, {{"x", 1}}));
  EXPECT_FALSE(fields.Find("f")->Number(0, 1));
  EXPECT_EQ(parsed.errors.messages().size(), 6U);
  EXPECT_EQ(parsed.Messages().find("hunter2"), std::string::npos);
}

// A field of the wrong shape is a mistake, never a crash or a default.
TEST(YamlTest, RefusesWrongShapes) {
  Parsed parsed("a: [1]\nb: {x: 1}\nc:\nd: text\n");
  YamlFields fields = parsed.Fields();
  std::string text = "before";
  EXPECT_FALSE(fields.Text("a", text));
  EXPECT_FALSE(fields.Text("b", text));
  EXPECT_FALSE(fields.Text("c", text));
  EXPECT_FALSE(fields.Find("d")->Fields());
  EXPECT_FALSE(fields.Find("d")->Items());
  EXPECT_FALSE(fields.Find("c")->Fields());
  EXPECT_EQ(text, "before");
  EXPECT_EQ(parsed.errors.messages().size(), 6U);
  fields.Refuse("a", "is not in this version", "use b");
  EXPECT_THAT(parsed.Messages(), HasSubstr("f.yaml:1:4: a: is not in this version: use b"));
}

// Files that are no configuration at all end in one message.
TEST(YamlTest, RefusesWhatIsNotYaml) {
  for (const char* bad : {"", "a: [1", "a: b: c", "\t- x", "a: 1\n---\nb: 2\n", "? [a]\n: b\n",
                          "a: !!binary x", "a: &x [*x]\n", "a: *nowhere\n", "{[}]"}) {
    Parsed parsed(bad);
    EXPECT_FALSE(parsed.node) << bad;
    EXPECT_EQ(parsed.errors.messages().size(), 1U) << bad;
    EXPECT_THAT(parsed.Messages(), HasSubstr("f.yaml:")) << bad;
  }
}

// A few lines can ask for gigabytes: each alias holds ten of the one before.
TEST(YamlTest, LimitsAliasesDepthAndSize) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int n = 0; n < 9; ++n) bomb += ", " + before;
    bomb += "]\n";
  }
  Parsed bombed(bomb);
  EXPECT_FALSE(bombed.node);
  EXPECT_THAT(bombed.Messages(), HasSubstr("too many values"));

  std::string nested;
  for (int i = 0; i < 12; ++i) {
    nested += "b" + std::to_string(i) + ": &b" + std::to_string(i) + " [[[[" +
              (i == 0 ? "x" : "*b" + std::to_string(i - 1)) + "]]]]\n";
  }
  Parsed deep(nested);
  EXPECT_FALSE(deep.node);
  EXPECT_THAT(deep.Messages(), HasSubstr("nested too deeply"));

  EXPECT_FALSE(Parsed(std::string(20'000, '[')).node);
  EXPECT_FALSE(Parsed(std::string(2 << 20, ' ') + "a: 1").node);

  Parsed fine("a: &x {b: [1, 2]}\nc: *x\n");
  ASSERT_TRUE(fine.node);
  EXPECT_EQ(fine.Fields().Find("c")->Fields()->Find("b")->Items()->size(), 2U);
}

}  // namespace
}  // namespace longhaul
