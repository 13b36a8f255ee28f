// What changes, as server-sent events. One loop looks for all streams, and only while there are
// any.

#include <algorithm>
#include <boost/json.hpp>
#include <deque>

#include "backup/restore.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/version.h"
#include "migration/run.h"
#include "server/api.h"
#include "server/api_json.h"
#include "server/static_files.h"

namespace longhaul {

namespace {

constexpr size_t kStreamsMax = 64;
// What a client has not read yet; one that is slower than that is let go, and comes again.
constexpr size_t kWaitingBytesMax = 4 << 20;
constexpr std::chrono::seconds kHeartbeat{10};
constexpr std::chrono::seconds kLook{2};
constexpr int kRunsEvery = 3;  // Looks.
constexpr size_t kChangedMax = 100;
// Who comes first has loaded its page before the first look: what ended in between is news.
constexpr std::chrono::seconds kMoment{10};
constexpr size_t kFailuresPerLook = 40;
// How long a listing of a vault waits for whoever reads its next page.
constexpr std::chrono::seconds kVaultListsKept{60};
// A thousand rules in two minutes.
constexpr size_t kRulesCountedPerLook = 20;

}  // namespace

struct Api::Stream {
  std::deque<std::string> waiting;
  size_t waiting_bytes = 0;
  bool lost = false;  // Too slow.
  WaitList changed;
};

void Api::Tell(std::string_view event, const Json& data) {
  if (streams_.empty()) return;
  const std::string text = "event: " + std::string(event) + "\ndata: " + WriteJson(data) + "\n\n";
  for (Stream* stream : streams_) {
    if (stream->waiting_bytes + text.size() > kWaitingBytesMax) stream->lost = true;
    if (!stream->lost) {
      stream->waiting.push_back(text);
      stream->waiting_bytes += text.size();
    }
    stream->changed.NotifyAll();
  }
}

asio::awaitable<void> Api::ServeStream(HttpServerResponse& response) {
  Clock& clock = context_.runtime.clock;
  response.close = true;
  SetSecurityHeaders(response.headers);
  response.headers.Set("Cache-Control", "no-store");
  if (streams_.size() >= kStreamsMax || stopping_) {
    response.status = 503;
    response.headers.Set("Retry-After", "10");
    response.headers.Set("Content-Type", "application/json");
    const Json error{
        {"code", "Unavailable"}, {"message", "too many streams are open"}, {"field", nullptr}};
    Result<void> sent = co_await response.Send(WriteJson(Json{{"error", error}}) + "\n");
    static_cast<void>(sent);
    co_return;
  }
  response.headers.Set("Content-Type", "text/event-stream");
  response.headers.Set("X-Accel-Buffering", "no");
  Stream stream;
  streams_.insert(&stream);
  struct Leave {
    std::set<Stream*>& streams;
    Stream* stream;
    ~Leave() { streams.erase(stream); }
  } leave{streams_, &stream};
  Result<void> sent = co_await response.Start(std::nullopt);
  std::string text = "event: hello\ndata: " +
                     WriteJson(Json{{"version", kVersion},
                                    {"site", context_.configuration.site},
                                    {"time", FormatRfc3339(clock.Now())}}) +
                     "\n\n";
  while (sent) {
    sent = co_await response.Write(AsBytes(text));
    if (!sent || stopping_ || stream.lost) break;
    if (stream.waiting.empty()) {
      const bool told = co_await stream.changed.WaitFor(clock, kHeartbeat);
      if (!told) {
        text = "event: heartbeat\ndata: " + WriteJson(Json{{"time", FormatRfc3339(clock.Now())}}) +
               "\n\n";
        continue;
      }
    }
    text.clear();
    while (!stream.waiting.empty()) {
      text += stream.waiting.front();
      stream.waiting.pop_front();
    }
    stream.waiting_bytes = 0;
  }
  if (sent) sent = co_await response.Finish();
}

// All that the JSON of a rule is made of, as far as it changes by writes alone; "" where time
// changes it, too, or rows that nobody has read yet. So of a thousand rules that rest none is
// described anew.
std::string Api::LooksOf(const Rule& rule, SystemTime now) const {
  const RuleControl& control = *snapshot_.control;
  const RuleSights& sights = *snapshot_.sights;
  if (control.PauseOf(rule.id)) return "";
  // What is of the last hours falls out of them.
  std::string looks =
      std::to_string(std::chrono::floor<std::chrono::hours>(now.time_since_epoch()).count());
  const auto add = [&](auto number) { looks += " " + std::to_string(number); };
  add(parked_.Of(rule.id, ""));
  for (const Target& target : rule.targets) {
    if (control.PauseOf(rule.id, target.name)) return "";
    add(parked_.Of(rule.id, target.name));
  }
  if (const auto totals = sights.totals.find(rule.id); totals != sights.totals.end()) {
    add(totals->second.revision);
  }
  if (const auto running = sights.running.find(rule.id); running != sights.running.end()) {
    for (const RuleNow& process : running->second) {
      const auto waits = [](const auto& target) {
        return target.second.oldest || target.second.open;
      };
      if (process.oldest || std::ranges::any_of(process.targets, waits)) return "";
      add(process.revision);
    }
  }
  return looks;
}

Async<void> Api::TellRules() {
  Result<void> fresh = co_await Refresh(kLook);
  if (!fresh) co_return fresh.error();
  Result<void> counted = co_await parked_.RefreshOldest(kRulesCountedPerLook);
  if (!counted) co_return counted.error();
  const SystemTime now = context_.runtime.clock.Now();
  const bool first = told_rules_.empty();
  boost::json::array changed;
  size_t changes = 0;
  for (const Rule& rule : context_.configuration.rules) {
    ToldRule& before = told_rules_[rule.id];
    std::string looks = LooksOf(rule, now);
    if (!looks.empty() && looks == before.looks) continue;
    Result<RuleReport> report = co_await Report(rule);
    if (!report) co_return report.error();
    before.looks = std::move(looks);
    Json json = JsonOf(*report, now);
    // Lag grows by itself: that alone is told every time, as charts move by it.
    std::string text = WriteJson(json);
    if (before.json == text) continue;
    before.json = std::move(text);
    ++changes;
    if (changes <= kChangedMax) changed.emplace_back(std::move(json));
  }
  if (changes > 0 && !first) {
    Json told{{"rules", std::move(changed)}, {"counts", CountsByHealth()}};
    if (changes > kChangedMax) {
      told["rules"] = boost::json::array();
      told["reload"] = true;
    }
    Tell("rules", told);
  }
  const Json health = Health(*snapshot_.sights);
  std::string text = WriteJson(health);
  if (text != told_health_) {
    if (!told_health_.empty()) Tell("health", health);
    told_health_ = std::move(text);
  }
  co_return Ok();
}

Async<void> Api::TellRuns() {
  migration::RunBook book(context_.runtime, context_.state);
  Result<std::vector<migration::Run>> runs = co_await book.All();
  if (!runs) co_return runs.error();
  const bool first = !told_runs_;
  if (first) told_runs_.emplace();
  boost::json::array changed;
  for (const migration::Run& run : *runs) {
    std::string& before = (*told_runs_)[run.id];
    // One that has finished, and was told so, is not looked into again.
    const std::string over = run.finished ? "over " + std::to_string(run.revision) : "";
    if (!over.empty() && before == over) continue;
    Result<Json> json = co_await MigrationRun(run.id);
    if (!json) continue;  // Forgotten meanwhile.
    std::string text = WriteJson(*json);
    if (before == text) continue;
    before = over.empty() ? std::move(text) : over;
    if (changed.size() < kChangedMax) changed.emplace_back(std::move(*json));
  }
  if (!changed.empty() && !first) Tell("runs", Json{{"migrations", std::move(changed)}});
  co_return Ok();
}

void Api::TellChanged(std::string_view event, ToldRuns& told, std::vector<SeenRun> runs) {
  const bool first = !told;
  if (first) told.emplace();
  const SystemTime now = context_.runtime.clock.Now();
  boost::json::array changed;
  for (SeenRun& run : runs) {
    std::string text = WriteJson(run.json);
    std::string& before = (*told)[run.id];
    if (before == text) continue;
    before = std::move(text);
    if (first && run.ended && now - *run.ended > kMoment) continue;
    if (changed.size() < kChangedMax) changed.emplace_back(std::move(run.json));
  }
  if (!changed.empty()) Tell(event, Json{{"runs", std::move(changed)}});
}

Async<void> Api::TellRestores(bool all) {
  std::vector<SeenRun> seen;
  const auto add = [&](const RunRecord& run) {
    std::optional<SystemTime> ended;
    if (run.phase != RunPhase::kRunning) ended = run.written;
    seen.push_back({.id = run.id, .json = JsonOfRestore(run), .ended = ended});
  };
  if (all) {
    restores_changed_ = false;
    Result<std::vector<RunRecord>> runs = co_await Runs(context_.runtime, context_.state).All();
    if (!runs) co_return runs.error();
    for (const RunRecord& run : *runs) {
      // What is written of those that run here is some seconds old.
      if (run.command == backup::kRestoreCommand && !here_.contains(run.id)) add(run);
    }
  }
  for (const auto& [id, journal] : here_) add(journal->record());
  TellChanged("restores", told_restores_, std::move(seen));
  co_return Ok();
}

asio::awaitable<void> Api::Feed(Event& stop) {
  told_failures_ = context_.failures.last();
  // What is parked is counted before anybody asks: of very many rules that takes a moment. Where
  // State is away, whoever asks first does it.
  Result<void> counted = co_await Refresh(kLook);
  static_cast<void>(counted);
  for (int64_t look = 0; !co_await stop.WaitFor(context_.runtime.clock, kLook); ++look) {
    co_await CloseLists(kVaultListsKept);
    if (streams_.empty()) {
      // Whoever comes next fetches everything first.
      told_rules_.clear();
      told_runs_.reset();
      told_restores_.reset();
      told_cache_runs_.reset();
      told_health_.clear();
      told_failures_ = context_.failures.last();
      continue;
    }
    size_t told = 0;
    for (const SeenFailure& failure : context_.failures.failures()) {
      if (failure.number <= told_failures_) continue;
      if (++told <= kFailuresPerLook) Tell("failure", JsonOf(failure));
    }
    told_failures_ = context_.failures.last();
    // A State that is away shows by the answers to requests; streams then only beat.
    Result<void> looked = co_await TellRules();
    const bool all = look % kRunsEvery == 0;
    if (looked && all) looked = co_await TellRuns();
    if (looked) looked = co_await TellRestores(all || restores_changed_ || !told_restores_);
    if (looked && (all || cache_runs_changed_ || !told_cache_runs_)) {
      looked = co_await TellCacheRuns();
    }
  }
  stopping_ = true;
  // First: a restore that begins waits for the memory that they hold.
  co_await CloseLists(std::chrono::seconds(0));
  co_await background_.End();
  for (Stream* stream : streams_) stream->changed.NotifyAll();
}

asio::awaitable<void> Api::Run(Event& stop) {
  TaskGroup group(context_.runtime.executor);
  const auto wrapped = [](asio::awaitable<void> work) -> Async<void> {
    co_await std::move(work);
    co_return Ok();
  };
  group.Spawn(wrapped(Feed(stop)));
  group.Spawn(wrapped(history_.Run(stop)));
  Result<void> joined = co_await group.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
