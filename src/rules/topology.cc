#include "rules/topology.h"

#include <algorithm>
#include <deque>
#include <set>

#include "rules/in_use.h"
#include "rules/priority.h"

namespace longhaul {

namespace {

using Part = TopologyProblem::Part;

// All keys below a prefix somewhere that end in a suffix.
struct Space {
  std::string place;
  std::string path;
  std::string suffix;
};

bool OnePrefixesTheOther(std::string_view a, std::string_view b) {
  return a.starts_with(b) || b.starts_with(a);
}

bool Overlap(const Space& a, const Space& b) {
  if (a.place != b.place || !OnePrefixesTheOther(a.path, b.path)) return false;
  // Keys keep their ends on the way to the target, so ".log" stays apart from ".csv" everywhere.
  return a.suffix.ends_with(b.suffix) || b.suffix.ends_with(a.suffix);
}

class Checker {
 public:
  explicit Checker(const Configuration& configuration) : configuration_(configuration) {}

  std::vector<TopologyProblem> Check() {
    KeepSpaces();
    for (size_t rule = 0; rule < configuration_.rules.size(); ++rule) {
      if (!RuleAt(rule).enabled) continue;
      CheckCycle(rule);
      if (RuleAt(rule).local_staging) CheckLocalStaging(rule);
      for (size_t target = 0; target < RuleAt(rule).targets.size(); ++target) {
        CheckWriters(rule, target);
        CheckStaging(rule, target);
        if (TargetAt(rule, target).take_over) CheckTakeOver(rule, target);
      }
    }
    return std::move(problems_);
  }

  bool Feeds(TopologyStep step, int rule) const {
    return Overlap(
        MakeTargetSpace(static_cast<size_t>(step.rule), static_cast<size_t>(step.target)),
        MakeSourceSpace(static_cast<size_t>(rule)));
  }

 private:
  const Rule& RuleAt(size_t rule) const { return configuration_.rules[rule]; }
  const Target& TargetAt(size_t rule, size_t target) const { return RuleAt(rule).targets[target]; }

  Space SpaceOf(const Address& address, std::string suffix) const {
    KeySpace space = longhaul::SpaceOf(configuration_.stores.at(address.store), address);
    return {std::move(space.place), std::move(space.path), std::move(suffix)};
  }
  Space MakeSourceSpace(size_t rule) const {
    return SpaceOf(RuleAt(rule).source, RuleAt(rule).filter.suffix);
  }
  Space MakeTargetSpace(size_t rule, size_t target) const {
    // Archives end as they do, whatever the objects in them.
    const Target& there = TargetAt(rule, target);
    return SpaceOf(there.to, there.backup ? "" : RuleAt(rule).filter.suffix);
  }

  // Each rule is compared with each other: to make their spaces anew every time would take most of
  // the start of a process that has a thousand.
  void KeepSpaces() {
    sources_.clear();
    targets_.clear();
    stagings_.clear();
    for (size_t rule = 0; rule < configuration_.rules.size(); ++rule) {
      sources_.push_back(MakeSourceSpace(rule));
      std::vector<Space>& targets = targets_.emplace_back();
      std::vector<Space>& stagings = stagings_.emplace_back();
      for (size_t target = 0; target < RuleAt(rule).targets.size(); ++target) {
        targets.push_back(MakeTargetSpace(rule, target));
        stagings.push_back(SpaceOf(TargetAt(rule, target).staging, ""));
      }
    }
  }
  const Space& SourceSpace(size_t rule) const { return sources_[rule]; }
  const Space& TargetSpace(size_t rule, size_t target) const { return targets_[rule][target]; }
  const Space& StagingSpace(size_t rule, size_t target) const { return stagings_[rule][target]; }
  // Whether something lies in the folder `name` below it.
  static bool Holds(const Space& outer, std::string_view name, std::string_view path) {
    return path.starts_with(outer.path) && path.substr(outer.path.size()).starts_with(name) &&
           path.substr(outer.path.size() + name.size()).starts_with("/");
  }

  // "app-logs (east:a/ -> west:b/)".
  std::string Step(size_t rule, size_t target) const {
    return RuleAt(rule).id + " (" + RuleAt(rule).source.ToString() + " -> " +
           TargetAt(rule, target).to.ToString() + ")";
  }

  static TopologyStep StepOf(size_t rule, size_t target) {
    return {static_cast<int>(rule), static_cast<int>(target)};
  }

  // The path ends with the step at which the problem is told.
  void Add(size_t rule, size_t target, Part part, std::string what, std::string remedy,
           std::vector<TopologyStep> path_before = {}) {
    path_before.push_back(StepOf(rule, target));
    problems_.push_back({static_cast<int>(rule), static_cast<int>(target), part, std::move(what),
                         std::move(remedy), std::move(path_before)});
  }

