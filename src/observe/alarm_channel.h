// AlarmChannel: a way by which an alarm reaches somebody: a webhook, mail, a topic of SNS.
//
// OK from Tell: whoever is on the way to the person has taken it. After any error it is told again
// later, so it may come twice, but not never. kInvalidInput: this message is refused, others may be
// taken.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aws/sns_client.h"
#include "base/clock.h"
#include "base/runtime.h"
#include "base/secret.h"
#include "net/http_client.h"
#include "net/smtp_client.h"

namespace longhaul {

struct AlarmMessage {
  std::string site;
  std::string name;  // "parked/main"
  std::string text;  // For a person.
  bool over = false;
  SystemTime since{};
  SystemTime now{};
};

class AlarmChannel {
 public:
  virtual ~AlarmChannel() = default;
  // Of it; where State keeps what it has been told hangs on it.
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual Async<void> Tell(AlarmMessage message) = 0;
};

// JSON by POST: an object with all of it, or {"text":…} as Slack reads it. `url` often holds a
// token. `http` is borrowed; null: a client of its own, with these options.
std::unique_ptr<AlarmChannel> MakeWebhookChannel(const Runtime& runtime, Secret url, bool slack,
                                                 HttpClientOptions own, HttpClient* http = nullptr);
std::unique_ptr<AlarmChannel> MakeMailChannel(const Runtime& runtime, SmtpServer server,
                                              std::string from, std::vector<std::string> to);
std::unique_ptr<AlarmChannel> MakeSnsChannel(std::unique_ptr<SnsClient> client);

}  // namespace longhaul
