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
  std::vector<std::string> bodies = EncodeHints(message);
  ASSERT_EQ(bodies.size(), 1u);
  Result<HintMessage> decoded = DecodeHints(bodies[0]);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, message);
}

// A body over the queue's limit could never be sent: long keys must spread over several.
TEST(HintTest, SplitsWhatIsTooLarge) {
  HintMessage message = SomeMessage(2500, 500);
  std::vector<std::string> bodies = EncodeHints(message);
  EXPECT_GT(bodies.size(), 3u);
  std::vector<Hint> all;
  for (const std::string& body : bodies) {
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
