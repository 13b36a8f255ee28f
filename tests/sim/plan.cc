#include <sstream>

#include "tests/sim/world.h"

namespace longhaul::sim {

namespace {

// Swarm testing: each kind of trouble is off in about half of the runs, so that rare combinations
// of the others get room.
double Maybe(Random& random, double most) {
  return random.Below(2) == 0 ? 0 : most * random.Unit();
}

}  // namespace

Plan::Plan(uint64_t seed) : seed(seed) {
  SeededRandom random(seed * 0x9e3779b97f4a7c15ULL + 1);
  deletes = random.Below(4) != 0;
  conditional_writes = random.Below(4) != 0;
  conditional_deletes = conditional_writes && random.Below(4) != 0;
  versioned = random.Below(3) == 0;
  targets = random.Below(3) == 0 ? 2 : 1;
  shared_staging = random.Below(2) == 0;
  processes = 1 + static_cast<int>(random.Below(3));
  split_roles = processes > 1 && random.Below(2) == 0;
  crash_rate = Maybe(random, 0.2);
  store_faults = Maybe(random, 0.05);
  later_effects = Maybe(random, 0.03);
  cut_bodies = Maybe(random, 0.05);
  slow = Maybe(random, 0.2);
  queue_faults = Maybe(random, 0.05);
  state_faults = Maybe(random, 0.05);
  lost_events = Maybe(random, 0.3);
  doubled_events = Maybe(random, 0.3);
  late_events = Maybe(random, 0.3);
  corruptions = Maybe(random, 0.1);
  keys = 1 + static_cast<int>(random.Below(12));
  changes = 10 + static_cast<int>(random.Below(90));
  workload = std::chrono::seconds(20 + random.Below(100));
  skew = Maybe(random, 10);
  // Only where events tell all: a comparison would hide what the apply lost.
  compares = lost_events > 0 || corruptions > 0 || random.Below(2) == 0;
  giants = random.Below(2) == 0;
  pauses = Maybe(random, 0.1);
  // The seeds that are kept are older and tell the stories that they were kept for.
  constexpr uint64_t kKeptSeedsMax = 1'000'000;
  const bool is_new = seed > kKeptSeedsMax;
  rivals = is_new && random.Below(3) == 0;
  sources = is_new && random.Below(3) == 0;
  steps = is_new ? Maybe(random, 0.1) : 0;
  sealed = is_new && random.Below(2) == 0;
  key_changes = sealed ? Maybe(random, 0.05) : 0;
  source_versions = is_new && random.Below(3) == 0;
  attributes = is_new ? Maybe(random, 0.7) : 0;
  s3_replication = is_new && random.Below(3) == 0;
  replication_late = Maybe(random, 80);
  replication_loss = Maybe(random, 0.4);
  replication_twice = Maybe(random, 0.4);
  plain = is_new && !s3_replication && random.Below(4) == 0;
  chosen = is_new && !s3_replication && !plain && random.Below(2) == 0;
  same_store = is_new && random.Below(4) == 0;
  lanes = is_new && random.Below(2) == 0;
  crowded = is_new && random.Below(3) == 0;
  outages = is_new ? Maybe(random, 0.1) : 0;
  // Where events tell all: of what an archive brings a comparison finds no headers missing.
  left_archives = is_new && !plain && !chosen && lost_events == 0 ? Maybe(random, 0.8) : 0;
  tuned = is_new && random.Below(2) == 0;
  half_batches = is_new ? Maybe(random, 0.2) : 0;
  const bool some_unknown = is_new && conditional_writes && random.Below(3) == 0;
  unknown_conditions = some_unknown ? 1 + static_cast<unsigned>(random.Below(14)) : 0;
  // (What the store replicates out of a local staging goes to all stagings.)
  rivals_at_first =
      rivals && targets == 2 && (shared_staging || !s3_replication) && random.Below(2) == 0;
}

namespace {

struct Rate {
  std::string_view name;
  double Plan::* value;
};
constexpr Rate kRates[] = {
    {"crash_rate", &Plan::crash_rate},
    {"store_faults", &Plan::store_faults},
    {"later_effects", &Plan::later_effects},
    {"cut_bodies", &Plan::cut_bodies},
    {"slow", &Plan::slow},
    {"queue_faults", &Plan::queue_faults},
    {"state_faults", &Plan::state_faults},
    {"lost_events", &Plan::lost_events},
    {"doubled_events", &Plan::doubled_events},
    {"late_events", &Plan::late_events},
    {"corruptions", &Plan::corruptions},
    {"skew", &Plan::skew},
    {"pauses", &Plan::pauses},
    {"steps", &Plan::steps},
    {"key_changes", &Plan::key_changes},
    {"attributes", &Plan::attributes},
    {"outages", &Plan::outages},
    {"replication_late", &Plan::replication_late},
    {"replication_loss", &Plan::replication_loss},
    {"replication_twice", &Plan::replication_twice},
    {"left_archives", &Plan::left_archives},
    {"half_batches", &Plan::half_batches},
};

struct Switch {
  std::string_view name;
  bool Plan::* value;
};
constexpr Switch kSwitches[] = {
    {"deletes", &Plan::deletes},
    {"versioned", &Plan::versioned},
    {"giants", &Plan::giants},
    {"rivals", &Plan::rivals},
    {"rivals_at_first", &Plan::rivals_at_first},
    {"sources", &Plan::sources},
    {"split_roles", &Plan::split_roles},
    {"sealed", &Plan::sealed},
    {"source_versions", &Plan::source_versions},
    {"s3_replication", &Plan::s3_replication},
    {"plain", &Plan::plain},
    {"chosen", &Plan::chosen},
    {"same_store", &Plan::same_store},
    {"lanes", &Plan::lanes},
    {"crowded", &Plan::crowded},
    {"shared_staging", &Plan::shared_staging},
    {"tuned", &Plan::tuned},
};

// "targets" and "processes": all but the first.
struct Count {
  std::string_view name;
  int Plan::* value;
};
constexpr Count kCounts[] = {
    {"targets", &Plan::targets},
    {"processes", &Plan::processes},
};

// What stands in for conditional writes and deletes where the target's store has none.
constexpr std::string_view kLeases = "leases";
constexpr std::string_view kUnknownConditions = "unknown_conditions";

}  // namespace

std::vector<std::string> Plan::Troubles() {
  std::vector<std::string> names;
  for (const Rate& rate : kRates) names.emplace_back(rate.name);
  for (const Switch& one : kSwitches) names.emplace_back(one.name);
  for (const Count& count : kCounts) names.emplace_back(count.name);
  names.emplace_back(kLeases);
  names.emplace_back(kUnknownConditions);
  return names;
}

bool Plan::Without(std::string_view name) {
  for (const Rate& rate : kRates) {
    if (rate.name == name && this->*rate.value > 0) {
      this->*rate.value = 0;
      return true;
    }
  }
  for (const Switch& one : kSwitches) {
    if (one.name == name && this->*one.value) {
      this->*one.value = false;
      return true;
    }
  }
  for (const Count& count : kCounts) {
    if (count.name == name && this->*count.value > 1) {
      this->*count.value = 1;
      if (processes == 1) split_roles = false;  // One process has both.
      return true;
    }
  }
  if (name == kLeases && !conditional_deletes) {
    conditional_writes = conditional_deletes = true;
    return true;
  }
  if (name == kUnknownConditions && unknown_conditions != 0) {
    unknown_conditions = 0;
    return true;
  }
  return false;
}

std::string Plan::ToString() const {
  std::ostringstream out;
  out << "seed " << seed << ": deletes " << deletes << ", conditional_writes " << conditional_writes
      << ", versioned " << versioned << ", targets " << targets << ", shared_staging "
      << shared_staging << ", processes " << processes << ", split_roles " << split_roles
      << ", crash_rate " << crash_rate << ", store_faults " << store_faults << ", later_effects "
      << later_effects << ", cut_bodies " << cut_bodies << ", slow " << slow << ", queue_faults "
      << queue_faults << ", state_faults " << state_faults << ", lost_events " << lost_events
      << ", doubled_events " << doubled_events << ", late_events " << late_events
      << ", corruptions " << corruptions << ", keys " << keys << ", changes " << changes
      << ", workload " << workload.count() << " s, skew " << skew << " s, compares " << compares
      << ", giants " << giants << ", pauses " << pauses << ", rivals " << rivals
      << ", rivals_at_first " << rivals_at_first << ", sources " << sources << ", steps " << steps
      << ", sealed " << sealed << ", key_changes " << key_changes << ", source_versions "
      << source_versions << ", attributes " << attributes << ", s3_replication " << s3_replication
      << ", replication_late " << replication_late << " s, replication_loss " << replication_loss
      << ", replication_twice " << replication_twice << ", plain " << plain << ", chosen " << chosen
      << ", same_store " << same_store << ", lanes " << lanes << ", crowded " << crowded
      << ", outages " << outages << ", left_archives " << left_archives << ", half_batches "
      << half_batches << ", unknown_conditions " << unknown_conditions;
  return out.str();
}

testing::Fault StoreFaults::Next(testing::StoreOperation operation, std::string_view bucket,
                                 std::string_view) {
  testing::Fault fault;
  const bool removal = operation == testing::StoreOperation::kRemove ||
                       operation == testing::StoreOperation::kRemoveMany;
  if (removal && bucket == kTargetBucket) ++removes;
  if (!plan_.compares && operation == testing::StoreOperation::kList &&
      (bucket == kSourceBucket || bucket == kOtherBucket)) {
    fault.error = Error{.kind = ErrorKind::kDenied, .message = "listing is not allowed"};
    return fault;
  }
  if (!enabled) return fault;
  auto roll = [&](double probability) { return probability > 0 && random_.Unit() < probability; };
  auto up_to = [&](int seconds) {
    return std::chrono::nanoseconds(random_.Below(static_cast<uint64_t>(seconds) * 1'000'000'000));
  };
  if (stagings_away && bucket == kStagingBucket) {
    fault.delay = up_to(5);
    fault.error = Retryable("nobody answers");
    return fault;
  }
  if (roll(plan_.slow)) {
    fault.delay = up_to(5);
    fault.answer_delay = up_to(5);
  }
  if (roll(plan_.store_faults)) {
    fault.error = Retryable("the connection broke");
    if (random_.Below(2) == 0) fault.effect = testing::Fault::Effect::kDone;
  } else if (roll(plan_.later_effects)) {
    fault.error = Retryable("no answer");
    fault.effect = testing::Fault::Effect::kLater;
    fault.effect_delay = up_to(20);  // Less than a lease lives.
  }
  if (roll(plan_.cut_bodies)) fault.cut_body_after_bytes = random_.Below(100'000);
  return fault;
}

}  // namespace longhaul::sim
