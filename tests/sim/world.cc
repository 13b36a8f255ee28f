#include "tests/sim/world.h"

#include <cstdio>
#include <sstream>

#include "replication/staging/staging.h"
#include "tests/sim/process.h"

namespace longhaul::sim {

using testing::MemoryStoreBackend;

namespace {

SystemTime Start() {
  return std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) + std::chrono::hours(9) +
         std::chrono::milliseconds(400);
}

std::shared_ptr<MemoryStoreBackend> MakeBackend(std::string name, bool conditional_writes,
                                                bool conditional_deletes,
                                                unsigned unknown_conditions,
                                                std::vector<std::string> buckets) {
  testing::MemoryStoreOptions options;
  options.name = std::move(name);
  options.capabilities.part_size_bytes_min = 1;
  auto knows = [&](unsigned condition) {
    return conditional_writes && (unknown_conditions & condition) == 0;
  };
  options.capabilities.create_if_absent = knows(Plan::kCreates);
  options.capabilities.replace_if_match = knows(Plan::kReplaces);
  options.capabilities.complete_if_absent = knows(Plan::kCompletesAbsent);
  options.capabilities.complete_if_match = knows(Plan::kCompletesMatch);
  options.capabilities.delete_if_match = conditional_deletes;
  auto backend = std::make_shared<MemoryStoreBackend>(std::move(options));
  for (std::string& bucket : buckets) backend->buckets[bucket].created = Start();
  return backend;
}

}  // namespace

