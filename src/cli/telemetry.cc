#include "cli/telemetry.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/metrics.h"
#include "observe/emf.h"
#include "replication/life/rule_meter.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kInterval{60};

double Number(uint64_t count) { return static_cast<double>(count); }

}  // namespace

TelemetryReporter::TelemetryReporter(const Runtime& runtime, const Configuration& configuration,
                                     Telemetry telemetry,
                                     std::map<std::string, std::string> regions, Output& output,
                                     Observer& next)
    : runtime_(runtime),
      configuration_(configuration),
      telemetry_(std::move(telemetry)),
      regions_(std::move(regions)),
      output_(output),
      next_(next),
      reported_(runtime.clock.SteadyNow()) {}

void TelemetryReporter::OnOutcome(const Outcome& outcome) {
  TargetCounts& counts = targets_[{outcome.rule, outcome.target}];
  switch (outcome.state) {
    case OutcomeState::kApplied:
      ++counts.processed;
      counts.processed_bytes += outcome.size_bytes;
      break;
    case OutcomeState::kParked:
    case OutcomeState::kConflict:
      ++counts.failed;
      break;
    case OutcomeState::kEqual:
    case OutcomeState::kSuperseded:
    case OutcomeState::kReread:
      break;
  }
  next_.OnOutcome(outcome);
}

void TelemetryReporter::OnArchiveStaged(const ArchiveBytes& bytes) {
  carried_.objects += bytes.objects;
  carried_.plain += bytes.plain;
  carried_.sent += bytes.sent;
  carried_.archives += bytes.archives;
  next_.OnArchiveStaged(bytes);
}

void TelemetryReporter::OnRetry(std::string_view rule, std::string_view key, const Error& error) {
  ++tries_failed_;
  next_.OnRetry(rule, key, error);
}

void TelemetryReporter::Write(const std::string& line) {
  if (!line.empty()) output_.Raw(line + "\n");
}

Async<int64_t> TelemetryReporter::ReportRule(State& state, const Rule& rule,
                                             const std::string& owner) {
  Result<std::vector<RuleNow>> running = co_await ReadNow(state, rule.id);
  if (!running) co_return running.error();
  int64_t sources = 0;
  const RuleNow* own = nullptr;
  for (const RuleNow& process : *running) {
    sources += process.source ? 1 : 0;
    if (process.process == owner) own = &process;
  }
  // What failed before it had a target failed for each of them.
  const auto at_source = targets_.extract({rule.id, ""});
  const uint64_t failed_at_source = at_source.empty() ? 0 : at_source.mapped().failed;
  for (const Target& target : rule.targets) {
    TargetCounts& counts = targets_[{rule.id, target.name}];
    std::vector<EmfMetric> metrics{
        {.name = "OperationsFailedReplication",
         .unit = "Count",
         .value = Number(counts.failed + failed_at_source)},
        {.name = "ObjectsProcessed", .unit = "Count", .value = Number(counts.processed)},
        {.name = "ProcessedBytes", .unit = "Bytes", .value = Number(counts.processed_bytes)}};
    if (own != nullptr) {
      metrics.push_back({.name = "OperationsPendingReplication",
                         .unit = "Count",
                         .value = Number(own->keys_pending)});
      const auto seen = own->targets.find(target.name);
      metrics.push_back(
          {.name = "ArchivesPending",
           .unit = "Count",
           .value = seen == own->targets.end() ? 0 : Number(seen->second.archives_waiting)});
    }
    const Histogram& lag = runtime_.metrics.histogram(
        "longhaul_replication_lag_seconds", "From the oldest reading of an archive to its receipt",
        {{"rule", rule.id}, {"target", target.name}});
    const uint64_t lags = lag.count();
    const double seconds = lag.sum();
    if (lags > counts.lag_count) {
      metrics.push_back(
          {.name = "ReplicationLatency",
           .unit = "Seconds",
           .value = (seconds - counts.lag_seconds) / Number(lags - counts.lag_count)});
    }
    Write(EmfLine(runtime_.clock.Now(), telemetry_.name_space,
                  {{"SourceBucket", rule.source.bucket},
                   {"DestinationBucket", target.to.bucket},
                   {"RuleId", rule.id}},
                  metrics));
    counts = {.lag_seconds = seconds, .lag_count = lags};
  }
  co_return sources;
}

