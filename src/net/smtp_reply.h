// What an SMTP server says: the lines of its answers, and what it offers.
//
// All of it comes from outside. Source: RFC 5321, 4.2 and 4.1.1.1.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul {

inline constexpr size_t kSmtpSaidBytesMax = 200;

struct SmtpReplyLine {
  int code = 0;      // 0 to 999.
  bool last = true;  // Of its answer.
  std::string text;
};

// nullopt: no line of an answer. `line`: without its end.
std::optional<SmtpReplyLine> ParseSmtpReplyLine(std::string_view line);

// Whether the lines of an answer to EHLO name `keyword`, with `parameter` where it is not empty.
// Both in capitals.
bool SmtpOffers(const std::vector<std::string>& lines, std::string_view keyword,
                std::string_view parameter = "");

// The text of an answer for an error: printable ASCII, at most kSmtpSaidBytesMax.
std::string SmtpSaid(const std::vector<std::string>& lines);

}  // namespace longhaul