World::World(Plan plan, std::set<int> left_out)
    : plan_(plan),
      random_(plan.seed),
      outages_random_(plan.seed + 9),
      pauses_random_(plan.seed + 5),
      steps_random_(plan.seed + 6),
      keys_random_(plan.seed + 7),
      left_random_(plan.seed + 9),
      left_out_(std::move(left_out)),
      clock_(Start()),
      queue_(std::make_shared<testing::FakeQueueBackend>(1000)),
      state_(std::make_shared<testing::FakeStateBackend>()),
      store_faults_(plan_, plan.seed + 1),
      queue_faults_(plan.seed + 2),
      state_faults_(plan.seed + 3),
      copier_random_(plan.seed + 8) {
  const bool same_store = plan_.same_store;
  source_ = MakeBackend("east", !same_store || plan_.conditional_writes,
                        !same_store || plan_.conditional_deletes,
                        same_store ? plan_.unknown_conditions : 0,
                        {kSourceBucket, kOtherBucket, kLocalStagingBucket});
  if (plan_.source_versions) {
    for (const char* bucket : {kSourceBucket, kOtherBucket, kLocalStagingBucket}) {
      source_->buckets[bucket].versioning = MemoryStoreBackend::Versioning::kEnabled;
    }
  }
  for (int i = 0; i < plan_.targets; ++i) {
    if (same_store && i == 0) {
      for (const char* bucket : {kTargetBucket, kStagingBucket, kInboundBucket}) {
        source_->buckets[bucket].created = Start();
      }
      targets_.push_back(source_);
    } else {
      targets_.push_back(MakeBackend("west" + std::to_string(i), plan_.conditional_writes,
                                     plan_.conditional_deletes, plan_.unknown_conditions,
                                     {kTargetBucket, kStagingBucket, kInboundBucket}));
    }
    if (plan_.versioned) {
      targets_.back()->buckets[kTargetBucket].versioning = MemoryStoreBackend::Versioning::kEnabled;
    }
  }
  for (testing::FakeFaults* faults : {&queue_faults_, &state_faults_}) {
    const double rate = faults == &queue_faults_ ? plan_.queue_faults : plan_.state_faults;
    faults->fails_before = faults->fails_after = rate / 2;
    faults->slow = plan_.slow;
    faults->halves = plan_.half_batches;
    faults->delay_max = std::chrono::seconds(2);
    if (faults == &queue_faults_) faults->duplicates = faults->reorders = rate * 4;
  }

  configuration_.site = "sim";
  Rule rule;
  rule.id = "rule";
  rule.source = {.store = "east", .bucket = kSourceBucket, .prefix = "in/"};
  rule.deletes = plan_.deletes;
  rule.compression_level = 1;
  if (plan_.tuned) rule.tuner = TunerBounds{.level_min = 1, .level_max = 9};
  rule.batch = {.size_bytes = 300'000, .count = 5, .linger = std::chrono::milliseconds(500)};
  rule.intake.listing = std::chrono::seconds(20);
  rule.delete_guard.enabled = false;
  rule.on_conflict = OnConflict::kKeep;
  if (plan_.s3_replication) {
    rule.transport = Transport::kS3Replication;
    rule.local_staging = Address{.store = "east", .bucket = kLocalStagingBucket, .prefix = ""};
    rule.replication_timeout = std::chrono::seconds(40);
    StartCopier();
  }
  if (plan_.plain) {
    const bool copies = plan_.same_store && plan_.targets == 1;
    rule.transport = copies ? Transport::kCopy : Transport::kPlain;
  }
  if (plan_.chosen) rule.transport = Transport::kAuto;
  for (int i = 0; i < plan_.targets; ++i) {
    const std::string store = "west" + std::to_string(i);
    Target target;
    target.name = "t" + std::to_string(i);
    target.store_can_copy = plan_.same_store && i == 0;
    target.to = {.store = store, .bucket = kTargetBucket, .prefix = "out/"};
    // Sharing a staging means that one archive serves both targets.
    target.staging = {
        .store = plan_.shared_staging ? "west0" : store, .bucket = kStagingBucket, .prefix = ""};
    if (plan_.left_archives > 0) {
      target.take_over = {.from = {.store = store, .bucket = kInboundBucket, .prefix = ""}};
    }
    rule.targets.push_back(std::move(target));
  }
  if (plan_.rivals) {
    Rule rival = rule;
    rival.id = "rival";
    rival.priority = 1;
    rival.filter.tags = {{"color", "1"}};
    if (plan_.rivals_at_first) rival.targets.resize(1);
    for (Target& target : rival.targets) target.storage_class = "RIVAL";
    configuration_.rules.push_back(std::move(rival));
  }
  if (plan_.sources) {
    Rule other = rule;
    other.id = "other";
    other.source.bucket = kOtherBucket;
    for (Target& target : other.targets) target.to.prefix = "other/";
    configuration_.rules.push_back(std::move(other));
  }
  configuration_.rules.push_back(std::move(rule));
  if (plan_.sealed) ChangeSealKey();

  for (int i = 0; i < 6; ++i) {
    // Bundles, and from time to time a single of several frames.
    std::string content(random_.Below(i % 3 == 0 ? 250'000 : 5'000), '\0');
    const uint64_t letters = plan_.chosen && i % 2 == 0 ? 256 : 4;
    for (char& c : content) c = static_cast<char>('a' + random_.Below(letters));
    contents_.push_back(std::move(content));
  }
  contents_.push_back("");
  user_ = std::make_unique<Process>(*this, "user", plan.seed + 4, false);
  processes_.resize(static_cast<size_t>(plan_.processes));
}

World::~World() = default;

void World::StartCopier() {
  // S3 replicates only between buckets that keep versions.
  using Versioning = MemoryStoreBackend::Versioning;
  source_->buckets[kLocalStagingBucket].versioning = Versioning::kEnabled;
  std::vector<testing::FakeCopier::Destination> stagings;
  for (const auto& target : targets_) {
    if (!stagings.empty() && plan_.shared_staging) break;
    target->buckets[kStagingBucket].versioning = Versioning::kEnabled;
    stagings.push_back({.backend = target, .bucket = kStagingBucket});
  }
  copier_ = std::make_unique<testing::FakeCopier>(clock_, source_, kLocalStagingBucket,
                                                  std::move(stagings));
  copier_->delays = [this](const std::string&, size_t) {
    std::vector<std::chrono::nanoseconds> delays;
    const bool trouble = store_faults_.enabled;
    if (trouble && copier_random_.Unit() < plan_.replication_loss) return delays;
    const bool twice = trouble && copier_random_.Unit() < plan_.replication_twice;
    for (int i = 0; i < (twice ? 2 : 1); ++i) {
      const double most = trouble ? plan_.replication_late : 0;
      delays.emplace_back(static_cast<int64_t>((0.1 + most * copier_random_.Unit()) * 1e9));
    }
    return delays;
  };
}

void World::Say(const std::string& text) const {
  if (verbose) {
    std::printf("%s %s\n", FormatRfc3339(clock_.Now()).c_str(), text.c_str());
    std::fflush(stdout);
  }
}

void World::StartProcess(size_t slot, bool split_roles) {
  auto process =
      std::make_unique<Process>(*this, "process " + std::to_string(slot), random_.Next(), true);
  ReplicatorOptions options;
  if (split_roles) {
    options.source = slot % 2 == 0;
    options.target = slot % 2 == 1;
  }
  Result<std::unique_ptr<Replicator>> made = Replicator::Make(*process->context, options);
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    std::abort();
  }
  process->replicator = std::move(*made);
  process->Spawn(process->replicator->RunContinuous(process->stop));
  processes_[slot] = std::move(process);
  Say("process " + std::to_string(slot) + " starts");
}

