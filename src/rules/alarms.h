// What a configuration says of alarms: what they are of, and who is told.
//
//     alarms: { webhook: "${ALARM_URL}", shape: slack, lag: 15m, store_away: 10m }
//     alarms:
//       email: { to: ops@example.com, from: longhaul@example.com, server: smtp.example.com:587,
//                username: longhaul, password: "${SMTP_PASSWORD}" }
//       sns: arn:aws:sns:eu-west-1:111122223333:alarms
//       spending: { usd: 50, per: day }
//
// The section is checked with the rest of the file (rules/configuration.h) and read by whoever
// watches alone.

#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "aws/sns_client.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/yaml.h"
#include "net/smtp_client.h"

namespace longhaul {

enum class AlarmShape { kGeneric, kSlack };

struct MailAlarms {
  SmtpServer server;  // Its ca_file is for whoever opens it.
  std::string from;
  std::vector<std::string> to;  // 1 to 50.
};

// What replication may cost in a calendar day or month (UTC), over all processes.
struct SpendingLimit {
  int64_t pico_dollars = 0;
  bool monthly = false;
};

// At least one of webhook, mail and topic is there.
struct Alarms {
  Secret webhook;  // A URL, http or https; empty: none.
  AlarmShape shape = AlarmShape::kGeneric;
  std::optional<MailAlarms> mail{};
  std::optional<SnsTopic> topic{};
  bool parked = true;        // Objects of a rule are parked.
  bool dead_letters = true;  // Messages were received too often.
  // A key waits for longer than this; none: not watched. 1 s to 30 days, as the next one.
  std::optional<std::chrono::milliseconds> lag{};
  // A source, staging or target has failed for as long as this.
  std::optional<std::chrono::milliseconds> store_away = std::chrono::minutes(10);
  std::optional<SpendingLimit> spending{};
  // For so long a process has had no processor time or no memory left while the backlog grew.
  std::optional<std::chrono::milliseconds> at_capacity{};
  bool drill_failed = true;  // The last restore drill of a backup proved nothing.
  // The last one that did is longer ago than this; up to 400 days.
  std::optional<std::chrono::milliseconds> drill_age{};
};

// Those of a file which LoadConfiguration has found right; nullopt: it has none. Errors as there.
Result<std::optional<Alarms>> LoadAlarms(const std::string& file, const Environment& environment);

// `alarms:` of the whole file.
std::optional<Alarms> ReadAlarms(YamlFields& top);

}  // namespace longhaul
