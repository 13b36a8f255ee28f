#include "transfer/listing/page_check.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/json.h"

namespace longhaul {

Error PageCheck::Wrong(std::string_view what) const {
  return Corrupt("page " + std::to_string(pages_) + ": " + std::string(what)).In(place_);
}

Result<void> PageCheck::Check(const ListPage& page, std::string_view token,
                              std::string_view after) {
  ++pages_;
  auto named = [](const std::string& key) {
    std::string text;
    AppendJsonString(text, std::string_view(key).substr(0, 200));
    return text;
  };
  if (!page.next_token.empty() && page.next_token == token) {
    return Wrong("the listing does not move on: its token is the one that was sent");
  }
  if (!page.next_token.empty()) {
    if (page.next_token == mark_) {
      return Wrong("the listing goes round in a circle: its token has come before");
    }
    // Brent's way to find a circle of any length with one token kept.
    if (++since_mark_ == until_mark_) {
      mark_ = page.next_token;
      since_mark_ = 0;
      until_mark_ *= 2;
    }
  }
  empty_pages_ = page.objects.empty() && page.common_prefixes.empty() ? empty_pages_ + 1 : 0;
  if (empty_pages_ > kEmptyPagesMax) {
    return Wrong("the last " + std::to_string(kEmptyPagesMax) + " pages were empty");
  }
  const std::string* last = &last_key_;
  const std::string* last_version = &last_version_;
  for (const ListedObject& object : page.objects) {
    if (object.key.empty()) return Wrong("an object without a key");
    if (object.key.size() > kListedKeyBytesMax) {
      return Wrong("a key of " + std::to_string(object.key.size()) + " bytes");
    }
    if (!object.key.starts_with(prefix_)) {
      return Wrong("the key " + named(object.key) + " is not below the prefix");
    }
    if (object.size_bytes > kListedSizeBytesMax) {
      return Wrong("the size of " + named(object.key) + " is " + std::to_string(object.size_bytes) +
                   " bytes");
    }
    if (!sorted_) continue;
    if (!after.empty() && object.key <= after) {
      return Wrong("the listing is not in order: " + named(object.key) + " is not after " +
                   named(std::string(after)));
    }
    int order = last->compare(object.key);
    bool fine = order < 0 || (order == 0 && versions_ && *last_version != object.version_id);
    if (!fine) return Wrong("the listing is not in order at " + named(object.key));
    last = &object.key;
    last_version = &object.version_id;
  }
  for (const std::string& prefix : page.common_prefixes) {
    if (!prefix.starts_with(prefix_) || prefix.size() > kListedKeyBytesMax) {
      return Wrong("the folder " + named(prefix) + " is not below the prefix");
    }
    if (sorted_ && prefix <= last_prefix_) {
      return Wrong("the folders are not in order at " + named(prefix));
    }
    last_prefix_ = prefix;
  }
  if (last != &last_key_) {
    last_key_ = *last;
    last_version_ = *last_version;
  }
  return Ok();
}

namespace {

bool IsMarker(const ListedObject& version) { return version.is_delete_marker; }
bool IsVersion(const ListedObject& version) { return !version.is_delete_marker; }

// All delete markers stand behind or before all versions, whatever their keys.
bool IsGrouped(const std::vector<ListedObject>& versions) {
  return std::ranges::any_of(versions, IsMarker) && std::ranges::any_of(versions, IsVersion) &&
         (std::ranges::is_partitioned(versions, IsMarker) ||
          std::ranges::is_partitioned(versions, IsVersion));
}

// The milliseconds of a version id that is a ULID, in letters that compare as they do; else empty.
// versitygw, which groups, makes such ids, and tells the times of versions to the second.
std::string_view UlidTime(std::string_view id) {
  constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  if (id.size() != 26 || id.find_first_not_of(kCrockford) != id.npos) return {};
  return id.substr(0, 10);
}

bool IsNewer(const ListedObject& marker, const ListedObject& version) {
  if (marker.is_latest != version.is_latest) return marker.is_latest;
  const std::string_view one = UlidTime(marker.version_id);
  const std::string_view other = UlidTime(version.version_id);
  if (!one.empty() && !other.empty() && one != other) return one > other;
  return marker.last_modified > version.last_modified;
}

}  // namespace

void SortVersions(std::vector<ListedObject>& versions) {
  const bool grouped = IsGrouped(versions);
  if (!grouped && std::ranges::is_sorted(versions, {}, &ListedObject::key)) return;
  // Of each key the versions first, then the markers; else as they came.
  std::vector<size_t> order(versions.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, [&](size_t a, size_t b) {
    const int keys = versions[a].key.compare(versions[b].key);
    if (keys != 0) return keys < 0;
    if (grouped && versions[a].is_delete_marker != versions[b].is_delete_marker) {
      return versions[b].is_delete_marker;
    }
    return a < b;
  });
  // Then the two groups of a key are put into one another by their times. Within a group the order
  // is the server's: the time of an upload in parts may be that of its beginning.
  std::vector<ListedObject> sorted;
  sorted.reserve(versions.size());
  for (size_t version = 0; version < order.size();) {
    const std::string key = versions[order[version]].key;
    size_t end = version;
    while (end < order.size() && versions[order[end]].key == key) ++end;
    size_t marker = version;
    while (marker < end && (!grouped || !versions[order[marker]].is_delete_marker)) ++marker;
    const size_t versions_end = marker;
    while (version < versions_end || marker < end) {
      const bool take_marker =
          version == versions_end ||
          (marker < end && IsNewer(versions[order[marker]], versions[order[version]]));
      sorted.push_back(std::move(versions[order[take_marker ? marker++ : version++]]));
    }
    version = end;
  }
  versions = std::move(sorted);
}

}  // namespace longhaul
