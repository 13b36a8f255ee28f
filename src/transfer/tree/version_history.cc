#include "transfer/tree/version_history.h"

#include <algorithm>
#include <chrono>
#include <string_view>

namespace longhaul {

namespace {

// No listing is older than this when the copies that it says are to be made have been made.
constexpr std::chrono::hours kSettled{24};
constexpr std::string_view kNullVersion = "null";

bool IsVersion(const ListedObject& entry) { return !entry.is_delete_marker; }

// A bucket that never kept versions names none in some listings.
std::string IdOf(const ListedObject& version) {
  return version.version_id.empty() ? std::string(kNullVersion) : version.version_id;
}

// Whether all that the target has looks like the beginning of what the source has.
bool LooksLikeBeginning(const std::vector<ListedObject>& source,
                        const std::vector<TargetVersion>& target) {
  if (target.size() > source.size()) return false;
  for (size_t i = 0; i < target.size(); ++i) {
    const ListedObject& there = target[i].listed;
    if (there.is_delete_marker != source[i].is_delete_marker) return false;
    if (there.is_delete_marker) continue;
    if (there.size_bytes != source[i].size_bytes || there.etag.empty() ||
        there.etag != source[i].etag) {
      return false;
    }
  }
  return true;
}

size_t LeadingMarkers(const std::vector<ListedObject>& source) {
  auto first = std::ranges::find_if(source, IsVersion);
  return static_cast<size_t>(first - source.begin());
}

// The target has delete markers and nothing else.
Result<HistoryPlan> PlanAfterMarkers(const std::vector<ListedObject>& source, size_t markers) {
  const size_t leading = LeadingMarkers(source);
  if (markers <= leading && leading < source.size()) return HistoryPlan{.from = markers};
  // The versions before them, if there were any, have gone at the target, as lifecycle rules have
  // it.
  if (source.back().is_delete_marker) return HistoryPlan{.from = source.size()};
  return PreconditionFailed(
      "the target has delete markers of this key and no version, so nothing tells which versions "
      "went before; remove the markers for good to have all of it copied");
}

// The version that the target's newest names has gone at the source: what is younger than it is
// missing, and all that is older must have been copied before it was.
Result<HistoryPlan> PlanAfterTime(const std::vector<ListedObject>& source,
                                  const std::vector<TargetVersion>& target, size_t newest) {
  const VersionOrigin& origin = *target[newest].origin;
  HistoryPlan plan;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i].last_modified > origin.time) continue;
    if (plan.from == i) plan.from = i + 1;
    bool copied = source[i].is_delete_marker;
    for (size_t j = newest; j-- > 0 && !copied;) {
      if (target[j].listed.is_delete_marker) continue;
      if (!target[j].origin) return HistoryPlan{.ask = j};
      copied = target[j].origin->Names(source[i]);
    }
    if (!copied || plan.from != i + 1) {
      return PreconditionFailed("the source has no version " + origin.id +
                                " any more, which is the newest at the target, and whether its "
                                "version " +
                                IdOf(source[i]) + " came before that is not known");
    }
  }
  return plan;
}

}  // namespace

bool VersionOrigin::Names(const ListedObject& version) const {
  if (version.is_delete_marker || id.empty() || id != IdOf(version)) return false;
  return id != kNullVersion || time == version.last_modified;
}

UserMetadata OriginMetadata(const ListedObject& version) {
  return {{kVersionIdEntry, IdOf(version)},
          {kVersionTimeEntry, FormatRfc3339(version.last_modified)}};
}

VersionOrigin OriginOf(const UserMetadata& metadata) {
  const auto id = metadata.find(kVersionIdEntry);
  const auto text = metadata.find(kVersionTimeEntry);
  if (id == metadata.end() || text == metadata.end()) return {};
  Result<SystemTime> time = ParseRfc3339(text->second);
  if (!time) return {};
  return {.id = id->second, .time = *time};
}

Result<HistoryPlan> PlanHistory(const std::vector<ListedObject>& source,
                                const std::vector<TargetVersion>& target) {
  if (target.empty() || source.empty()) return HistoryPlan{};
  const bool alike = LooksLikeBeginning(source, target);
  if (alike && target.size() == source.size() &&
      target.back().listed.last_modified >= source.back().last_modified + kSettled) {
    return HistoryPlan{.from = source.size()};
  }
  size_t newest = target.size();
  while (newest > 0 && target[newest - 1].listed.is_delete_marker) --newest;
  if (newest == 0) return PlanAfterMarkers(source, target.size());
  --newest;
  if (!target[newest].origin) return HistoryPlan{.ask = newest};

  const VersionOrigin& origin = *target[newest].origin;
  if (origin.id.empty()) {
    if (alike) return HistoryPlan{.from = target.size()};
    return PreconditionFailed("the target's newest version " + target[newest].listed.version_id +
                              " is none that came from here: nothing is written behind it, as "
                              "two histories would be mixed");
  }
  HistoryPlan plan;
  auto named = std::ranges::find_if(
      source, [&origin](const ListedObject& version) { return origin.Names(version); });
  if (named != source.end()) {
    plan.from = static_cast<size_t>(named - source.begin()) + 1;
  } else {
    Result<HistoryPlan> after = PlanAfterTime(source, target, newest);
    if (!after || after->ask) return after;
    plan = *after;
  }
  // Delete markers behind it that are there already.
  for (size_t i = newest + 1; i < target.size() && plan.from < source.size(); ++i) {
    if (!source[plan.from].is_delete_marker) break;
    ++plan.from;
  }
  // A delete of what is deleted changes nothing, and minio keeps no marker of it.
  if (target.back().listed.is_delete_marker &&
      std::none_of(source.begin() + static_cast<std::ptrdiff_t>(plan.from), source.end(),
                   IsVersion)) {
    plan.from = source.size();
  }
  if (plan.from == source.size() && IsVersion(source.back()) &&
      target.back().listed.is_delete_marker) {
    return PreconditionFailed(
        "the key is deleted at the target, and not at the source; remove the delete marker there "
        "for good");
  }
  return plan;
}

}  // namespace longhaul
