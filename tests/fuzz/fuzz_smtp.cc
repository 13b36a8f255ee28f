// Any bytes as what an SMTP server says: no crash, and what is shown of it is one bounded line of
// printable ASCII.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "net/smtp_reply.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() < 200) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (std::optional<SmtpReplyLine> line = ParseSmtpReplyLine(text.substr(0, end))) {
      LH_CHECK(line->code >= 0 && line->code <= 999 && line->text.size() <= end);
      lines.push_back(std::move(line->text));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const bool plain = SmtpOffers(lines, "AUTH", "PLAIN");
  LH_CHECK(!plain || SmtpOffers(lines, "AUTH"));
  static_cast<void>(SmtpOffers(lines, "STARTTLS"));
  const std::string said = SmtpSaid(lines);
  LH_CHECK(said.size() <= kSmtpSaidBytesMax);
  LH_CHECK(std::ranges::all_of(said, [](char c) { return c >= ' ' && c <= '~'; }));
  return 0;
}
