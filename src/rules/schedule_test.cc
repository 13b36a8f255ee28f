#include "rules/schedule.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

std::string NextText(const std::string& text, const std::string& after,
                     const std::string& zone = "UTC") {
  Result<Schedule> schedule = Schedule::Parse(text);
  if (!schedule) return schedule.error().message;
  Result<TimeZone> loaded = TimeZone::Load(zone);
  if (!loaded) return loaded.error().message;
  std::optional<SystemTime> next = schedule->Next(*ParseRfc3339(after), *loaded);
  return next ? FormatRfc3339(*next) : "never";
}

TEST(ScheduleTest, FindsTheNextTime) {
  EXPECT_EQ(NextText("* * * * *", "2026-03-01T09:30:10Z"), "2026-03-01T09:31:00Z");
  EXPECT_EQ(NextText("30 3 * * *", "2026-03-01T09:30:00Z"), "2026-03-02T03:30:00Z");
  EXPECT_EQ(NextText("*/20 9-17 * * *", "2026-03-01T09:40:00Z"), "2026-03-01T10:00:00Z");
  EXPECT_EQ(NextText("0 0 1 jan *", "2026-03-01T09:40:00Z"), "2027-01-01T00:00:00Z");
  EXPECT_EQ(NextText("0 6 * * Mon-Fri", "2026-02-27T06:00:00Z"), "2026-03-02T06:00:00Z");
  EXPECT_EQ(NextText("0 6 * * 7", "2026-03-02T00:00:00Z"), "2026-03-08T06:00:00Z");
  // Either of the two days is enough, where both are given.
  EXPECT_EQ(NextText("0 6 15 * mon", "2026-03-10T00:00:00Z"), "2026-03-15T06:00:00Z");
  EXPECT_EQ(NextText("0 0 29 2 *", "2026-03-01T00:00:00Z"), "2028-02-29T00:00:00Z");
  EXPECT_EQ(NextText("0 0 30 2 *", "2026-03-01T00:00:00Z"), "never");
}

TEST(ScheduleTest, RefusesWhatIsNone) {
  for (const char* text : {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *",
                           "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *",
                           "1, * * * *", "1- * * * *", "* * * jam *"}) {
    EXPECT_FALSE(Schedule::Parse(text)) << text;
  }
}

// Clocks of Berlin skip 2:00 to 3:00 on the 29th of March and show it twice on the 25th of October.
TEST(ScheduleTest, HeedsSummerTime) {
  EXPECT_EQ(NextText("0 3 * * *", "2026-01-10T00:00:00Z", "Europe/Berlin"), "2026-01-10T02:00:00Z");
  EXPECT_EQ(NextText("0 3 * * *", "2026-07-10T00:00:00Z", "Europe/Berlin"), "2026-07-10T01:00:00Z");
  // Years after the last change that the file lists one by one.
  EXPECT_EQ(NextText("0 3 * * *", "2045-07-10T00:00:00Z", "Europe/Berlin"), "2045-07-10T01:00:00Z");
  EXPECT_EQ(NextText("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin"),
            "2026-03-29T01:00:00Z");
  EXPECT_EQ(NextText("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin"),
            "2026-10-25T00:30:00Z");
  EXPECT_EQ(NextText("30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin"),
            "2026-10-26T01:30:00Z");
  // Where every hour is meant, the doubled one counts twice.
  EXPECT_EQ(NextText("30 * * * *", "2026-10-25T00:30:00Z", "Europe/Berlin"),
            "2026-10-25T01:30:00Z");
  EXPECT_EQ(NextText("0 12 * * *", "2026-01-10T00:00:00Z", "Australia/Sydney"),
            "2026-01-10T01:00:00Z");
}

TEST(TimeZoneTest, RefusesWhatIsNone) {
  for (const char* name : {"", "../../etc/passwd", "/etc/localtime", "Europe/Nowhere", "a b"}) {
    EXPECT_FALSE(TimeZone::Load(name)) << name;
  }
  // Cut anywhere, a file is refused or read as far as it is whole, never beyond its end.
  std::string bytes = "TZif2" + std::string(15, '\0') + std::string(24, '\0');
  EXPECT_FALSE(TimeZone::Parse(bytes));
  bytes[43] = 127;
  EXPECT_FALSE(TimeZone::Parse(bytes));
  EXPECT_FALSE(TimeZone::Parse("TZif"));
}

}  // namespace
}  // namespace longhaul
