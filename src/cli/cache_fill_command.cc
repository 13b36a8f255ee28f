#include <fmt/format.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "base/json.h"
#include "base/units.h"
#include "cache/fill.h"
#include "cache/fill_bill.h"
#include "cli/cache_common.h"
#include "cli/command.h"
#include "cli/prefix_warning.h"
#include "cli/pricing.h"
#include "cli/progress.h"
#include "cli/transfer_ends.h"
#include "cli/transfer_observer.h"
#include "cost/request_counts.h"
#include "rules/cache_settings.h"
#include "rules/price_list.h"
#include "transfer/object/upload_records.h"

namespace longhaul {

namespace {

namespace json = boost::json;

// The stores of a fill, with what they are asked for counted.
class CountedStores {
 public:
  CountedStores(RunContext& context, const StoreFlags& flags)
      : opener_(context, flags, true,
                [this](const std::string& name, const std::string& region, BucketKind buckets) {
                  auto counts = std::make_shared<RequestCounts>();
                  made_ = {.counts = counts,
                           .name = name,
                           .region = region,
                           .directory = buckets == BucketKind::kDirectory};
                  return counts;
                }) {}

  Result<OpenedAddress> Open(const std::string& text, StoreEnd end) {
    made_ = {};
    Result<OpenedAddress> opened = opener_.OpenBucket(text, end);
    if (!opened) return opened.error();
    const std::string_view what = end == StoreEnd::kSource ? "the source" : "the target";
    if (made_.counts && made_.name.empty()) made_.name = what;
    if (made_.counts) stores_[opened->store] = made_;
    (end == StoreEnd::kSource ? source_ : target_) = opened->store;
    return opened;
  }
  // Its stores are opened by now.
  StoreOpener& opener() { return opener_; }

  [[nodiscard]] cache::FillBill BillAt(Prices prices) const {
    return {stores_.at(source_), stores_.at(target_), std::move(prices)};
  }

