#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace longhaul {
namespace {

using ::testing::HasSubstr;

// Events and manifests are read by paths; an error must say which value of which record was wrong.
TEST(JsonTest, ReadsByPath) {
  auto value = ParseJson(
      R"({"Records":[{"s3":{"bucket":{"name":"b"},"object":{"size":5}}},{"s3":7}],"on":true,"n":null})");
  ASSERT_TRUE(value);
  JsonView view(*value);
  auto records = view.Member("Records")->Items();
  ASSERT_TRUE(records);
  auto s3 = records->at(0).Member("s3");
  EXPECT_EQ(*s3->Member("bucket")->Text("name"), "b");
  EXPECT_EQ(*s3->Member("object")->Integer("size", 0, 10), 5);
  EXPECT_EQ(s3->Member("object")->Integer("size", 0, 4).error().message,
            "$.Records[0].s3.object.size is not a whole number from 0 to 4");
  EXPECT_EQ(records->at(1).Member("s3")->Member("bucket").error().message,
            "$.Records[1].s3 is not an object");
  EXPECT_EQ(s3->Member("x").error().message, "$.Records[0].s3.x is missing");
  EXPECT_TRUE(*view.Member("on")->Boolean());
  EXPECT_FALSE(*view.MemberIfThere("n"));
  EXPECT_FALSE(*view.MemberIfThere("absent"));
  EXPECT_FALSE(view.Items());
  EXPECT_FALSE(view.Text());
}

// What two readers understand differently is refused by both.
TEST(JsonTest, RefusesWhatIsAmbiguousOrBroken) {
  for (const char* bad : {"", " ", "{", "{\"a\":1,\"a\":2}", "[{\"b\":{\"a\":1,\"a\":1}}]", "1e400",
                          "-1e999", "NaN", "[1,]", "{\"a\":1} x", "1 2", "\"\xff\"", "\"\xc0\x80\"",
                          "'a'", "// c\n1", "\"\\ud800\"", "\"a\nb\"", "01"}) {
    EXPECT_FALSE(ParseJson(bad)) << bad;
  }
  EXPECT_TRUE(ParseJson("{\"a\":1,\"A\":2,\"b\":{\"a\":1}} \n"));
  EXPECT_THAT(ParseJson("[1,x]").error().message, HasSubstr("at byte 3"));
}

// A body from outside must not take the stack or the memory.
TEST(JsonTest, KeepsLimits) {
  EXPECT_FALSE(ParseJson(std::string(100'000, '[')));
  EXPECT_FALSE(ParseJson(std::string(33, '[') + std::string(33, ']')));
  EXPECT_TRUE(ParseJson(std::string(31, '[') + std::string(31, ']')));
  EXPECT_FALSE(ParseJson(std::string(2 << 20, ' ') + "1"));
  EXPECT_TRUE(ParseJson("12345", {.size_bytes_max = 5}));
  EXPECT_FALSE(ParseJson("123456", {.size_bytes_max = 5}));
}

// Archives are compared byte for byte: the same value must be the same text, and be JSON.
TEST(JsonTest, WritesTheSameBytes) {
  const std::string text =
      R"({"z":1,"a":[true,null,-5,18446744073709551615,"x\"\\\n\u0001/ä"],"e":{},"l":[]})";
  auto value = ParseJson(text);
  ASSERT_TRUE(value);
  EXPECT_EQ(WriteJson(*value), text);
  EXPECT_EQ(WriteJson(boost::json::value("a\xff")), "\"a\xef\xbf\xbd\"");
  EXPECT_EQ(*ParseJson(WriteJson(boost::json::value(0.1))), boost::json::value(0.1));
  // Many digits: a value that changes on its way through would change each time.
  const double many = 111111111311111111111111111117.0;
  EXPECT_EQ(ParseJson("111111111311111111111111111117")->as_double(), many);
  EXPECT_EQ(ParseJson(WriteJson(boost::json::value(many)))->as_double(), many);
}

TEST(JsonTest, KnowsUtf8) {
  EXPECT_TRUE(IsUtf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (const char* bad : {"\x80", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
                          "\xe0\x80\x80", "\xf0\x80\x80\x80"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

}  // namespace
}  // namespace longhaul
