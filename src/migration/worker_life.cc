// Worker: what goes on beside the tasks: claims are kept, uploads swept, and State is told.

#include <algorithm>
#include <utility>

#include "migration/worker_parts.h"
#include "transfer/runs/row.h"

namespace longhaul::migration {

namespace {

using namespace std::chrono_literals;

constexpr auto kPublishEvery = 5'000ms;
constexpr auto kWorkerRowLife = 20'000ms;
constexpr auto kSweepEvery = 60'000ms;
constexpr size_t kExtendAtOnce = 10;
constexpr std::string_view kWorkers = "worker/";

}  // namespace

Result<WorkerRow> DecodeWorker(std::string_view key, std::string_view text) {
  Result<Row> row = Row::Decode(text);
  if (!row) return row.error();
  return WorkerRow{.name = std::string(key.substr(std::min(key.size(), kWorkers.size()))),
                   .finds = row->Flag("finds"),
                   .works = row->Flag("works"),
                   .objects_per_second = static_cast<double>(row->Number("milliobjects")) / 1000,
                   .bytes_per_second = static_cast<double>(row->Number("bytes_per_second")),
                   .objects_open = row->Number("open")};
}

Async<void> Worker::KeepAlive(Event& ended) {
  while (!co_await ended.WaitFor(runtime_.clock, options_.visibility / 3)) {
    for (const auto& [id, known] : runs_) {
      const std::shared_ptr<GiantCarrier> giants = known->giants;
      if (!giants) continue;
      Result<void> lives = co_await giants->Heartbeat();
      if (!lives) runtime_.log.Warning("no sign of life could be given", {lives.error()});
    }
    const SteadyTime now = runtime_.clock.SteadyNow();
    const auto all = open_;
    // By tens: some queues take so many in one request.
    std::vector<Receipt> receipts;
    for (auto entry = all.begin(); entry != all.end();) {
      const auto& [key, open] = *entry++;
      if (open_.contains(key) && open->claim.mine) receipts.push_back(open->receipt);
      if (receipts.size() < kExtendAtOnce && entry != all.end()) continue;
      // What is lost somebody else may work on as well, which is harmless.
      Result<void> extended =
          co_await queue_.ExtendAll(std::exchange(receipts, {}), options_.visibility);
      static_cast<void>(extended);
    }
    for (const auto& [key, open] : all) {
      if (!open_.contains(key) || !open->claim.mine) continue;
      auto known = runs_.find(open->run);
      if (known != runs_.end() && !open->find &&
          now - open->since > known->second->run.options.timeout) {
        open->timed_out = true;
        open->stop.Set();
      }
      Result<void> renewed =
          co_await board_.Renew(open->run, open->id, options_.visibility, &open->claim);
      static_cast<void>(renewed);
    }
  }
  co_return Ok();
}

asio::awaitable<void> Worker::Sweep() {
  for (const auto& [id, known] : runs_) {
    Result<void> claims = co_await board_.SweepClaims(id);
    if (!claims) runtime_.log.Warning("claims cannot be swept", {{"run", id}, claims.error()});
    const std::shared_ptr<GiantCarrier> giants = known->giants;
    if (!giants) continue;
    Result<int> swept = co_await giants->Sweep(known->run);
    if (!swept) runtime_.log.Warning("uploads cannot be swept", {{"run", id}, swept.error()});
  }
}

Async<void> Worker::Publish(Event& ended) {
  std::map<std::string, Meter> before;
  SteadyTime when = runtime_.clock.SteadyNow();
  std::set<std::string> published;
  bool last = false;
  SteadyTime swept = when;
  while (!last) {
    last = co_await ended.WaitFor(runtime_.clock, kPublishEvery);
    const SteadyTime now = runtime_.clock.SteadyNow();
    const double seconds = std::max(0.001, std::chrono::duration<double>(now - when).count());
    when = now;
    if (last || now - swept > kSweepEvery) {
      swept = now;
      co_await Sweep();
    }
    for (const auto& [id, known] : runs_) {
      const Meter meter = meters_[id];
      const Meter was = std::exchange(before[id], meter);
      const bool idle = meter.open == 0 && meter.objects == was.objects && finds_open_ == 0;
      StateWrite write{.key = std::string(kWorkers) + options_.name};
      if (last || idle) {
        if (published.erase(id) == 0) continue;
      } else {
        published.insert(id);
        Row row;
        row.Set("finds", options_.finds)
            .Set("works", options_.works)
            .Set("milliobjects",
                 static_cast<int64_t>(1000 * static_cast<double>(meter.objects - was.objects) /
                                      seconds))
            .Set("bytes_per_second",
                 static_cast<int64_t>(static_cast<double>(meter.bytes - was.bytes) / seconds))
            .Set("open", meter.open);
        write.value = row.Encode();
        write.expires = runtime_.clock.Now() + kWorkerRowLife;
      }
      Result<int64_t> written = co_await state_.Write(RowsOf(id), std::move(write));
      static_cast<void>(written);  // Nothing but what is shown depends on it.
    }
  }
  co_return Ok();
}

}  // namespace longhaul::migration
