#include "cli/queue_intakes.h"

#include <algorithm>
#include <utility>

#include "cli/sqs_place.h"
#include "queue/sqs_queue.h"
#include "queue/sqs_setup.h"

namespace longhaul {

namespace {

constexpr char kSetAsidePartition[] = "set_aside";
// The alarm is over when nothing has been set aside for so long.
constexpr std::chrono::minutes kSetAsideLifetime{15};
constexpr std::chrono::minutes kSetAsideInterval{5};
constexpr int kPageRows = 1'000;

bool Holds(const std::vector<AwsPlace>& places, const AwsPlace& place) {
  return std::ranges::find(places, place) != places.end();
}

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

// SQS hands each message to one reader, who takes it away for good. So rules that write one queue
// in two ways ("q", "q?region=eu-west-1") have to share a reader: two would each throw away what
// the other's rules want. What is one queue its URL says.
Async<std::vector<QueueIntakes::Found>> QueueIntakes::Find(const MakeClient& make) {
  std::vector<Found> all;
  for (const Rule& rule : configuration_.rules) {
    const std::optional<AwsPlace>& place = rule.intake.sqs;
    if (!rule.enabled || !place) continue;
    if (std::ranges::any_of(all,
                            [&place](const Found& one) { return Holds(one.places, *place); })) {
      continue;
    }
    Result<std::shared_ptr<SqsClient>> client =
        make ? make(*place) : MakeSqsClient(runtime_, *place, 1, on_request_);
    if (!client) co_return client.error().In("intake from " + place->name);
    Result<std::string> url = co_await FindSqsQueue(**client, IntakeOptionsOf(*place), place->name);
    if (!url) co_return url.error().In("intake from " + place->name);
    const auto known = std::ranges::find(all, *url, &Found::url);
    if (known == all.end()) {
      all.push_back({.client = std::move(*client), .url = std::move(*url), .places = {*place}});
      continue;
    }
    if (known->client->endpoint() != (*client)->endpoint()) {
      co_return InvalidInput("rule " + rule.id + ": intake from " + place->name + ": " +
                             (*client)->endpoint() + " and " + known->client->endpoint() +
                             " both call it " + *url +
                             ": if it is one queue, write it alike in all rules; if these are two, "
                             "let one have another name, or its server an address of its own");
    }
    known->places.push_back(*place);
  }
  co_return all;
}

Async<void> QueueIntakes::OpenOne(Found found) {
  const std::string name = found.places.front().name;
  Result<std::unique_ptr<Queue>> queue = co_await SqsQueue::Open(
      runtime_, std::move(found.client), IntakeOptionsOf(found.places.front()));
  if (!queue) co_return queue.error().In("intake from " + name);
  auto takes = [places = std::move(found.places)](const Rule& rule) {
    if (!rule.intake.sqs) return false;
    // Of a rule that is disabled nobody has asked which queue that is: one of this name may be.
    if (!rule.enabled) return rule.intake.sqs->name == places.front().name;
    return Holds(places, *rule.intake.sqs);
  };
  auto made = std::make_unique<One>();
  One& one = *made;
  one.queue = std::move(*queue);
  one.taker = std::make_unique<RuleEvents>(runtime_, configuration_, hints_, "sqs", takes);
  QueueIntakeListener listener{
      .on_state =
          [this, takes](const std::optional<Error>& error) {
            for (const Rule& rule : configuration_.rules) {
              if (!rule.enabled || !takes(rule)) continue;
              observer_.OnReadiness("events of rule " + rule.id, error);
            }
          },
      .on_set_aside = [this, &one,
                       name](std::string reason) { return Note(one, name, std::move(reason)); }};
  one.intake =
      std::make_unique<QueueIntake>(runtime_, *one.queue, *one.taker, name, std::move(listener));
  all_.push_back(std::move(made));
  co_return Ok();
}

Async<void> QueueIntakes::Open(MakeClient make) {
  Result<std::vector<Found>> found = co_await Find(make);
  if (!found) co_return found.error();
  for (Found& one : *found) {
    Result<void> opened = co_await OpenOne(std::move(one));
    if (!opened) co_return opened;
  }
  co_return Ok();
}

void QueueIntakes::Start(Event& stop) {
  struct Runner {
    static Async<void> Run(QueueIntake& intake, Event& stop) {
      co_await intake.Run(stop);
      co_return Ok();
    }
  };
  for (const auto& one : all_) running_.Spawn(Runner::Run(*one->intake, stop));
}

asio::awaitable<void> QueueIntakes::Note(One& one, std::string queue, std::string reason) {
  const SteadyTime now = runtime_.clock.SteadyNow();
  if (one.noted && now - *one.noted < kSetAsideInterval) co_return;
  one.noted = now;
  Result<void> noted =
      co_await NoteSetAside(state_, runtime_.clock.Now(), std::move(queue), std::move(reason));
  if (!noted) one.noted.reset();  // The next one tries again; the log has told of it.
}

asio::awaitable<void> QueueIntakes::Join() {
  Result<void> joined = co_await running_.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
