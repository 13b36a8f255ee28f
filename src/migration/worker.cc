#include "migration/worker.h"

#include <algorithm>
#include <utility>

#include "base/version.h"
#include "migration/shared_lanes.h"
#include "migration/worker_parts.h"

namespace longhaul::migration {

namespace {

using namespace std::chrono_literals;

constexpr auto kWaitForMessages = 1'000ms;
constexpr auto kSendAgainEvery = 5'000ms;
// A message may be received 1,000 times: so over seven hours of a state that is away. At first it
// comes back before its claim has run out, as nobody has died.
constexpr int kReceivesInARow = 100;
constexpr std::chrono::milliseconds kDelayOfMessageMax{30'000};
constexpr int kRowsPerScan = 500;

}  // namespace

Worker::Worker(Runtime& runtime, Queue& queue, State& state, EndsOpener opener,
               WorkerOptions options)
    : runtime_(runtime),
      queue_(queue),
      state_(state),
      opener_(std::move(opener)),
      options_(std::move(options)),
      book_(runtime, state),
      board_(runtime, queue, state, options_.name),
      finder_(runtime, queue, state, board_, options_.finder),
      slots_(std::make_shared<Semaphore>(options_.in_flight)) {}

Worker::~Worker() = default;

Async<void> Worker::Refresh() {
  Result<std::vector<migration::Run>> all = co_await book_.All();
  if (!all) co_return all.error();
  std::set<std::string> there;
  for (migration::Run& run : *all) {
    there.insert(run.id);
    std::unique_ptr<Known>& known = runs_[run.id];
    if (!known) known = std::make_unique<Known>();
    Learn(*known, std::move(run));
    if (known->run.stopped) {
      for (auto& [name, open] : open_) {
        if (open->run == known->run.id) open->stop.Set();
      }
    }
  }
  // Of those that are gone the rows stay in memory while tasks of theirs are open.
  for (auto& [id, known] : runs_) {
    known->gone = !there.contains(id);
  }
  refreshed_ = runtime_.clock.SteadyNow();
  co_return Ok();
}

void Worker::Learn(Known& known, migration::Run run) {
  if (!HasPlacesOf(known.run, run)) known.ends.reset();  // Its giants too, when opened anew.
  known.run = std::move(run);
}

asio::awaitable<void> Worker::RefreshIfDue() {
  if (refreshed_ != SteadyTime{} && runtime_.clock.SteadyNow() < refreshed_ + options_.refresh) {
    co_return;
  }
  Result<void> refreshed = co_await Refresh();
  if (!refreshed) runtime_.log.Warning("the runs cannot be looked at", {refreshed.error()});
}

bool Worker::MayFind() const { return options_.finds && finds_open_ < options_.finds_max; }

bool Worker::MayWork() const {
  if (!options_.works) return false;
  int64_t open = 0;
  for (const auto& [run, meter] : meters_) open += meter.open;
  // As many again as are carried, so that none of them waits for a message.
  return open < 2 * static_cast<int64_t>(options_.in_flight) &&
         open_.size() < static_cast<size_t>(options_.in_flight + options_.finds_max);
}

std::vector<std::string> Worker::LanesLeftAlone() const {
  const bool finds = MayFind();
  const bool works = MayWork();
  std::vector<std::string> lanes;
  if (!finds) lanes.emplace_back(kSharedFindLane);
  if (!works) lanes.emplace_back(kSharedWorkLane);
  for (const auto& [id, known] : runs_) {
    const bool foreign = known->foreign && runtime_.clock.SteadyNow() < known->foreign_until;
    if (foreign || !finds) lanes.push_back(FindLane(id));
    if (foreign || !works) lanes.push_back(WorkLane(id));
  }
  return lanes;
}

asio::awaitable<void> Worker::Run(Event& stop) {
  Event ended;
  TaskGroup life(runtime_.executor);
  life.Spawn(KeepAlive(ended));
  life.Spawn(Publish(ended));
  TaskGroup tasks(runtime_.executor);
  while (!stop.is_set()) {
    co_await RefreshIfDue();
    if (!MayFind() && !MayWork()) {
      co_await changed_.WaitFor(runtime_.clock, kWaitForMessages);
      continue;
    }
    ReceiveRequest request{.count_max = 1,
                           .visibility = options_.visibility,
                           .wait = kWaitForMessages,
                           .without = LanesLeftAlone()};
    Result<Received> received = co_await queue_.Receive(std::move(request));
    if (!received) {
      runtime_.log.Warning("nothing can be received", {received.error()});
      co_await stop.WaitFor(runtime_.clock, kWaitForMessages);
      continue;
    }
    if (received->messages.empty()) {
      co_await SendAgain();
      Result<bool> done = co_await AllDone();
      if (done && *done) break;
    }
    for (QueueMessage& message : received->messages) tasks.Spawn(Handle(std::move(message)));
    // So that it is known to be open before the next one is received.
    co_await Yield();
  }
  stopping_ = true;
  for (auto& [name, open] : open_) open->stop.Set();
  Result<void> joined = co_await tasks.Join();
  static_cast<void>(joined);
  ended.Set();
  joined = co_await life.Join();
  static_cast<void>(joined);
}

Async<bool> Worker::AllDone() {
  if (options_.until_done.empty() || !open_.empty()) co_return false;
  for (const std::string& id : options_.until_done) {
    Result<std::optional<migration::Run>> run = co_await book_.Find(id);
    if (!run) co_return run.error();
    if (!*run || (*run)->stopped) continue;  // Nothing more comes of it.
    Result<bool> finished = co_await book_.FinishIfDone(std::move(**run));
    if (!finished) co_return finished.error();
    if (!*finished) co_return false;
  }
  co_return true;
}

asio::awaitable<void> Worker::SendAgain() {
  const SteadyTime now = runtime_.clock.SteadyNow();
  if (!open_.empty() || now < sent_again_ + kSendAgainEvery) co_return;
  sent_again_ = now;
  const bool any = std::ranges::any_of(runs_, [](const auto& entry) {
    const Known& known = *entry.second;
    return !known.gone && !known.run.stopped && !known.run.finished;
  });
  if (!any) co_return;  // Looking at the queue may cost money.
  Result<QueueDepth> depth = co_await queue_.Depth();
  if (!depth || !depth->settled) co_return;
  if (depth->visible + depth->delayed + depth->in_flight > 0) co_return;
  for (const auto& [id, known] : runs_) {
    if (known->run.stopped || known->run.finished) continue;
    Result<std::vector<StateRow>> page = co_await state_.Scan(RowsOf(id), "todo/", kRowsPerScan);
    if (!page) co_return;
    std::vector<NewMessage> messages;
    for (const StateRow& row : *page) {
      if (!row.key.starts_with("todo/")) break;
      Result<TodoRow> todo = DecodeTodo(row.key, row.value);
      if (!todo) continue;
      runtime_.log.Info("a task without a message is sent again",
                        {{"run", id}, {"task", todo->id}});
      messages.push_back(MessageOf(id, todo->id, todo->kind));
    }
    if (!messages.empty()) {
      Result<void> sent = co_await queue_.Send(std::move(messages), {});
      if (!sent) co_return;
    }
    // Finished by somebody who died before he could say so.
    Result<bool> finished = co_await book_.FinishIfDone(known->run);
    static_cast<void>(finished);
  }
}

std::chrono::milliseconds Worker::DelayOf(const QueueMessage& message) {
  return message.receive_count <= kReceivesInARow ? options_.delay : kDelayOfMessageMax;
}

Async<Worker::Fate> Worker::Judge(std::string run, bool shared) {
  const auto known = runs_.find(run);
  const bool there = known != runs_.end() && !known->second->gone && !known->second->run.stopped;
  if (there) co_return Fate::kWork;
  // As it is now: what is dropped here is not sent again but by the next start, and that comes
  // after what it says of the run.
  Result<std::optional<migration::Run>> row = co_await book_.Find(run);
  if (!row) co_return row.error();
  if (*row && (*row)->stopped) co_return Fate::kDrop;
  if (*row) {
    Result<void> refreshed = co_await Refresh();
    if (!refreshed) co_return refreshed.error();
    co_return Fate::kWork;
  }
  if (!shared) co_return Fate::kDrop;  // Its lane was its own, and nobody else's.
  Result<bool> forgotten = co_await book_.WasForgotten(std::move(run));
  if (!forgotten) co_return forgotten.error();
  co_return *forgotten ? Fate::kDrop : Fate::kBury;
}

Async<void> Worker::SetAside(QueueMessage message, std::string reason) {
  runtime_.log.Failure(
      "a message is set aside",
      {{"lane", message.lane}, {"message", message.receipt.id}, {"reason", reason}});
  Result<void> buried = co_await queue_.Bury(std::move(message), std::move(reason));
  // Else it comes again, or somebody else has it.
  if (!buried && buried.error().kind != ErrorKind::kPrecondition) {
    runtime_.log.Warning("a message could not be set aside", {buried.error()});
  }
  co_return Ok();
}

Async<void> Worker::Handle(QueueMessage message) {
  Result<TaskName> name = ReadMessage(message.body);
  if (!name) {
    co_return co_await SetAside(std::move(message),
                                name.error().message + ", says longhaul " + std::string(kVersion));
  }
  const std::pair<std::string, std::string> key(name->run, name->id);
  if (open_.contains(key)) {
    // Doubled: when it is done here, this one costs nothing.
    co_return co_await queue_.Release(message.receipt, options_.visibility / 2);
  }
  auto open = std::make_shared<Open>();
  open->run = name->run;
  open->id = name->id;
  open->receipt = message.receipt;
  open->since = runtime_.clock.SteadyNow();
  open->find = IsFindLane(message.lane);
  if (stopping_) open->stop.Set();
  open_[key] = open;
  if (open->find) ++finds_open_;

  std::chrono::milliseconds delay{0};
  bool worked = false;
  Result<bool> done = false;
  Result<Fate> fate = co_await Judge(name->run, IsShared(message.lane));
  const auto known = runs_.find(name->run);
  if (!fate) {
    done = fate.error();
  } else if (*fate != Fate::kWork) {
    done = true;
  } else if (known == runs_.end() || known->second->gone || known->second->run.stopped ||
             !(open->find ? options_.finds : options_.works)) {
    delay = kWaitForMessages;  // It changed meanwhile.
  } else {
    worked = true;
    done = co_await Do(*open, *known->second, &delay);
    // Others may be able to. Where the lane is not the run's own it cannot be left alone.
    if (done && !*done && known->second->foreign) delay = std::max(delay, DelayOf(message));
  }
  if (!done) {
    runtime_.log.Warning("a task is left for later",
                         {{"run", open->run}, {"task", open->id}, done.error()});
    delay = done.error().kind == ErrorKind::kCancelled ? 0ms : DelayOf(message);
    if (std::exchange(open->claim.mine, false)) {
      Result<void> left = co_await board_.Leave(open->run, open->id, open->claim);
      static_cast<void>(left);  // Else it lapses.
    }
  }
  // Last. When it fails the message comes again, and costs nothing.
  Result<void> told;
  if (fate && *fate == Fate::kBury) {
    told = co_await SetAside(std::move(message), "the state has no run " + open->run);
  } else {
    told = done && *done ? co_await queue_.Ack({message.receipt})
                         : co_await queue_.Release(message.receipt, delay);
  }
  if (!told && told.error().kind != ErrorKind::kPrecondition) {
    runtime_.log.Warning("a message could not be given back", {told.error()});
  }
  open_.erase(key);
  if (open->find) --finds_open_;
  if (worked && done && *done) {
    Result<std::optional<migration::Run>> run = co_await book_.Find(open->run);
    if (run && *run) {
      Result<bool> finished = co_await book_.FinishIfDone(std::move(**run));
      static_cast<void>(finished);  // Else somebody who is idle finds it out.
    }
  }
  changed_.NotifyAll();
  co_return Ok();
}

}  // namespace longhaul::migration