 private:
  cache::FillBill::End made_;  // By the opener, as it opens a store.
  StoreOpener opener_;
  std::map<const Store*, cache::FillBill::End> stores_;
  const Store* source_ = nullptr;
  const Store* target_ = nullptr;
};

class CacheFillCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "cache fill",
        .summary = "copy prefixes into a faster bucket for a while",
        .description =
            "Has all objects below the prefixes of one bucket copied into the bucket --to, under "
            "the same keys, with their headers, metadata and (where that store has them) tags. "
            "Where both are buckets of one store, its server copies. A key that is there already, "
            "of the same state of the source (its ETag), is a hit: nothing is copied, and its time "
            "to live is extended where it would end sooner, never shortened.\n\n"
            "Runs that overlap copy each key once. What another run is copying is left to it; with "
            "--wait this one ends when that has ended, and its failures count here too. With "
            "--force everything is copied anew: what runs before it have copied, or are copying, "
            "counts no more.\n\n"
            "What has been copied is remembered in the state (--state, or that of the "
            "configuration), which all who fill one cache have to share. After a kill -9 the same "
            "command goes on where it was, and holds nothing up meanwhile; --resume does so for a "
            "forced run.\n\n"
            "The bucket --to belongs to the cache: what lies under its keys is overwritten. A "
            "bucket that holds objects, and that no fill is known to have filled, is refused "
            "unless --take-bucket is given. A place that rules of the configuration use (a source, "
            "a target, a vault, a staging) is always refused.",
        .examples = {{"Two prefixes, for a day",
                      "longhaul cache fill east:logs/2026/01/ east:logs/2026/02/ --to fast:cache "
                      "--ttl 24h --wait --config longhaul.yaml"},
                     {"A whole bucket into a directory bucket, anew",
                      "longhaul cache fill s3://logs --to s3://logs--use1-az4--x-s3 --ttl 2d "
                      "--force"},
                     {"With a line for each object",
                      "longhaul cache fill east:logs/ --to fast:cache --ttl 12h --report "
                      "fill.jsonl --config longhaul.yaml"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("BUCKET/PREFIX", "What to copy: prefixes of one bucket; a bucket is all of it.",
                    1, sources_);
    flags.Text({.name = "to",
                .help = "The bucket to copy to, and perhaps a prefix before all keys.",
                .value_name = "STORE:BUCKET",
                .completes = Completes::kAddresses},
               to_);
    flags.Duration({.name = "ttl",
                    .help = "How long the copies are to live from now: one minute to 366 days.",
                    .value_name = "DURATION"},
                   ttl_);
    flags.Switch(
        {.name = "force", .help = "Copy also what is there already.", .alias = "force-copy"},
        force_);
    flags.Switch({.name = "wait",
                  .help = "End when what other runs are copying of these prefixes is there, too."},
                 wait_);
    flags.Text({.name = "report",
                .help = "A line of JSON for each object: hit, copied, found (a run that was killed "
                        "had copied it), gone, failed or waiting.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               report_path_);
    flags.Integer(
        {.name = "transfers", .help = "Objects in flight at once. Default: 64.", .value_name = "N"},
        1, 4096, in_flight_);
    flags.Switch({.name = "take-bucket",
                  .help = "Use a bucket that holds objects of which no fill is known."},
                 take_bucket_);
    flags.Parsed({.name = "budget",
                  .help = "How much the cache may hold, from now on and for all who fill it, with "
                          "a unit; 0: any amount. What was used longest ago makes room, pinned "
                          "copies never.",
                  .value_name = "SIZE"},
                 [this](std::string_view text) -> Result<void> {
                   Result<uint64_t> bytes = ParseCacheBudget(text);
                   if (!bytes) return bytes.error();
                   budget_ = *bytes;
                   return Ok();
                 });
    flags.Integer({.name = "resume",
                   .help = "Go on with the forced run of this number, which was killed or stopped: "
                           "what it has copied counts. All else as it was given then.",
                   .value_name = "RUN",
                   .of_environment = false},
                  1, INT64_MAX, resume_);
    state_flag_.Declare(flags);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (to_.empty()) co_return InvalidInput("--to is missing: the bucket to copy to");
    CountedStores counted(context, store_flags_);
    std::vector<OpenedAddress> sources;
    for (const std::string& text : sources_) {
      Result<OpenedAddress> source = counted.Open(text, StoreEnd::kSource);
      if (!source) co_return source.error();
      if (!sources.empty() && (source->store != sources.front().store ||
                               source->address.bucket != sources.front().address.bucket)) {
        co_return InvalidInput("'" + text + "' is of another bucket than '" + sources_.front() +
                               "': a fill is of one");
      }
      sources.push_back(std::move(*source));
    }
    Result<OpenedAddress> counted_target = counted.Open(to_, StoreEnd::kTarget);
    if (!counted_target) co_return counted_target.error();
    Result<OpenedCache> target = OpenCache(counted.opener(), to_);  // The same store.
    if (!target) co_return target.error();
    Result<void> apart = CheckTwoPlaces(sources.front(), *target);
    if (!apart) co_return apart.error();
    Result<void> free = CheckNotInUse(context, target->address, Use::kCache);
    if (!free) co_return free.error();
    Result<std::unique_ptr<State>> state = OpenCacheState(context, state_flag_);
    if (!state) co_return state.error();

    cache::FillRequest request{
        .source = *sources.front().store,
        .source_bucket = sources.front().address.bucket,
        .target = *target->address.store,
        .bucket = target->place.bucket,
        .target_prefix = target->address.address.key,
        .ttl = std::chrono::floor<std::chrono::seconds>(ttl_),
        .force = force_,
        .wait = wait_,
        .take_bucket = take_bucket_,
        .budget_bytes = budget_,
        .resume = resume_,
        .source_name = sources.front().address.store.empty()
                           ? sources.front().address.bucket
                           : sources.front().address.store + ":" + sources.front().address.bucket};
    for (const OpenedAddress& source : sources) request.prefixes.push_back(source.address.key);
    Result<void> sound = co_await cache::CheckFill(context.runtime(), **state, request);
    if (!sound) co_return sound.error();
    Result<void> opened = OpenReport();
    if (!opened) co_return opened.error();
    WarnOfGluedNames(context.output(), request.target_prefix, target->address.address.text);
    for (const OpenedAddress& source : sources) {
      Result<void> warned =
          co_await WarnOfOtherNames(context.output(), request.source, request.source_bucket,
                                    source.address.key, source.address.WithKey(source.address.key));
      if (!warned) co_return warned.error();
    }
    co_return co_await Fill(context, **state, std::move(request), sources.front(), counted);
  }

 private:
  Async<ExitCode> Fill(RunContext& context, State& state, cache::FillRequest request,
                       OpenedAddress source, const CountedStores& counted) {
    Runtime& runtime = context.runtime();
    Output& output = context.output();
    Progress progress(output, runtime.clock, "copied", 0);
    FailureTally failures(output);
    UploadRecords uploads(runtime, state, ThisProcess(), "", request.target_prefix);
    Result<Prices> prices = ReadPrices(context);
    if (!prices) co_return prices.error();
    const cache::FillBill bill = counted.BillAt(std::move(*prices));
    cache::FillOptions options{.in_flight = static_cast<int>(in_flight_),
                               .uploads = &uploads,
                               .stop = &context.stop(),
                               .bill = &bill};
    options.on_begin = [&](const cache::Run& run) {
      output.Note(Message("run")
                      .With("run", run.number)
                      .Says(fmt::format("run {}: {}", run.number,
                                        Printable(run.source_name) + " to " + to_)));
    };
    options.on_key = [&](const cache::KeyReport& key) {
      ProgressTotals& totals = progress.totals;
      switch (key.outcome) {
        case cache::Outcome::kCopied:
          ++totals.objects_done;
          totals.bytes_done += key.size_bytes;
          break;
        case cache::Outcome::kHit:
        case cache::Outcome::kFound:
          ++totals.objects_skipped;
          break;
        case cache::Outcome::kFailed:
          ++totals.objects_failed;
          failures.Add(source.address.WithKey(key.key),
                       {.kind = ErrorKind::kRetryable, .message = std::string(key.reason)});
          break;
        default:
          break;
      }
      Report(runtime.clock, key);
    };
    TaskGroup watch(runtime.executor);
    watch.Spawn(progress.Watch());
    Result<cache::FillResult> filled =
        co_await cache::Fill(runtime, state, request, std::move(options));
    progress.Finish();
    Result<void> watched = co_await watch.Join();
    if (!watched) co_return watched.error();
    failures.Finish();
    Result<void> reported = CloseReport();
    if (!filled) co_return filled.error();
    for (const cache::FillResult::OfPrefix& of : filled->prefixes) {
      if (of.not_listed.empty()) continue;
      output.Problem(
          Message("not_listed")
              .With("prefix", of.prefix)
              .With("reason", of.not_listed)
              .Says(source.address.WithKey(of.prefix) + " was not listed: " + of.not_listed));
    }
    if (filled->run.cost) output.Note(CostMessage(*filled->run.cost, request.ttl));
    Summarize(output, request, *filled, progress.seconds());
    if (!reported) co_return reported.error();
    co_return filled->failed() ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

  // In the shape that the clients of Amazon's caching solution read, and what we know besides.
  void Summarize(Output& output, const cache::FillRequest& request, const cache::FillResult& result,
                 double seconds) {
    const cache::FillCounts& counts = result.run.counts;
    if (!output.json()) {
      std::string text = fmt::format("run {}: {}, {} ({})", result.run.number,
                                     Counted(static_cast<uint64_t>(counts.hits), "hit"),
                                     FormatCount(static_cast<uint64_t>(counts.copied)) + " copied",
                                     FormatBytes(static_cast<uint64_t>(counts.bytes)));
      const auto add = [&](int64_t count, std::string_view what) {
        if (count > 0) text += ", " + FormatCount(static_cast<uint64_t>(count)).append(what);
      };
      add(counts.gone, " gone meanwhile");
      add(counts.failed, " failed");
      add(counts.inherited, " of these in other runs");
      add(counts.waiting, " left to other runs");
      output.Note(Message("summary").Says(text + " in " + FormatSeconds(seconds)));
      return;
    }
    json::array waiting;
    json::array failed_jobs;
    for (const cache::FillResult::OfPrefix& of : result.prefixes) {
      if (of.waiting > 0) waiting.emplace_back(of.prefix);
      if (of.failed == 0 && of.not_listed.empty()) continue;
      json::object job;
      job["prefix"] = of.prefix;
      job["numberOfTasksFailed"] = of.failed;
      job["jobReport"] = report_path_;
      job["sk"] = std::to_string(result.run.number);
      if (!of.not_listed.empty()) job["reason"] = of.not_listed;
      failed_jobs.emplace_back(std::move(job));
    }
    json::object line;
    line["event"] = "summary";
    if (request.ttl.count() % 3600 == 0) {
      line["ttl"] = request.ttl.count() / 3600;
    } else {
      line["ttl"] = static_cast<double>(request.ttl.count()) / 3600;
    }
    line["bucket"] = request.source_bucket;
    line["prefixes"] = waiting;
    line["directory_bucket"] = request.bucket;
    line["force_copy"] = request.force;
    line["WaitingForJobs"] = !waiting.empty();
    if (!failed_jobs.empty()) line["Error"] = "Some of the Jobs failed";
    line["FailedJobs"] = std::move(failed_jobs);
    line["start_time"] = FormatRfc3339(result.run.started);
    line["main_workflow"] = std::to_string(result.run.number);
    line["hits"] = counts.hits;
    line["copied"] = counts.copied;
    line["bytes"] = counts.bytes;
    line["gone"] = counts.gone;
    line["failed"] = counts.failed;
    line["inherited"] = counts.inherited;
    line["waiting"] = counts.waiting;
    line["seconds"] = seconds;
    output.Raw(WriteJson(line) + "\n");
  }

  Result<void> OpenReport() {
    if (report_path_.empty()) return Ok();
    report_.reset(std::fopen(report_path_.c_str(), "we"));
    if (report_ != nullptr) return Ok();
    return InvalidInput("--report: cannot write to " + report_path_ + ": " + std::strerror(errno));
  }
  void Report(Clock& clock, const cache::KeyReport& key) {
    if (report_ == nullptr || report_failed_) return;
    Message line;
    line.With("ts", FormatRfc3339(clock.Now()))
        .With("op", "fill")
        .With("key", key.key)
        .With("size", key.size_bytes)
        .With("state", cache::ToString(key.outcome));
    if (key.by_run != 0) line.With("run", key.by_run);
    if (!key.reason.empty()) line.With("reason", key.reason);
    const std::string text = line.Json() + "\n";
    report_failed_ = std::fwrite(text.data(), 1, text.size(), report_.get()) != text.size();
  }
  Result<void> CloseReport() {
    if (report_ == nullptr) return Ok();
    report_failed_ |= std::fclose(report_.release()) != 0;
    return report_failed_
               ? Result<void>(Retryable("--report: not all could be written to " + report_path_))
               : Ok();
  }

  std::vector<std::string> sources_;
  std::string to_;
  std::chrono::milliseconds ttl_{0};
  bool force_ = false;
  bool wait_ = false;
  bool take_bucket_ = false;
  std::optional<uint64_t> budget_;
  std::optional<int64_t> resume_;
  int64_t in_flight_ = 64;
  std::string report_path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> report_{nullptr, std::fclose};
  bool report_failed_ = false;
  StateFlag state_flag_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCacheFillCommand() { return std::make_unique<CacheFillCommand>(); }

}  // namespace longhaul
