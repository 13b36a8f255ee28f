#include "base/time_zone.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace longhaul {

namespace {

constexpr size_t kFileBytesMax = 1 << 20;  // The largest of the database has some 4 KiB.
constexpr size_t kHeaderBytes = 44;
constexpr int64_t kDaySeconds = 86'400;
constexpr int64_t kOffsetSecondsMax = 25 * 3'600;  // POSIX: 24:59:59 in TZ.

// Big-endian, as all of the file.
int64_t Number(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = (static_cast<unsigned char>(bytes[at]) & 0x80U) != 0 ? ~uint64_t{0} : 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return static_cast<int64_t>(value);
}

struct Header {
  size_t utc_count = 0;
  size_t standard_count = 0;
  size_t leap_count = 0;
  size_t change_count = 0;
  size_t type_count = 0;
  size_t name_bytes = 0;

  [[nodiscard]] size_t BodyBytes(size_t time_bytes) const {
    return change_count * (time_bytes + 1) + type_count * 6 + name_bytes +
           leap_count * (time_bytes + 4) + standard_count + utc_count;
  }
};

std::optional<Header> ReadHeader(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with("TZif")) return std::nullopt;
  size_t counts[6];
  for (size_t i = 0; i < 6; ++i) {
    const int64_t count = Number(bytes, 20 + 4 * i, 4);
    if (count < 0 || count > static_cast<int64_t>(kFileBytesMax)) return std::nullopt;
    counts[i] = static_cast<size_t>(count);
  }
  return Header{counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
}

// Reads what POSIX allows in TZ (Base Definitions, 8.3), from the front.
class FooterCursor {
 public:
  explicit FooterCursor(std::string_view text) : text_(text) {}
  [[nodiscard]] bool at_end() const { return text_.empty(); }
  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool Name() {
    if (Take('<')) {
      const size_t end = text_.find('>');
      if (end == std::string_view::npos) return false;
      text_.remove_prefix(end + 1);
      return true;
    }
    size_t size = 0;
    while (size < text_.size() && ((text_[size] >= 'A' && text_[size] <= 'Z') ||
                                   (text_[size] >= 'a' && text_[size] <= 'z'))) {
      ++size;
    }
    text_.remove_prefix(size);
    return size >= 3;
  }
  bool Integer(int min, int max, int& value) {
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc() || value < min || value > max) return false;
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    return true;
  }
  // [+-]hh[:mm[:ss]], in seconds.
  bool Time(int64_t& seconds) {
    const bool negative = Take('-');
    if (!negative) Take('+');
    int hours = 0;
    int minutes = 0;
    int rest = 0;
    if (!Integer(0, 167, hours)) return false;
    if (Take(':') && !Integer(0, 59, minutes)) return false;
    if (Take(':') && !Integer(0, 59, rest)) return false;
    seconds = hours * 3600 + minutes * 60 + rest;
    if (negative) seconds = -seconds;
    return true;
  }

 private:
  std::string_view text_;
};

int YearOf(int64_t seconds) {
  const std::chrono::sys_days day(std::chrono::days(
      seconds >= 0 ? seconds / kDaySeconds : -((-seconds + kDaySeconds - 1) / kDaySeconds)));
  return static_cast<int>(std::chrono::year_month_day(day).year());
}

}  // namespace

bool TimeZone::ParseFooter(std::string_view text, Footer& footer) {
  FooterCursor cursor(text);
  int64_t west = 0;
  const auto offset = [&] {
    return cursor.Time(west) && west <= kOffsetSecondsMax && west >= -kOffsetSecondsMax;
  };
  if (!cursor.Name() || !offset()) return false;
  footer.standard_seconds = -west;
  if (cursor.at_end()) return true;
  if (!cursor.Name()) return false;
  int64_t summer = footer.standard_seconds + 3600;
  if (!cursor.Take(',')) {
    if (!offset()) return false;
    summer = -west;
    if (!cursor.Take(',')) return false;
  }
  footer.summer_seconds = summer;
  for (ChangeRule* rule : {&footer.begin, &footer.end}) {
    if (rule == &footer.end && !cursor.Take(',')) return false;
    if (cursor.Take('M')) {
      if (!cursor.Integer(1, 12, rule->month) || !cursor.Take('.') ||
          !cursor.Integer(1, 5, rule->week) || !cursor.Take('.') ||
          !cursor.Integer(0, 6, rule->day)) {
        return false;
      }
    } else if (cursor.Take('J')) {
      rule->kind = ChangeRule::Kind::kJulian;
      if (!cursor.Integer(1, 365, rule->day)) return false;
    } else {
      rule->kind = ChangeRule::Kind::kDayOfYear;
      if (!cursor.Integer(0, 365, rule->day)) return false;
    }
    if (cursor.Take('/') && !cursor.Time(rule->time_seconds)) return false;
  }
  return cursor.at_end();
}

