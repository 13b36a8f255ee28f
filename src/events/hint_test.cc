#include "events/hint.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

HintMessage SomeMessage(size_t count, size_t key_size) {
  HintMessage message{
      .store = "east", .bucket = "b", .rule = "r", .target = "t", .origin = HintOrigin::kListing};
  for (size_t i = 0; i < count; ++i) {
    std::string key = std::to_string(i) + "\x01\xff\" %/";
    key.resize(std::max(key.size(), key_size), 'k');
    message.hints.push_back(
        {.key = key,
         .time = SystemTime(std::chrono::microseconds(1'772'000'000'000'000 + i)),
         .size_bytes = i % 2 == 0 ? std::optional<uint64_t>(i) : std::nullopt,
         .tries = 2});
  }
  return message;
}

// Keys are bytes: one that is not UTF-8 must come out as it went in.
TEST(HintTest, ComesBackAsItWasSent) {
  HintMessage message = SomeMessage(5, 0);
  std::vector<NewMessage> bodies = EncodeHints(message);
  ASSERT_EQ(bodies.size(), 1u);
  Result<HintMessage> decoded = DecodeHints(bodies[0].body);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, message);
}

// As the first version that shares its queue with others (PostgreSQL, SQS) writes and reads them:
// in a cluster that is upgraded its messages are read here, and ours there.
TEST(HintTest, AreAsEveryVersionWritesThem) {
  const std::string body =
      R"({"v":1,"store":"east","bucket":"data","origin":"webhook","rule":"logs","target":"west",)"
      R"("hints":[["a%20b",1700000000000000,5,0],["c",1700000000000001,null,2,null,1700000000000002],)"
      R"(["d",1700000000000003,0,0,null,null,true]]})";
  auto at = [](int64_t us) { return SystemTime(std::chrono::microseconds(us)); };
  const HintMessage message{
      .store = "east",
      .bucket = "data",
      .rule = "logs",
      .target = "west",
      .origin = HintOrigin::kWebhook,
      .hints = {{.key = "a b", .time = at(1700000000000000), .size_bytes = 5},
                {.key = "c",
                 .time = at(1700000000000001),
                 .size_bytes = std::nullopt,
                 .tries = 2,
                 .heard = at(1700000000000002)},
                {.key = "d", .time = at(1700000000000003), .size_bytes = 0, .attributes = true}}};
  Result<HintMessage> decoded = DecodeHints(body);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, message);
  const std::vector<NewMessage> encoded = EncodeHints(message);
  ASSERT_EQ(encoded.size(), 1u);
  EXPECT_EQ(encoded[0].body, body);
  EXPECT_EQ(encoded[0].lane, "logs");
}

// A body over the queue's limit could never be sent: long keys must spread over several.
TEST(HintTest, SplitsWhatIsTooLarge) {
  HintMessage message = SomeMessage(2500, 500);
  std::vector<NewMessage> bodies = EncodeHints(message);
  EXPECT_GT(bodies.size(), 3u);
  std::vector<Hint> all;
  for (const auto& [body, lane] : bodies) {
    EXPECT_LE(body.size(), 256u << 10);
    Result<HintMessage> decoded = DecodeHints(body);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->target, "t");
    all.insert(all.end(), decoded->hints.begin(), decoded->hints.end());
  }
  EXPECT_EQ(all, message.hints);
}

