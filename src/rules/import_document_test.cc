#include "rules/import_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Fails(std::string_view text, ImportLimits limits = {}) {
  Result<ImportNode> node = ParseImportDocument(text, limits);
  return node ? "" : node.error().message;
}

// JSON and XML say the same in two ways; a list is where they differ.
TEST(ImportDocumentTest, ReadsJsonAndXmlAlike) {
  for (
      const char* text :
      {R"({"Top": {"Name": "a b", "Count": 7, "Empty": {}, "Things": [{"Id": "1"}, {"Id": "2"}]}})",
       "<?xml version='1.0'?><!-- a comment --><n:Top xmlns:n='urn:x' xsi:nil='false'>"
       "<Name>a b</Name>\n  <Count> 7 </Count><Empty/><Thing><Id>1</Id></Thing>"
       "<Thing><Id><![CDATA[2]]></Id></Thing></n:Top>"}) {
    Result<ImportNode> node = ParseImportDocument(text);
    ASSERT_TRUE(node) << node.error().message;
    ImportLog log;
    const ImportValue document(*node, "f: ", log);
    std::optional<ImportFields> outer = document.Fields();
    ASSERT_TRUE(outer);
    std::optional<ImportFields> fields = outer->Find("Top")->Fields();
    ASSERT_TRUE(fields);
    EXPECT_EQ(fields->Find("Name")->Text(), "a b");
    EXPECT_EQ(fields->Find("Count")->Integer(0, 10), 7);
    EXPECT_TRUE(fields->Find("Empty")->Fields());
    std::vector<std::string> ids;
    std::optional<std::vector<ImportValue>> things = fields->FindList("Things", "Thing");
    ASSERT_TRUE(things);
    for (const ImportValue& thing : *things) {
      std::optional<ImportFields> inner = thing.Fields();
      ids.push_back(*inner->Find("Id")->Text());
    }
    EXPECT_THAT(ids, ElementsAre("1", "2"));
    fields->Finish();
    EXPECT_FALSE(log.failed());
    EXPECT_TRUE(log.remarks().empty());
  }
}

// What nobody asked for must be named: a field that is dropped in silence is replication that
// somebody relies on.
TEST(ImportDocumentTest, NamesWhatNobodyRead) {
  Result<ImportNode> node = ParseImportDocument(R"({"a": 1, "b\n": {"c": 2}})");
  ASSERT_TRUE(node);
  ImportLog log;
  const ImportValue document(*node, "f: ", log);
  std::optional<ImportFields> fields = document.Fields();
  fields->Find("a");
  fields->Finish();
  ASSERT_EQ(log.remarks().size(), 1U);
  EXPECT_EQ(
      log.remarks()[0].Text(),
      "f: 'b ': not carried over: this version does not know the field; see whether it matters "
      "to you");
  node = ParseImportDocument("<a b='c'><d>1</d></a>");
  ASSERT_TRUE(node);
  const ImportValue element(node->members[0].node, "f: a", log);
  fields = element.Fields();
  fields->Find("d");
  fields->Finish();
  ASSERT_EQ(log.remarks().size(), 2U);
  EXPECT_EQ(log.remarks()[1].place, "f: a.'@b'");
}

// Mistakes are told by where they are.
TEST(ImportDocumentTest, TellsThePlace) {
  EXPECT_THAT(Fails("{\"a\": 1,\n  \"b\": }"), HasSubstr("2:8: not JSON"));
  EXPECT_THAT(Fails("<a>\n<b></a>"), HasSubstr("2:"));
  EXPECT_THAT(Fails("<a>\n<b></a>"), HasSubstr("not XML"));
  EXPECT_THAT(Fails("{\"a\": \"\xff\"}"), HasSubstr("1:8: not UTF-8"));
  EXPECT_THAT(Fails(" \n"), HasSubstr("empty"));

  Result<ImportNode> node = ParseImportDocument(R"({"list": [{"n": "x"}], "n": 3, "b": 1})");
  ASSERT_TRUE(node);
  ImportLog log;
  std::optional<ImportFields> fields = ImportValue(*node, "f: ", log).Fields();
  std::optional<ImportFields> item = (*fields->FindList("list", ""))[0].Fields();
  EXPECT_FALSE(item->Find("n")->Integer(1, 5));
  EXPECT_FALSE(fields->Find("n")->Text());
  EXPECT_FALSE(fields->Find("b")->Boolean());
  EXPECT_FALSE(fields->Require("missing"));
  EXPECT_EQ(log.ToError().message,
            "f: list[0].n: is not a whole number from 1 to 5\nf: n: is not a text\n"
            "f: b: is not true or false\nf: has no missing");
}

// Which of two values counts depends on the reader: neither may be taken in silence.
TEST(ImportDocumentTest, RefusesDoubledNames) {
  EXPECT_THAT(Fails(R"({"a": 1, "a": 2})"), HasSubstr("twice"));
  Result<ImportNode> node = ParseImportDocument("<a><b>1</b><b>2</b></a>");
  ASSERT_TRUE(node);
  ImportLog log;
  std::optional<ImportFields> fields = ImportValue(node->members[0].node, "f: a", log).Fields();
  EXPECT_FALSE(fields->Find("b"));
  EXPECT_THAT(log.ToError().message, HasSubstr("f: a.b: is given twice"));
}

// A hostile file costs a message, not the memory of the machine or the stack.
TEST(ImportDocumentTest, HoldsItsLimits) {
  std::string json = "[";
  std::string xml;
  for (int i = 0; i < 100'000; ++i) {
    json += "[";
    xml += "<a>";
  }
  EXPECT_NE(Fails(json), "");
  for (int i = 0; i < 100'000; ++i) xml += "</a>";
  EXPECT_THAT(Fails(xml), HasSubstr("too deeply"));
  json = "[0";
  for (int i = 0; i < 200'000; ++i) json += ",0";
  EXPECT_THAT(Fails(json + "]"), HasSubstr("too many"));
  EXPECT_THAT(Fails(std::string(5 << 20, ' ')), HasSubstr("more than 4MiB"));
  EXPECT_NE(Fails("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>x"), "");
  EXPECT_NE(Fails("<a/><b/>"), "");
  EXPECT_NE(Fails("<a>text<b/></a>"), "");
  EXPECT_NE(Fails("{} {}"), "");
  EXPECT_NE(Fails(std::string_view("{\"a\": 1}\0", 9)), "");
}

}  // namespace
}  // namespace longhaul
