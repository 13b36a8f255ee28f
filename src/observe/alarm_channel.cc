#include "observe/alarm_channel.h"

#include <span>
#include <utility>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kPostMax{30};
constexpr size_t kChannelAnswerBytesMax = 64 << 10;

// "longhaul east: over: parked/main"
std::string Subject(const AlarmMessage& message) {
  return "longhaul " + message.site + ": " + (message.over ? "over: " : "") + message.name;
}

std::string Letter(const AlarmMessage& message) {
  std::string text = message.over ? "This is over:\n\n" : "";
  text += message.text + "\n\nSite:  " + message.site + "\nAlarm: " + message.name +
          "\nSince: " + FormatRfc3339(message.since) + "\n";
  if (message.over) text += "Over:  " + FormatRfc3339(message.now) + "\n";
  return text;
}

// Slack takes "<…>" for links and for calls of everybody, and the text may hold a key or what a
// server says. (Slack API documentation, "Formatting text for app surfaces", "Escaping text".)
std::string EscapedForSlack(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

class WebhookChannel : public AlarmChannel {
 public:
  WebhookChannel(const Runtime& runtime, Secret url, bool slack, HttpClientOptions own,
                 HttpClient* http)
      : url_(std::move(url)),
        slack_(slack),
        own_http_(http == nullptr ? MakeHttpClient(runtime, std::move(own)) : nullptr),
        http_(http == nullptr ? *own_http_ : *http) {}

  [[nodiscard]] std::string_view name() const override { return "webhook"; }

  Async<void> Tell(AlarmMessage message) override {
    const std::string body = slack_ ? SlackText(message) : Json(message);
    HttpRequest request{.method = "POST", .url = std::string(url_.Reveal())};
    request.headers.Add("Content-Type", "application/json");
    request.body = std::as_bytes(std::span(body));
    request.timeouts.total = kPostMax;
    Result<HttpResponse> response = co_await http_.Send(std::move(request));
    if (!response) co_return Retryable(response.error().Describe());
    Result<std::string> answer = co_await ReadAll(*response->body, kChannelAnswerBytesMax);
    static_cast<void>(answer);
    if (response->status / 100 == 2) co_return Ok();
    Error error = Retryable("it answers " + std::to_string(response->status));
    // That is of the message, and no reason to hold others back.
    if (response->status == 400 || response->status == 413 || response->status == 422) {
      error.kind = ErrorKind::kInvalidInput;
    }
    co_return error;
  }

 private:
  static std::string SlackText(const AlarmMessage& message) {
    std::string body = "{\"text\":";
    AppendJsonString(body, EscapedForSlack("longhaul " + message.site + ": " +
                                           (message.over ? "over: " : "") + message.text));
    return body + "}";
  }

  static std::string Json(const AlarmMessage& message) {
    std::string body = "{\"site\":";
    AppendJsonString(body, message.site);
    body += ",\"alarm\":";
    AppendJsonString(body, message.name);
    body += std::string(",\"state\":\"") + (message.over ? "over" : "alarm") + "\",\"text\":";
    AppendJsonString(body, message.text);
    body += ",\"since\":";
    AppendJsonString(body, FormatRfc3339(message.since));
    body += ",\"ts\":";
    AppendJsonString(body, FormatRfc3339(message.now));
    return body + "}";
  }

  Secret url_;
  bool slack_;
  std::unique_ptr<HttpClient> own_http_;  // Null where one was given.
  HttpClient& http_;
};

class MailChannel : public AlarmChannel {
 public:
  MailChannel(const Runtime& runtime, SmtpServer server, std::string from,
              std::vector<std::string> to)
      : client_(runtime, std::move(server)), from_(std::move(from)), to_(std::move(to)) {}

  [[nodiscard]] std::string_view name() const override { return "email"; }

  Async<void> Tell(AlarmMessage message) override {
    return client_.Send(
        {.from = from_, .to = to_, .subject = Subject(message), .text = Letter(message)});
  }

 private:
  SmtpClient client_;
  std::string from_;
  std::vector<std::string> to_;
};

class SnsChannel : public AlarmChannel {
 public:
  explicit SnsChannel(std::unique_ptr<SnsClient> client) : client_(std::move(client)) {}

  [[nodiscard]] std::string_view name() const override { return "sns"; }

  Async<void> Tell(AlarmMessage message) override {
    return client_->Publish({.subject = Subject(message),
                             .text = Letter(message),
                             .attributes = {{"site", message.site},
                                            {"alarm", message.name},
                                            {"state", message.over ? "over" : "alarm"}}});
  }

 private:
  std::unique_ptr<SnsClient> client_;
};

}  // namespace

std::unique_ptr<AlarmChannel> MakeWebhookChannel(const Runtime& runtime, Secret url, bool slack,
                                                 HttpClientOptions own, HttpClient* http) {
  return std::make_unique<WebhookChannel>(runtime, std::move(url), slack, std::move(own), http);
}

std::unique_ptr<AlarmChannel> MakeMailChannel(const Runtime& runtime, SmtpServer server,
                                              std::string from, std::vector<std::string> to) {
  return std::make_unique<MailChannel>(runtime, std::move(server), std::move(from), std::move(to));
}

std::unique_ptr<AlarmChannel> MakeSnsChannel(std::unique_ptr<SnsClient> client) {
  return std::make_unique<SnsChannel>(std::move(client));
}

}  // namespace longhaul
