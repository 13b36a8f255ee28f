// TimeZone: what the clocks on the wall say somewhere, by the system's time zone database.
//
// Reads the compiled files of the database (TZif, RFC 8536) itself: the C library knows one zone
// for the whole process, and to change it while threads run is not safe; libstdc++ 12 has none.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

class TimeZone {
 public:
  // UTC.
  TimeZone() = default;

  // "Europe/Berlin". kNotFound: there is no such zone; kInvalidInput: no name of a zone, or its
  // file cannot be understood. Blocks. `folder`: of the database; empty: $TZDIR, else the system's.
  static Result<TimeZone> Load(const std::string& name, const std::string& folder = "");
  // The same from the bytes of a file. kInvalidInput.
  static Result<TimeZone> Parse(std::string_view bytes);

  // How much the clocks are ahead of UTC at `time`.
  [[nodiscard]] std::chrono::seconds OffsetAt(SystemTime time) const;

 private:
  // A day of the year on which clocks change, as POSIX writes it: "M3.5.0/2".
  struct ChangeRule {
    enum class Kind { kMonthWeekDay, kJulian, kDayOfYear };
    Kind kind = Kind::kMonthWeekDay;
    int month = 1;
    int week = 1;
    int day = 0;
    int64_t time_seconds = 7200;
  };
  struct Footer {
    int64_t standard_seconds = 0;
    std::optional<int64_t> summer_seconds{};
    ChangeRule begin{};
    ChangeRule end{};
  };

  static bool ParseFooter(std::string_view text, Footer& footer);
  static int64_t ChangeAt(const ChangeRule& rule, int year, int64_t offset_seconds);
  [[nodiscard]] int64_t OffsetByFooter(int64_t at) const;

  std::vector<int64_t> changes_;  // Seconds since 1970, ascending.
  std::vector<int32_t> offsets_;  // After each of them.
  int32_t first_offset_ = 0;      // Before all of them.
  std::optional<Footer> footer_;  // After all of them.
};

}  // namespace longhaul
