#include "cost/strata.h"

#include <array>
#include <cctype>
#include <utility>

namespace longhaul {

namespace {

constexpr size_t kEndingSizeMax = 8;
constexpr size_t kFolderSizeMax = 64;

// As replication's limits have it.
constexpr uint64_t kLargeBytes = 8 << 20;

void Count(Stratum::Large& large, const ListedObject& object) {
  ++large.objects;
  large.bytes += object.size_bytes;
}

struct SizeClass {
  uint64_t below;
  std::string_view name;
};
constexpr SizeClass kSizes[] = {{4 << 10, "below 4 KiB"},
                                {64 << 10, "4 to 64 KiB"},
                                {1 << 20, "64 KiB to 1 MiB"},
                                {8 << 20, "1 to 8 MiB"}};

std::string_view EndingOf(std::string_view key) {
  const std::string_view name = key.substr(key.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return "";
  const std::string_view ending = name.substr(dot);
  if (ending.size() < 2 || ending.size() > kEndingSizeMax) return "";
  for (const char c : ending.substr(1)) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) return "";
  }
  return ending;
}

}  // namespace

std::string Strata::NameOf(std::string_view folder, std::string_view key, uint64_t size_bytes) {
  std::string_view size = "over 8 MiB";
  for (const SizeClass& one : kSizes) {
    if (size_bytes >= one.below) continue;
    size = one.name;
    break;
  }
  return std::string(folder) + " " + std::string(EndingOf(key)) + " " + std::string(size);
}

void Strata::Add(const ListedObject& object) {
  std::string_view rest = object.key;
  if (rest.starts_with(prefix_)) rest.remove_prefix(prefix_.size());
  const size_t slash = rest.find('/');
  const std::string_view folder =
      slash == std::string_view::npos ? "" : rest.substr(0, std::min(slash + 1, kFolderSizeMax));
  std::string name = NameOf(folder, object.key, object.size_bytes);
  if (!strata_.contains(name) && strata_.size() >= kStrataMax) {
    name = NameOf("", object.key, object.size_bytes);
    if (!strata_.contains(name) && strata_.size() >= 2 * kStrataMax) {
      name = NameOf("", "", object.size_bytes);
    }
  }
  Stratum& stratum = strata_[name];
  ++stratum.objects;
  stratum.bytes += object.size_bytes;
  ++stratum.classes[object.storage_class];
  const bool large = object.size_bytes > kLargeBytes;
  if (large) Count(stratum.large, object);
  if (object.last_modified >= new_since_) {
    ++stratum.new_objects;
    stratum.new_bytes += object.size_bytes;
    ++stratum.new_classes[object.storage_class];
    if (large) Count(stratum.new_large, object);
  }
  stratum.open.objects.push_back(object);
  stratum.open.bytes += object.size_bytes;
  if (stratum.open.bytes >= Stratum::kRunBytes ||
      stratum.open.objects.size() >= Stratum::kRunObjectsMax) {
    Keep(stratum);
  }
}

// Each run so far is kept with the same probability. (Vitter, algorithm R.)
void Strata::Keep(Stratum& stratum) {
  if (stratum.open.objects.empty()) return;
  Stratum::Run run = std::exchange(stratum.open, {});
  ++stratum.runs_seen;
  if (stratum.runs.size() < Stratum::kRunsKept) {
    stratum.runs.push_back(std::move(run));
    return;
  }
  const uint64_t place = random_.Below(stratum.runs_seen);
  if (place < stratum.runs.size()) stratum.runs[place] = std::move(run);
}

std::map<std::string, Stratum> Strata::Take() {
  for (auto& [name, stratum] : strata_) Keep(stratum);
  return std::move(strata_);
}

}  // namespace longhaul
