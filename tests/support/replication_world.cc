#include "tests/support/replication_world.h"

#include <utility>

#include "replication/make_context.h"

namespace longhaul::testing {

TroubledStore::TroubledStore() = default;

TroubledStore::~TroubledStore() = default;

Fault TroubledStore::Next(StoreOperation operation, std::string_view bucket, std::string_view key) {
  return decide ? decide(operation, bucket, key) : Fault();
}

void TroubledStore::Fails(ErrorKind kind) {
  decide = [kind](StoreOperation, std::string_view, std::string_view) { return Failing(kind); };
}

Fault TroubledStore::Failing(ErrorKind kind) {
  Fault fault;
  fault.error = Error{.kind = kind, .message = "trouble", .code = "Trouble"};
  return fault;
}

bool RecordingLogger::Has(std::string_view words) const {
  for (const std::string& line : lines) {
    if (line.find(words) != std::string::npos) return true;
  }
  return false;
}

void RecordingLogger::Log(LogLevel, std::string_view event, Fields of_line) {
  lines.emplace_back(event);
  std::string& text = fields.emplace_back();
  for (const LogField& field : of_line) {
    text += " " + std::string(field.name) + "=";
    if (const auto* words = std::get_if<std::string>(&field.value)) text += *words;
    if (const auto* number = std::get_if<int64_t>(&field.value)) text += std::to_string(*number);
  }
}

RecordingObserver::RecordingObserver() = default;

RecordingObserver::~RecordingObserver() = default;

void RecordingObserver::OnOutcome(const Outcome& outcome) { outcomes.push_back(outcome); }

void RecordingObserver::OnReadiness(std::string_view part, const std::optional<Error>& error) {
  if (error) {
    unready[std::string(part)] = error->Describe();
  } else {
    unready.erase(std::string(part));
  }
}

void RecordingObserver::OnThreshold(const ThresholdEvent& event) { late.push_back(event); }

void RecordingObserver::OnArchiveStaged(const ArchiveBytes& bytes) { staged.push_back(bytes); }

void RecordingObserver::OnArchiveApplied(const ArchiveApplied& archive) {
  applied.push_back(archive);
}

int RecordingObserver::Count(OutcomeState state) const {
  int count = 0;
  for (const Outcome& outcome : outcomes) count += outcome.state == state ? 1 : 0;
  return count;
}

ReplicationWorld::ReplicationWorld(int targets)
    : runtime{world.runtime.executor, world.clock, world.random, world.pool,
              world.memory,           log,         world.metrics},
      queue_backend(std::make_shared<FakeQueueBackend>(1000)),
      state_backend(std::make_shared<FakeStateBackend>()),
      queue(runtime, queue_backend),
      state(runtime, state_backend) {
  limits.frame_bytes = 128 << 10;
  limits.part_bytes = 64 << 10;
  limits.bundle_object_bytes_max = 100'000;
  AddStore("east", {"in"});
  Rule rule;
  rule.id = "r";
  rule.source = {.store = "east", .bucket = "in", .prefix = ""};
  rule.compression_level = 1;
  rule.deletes = true;
  rule.intake.listing = std::chrono::seconds(60);
  configuration.site = "here";
  for (int i = 0; i < targets; ++i) {
    const std::string store = "west" + std::to_string(i);
    AddStore(store, {"out", "staging"});
    Target target;
    target.name = "t" + std::to_string(i);
    target.to = {.store = store, .bucket = "out", .prefix = ""};
    target.staging = {.store = store, .bucket = "staging", .prefix = ""};
    rule.targets.push_back(std::move(target));
  }
  configuration.rules.push_back(std::move(rule));
}

ReplicationWorld::~ReplicationWorld() = default;

TroubledStore& ReplicationWorld::AddStore(const std::string& name,
                                          const std::vector<std::string>& buckets) {
  auto made = std::make_unique<TroubledStore>();
  MemoryStoreOptions options;
  options.name = name;
  options.capabilities.part_size_bytes_min = 1;
  made->backend = std::make_shared<MemoryStoreBackend>(std::move(options));
  for (const std::string& bucket : buckets) {
    made->backend->buckets[bucket].created = world.clock.Now();
  }
  made->store = std::make_unique<MemoryStore>(runtime, made->backend, made.get());
  return *(stores[name] = std::move(made));
}

TroubledStore& ReplicationWorld::store(const std::string& name) { return *stores.at(name); }

void ReplicationWorld::Put(const std::string& key, std::string text, UserMetadata metadata) {
  MemoryStore direct(runtime, source().backend);
  PutRequest request{.bucket = "in", .key = key};
  request.metadata = std::move(metadata);
  ASSERT_TRUE(world.Run(PutText(direct, std::move(request), std::move(text))));
}

std::set<std::string> ReplicationWorld::Replicas(int i) {
  std::vector<std::string> keys = target(i).backend->Keys("out");
  return {keys.begin(), keys.end()};
}

std::set<std::string> ReplicationWorld::Staged(int i) {
  std::set<std::string> keys;
  for (std::string& key : target(i).backend->Keys("staging")) {
    if (!key.starts_with("probe/")) keys.insert(std::move(key));
  }
  return keys;
}

Result<std::unique_ptr<ReplicationContext>> ReplicationWorld::NewContext(Queue& queue, State& state,
                                                                         Observer& observer) {
  std::map<std::string, Store*> pointers;
  for (const auto& [name, troubled] : stores) pointers[name] = troubled->store.get();
  return MakeReplicationContext(runtime, configuration, std::move(pointers), queue, state, observer,
                                limits);
}

void ReplicationWorld::MakeContext() {
  auto made = NewContext(queue, state, observer);
  ASSERT_TRUE(made);
  context = std::move(*made);
}

void ReplicationWorld::MakeReplicator(ReplicatorOptions options) {
  MakeContext();
  auto made = Replicator::Make(*context, options);
  ASSERT_TRUE(made) << made.error().Describe();
  replicator = std::move(*made);
}

OnceResult ReplicationWorld::RunOnce(ReplicatorOptions options) {
  MakeReplicator(options);
  return world.Run(replicator->RunOnce(stop));
}

void ReplicationWorld::Start(ReplicatorOptions options) {
  MakeReplicator(options);
  running = true;
  world.Start(Continue());
}

void ReplicationWorld::Stop() {
  stop.Set();
  world.Drive([this] { return !running; });
}

void ReplicationWorld::RunFor(std::chrono::nanoseconds time) {
  const SteadyTime end = world.clock.SteadyNow() + time;
  bool reached = false;
  auto timer = world.clock.StartTimer(time, [&] { reached = true; });
  world.Drive([&] { return reached || world.clock.SteadyNow() >= end; });
}

asio::awaitable<void> ReplicationWorld::Continue() {
  co_await replicator->RunContinuous(stop);
  running = false;
}

AnotherProcess::AnotherProcess(ReplicationWorld& world)
    : world_(world),
      queue_(world.runtime, world.queue_backend),
      state_(world.runtime, world.state_backend) {}

AnotherProcess::~AnotherProcess() = default;

void AnotherProcess::Start(ReplicatorOptions options) {
  auto made = world_.NewContext(queue_, state_, observer_);
  ASSERT_TRUE(made);
  context_ = std::move(*made);
  auto replicator = Replicator::Make(*context_, options);
  ASSERT_TRUE(replicator) << replicator.error().Describe();
  replicator_ = std::move(*replicator);
  running_ = true;
  world_.world.Start(Continue());
}

void AnotherProcess::Stop() {
  stop_.Set();
  world_.world.Drive([this] { return !running_; });
}

asio::awaitable<void> AnotherProcess::Continue() {
  co_await replicator_->RunContinuous(stop_);
  running_ = false;
}

}  // namespace longhaul::testing