void TelemetryReporter::ReportProcess(const QueueDepth& depth, int64_t sources) {
  const SystemTime now = runtime_.clock.Now();
  const std::chrono::duration<double> passed = runtime_.clock.SteadyNow() - reported_;
  reported_ = runtime_.clock.SteadyNow();
  const double visible = static_cast<double>(depth.visible);
  std::vector<EmfMetric> metrics{
      {.name = "BacklogMessages", .unit = "Count", .value = visible},
      {.name = "MessagesInFlight", .unit = "Count", .value = static_cast<double>(depth.in_flight)},
      {.name = "BacklogPerTask",
       .unit = "Count",
       .value = visible / static_cast<double>(std::max<int64_t>(1, sources))},
      {.name = "DeadLetters", .unit = "Count", .value = static_cast<double>(depth.dead)},
      {.name = "FailedTries", .unit = "Count", .value = Number(tries_failed_)}};
  if (carried_.archives > 0) {
    const double raw = Number(carried_.objects);
    const double sent = Number(carried_.sent);
    const double saved = Number(carried_.plain) - sent;
    metrics.push_back({.name = "OriginalSize", .unit = "Bytes", .value = raw});
    metrics.push_back({.name = "CompressedSize", .unit = "Bytes", .value = sent});
    metrics.push_back({.name = "BytesSaved", .unit = "Bytes", .value = saved});
    // No number where nothing was sent: then EmfLine leaves it out.
    metrics.push_back(
        {.name = "CompressionRatio", .unit = "None", .value = Number(carried_.plain) / sent});
    metrics.push_back({.name = "TransferEfficiency",
                       .unit = "Percent",
                       .value = 100 * saved / Number(carried_.plain)});
    metrics.push_back({.name = "CompressionThroughput",
                       .unit = "Megabytes/Second",
                       .value = raw / 1e6 / passed.count()});
  }
  // One source bucket, and one region, are what the figures of the whole process are of.
  std::set<std::string> buckets;
  std::set<std::string> prefixes;
  std::set<std::string> regions;
  for (const Rule& rule : configuration_.rules) {
    buckets.insert(rule.source.bucket);
    prefixes.insert(rule.source.prefix);
    for (const Target& target : rule.targets) {
      const auto region = regions_.find(target.to.store);
      regions.insert(region == regions_.end() ? "" : region->second);
    }
  }
  std::vector<std::pair<std::string, std::string>> dimensions{{"Site", configuration_.site}};
  if (buckets.size() == 1 && prefixes.size() == 1) {
    dimensions.emplace_back("SourceBucket", *buckets.begin());
    dimensions.emplace_back("SourcePrefix",
                            prefixes.begin()->empty() ? std::string("root") : *prefixes.begin());
  }
  if (regions.size() == 1) dimensions.emplace_back("TargetRegion", *regions.begin());
  Write(EmfLine(now, telemetry_.name_space, dimensions, metrics));
  carried_ = {.archives = 0};
  tries_failed_ = 0;
}

Async<void> TelemetryReporter::Report(Queue& queue, State& state, const std::string& owner) {
  int64_t sources = 0;
  for (const Rule& rule : configuration_.rules) {
    if (!rule.enabled) continue;
    Result<int64_t> seen = co_await ReportRule(state, rule, owner);
    if (!seen) co_return seen.error();
    sources = std::max(sources, *seen);
  }
  Result<QueueDepth> depth = co_await queue.Depth();
  if (!depth) co_return depth.error();
  runtime_.metrics.gauge("longhaul_backlog_messages", "Messages of hints that wait in the queue")
      .Set(static_cast<double>(depth->visible));
  ReportProcess(*depth, sources);
  co_return Ok();
}

Async<void> TelemetryReporter::Run(Queue& queue, State& state, std::string owner, Event& stop) {
  bool stopped = false;
  while (!stopped) {
    stopped = co_await stop.WaitFor(runtime_.clock, kInterval);
    Result<void> reported = co_await Report(queue, state, owner);
    // Counts stay for the next line.
    if (!reported) runtime_.log.Warning("figures could not be given out", {reported.error()});
  }
  co_return Ok();
}

}  // namespace longhaul
