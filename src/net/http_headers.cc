#include <algorithm>

#include "base/ascii.h"
#include "net/http_client.h"

namespace longhaul {
namespace {

bool EqualNames(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return LowerAscii(c); };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

void HttpHeaders::Set(std::string_view name, std::string value) {
  std::erase_if(entries_, [&](const Entry& entry) { return EqualNames(entry.first, name); });
  entries_.emplace_back(name, std::move(value));
}

const std::string* HttpHeaders::Find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (EqualNames(entry.first, name)) return &entry.second;
  }
  return nullptr;
}

std::string_view HttpHeaders::Get(std::string_view name) const {
  const std::string* value = Find(name);
  return value ? std::string_view(*value) : std::string_view();
}

Async<std::string> ReadAll(HttpBody& body, size_t size_bytes_max, size_t size_bytes_hint) {
  std::string text;
  size_t filled = 0;
  while (true) {
    if (filled == text.size()) {
      if (filled > size_bytes_max) break;
      // One byte more than is expected: room to see the end.
      size_t next = filled == 0 && size_bytes_hint > 0
                        ? std::min(size_bytes_hint, size_bytes_max) + 1
                        : std::max<size_t>(4096, filled * 2);
      text.resize(std::min(next, size_bytes_max + 1));
    }
    Result<size_t> count =
        co_await body.Read(std::as_writable_bytes(std::span(text).subspan(filled)));
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
  }
  if (filled > size_bytes_max) {
    co_return InvalidInput("an answer of more than " + std::to_string(size_bytes_max) + " bytes");
  }
  text.resize(filled);
  co_return text;
}

}  // namespace longhaul