// In UTC; the time of the rule is by the clocks as they are before it.
int64_t TimeZone::ChangeAt(const ChangeRule& rule, int year, int64_t offset_seconds) {
  using namespace std::chrono;
  const std::chrono::year the_year(year);
  sys_days day{};
  switch (rule.kind) {
    case ChangeRule::Kind::kMonthWeekDay: {
      const auto the_month = month(static_cast<unsigned>(rule.month));
      const weekday on(static_cast<unsigned>(rule.day));
      day = rule.week == 5 ? sys_days(the_year / the_month / on[last])
                           : sys_days(the_year / the_month / on[static_cast<unsigned>(rule.week)]);
      break;
    }
    case ChangeRule::Kind::kJulian: {  // The 29th of February is never counted.
      const bool after_leap_day = the_year.is_leap() && rule.day >= 60;
      day = sys_days(the_year / January / 1) + days(rule.day - 1 + (after_leap_day ? 1 : 0));
      break;
    }
    case ChangeRule::Kind::kDayOfYear:
      day = sys_days(the_year / January / 1) + days(rule.day);
      break;
  }
  return day.time_since_epoch().count() * kDaySeconds + rule.time_seconds - offset_seconds;
}

int64_t TimeZone::OffsetByFooter(int64_t at) const {
  if (!footer_->summer_seconds) return footer_->standard_seconds;
  const int year = YearOf(at + footer_->standard_seconds);
  const int64_t begin = ChangeAt(footer_->begin, year, footer_->standard_seconds);
  const int64_t end = ChangeAt(footer_->end, year, *footer_->summer_seconds);
  const bool summer = begin < end ? at >= begin && at < end : at >= begin || at < end;
  return summer ? *footer_->summer_seconds : footer_->standard_seconds;
}

Result<TimeZone> TimeZone::Parse(std::string_view bytes) {
  const Error bad = InvalidInput("no file of the time zone database (TZif)");
  std::optional<Header> header = ReadHeader(bytes);
  if (!header) return bad;
  size_t time_bytes = 4;
  size_t at = kHeaderBytes;
  if (bytes[4] >= '2') {  // The same once more, in 64 bits.
    const size_t skipped = kHeaderBytes + header->BodyBytes(4);
    if (bytes.size() < skipped) return bad;
    bytes.remove_prefix(skipped);
    header = ReadHeader(bytes);
    if (!header) return bad;
    time_bytes = 8;
  }
  const size_t body = header->BodyBytes(time_bytes);
  if (bytes.size() - kHeaderBytes < body || header->type_count == 0) return bad;
  TimeZone zone;
  const size_t kinds = at + header->change_count * time_bytes;
  const size_t types = kinds + header->change_count;
  auto offset_of = [&](size_t type) {
    return static_cast<int32_t>(Number(bytes, types + 6 * type, 4));
  };
  zone.first_offset_ = offset_of(0);
  for (size_t i = 0; i < header->change_count; ++i) {
    const auto type = static_cast<unsigned char>(bytes[kinds + i]);
    const int64_t when = Number(bytes, at + i * time_bytes, time_bytes);
    if (type >= header->type_count || (i > 0 && when <= zone.changes_.back())) return bad;
    zone.changes_.push_back(when);
    zone.offsets_.push_back(offset_of(type));
  }
  const auto possible = [](int32_t offset) {
    return offset >= -kOffsetSecondsMax && offset <= kOffsetSecondsMax;
  };
  if (!possible(zone.first_offset_) || !std::ranges::all_of(zone.offsets_, possible)) return bad;
  if (time_bytes == 8) {
    std::string_view rest = bytes.substr(kHeaderBytes + body);
    if (rest.size() < 2 || rest.front() != '\n') return bad;
    rest.remove_prefix(1);
    rest = rest.substr(0, rest.find('\n'));
    Footer footer;
    if (!rest.empty()) {
      if (!ParseFooter(rest, footer)) return bad;
      zone.footer_ = footer;
    }
  }
  return zone;
}

Result<TimeZone> TimeZone::Load(const std::string& name, const std::string& folder) {
  if (name == "UTC") return TimeZone();
  const bool plain = !name.empty() && name.size() <= 100 && name.front() != '/' &&
                     std::ranges::all_of(name, [](char c) {
                       return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                              (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' ||
                              c == '+';
                     });
  if (!plain) return InvalidInput("'" + name.substr(0, 80) + "' names no time zone");
  const char* set = std::getenv("TZDIR");
  const std::string where = !folder.empty()  ? folder
                            : set != nullptr ? std::string(set)
                                             : "/usr/share/zoneinfo";
  const std::string path = where + "/" + name;
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    return NotFound("there is no time zone '" + name + "' in " + where +
                    " (the package tzdata brings them)");
  }
  std::string bytes(kFileBytesMax, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  std::fclose(file);
  Result<TimeZone> zone = Parse(bytes);
  if (!zone) return zone.error().In(path);
  return zone;
}

std::chrono::seconds TimeZone::OffsetAt(SystemTime time) const {
  const int64_t at = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  if (footer_ && (changes_.empty() || at >= changes_.back())) {
    return std::chrono::seconds(OffsetByFooter(at));
  }
  const auto after = std::ranges::upper_bound(changes_, at);
  if (after == changes_.begin()) return std::chrono::seconds(first_offset_);
  return std::chrono::seconds(offsets_[static_cast<size_t>(after - changes_.begin()) - 1]);
}

}  // namespace longhaul
