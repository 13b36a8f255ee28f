#include "observe/otlp.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <regex>

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kSpan[] = "00f067aa0ba902b7";

// A collector takes a request whole or not at all: one id in base64, or a time as a number, and
// no span of it is seen. (OTLP Specification, "JSON Protobuf Encoding".)
TEST(OtlpTest, SpansHaveTheShapeOfTheSpecification) {
  Span first{.context = {.trace_id = kTrace, .span_id = kSpan},
             .name = "pack \"x\"",
             .begin = SystemTime(1'700'000'000'123'456us),
             .end = SystemTime(1'700'000'001'000'000us),
             .attributes = {{"text",
                             "a\xff"
                             "b"},
                            {"number", int64_t{1} << 60},
                            {"part", 0.5},
                            {"yes", true}}};
  Span second{.context = {.trace_id = kTrace, .span_id = "0000000000000001"},
              .parent_id = kSpan,
              .name = "apply",
              .kind = Span::Kind::kConsumer,
              .begin = SystemTime(2s),
              .end = SystemTime(1s),
              .error = "gone"};
  const boost::json::value json =
      boost::json::parse(OtlpTraces({{"service.name", "longhaul"}}, "0.3.0", {first, second}));
  ASSERT_EQ(json.as_object().size(), 1u);
  const boost::json::value& resource = json.at("resourceSpans").as_array().at(0);
  const boost::json::value& named = resource.at("resource").at("attributes").as_array().at(0);
  EXPECT_EQ(named.at("key").as_string(), "service.name");
  EXPECT_EQ(named.at("value").at("stringValue").as_string(), "longhaul");
  const boost::json::value& scope = resource.at("scopeSpans").as_array().at(0);
  EXPECT_EQ(scope.at("scope").at("name").as_string(), "longhaul");
  const boost::json::array& spans = scope.at("spans").as_array();
  ASSERT_EQ(spans.size(), 2u);
  const boost::json::object& a = spans[0].as_object();
  EXPECT_TRUE(
      std::regex_match(std::string(a.at("traceId").as_string()), std::regex("[0-9a-f]{32}")));
  EXPECT_TRUE(
      std::regex_match(std::string(a.at("spanId").as_string()), std::regex("[0-9a-f]{16}")));
  EXPECT_FALSE(a.contains("parentSpanId"));
  EXPECT_FALSE(a.contains("status"));
  EXPECT_EQ(a.at("kind").as_int64(), 1);
  EXPECT_EQ(a.at("startTimeUnixNano").as_string(), "1700000000123456000");
  EXPECT_EQ(a.at("endTimeUnixNano").as_string(), "1700000001000000000");
  const boost::json::array& attributes = a.at("attributes").as_array();
  EXPECT_EQ(attributes[0].at("value").at("stringValue").as_string(), "a\uFFFDb");
  EXPECT_EQ(attributes[1].at("value").at("intValue").as_string(), "1152921504606846976");
  EXPECT_EQ(attributes[2].at("value").at("doubleValue").as_double(), 0.5);
  EXPECT_EQ(attributes[3].at("value").at("boolValue").as_bool(), true);
  const boost::json::object& b = spans[1].as_object();
  EXPECT_EQ(b.at("parentSpanId").as_string(), kSpan);
  EXPECT_EQ(b.at("kind").as_int64(), 5);
  EXPECT_EQ(b.at("status").at("code").as_int64(), 2);
  EXPECT_EQ(b.at("status").at("message").as_string(), "gone");
  EXPECT_EQ(b.at("endTimeUnixNano").as_string(), "2000000000") << "the clock was set back";
}

// A header that is taken wrongly makes one trace of two, or none of one.
TEST(OtlpTest, TraceparentIsThatOfTheStandard) {
  const SpanContext context{.trace_id = kTrace, .span_id = kSpan};
  const std::string text = FormatTraceparent(context);
  EXPECT_EQ(text, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  EXPECT_EQ(ParseTraceparent(text), context);
  const std::string later = "cc" + text.substr(2);
  EXPECT_EQ(ParseTraceparent(later), context);
  EXPECT_EQ(ParseTraceparent(later + "-what.the.future.brings"), context);
  EXPECT_EQ(ParseTraceparent(text.substr(0, 53) + "03"), context);
  for (const std::string& wrong :
       {std::string(), text.substr(1), text + "-more", "ff" + text.substr(2), later + "x",
        text.substr(0, 53) + "00", text.substr(0, 53) + "0g",
        std::string("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
        std::string("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
        std::string("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")}) {
    EXPECT_FALSE(ParseTraceparent(wrong)) << wrong;
  }
}

TEST(OtlpTest, CountsWhatACollectorRefuses) {
  EXPECT_EQ(RejectedSpans(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}})"), 3u);
  EXPECT_EQ(RejectedSpans(R"({"partialSuccess":{"rejectedSpans":3}})"), 3u);
  for (const char* none : {"", "{}", "[]", "nonsense", R"({"partialSuccess":{}})",
                           R"({"partialSuccess":{"rejectedSpans":"-3"}})",
                           R"({"partialSuccess":{"rejectedSpans":-3}})"}) {
    EXPECT_EQ(RejectedSpans(none), 0u) << none;
  }
}

}  // namespace
}  // namespace longhaul
