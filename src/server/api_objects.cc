// One object (explain), money and history, by the API.

#include <algorithm>

#include "cost/accounts.h"
#include "cost/prices.h"
#include "replication/explain/explain.h"
#include "replication/find_object.h"
#include "server/api.h"
#include "server/api_json.h"

namespace longhaul {

namespace {

constexpr std::chrono::hours kWeek{7 * 24};
constexpr std::chrono::hours kDay{24};
constexpr std::chrono::hours kHistoryKept{30 * 24};
constexpr std::chrono::hours kLedgerKept{400 * 24};

boost::json::value JsonOf(const std::optional<ObjectInfo>& info) {
  if (!info) return nullptr;
  return boost::json::object{{"etag", info->etag},
                             {"size", info->size_bytes},
                             {"modified", FormatRfc3339(info->last_modified)}};
}

boost::json::value JsonOf(const std::string& rule, const std::optional<ParkedKey>& parked) {
  if (!parked) return nullptr;
  return JsonOf(rule, *parked);
}

boost::json::value JsonOf(const std::optional<Error>& error) {
  return error ? boost::json::value(error->Describe()) : boost::json::value(nullptr);
}

std::string_view NameOf(EntryOp op) {
  switch (op) {
    case EntryOp::kPut:
      return "put";
    case EntryOp::kDelete:
      return "delete";
    default:
      return "attributes";
  }
}

boost::json::value MarkOf(const TargetExplanation& told) {
  if (told.mark) {
    return boost::json::object{{"where", told.mark_in_state ? "state" : "object"},
                               {"site", told.mark->site},
                               {"stamp", JsonTime(told.mark->stamp)},
                               {"source_etag", told.mark->source_etag}};
  }
  if (!told.foreign_mark) return nullptr;
  return boost::json::object{
      {"where", "foreign"}, {"site", nullptr}, {"stamp", nullptr}, {"source_etag", nullptr}};
}

boost::json::value GiantOf(const TargetExplanation& told) {
  if (!told.giant) return nullptr;
  boost::json::object json{{"plan", told.giant->plan}};
  if (told.giant->upload) {
    const std::vector<bool>& stored = told.giant->upload->stored;
    if (told.giant->plan.empty()) json["plan"] = told.giant->upload->plan;
    json["segments"] = stored.size();
    json["segments_done"] = std::ranges::count(stored, true);
  } else {
    json["segments"] = nullptr;
    json["segments_done"] = nullptr;
  }
  return json;
}

boost::json::object TargetOf(const std::string& rule, const TargetExplanation& told) {
  boost::json::object json{{"name", told.name},
                           {"address", told.address},
                           {"key", told.key},
                           {"status", ToString(told.status)},
                           {"next", told.next},
                           {"next_try", JsonTime(told.next_try)},
                           {"error", JsonOf(told.error)},
                           {"object", JsonOf(told.replica)},
                           {"mark", MarkOf(told)}};
  json["floor"] =
      told.floor ? boost::json::value(boost::json::object{{"deleted", told.floor->deleted},
                                                          {"stamp", JsonTime(told.floor->stamp)}})
                 : boost::json::value(nullptr);
  json["giant"] = GiantOf(told);
  boost::json::array staged;
  for (const StagedReading& reading : told.pending) {
    staged.emplace_back(boost::json::object{{"archive", reading.archive},
                                            {"op", NameOf(reading.op)},
                                            {"stamp", JsonTime(reading.stamp)}});
  }
  json["staged"] = std::move(staged);
  boost::json::array receipts;
  for (const LeftReceipt& left : told.receipts) {
    const ArchiveReceipt& receipt = left.receipt;
    const bool corrupt = receipt.state == ArchiveReceipt::State::kCorrupt;
    receipts.emplace_back(boost::json::object{{"archive", receipt.archive},
                                              {"state", corrupt ? "corrupt" : "done"},
                                              {"written", JsonTime(receipt.written)},
                                              {"applied", receipt.applied},
                                              {"conflicts", receipt.conflicts},
                                              {"reason", JsonText(receipt.reason)},
                                              {"rereads", left.rereads}});
  }
  json["receipts"] = std::move(receipts);
  boost::json::array refused;
  for (const ParkedKey& archive : told.refused) refused.emplace_back(JsonOf(rule, archive));
  json["refused"] = std::move(refused);
  json["archives_not_read"] = told.archives_not_read;
  json["parked"] = JsonOf(rule, told.parked);
  json["paused_since"] = told.pause ? JsonTime(told.pause->since) : nullptr;
  json["paused_until"] = told.pause ? JsonTime(told.pause->until) : nullptr;
  json["open_since"] = told.open ? JsonTime(told.open->since) : nullptr;
  json["open_reason"] = told.open ? JsonText(told.open->reason) : nullptr;
  json["spooled"] = told.spooled;
  json["carrier"] = told.carrier ? boost::json::value(told.carrier->id) : nullptr;
  return json;
}

boost::json::object RuleOf(const RuleExplanation& told, std::string_view direction) {
  const Rule& rule = *told.rule;
  boost::json::array targets;
  for (const TargetExplanation& target : told.targets) {
    targets.emplace_back(TargetOf(rule.id, target));
  }
  return {{"rule", rule.id},
          {"direction", direction},
          {"matches", told.matches},
          {"why_not", JsonText(told.why_not)},
          {"source_address", rule.source.store + ":" + rule.source.bucket + "/" + told.source_key},
          {"source", JsonOf(told.source)},
          {"source_error", JsonOf(told.source_error)},
          {"parked", JsonOf(rule.id, told.parked)},
          {"shrinks_to", told.shrinks_to ? boost::json::value(*told.shrinks_to) : nullptr},
          {"targets", std::move(targets)}};
}

boost::json::object AccountOf(const std::string& what, const Account& account,
                              const Prices& prices) {
  const Bill::Sum paid = account.paid.Reckon(prices);
  const Bill::Sum native = account.native.Reckon(prices);
  const Bill::Sum copy = account.copy.Reckon(prices);
  const auto items = [](const Bill::Sum& sum) {
    boost::json::object json;
    for (const auto& [item, pico] : sum.items) json[item] = JsonOfPico(pico);
    return json;
  };
  boost::json::object json{{"what", what},
                           {"objects", account.objects},
                           {"bytes", account.bytes},
                           {"paid_pico_dollars", JsonOfPico(paid.total)},
                           {"native_pico_dollars", JsonOfPico(native.total)},
                           {"copy_pico_dollars", JsonOfPico(copy.total)}};
  json["net_pico_dollars"] = paid.unknown.empty() && native.unknown.empty()
                                 ? JsonOfPico(native.total - paid.total)
                                 : boost::json::value(nullptr);
  json["paid_items"] = items(paid);
  json["native_items"] = items(native);
  boost::json::array unknown;
  for (const std::string& name : UnknownPrices(paid, native, copy)) unknown.emplace_back(name);
  json["whole"] = unknown.empty();
  json["unknown_prices"] = std::move(unknown);
  return json;
}

}  // namespace

Async<Api::Json> Api::ExplainObject(const ApiRequest& request) {
  ApiQuery query(request);
  const std::optional<std::string> text = query.Text("address");
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  if (!text) co_return FieldError("address", "is missing; write NAME:bucket/key");
  if (text->size() > 2048) co_return FieldError("address", "is too long");
  const bool by_bucket = text->starts_with("s3://");
  // What s3:// names has no store; ParseAddress wants one.
  Result<Address> address = ParseAddress(by_bucket ? "s3:" + text->substr(5) : *text);
  if (!address) co_return FieldError("address", address.error().message);
  if (by_bucket) address->store.clear();
  if (address->prefix.empty()) co_return FieldError("address", "names no object");
  Result<std::vector<std::string>> stores =
      StoresOf(context_.configuration, address->store, address->bucket);
  if (!stores) co_return FieldError("address", stores.error().message);
  Result<Explanation> told =
      co_await Explain(context_.replication, context_.configuration, std::move(*stores),
                       address->bucket, address->prefix, {});
  if (!told) co_return told.error();
  boost::json::array rules;
  for (const RuleExplanation& rule : told->from) rules.emplace_back(RuleOf(rule, "from"));
  for (const RuleExplanation& rule : told->to) rules.emplace_back(RuleOf(rule, "to"));
  const std::string next = rules.empty() ? "no rule reads from it or writes to it" : told->next;
  co_return Json{{"address", *text},
                 {"status", ToString(told->status)},
                 {"next", next},
                 {"next_try", JsonTime(told->next_try)},
                 {"rules", std::move(rules)}};
}

Async<Api::Json> Api::GetSavings(const ApiRequest& request) {
  ApiQuery query(request);
  Result<std::optional<SystemTime>> since = query.Time("since");
  if (!since) co_return since.error();
  const std::string by = query.Text("by").value_or("rule");
  if (by != "rule" && by != "target" && by != "day") {
    co_return FieldError("by", "is none of rule, target, day");
  }
  const std::string rule = query.Text("rule").value_or("");
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  if (!rule.empty()) {
    Result<const Rule*> found = RequireRule(rule);
    if (!found) co_return found.error();
  }
  const SystemTime now = context_.runtime.clock.Now();
  const SystemTime begin = std::chrono::floor<std::chrono::hours>(
      std::max(since->value_or(now - kWeek), now - kLedgerKept));
  Result<std::shared_ptr<const Accounts>> read =
      co_await accounts_.Read(begin,
                              by == "day"      ? AccountsBy::kDay
                              : by == "target" ? AccountsBy::kTarget
                                               : AccountsBy::kRule,
                              rule);
  if (!read) co_return read.error();
  const std::shared_ptr<const Accounts> accounts = *read;
  const Prices prices(context_.prices);
  boost::json::array groups;
  for (const auto& [what, account] : accounts->groups) {
    groups.emplace_back(AccountOf(what, account, prices));
  }
  const std::optional<uint64_t> even = BreakEvenBytes(accounts->all, prices);
  co_return Json{
      {"since", FormatRfc3339(begin)},
      {"by", by},
      {"groups", std::move(groups)},
      {"total", AccountOf("total", accounts->all, prices)},
      {"break_even_bytes", even ? boost::json::value(*even) : boost::json::value(nullptr)},
      {"price_table", FormatRfc3339(PriceTableDate()).substr(0, 10)},
      {"damaged_rows", accounts->damaged_rows}};
}

Async<Api::Json> Api::GetHistory(const ApiRequest& request) {
  ApiQuery query(request);
  const std::string rule_id = query.Text("rule").value_or("");
  const std::string target = query.Text("target").value_or("");
  Result<std::optional<SystemTime>> from = query.Time("from");
  if (!from) co_return from.error();
  Result<std::optional<SystemTime>> to = query.Time("to");
  if (!to) co_return to.error();
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  std::string target_name;
  if (!target.empty() && rule_id.empty()) co_return FieldError("target", "needs a rule");
  if (!rule_id.empty()) {
    Result<const Rule*> rule = RequireRule(rule_id);
    if (!rule) co_return rule.error();
    if (!target.empty()) {
      const auto found = std::ranges::find_if((*rule)->targets, [&](const Target& one) {
        return one.name == target || one.to.ToString() == target;
      });
      if (found == (*rule)->targets.end()) co_return NotFound("the rule has no such target");
      target_name = found->name;
    }
  }
  const SystemTime now = context_.runtime.clock.Now();
  const SystemTime begin = std::max(from->value_or(now - kDay), now - kHistoryKept);
  const SystemTime end = std::min(to->value_or(now), now);
  if (end < begin) co_return FieldError("to", "comes before from");
  Result<HistoryLines> lines = co_await history_.Read(rule_id, target_name, begin, end);
  if (!lines) co_return lines.error();
  boost::json::array times;
  std::array<boost::json::array, kHistoryMetrics.size()> columns;
  for (const auto& [when, values] : lines->values) {
    times.emplace_back(when);
    for (size_t i = 0; i < values.size(); ++i) {
      // What a target does not have: bytes and failures are of its rule.
      const bool none = !target_name.empty() && i >= 4;
      columns[i].push_back(none ? boost::json::value(nullptr) : boost::json::value(values[i]));
    }
  }
  Json series;
  for (size_t i = 0; i < columns.size(); ++i) series[kHistoryMetrics[i]] = std::move(columns[i]);
  co_return Json{{"rule", JsonText(rule_id)},
                 {"target", JsonText(target_name)},
                 {"step_seconds", lines->step_seconds},
                 {"times", std::move(times)},
                 {"series", std::move(series)}};
}

}  // namespace longhaul
