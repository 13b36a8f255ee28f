// The first line as a schedule of cron and as an expression of EventBridge; the others as the
// seconds after which it is asked for.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "migration/import_plan.h"
#include "rules/schedule.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(text.find('\n'), text.size());
  // What is made of another system's must be one of ours.
  const auto translated = ScheduleOfEventBridge(text.substr(0, end));
  if (translated && !Schedule::Parse(*translated)) __builtin_trap();
  const Result<Schedule> schedule = Schedule::Parse(text.substr(0, end));
  if (!schedule) return 0;
  int64_t seconds = 0;
  const std::string_view rest = text.substr(std::min(end + 1, text.size()));
  std::from_chars(rest.data(), rest.data() + rest.size(), seconds);
  constexpr int64_t kYear2200 = 7'258'118'400;
  SystemTime after{std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kYear2200))};
  for (int i = 0; i < 10; ++i) {
    const auto next = schedule->Next(after, TimeZone());
    if (!next) return 0;
    if (*next <= after ||
        next->time_since_epoch() % std::chrono::minutes(1) != std::chrono::minutes(0)) {
      __builtin_trap();
    }
    after = *next;
  }
  return 0;
}
