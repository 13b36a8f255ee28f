#include "net/smtp_reply.h"

#include <algorithm>

namespace longhaul {

namespace {

std::string Upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return upper;
}

}  // namespace

std::optional<SmtpReplyLine> ParseSmtpReplyLine(std::string_view line) {
  const bool known = line.size() >= 3 && std::all_of(line.begin(), line.begin() + 3,
                                                     [](char c) { return c >= '0' && c <= '9'; });
  if (!known) return std::nullopt;
  return SmtpReplyLine{.code = ((line[0] - '0') * 100) + ((line[1] - '0') * 10) + (line[2] - '0'),
                       .last = line.size() == 3 || line[3] != '-',
                       .text = std::string(line.size() > 4 ? line.substr(4) : "")};
}

bool SmtpOffers(const std::vector<std::string>& lines, std::string_view keyword,
                std::string_view parameter) {
  for (const std::string& line : lines) {
    std::string words = Upper(line) + " ";
    if (words.starts_with("AUTH=")) words[4] = ' ';  // As some old servers write it.
    if (!words.starts_with(std::string(keyword) + " ")) continue;
    if (parameter.empty() || words.find(" " + std::string(parameter) + " ") != words.npos) {
      return true;
    }
  }
  return false;
}

std::string SmtpSaid(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    if (!text.empty()) text += ' ';
    text += line.substr(0, kSmtpSaidBytesMax);
    if (text.size() > kSmtpSaidBytesMax) break;
  }
  text.resize(std::min(text.size(), kSmtpSaidBytesMax));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace longhaul
