#include "state/fields.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// Keys are bytes: a line feed in one must not become a field of its own.
TEST(Fields, AnyBytesComeBack) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  Fields fields;
  fields.Set("key", "a\nupload=other=\n%41");
  fields.Set(all, all);
  fields.SetNumber("size", UINT64_MAX);
  fields.SetTime("at", SystemTime(std::chrono::microseconds(1'700'000'000'000'001)));
  Result<Fields> read = Fields::Read(fields.Write());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->Get("key"), "a\nupload=other=\n%41");
  EXPECT_EQ(read->Get(all), all);
  EXPECT_EQ(read->GetNumber("size"), UINT64_MAX);
  EXPECT_EQ(read->GetTime("at").time_since_epoch().count(), 1'700'000'000'000'001);
  EXPECT_FALSE(read->Has("upload"));
  EXPECT_EQ(read->Get("upload"), "");
  EXPECT_EQ(read->GetNumber("key"), 0U);
  EXPECT_EQ(read->GetTime("key"), SystemTime{});
}

TEST(Fields, GarbageIsRefused) {
  for (std::string_view text : {"x", "a=b", "a\n", "a=%4\n", "%zz=1\n", "a=b\nc"}) {
    Result<Fields> read = Fields::Read(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
  }
  EXPECT_TRUE(Fields::Read(""));
}

}  // namespace
}  // namespace longhaul