void World::Kill(size_t slot) {
  if (!processes_[slot]) return;
  Say("process " + std::to_string(slot) + " is killed");
  dead_.push_back(std::move(processes_[slot]));
}

std::string World::StopProcess(size_t slot) {
  Process& process = *processes_[slot];
  Say("process " + std::to_string(slot) + " is asked to stop");
  process.stop.Set();
  const SystemTime patience = clock_.Now() + std::chrono::minutes(10);
  while (process.running && clock_.Now() < patience && Step()) {
  }
  if (process.running) return "a process does not stop when it is asked to";
  if (process.memory.reserved_bytes() != 0) return "a stopped process holds memory";
  dead_.push_back(std::move(processes_[slot]));
  return "";
}

bool World::Step() {
  // Any process that can run may run next: the seed decides.
  const size_t count = processes_.size() + 1;
  const size_t first = random_.Below(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t slot = (first + i) % count;
    Process* process = slot == processes_.size() ? user_.get() : processes_[slot].get();
    if (process == nullptr) continue;
    process->io.restart();
    if (process->io.poll_one() > 0) return true;
  }
  return clock_.AdvanceToNextTimer();
}

void World::RunUntil(SystemTime time) {
  bool reached = false;
  auto timer = clock_.StartTimer(time - clock_.Now(), [&] { reached = true; });
  while (!reached && Step()) {
  }
}

void World::CorruptSomething(bool happens) {
  const size_t target = random_.Below(targets_.size());
  if (plan_.s3_replication && random_.Below(3) == 0) {
    const std::vector<std::string> local = source_->Keys(kLocalStagingBucket);
    if (local.empty()) return;
    const std::string& key = local[random_.Below(local.size())];
    const auto* there = source_->Find(kLocalStagingBucket, key);
    if (there->bytes->empty()) return;
    const size_t offset = random_.Below(there->bytes->size());
    if (!happens) return;
    Say("a bit rots in the local staging's " + key);
    source_->CorruptStored(kLocalStagingBucket, key, offset);
    return;
  }
  const auto& objects = targets_[target]->buckets[kStagingBucket].objects;
  std::vector<std::string> archives;
  for (const auto& [key, versions] : objects) {
    if (key.ends_with(".tar.zst")) archives.push_back(key);
  }
  if (archives.empty()) return;
  const std::string& key = archives[random_.Below(archives.size())];
  const auto* version = targets_[target]->Find(kStagingBucket, key);
  if (version == nullptr || version->bytes->empty()) return;
  const size_t offset = random_.Below(version->bytes->size());
  if (!happens) return;
  Say("a bit rots in " + key);
  targets_[target]->CorruptStored(kStagingBucket, key, offset);
}

