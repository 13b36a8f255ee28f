#include "cli/replication_observer.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace longhaul {

namespace {

constexpr size_t kRetriesToldMax = 10;
constexpr size_t kReportBufferBytes = 64 << 10;
// 4 MiB of hashes. What fails beyond them is told and counted each time.
constexpr size_t kFailuresKnownMax = 100'000;

}  // namespace

double ProcessCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

ReplicationObserver::ReplicationObserver(Clock& clock, Metrics& metrics, Output& output,
                                         Readiness& readiness, bool name_each)
    : clock_(clock),
      metrics_(metrics),
      output_(output),
      readiness_(readiness),
      name_each_(name_each) {}

ReplicationObserver::~ReplicationObserver() = default;

Result<void> ReplicationObserver::OpenReport(const std::string& path) {
  report_.reset(std::fopen(path.c_str(), "w"));
  // Line by line: whoever follows it, or is left with it after a kill, finds all of it.
  if (report_) std::setvbuf(report_.get(), nullptr, _IOLBF, kReportBufferBytes);
  if (report_) return Ok();
  Error error = InvalidInput("--report: cannot write to " + path + ": " + std::strerror(errno));
  return error;
}

void ReplicationObserver::WriteReport(const std::string& line) {
  if (!report_ || report_failed_) return;
  if (std::fputs(line.c_str(), report_.get()) < 0 || std::fputc('\n', report_.get()) == EOF) {
    report_failed_ = true;
    output_.Problem(Message("report_failed")
                        .Says("the report cannot be written any further: " +
                              std::string(std::strerror(errno))));
  }
}

Result<void> ReplicationObserver::CloseReport(double seconds, double price_per_gib) {
  if (!report_) return Ok();
  const Savings savings = counts_.savings(price_per_gib);
  WriteReport(Message()
                  .With("ts", FormatRfc3339(clock_.Now()))
                  .With("summary", true)
                  .With("objects", counts_.applied)
                  .With("bytes_read", counts_.carried.objects)
                  .With("bytes_sent", counts_.carried.sent)
                  .With("seconds", seconds)
                  .With("cpu_seconds", ProcessCpuSeconds())
                  .With("saved_bytes", savings.bytes())
                  .With("saved_money", savings.money())
                  .With("equal", counts_.equal)
                  .With("superseded", counts_.superseded)
                  .With("parked", counts_.parked)
                  .With("conflicts", counts_.conflicts)
                  .Json());
  std::FILE* file = report_.release();
  const bool flushed = std::fflush(file) == 0;
  if (std::fclose(file) != 0 || !flushed || report_failed_) {
    return Retryable("the report could not be written in full");
  }
  return Ok();
}

bool ReplicationObserver::FailedBefore(const Outcome& outcome) {
  if (!each_once_) return false;
  std::string what;
  for (const std::string_view part :
       {std::string_view(outcome.rule), std::string_view(outcome.target), ToString(outcome.state),
        std::string_view(outcome.op), std::string_view(outcome.key)}) {
    what.append(part).push_back('\0');
  }
  const size_t hash = std::hash<std::string>()(what);
  if (failures_told_.size() >= kFailuresKnownMax) return failures_told_.contains(hash);
  return !failures_told_.insert(hash).second;
}

void ReplicationObserver::OnOutcome(const Outcome& outcome) {
  const bool failed =
      outcome.state == OutcomeState::kParked || outcome.state == OutcomeState::kConflict;
  const bool again = failed && FailedBefore(outcome);
  switch (outcome.state) {
    case OutcomeState::kApplied:
      ++counts_.applied;
      counts_.applied_bytes += outcome.size_bytes;
      break;
    case OutcomeState::kEqual:
      ++counts_.equal;
      break;
    case OutcomeState::kSuperseded:
      ++counts_.superseded;
      break;
    case OutcomeState::kReread:
      ++counts_.reread;
      break;
    case OutcomeState::kParked:
      if (!again) ++counts_.parked;
      break;
    case OutcomeState::kConflict:
      if (!again) ++counts_.conflicts;
      break;
  }
  if (failed) {
    failures_.Add({.time = clock_.Now(),
                   .rule = outcome.rule,
                   .target = outcome.target,
                   .key = outcome.key,
                   .op = outcome.op,
                   .state = std::string(ToString(outcome.state)),
                   .reason = outcome.reason});
  }
  const std::string state(ToString(outcome.state));
  CounterOf(outcome.rule, outcome.target, outcome.state).Add();
  if (progress_ != nullptr) {
    if (failed) {
      progress_->totals.objects_failed += again ? 0 : 1;
    } else if (outcome.state != OutcomeState::kReread) {
      ++progress_->totals.objects_done;
      progress_->totals.bytes_done += outcome.size_bytes;
    }
  }
  if (report_) {
    Message line;
    line.With("ts", FormatRfc3339(outcome.time))
        .With("rule", outcome.rule)
        .With("target", outcome.target)
        .With("op", outcome.op)
        .With("key", outcome.key)
        .With("size", outcome.size_bytes)
        .With("stamp", FormatRfc3339(outcome.stamp))
        .With("archive", outcome.archive)
        .With("state", state);
    if (!outcome.route.empty()) line.With("route", outcome.route);
    if (!outcome.reason.empty()) line.With("reason", outcome.reason);
    WriteReport(line.Json());
  }
  if (again || (!failed && !name_each_)) return;
  Message message = Message(state)
                        .With("rule", outcome.rule)
                        .With("target", outcome.target)
                        .With("op", outcome.op)
                        .With("key", outcome.key)
                        .With("size", outcome.size_bytes)
                        .With("archive", outcome.archive)
                        .With("reason", outcome.reason);
  if (failed) {
    output_.Problem(std::move(message).Says(state + ": " + Printable(outcome.key) + ": " +
                                            Printable(outcome.reason)));
  } else {
    output_.Note(message);
  }
}