  // The shortest way from `start` over targets that feed other rules' sources back to it. Told
  // once, by its first rule.
  void CheckCycle(size_t start) {
    struct Visit {
      size_t rule;
      int from;  // Index in `visits`; -1 at the start.
      size_t target_before;
    };
    std::vector<Visit> visits = {{start, -1, 0}};
    std::set<size_t> seen;
    for (size_t at = 0; at < visits.size(); ++at) {
      const size_t rule = visits[at].rule;
      for (size_t target = 0; target < RuleAt(rule).targets.size(); ++target) {
        const Space& written = TargetSpace(rule, target);
        for (size_t next = start; next < configuration_.rules.size(); ++next) {
          if (!RuleAt(next).enabled || !Overlap(written, SourceSpace(next))) continue;
          if (next != start) {
            if (seen.insert(next).second) visits.push_back({next, static_cast<int>(at), target});
            continue;
          }
          if (rule == start) {
            Add(rule, target, Part::kTarget,
                "the target overlaps the rule's own source: " + Step(rule, target),
                "choose a prefix outside of the source");
            return;
          }
          std::string path = Step(rule, target);
          std::vector<TopologyStep> steps;
          for (int step = static_cast<int>(at); visits[static_cast<size_t>(step)].from >= 0;
               step = visits[static_cast<size_t>(step)].from) {
            const Visit& visit = visits[static_cast<size_t>(step)];
            const size_t rule_before = visits[static_cast<size_t>(visit.from)].rule;
            path = Step(rule_before, visit.target_before) + ", " + path;
            steps.insert(steps.begin(), StepOf(rule_before, visit.target_before));
          }
          Add(rule, target, Part::kTarget, "objects would go in a circle: " + path,
              "remove one of these rules, or give them prefixes that do not overlap",
              std::move(steps));
          return;
        }
      }
    }
  }

  // What backups keep never has a name that another one gives, but its folder and its history are
  // those of the source's bucket, by name.
  bool ShareVault(size_t rule, size_t target, size_t other, size_t i) const {
    const Target& one = TargetAt(rule, target);
    const Target& two = TargetAt(other, i);
    return one.backup && two.backup && one.to == two.to && !MixesHistories(rule, other);
  }
  bool MixesHistories(size_t rule, size_t other) const {
    const Address& one = RuleAt(rule).source;
    const Address& two = RuleAt(other).source;
    if (one.bucket != two.bucket || one.store == two.store) return false;
    const Space here = SpaceOf({one.store, one.bucket, ""}, "");
    const Space there = SpaceOf({two.store, two.bucket, ""}, "");
    return here.place != there.place || here.path != there.path;
  }

  // Told at the later of the two.
  void CheckWriters(size_t rule, size_t target) {
    for (size_t other = 0; other <= rule; ++other) {
      if (!RuleAt(other).enabled) continue;
      const size_t end = other == rule ? target : RuleAt(other).targets.size();
      for (size_t i = 0; i < end; ++i) {
        if (!Overlap(TargetSpace(rule, target), TargetSpace(other, i))) continue;
        if (ShareVault(rule, target, other, i)) continue;
        if (TargetAt(rule, target).backup && TargetAt(other, i).backup &&
            MixesHistories(rule, other)) {
          Add(rule, target, Part::kTarget,
              "a backup tells sources apart by their buckets' names, and two of one name would "
              "share a history: " +
                  Step(other, i) + " and " + Step(rule, target),
              "give each its own prefix at the target", {StepOf(other, i)});
          return;
        }
        const bool rivals = other != rule && AreRivals(RuleAt(rule), TargetAt(rule, target),
                                                       RuleAt(other), TargetAt(other, i));
        if (rivals && RuleAt(other).priority != RuleAt(rule).priority) continue;
        Add(rule, target, Part::kTarget,
            (rivals ? "two rules carry the same keys to one place: "
                    : "two sources write to one place: ") +
                Step(other, i) + " and " + Step(rule, target),
            rivals ? "give them different priorities: of those that match an object the highest "
                     "carries it"
                   : "give each its own prefix at the target",
            {StepOf(other, i)});
        return;
      }
    }
  }