void World::StepAClock(bool happens) {
  const size_t slot = steps_random_.Below(processes_.size());
  // Within what the clocks of machines that share work may differ by.
  const auto skew =
      std::chrono::milliseconds(10'000 - static_cast<int>(steps_random_.Below(20'000)));
  if (!processes_[slot] || !happens) return;
  Say("the clock of process " + std::to_string(slot) + " is set to " +
      std::to_string(skew.count()) + " ms from the true one");
  processes_[slot]->clock.StepTo(skew);
}

void World::PauseSomething(bool happens) {
  const uint64_t which = pauses_random_.Below(1 + static_cast<uint64_t>(plan_.targets));
  const std::string target = which == 0 ? "" : "t" + std::to_string(which - 1);
  const std::string what = target.empty() ? "the rule" : target;
  if (!happens) return;
  if (!paused_.insert(target).second) {
    paused_.erase(target);
    Say("user resumes " + what);
    user_->Spawn(Quietly(RemovePause(user_->state, "rule", target)));
    return;
  }
  Pause pause{.since = clock_.Now()};
  if (pauses_random_.Below(2) == 0) {
    pause.until = pause.since + std::chrono::seconds(1 + pauses_random_.Below(30));
  }
  Say("user pauses " + what + (pause.until ? " until " + FormatRfc3339(*pause.until) : ""));
  user_->Spawn(Quietly(WritePause(user_->state, "rule", target, pause)));
}

void World::ResumeAll() {
  for (const std::string& target : paused_) {
    user_->Spawn(Quietly(RemovePause(user_->state, "rule", target)));
  }
  paused_.clear();
}

std::string World::Run() {
  Say(plan_.ToString());
  for (size_t slot = 0; slot < processes_.size(); ++slot) StartProcess(slot, plan_.split_roles);
  const SystemTime end = clock_.Now() + plan_.workload;
  const auto pause = std::chrono::nanoseconds(plan_.workload) / plan_.changes;
  while (clock_.Now() < end) {
    RunUntil(clock_.Now() + std::chrono::duration_cast<std::chrono::microseconds>(
                                pause * (0.1 + 1.8 * random_.Unit())));
    ChangeSomething(Happens());
    const double seconds = std::chrono::duration<double>(pause).count();
    if (random_.Unit() < plan_.corruptions * seconds) CorruptSomething(Happens());
    if (pauses_random_.Unit() < plan_.pauses * seconds) PauseSomething(Happens());
    if (outages_random_.Unit() < plan_.outages * seconds && Happens()) {
      store_faults_.stagings_away = !store_faults_.stagings_away;
      Say(store_faults_.stagings_away ? "the stagings go away" : "the stagings come back");
    }
    if (steps_random_.Unit() < plan_.steps * seconds) StepAClock(Happens());
    if (plan_.key_changes > 0 && keys_random_.Unit() < plan_.key_changes * seconds && Happens()) {
      ChangeSealKey();
    }
    for (size_t slot = 0; slot < processes_.size(); ++slot) {
      if (!processes_[slot]) {
        if (random_.Below(2) == 0) StartProcess(slot, plan_.split_roles);
      } else if (random_.Unit() < plan_.crash_rate * seconds && Happens()) {
        Kill(slot);
      }
    }
  }
  return FinishAndCheck();
}

