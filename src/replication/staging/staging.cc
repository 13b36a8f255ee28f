#include "replication/staging/staging.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <utility>

#include "base/random.h"

namespace longhaul {

namespace {

constexpr std::string_view kArchiveSuffix = ".tar.zst";
constexpr std::string_view kReceiptSuffix = ".receipt.json";
constexpr size_t kUlidSize = 26;

// Keys are bytes, JSON is UTF-8: bytes that are not travel as "%XX", and so does "%".
std::string KeyToJson(std::string_view key) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  for (char c : key) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '%') {
      text += c;
    } else {
      text += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return text;
}

std::optional<std::string> KeyFromJson(std::string_view text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string key;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      key += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) {
      return std::nullopt;
    }
    key += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return key;
}

}  // namespace

std::string ArchiveKey(std::string_view prefix, std::string_view ulid) {
  return std::string(prefix) + std::string(ulid) + std::string(kArchiveSuffix);
}

std::optional<std::string> UlidOfArchive(std::string_view prefix, std::string_view key) {
  if (!key.starts_with(prefix)) return std::nullopt;
  key.remove_prefix(prefix.size());
  if (key.size() <= kUlidSize || !IsUlid(key.substr(0, kUlidSize))) return std::nullopt;
  if (key.substr(kUlidSize) != kArchiveSuffix) return std::nullopt;
  return std::string(key.substr(0, kUlidSize));
}

std::string ReceiptKey(std::string_view prefix, std::string_view ulid, std::string_view target) {
  return std::string(prefix) + std::string(ulid) + "." + std::string(target) +
         std::string(kReceiptSuffix);
}

std::string EncodeReceipt(const ArchiveReceipt& receipt) {
  boost::json::array reread;
  for (const std::string& key : receipt.reread) reread.emplace_back(KeyToJson(key));
  boost::json::object object{
      {"version", 1},
      {"state", receipt.state == ArchiveReceipt::State::kDone ? "done" : "corrupt"},
      {"archive", receipt.archive},
      {"rule", receipt.rule},
      {"target", receipt.target},
      {"written", FormatRfc3339(receipt.written)},
      {"stamp_oldest", FormatRfc3339(receipt.stamp_oldest)},
      {"entries", receipt.entries},
      {"applied", receipt.applied},
      {"conflicts", receipt.conflicts},
      {"keys_known", receipt.keys_known},
      {"reread", std::move(reread)}};
  if (!receipt.transfer.empty()) {
    object["transfer"] = receipt.transfer;
    object["transfer_key"] = KeyToJson(receipt.transfer_key);
  }
  if (!receipt.bucket.empty()) object["bucket"] = receipt.bucket;
  if (!receipt.reason.empty()) object["reason"] = KeyToJson(receipt.reason);
  return boost::json::serialize(object);
}

namespace {

// Of what a receipt may name: ten times what one of longhaul does. A text of many tiny values takes
// many times its own size.
constexpr size_t kReceiptValuesMax = 100'000;

// Counted by what separates values, outside of strings; true: there are too many.
bool HasTooManyValues(std::string_view text) {
  size_t values = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (in_string && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      in_string = !in_string;
    } else if (!in_string && text[i] == ',') {
      ++values;
    }
  }
  return values > kReceiptValuesMax;
}

}  // namespace

