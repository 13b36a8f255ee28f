#include "rules/alarms.h"

#include <string_view>

namespace longhaul {

namespace {

using namespace std::chrono_literals;

// "off" is none.
void ReadTime(YamlFields& fields, std::string_view name,
              std::optional<std::chrono::milliseconds>& time) {
  std::optional<YamlValue> value = fields.Find(name);
  if (!value) return;
  if (value->node().text == "off" || value->node().text == "false") {
    time.reset();
    return;
  }
  std::chrono::milliseconds given{};
  if (fields.Duration(name, given, 1s, std::chrono::days(30))) time = given;
}

}  // namespace

std::optional<Alarms> ReadAlarms(YamlFields& top) {
  std::optional<YamlValue> value = top.Find("alarms");
  std::optional<YamlFields> fields = value ? value->Fields() : std::nullopt;
  if (!fields) return std::nullopt;
  Alarms alarms;
  std::optional<YamlValue> webhook = fields->Require("webhook", "webhook: \"${ALARM_URL}\"");
  if (webhook && fields->Text("webhook", alarms.webhook)) {
    const std::string_view url = alarms.webhook.Reveal();
    if (!url.starts_with("http://") && !url.starts_with("https://")) {
      webhook->Fail("is no URL", "write https://HOST/PATH");
    }
  }
  std::string shape = "generic";
  if (fields->Text("shape", shape)) {
    if (shape != "generic" && shape != "slack") {
      fields->Find("shape")->Fail("'" + shape.substr(0, 80) + "' is no shape of a message",
                                  "write generic or slack");
    }
    if (shape == "slack") alarms.shape = AlarmShape::kSlack;
  }
  fields->Boolean("parked", alarms.parked);
  fields->Boolean("dead_letters", alarms.dead_letters);
  ReadTime(*fields, "lag", alarms.lag);
  ReadTime(*fields, "store_away", alarms.store_away);
  fields->Finish();
  return alarms;
}

}  // namespace longhaul