// A message that cannot be understood must be an error, not an empty list: empty would be
// acknowledged and lost.
// A segment that comes back as another one would put a piece of an object in the wrong place.
TEST(HintTest, SegmentsComeBackAndTravelAlone) {
  SegmentHint segment{.segment = {.plan = "01JC5N0XVRKGBGSKP4ZPQE4M7T",
                                  .offset_bytes = 1'000'000,
                                  .object_size_bytes = 7ULL << 40,
                                  .number = 2,
                                  .count = 9'999,
                                  .first_part = 129},
                      .stamp = SystemTime(std::chrono::seconds(1'700'000'000)),
                      .etag = "\"odd\xff\"-40",
                      .last_modified = SystemTime(std::chrono::microseconds(1'699'999'999'123'456)),
                      .size_bytes = 500'000,
                      .part_size_bytes = 8 << 20};
  HintMessage message{.store = "east", .bucket = "b"};
  message.hints.push_back({.key = "before"});
  message.hints.push_back({.key = "film", .size_bytes = 500'000, .segment = segment});
  message.hints.push_back({.key = "film", .size_bytes = 500'000, .segment = segment});
  message.hints.push_back({.key = "after"});
  message.hints.push_back({.key = "after that"});
  std::vector<NewMessage> bodies = EncodeHints(message);
  ASSERT_EQ(bodies.size(), 4u);
  std::vector<Hint> back;
  for (const auto& [body, lane] : bodies) {
    Result<HintMessage> decoded = DecodeHints(body);
    ASSERT_TRUE(decoded) << body;
    for (Hint& hint : decoded->hints) back.push_back(std::move(hint));
  }
  EXPECT_EQ(back, message.hints);
}

// What a listing finds, and the thousand segments of a giant, must not be before what happens now.
TEST(HintTest, BacklogsHaveALaneOfTheirOwn) {
  HintMessage message{.store = "east", .bucket = "b", .rule = "r"};
  message.hints.push_back({.key = "fresh"});
  message.hints.push_back({.key = "film", .segment = SegmentHint()});
  message.hints.push_back({.key = "fresh too"});
  std::vector<std::string> lanes;
  for (const NewMessage& encoded : EncodeHints(message)) lanes.push_back(encoded.lane);
  EXPECT_EQ(lanes, (std::vector<std::string>{"r", "r/segments", "r"}));
  message.origin = HintOrigin::kListing;
  EXPECT_EQ(EncodeHints(message).front().lane, "r/backlog");
}

// A hint that lost its word for attributes costs a body; one that gained it could cost a change.
TEST(HintTest, AttributesComeBack) {
  HintMessage message{.store = "east", .bucket = "b"};
  message.hints.push_back({.key = "a", .attributes = true});
  message.hints.push_back({.key = "b", .size_bytes = 7, .attributes = true});
  message.hints.back().heard = SystemTime(std::chrono::seconds(1'700'000'000));
  message.hints.push_back({.key = "c"});
  std::vector<NewMessage> bodies = EncodeHints(message);
  ASSERT_EQ(bodies.size(), 1u);
  Result<HintMessage> decoded = DecodeHints(bodies[0].body);
  ASSERT_TRUE(decoded) << bodies[0].body;
  EXPECT_EQ(*decoded, message);
}

// One absurd size must not take the hints of a thousand other keys with it.
TEST(HintTest, ASizeThatIsTooLargeIsNone) {
  for (const char* size : {"18446744073709551615", "1e300"}) {
    Result<HintMessage> decoded =
        DecodeHints(R"({"v":1,"store":"s","bucket":"b","origin":"webhook","hints":[["a",1,)" +
                    std::string(size) + R"(,0],["b",1,7,0]]})");
    ASSERT_TRUE(decoded) << size;
    ASSERT_EQ(decoded->hints.size(), 2u);
    EXPECT_EQ(decoded->hints[0].size_bytes, std::nullopt);
    EXPECT_EQ(decoded->hints[1].size_bytes, 7u);
  }
}

// What would be written outside the object, or read into no part of it.
TEST(HintTest, RefusesSegmentsThatDoNotFitTheirObject) {
  const std::string head =
      R"({"v":1,"store":"s","bucket":"b","origin":"reread","hints":[["k",0,1,0,)";
  const std::string plan = R"("01JC5N0XVRKGBGSKP4ZPQE4M7T")";
  EXPECT_TRUE(DecodeHints(head + "[" + plan + R"(,0,2,0,20,1,10,5,0,"e",0]]]})"));
  for (const char* rest : {R"(,2,2,0,20,1,10,5,0,"e",0)", R"(,0,2,11,20,1,10,5,0,"e",0)",
                           R"(,0,2,0,20,0,10,5,0,"e",0)", R"(,0,2,0,20,1,0,5,0,"e",0)",
                           R"(,0,2,0,20,1,10,0,0,"e",0)", R"(,0,2,-1,20,1,10,5,0,"e",0)",
                           R"(,0,20000,0,20,1,10,5,0,"e",0)", R"(,0,2,0,20,1,10,5,"x","e",0)"}) {
    EXPECT_FALSE(DecodeHints(head + "[" + plan + rest + "]]]}")) << rest;
  }
  EXPECT_FALSE(DecodeHints(head + R"(["no ulid",0,2,0,20,1,10,5,0,"e",0]]]})"));
  EXPECT_FALSE(DecodeHints(head + "7]]}"));
}

TEST(HintTest, RefusesWhatIsNotHints) {
  for (const char* body :
       {"", "{}", "[]", "nonsense",
        R"({"v":2,"store":"s","bucket":"b","origin":"listing","hints":[]})",
        R"({"v":1,"store":"s","bucket":"b","origin":"listing","hints":[["a%zz",1,null,0]]})",
        R"({"v":1,"store":"s","bucket":"b","origin":"listing","hints":[["a",1,-5,0]]})",
        R"({"v":1,"store":"s","bucket":"b","origin":"listing","hints":[["a","x",null,0]]})"}) {
    EXPECT_FALSE(DecodeHints(body)) << body;
  }
}

}  // namespace
}  // namespace longhaul
