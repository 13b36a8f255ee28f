#include "base/units.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/ascii.h"

namespace longhaul {

namespace {

struct Unit {
  std::string_view name;  // Lower case.
  uint64_t factor;
};

constexpr std::array<Unit, 10> kSizeUnits = {{{"", 1},
                                              {"b", 1},
                                              {"kb", 1'000},
                                              {"mb", 1'000'000},
                                              {"gb", 1'000'000'000},
                                              {"tb", 1'000'000'000'000},
                                              {"kib", 1ULL << 10},
                                              {"mib", 1ULL << 20},
                                              {"gib", 1ULL << 30},
                                              {"tib", 1ULL << 40}}};
constexpr std::array<Unit, 6> kTimeUnits = {
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string QuotedUnit(std::string_view text) {
  return "'" + std::string(text.substr(0, 40)) + (text.size() > 40 ? "…'" : "'");
}

// A decimal number with an optional fraction, as an integer and a power of ten to divide it by.
struct Decimal {
  uint64_t digits = 0;
  uint64_t scale = 1;
};

// Takes a number off the front of `text`; false where there is none or it has more than 15 digits.
bool TakeDecimal(std::string_view* text, Decimal* number) {
  size_t at = 0;
  size_t count = 0;
  bool fraction = false;
  *number = {};
  for (; at < text->size(); ++at) {
    const char c = (*text)[at];
    if (c == '.' && !fraction && count > 0 && at + 1 < text->size() && IsDigit((*text)[at + 1])) {
      fraction = true;
    } else if (IsDigit(c)) {
      if (++count > 15) return false;
      number->digits = number->digits * 10 + static_cast<uint64_t>(c - '0');
      if (fraction) number->scale *= 10;
    } else {
      break;
    }
  }
  text->remove_prefix(at);
  return count > 0;
}

std::string_view TakeLetters(std::string_view* text) {
  size_t at = 0;
  while (at < text->size() && ((*text)[at] | 0x20) >= 'a' && ((*text)[at] | 0x20) <= 'z') ++at;
  std::string_view letters = text->substr(0, at);
  text->remove_prefix(at);
  return letters;
}

// number × factor; false where it is not whole or too large.
bool Scale(const Decimal& number, uint64_t factor, uint64_t* product) {
  const auto wide = static_cast<unsigned __int128>(number.digits) * factor;
  if (wide % number.scale != 0 || wide / number.scale > INT64_MAX) return false;
  *product = static_cast<uint64_t>(wide / number.scale);
  return true;
}

const Unit* FindUnit(std::span<const Unit> units, std::string_view name) {
  const std::string lower = LowerAscii(name);
  auto found = std::ranges::find(units, std::string_view(lower), &Unit::name);
  return found == units.end() ? nullptr : &*found;
}

}  // namespace

Result<uint64_t> ParseSize(std::string_view text) {
  const std::string quoted = QuotedUnit(text);
  std::string_view rest = text;
  Decimal number;
  if (!TakeDecimal(&rest, &number)) {
    return InvalidInput(quoted + " is not a size: write a number with a unit, as 256MiB");
  }
  if (rest.size() > 1 && rest.front() == ' ') rest.remove_prefix(1);
  std::string_view name = TakeLetters(&rest);
  const Unit* unit = FindUnit(kSizeUnits, name);
  if (unit == nullptr || !rest.empty()) {
    if (rest.empty() && name.size() == 1 && std::string_view("kmgtKMGT").contains(name[0])) {
      const std::string letter(1, static_cast<char>(name[0] & ~0x20));
      return InvalidInput(quoted + " could mean two sizes: write " + letter + "iB (of 1,024) or " +
                          letter + "B (of 1,000)");
    }
    return InvalidInput(quoted +
                        " is not a size: the units are B, KB, MB, GB, TB, KiB, MiB, GiB and TiB");
  }
  uint64_t size_bytes = 0;
  if (!Scale(number, unit->factor, &size_bytes)) {
    return InvalidInput(quoted + " is not a size: it is too large, or not a whole number of bytes");
  }
  return size_bytes;
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  const std::string quoted = QuotedUnit(text);
  if (text == "0") return std::chrono::milliseconds(0);
  std::string_view rest = text;
  uint64_t total_ms = 0;
  uint64_t factor_before = UINT64_MAX;
  do {
    Decimal number;
    if (!TakeDecimal(&rest, &number)) {
      return InvalidInput(quoted +
                          " is not a duration: write a number with a unit, as 5s or 1h30m");
    }
    std::string_view name = TakeLetters(&rest);
    if (name.empty()) {
      return InvalidInput(quoted + " has no unit: write it as 250ms, 5s, 10m, 1h or 2d");
    }
    const Unit* unit = FindUnit(kTimeUnits, name);
    uint64_t part_ms = 0;
    if (unit == nullptr || unit->factor >= factor_before) {
      return InvalidInput(quoted +
                          " is not a duration: the units are d, h, m, s and ms, in this order");
    }
    if (!Scale(number, unit->factor, &part_ms) || part_ms > INT64_MAX / 4'000'000) {
      return InvalidInput(quoted + " is not a duration: it is too long, or finer than 1ms");
    }
    factor_before = unit->factor;
    total_ms += part_ms;
  } while (!rest.empty());
  return std::chrono::milliseconds(static_cast<int64_t>(total_ms));
}

std::string FormatSizeExact(uint64_t size_bytes) {
  for (size_t i = kSizeUnits.size(); i-- > 6;) {
    constexpr std::array<std::string_view, 4> kNames = {"KiB", "MiB", "GiB", "TiB"};
    const uint64_t factor = kSizeUnits[i].factor;
    if (size_bytes >= factor && size_bytes % factor == 0) {
      return std::to_string(size_bytes / factor) + std::string(kNames[i - 6]);
    }
  }
  return std::to_string(size_bytes);
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  if (duration.count() <= 0) return "0";
  std::string text;
  auto rest = static_cast<uint64_t>(duration.count());
  for (const Unit& unit :
       {kTimeUnits[5], kTimeUnits[4], kTimeUnits[2], kTimeUnits[1], kTimeUnits[0]}) {
    if (rest < unit.factor) continue;
    text += std::to_string(rest / unit.factor) + std::string(unit.name);
    rest %= unit.factor;
  }
  return text;
}

std::string_view ClosestName(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.size() > 64) return "";
  std::string_view closest;
  size_t least = std::max<size_t>(1, name.size() / 3) + 1;  // One slip in three letters.
  for (std::string_view candidate : candidates) {
    // Optimal string alignment: a swap of neighbours is one slip, the most common one.
    std::vector<std::vector<size_t>> slips(name.size() + 1,
                                           std::vector<size_t>(candidate.size() + 1));
    for (size_t i = 0; i <= name.size(); ++i) {
      for (size_t j = 0; j <= candidate.size(); ++j) {
        if (i == 0 || j == 0) {
          slips[i][j] = i + j;
          continue;
        }
        const bool same = LowerAscii(name[i - 1]) == LowerAscii(candidate[j - 1]);
        slips[i][j] = std::min(
            {slips[i - 1][j] + 1, slips[i][j - 1] + 1, slips[i - 1][j - 1] + (same ? 0 : 1)});
        if (i > 1 && j > 1 && LowerAscii(name[i - 1]) == LowerAscii(candidate[j - 2]) &&
            LowerAscii(name[i - 2]) == LowerAscii(candidate[j - 1])) {
          slips[i][j] = std::min(slips[i][j], slips[i - 2][j - 2] + 1);
        }
      }
    }
    if (slips[name.size()][candidate.size()] < least) {
      least = slips[name.size()][candidate.size()];
      closest = candidate;
    }
  }
  return closest;
}

}  // namespace longhaul
