// What must hold at the end of a run.

#include <sstream>

#include "tests/sim/world.h"

namespace longhaul::sim {

using testing::MemoryStoreBackend;

bool World::StagingIsEmpty() const {
  if (!source_->buckets.at(kLocalStagingBucket).objects.empty()) return false;
  for (const auto& target : targets_) {
    for (const std::string& key : target->Keys(kStagingBucket)) {
      if (!key.starts_with("probe/")) return false;
    }
    if (!target->Keys(kInboundBucket).empty()) return false;
  }
  return true;
}

std::string World::Compare(size_t target) const {
  std::set<std::string> keys;
  std::string wrong = CompareBucket(target, kSourceBucket, "out/", keys);
  if (plan_.sources) wrong += CompareBucket(target, kOtherBucket, "other/", keys);
  for (const std::string& key : targets_[target]->Keys(kTargetBucket)) {
    if (keys.contains(key) || !plan_.deletes) continue;
    // When nothing is left at a source and no event told so, the empty listing deletes nothing.
    const bool other = key.starts_with("other/");
    if (source_->Keys(other ? kOtherBucket : kSourceBucket).empty()) continue;
    wrong += "target " + std::to_string(target) + " still has " + key + "; ";
  }
  return wrong;
}

std::string World::CompareBucket(size_t target, const std::string& bucket,
                                 const std::string& prefix, std::set<std::string>& keys) const {
  const MemoryStoreBackend& there = *targets_[target];
  std::ostringstream wrong;
  for (const std::string& key : source_->Keys(bucket)) {
    const auto* expected = source_->Find(bucket, key);
    const std::string target_key = prefix + key.substr(3);
    keys.insert(target_key);
    const auto* found = there.Find(kTargetBucket, target_key);
    if (found == nullptr) {
      wrong << "target " << target << " lacks " << target_key << "; ";
      continue;
    }
    UserMetadata metadata = found->info.metadata;
    metadata.erase(std::string(kMarkName));
    if (*found->bytes != *expected->bytes) {
      wrong << "target " << target << " has other bytes under " << target_key << "; ";
    } else if (metadata != expected->info.metadata ||
               found->info.headers != expected->info.headers || found->tags != expected->tags) {
      wrong << "target " << target << " has other metadata under " << target_key << "; ";
    }
    const auto color = expected->tags.find("color");
    const bool is_rivals = plan_.rivals && !(plan_.rivals_at_first && target > 0) &&
                           bucket == kSourceBucket && color != expected->tags.end() &&
                           color->second == "1";
    if ((found->info.storage_class == "RIVAL") != is_rivals) {
      wrong << "target " << target << " has " << target_key << " from the wrong rule; ";
    }
  }
  return wrong.str();
}

// Where the target keeps versions and conditions hold, no version is older than one before it.
std::string World::CheckHistory(size_t target) const {
  if (!plan_.versioned || !plan_.conditional_writes || plan_.unknown_conditions != 0) return "";
  // (Copies go by leases, and what was too late is noticed after it.)
  if (target == 0 && plan_.same_store && (plan_.chosen || plan_.plain)) return "";
  for (const auto& [key, versions] : targets_[target]->buckets.at(kTargetBucket).objects) {
    SystemTime newest{};
    std::set<std::string> etags;
    bool came_back = false;
    for (const auto& version : versions) {
      std::optional<Mark> mark = FindMark(version.info.metadata, kTargetBucket, key);
      // An ETag that came back fulfils a condition that was meant for its first coming, and a
      // deleted key that of a create; such a write is noticed after it, and undone or read anew.
      if (mark && mark->stamp < newest && !came_back)
        return "an older version over a newer: " + key;
      came_back = version.is_delete_marker || !etags.insert(version.info.etag).second;
      if (mark) newest = std::max(newest, mark->stamp);
    }
  }
  return "";
}

}  // namespace longhaul::sim
