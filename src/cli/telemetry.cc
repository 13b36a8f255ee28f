#include "cli/telemetry.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/metrics.h"
#include "observe/emf.h"
#include "replication/life/rule_meter.h"
#include "replication/source/carry.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kInterval{60};

constexpr double kGib = 1 << 30;

double Number(uint64_t count) { return static_cast<double>(count); }
double Dollars(int64_t pico_dollars) { return static_cast<double>(pico_dollars) * 1e-12; }

// As the cross-region compressor writes it.
std::string PrefixName(const std::string& prefix) { return prefix.empty() ? "root" : prefix; }

void AddSizes(std::vector<EmfMetric>& metrics, uint64_t objects, uint64_t plain, uint64_t sent) {
  metrics.push_back({.name = "OriginalSize", .unit = "Bytes", .value = Number(objects)});
  metrics.push_back({.name = "CompressedSize", .unit = "Bytes", .value = Number(sent)});
  metrics.push_back({.name = "BytesSaved", .unit = "Bytes", .value = Number(plain) - Number(sent)});
}

// No number where nothing was sent: then EmfLine leaves it out.
void AddRatios(std::vector<EmfMetric>& metrics, uint64_t objects, uint64_t plain, uint64_t sent,
               std::chrono::duration<double> passed) {
  metrics.push_back(
      {.name = "CompressionRatio", .unit = "None", .value = Number(plain) / Number(sent)});
  metrics.push_back({.name = "TransferEfficiency",
                     .unit = "Percent",
                     .value = 100 * (Number(plain) - Number(sent)) / Number(plain)});
  metrics.push_back({.name = "CompressionThroughput",
                     .unit = "Megabytes/Second",
                     .value = Number(objects) / 1e6 / passed.count()});
}

}  // namespace

TelemetryReporter::TelemetryReporter(Parts parts, Observer& next)
    : runtime_(parts.runtime),
      configuration_(parts.configuration),
      telemetry_(std::move(parts.telemetry)),
      regions_(std::move(parts.regions)),
      prices_(parts.prices),
      source_(parts.source),
      cpu_seconds_of_(std::move(parts.cpu_seconds)),
      output_(parts.output),
      next_(next),
      reported_(runtime_.clock.SteadyNow()) {}

void TelemetryReporter::Packed::Add(const Packed& other) {
  objects += other.objects;
  plain += other.plain;
  sent += other.sent;
  archives += other.archives;
  downloads_failed += other.downloads_failed;
  uploads_failed += other.uploads_failed;
}

const Rule* TelemetryReporter::FindRule(const std::string& id) const {
  const auto found = std::ranges::find(configuration_.rules, id, &Rule::id);
  return found == configuration_.rules.end() ? nullptr : &*found;
}

std::string TelemetryReporter::BucketOf(const std::string& rule, const std::string& target) const {
  const Rule* of = FindRule(rule);
  if (of == nullptr) return "";
  const auto found = std::ranges::find(of->targets, target, &Target::name);
  return found == of->targets.end() ? "" : found->to.bucket;
}

std::string TelemetryReporter::RegionOf(const std::string& store) const {
  const auto found = regions_.find(store);
  return found == regions_.end() ? "" : found->second;
}

std::string TelemetryReporter::TargetRegionOf(const Rule& rule) const {
  std::set<std::string> regions;
  for (const Target& target : rule.targets) regions.insert(RegionOf(target.to.store));
  return regions.size() == 1 ? *regions.begin() : "";
}