Counter& ReplicationObserver::CounterOf(const std::string& rule, const std::string& target,
                                        OutcomeState state) {
  return metrics_.counter(
      "longhaul_replication_outcomes_total", "What became of the keys that were carried",
      {{"rule", rule}, {"target", target}, {"state", std::string(ToString(state))}});
}

void ReplicationObserver::Expect(const std::vector<Rule>& rules) {
  for (const Rule& rule : rules) {
    if (!rule.enabled) continue;
    CounterOf(rule.id, "", OutcomeState::kParked);  // At the source.
    for (const Target& target : rule.targets) {
      CounterOf(rule.id, target.name, OutcomeState::kParked);
      CounterOf(rule.id, target.name, OutcomeState::kConflict);
    }
  }
}

void ReplicationObserver::OnFound(uint64_t objects, uint64_t size_bytes) {
  metrics_.counter("longhaul_reconcile_differences_total", "Keys that comparisons found to differ")
      .Add(static_cast<double>(objects));
  if (progress_ == nullptr) return;
  progress_->totals.objects_total += objects;
  progress_->totals.bytes_total += size_bytes;
  progress_->totals.total_is_final = true;
}

void ReplicationObserver::OnArchiveStaged(const ArchiveBytes& bytes) {
  counts_.carried.objects += bytes.objects;
  counts_.carried.plain += bytes.plain;
  counts_.carried.sent += bytes.sent;
  auto add = [this](const char* name, const char* help, uint64_t amount) {
    metrics_.counter(name, help).Add(static_cast<double>(amount));
  };
  add("longhaul_archives_staged_total", "Archives put into staging", bytes.archives);
  add("longhaul_raw_bytes_total", "Bytes of the objects that were packed", bytes.objects);
  add("longhaul_plain_bytes_total",
      "Bytes that copies of the objects to each target would have sent", bytes.plain);
  add("longhaul_sent_bytes_total", "Bytes that went to staging", bytes.sent);
  if (progress_ == nullptr) return;
  progress_->totals.plain_bytes += bytes.plain;
  progress_->totals.sent_bytes += bytes.sent;
}

void ReplicationObserver::OnThreshold(const ThresholdEvent& event) {
  if (webhook_ == nullptr) return;
  const bool missed = event.kind == ThresholdEvent::Kind::kMissed;
  const std::chrono::duration<double> age = event.time - event.heard;
  const std::chrono::duration<double> threshold = event.threshold;
  webhook_->Add(Message(missed ? "threshold_missed" : "threshold_reached_after")
                    .With("ts", FormatRfc3339(event.time))
                    .With("rule", event.rule)
                    .With("target", event.target)
                    .With("key", event.key)
                    .With("seconds", age.count())
                    .With("threshold_seconds", threshold.count())
                    .Json());
}

void ReplicationObserver::OnRetry(std::string_view rule, std::string_view key, const Error& error) {
  failures_.Add({.time = clock_.Now(),
                 .rule = std::string(rule),
                 .key = std::string(key),
                 .state = "retry",
                 .reason = error.Describe()});
  if (error.Transient()) return;  // StoreTroubles tells of it.
  if (retries_told_.size() >= kRetriesToldMax) return;
  if (!retries_told_.insert(std::string(rule) + '\0' + std::string(key)).second) return;
  std::string text = Printable(key) + ": " + Printable(error.Describe()) + "; trying again";
  if (retries_told_.size() == kRetriesToldMax) {
    text += " (more may fail; those that cannot be carried are named when they are parked)";
  }
  output_.Problem(Message("object_trouble")
                      .With("rule", rule)
                      .With("key", key)
                      .With("kind", ToString(error.kind))
                      .With("message", error.Describe())
                      .Says(std::move(text)));
}

void ReplicationObserver::OnReadiness(std::string_view part, const std::optional<Error>& error) {
  if (error) {
    readiness_.Set(std::string(part), error->Describe());
  } else {
    readiness_.Clear(std::string(part));
  }
}

}  // namespace longhaul
