#include "cli/replication_observer.h"

#include <sys/resource.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

namespace longhaul {

namespace {

// JSON is text, keys are bytes: what is not UTF-8 is shown as \xNN, as on a terminal.
std::string JsonText(const std::string& bytes) {
  boost::system::error_code error;
  std::string quoted = boost::json::serialize(boost::json::string(bytes));
  boost::json::parse(quoted, error);
  return error ? Printable(bytes) : bytes;
}

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
  const uint64_t saved =
      counts_.raw_bytes > counts_.sent_bytes ? counts_.raw_bytes - counts_.sent_bytes : 0;
  WriteReport(boost::json::serialize(
      boost::json::object{{"ts", FormatRfc3339(clock_.Now())},
                          {"summary", true},
                          {"objects", counts_.applied},
                          {"bytes_read", counts_.raw_bytes},
                          {"bytes_sent", counts_.sent_bytes},
                          {"seconds", seconds},
                          {"cpu_seconds", ProcessCpuSeconds()},
                          {"saved_bytes", saved},
                          {"saved_money", static_cast<double>(saved) / (1 << 30) * price_per_gib},
                          {"equal", counts_.equal},
                          {"superseded", counts_.superseded},
                          {"parked", counts_.parked},
                          {"conflicts", counts_.conflicts}}));
  std::FILE* file = report_.release();
  const bool flushed = std::fflush(file) == 0;
  if (std::fclose(file) != 0 || !flushed || report_failed_) {
    return Retryable("the report could not be written in full");
  }
  return Ok();
}

void ReplicationObserver::OnOutcome(const Outcome& outcome) {
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
      ++counts_.parked;
      break;
    case OutcomeState::kConflict:
      ++counts_.conflicts;
      break;
  }
  const std::string state(ToString(outcome.state));
  metrics_
      .counter("longhaul_replication_outcomes_total", "What became of the keys that were carried",
               {{"rule", outcome.rule}, {"target", outcome.target}, {"state", state}})
      .Add();
  if (progress_ != nullptr) {
    if (outcome.state == OutcomeState::kParked || outcome.state == OutcomeState::kConflict) {
      ++progress_->totals.objects_failed;
    } else if (outcome.state != OutcomeState::kReread) {
      ++progress_->totals.objects_done;
      progress_->totals.bytes_done += outcome.size_bytes;
    }
  }
  if (report_) {
    boost::json::object line{{"ts", FormatRfc3339(outcome.time)},
                             {"rule", outcome.rule},
                             {"target", outcome.target},
                             {"op", outcome.op},
                             {"key", JsonText(outcome.key)},
                             {"size", outcome.size_bytes},
                             {"stamp", FormatRfc3339(outcome.stamp)},
                             {"archive", outcome.archive},
                             {"state", state}};
    if (!outcome.reason.empty()) line["reason"] = JsonText(outcome.reason);
    WriteReport(boost::json::serialize(line));
  }
  const bool failed =
      outcome.state == OutcomeState::kParked || outcome.state == OutcomeState::kConflict;
  if (!failed && !name_each_) return;
  Message message = Message(state)
                        .With("rule", outcome.rule)
                        .With("target", outcome.target)
                        .With("op", outcome.op)
                        .With("key", JsonText(outcome.key))
                        .With("size", outcome.size_bytes)
                        .With("archive", outcome.archive)
                        .With("reason", JsonText(outcome.reason));
  if (failed) {
    output_.Problem(std::move(message).Says(state + ": " + Printable(outcome.key) + ": " +
                                            Printable(outcome.reason)));
  } else {
    output_.Note(message);
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

void ReplicationObserver::OnArchiveStaged(uint64_t raw_bytes, uint64_t sent_bytes) {
  counts_.raw_bytes += raw_bytes;
  counts_.sent_bytes += sent_bytes;
  metrics_.counter("longhaul_archives_staged_total", "Archives put into staging").Add();
  metrics_.counter("longhaul_raw_bytes_total", "Bytes that were packed")
      .Add(static_cast<double>(raw_bytes));
  metrics_.counter("longhaul_sent_bytes_total", "Bytes that went to staging")
      .Add(static_cast<double>(sent_bytes));
  if (progress_ != nullptr) progress_->totals.bytes_sent += sent_bytes;
}

void ReplicationObserver::OnReadiness(std::string_view part, const std::optional<Error>& error) {
  if (error) {
    readiness_.Set(std::string(part), error->Describe());
  } else {
    readiness_.Clear(std::string(part));
  }
}

}  // namespace longhaul
