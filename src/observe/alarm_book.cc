#include "observe/alarm_book.h"

#include <optional>
#include <span>
#include <vector>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr char kPartition[] = "alarms";
constexpr std::chrono::seconds kPostMax{30};
constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr int kRowsMax = 1'000;

// "<RFC 3339> <text>"
SystemTime SinceOf(const std::string& value) {
  Result<SystemTime> since = ParseRfc3339(value.substr(0, value.find(' ')));
  return since ? *since : SystemTime{};
}
std::string TextOf(const std::string& value) {
  const size_t space = value.find(' ');
  return space == std::string::npos ? "" : value.substr(space + 1);
}

}  // namespace

AlarmBook::AlarmBook(const Runtime& runtime, State& state, AlarmBookOptions options,
                     HttpClient* http)
    : runtime_(runtime),
      state_(state),
      options_(std::move(options)),
      own_http_(http == nullptr ? MakeHttpClient(runtime) : nullptr),
      http_(http == nullptr ? *own_http_ : *http) {}

AlarmBook::~AlarmBook() = default;

Async<void> AlarmBook::Tell(const std::string& name, const std::string& text, bool over,
                            SystemTime since) {
  std::string body = "{";
  if (options_.slack) {
    body += "\"text\":";
    AppendJsonString(body, "longhaul " + options_.site + ": " + (over ? "over: " : "") + text);
  } else {
    body += "\"site\":";
    AppendJsonString(body, options_.site);
    body += ",\"alarm\":";
    AppendJsonString(body, name);
    body += std::string(",\"state\":\"") + (over ? "over" : "alarm") + "\",\"text\":";
    AppendJsonString(body, text);
    body += ",\"since\":";
    AppendJsonString(body, FormatRfc3339(since));
    body += ",\"ts\":";
    AppendJsonString(body, FormatRfc3339(runtime_.clock.Now()));
  }
  body += "}";
  HttpRequest request{.method = "POST", .url = std::string(options_.url.Reveal())};
  request.headers.Add("Content-Type", "application/json");
  request.body = std::as_bytes(std::span(body));
  request.timeouts.total = kPostMax;
  Result<HttpResponse> response = co_await http_.Send(std::move(request));
  if (!response) co_return Retryable("the webhook of alarms: " + response.error().Describe());
  Result<std::string> answer = co_await ReadAll(*response->body, kAnswerBytesMax);
  static_cast<void>(answer);
  if (response->status / 100 == 2) co_return Ok();
  co_return Retryable("the webhook of alarms answers " + std::to_string(response->status));
}

Async<void> AlarmBook::Look(std::map<std::string, AlarmSight> seen) {
  Result<std::vector<StateRow>> rows = co_await state_.Scan(kPartition, "", kRowsMax);
  if (!rows) co_return rows.error().In("read alarms");
  std::optional<Error> failure;
  const SystemTime now = runtime_.clock.Now();
  for (const StateRow& row : *rows) {
    if (seen.erase(row.key) > 0) continue;  // Told, and still so.
    Result<void> told = co_await Tell(row.key, TextOf(row.value), true, SinceOf(row.value));
    if (!told) {
      failure = told.error();
      continue;
    }
    Result<int64_t> removed = co_await state_.Write(kPartition, {.key = row.key});
    if (!removed) co_return removed.error().In("end alarm " + row.key);
  }
  for (const auto& [name, sight] : seen) {
    if (!sight.due) continue;
    Result<void> told = co_await Tell(name, sight.text, false, now);
    if (!told) {
      failure = told.error();
      continue;
    }
    Result<int64_t> written = co_await state_.Write(
        kPartition, {.key = name, .value = FormatRfc3339(now) + " " + sight.text});
    if (!written) co_return written.error().In("record alarm " + name);
  }
  if (failure) co_return *failure;
  co_return Ok();
}

}  // namespace longhaul