  void CheckStaging(size_t rule, size_t target) {
    const Target& own = TargetAt(rule, target);
    const Space& staging = StagingSpace(rule, target);
    for (size_t other = 0; other < configuration_.rules.size(); ++other) {
      if (!RuleAt(other).enabled) continue;
      if (Overlap(staging, SourceSpace(other))) {
        return Add(rule, target, Part::kStaging,
                   "the staging " + own.staging.ToString() + " overlaps the source " +
                       RuleAt(other).source.ToString() + " of rule " + RuleAt(other).id,
                   "give staging a bucket or a prefix of its own");
      }
      for (size_t i = 0; i < RuleAt(other).targets.size(); ++i) {
        if (!Overlap(staging, TargetSpace(other, i))) continue;
        return Add(rule, target, Part::kStaging,
                   "the staging " + own.staging.ToString() + " overlaps the target " +
                       TargetAt(other, i).to.ToString() + " of rule " + RuleAt(other).id,
                   "give staging a bucket or a prefix of its own");
      }
    }
    // Staging of several targets may be one; one inside another would be listed as part of it.
    const std::string archives = staging.path + RuleAt(rule).id + "/";
    for (size_t other = 0; other < configuration_.rules.size(); ++other) {
      if (!RuleAt(other).enabled) continue;
      for (size_t i = 0; i < RuleAt(other).targets.size(); ++i) {
        const Space& outer = StagingSpace(other, i);
        if (outer.place != staging.place) continue;
        const std::string& id = RuleAt(other).id;
        const bool same = archives.size() == outer.path.size() + id.size() + 1;
        if ((!same && Holds(outer, id, archives)) || Holds(outer, "probe", archives)) {
          return Add(rule, target, Part::kStaging,
                     "the staging " + own.staging.ToString() + " of rule " + RuleAt(rule).id +
                         " lies inside that of rule " + RuleAt(other).id + " (" +
                         TargetAt(other, i).staging.ToString() + ")",
                     "use the same staging for both, or two beside each other");
        }
      }
    }
  }

  // Archives are removed from there when they have been applied.
  void CheckTakeOver(size_t rule, size_t target) {
    const Address& from = TargetAt(rule, target).take_over->from;
    const Space left = SpaceOf(from, "");
    auto add = [&](const std::string& what) {
      Add(rule, target, Part::kTarget, "take_over from " + from.ToString() + " overlaps " + what,
          "name the bucket in which the archives were left");
    };
    for (const Rule& other : configuration_.rules) {
      if (!other.enabled) continue;
      if (Overlap(left, SpaceOf(other.source, ""))) {
        return add("the source " + other.source.ToString() + " of rule " + other.id);
      }
      for (const Target& there : other.targets) {
        if (Overlap(left, SpaceOf(there.to, ""))) {
          return add("the target " + there.to.ToString() + " of rule " + other.id);
        }
      }
    }
  }

  // What a store replicates must hold nothing but archives on their way out: whatever else lies
  // there would come to the targets' stagings, and what comes there must not set out again.
  void CheckLocalStaging(size_t rule) {
    const std::string name = RuleAt(rule).local_staging->ToString();
    const Space local = SpaceOf(*RuleAt(rule).local_staging, "");
    auto add = [&](const std::string& what) {
      Add(rule, 0, Part::kLocalStaging,
          "the staging " + name + " of rule " + RuleAt(rule).id + " overlaps " + what,
          "give it a bucket or a prefix of its own");
    };
    for (size_t other = 0; other < configuration_.rules.size(); ++other) {
      const Rule& there = RuleAt(other);
      if (!there.enabled) continue;
      if (Overlap(local, SourceSpace(other))) {
        return add("the source " + there.source.ToString() + " of rule " + there.id);
      }
      for (size_t i = 0; i < there.targets.size(); ++i) {
        if (Overlap(local, TargetSpace(other, i))) {
          return add("the target " + there.targets[i].to.ToString() + " of rule " + there.id);
        }
        if (Overlap(local, StagingSpace(other, i))) {
          return add("the staging " + there.targets[i].staging.ToString() +
                     " of a target of rule " + there.id);
        }
      }
      if (other == rule || !there.local_staging) continue;
      const Space outer = SpaceOf(*there.local_staging, "");
      const std::string archives = outer.path + there.id + "/";
      const std::string own = local.path + RuleAt(rule).id + "/";
      if (outer.place == local.place && own != archives && own.starts_with(archives)) {
        return add("that of rule " + there.id + ", " + there.local_staging->ToString() +
                   ": it lies inside");
      }
    }
  }

  const Configuration& configuration_;
  // Of each rule, and of each of its targets.
  std::vector<Space> sources_;
  std::vector<std::vector<Space>> targets_;
  std::vector<std::vector<Space>> stagings_;
  std::vector<TopologyProblem> problems_;
};

}  // namespace

std::vector<TopologyProblem> CheckTopology(const Configuration& configuration) {
  return Checker(configuration).Check();
}

bool Feeds(const Configuration& configuration, TopologyStep step, int rule) {
  return Checker(configuration).Feeds(step, rule);
}

}  // namespace longhaul
