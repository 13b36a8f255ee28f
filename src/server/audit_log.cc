#include "server/audit_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr char kAuditPartition[] = "audit";
constexpr char kNext[] = "next";
constexpr size_t kValueBytesMax = 1'100;  // A key has up to 1,024.

std::string KeyOf(int64_t number) { return fmt::format("e{:04}", number % AuditLog::kEntriesMax); }

std::optional<AuditEntry> Decode(const StateRow& row) {
  Result<boost::json::value> value = ParseJson(row.value);
  if (!value) return std::nullopt;
  const JsonView view(*value);
  Result<int64_t> number = view.Integer("number", 1, INT64_MAX);
  Result<std::string_view> time = view.Text("time");
  if (!number || !time) return std::nullopt;
  Result<SystemTime> when = ParseRfc3339(*time);
  if (!when) return std::nullopt;
  AuditEntry entry{.number = *number, .time = *when};
  const auto text = [&](std::string_view name) {
    Result<std::string_view> found = view.Text(name);
    return found ? std::string(*found) : std::string();
  };
  entry.who = text("who");
  entry.role = text("role");
  entry.peer = text("peer");
  entry.action = text("action");
  entry.subject = text("subject");
  entry.detail = text("detail");
  if (Result<int64_t> status = view.Integer("status", 100, 599)) {
    entry.status = static_cast<int>(*status);
  }
  return entry;
}

// With "… (N)", of bytes or items, where it is cut.
boost::json::value Shortened(const boost::json::value& value) {
  const auto cut = [](std::string text) {
    const size_t size = text.size();
    if (size <= kValueBytesMax) return text;
    text.resize(kValueBytesMax);
    return text + "… (" + std::to_string(size) + ")";
  };
  if (value.is_string()) return boost::json::string(cut(std::string(value.get_string())));
  if (!value.is_array() && !value.is_object()) return value;
  std::string text = WriteJson(value);
  if (text.size() <= kValueBytesMax) return value;
  if (value.is_object()) return boost::json::string(cut(std::move(text)));
  boost::json::array items;
  size_t size = 0;
  for (const boost::json::value& item : value.get_array()) {
    size += WriteJson(item).size() + 1;
    if (size > kValueBytesMax) break;
    items.push_back(item);
  }
  items.push_back(boost::json::string("… (" + std::to_string(value.get_array().size()) + ")"));
  return items;
}

}  // namespace

std::string AuditDetail(const boost::json::object& body) {
  if (body.empty()) return "";
  boost::json::object detail;
  for (const auto& member : body) detail[member.key()] = Shortened(member.value());
  return WriteJson(detail);
}

Async<void> AuditLog::Write(const AuditEntry& entry) {
  boost::json::object row{{"number", entry.number},   {"time", FormatRfc3339(entry.time)},
                          {"who", entry.who},         {"role", entry.role},
                          {"peer", entry.peer},       {"action", entry.action},
                          {"subject", entry.subject}, {"detail", entry.detail}};
  if (entry.status) row["status"] = *entry.status;
  StateWrite write{.key = KeyOf(entry.number), .value = WriteJson(row)};
  Result<int64_t> written = co_await state_.Write(kAuditPartition, std::move(write));
  if (!written) co_return written.error().In("the audit log");
  co_return Ok();
}

Async<AuditEntry> AuditLog::Begin(AuditEntry entry) {
  Result<int64_t> number = co_await state_.Add(kAuditPartition, kNext, 1);
  if (!number) co_return number.error().In("the audit log");
  entry.number = *number;
  entry.time = std::chrono::floor<std::chrono::milliseconds>(runtime_.clock.Now());
  // Only where there are members that nobody takes.
  if (entry.detail.size() > kDetailBytesMax) {
    entry.detail.resize(kDetailBytesMax);
    entry.detail += "…";
  }
  Result<void> written = co_await Write(entry);
  if (!written) co_return written.error();
  co_return entry;
}

Async<void> AuditLog::End(AuditEntry entry) {
  runtime_.log.Info("api change", {{"who", entry.who},
                                   {"role", entry.role},
                                   {"peer", entry.peer},
                                   {"action", entry.action},
                                   {"subject", entry.subject},
                                   {"status", entry.status.value_or(0)}});
  co_return co_await Write(entry);
}

Async<AuditPage> AuditLog::Read(int64_t before, int count_max) {
  Result<std::optional<StateRow>> next = co_await state_.Get(kAuditPartition, kNext);
  if (!next) co_return next.error().In("the audit log");
  int64_t last = 0;
  if (*next) {
    const std::string& text = (*next)->value;
    std::from_chars(text.data(), text.data() + text.size(), last);
  }
  const int64_t oldest = std::max<int64_t>(1, last - kEntriesMax + 1);
  if (before > 0) last = std::min(last, before - 1);
  std::vector<std::string> keys;
  int64_t number = last;
  for (; number >= oldest && std::ssize(keys) < count_max; --number) keys.push_back(KeyOf(number));
  AuditPage page{.entries = {}, .before = number >= oldest ? number + 1 : 0};
  if (keys.empty()) co_return page;
  Result<std::vector<std::optional<StateRow>>> rows =
      co_await state_.GetMany(kAuditPartition, std::move(keys));
  if (!rows) co_return rows.error().In("the audit log");
  for (const std::optional<StateRow>& row : *rows) {
    std::optional<AuditEntry> entry = row ? Decode(*row) : std::nullopt;
    // A slot whose number was given and not written yet holds an older one.
    if (entry && entry->number <= last && entry->number >= oldest) {
      page.entries.push_back(std::move(*entry));
    }
  }
  co_return page;
}

}  // namespace longhaul
