#include "cli/queue_intakes.h"

#include <algorithm>
#include <utility>

#include "cli/sqs_place.h"
#include "queue/sqs_queue.h"

namespace longhaul {

namespace {

constexpr char kSetAsidePartition[] = "set_aside";
// The alarm is over when nothing has been set aside for so long.
constexpr std::chrono::minutes kSetAsideLifetime{15};
constexpr std::chrono::minutes kSetAsideInterval{5};
constexpr int kPageRows = 1'000;

}  // namespace

Async<void> NoteSetAside(State& state, SystemTime now, std::string queue, std::string reason) {
  Result<int64_t> written = co_await state.Write(
      kSetAsidePartition,
      {.key = std::move(queue), .value = std::move(reason), .expires = now + kSetAsideLifetime});
  if (!written) co_return written.error();
  co_return Ok();
}

Async<std::map<std::string, std::string>> ReadSetAside(State& state) {
  std::map<std::string, std::string> reasons;
  Result<std::vector<StateRow>> rows = co_await state.Scan(kSetAsidePartition, "", kPageRows);
  if (!rows) co_return rows.error();
  for (StateRow& row : *rows) reasons[std::move(row.key)] = std::move(row.value);
  co_return reasons;
}

QueueIntakes::QueueIntakes(Runtime& runtime, const Configuration& configuration, Queue& hints,
                           State& state, Observer& observer, AwsRequestHook on_request)
    : runtime_(runtime),
      configuration_(configuration),
      hints_(hints),
      state_(state),
      observer_(observer),
      on_request_(std::move(on_request)),
      running_(runtime.executor) {}

Async<void> QueueIntakes::Open() {
  // Rules may share a queue: one reader hands each event to all of them.
  std::vector<AwsPlace> places;
  for (const Rule& rule : configuration_.rules) {
    const std::optional<AwsPlace>& place = rule.intake.sqs;
    if (rule.enabled && place && std::ranges::find(places, *place) == places.end()) {
      places.push_back(*place);
    }
  }
  for (const AwsPlace& place : places) {
    Result<std::shared_ptr<SqsClient>> client = MakeSqsClient(runtime_, place, 1, on_request_);
    if (!client) co_return client.error().In("intake from " + place.name);
    SqsQueueOptions options{
        .prefix = place.name, .lanes = {{.lane = "", .queue = place.name}}, .own = false};
    Result<std::unique_ptr<Queue>> queue =
        co_await SqsQueue::Open(runtime_, std::move(*client), std::move(options));
    if (!queue) co_return queue.error().In("intake from " + place.name);
    auto made = std::make_unique<One>();
    One& one = *made;
    one.queue = std::move(*queue);
    one.taker = std::make_unique<RuleEvents>(
        runtime_, configuration_, hints_, "sqs",
        [place](const Rule& rule) { return rule.intake.sqs == place; });
    QueueIntakeListener listener{
        .on_state =
            [this, place](const std::optional<Error>& error) {
              for (const Rule& rule : configuration_.rules) {
                if (!rule.enabled || rule.intake.sqs != place) continue;
                observer_.OnReadiness("events of rule " + rule.id, error);
              }
            },
        .on_set_aside = [this, &one, name = place.name](
                            std::string reason) { return Note(one, name, std::move(reason)); }};
    one.intake = std::make_unique<QueueIntake>(runtime_, *one.queue, *one.taker, place.name,
                                               std::move(listener));
    all_.push_back(std::move(made));
  }
  co_return Ok();
}

void QueueIntakes::Start() {
  struct Runner {
    static Async<void> Run(QueueIntake& intake, Event& stop) {
      co_await intake.Run(stop);
      co_return Ok();
    }
  };
  for (const auto& one : all_) running_.Spawn(Runner::Run(*one->intake, stop_));
}

asio::awaitable<void> QueueIntakes::Note(One& one, std::string queue, std::string reason) {
  const SteadyTime now = runtime_.clock.SteadyNow();
  if (one.noted && now - *one.noted < kSetAsideInterval) co_return;
  one.noted = now;
  Result<void> noted =
      co_await NoteSetAside(state_, runtime_.clock.Now(), std::move(queue), std::move(reason));
  if (!noted) one.noted.reset();  // The next one tries again; the log has told of it.
}

asio::awaitable<void> QueueIntakes::Stop() {
  stop_.Set();
  Result<void> joined = co_await running_.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
