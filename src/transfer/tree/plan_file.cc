#include "transfer/tree/plan_file.h"

#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/json.h"

namespace longhaul {

namespace {

constexpr int64_t kVersion = 1;

void AppendText(std::string& out, std::string_view name, std::string_view value) {
  out += out.size() > 1 ? "," : "";
  const bool utf8 = IsUtf8(value);
  AppendJsonString(out, utf8 ? std::string(name) : std::string(name) + "_base64");
  out += ':';
  AppendJsonString(out, utf8 ? std::string(value) : Base64Encode(value));
}

void AppendNumber(std::string& out, std::string_view name, uint64_t value) {
  out += out.size() > 1 ? "," : "";
  AppendJsonString(out, name);
  out += ':';
  out += std::to_string(value);
}

// A text that may stand as its base64.
Result<std::string> TextOf(const JsonView& line, const std::string& name) {
  Result<std::optional<JsonView>> encoded = line.MemberIfThere(name + "_base64");
  if (!encoded) return encoded.error();
  if (!*encoded) {
    Result<std::string_view> text = line.Text(name);
    if (!text) return text.error();
    return std::string(*text);
  }
  Result<std::string_view> text = (**encoded).Text();
  if (!text) return text.error();
  return Base64Decode(*text);
}

Result<bool> HasText(const JsonView& line, const std::string& name) {
  for (const std::string& member : {name, name + "_base64"}) {
    Result<std::optional<JsonView>> there = line.MemberIfThere(member);
    if (!there) return there.error();
    if (*there) return true;
  }
  return false;
}

// 0: there is none.
Result<int64_t> NumberIfThere(const JsonView& line, const std::string& name) {
  Result<std::optional<JsonView>> member = line.MemberIfThere(name);
  if (!member) return member.error();
  if (!*member) return int64_t{0};
  return (**member).Integer(0, INT64_MAX);
}

Result<PlanHead> HeadOf(const JsonView& line) {
  PlanHead head;
  Result<int64_t> version = line.Integer("longhaul_plan", 0, INT64_MAX);
  if (!version) return version.error();
  if (*version != kVersion) return InvalidInput("a plan of another version of longhaul");
  for (auto [name, member] : {std::pair{"source", &PlanHead::source},
                              {"target", &PlanHead::target},
                              {"backup", &PlanHead::backup},
                              {"made", &PlanHead::made}}) {
    Result<std::string> text = TextOf(line, name);
    if (!text) return text.error();
    head.*member = std::move(*text);
  }
  for (auto [name, member] : {std::pair{"source_place", &PlanHead::source_place},
                              {"target_place", &PlanHead::target_place},
                              {"backup_place", &PlanHead::backup_place}}) {
    Result<bool> there = HasText(line, name);
    if (!there) return there.error();
    if (!*there) continue;
    Result<std::string> text = TextOf(line, name);
    if (!text) return text.error();
    head.*member = std::move(*text);
  }
  Result<JsonView> arguments = line.Member("arguments");
  if (!arguments) return arguments.error();
  Result<std::vector<JsonView>> items = arguments->Items();
  if (!items) return items.error();
  for (const JsonView& item : *items) {
    Result<std::string_view> text = item.Text();
    if (!text) return text.error();
    head.arguments.emplace_back(*text);
  }
  return head;
}

Result<PlanStep> StepOf(const JsonView& line, std::string_view op) {
  PlanStep step;
  if (op != "copy" && op != "remove") {
    return InvalidInput("'" + std::string(op) + "' is neither copy nor remove");
  }
  step.kind = op == "copy" ? PlanStep::Kind::kCopy : PlanStep::Kind::kRemove;
  Result<std::string> name = TextOf(line, "name");
  if (!name) return name.error();
  step.name = std::move(*name);
  Result<std::string> etag = TextOf(line, "etag");
  if (!etag) return etag.error();
  step.etag = std::move(*etag);
  Result<int64_t> size = line.Integer("size", 0, INT64_MAX);
  if (!size) return size.error();
  step.size_bytes = static_cast<uint64_t>(*size);
  Result<std::string> reason = TextOf(line, "reason");
  if (!reason) return reason.error();
  step.reason = std::move(*reason);
  Result<std::optional<JsonView>> there = line.MemberIfThere("target_etag");
  if (!there) return there.error();
  if (*there) {
    Result<std::string_view> text = (**there).Text();
    if (!text) return text.error();
    step.target_etag = std::string(*text);
  }
  return step;
}

}  // namespace

std::string EncodePlan(const PlanHead& head) {
  std::string out = "{";
  AppendNumber(out, "longhaul_plan", kVersion);
  AppendText(out, "source", head.source);
  AppendText(out, "target", head.target);
  AppendText(out, "backup", head.backup);
  AppendText(out, "made", head.made);
  if (!head.source_place.empty()) AppendText(out, "source_place", head.source_place);
  if (!head.target_place.empty()) AppendText(out, "target_place", head.target_place);
  if (!head.backup_place.empty()) AppendText(out, "backup_place", head.backup_place);
  out += ",\"arguments\":[";
  for (size_t i = 0; i < head.arguments.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(out, head.arguments[i]);
  }
  return out + "]}";
}

std::string EncodePlan(const PlanStep& step) {
  std::string out = "{";
  AppendText(out, "op", step.kind == PlanStep::Kind::kCopy ? "copy" : "remove");
  AppendText(out, "name", step.name);
  AppendNumber(out, "size", step.size_bytes);
  AppendText(out, "etag", step.etag);
  if (step.target_etag) AppendText(out, "target_etag", *step.target_etag);
  AppendText(out, "reason", step.reason);
  return out + "}";
}

std::string EncodePlan(const PlanEnd& end) {
  std::string out = "{";
  AppendText(out, "op", "end");
  AppendNumber(out, "copies", end.copies);
  AppendNumber(out, "removals", end.removals);
  if (end.failed > 0) AppendNumber(out, "failed", end.failed);
  if (end.removals_withheld) AppendNumber(out, "removals_withheld", 1);
  return out + "}";
}

Result<PlanParser::Line> PlanParser::Next(std::string_view line) {
  ++line_number_;
  Result<Line> parsed = Parse(line);
  if (!parsed) return parsed.error().In("line " + std::to_string(line_number_));
  return parsed;
}

Result<PlanParser::Line> PlanParser::Parse(std::string_view line) {
  if (ended_) return InvalidInput("something behind the end of the plan");
  Result<boost::json::value> value =
      ParseJson(line, {.size_bytes_max = kPlanLineBytesMax, .depth_max = 4});
  if (!value) return value.error();
  const JsonView view(*value);
  Line result;
  if (line_number_ == 1) {
    Result<PlanHead> head = HeadOf(view);
    if (!head) return head.error().In("not the beginning of a plan");
    result.head = std::move(*head);
    return result;
  }
  Result<std::string_view> op = view.Text("op");
  if (!op) return op.error();
  if (*op == "end") {
    Result<int64_t> copies = view.Integer("copies", 0, INT64_MAX);
    if (!copies) return copies.error();
    Result<int64_t> removals = view.Integer("removals", 0, INT64_MAX);
    if (!removals) return removals.error();
    PlanEnd end = counted_;
    end.copies = static_cast<uint64_t>(*copies);
    end.removals = static_cast<uint64_t>(*removals);
    if (end != counted_) return InvalidInput("lines of the plan are missing, or too many");
    Result<int64_t> failed = NumberIfThere(view, "failed");
    if (!failed) return failed.error();
    Result<int64_t> withheld = NumberIfThere(view, "removals_withheld");
    if (!withheld) return withheld.error();
    end.failed = static_cast<uint64_t>(*failed);
    end.removals_withheld = *withheld != 0;
    ended_ = true;
    result.end = end;
    return result;
  }
  Result<PlanStep> step = StepOf(view, *op);
  if (!step) return step.error();
  if (step->kind == PlanStep::Kind::kRemove) {
    ++counted_.removals;
  } else if (counted_.removals > 0) {
    return InvalidInput("a copy behind a removal");
  } else {
    ++counted_.copies;
  }
  result.step = std::move(*step);
  return result;
}

Result<void> PlanParser::Finish() const {
  if (ended_) return Ok();
  return InvalidInput("the plan has no end: it was cut, and nothing of it is done");
}

}  // namespace longhaul