std::string World::FinishAndCheck() {
  // The trouble ends; some processes are told to stop, the others are killed.
  store_faults_.enabled = false;
  queue_faults_ = testing::FakeFaults(1);
  state_faults_ = testing::FakeFaults(1);
  ResumeAll();
  for (size_t slot = 0; slot < processes_.size(); ++slot) {
    if (!processes_[slot]) continue;
    if (random_.Below(2) == 0) {
      Kill(slot);
      continue;
    }
    std::string wrong = StopProcess(slot);
    if (!wrong.empty()) return wrong;
  }
  // Late effects, late events, late copies.
  RunUntil(clock_.Now() + std::chrono::seconds(plan_.s3_replication ? 90 : 30));

  std::string wrong = plan_.compares ? LastRun() : LastRunByEvents();
  if (!wrong.empty()) return wrong;
  // What a process that died just now had open is swept a process lease later.
  if (!queue_->rows.empty()) return "messages are left in the queue";
  if (!plan_.deletes && store_faults_.removes > 0) return "a replica was removed without deletes";
  for (const auto& [place, row] : state_->rows) {
    if (place.first.starts_with("spool/")) return "left in the spool: " + place.second;
    if (place.first.starts_with("local-staging")) return "State still has " + place.first;
    if (place.first.starts_with("parked")) return "recorded as parked: " + place.second;
  }

  for (const auto& [place, row] : state_->rows) {
    if (place.first.starts_with("giant")) return "State still has " + place.first;
  }
  const MemoryStoreBackend::Bucket& local = source_->buckets[kLocalStagingBucket];
  if (!local.objects.empty()) return "left in local staging: " + local.objects.begin()->first;
  if (!local.uploads.empty()) return "a multipart upload is left in local staging";
  for (size_t i = 0; i < targets_.size(); ++i) {
    std::string difference = Compare(i);
    if (difference.empty()) difference = CheckHistory(i);
    if (!difference.empty()) return difference;
    for (const auto& [bucket_name, bucket] : targets_[i]->buckets) {
      for (const auto& [id, upload] : bucket.uploads) {
        // One that came into being after the answer had been given up, and the place cleaned up.
        const bool late = plan_.later_effects > 0 || plan_.store_faults > 0;
        if (late && upload.request.key.starts_with("probe/")) continue;
        return "a multipart upload is left in " + bucket_name + ": " + upload.request.key;
      }
    }
    for (const std::string& key : targets_[i]->Keys(kStagingBucket)) {
      if (key.starts_with("probe/")) continue;
      return "left in staging: " + key;
    }
    for (const std::string& key : targets_[i]->Keys(kInboundBucket)) {
      return "not taken over: " + key;
    }
  }
  return "";
}

// One process does what is left, by its own comparison, and ends.
std::string World::LastRun() {
  auto last = std::make_unique<Process>(*this, "last", random_.Next(), false);
  ReplicatorOptions options{.timeout = std::chrono::minutes(20)};
  Result<std::unique_ptr<Replicator>> made = Replicator::Make(*last->context, options);
  if (!made) return made.error().message;
  last->replicator = std::move(*made);
  OnceResult result;
  struct Once {
    static asio::awaitable<void> Run(Process& process, OnceResult& result) {
      result = co_await process.replicator->RunOnce(process.stop);
    }
  };
  Process& process = *last;
  process.Spawn(Once::Run(process, result));
  processes_[0] = std::move(last);
  const SystemTime patience = clock_.Now() + std::chrono::hours(3);
  while (process.running && clock_.Now() < patience && Step()) {
  }
  if (process.running) return "the last run does not end";
  if (result.store_error) return "the last run failed: " + result.store_error->Describe();
  if (result.parked_archives > 0) return "archives are parked that nothing is wrong with";
  if (process.memory.reserved_bytes() != 0) return "the last run holds memory";
  return "";
}

// One process runs on until nothing is left to do, told by nothing but what is in the queue.
std::string World::LastRunByEvents() {
  StartProcess(0, /*split_roles=*/false);
  const SystemTime patience = clock_.Now() + std::chrono::hours(3);
  while (clock_.Now() < patience) {
    RunUntil(clock_.Now() + std::chrono::minutes(1));
    if (queue_->rows.empty() && StagingIsEmpty()) break;
  }
  // What was just applied may still have something to say.
  RunUntil(clock_.Now() + std::chrono::minutes(5));
  return StopProcess(0);
}

}  // namespace longhaul::sim