Result<ArchiveReceipt> DecodeReceipt(std::string_view text) {
  Error bad = Corrupt("not a receipt");
  if (HasTooManyValues(text)) return Corrupt("a receipt of too many values");
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) return bad;
  const boost::json::object& object = value.as_object();
  auto string = [&](const char* name) -> std::string {
    const boost::json::value* found = object.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
  };
  auto number = [&](const char* name) -> uint64_t {
    const boost::json::value* found = object.if_contains(name);
    if (found == nullptr || !found->is_number()) return 0;
    boost::system::error_code range;
    auto n = found->to_number<uint64_t>(range);
    return range ? 0 : n;
  };
  if (number("version") != 1) return Corrupt("a receipt of another version");
  ArchiveReceipt receipt;
  const std::string state = string("state");
  if (state != "done" && state != "corrupt") return bad;
  receipt.state = state == "done" ? ArchiveReceipt::State::kDone : ArchiveReceipt::State::kCorrupt;
  receipt.archive = string("archive");
  receipt.rule = string("rule");
  receipt.target = string("target");
  receipt.bucket = string("bucket");
  receipt.reason = KeyFromJson(string("reason")).value_or("");
  Result<SystemTime> written = ParseRfc3339(string("written"));
  Result<SystemTime> oldest = ParseRfc3339(string("stamp_oldest"));
  if (!written || !oldest) return bad;
  receipt.written = *written;
  receipt.stamp_oldest = *oldest;
  receipt.transfer = string("transfer");
  receipt.transfer_key = KeyFromJson(string("transfer_key")).value_or("");
  receipt.entries = number("entries");
  receipt.applied = number("applied");
  receipt.conflicts = number("conflicts");
  const boost::json::value* known = object.if_contains("keys_known");
  receipt.keys_known = known != nullptr && known->is_bool() && known->as_bool();
  const boost::json::value* reread = object.if_contains("reread");
  if (reread == nullptr || !reread->is_array()) return bad;
  for (const boost::json::value& item : reread->as_array()) {
    std::optional<std::string> key;
    if (item.is_string()) key = KeyFromJson(item.as_string());
    if (!key) return bad;
    receipt.reread.push_back(std::move(*key));
  }
  return receipt;
}

bool StagedArchive::HasReceipt(std::string_view target) const {
  return std::any_of(receipts.begin(), receipts.end(),
                     [&](const StagedReceipt& receipt) { return receipt.target == target; });
}

Async<void> WriteReceipt(Store& store, std::string bucket, const std::string& prefix,
                         const ArchiveReceipt& receipt) {
  PutRequest request{.bucket = std::move(bucket),
                     .key = ReceiptKey(prefix, receipt.archive, receipt.target)};
  request.headers.content_type = "application/json";
  Result<PutResult> put = co_await PutText(store, std::move(request), EncodeReceipt(receipt));
  if (!put) co_return put.error().In("write receipt");
  co_return Ok();
}

Async<std::vector<StagedArchive>> ListStaging(Store& store, std::string bucket,
                                              std::string prefix) {
  std::map<std::string, StagedArchive> found;  // By ULID, whose order is that of time.
  std::string token;
  do {
    Result<ListPage> page =
        co_await store.List({.bucket = bucket, .prefix = prefix, .token = token});
    if (!page) co_return page.error().In("staging in " + store.description());
    for (ListedObject& object : page->objects) {
      std::string_view name = object.key;
      name.remove_prefix(prefix.size());
      if (name.size() <= kUlidSize || !IsUlid(name.substr(0, kUlidSize))) continue;
      std::string ulid(name.substr(0, kUlidSize));
      std::string_view rest = name.substr(kUlidSize);
      if (rest == kArchiveSuffix) {
        StagedArchive& staged = found[ulid];
        staged.ulid = ulid;
        staged.archive = std::move(object);
      } else if (rest.starts_with('.') && rest.ends_with(kReceiptSuffix) &&
                 rest.size() > 1 + kReceiptSuffix.size()) {
        StagedArchive& staged = found[ulid];
        staged.ulid = ulid;
        std::string target(rest.substr(1, rest.size() - 1 - kReceiptSuffix.size()));
        staged.receipts.push_back({.target = std::move(target),
                                   .key = object.key,
                                   .etag = std::move(object.etag),
                                   .size_bytes = object.size_bytes});
      }
    }
    token = page->next_token;
  } while (!token.empty());
  std::vector<StagedArchive> archives;
  archives.reserve(found.size());
  for (auto& [ulid, staged] : found) archives.push_back(std::move(staged));
  co_return archives;
}

StagingFreed FreedBy(std::string rule, std::string target, const ListedObject& archive,
                     SystemTime now) {
  const auto kept = std::chrono::duration_cast<std::chrono::milliseconds>(
      now - std::min(now, archive.last_modified));
  return {.rule = std::move(rule),
          .target = std::move(target),
          .bytes = archive.size_bytes,
          .kept = kept};
}

}  // namespace longhaul
