#include "rules/alarms.h"

#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "net/client_url.h"

namespace longhaul {

namespace {

using namespace std::chrono_literals;

constexpr size_t kRecipientsMax = 50;

// "off" is none.
void ReadTime(YamlFields& fields, std::string_view name,
              std::optional<std::chrono::milliseconds>& time,
              std::chrono::milliseconds most = std::chrono::days(30)) {
  std::optional<YamlValue> value = fields.Find(name);
  if (!value) return;
  if (value->node().text == "off" || value->node().text == "false") {
    time.reset();
    return;
  }
  std::chrono::milliseconds given{};
  if (fields.Duration(name, given, 1s, most)) time = given;
}

void ReadAddress(const YamlValue& value, std::string& address) {
  std::optional<std::string> text = value.Text();
  if (!text) return;
  if (!IsMailAddress(*text)) {
    value.Fail("is no mail address", "write NAME@DOMAIN, without a name in front of it");
    return;
  }
  address = std::move(*text);
}

// HOST[:PORT], an IPv6 address in brackets.
void ReadServer(const YamlValue& value, SmtpServer& server) {
  std::optional<std::string> text = value.Text();
  if (!text) return;
  std::string_view host = *text;
  const size_t colon = host.rfind(':');
  bool good = true;
  if (colon != host.npos && host.find(']', colon) == host.npos) {
    const std::string_view port = host.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), server.port);
    good = error == std::errc() && end == port.data() + port.size() && server.port > 0;
    host = host.substr(0, colon);
  }
  const bool address = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  good = good && !host.empty() && host.size() <= 253;
  for (char c : address ? host.substr(1, host.size() - 2) : host) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || (address && c == ':'));
  }
  if (!good) {
    value.Fail("is no mail server", "write HOST:PORT, as smtp.example.com:587");
    return;
  }
  server.host = host;
}

void ReadMail(const YamlValue& value, Alarms& alarms) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  MailAlarms mail;
  fields->Choice("tls", mail.server.security,
                 {{"starttls", SmtpSecurity::kStartTls},
                  {"tls", SmtpSecurity::kTls},
                  {"none", SmtpSecurity::kNone}});
  mail.server.port = mail.server.security == SmtpSecurity::kTls    ? 465
                     : mail.server.security == SmtpSecurity::kNone ? 25
                                                                   : 587;
  if (auto server = fields->Require("server", "server: smtp.example.com:587")) {
    ReadServer(*server, mail.server);
  }
  if (auto from = fields->Require("from", "from: longhaul@example.com")) {
    ReadAddress(*from, mail.from);
  }
  if (auto to = fields->Require("to", "to: ops@example.com")) {
    if (to->node().kind == YamlNode::Kind::kList) {
      for (const YamlValue& one : to->Items().value_or(std::vector<YamlValue>())) {
        ReadAddress(one, mail.to.emplace_back());
      }
    } else {
      ReadAddress(*to, mail.to.emplace_back());
    }
    if (mail.to.empty() || mail.to.size() > kRecipientsMax) {
      to->Fail("has " + std::to_string(mail.to.size()) + " addresses", "write 1 to 50");
    }
  }
  fields->Text("username", mail.server.username);
  fields->Text("password", mail.server.password);
  if (mail.server.username.empty() != mail.server.password.empty()) {
    value.Fail("has one of username and password", "give both, or neither");
  } else if (!mail.server.username.empty() && mail.server.security == SmtpSecurity::kNone) {
    value.Fail("would send its password in the clear",
               "take tls: none away, or username and password");
  }
  const std::string zero(1, '\0');
  if (mail.server.username.contains(zero) || mail.server.password.Reveal().contains(zero)) {
    value.Fail("has a zero byte in username or password", "SMTP has no way to send one");
  }
  fields->Finish();
  alarms.mail = std::move(mail);
}

void ReadSpending(const YamlValue& value, Alarms& alarms) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  SpendingLimit limit;
  if (auto usd = fields->Require("usd", "usd: 50")) {
    const std::optional<double> dollars = usd->Number(0.01, 1e6);
    if (dollars) limit.pico_dollars = std::llround(*dollars * 1e6) * 1'000'000;
  }
  if (fields->Require("per", "per: day")) {
    fields->Choice("per", limit.monthly, {{"day", false}, {"month", true}});
  }
  fields->Finish();
  alarms.spending = limit;
}

}  // namespace

std::optional<Alarms> ReadAlarms(YamlFields& top) {
  std::optional<YamlValue> value = top.Find("alarms");
  std::optional<YamlFields> fields = value ? value->Fields() : std::nullopt;
  if (!fields) return std::nullopt;
  Alarms alarms;
  std::optional<YamlValue> webhook = fields->Find("webhook");
  std::optional<YamlValue> mail = fields->Find("email");
  std::optional<YamlValue> topic = fields->Find("sns");
  if (!webhook && !mail && !topic) {
    value->Fail("tells nobody", "add webhook: \"${ALARM_URL}\", email: { … } or sns: ARN");
  }
  if (mail) ReadMail(*mail, alarms);
  if (std::optional<std::string> arn = topic ? topic->Text() : std::nullopt) {
    Result<SnsTopic> parsed = ParseSnsTopic(*arn);
    if (parsed) {
      alarms.topic = std::move(*parsed);
    } else {
      topic->Fail(parsed.error().message, "write arn:aws:sns:REGION:ACCOUNT:NAME");
    }
  }
  if (webhook && fields->Text("webhook", alarms.webhook)) {
    Result<ClientUrl> url = ParseClientUrl(alarms.webhook.Reveal());
    if (!url) webhook->Fail("is " + url.error().message, "write https://HOST/PATH");
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
  if (auto spending = fields->Find("spending")) ReadSpending(*spending, alarms);
  ReadTime(*fields, "at_capacity", alarms.at_capacity);
  fields->Boolean("drill_failed", alarms.drill_failed);
  ReadTime(*fields, "drill_age", alarms.drill_age, std::chrono::days(400));
  fields->Finish();
  return alarms;
}

}  // namespace longhaul