void TelemetryReporter::OnOutcome(const Outcome& outcome) {
  TargetCounts& counts = targets_[{outcome.rule, outcome.target}];
  switch (outcome.state) {
    case OutcomeState::kApplied:
      ++counts.processed;
      counts.processed_bytes += outcome.size_bytes;
      if (outcome.op == "put") {
        ++counts.puts;
        counts.put_bytes += outcome.size_bytes;
      }
      break;
    case OutcomeState::kParked:
      ++counts.failed;
      if (outcome.target.empty()) {
        if (outcome.op == "put") ++packed_[outcome.rule].downloads_failed;
      } else if (outcome.op == "archive") {
        ++unpacked_[BucketOf(outcome.rule, outcome.target)].archives_refused;
      } else if (outcome.op != "delete") {
        ++unpacked_[BucketOf(outcome.rule, outcome.target)].objects_refused;
      }
      break;
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
  packed_[bytes.rule].Add({.objects = bytes.objects,
                           .plain = bytes.plain,
                           .sent = bytes.sent,
                           .archives = bytes.archives});
  if (bytes.archives > 0) {
    packing_.time += bytes.took;
    packing_.count += bytes.archives;
  }
  next_.OnArchiveStaged(bytes);
}

void TelemetryReporter::OnArchiveApplied(const ArchiveApplied& applied) {
  Unpacked& at = unpacked_[BucketOf(applied.rule, applied.target)];
  ++at.archives;
  at.archive_bytes += applied.archive_bytes;
  at.object_bytes += applied.object_bytes;
  applying_.time += applied.took;
  ++applying_.count;
  next_.OnArchiveApplied(applied);
}

void TelemetryReporter::OnRetry(std::string_view rule, std::string_view key, const Error& error) {
  ++tries_failed_;
  const Rule* of = FindRule(std::string(rule));
  // What goes directly may have failed at the target.
  if (of != nullptr && !MayCarryDirectly(*of)) ++packed_[of->id].downloads_failed;
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
    if (counts.puts > 0) {
      metrics.push_back({.name = "ObjectSize",
                         .unit = "Bytes",
                         .value = Number(counts.put_bytes) / Number(counts.puts)});
    }
    if (own != nullptr) {
      metrics.push_back({.name = "OperationsPendingReplication",
                         .unit = "Count",
                         .value = Number(own->keys_pending)});
      metrics.push_back({.name = "BytesPendingReplication",
                         .unit = "Bytes",
                         .value = Number(own->bytes_pending)});
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

std::optional<double> TelemetryReporter::TransferGibOf(const Rule& rule) const {
  const bool local = rule.transport == Transport::kS3Replication && rule.local_staging;
  const std::string from = RegionOf(local ? rule.local_staging->store : rule.source.store);
  const std::string to = TargetRegionOf(rule);
  if (from.empty() || to.empty()) return std::nullopt;
  const std::optional<int64_t> price = prices_.TransferGib(from, to);
  if (!price) return std::nullopt;
  return Dollars(*price);
}

std::optional<double> TelemetryReporter::SavedDollars() const {
  double dollars = 0;
  for (const auto& [id, packed] : packed_) {
    if (packed.plain == 0 && packed.sent == 0) continue;
    const Rule* rule = FindRule(id);
    const std::optional<double> gib = rule == nullptr ? std::nullopt : TransferGibOf(*rule);
    if (!gib) return std::nullopt;
    dollars += (Number(packed.plain) - Number(packed.sent)) / kGib * *gib;
  }
  return dollars;
}

std::optional<double> TelemetryReporter::CpuSecondDollars() const {
  std::set<std::string> regions;  // In which this process may run.
  for (const Rule& rule : configuration_.rules) {
    if (source_ || rule.targets.empty()) {
      regions.insert(RegionOf(rule.source.store));
    } else {
      for (const Target& target : rule.targets) regions.insert(RegionOf(target.to.store));
    }
  }
  if (regions.size() != 1 || regions.begin()->empty()) return std::nullopt;
  const std::optional<int64_t> price = prices_.VcpuSecond(*regions.begin());
  if (!price) return std::nullopt;
  return Dollars(*price);
}

void TelemetryReporter::ReportProcess(const QueueDepth& depth, int64_t sources,
                                      std::chrono::duration<double> passed) {
  const double visible = static_cast<double>(depth.visible);
  std::vector<EmfMetric> metrics{
      {.name = "BacklogMessages", .unit = "Count", .value = visible},
      {.name = "MessagesInFlight", .unit = "Count", .value = static_cast<double>(depth.in_flight)},
      {.name = "BacklogPerTask",
       .unit = "Count",
       .value = visible / static_cast<double>(std::max<int64_t>(1, sources))},
      {.name = "DeadLetters", .unit = "Count", .value = static_cast<double>(depth.dead)},
      {.name = "FailedTries", .unit = "Count", .value = Number(tries_failed_)}};
  Packed all;
  for (const auto& [rule, packed] : packed_) all.Add(packed);
  if (all.archives > 0) {
    AddSizes(metrics, all.objects, all.plain, all.sent);
    AddRatios(metrics, all.objects, all.plain, all.sent, passed);
  }
  const double cpu_seconds = cpu_seconds_of_();
  if (const std::optional<double> second = CpuSecondDollars()) {
    const double compute = (cpu_seconds - cpu_seconds_) * *second;
    metrics.push_back({.name = "ComputeCost", .unit = "None", .value = compute});
    if (const std::optional<double> saved = SavedDollars()) {
      metrics.push_back({.name = "NetBenefit", .unit = "None", .value = *saved - compute});
    }
  }
  cpu_seconds_ = cpu_seconds;
  // One source bucket, and one region, are what the figures of the whole process are of.
  std::set<std::string> buckets;
  std::set<std::string> prefixes;
  std::set<std::string> regions;
  for (const Rule& rule : configuration_.rules) {
    buckets.insert(rule.source.bucket);
    prefixes.insert(rule.source.prefix);
    for (const Target& target : rule.targets) regions.insert(RegionOf(target.to.store));
  }
  EmfDimensions dimensions{{"Site", configuration_.site}};
  if (buckets.size() == 1 && prefixes.size() == 1) {
    dimensions.emplace_back("SourceBucket", *buckets.begin());
    dimensions.emplace_back("SourcePrefix", PrefixName(*prefixes.begin()));
  }
  if (regions.size() == 1) dimensions.emplace_back("TargetRegion", *regions.begin());
  Write(EmfLine(runtime_.clock.Now(), telemetry_.name_space, dimensions, metrics));
}

void TelemetryReporter::ReportSources(std::chrono::duration<double> passed) {
  struct Of {
    Packed packed;
    double saved_dollars = 0;
    bool priced = true;
    bool tries_are_told = true;
  };
  std::map<SourceKey, Of> sources;
  for (const Rule& rule : configuration_.rules) {
    if (!rule.enabled) continue;
    Of& of = sources[{rule.source.bucket, rule.source.prefix, TargetRegionOf(rule)}];
    const Packed& packed = packed_[rule.id];
    of.packed.Add(packed);
    const std::optional<double> gib = TransferGibOf(rule);
    of.priced = of.priced && gib.has_value();
    of.tries_are_told = of.tries_are_told && !MayCarryDirectly(rule);
    of.saved_dollars += (Number(packed.plain) - Number(packed.sent)) / kGib * gib.value_or(0);
  }
  for (const auto& [key, of] : sources) {
    const auto& [bucket, prefix, region] = key;
    EmfDimensions dimensions{{"SourceBucket", bucket}, {"SourcePrefix", PrefixName(prefix)}};
    const Packed& packed = of.packed;
    std::vector<EmfMetric> metrics{
        {.name = "FailedUploads", .unit = "Count", .value = packed.uploads_failed}};
    // A 0 while each try fails would keep an alarm silent.
    if (of.tries_are_told) {
      metrics.push_back(
          {.name = "FailedDownloads", .unit = "Count", .value = Number(packed.downloads_failed)});
    }
    if (packed.archives > 0) {
      AddRatios(metrics, packed.objects, packed.plain, packed.sent, passed);
      if (of.priced) {
        metrics.push_back({.name = "TransferSavings", .unit = "None", .value = of.saved_dollars});
      }
    }
    Write(EmfLine(runtime_.clock.Now(), telemetry_.name_space, dimensions, metrics));
    if (packed.archives == 0) continue;
    std::vector<EmfMetric> sizes;
    AddSizes(sizes, packed.objects, packed.plain, packed.sent);
    dimensions.emplace_back("TargetRegion", region);
    Write(EmfLine(runtime_.clock.Now(), telemetry_.name_space, dimensions, sizes));
  }
}

void TelemetryReporter::ReportTargets() {
  for (const auto& [bucket, at] : unpacked_) {
    std::vector<EmfMetric> metrics{
        {.name = "FailedDecompressions", .unit = "Count", .value = Number(at.archives_refused)},
        {.name = "FailedTargetUploads", .unit = "Count", .value = Number(at.objects_refused)}};
    if (at.archives > 0) {
      metrics.push_back(
          {.name = "CompressedSize", .unit = "Bytes", .value = Number(at.archive_bytes)});
      metrics.push_back(
          {.name = "DecompressedSize", .unit = "Bytes", .value = Number(at.object_bytes)});
      metrics.push_back({.name = "DecompressionRatio",
                         .unit = "None",
                         .value = Number(at.object_bytes) / Number(at.archive_bytes)});
    }
    Write(
        EmfLine(runtime_.clock.Now(), telemetry_.name_space, {{"TargetBucket", bucket}}, metrics));
  }
}

void TelemetryReporter::ReportTimes() {
  const auto report = [this](const char* function, const Took& took) {
    Write(EmfLine(runtime_.clock.Now(), telemetry_.name_space, {{"Function", function}},
                  {{.name = "ProcessingTime",
                    .unit = "Seconds",
                    .value = took.time.count() / Number(took.count)}}));  // None: no number.
  };
  report("process_message_batch", packing_);
  report("upload_object_to_targets", applying_);
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
  for (const Rule& rule : configuration_.rules) {
    const double failed =
        runtime_.metrics
            .counter(
                "longhaul_staging_uploads_failed_total",
                "Uploads of archives to a staging that failed; what they carry is packed again",
                {{"rule", rule.id}})
            .value();
    packed_[rule.id].uploads_failed = failed - std::exchange(uploads_failed_[rule.id], failed);
  }
  const std::chrono::duration<double> passed = runtime_.clock.SteadyNow() - reported_;
  reported_ = runtime_.clock.SteadyNow();
  ReportProcess(*depth, sources, passed);
  ReportSources(passed);
  ReportTargets();
  ReportTimes();
  packed_.clear();
  unpacked_.clear();
  packing_ = {};
  applying_ = {};
  tries_failed_ = 0;
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
